//! What one session has been told of its mailbox (RFC 9051 §5.2, §7.5.1).
//!
//! The session holds the newest version that it has applied. Messages that are gone from it but whose EXPUNGE may not be said yet
//! (during FETCH, STORE) are *ghosts*: they keep their sequence number, and their bytes can still be read.

use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::response;
use crate::store::version::{ChangeKind, Changes, Row, Version};
use crate::store::{Lsn, MailboxKey, Uid};

/// A selected mailbox as this session knows it.
#[derive(Debug, Clone)]
pub struct View {
    /// Which mailbox.
    pub mailbox: MailboxKey,
    /// EXAMINE.
    pub read_only: bool,
    version: Arc<Version>,
    ghosts: Vec<Row>,
    /// First and last UID of runs of messages that are `\Recent` for this session.
    recent: Vec<(Uid, Uid)>,
}

impl View {
    /// As SELECT found it.
    pub fn new(mailbox: MailboxKey, read_only: bool, version: Arc<Version>, recent_from: Uid) -> View {
        let mut view = View {
            mailbox,
            read_only,
            version,
            ghosts: Vec::new(),
            recent: Vec::new(),
        };
        view.note_recent(recent_from);
        view
    }

    /// The newest version applied.
    pub fn version(&self) -> &Arc<Version> {
        &self.version
    }

    /// The last record applied.
    pub fn lsn(&self) -> Lsn {
        self.version.lsn
    }

    /// Messages, as the client counts them.
    pub fn exists(&self) -> u32 {
        self.version.exists + self.ghosts.len() as u32
    }

    /// Messages that are `\Recent` for this session.
    pub fn recent(&self) -> u32 {
        let count = |(first, last): &(Uid, Uid)| self.rank(Uid(last.0 + 1)) - self.rank(*first);
        self.recent.iter().map(count).sum()
    }

    /// Whether a message is `\Recent` for this session.
    pub fn is_recent(&self, uid: Uid) -> bool {
        self.recent.iter().any(|(first, last)| (*first..=*last).contains(&uid))
    }

    /// The first message without `\Seen`, by sequence number.
    pub fn first_unseen(&self) -> Option<u32> {
        let seen = crate::store::Flags::SEEN;
        self.version
            .rows()
            .find(|row| !row.flags.contains(seen))
            .map(|row| self.rank(row.uid) + 1)
    }

    /// The message of a sequence number.
    pub fn row(&self, number: u32) -> Option<Row> {
        if number == 0 || number > self.exists() {
            return None;
        }
        if self.ghosts.is_empty() {
            return self.nth(number - 1);
        }
        // The n-th of two merged ascending lists: how many ghosts come before it?
        let (mut low, mut high) = (0, self.ghosts.len());
        while low < high {
            let middle = (low + high) / 2;
            if self.rank(self.ghosts[middle].uid) < number - 1 {
                low = middle + 1
            } else {
                high = middle
            }
        }
        match self.ghosts.get(low) {
            Some(ghost) if self.rank(ghost.uid) == number - 1 => Some(*ghost),
            _ => self.nth(number - 1 - low as u32),
        }
    }

    /// The sequence number of a UID.
    pub fn number(&self, uid: Uid) -> Option<u32> {
        let known = self.version.row(uid).is_some() || self.ghosts.binary_search_by_key(&uid, |ghost| ghost.uid).is_ok();
        known.then(|| self.rank(uid) + 1)
    }

    /// The highest UID.
    pub fn last_uid(&self) -> u32 {
        let last = self.version.chunks.last().map_or(0, |chunk| chunk.last_uid().0);
        self.ghosts.last().map_or(last, |ghost| ghost.uid.0.max(last))
    }

    /// Intervals of UIDs as intervals of sequence numbers; those without messages vanish.
    pub fn numbers_of(&self, uids: &[(u32, u32)]) -> Vec<(u32, u32)> {
        let numbers = uids.iter().map(|(first, last)| {
            let end = last.checked_add(1).map_or_else(|| self.exists(), |next| self.rank(Uid(next)));
            (self.rank(Uid(*first)) + 1, end)
        });
        numbers.filter(|(first, last)| first <= last).collect()
    }

    /// Takes over what has changed, and says it. `origin`: this session's number, `silent`: its own changes of flags are not said.
    /// `expunge`: EXPUNGE may be said now.
    pub fn apply(&mut self, changes: &Changes, recent_from: Uid, origin: u64, silent: bool, expunge: bool, out: &mut Vec<u8>) {
        let newest = match changes {
            Changes::List { newest, .. } | Changes::Diff(newest) => newest.clone(),
        };
        let old = core::mem::replace(&mut self.version, newest);
        let (mut gone, mut flagged) = (Vec::new(), Vec::new());
        match changes {
            Changes::List { changes, .. } => {
                for change in changes.iter() {
                    match &change.what {
                        ChangeKind::Appended(_) => {}
                        ChangeKind::Flagged(uids) => {
                            if !(silent && change.origin == origin) {
                                flagged.extend_from_slice(uids);
                            }
                        }
                        ChangeKind::Expunged(uids) => gone.extend(uids.iter().filter_map(|uid| old.row(*uid))),
                    }
                }
            }
            Changes::Diff(newest) => {
                for row in old.rows() {
                    match newest.row(row.uid) {
                        None => gone.push(row),
                        Some(now) if now.flags != row.flags || now.keywords != row.keywords => flagged.push(row.uid),
                        Some(_) => {}
                    }
                }
            }
        }
        self.ghosts.append(&mut gone);
        self.ghosts.sort_unstable_by_key(|ghost| ghost.uid);
        if expunge {
            self.say_expunges(out);
        }
        let before = old.uid_next;
        let appended =
            self.version.uid_next > before && self.version.chunks.last().is_some_and(|chunk| chunk.last_uid() >= before);
        if appended {
            self.note_recent(recent_from.max(before));
            response::untagged(out, &format!("{} EXISTS", self.exists()));
            response::untagged(out, &format!("{} RECENT", self.recent()));
        }
        if self.version.keywords.len() > old.keywords.len() {
            self.say_flags(out);
        }
        flagged.sort_unstable();
        flagged.dedup();
        // A message that came with these changes is not known to have had other flags before.
        for uid in flagged.into_iter().filter(|uid| *uid < before) {
            self.say_flags_of(uid, out);
        }
    }

    /// Says what was held back.
    pub fn say_expunges(&mut self, out: &mut Vec<u8>) {
        // From the last to the first, so that no number changes under the next one.
        while let Some(ghost) = self.ghosts.pop() {
            let number = self.rank(ghost.uid) + 1;
            response::untagged(out, &format!("{number} EXPUNGE"));
        }
    }

    /// Whether an EXPUNGE is held back.
    pub fn holds_expunges(&self) -> bool {
        !self.ghosts.is_empty()
    }

    /// `* FLAGS (…)` and PERMANENTFLAGS: the keywords in use.
    pub fn say_flags(&self, out: &mut Vec<u8>) {
        let words: Vec<&str> = self.version.keywords.iter().map(AsRef::as_ref).collect();
        let space = if words.is_empty() { "" } else { " " };
        let known = format!("\\Answered \\Flagged \\Deleted \\Seen \\Draft{space}{}", words.join(" "));
        response::untagged(out, &format!("FLAGS ({known})"));
        let permanent = if self.read_only {
            "()".into()
        } else {
            format!("({known} \\*)")
        };
        response::untagged(out, &format!("OK [PERMANENTFLAGS {permanent}] flags"));
    }

    /// `* n FETCH (FLAGS (…) UID u)`; the UID always, as it may answer a UID command.
    fn say_flags_of(&self, uid: Uid, out: &mut Vec<u8>) {
        let Some(row) = self.version.row(uid) else { return };
        out.extend_from_slice(format!("* {} FETCH (UID {uid} FLAGS ", self.rank(uid) + 1).as_bytes());
        response::flags(out, row.flags, row.keywords, &self.version.keywords, self.is_recent(uid));
        out.extend_from_slice(b")\r\n");
    }

    fn note_recent(&mut self, from: Uid) {
        let last = Uid(self.version.uid_next.0.saturating_sub(1));
        if from <= last {
            match self.recent.last_mut() {
                Some((_, before)) if before.0 + 1 == from.0 => *before = last,
                _ => self.recent.push((from, last)),
            }
        }
    }

    /// Messages (told, ghosts too) with a UID below this one.
    fn rank(&self, uid: Uid) -> u32 {
        let mut rank = self.ghosts.partition_point(|ghost| ghost.uid < uid);
        for chunk in self.version.chunks.iter() {
            if chunk.last_uid() < uid {
                rank += chunk.fixed.uid.len();
            } else {
                rank += chunk.fixed.uid.partition_point(|known| *known < uid);
                break;
            }
        }
        rank as u32
    }

    /// The n-th row of the version, from 0.
    fn nth(&self, n: u32) -> Option<Row> {
        let mut n = n as usize;
        for chunk in self.version.chunks.iter() {
            if n < chunk.fixed.uid.len() {
                return Some(chunk.row(n));
            }
            n -= chunk.fixed.uid.len();
        }
        None
    }
}
