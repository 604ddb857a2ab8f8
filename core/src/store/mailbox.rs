//! The model of a mailbox: rows, keywords and counters; changed only by applying operations, shown only as versions.

use alloc::collections::VecDeque;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::frame;
use super::operation::{Copied, Expunge, Flag, Place};
use super::ranges::UidRanges;
use super::request::FlagHow;
use super::version::{CHUNK_ROWS, Change, ChangeKind, Changes, Chunk, Fixed, FlagColumns, Row, Version};
use super::{Flags, KeywordBits, Lsn, MailboxName, ModSeq, SpecialUse, Uid};
use crate::limits;

pub(super) mod receive;

/// A mailbox.
#[derive(Debug, Clone)]
pub struct Mailbox {
    /// Its name.
    pub name: MailboxName,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    uid_next: Uid,
    highest_mod_seq: ModSeq,
    last_lsn: Lsn,
    exists: u32,
    keywords: Arc<[Arc<str>]>,
    chunks: Vec<Chunk>,
    /// What sessions see: the state after the last committed batch.
    published: Arc<Version>,
    /// Whether something changed since. The record does not tell: one may make a mailbox and fill it.
    changed: bool,
    changes: VecDeque<Change>,
    changed_uids: usize,
    /// Every change behind this record is in `changes`.
    changes_from: Lsn,
    /// UIDs from here on have not been shown to any session that takes `\Recent`. Lives as long as the process
    /// (RFC 3501 §2.3.2 lets a message be recent when it is not known).
    recent_from: Uid,
}

impl Mailbox {
    /// An empty mailbox made by record `lsn`.
    pub fn new(name: MailboxName, special_use: Option<SpecialUse>, uid_validity: u32, mod_seq: ModSeq, lsn: Lsn) -> Mailbox {
        let version = Version {
            lsn,
            uid_validity,
            uid_next: Uid(1),
            highest_mod_seq: mod_seq,
            exists: 0,
            keywords: Arc::new([]),
            chunks: Arc::new([]),
        };
        Mailbox::from_version(name, special_use, version)
    }

    /// A mailbox as a snapshot has it.
    pub fn from_version(name: MailboxName, special_use: Option<SpecialUse>, version: Version) -> Mailbox {
        Mailbox {
            name,
            special_use,
            uid_validity: version.uid_validity,
            uid_next: version.uid_next,
            highest_mod_seq: version.highest_mod_seq,
            last_lsn: version.lsn,
            exists: version.exists,
            keywords: version.keywords.clone(),
            chunks: version.chunks.to_vec(),
            changes: VecDeque::new(),
            changed_uids: 0,
            changes_from: version.lsn,
            recent_from: Uid(1),
            published: Arc::new(version),
            changed: false,
        }
    }

    /// The UID that the next message gets.
    pub fn uid_next(&self) -> Uid {
        self.uid_next
    }

    /// The last record applied, published or not.
    pub fn last_lsn(&self) -> Lsn {
        self.last_lsn
    }

    /// Its keywords: bit n of [`KeywordBits`] is entry n.
    pub fn keyword_table(&self) -> Arc<[Arc<str>]> {
        self.keywords.clone()
    }

    /// What sessions see.
    pub fn published(&self) -> &Arc<Version> {
        &self.published
    }

    /// Where `\Recent` begins for a session that asks now; if it takes them, the next one gets none of these.
    pub fn recent(&mut self, take: bool) -> Uid {
        let from = self.recent_from;
        if take {
            self.recent_from = self.published.uid_next;
        }
        from
    }

    /// What has changed since a record, as of the published version.
    pub fn changes_since(&self, since: Lsn) -> Changes {
        if since < self.changes_from {
            return Changes::Diff(self.published.clone());
        }
        let newer = self
            .changes
            .iter()
            .filter(|change| change.lsn > since && change.lsn <= self.published.lsn);
        Changes::List(newer.cloned().collect(), self.published.clone())
    }

    /// Whether these keywords fit the table beside those it has.
    pub fn has_room_for(&self, keywords: &[Arc<str>]) -> bool {
        let new = keywords.iter().filter(|keyword| self.bit(keyword).is_none()).count();
        self.keywords.len() + new <= limits::KEYWORDS
    }

    /// Of some ascending UIDs, those whose rows a test holds for.
    pub fn select_rows(&self, uids: &[Uid], mut test: impl FnMut(&Row) -> bool) -> Vec<Uid> {
        let mut chunks = self.chunks.iter();
        let mut chunk = chunks.next();
        let mut found = Vec::new();
        for uid in uids {
            while chunk.is_some_and(|chunk| chunk.last_uid() < *uid) {
                chunk = chunks.next();
            }
            let Some(chunk) = chunk else { break };
            if let Ok(index) = chunk.fixed.uid.binary_search(uid)
                && test(&chunk.row(index))
            {
                found.push(*uid);
            }
        }
        found
    }

    /// All rows that have a flag, by UID.
    pub fn with_flag(&self, flag: Flags) -> Vec<Uid> {
        let rows = self.chunks.iter().flat_map(|chunk| {
            let flags = chunk.flags.flags.iter();
            chunk
                .fixed
                .uid
                .iter()
                .zip(flags)
                .filter(|(_, flags)| flags.contains(flag))
                .map(|(uid, _)| *uid)
        });
        rows.collect()
    }

    /// Applies the arrival of a message.
    pub fn append(&mut self, lsn: Lsn, origin: u64, place: &Place, copy: &Copied) {
        debug_assert!(copy.uid >= self.uid_next, "UIDs only rise");
        let keywords = self.bits(&copy.keywords);
        self.begin_tail();
        let chunk = self.chunks.last_mut().expect("a tail was begun");
        let (fixed, flags) = (Arc::make_mut(&mut chunk.fixed), Arc::make_mut(&mut chunk.flags));
        fixed.uid.push(copy.uid);
        fixed
            .size
            .push(u32::try_from(place.body_len + copy.prefix.len() as u64).unwrap_or(u32::MAX));
        fixed.prefix.push(u16::try_from(copy.prefix.len()).unwrap_or(u16::MAX));
        fixed.internal_date.push(copy.internal_date);
        fixed.save_date.push(copy.save_date);
        fixed.email_id.push(copy.email_id);
        fixed.location.push(copy.location);
        fixed.crc.push(frame::checksum(&copy.prefix, place.body_crc));
        flags.flags.push(copy.flags);
        flags.keywords.push(keywords);
        flags.mod_seq.push(copy.mod_seq);
        self.exists += 1;
        self.uid_next = Uid(copy.uid.0 + 1);
        self.changed(lsn, origin, copy.mod_seq, ChangeKind::Appended(alloc::vec![copy.uid]));
    }

    /// Applies a change of flags; the UIDs whose row it names.
    pub fn flag(&mut self, lsn: Lsn, origin: u64, flag: &Flag) {
        let bits = match flag.how {
            FlagHow::Add | FlagHow::Replace => self.bits(&flag.keywords),
            // What no message has had takes no place: Thunderbird takes NonJunk away from all that it calls Junk.
            FlagHow::Remove => self.known_bits(&flag.keywords),
        };
        let mut changed = Vec::new();
        for chunk in &mut self.chunks {
            for index in rows_in(chunk, &flag.uids) {
                let columns = Arc::make_mut(&mut chunk.flags);
                columns.flags[index] = match flag.how {
                    FlagHow::Add => columns.flags[index].with(flag.flags),
                    FlagHow::Remove => columns.flags[index].without(flag.flags),
                    FlagHow::Replace => flag.flags,
                };
                let keywords = columns.keywords[index].0;
                columns.keywords[index] = KeywordBits(match flag.how {
                    FlagHow::Add => keywords | bits.0,
                    FlagHow::Remove => keywords & !bits.0,
                    FlagHow::Replace => bits.0,
                });
                columns.mod_seq[index] = flag.mod_seq;
                changed.push(chunk.fixed.uid[index]);
            }
        }
        self.changed(lsn, origin, flag.mod_seq, ChangeKind::Flagged(changed));
    }

    /// Applies an expunge.
    pub fn expunge(&mut self, lsn: Lsn, origin: u64, expunge: &Expunge) {
        let mut gone = Vec::new();
        for chunk in &mut self.chunks {
            let rows = rows_in(chunk, &expunge.uids);
            if rows.is_empty() {
                continue;
            }
            gone.extend(rows.iter().map(|index| chunk.fixed.uid[*index]));
            let mut goes = rows.into_iter().peekable();
            let kept: Vec<usize> = (0..chunk.fixed.uid.len())
                .filter(|index| goes.next_if_eq(index).is_none())
                .collect();
            *chunk = chunk.only(&kept);
        }
        self.chunks.retain(|chunk| !chunk.fixed.uid.is_empty());
        self.exists -= u32::try_from(gone.len()).expect("no more than exist");
        self.changed(lsn, origin, expunge.mod_seq, ChangeKind::Expunged(gone));
    }

    /// Makes the state after a committed batch visible.
    pub fn publish(&mut self) -> &Arc<Version> {
        if core::mem::take(&mut self.changed) {
            self.published = Arc::new(self.version());
        }
        &self.published
    }

    /// The state as it is now, published or not.
    pub fn version(&self) -> Version {
        Version {
            lsn: self.last_lsn,
            uid_validity: self.uid_validity,
            uid_next: self.uid_next,
            highest_mod_seq: self.highest_mod_seq,
            exists: self.exists,
            keywords: self.keywords.clone(),
            chunks: self.chunks.as_slice().into(),
        }
    }

    fn changed(&mut self, lsn: Lsn, origin: u64, mod_seq: ModSeq, what: ChangeKind) {
        self.changed = true;
        self.last_lsn = lsn;
        self.highest_mod_seq = self.highest_mod_seq.max(mod_seq);
        self.changed_uids += uids_of(&what);
        self.changes.push_back(Change { lsn, origin, what });
        while self.changes.len() > limits::CHANGES_KEPT || self.changed_uids > limits::CHANGED_UIDS_KEPT {
            let Some(oldest) = self.changes.pop_front() else { break };
            self.changed_uids -= uids_of(&oldest.what);
            self.changes_from = oldest.lsn;
        }
    }

    /// Sees to it that the last chunk has room, and is small: while a session holds the version before, an append copies it.
    fn begin_tail(&mut self) {
        let full = self
            .chunks
            .last()
            .is_none_or(|tail| tail.fixed.uid.len() >= limits::TAIL_ROWS);
        if !full {
            return;
        }
        if let [.., before, tail] = self.chunks.as_mut_slice()
            && before.fixed.uid.len() + tail.fixed.uid.len() <= CHUNK_ROWS
        {
            before.extend(tail);
            self.chunks.pop();
        }
        self.chunks.push(Chunk {
            fixed: Arc::new(Fixed::default()),
            flags: Arc::new(FlagColumns::default()),
        });
    }

    fn bit(&self, keyword: &str) -> Option<u64> {
        let known = self.keywords.iter().position(|known| known.eq_ignore_ascii_case(keyword))?;
        Some(1 << known)
    }

    fn known_bits(&self, keywords: &[Arc<str>]) -> KeywordBits {
        let known = keywords.iter().filter_map(|keyword| self.bit(keyword));
        KeywordBits(known.fold(0, |bits, bit| bits | bit))
    }

    /// The bits of some keywords; new ones enter the table, as long as it has room (the judge has seen to that).
    fn bits(&mut self, keywords: &[Arc<str>]) -> KeywordBits {
        let mut bits = 0;
        for keyword in keywords {
            if self.bit(keyword).is_none() && self.keywords.len() < limits::KEYWORDS {
                self.keywords = self.keywords.iter().cloned().chain([keyword.clone()]).collect();
            }
            bits |= self.bit(keyword).unwrap_or(0);
        }
        KeywordBits(bits)
    }
}

impl Chunk {
    /// A chunk of only these rows.
    fn only(&self, rows: &[usize]) -> Chunk {
        fn pick<T: Copy>(column: &[T], rows: &[usize]) -> Vec<T> {
            rows.iter().map(|index| column[*index]).collect()
        }
        let (fixed, flags) = (&self.fixed, &self.flags);
        Chunk {
            fixed: Arc::new(Fixed {
                uid: pick(&fixed.uid, rows),
                size: pick(&fixed.size, rows),
                prefix: pick(&fixed.prefix, rows),
                internal_date: pick(&fixed.internal_date, rows),
                save_date: pick(&fixed.save_date, rows),
                email_id: pick(&fixed.email_id, rows),
                location: pick(&fixed.location, rows),
                crc: pick(&fixed.crc, rows),
            }),
            flags: Arc::new(FlagColumns {
                flags: pick(&flags.flags, rows),
                keywords: pick(&flags.keywords, rows),
                mod_seq: pick(&flags.mod_seq, rows),
            }),
        }
    }

    /// Takes another chunk's rows behind its own.
    fn extend(&mut self, other: &Chunk) {
        let (fixed, flags) = (Arc::make_mut(&mut self.fixed), Arc::make_mut(&mut self.flags));
        fixed.uid.extend_from_slice(&other.fixed.uid);
        fixed.size.extend_from_slice(&other.fixed.size);
        fixed.prefix.extend_from_slice(&other.fixed.prefix);
        fixed.internal_date.extend_from_slice(&other.fixed.internal_date);
        fixed.save_date.extend_from_slice(&other.fixed.save_date);
        fixed.email_id.extend_from_slice(&other.fixed.email_id);
        fixed.location.extend_from_slice(&other.fixed.location);
        fixed.crc.extend_from_slice(&other.fixed.crc);
        flags.flags.extend_from_slice(&other.flags.flags);
        flags.keywords.extend_from_slice(&other.flags.keywords);
        flags.mod_seq.extend_from_slice(&other.flags.mod_seq);
    }
}

/// The rows of a chunk whose UIDs are in a set, by index: O(ranges that touch the chunk + hits).
fn rows_in(chunk: &Chunk, set: &UidRanges) -> Vec<usize> {
    let uids = &chunk.fixed.uid;
    let (first, last) = (uids[0], chunk.last_uid());
    let from = set.0.partition_point(|(_, range_last)| *range_last < first);
    let mut rows = Vec::new();
    for (range_first, range_last) in set.0[from..].iter().take_while(|(range_first, _)| *range_first <= last) {
        let begin = uids.partition_point(|uid| uid < range_first);
        let end = uids.partition_point(|uid| uid <= range_last);
        rows.extend(begin..end);
    }
    rows
}

fn uids_of(what: &ChangeKind) -> usize {
    match what {
        ChangeKind::Appended(uids) | ChangeKind::Flagged(uids) | ChangeKind::Expunged(uids) => uids.len(),
    }
}
