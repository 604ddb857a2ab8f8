//! The checkpoint: up to which record everything is in packs and indexes, durably. Two slots, written in turn.

use alloc::vec::Vec;

use super::super::Lsn;
use crate::bytes::crc::crc32c;
use crate::record::{Reader, Record};

/// Octets from one slot to the next: a slot never shares a sector with the other.
pub const SLOT: u64 = 4096;
const MAGIC: u64 = 0x0031_4b43_5042_5250;

/// What a slot says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Checkpoint {
    /// How many have been written: the slot is its parity.
    pub sequence: u64,
    /// Every record up to this one is settled.
    pub lsn: Lsn,
    /// The highest epoch in use then.
    pub epoch: u32,
}

impl Checkpoint {
    /// The bytes of a slot.
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(32);
        MAGIC.encode(&mut out);
        self.sequence.encode(&mut out);
        self.lsn.encode(&mut out);
        self.epoch.encode(&mut out);
        crc32c(&out).encode(&mut out);
        out
    }

    /// The newest valid slot of the checkpoint file.
    pub fn newest(file: &[u8]) -> Option<Checkpoint> {
        let slot = |number: usize| file.get(number * SLOT as usize..).and_then(Checkpoint::decode);
        slot(0).max(slot(1))
    }

    fn decode(bytes: &[u8]) -> Option<Checkpoint> {
        let mut reader = Reader::new(bytes);
        let magic = u64::decode(&mut reader).ok()?;
        let checkpoint = Checkpoint {
            sequence: u64::decode(&mut reader).ok()?,
            lsn: Lsn::decode(&mut reader).ok()?,
            epoch: u32::decode(&mut reader).ok()?,
        };
        let crc = u32::decode(&mut reader).ok()?;
        (magic == MAGIC && crc == crc32c(&bytes[..28])).then_some(checkpoint)
    }

    /// Where this one is written.
    pub fn offset(&self) -> u64 {
        self.sequence % 2 * SLOT
    }
}
