//! Rows that come from another mailbox of the account: COPY and MOVE.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Mailbox, rows_in};
use crate::store::ranges::UidRanges;
use crate::store::version::{ChangeKind, Row};
use crate::store::{KeywordBits, Lsn, ModSeq, Uid};
use crate::time::UnixTime;

impl Mailbox {
    /// Messages, published or not.
    pub fn exists(&self) -> u32 {
        self.exists
    }

    /// The rows of a set, by UID.
    pub fn rows_of(&self, uids: &UidRanges) -> Vec<Row> {
        let rows = self
            .chunks
            .iter()
            .flat_map(|chunk| rows_in(chunk, uids).into_iter().map(|index| chunk.row(index)));
        rows.collect()
    }

    /// All of its messages.
    pub fn all_uids(&self) -> UidRanges {
        UidRanges::from_sorted(self.chunks.iter().flat_map(|chunk| chunk.fixed.uid.iter().copied()))
    }

    /// The names of the keywords that some rows have.
    pub fn keywords_of(&self, rows: &[Row]) -> Vec<Arc<str>> {
        let used = rows.iter().fold(0, |used, row| used | row.keywords.0);
        let named = self.keywords.iter().enumerate();
        named
            .filter(|(bit, _)| used >> bit & 1 == 1)
            .map(|(_, name)| name.clone())
            .collect()
    }

    /// Takes rows of another mailbox, whose keyword table is `table`, under new UIDs from `first` on: flags, dates and place of
    /// the bytes are kept.
    pub(in crate::store) fn receive(&mut self, lsn: Lsn, origin: u64, rows: &[Row], table: &[Arc<str>], at: Arrival) {
        debug_assert!(at.first >= self.uid_next, "UIDs only rise");
        let Some(last) = rows.len().checked_sub(1) else { return };
        // Bit for bit: each keyword is looked up once, not once a row.
        let used = rows.iter().fold(0, |used, row| used | row.keywords.0);
        let mut there = alloc::vec![0u64; table.len()];
        for (bit, name) in table.iter().enumerate().filter(|(bit, _)| used >> bit & 1 == 1) {
            there[bit] = self.bits(core::slice::from_ref(name)).0;
        }
        let translate = |bits: u64| {
            let set = there.iter().enumerate().filter(|(bit, _)| bits >> bit & 1 == 1);
            KeywordBits(set.fold(0, |all, (_, mask)| all | mask))
        };
        let uids: Vec<Uid> = (at.first.0..=at.first.0 + last as u32).map(Uid).collect();
        for (row, uid) in rows.iter().zip(&uids) {
            self.begin_tail();
            let chunk = self.chunks.last_mut().expect("a tail was begun");
            let (fixed, flags) = (Arc::make_mut(&mut chunk.fixed), Arc::make_mut(&mut chunk.flags));
            fixed.uid.push(*uid);
            fixed.size.push(row.size);
            fixed.prefix.push(row.prefix);
            fixed.internal_date.push(row.internal_date);
            fixed.save_date.push(at.save_date);
            fixed.email_id.push(row.email_id);
            fixed.location.push(row.location);
            fixed.crc.push(row.crc);
            flags.flags.push(row.flags);
            flags.keywords.push(translate(row.keywords.0));
            flags.mod_seq.push(at.mod_seq);
        }
        self.exists += uids.len() as u32;
        self.uid_next = Uid(uids[last].0 + 1);
        self.changed(lsn, origin, at.mod_seq, ChangeKind::Appended(uids));
    }
}

/// How rows arrive.
#[derive(Debug, Clone, Copy)]
pub(in crate::store) struct Arrival {
    pub(in crate::store) first: Uid,
    pub(in crate::store) mod_seq: ModSeq,
    pub(in crate::store) save_date: UnixTime,
}
