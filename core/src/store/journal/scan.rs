//! Reading the ring after a start: which records stand, and whether the journal is whole.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::Lsn;
use super::record::{self, Place};

/// A record to be replayed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its payload.
    pub payload: Vec<u8>,
    /// Its body.
    pub body: Arc<[u8]>,
}

/// What the segments hold. Feed every segment once, in any order, then ask.
#[derive(Debug)]
pub struct Scan {
    settled: Lsn,
    chain: BTreeMap<Lsn, Found>,
    stray: Vec<Place>,
    last_batch: Option<LastBatch>,
}

/// The batch that was written last, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LastBatch {
    /// Its last record that stands.
    pub lsn: Lsn,
    /// The segment it lies in.
    pub segment: u32,
    /// Where it begins there.
    pub offset: u64,
    /// Its bytes, up to the last record that stands.
    pub bytes: Arc<[u8]>,
}

/// The outcome: records in order, and how much of a torn tail was ignored.
#[derive(Debug, PartialEq, Eq)]
pub struct Scanned {
    /// Records behind the checkpoint, by number, without a gap.
    pub records: Vec<(Lsn, Found)>,
    /// Whole records of a batch that was never acknowledged and cannot be used, because one before them is torn.
    pub torn_records: u64,
    /// The last batch, if a record of it is behind the checkpoint. A process that was killed may have written it without a
    /// sync, or with one that failed: it must be written and synced again before anything is built on it.
    pub last_batch: Option<LastBatch>,
}

impl Scan {
    /// A scan for what comes behind the checkpoint.
    pub fn new(settled: Lsn) -> Scan {
        Scan {
            settled,
            chain: BTreeMap::new(),
            stray: Vec::new(),
            last_batch: None,
        }
    }

    /// Takes a whole segment.
    pub fn segment(&mut self, number: u32, bytes: &[u8]) {
        let (mut at, mut batch_at) = (0, 0);
        let mut last: Option<Place> = None;
        while let Some(read) = record::decode(&bytes[at..]) {
            let follows = last.is_none_or(|last| read.place.epoch == last.epoch && read.place.lsn.0 == last.lsn.0 + 1);
            if !follows {
                break;
            }
            if read.place.lsn > self.settled {
                self.chain.insert(
                    read.place.lsn,
                    Found {
                        payload: read.payload.into(),
                        body: read.body.into(),
                    },
                );
            }
            if last.is_none_or(|last| last.batch != read.place.batch) {
                batch_at = at;
            }
            last = Some(read.place);
            at += read.len;
        }
        if let Some(last) = last.filter(|last| last.lsn > self.newest_lsn()) {
            self.last_batch = Some(LastBatch {
                lsn: last.lsn,
                segment: number,
                offset: batch_at as u64,
                bytes: bytes[batch_at..at].into(),
            });
        }
        // What is whole further on: of the torn batch, of an older lap, or a sign of corruption.
        let mut from = at;
        for candidate in record::candidates(&bytes[at..]) {
            let candidate = at + candidate;
            if candidate < from {
                continue; // inside a record just read
            }
            if let Some(read) = record::decode(&bytes[candidate..]) {
                from = candidate + read.len;
                if read.place.lsn > self.settled {
                    self.stray.push(read.place);
                }
            }
        }
    }

    fn newest_lsn(&self) -> Lsn {
        self.last_batch.as_ref().map_or(self.settled, |batch| batch.lsn)
    }

    /// All segments have been fed.
    ///
    /// # Errors
    /// The journal is corrupt in its committed middle: a record is missing although a later batch was written.
    pub fn finish(self) -> Result<Scanned, String> {
        let mut records = Vec::new();
        let mut expected = Lsn(self.settled.0 + 1);
        let mut behind_gap: Vec<Lsn> = Vec::new();
        for (lsn, found) in self.chain {
            if lsn == expected {
                expected = Lsn(lsn.0 + 1);
                records.push((lsn, found));
            } else {
                behind_gap.push(lsn);
            }
        }
        // A chain begins at a segment's first byte, with the first record of its batch: of a later batch than the missing one.
        if let Some(lsn) = behind_gap.first() {
            return Err(format!("record {expected} is missing, but record {lsn} was written after it"));
        }
        let later = self.stray.iter().find(|place| place.batch > expected && place.lsn > expected);
        if let Some(place) = later {
            return Err(format!(
                "record {expected} is unreadable, but record {} of a later batch is there",
                place.lsn
            ));
        }
        let torn_records = self.stray.iter().filter(|place| place.lsn > expected).count() as u64;
        Ok(Scanned {
            records,
            torn_records,
            last_batch: self.last_batch,
        })
    }
}
