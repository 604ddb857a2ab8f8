//! Settling: what is durable in the journal goes to its place in packs and indexes. Nobody waits for it.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, Lane};
use super::batch::spot;
use super::{Committer, Entry, Pending};
use crate::limits;
use crate::record::Record;
use crate::store::disk::{DiskDone, DiskError, DiskOp, DiskPath, DiskValue};
use crate::store::journal::record::{self, Place};
use crate::store::operation::Operation;
use crate::store::queue::{QUEUE, QueueId};
use crate::store::{AccountId, Lsn, frame, layout};
use crate::time::Instant;

/// The first byte of a snapshot's payload; operations begin with their own small numbers.
pub(super) const SNAPSHOT: u8 = 0xff;

/// An account's index file: a log of records, the first of which may be a snapshot.
#[derive(Debug, Default)]
pub(super) struct Index {
    generation: u32,
    len: u64,
    snapshot_len: u64,
    /// Generations before, until a checkpoint covers the record that this one begins with.
    old: Vec<(u32, Lsn)>,
}

impl Index {
    pub(super) fn at(generation: u32, len: u64, snapshot_len: u64, old: Vec<(u32, Lsn)>) -> Index {
        Index {
            generation,
            len,
            snapshot_len,
            old,
        }
    }
}

/// Writes on their way.
#[derive(Debug, Default)]
pub(super) struct Settling {
    open: BTreeMap<u64, Write>,
    /// Gathered, not yet asked: writes of one batch to one file that lie side by side become one.
    gathered: BTreeMap<(DiskPath, u64), Gathered>,
    /// Frames of queued messages, gathered only when they go: those that end before that are never written.
    queued: BTreeMap<QueueId, Frame>,
    failed: Vec<u64>,
    retry_at: Option<Instant>,
    next: u64,
    octets: u64,
    /// When the gathered writes go at the latest.
    due: Option<Instant>,
    gathered_octets: u64,
}

#[derive(Debug)]
struct Write {
    op: DiskOp,
    lsn: Lsn,
    octets: u64,
    releases: Vec<(AccountId, u32, u64)>,
}

#[derive(Debug)]
struct Gathered {
    parts: Vec<Arc<[u8]>>,
    lsn: Lsn,
    octets: u64,
    releases: Vec<(AccountId, u32, u64)>,
}

/// A queued message's frame.
#[derive(Debug)]
struct Frame {
    pack: u32,
    offset: u64,
    /// Where its line begins.
    begins: u64,
    parts: Vec<Arc<[u8]>>,
    octets: u64,
    lsn: Lsn,
}

impl Settling {
    /// Octets that are not in their place yet.
    pub(super) fn octets(&self) -> u64 {
        self.octets
    }

    /// Whether something could not be settled, and waits to be tried again.
    pub(super) fn stuck(&self) -> bool {
        self.retry_at.is_some()
    }

    pub(super) fn retry_at(&self) -> Option<Instant> {
        self.retry_at
    }

    /// The first record that is not settled.
    pub(super) fn first_open(&self) -> Option<Lsn> {
        let open = self.open.values().map(|write| write.lsn);
        let open = open.chain(self.queued.values().map(|frame| frame.lsn));
        open.chain(self.gathered.values().map(|gathered| gathered.lsn)).min()
    }

    fn gather(&mut self, path: DiskPath, offset: u64, parts: Vec<Arc<[u8]>>, lsn: Lsn) -> &mut Gathered {
        let octets = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.octets += octets;
        // The write that ends where this one begins takes it over.
        let before = self.gathered.range((path.clone(), 0)..=(path.clone(), offset)).next_back();
        let joins = before
            .filter(|(key, gathered)| key.0 == path && key.1 + gathered.octets == offset)
            .map(|(key, _)| key.1);
        let at = joins.unwrap_or(offset);
        let gathered = self.gathered.entry((path, at)).or_insert_with(|| Gathered {
            parts: Vec::new(),
            lsn,
            octets: 0,
            releases: Vec::new(),
        });
        gathered.parts.extend(parts);
        gathered.octets += octets;
        self.gathered_octets += octets;
        gathered
    }

    /// Something was gathered, and may wait for more: neighbours become one write.
    pub(super) fn wait_for_more(&mut self, now: Instant) {
        if !self.gathered.is_empty() {
            self.due.get_or_insert(now.after(limits::SETTLE_DELAY));
        }
    }

    /// When what was gathered goes at the latest.
    pub(super) fn due(&self) -> Option<Instant> {
        self.due
    }

    /// Whether what was gathered goes now: it waited long enough, or is enough.
    fn is_due(&self, now: Instant) -> bool {
        self.gathered_octets >= limits::SETTLE_OCTETS || self.due.is_some_and(|due| due <= now)
    }
}

impl Committer {
    /// Gathers the writes of one durable record; [`Committer::begin_settling`] asks for them.
    pub(super) fn settle(&mut self, lsn: Lsn, operation: &Operation, body: Option<Arc<[u8]>>) {
        if let Operation::Account(new) = operation {
            let made = self.accounts.entry(new.account);
            made.or_insert_with(|| Entry::new(new.account));
            self.settle_op(lsn, DiskOp::MakeDir(layout::packs(new.account)));
        }
        if let Operation::Place(place) = operation {
            let parts = |line: &str, prefix: &Arc<[u8]>| {
                let mut parts: Vec<Arc<[u8]>> = alloc::vec![line.as_bytes().into(), prefix.clone()];
                parts.extend(body.clone().filter(|_| !place.big));
                parts.push(b"\r\n".as_slice().into());
                parts
            };
            for copy in &place.copies {
                let (account, pack, offset) = spot(copy.mailbox.account, copy.location);
                let line = frame::line(place, copy);
                let (begins, parts) = (offset - line.len() as u64, parts(&line, &copy.prefix));
                let gathered = self.settling.gather(layout::pack(account, pack), begins, parts, lsn);
                gathered.releases.push((account, pack, offset));
            }
            for queued in &place.queued {
                let (_, pack, offset) = spot(QUEUE, queued.location);
                self.wrote_queue_pack(pack);
                let line = frame::queued_line(place, queued);
                let (begins, parts) = (offset - line.len() as u64, parts(&line, &queued.entered.prefix));
                let octets = parts.iter().map(|part| part.len() as u64).sum::<u64>();
                self.settling.octets += octets;
                self.settling.gathered_octets += octets;
                let frame = Frame {
                    pack,
                    offset,
                    begins,
                    parts,
                    octets,
                    lsn,
                };
                self.settling.queued.insert(queued.id, frame);
            }
        }
        for id in operation.accounts() {
            let Some(entry) = self.accounts.get_mut(&id) else { continue };
            if entry.index_has(lsn) {
                continue; // a replayed record that the index had
            }
            let payload = operation.for_account(id).to_record();
            let encoded = record::encode(
                Place {
                    lsn,
                    batch: lsn,
                    epoch: entry.index.generation,
                },
                &payload,
                None,
            );
            let offset = entry.index.len;
            entry.index.len += encoded.iter().map(|part| part.len() as u64).sum::<u64>();
            let path = layout::index(id, entry.index.generation);
            self.settling.gather(path, offset, encoded, lsn);
        }
        if matches!(self.phase, super::Phase::Recovering) {
            self.begin_settling();
        }
    }

    /// A durable record ended this message: if its frame has not gone to the pack it never does. What would have been there is a
    /// gap, or beyond the pack's end; nothing points to it, and no start reads it.
    pub(super) fn spare(&mut self, id: QueueId) {
        let Some(frame) = self.settling.queued.remove(&id) else {
            return;
        };
        self.settling.octets -= frame.octets;
        self.settling.gathered_octets -= frame.octets;
        self.outbox.push_back(Ask::Release {
            account: QUEUE,
            pack: frame.pack,
            offset: frame.offset,
        });
    }

    fn settle_op(&mut self, lsn: Lsn, op: DiskOp) {
        let write = Write {
            op: op.clone(),
            lsn,
            octets: 0,
            releases: Vec::new(),
        };
        let id = self.settling.next;
        self.settling.next += 1;
        self.settling.open.insert(id, write);
        self.disk(Lane::Settle, op, Pending::Settle(id));
    }

    /// Asks for what was gathered, if it is time, or `at_once`.
    pub(super) fn settle_if_due(&mut self, at_once: bool) {
        let full = self.settling.octets > self.settings.unsettled_bytes;
        if at_once || full || self.settling.is_due(self.now.instant) {
            self.begin_settling();
        }
    }

    /// Asks for what was gathered.
    pub(super) fn begin_settling(&mut self) {
        for frame in core::mem::take(&mut self.settling.queued).into_values() {
            self.settling.octets -= frame.octets; // gathering counts them again
            let path = layout::pack(QUEUE, frame.pack);
            let gathered = self.settling.gather(path, frame.begins, frame.parts, frame.lsn);
            gathered.releases.push((QUEUE, frame.pack, frame.offset));
        }
        self.settling.due = None;
        self.settling.gathered_octets = 0;
        for ((path, offset), gathered) in core::mem::take(&mut self.settling.gathered) {
            let Gathered {
                parts,
                lsn,
                octets,
                releases,
            } = gathered;
            let op = DiskOp::Write { path, offset, parts };
            let id = self.settling.next;
            self.settling.next += 1;
            self.settling.open.insert(
                id,
                Write {
                    op: op.clone(),
                    lsn,
                    octets,
                    releases,
                },
            );
            self.disk(Lane::Settle, op, Pending::Settle(id));
        }
    }

    pub(super) fn settled(&mut self, id: u64, done: DiskDone) {
        if done.is_err() {
            // Never fatal, never lost: memory and the ring still have it.
            if done == Err(DiskError::Full) {
                self.space.enough = false;
            }
            self.settling.failed.push(id);
            let now = self.now.instant;
            self.settling.retry_at.get_or_insert(now.after(limits::SETTLE_RETRY));
            return;
        }
        let Some(write) = self.settling.open.remove(&id) else { return };
        self.settling.octets -= write.octets;
        self.outbox.extend(
            write
                .releases
                .into_iter()
                .map(|(account, pack, offset)| Ask::Release { account, pack, offset }),
        );
    }

    /// Tries again what failed.
    pub(super) fn retry_settling(&mut self) {
        if self.settling.retry_at.is_none_or(|at| at > self.now.instant) {
            return;
        }
        self.settling.retry_at = None;
        let mut failed = core::mem::take(&mut self.settling.failed);
        failed.sort_unstable(); // directories are made before files
        for id in failed {
            let Some(op) = self.settling.open.get(&id).map(|write| write.op.clone()) else {
                continue;
            };
            self.disk(Lane::Settle, op, Pending::Settle(id));
        }
        self.space.looked_at = None;
        self.look_at_space();
    }

    /// Replaces long index logs by snapshots, once after each checkpoint. Not while a batch is in flight: pending and published
    /// must be one. Not during a checkpoint: one that began before the snapshot was written does not cover it.
    pub(super) fn compact_indexes(&mut self) {
        if self.batch.is_some() || !self.checkpointing.idle() || !core::mem::take(&mut self.checkpointing.compact) {
            return;
        }
        let log_max = self.settings.index_log_bytes;
        let long = |entry: &Entry| {
            let index = &entry.index;
            index.old.is_empty() && index.len > log_max.max(4 * index.snapshot_len)
        };
        let ids: Vec<AccountId> = self
            .accounts
            .iter()
            .filter(|(_, entry)| long(entry))
            .map(|(id, _)| *id)
            .collect();
        for id in ids {
            let entry = self.accounts.get_mut(&id).expect("it was just found");
            let lsn = entry.account.last_lsn;
            let mut payload = alloc::vec![SNAPSHOT];
            entry.account.encode(&mut payload);
            let index = &mut entry.index;
            index.old.push((index.generation, lsn));
            index.generation += 1;
            let encoded = record::encode(
                Place {
                    lsn,
                    batch: lsn,
                    epoch: index.generation,
                },
                &payload,
                None,
            );
            index.len = encoded.iter().map(|part| part.len() as u64).sum();
            index.snapshot_len = index.len;
            let path = layout::index(id, index.generation);
            self.settling.gather(path, 0, encoded, lsn);
        }
        self.begin_settling();
    }

    /// A checkpoint covers every record up to this one: index generations before are not needed any more.
    pub(super) fn forget_old_indexes(&mut self, covered: Lsn) {
        let mut gone = Vec::new();
        for (id, entry) in &mut self.accounts {
            let old = entry.index.old.extract_if(.., |(_, lsn)| *lsn <= covered);
            gone.extend(old.map(|(generation, _)| layout::index(*id, generation)));
        }
        for path in gone {
            self.disk(Lane::Settle, DiskOp::Unlink(path), Pending::Unlink);
        }
    }

    /// Has free space looked at, if that was long ago.
    pub(super) fn look_at_space(&mut self) {
        let fresh = self
            .space
            .looked_at
            .is_some_and(|at| self.now.instant.since(at) < limits::SPACE_AGE);
        if fresh || self.space.asked || !matches!(self.phase, super::Phase::Running) {
            return;
        }
        self.space.asked = true;
        self.disk(Lane::Checkpoint, DiskOp::FreeSpace, Pending::Space);
    }

    pub(super) fn space_known(&mut self, done: DiskDone) {
        self.space.asked = false;
        self.space.looked_at = Some(self.now.instant);
        if let Ok(DiskValue::Space {
            free,
            total,
            free_inodes,
        }) = done
        {
            let free = free.saturating_sub(self.settling.octets);
            let enough =
                free >= self.settings.free_bytes_min && free / 100 >= total / 100 / 100 * self.settings.free_percent_min;
            self.space.enough = enough && free_inodes > 16 && self.settling.failed.is_empty();
        }
    }
}

impl Entry {
    fn index_has(&self, lsn: Lsn) -> bool {
        self.account.last_lsn >= lsn && self.loaded_until() >= lsn
    }

    /// Up to which record the index file had everything when it was read.
    fn loaded_until(&self) -> Lsn {
        self.account.loaded_until
    }
}
