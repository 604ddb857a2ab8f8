//! What sessions see of a mailbox: an immutable version, shared by `Arc`.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{EmailId, Flags, KeywordBits, Location, Lsn, ModSeq, Uid};
use crate::time::UnixTime;

/// Rows of a chunk.
pub const CHUNK_ROWS: usize = 4096;

/// A mailbox as it was when record `lsn` had been applied. Never changed; a new one shares what did not change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Version {
    /// Last record applied to this mailbox.
    pub lsn: Lsn,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// UIDNEXT.
    pub uid_next: Uid,
    /// HIGHESTMODSEQ.
    pub highest_mod_seq: ModSeq,
    /// Messages.
    pub exists: u32,
    /// The keyword table: bit n of [`KeywordBits`] is entry n.
    pub keywords: Arc<[Arc<str>]>,
    /// The rows, by ascending UID, in chunks of at most [`CHUNK_ROWS`]; no chunk is empty.
    pub chunks: Arc<[Chunk]>,
}

/// Some neighbouring rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chunk {
    /// What never changes.
    pub fixed: Arc<Fixed>,
    /// What STORE changes: copied alone when a session still holds the old one.
    pub flags: Arc<FlagColumns>,
}

/// Columns that never change; all of one length.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fixed {
    /// UIDs, ascending.
    pub uid: Vec<Uid>,
    /// RFC822.SIZE: prefix and body.
    pub size: Vec<u32>,
    /// Octets of the prefix (trace fields of ours).
    pub prefix: Vec<u16>,
    /// INTERNALDATE.
    pub internal_date: Vec<UnixTime>,
    /// When it came into this mailbox (RFC 8514).
    pub save_date: Vec<UnixTime>,
    /// The content's id.
    pub email_id: Vec<EmailId>,
    /// Where it lies.
    pub location: Vec<Location>,
    /// The message's checksum ([`checksum`](super::frame::checksum)).
    pub crc: Vec<u32>,
}

/// Columns that change; as long as the fixed ones.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FlagColumns {
    /// System flags.
    pub flags: Vec<Flags>,
    /// Keywords.
    pub keywords: Vec<KeywordBits>,
    /// MODSEQ.
    pub mod_seq: Vec<ModSeq>,
}

/// One row, copied out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Row {
    /// UID.
    pub uid: Uid,
    /// RFC822.SIZE.
    pub size: u32,
    /// Octets of the prefix.
    pub prefix: u16,
    /// INTERNALDATE.
    pub internal_date: UnixTime,
    /// SAVEDATE.
    pub save_date: UnixTime,
    /// EMAILID.
    pub email_id: EmailId,
    /// Where it lies.
    pub location: Location,
    /// The message's checksum ([`checksum`](super::frame::checksum)).
    pub crc: u32,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: KeywordBits,
    /// MODSEQ.
    pub mod_seq: ModSeq,
}

impl Version {
    /// The row of a UID.
    pub fn row(&self, uid: Uid) -> Option<Row> {
        let chunk = self.chunks.partition_point(|chunk| chunk.last_uid() < uid);
        let chunk = self.chunks.get(chunk)?;
        chunk.fixed.uid.binary_search(&uid).ok().map(|index| chunk.row(index))
    }

    /// All rows, by ascending UID.
    pub fn rows(&self) -> impl Iterator<Item = Row> + '_ {
        self.chunks
            .iter()
            .flat_map(|chunk| (0..chunk.fixed.uid.len()).map(move |index| chunk.row(index)))
    }

    /// All UIDs, ascending.
    pub fn uids(&self) -> impl Iterator<Item = Uid> + '_ {
        self.chunks.iter().flat_map(|chunk| chunk.fixed.uid.iter().copied())
    }
}

impl Chunk {
    /// Its last UID.
    pub fn last_uid(&self) -> Uid {
        *self.fixed.uid.last().expect("no chunk is empty")
    }

    /// The row at an index.
    pub fn row(&self, index: usize) -> Row {
        let (fixed, flags) = (&self.fixed, &self.flags);
        Row {
            uid: fixed.uid[index],
            size: fixed.size[index],
            prefix: fixed.prefix[index],
            internal_date: fixed.internal_date[index],
            save_date: fixed.save_date[index],
            email_id: fixed.email_id[index],
            location: fixed.location[index],
            crc: fixed.crc[index],
            flags: flags.flags[index],
            keywords: flags.keywords[index],
            mod_seq: flags.mod_seq[index],
        }
    }
}

/// One change of a mailbox, as a watching session pulls it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The record that made it.
    pub lsn: Lsn,
    /// The session that asked for it (0 = none), so that a session knows its own (`.SILENT`).
    pub origin: u64,
    /// What.
    pub what: ChangeKind,
}

/// What changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChangeKind {
    /// New messages, by ascending UID.
    Appended(Vec<Uid>),
    /// Flags or keywords of these changed.
    Flagged(Vec<Uid>),
    /// These are gone.
    Expunged(Vec<Uid>),
}

/// What has changed since a version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changes {
    /// Every change since, and the newest version.
    List(Arc<[Change]>, Arc<Version>),
    /// Too long ago for the list: compare your version with this one.
    Diff(Arc<Version>),
}
