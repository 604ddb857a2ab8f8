//! A session's view of its mailbox: what its client has been told, and what it is to be told next.
//!
//! The client numbers messages by what it was told (RFC 3501 §2.3.1.2). Its list is the applied version plus the messages that
//! are gone from it but were not yet reported with EXPUNGE, since that must wait while FETCH and STORE speak in numbers
//! (RFC 3501 §7.4.1). Those keep their rows, so that they can still be fetched (RFC 2180 §4.1).
//!
//! ```text
//!   Notice(Changed) ──► behind ──Ask::Changes──► apply ──► Report: EXPUNGE…, EXISTS, RECENT, FLAGS, FETCH…
//! ```
//!
//! No list of UIDs is kept: the numbers come from the version, which all sessions share.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::command::SequenceSet;
use super::sequence::Intervals;
use super::server::ask::PulledChanges;
use crate::limits;
use crate::store::request::Selected;
use crate::store::version::{ChangeKind, Changes, Row, Version};
use crate::store::{Flags, Lsn, MailboxKey, Uid};

mod compare;
mod report;

pub use report::Report;

/// What one session has been told of its selected mailbox.
#[derive(Debug)]
pub struct View {
    mailbox: MailboxKey,
    read_only: bool,
    /// The session's number: its own changes bear it.
    own: u64,
    version: Arc<Version>,
    /// Gone from `version`, and the client does not know it yet; ascending.
    gone: Vec<Row>,
    /// UIDs that are `\Recent` here: ascending ranges, the end excluded.
    recent: Vec<(Uid, Uid)>,
    /// `\Recent` and RECENT are told: not to IMAP4rev2 (RFC 9051 Appendix E).
    tells_recent: bool,
    /// `$`: the UIDs that the last SEARCH with SAVE found (RFC 5182). Those that are gone since find nothing.
    saved: Intervals,
    /// Everything up to this record has been pulled.
    pulled: Lsn,
    /// The newest record that is known to exist.
    newest: Lsn,
}

/// Whether the client may be told that messages are gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Expunges {
    /// Now.
    Tell,
    /// Later: the command speaks in message numbers (RFC 3501 §7.4.1).
    Wait,
}

impl View {
    /// The view of a mailbox just opened, by session number `own`.
    pub fn new(selected: Selected, read_only: bool, own: u64) -> View {
        let Selected {
            mailbox,
            version,
            recent_from,
        } = selected;
        let mut view = View {
            mailbox,
            read_only,
            own,
            gone: Vec::new(),
            recent: Vec::new(),
            tells_recent: true,
            saved: Intervals::default(),
            pulled: version.lsn,
            newest: version.lsn,
            version,
        };
        view.add_recent(recent_from);
        view
    }

    /// The same, for a client that knows no `\Recent`.
    #[must_use]
    pub fn without_recent(mut self) -> View {
        self.tells_recent = false;
        self
    }

    /// Whether `\Recent` and RECENT are told.
    pub fn tells_recent(&self) -> bool {
        self.tells_recent
    }

    /// Which mailbox.
    pub fn mailbox(&self) -> MailboxKey {
        self.mailbox
    }

    /// Whether it was opened by EXAMINE.
    pub fn read_only(&self) -> bool {
        self.read_only
    }

    /// The version applied last.
    pub fn version(&self) -> &Version {
        &self.version
    }

    /// There is a newer record: the host said so, or an effect was answered with it.
    pub fn learn(&mut self, lsn: Lsn) {
        self.newest = self.newest.max(lsn);
    }

    /// Whether a pull would bring something.
    pub fn behind(&self) -> bool {
        self.newest > self.pulled
    }

    /// The record behind which to pull. What comes is known to hold everything up to now.
    pub fn pull_from(&mut self) -> Lsn {
        self.pulled = self.newest;
        self.version.lsn
    }

    /// Whether EXPUNGE is owed.
    pub fn owes_expunges(&self) -> bool {
        !self.gone.is_empty()
    }

    /// Messages, as the client counts.
    pub fn exists(&self) -> u32 {
        self.version.exists + count(self.gone.len())
    }

    /// Messages that are `\Recent` here.
    pub fn recent(&self) -> u32 {
        let in_version = |(from, end): &(Uid, Uid)| self.version.rank(*end) - self.version.rank(*from);
        let in_gone = self.gone.iter().filter(|row| self.is_recent(row.uid)).count();
        self.recent.iter().map(in_version).sum::<u32>() + count(in_gone)
    }

    /// Whether a message is `\Recent` here.
    pub fn is_recent(&self, uid: Uid) -> bool {
        let behind = self.recent.partition_point(|(from, _)| *from <= uid);
        self.tells_recent && behind > 0 && uid < self.recent[behind - 1].1
    }

    /// The number of the first message without `\Seen`.
    pub fn first_unseen(&self) -> Option<u32> {
        let mut flags = self.version.chunks.iter().flat_map(|chunk| &chunk.flags.flags);
        let unseen = flags.position(|flags| !flags.contains(Flags::SEEN))?;
        Some(count(unseen) + 1)
    }

    /// The greatest UID; 0 if there is no message.
    pub fn last_uid(&self) -> u32 {
        let in_version = self.version.chunks.last().map_or(Uid(0), |chunk| chunk.last_uid());
        let in_gone = self.gone.last().map_or(Uid(0), |row| row.uid);
        in_version.max(in_gone).0
    }

    /// A message by UID, if the client may know it.
    pub fn row(&self, uid: Uid) -> Option<Row> {
        self.version.row(uid).or_else(|| {
            let gone = self.gone.binary_search_by_key(&uid, |row| row.uid);
            gone.ok().map(|index| self.gone[index])
        })
    }

    /// The number of a message that the client may know.
    pub fn number(&self, uid: Uid) -> u32 {
        self.version.rank(uid) + count(self.gone.partition_point(|row| row.uid < uid)) + 1
    }

    /// The message of a number.
    fn row_of_number(&self, number: u32) -> Option<Row> {
        let before = |(index, row): (usize, &Row)| self.version.rank(row.uid) + count(index) + 1;
        // Among the gone ones, numbers rise as UIDs do.
        let (mut low, mut high) = (0, self.gone.len());
        while low < high {
            let middle = (low + high) / 2;
            if before((middle, &self.gone[middle])) < number {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        match self.gone.get(low) {
            Some(row) if before((low, row)) == number => Some(*row),
            Some(_) | None => self.version.nth(number - 1 - count(low)),
        }
    }

    /// The first message with this UID or a greater one.
    fn row_from_uid(&self, uid: Uid) -> Option<Row> {
        let in_gone = self.gone.get(self.gone.partition_point(|row| row.uid < uid));
        match (self.version.first_from(uid), in_gone) {
            (Some(row), Some(gone)) if gone.uid < row.uid => Some(*gone),
            (Some(row), _) => Some(row),
            (None, gone) => gone.copied(),
        }
    }

    /// What `$` means: UIDs.
    pub fn saved(&self) -> &Intervals {
        &self.saved
    }

    /// Sets what `$` means.
    pub fn save(&mut self, uids: Intervals) {
        self.saved = uids;
    }

    /// The messages that a set names, one by one; `$` names UIDs, whatever the command speaks in.
    pub fn hits(&self, set: &SequenceSet, uid: bool) -> Hits {
        if set.is_saved() {
            return Hits::of_uids(self.saved.clone());
        }
        let max = if uid { self.last_uid() } else { self.exists() };
        Hits {
            intervals: set.resolve(max),
            uid,
            at: 0,
            next: 1,
        }
    }

    /// Whether a set of message numbers names one that is not there. An empty mailbox is asked for `1:*` by every client.
    pub fn is_beyond(&self, set: &SequenceSet) -> bool {
        let exists = self.exists();
        !set.is_saved() && exists > 0 && set.resolve(exists).max().is_some_and(|max| max > exists)
    }

    /// Whether a message is gone, though the client does not know it.
    pub fn is_gone(&self, uid: Uid) -> bool {
        self.gone.binary_search_by_key(&uid, |row| row.uid).is_ok()
    }

    /// The names of a row's keywords.
    pub fn keywords(&self, row: &Row) -> impl Iterator<Item = &str> {
        let bits = row.keywords.0;
        let named = self.version.keywords.iter().enumerate();
        named
            .filter(move |(bit, _)| bits & (1u64 << bit) != 0)
            .map(|(_, name)| &**name)
    }

    /// Applies what was pulled; gives what the client is to be told of it. Flags that this session itself changed are not in
    /// the report: the command that changed them tells them, or is `.SILENT`.
    pub fn apply(&mut self, pulled: PulledChanges, expunges: Expunges) -> Report {
        let (version, found, compared) = match pulled.changes {
            Changes::List(list, version) => {
                let found = self.listed(&list);
                (version, found, false)
            }
            Changes::Diff(version) => {
                let found = compare::versions(&self.version, &version);
                (version, found, true)
            }
        };
        if version.lsn <= self.version.lsn {
            return self.settle(expunges, Report::default());
        }
        let mut gone: Vec<Row> = found.gone.iter().filter_map(|uid| self.version.row(*uid)).collect();
        let before = self.version.uid_next;
        let mut report = Report::default();
        report.compared = compared;
        report.keywords = !Arc::ptr_eq(&version.keywords, &self.version.keywords) && version.keywords != self.version.keywords;
        report.flagged = found.flagged;
        report.flagged.retain(|uid| *uid < before && version.row(*uid).is_some());
        self.gone.append(&mut gone);
        self.gone.sort_unstable_by_key(|row| row.uid);
        self.version = version;
        self.pulled = self.pulled.max(self.version.lsn);
        self.newest = self.newest.max(self.version.lsn);
        self.add_recent(pulled.recent_from.max(before));
        report.arrived = self.version.first_from(before).is_some();
        self.settle(expunges, report)
    }

    /// What the client is to be told of messages that were gone already.
    pub fn tell_expunges(&mut self) -> Report {
        self.settle(Expunges::Tell, Report::default())
    }

    /// Takes the expunges into the report, if it is time, and counts.
    fn settle(&mut self, expunges: Expunges, mut report: Report) -> Report {
        if expunges == Expunges::Tell && !self.gone.is_empty() {
            let gone = core::mem::take(&mut self.gone);
            // Each EXPUNGE shifts the numbers behind it: in ascending order, the number is the rank among those that stay.
            report.expunged = gone.iter().map(|row| self.version.rank(row.uid) + 1).collect();
        }
        if report.arrived {
            report.exists = Some((self.exists(), self.recent()));
        }
        report
    }

    fn listed(&self, list: &[crate::store::version::Change]) -> compare::Found {
        let mut found = compare::Found::default();
        for change in list.iter().filter(|change| change.lsn > self.version.lsn) {
            match &change.what {
                ChangeKind::Appended(_) => {}
                ChangeKind::Flagged(_) if change.origin == self.own && self.own != 0 => {}
                ChangeKind::Flagged(uids) => found.flagged.extend_from_slice(uids),
                ChangeKind::Expunged(uids) => found.gone.extend_from_slice(uids),
            }
        }
        found.flagged.sort_unstable();
        found.flagged.dedup();
        found
    }

    /// Messages from here to UIDNEXT are `\Recent`. Few ranges are kept: where many sessions take turns, the oldest gap is
    /// closed, as RFC 3501 §2.3.2 allows.
    fn add_recent(&mut self, from: Uid) {
        let end = self.version.uid_next;
        if from >= end {
            return;
        }
        match self.recent.last_mut() {
            Some(last) if from <= last.1 => last.1 = last.1.max(end),
            Some(_) | None => self.recent.push((from, end)),
        }
        if self.recent.len() > limits::RECENT_RANGES {
            let (_, end) = self.recent.remove(1);
            self.recent[0].1 = end;
        }
    }
}

/// The messages that a set names; a place in them. Numbers are never expanded (S33).
#[derive(Debug, Clone)]
pub struct Hits {
    intervals: Intervals,
    uid: bool,
    /// The interval that `next` may be in.
    at: usize,
    next: u32,
}

impl Hits {
    /// The messages with these UIDs.
    pub fn of_uids(intervals: Intervals) -> Hits {
        Hits {
            intervals,
            uid: true,
            at: 0,
            next: 1,
        }
    }

    /// The next message. Its number stands until EXPUNGE is told.
    pub fn next(&mut self, view: &View) -> Option<Row> {
        loop {
            let (first, last) = *self.intervals.as_slice().get(self.at)?;
            let from = self.next.max(first);
            if from > last {
                self.at += 1;
                continue;
            }
            let (found, row) = if self.uid {
                let row = view.row_from_uid(Uid(from))?;
                (row.uid.0, row)
            } else {
                (from, view.row_of_number(from)?)
            };
            if found > last {
                // Every interval before the message found is empty.
                let rest = &self.intervals.as_slice()[self.at..];
                self.at += rest.partition_point(|(_, last)| *last < found);
                continue;
            }
            self.next = found.saturating_add(1);
            if found == last {
                self.at += 1;
            }
            return Some(row);
        }
    }
}

impl Version {
    /// How many messages have a smaller UID.
    pub fn rank(&self, uid: Uid) -> u32 {
        let mut before = 0;
        for chunk in self.chunks.iter() {
            if chunk.last_uid() >= uid {
                return before + count(chunk.fixed.uid.partition_point(|known| *known < uid));
            }
            before += count(chunk.fixed.uid.len());
        }
        before
    }

    /// The message with so many before it.
    pub fn nth(&self, rank: u32) -> Option<Row> {
        let mut rest = rank as usize;
        for chunk in self.chunks.iter() {
            let rows = chunk.fixed.uid.len();
            if rest < rows {
                return Some(chunk.row(rest));
            }
            rest -= rows;
        }
        None
    }

    /// The first message with this UID or a greater one.
    pub fn first_from(&self, uid: Uid) -> Option<Row> {
        let chunk = self.chunks.partition_point(|chunk| chunk.last_uid() < uid);
        let chunk = self.chunks.get(chunk)?;
        Some(chunk.row(chunk.fixed.uid.partition_point(|known| *known < uid)))
    }
}

fn count(rows: usize) -> u32 {
    u32::try_from(rows).expect("a mailbox has less than 2^32 messages")
}
