//! Checkpoints: everything settled is made durable, then the slot says so, then segments are free. The order is load-bearing.

use alloc::format;

use super::ask::Lane;
use super::{Committer, Pending};
use crate::limits;
use crate::store::Lsn;
use crate::store::disk::{DiskDone, DiskOp};
use crate::store::journal::checkpoint::Checkpoint;
use crate::store::layout;
use crate::time::Instant;

/// How far the checkpoint has come.
#[derive(Debug, Default)]
pub(super) struct Checkpointing {
    done: Checkpoint,
    next: Option<Checkpoint>,
    dirty_since: Option<Instant>,
    /// One is to be begun as soon as it can.
    pub(super) wanted: bool,
    /// One has been done, and index logs have not been looked at since.
    pub(super) compact: bool,
}

impl Checkpointing {
    pub(super) fn begin_at(&mut self, done: Checkpoint) {
        self.done = done;
    }

    /// The last one on disk.
    pub(super) fn done(&self) -> Checkpoint {
        self.done
    }

    pub(super) fn idle(&self) -> bool {
        self.next.is_none()
    }

    pub(super) fn dirty(&mut self, now: Instant) {
        self.dirty_since.get_or_insert(now);
    }

    pub(super) fn due(&self) -> Option<Instant> {
        self.dirty_since
            .filter(|_| self.idle() && !self.wanted)
            .map(|since| since.after(limits::CHECKPOINT_AGE))
    }

    pub(super) fn tick(&mut self, now: Instant) {
        if self.due().is_some_and(|due| due <= now) {
            self.wanted = true;
        }
    }
}

impl Committer {
    /// Begins a checkpoint if one is wanted, none is on its way, and everything it is to cover is in its place.
    pub(super) fn begin_checkpoint(&mut self) {
        if !self.checkpointing.wanted || !self.checkpointing.idle() {
            return;
        }
        // What is judged but not durable is not settled either.
        let durable = match &self.batch {
            Some(_) => self.settled_before_batch(),
            None => self.ring.last_lsn(),
        };
        let lsn = match self.settling.first_open() {
            Some(open) => Lsn(open.0 - 1).min(durable),
            None => durable,
        };
        let recovering = matches!(self.phase, super::Phase::Recovering);
        if lsn <= self.checkpointing.done.lsn && !recovering || recovering && self.settling.first_open().is_some() {
            if self.settling.first_open().is_none() && self.batch.is_none() {
                self.checkpointing.wanted = false;
                self.checkpointing.dirty_since = None;
            }
            return;
        }
        self.checkpointing.wanted = false;
        self.checkpointing.dirty_since = None;
        let sequence = self.checkpointing.done.sequence + 1;
        self.checkpointing.next = Some(Checkpoint {
            sequence,
            lsn,
            epoch: self.ring.epoch(),
        });
        self.disk(Lane::Checkpoint, DiskOp::SyncAll, Pending::SyncAll);
    }

    pub(super) fn all_synced(&mut self, done: DiskDone) {
        if let Err(error) = done {
            return self.fail(format!("packs and indexes cannot be made durable: {error}"));
        }
        let next = self.checkpointing.next.expect("a checkpoint is on its way");
        let op = DiskOp::Write {
            path: layout::checkpoint(),
            offset: next.offset(),
            parts: alloc::vec![next.encode().into()],
        };
        self.disk(Lane::Checkpoint, op, Pending::SlotWrite);
    }

    pub(super) fn slot_written(&mut self, done: DiskDone) {
        if let Err(error) = done {
            return self.fail(format!("the checkpoint cannot be written: {error}"));
        }
        self.disk(Lane::Checkpoint, DiskOp::DataSync(layout::checkpoint()), Pending::SlotSync);
    }

    pub(super) fn slot_synced(&mut self, done: DiskDone) {
        if let Err(error) = done {
            return self.fail(format!("the checkpoint cannot be made durable: {error}"));
        }
        self.checkpointing.done = self.checkpointing.next.take().expect("a checkpoint is on its way");
        let covered = self.checkpointing.done.lsn;
        self.forget_old_indexes(covered);
        self.free_queue_space(covered);
        if self.ring.last_lsn() > covered {
            self.checkpointing.dirty(self.now.instant);
        }
        self.checkpointing.compact = true;
        self.compact_indexes();
    }

    fn settled_before_batch(&self) -> Lsn {
        let first = self.batch.as_ref().map_or(self.ring.peek_lsn(), |batch| batch.first());
        Lsn(first.0 - 1)
    }
}
