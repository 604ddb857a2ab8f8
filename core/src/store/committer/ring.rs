//! Where the next record goes.

use crate::limits;
use crate::store::Lsn;
use crate::store::journal::checkpoint::Checkpoint;

const SEGMENTS: usize = limits::RING_SEGMENTS as usize;

/// The ring's state. Nothing is ever written over a record that no checkpoint covers.
#[derive(Debug)]
pub(super) struct Ring {
    segment_bytes: u64,
    /// The segment that is written to, how far, and under which epoch.
    segment: usize,
    offset: u64,
    epoch: u32,
    /// The last record in each segment.
    last: [Lsn; SEGMENTS],
    next_lsn: Lsn,
}

impl Ring {
    pub(super) fn new(segment_bytes: u64) -> Ring {
        Ring {
            segment_bytes,
            segment: 0,
            offset: 0,
            epoch: 1,
            last: [Lsn(0); SEGMENTS],
            next_lsn: Lsn(1),
        }
    }

    /// After a start: records go on behind `last`, in a segment and under an epoch that nothing from before can be taken for.
    pub(super) fn recovered(&mut self, checkpoint: &Checkpoint, last: Lsn, newest_segment: Option<u32>) {
        // Between two checkpoints at most one lap is written, so at most SEGMENTS epochs are begun; a start that crashed before its
        // checkpoint wrote no record.
        self.epoch = checkpoint.epoch + 2 * limits::RING_SEGMENTS;
        self.next_lsn = Lsn(last.0 + 1);
        self.segment = newest_segment.map_or(0, |segment| (segment as usize + 1) % SEGMENTS);
        self.offset = 0;
        // Until the first checkpoint is done every segment may hold what it has to cover.
        self.last = [last; SEGMENTS];
    }

    pub(super) fn last_lsn(&self) -> Lsn {
        Lsn(self.next_lsn.0 - 1)
    }

    pub(super) fn next_lsn(&mut self) -> Lsn {
        let lsn = self.next_lsn;
        self.next_lsn = Lsn(lsn.0 + 1);
        lsn
    }

    pub(super) fn peek_lsn(&self) -> Lsn {
        self.next_lsn
    }

    pub(super) fn epoch(&self) -> u32 {
        self.epoch
    }

    pub(super) fn segment_bytes(&self) -> u64 {
        self.segment_bytes
    }

    /// Room left in the segment.
    pub(super) fn room(&self) -> u64 {
        self.segment_bytes - self.offset
    }

    /// Goes on in the next segment, if a checkpoint has freed it.
    pub(super) fn advance(&mut self, settled: Lsn) -> bool {
        let next = (self.segment + 1) % SEGMENTS;
        if self.last[next] > settled {
            return false;
        }
        self.segment = next;
        self.offset = 0;
        self.epoch += 1;
        true
    }

    /// Takes room for a batch that ends with the last record given out: the segment's number and the offset to write at.
    pub(super) fn take(&mut self, octets: u64) -> (u32, u64) {
        let offset = self.offset;
        assert!(octets <= self.room(), "a batch stays in its segment");
        self.offset += octets;
        self.last[self.segment] = self.last_lsn();
        (self.segment as u32, offset)
    }

    /// Segments that no checkpoint has freed.
    pub(super) fn used(&self, settled: Lsn) -> usize {
        self.last.iter().filter(|last| **last > settled).count()
    }
}
