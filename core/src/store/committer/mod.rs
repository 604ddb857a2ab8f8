//! The committer: the one machine through which every durable change passes.
//!
//! ```text
//! submissions -> waiting -> judged into a batch -> ring write -> fdatasync -> applied state published, replies, notices
//!                                                                     |
//!                                                                     +-> settle: frames into packs, entries into indexes
//!                                                                             |
//!                                                                             +-> checkpoint: syncfs, then the slot, then
//!                                                                                 segments may be used again
//! ```
//!
//! * **Natural group commit.** One batch is in flight; what is submitted meanwhile makes the next one. No timer.
//! * **Two states.** A request is judged against the *pending* state (everything accepted so far) and refused before anything is
//!   encoded; sessions see the *published* state, which moves only when a batch is durable. There is no way back, and none is
//!   needed: after judging, the only failure is fail-stop.
//! * **Any error of a ring write, a sync or a checkpoint stops the process** ([`Ask::Stop`]): after a failed fsync the kernel
//!   forgets which pages were dirty.
//! * **Settling never fails for good**: it is retried each second, and until then the body is served from memory and the segment
//!   stays.
//!
//! * **A start builds on nothing that may be in the kernel's memory only.** The newest checkpoint and the last batch are written and
//!   synced again before they are replayed; anything unreadable that must be there stops the start, with a text that says what.
//!
//! Not in this version: every account's index is held in memory and loaded at start (no eviction, no columns on disk); an index
//! that is lost is not rebuilt from the packs, but refused; packs of mailboxes are never compacted and expunged bodies never removed
//! (a pack of the queue goes with its last open message); there is no scrub and no quota; a store that cannot settle at its start (a full disk) is not ready until it can.

pub mod ask;
mod batch;
mod boot;
mod checkpoint;
mod judge;
mod query;
mod queue;
mod record;
mod ring;
mod settle;

use alloc::collections::{BTreeMap, VecDeque};
use alloc::string::String;
use alloc::vec::Vec;

use self::ask::{Ask, DiskReply, Lane, Notice, Recovered, Value};
use self::batch::Batch;
use self::boot::{Boot, BootNext, Booted};
use self::checkpoint::Checkpointing;
use self::ring::Ring;
use self::settle::Settling;
use crate::limits;
use crate::machine::{Close, Deadline, Input, Machine, Output, Reason, Slots, Wait};
use crate::store::account::Account;
use crate::store::disk::{DiskDone, DiskOp};
use crate::store::queue::QUEUE;
use crate::store::request::{Refused, Reply, Submission};
use crate::store::{AccountId, Lsn, MailboxKey};
use crate::time::{Instant, Now};

/// A store's settings; `Settings::default()` is right for a small server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settings {
    /// Bytes of the ring in all; rounded down to eight equal segments.
    pub ring_bytes: u64,
    /// Below so many free bytes no new mail is taken.
    pub free_bytes_min: u64,
    /// Below so many hundredths of the disk no new mail is taken.
    pub free_percent_min: u64,
    /// Bytes that may be durable in the journal but not yet in packs; above this no new batch is begun.
    pub unsettled_bytes: u64,
    /// A pack is sealed (the next one is begun) at this size.
    pub pack_bytes: u64,
    /// An account's index log is replaced by a snapshot above this size, if it is four times the snapshot before it.
    pub index_log_bytes: u64,
}

impl Default for Settings {
    fn default() -> Settings {
        Settings {
            ring_bytes: limits::RING_BYTES,
            free_bytes_min: 2 * limits::MESSAGE,
            free_percent_min: limits::FREE_PERCENT,
            unsettled_bytes: limits::UNSETTLED_BYTES,
            pack_bytes: limits::PACK_BYTES,
            index_log_bytes: limits::INDEX_LOG_BYTES,
        }
    }
}

impl Settings {
    /// Bytes of a segment.
    pub fn segment_bytes(&self) -> u64 {
        self.ring_bytes / u64::from(limits::RING_SEGMENTS) / 4096 * 4096
    }

    /// Octets of the largest body that rides in a record.
    pub fn inline_max(&self) -> u64 {
        limits::INLINE_BODY.min(self.segment_bytes() / 8)
    }
}

/// The committer of one store.
pub struct Committer {
    settings: Settings,
    now: Now,
    phase: Phase,
    slots: Slots<Pending>,
    outbox: VecDeque<Ask>,
    accounts: BTreeMap<AccountId, Entry>,
    watches: BTreeMap<MailboxKey, Vec<u64>>,
    waiting: VecDeque<Submission>,
    batch: Option<Batch>,
    ring: Ring,
    settling: Settling,
    checkpointing: Checkpointing,
    space: Space,
    queue: queue::Queue,
    recovered: Recovered,
}

/// An account, and its index on disk.
struct Entry {
    account: Account,
    index: settle::Index,
    /// Whether the record that made it is durable: before that, no query may see it.
    visible: bool,
}

/// ```text
/// Booting --read--> Recovering --settled, checkpointed--> Running --Shutdown--> Stopping --checkpointed--> Stopped
///    |                  |                                    |                      |
///    +------------------+-------------- an error ------------+----------------------+--> Failed
/// ```
enum Phase {
    /// Reads the disk, one operation at a time.
    Booting(Boot),
    /// Settles what the journal held.
    Recovering,
    /// Works.
    Running,
    /// Finishes what is open.
    Stopping,
    /// Has ended.
    Stopped,
    /// The process must end; nothing more leaves.
    Failed,
}

/// What to do with a disk's answer.
enum Pending {
    Boot,
    RingWrite,
    RingSync,
    Settle(u64),
    SyncAll,
    SlotWrite,
    SlotSync,
    Space,
    /// A file that is no longer needed; if it stays, the next start removes it.
    Unlink,
}

/// What is known of the disk's free space.
struct Space {
    enough: bool,
    asked: bool,
    looked_at: Option<Instant>,
}

impl Committer {
    /// A committer that begins by reading the disk; [`Ask::Ready`] says when it works.
    ///
    /// # Panics
    /// When the ring is too small to hold a record: a host's bug (the config refuses it).
    pub fn new(settings: Settings, machine: u64, now: Now) -> Committer {
        assert!(settings.segment_bytes() >= 32 * 1024, "a ring has at least 8 x 32 KiB");
        Committer {
            settings,
            now,
            phase: Phase::Booting(Boot::new(settings)),
            slots: Slots::new(machine),
            outbox: VecDeque::new(),
            accounts: BTreeMap::new(),
            watches: BTreeMap::new(),
            waiting: VecDeque::new(),
            batch: None,
            ring: Ring::new(settings.segment_bytes()),
            settling: Settling::default(),
            checkpointing: Checkpointing::default(),
            space: Space {
                enough: true,
                asked: false,
                looked_at: None,
            },
            queue: queue::Queue::default(),
            recovered: Recovered::default(),
        }
    }

    fn disk(&mut self, lane: Lane, op: DiskOp, pending: Pending) {
        let then = self.slots.ask::<DiskReply>(pending);
        self.outbox.push_back(Ask::Disk { lane, op, then });
    }

    fn reply(&mut self, ticket: u64, reply: Reply) {
        self.outbox.push_back(Ask::Reply { ticket, reply });
    }

    /// Fail-stop: what has not been said is not said.
    fn fail(&mut self, why: String) {
        self.phase = Phase::Failed;
        self.outbox.clear();
        self.outbox.push_back(Ask::Stop(why));
    }

    fn submit(&mut self, submission: Submission) {
        match self.phase {
            Phase::Booting(_) | Phase::Recovering | Phase::Running if self.waiting.len() >= limits::WAITING => {
                self.reply(
                    submission.ticket,
                    Reply::Refused(Refused::Limit("too many requests are waiting".into())),
                );
            }
            // What has not been read yet is not empty: queries wait too.
            Phase::Booting(_) | Phase::Recovering => self.waiting.push_back(submission),
            Phase::Running => {
                if let Some(effect) = self.query(submission) {
                    self.waiting.push_back(effect);
                    self.look_at_space();
                }
            }
            Phase::Stopping | Phase::Stopped => self.reply(submission.ticket, Reply::Refused(Refused::Stopping)),
            Phase::Failed => {}
        }
    }

    fn answered(&mut self, pending: Pending, done: DiskDone) {
        match pending {
            Pending::Boot => self.boot(Some(done)),
            Pending::RingWrite => self.ring_written(done),
            Pending::RingSync => self.ring_synced(done),
            Pending::Settle(id) => self.settled(id, done),
            Pending::SyncAll => self.all_synced(done),
            Pending::SlotWrite => self.slot_written(done),
            Pending::SlotSync => self.slot_synced(done),
            Pending::Space => self.space_known(done),
            Pending::Unlink => {}
        }
    }

    fn boot(&mut self, done: Option<DiskDone>) {
        let Phase::Booting(boot) = &mut self.phase else { return };
        match boot.next(done) {
            BootNext::Disk(op) => self.disk(Lane::Checkpoint, op, Pending::Boot),
            BootNext::Failed(why) => self.fail(why),
            BootNext::Booted(booted) => self.recover(booted),
        }
    }

    /// Applies what the journal holds behind the checkpoint, and settles it again: every write is the same bytes at the same place.
    fn recover(&mut self, booted: Booted) {
        self.phase = Phase::Recovering;
        self.recovered.torn_records = booted.torn_records;
        self.recovered.records = booted.records.len() as u64;
        for loaded in booted.accounts {
            let old = loaded.older.iter().map(|generation| (*generation, loaded.account.last_lsn));
            let index = settle::Index::at(loaded.generation, loaded.len, loaded.snapshot_len, old.collect());
            self.accounts.insert(
                loaded.account.id,
                Entry {
                    account: loaded.account,
                    index,
                    visible: true,
                },
            );
        }
        let mut last = booted.checkpoint.lsn;
        for (lsn, operation, body) in booted.records {
            self.settle(lsn, &operation, body);
            self.apply(lsn, 0, &operation);
            last = lsn;
        }
        if let Some(entry) = self.accounts.values().find(|entry| entry.account.loaded_until > last) {
            return self.fail(alloc::format!(
                "the index of account {} has record {}, but the journal ends at {last}: was only a part of the store restored?",
                entry.account.id,
                entry.account.loaded_until
            ));
        }
        // An account that neither its index nor the journal makes is not an empty one.
        let unmade = self
            .accounts
            .iter()
            .filter(|(_, entry)| !entry.account.is_made())
            .map(|(id, _)| id);
        let unknown = booted.orphans.iter().filter(|id| !self.accounts.contains_key(id));
        if let Some(orphan) = unmade.chain(unknown).next() {
            return self.fail(alloc::format!(
                "account {orphan} has no readable index; restore it, or remove its directory"
            ));
        }
        for entry in self.accounts.values_mut() {
            entry.visible = true;
            entry.account.publish_tree();
            for mailbox in entry.account.mailboxes_mut() {
                self.recovered.messages += u64::from(mailbox.publish().exists);
            }
        }
        self.recover_queue(booted.queue_files);
        self.ring.recovered(&booted.checkpoint, last, booted.newest_segment);
        self.checkpointing.begin_at(booted.checkpoint);
        self.checkpointing.wanted = true;
    }

    /// Applies an operation to every account that it concerns.
    fn apply(&mut self, lsn: Lsn, origin: u64, operation: &crate::store::operation::Operation) {
        for id in operation.accounts() {
            let entry = self.accounts.entry(id);
            let entry = entry.or_insert_with(|| Entry::new(id));
            if entry.account.last_lsn < lsn {
                entry.account.apply(lsn, origin, operation);
            }
        }
    }

    /// Everything that can be begun is begun.
    fn pump(&mut self) {
        match self.phase {
            Phase::Booting(_) if self.slots.open() == 0 => self.boot(None),
            Phase::Booting(_) | Phase::Stopped | Phase::Failed => {}
            Phase::Recovering => {
                self.begin_checkpoint();
                if self.batch.is_none() && self.checkpointing.idle() && !self.checkpointing.wanted {
                    // Before anyone can put a large body into its directory: a directory that no record made stops a start.
                    if !self.accounts.contains_key(&QUEUE) {
                        return self.make_queue();
                    }
                    self.phase = Phase::Running;
                    self.tell_queue();
                    self.outbox.push_back(Ask::Ready(self.recovered.clone()));
                    self.look_at_space();
                    for early in core::mem::take(&mut self.waiting) {
                        self.submit(early);
                    }
                    self.begin_batch();
                }
            }
            Phase::Running => {
                self.begin_batch();
                self.settle_if_due(self.checkpointing.wanted);
                self.begin_checkpoint();
            }
            Phase::Stopping => {
                self.begin_batch();
                self.settle_if_due(true);
                if self.batch.is_none() && self.settling.stuck() {
                    // What cannot be settled now stays in the journal, and the next start settles it.
                    return self.end();
                }
                if self.batch.is_none() && self.waiting.is_empty() {
                    self.checkpointing.wanted |= self.ring.last_lsn() > self.checkpointing.done().lsn;
                    self.begin_checkpoint();
                    if self.checkpointing.idle() && !self.checkpointing.wanted {
                        self.end();
                    }
                }
            }
        }
    }

    /// The end of a clean stop: who still waits is told.
    fn end(&mut self) {
        self.phase = Phase::Stopped;
        for Submission { ticket, .. } in core::mem::take(&mut self.waiting) {
            self.reply(ticket, Reply::Refused(Refused::Stopping));
        }
    }

    fn until(&self) -> Option<Deadline> {
        let retry = self.settling.retry_at().map(|at| Deadline {
            at,
            why: "settling is retried",
        });
        let settle = self.settling.due().map(|at| Deadline {
            at,
            why: "what was gathered is to be settled",
        });
        let checkpoint = self.checkpointing.due().map(|at| Deadline {
            at,
            why: "a checkpoint is due",
        });
        [retry, settle, checkpoint].into_iter().flatten().min()
    }
}

impl Entry {
    fn new(id: AccountId) -> Entry {
        Entry {
            account: Account::new(id),
            index: settle::Index::default(),
            visible: false,
        }
    }
}

impl Machine for Committer {
    type Ask = Ask;
    type Value = Value;
    type Notice = Notice;

    fn handle(&mut self, now: Now, input: Input<'_, Value, Notice>) {
        self.now = now;
        match input {
            Input::Answer(answer) => {
                let pending = self.slots.take(answer.id);
                let Value::Disk(DiskReply(done)) = answer.value;
                if !matches!(self.phase, Phase::Failed) {
                    self.answered(pending, done);
                }
            }
            Input::Notice(Notice::Submit(submission)) => self.submit(submission),
            Input::Notice(Notice::Shutdown) => match self.phase {
                Phase::Running | Phase::Recovering => self.phase = Phase::Stopping,
                Phase::Booting(_) => self.end(),
                Phase::Stopping | Phase::Stopped | Phase::Failed => {}
            },
            Input::Tick => {
                self.retry_settling();
                self.checkpointing.tick(now.instant);
            }
            Input::Received(_) | Input::Eof | Input::Sent(_) | Input::Body(_) => panic!("a committer has no stream"),
        }
    }

    fn poll(&mut self) -> Output<'_, Ask> {
        if self.outbox.is_empty() {
            self.pump();
        }
        if let Some(ask) = self.outbox.pop_front() {
            return Output::Ask(ask);
        }
        match self.phase {
            Phase::Stopped | Phase::Failed => Output::Close(Close {
                why: Reason::Shutdown,
                linger: None,
            }),
            Phase::Booting(_) | Phase::Recovering | Phase::Running | Phase::Stopping => Output::Wait(Wait {
                send: &[],
                read: false,
                body: false,
                until: self.until(),
            }),
        }
    }
}
