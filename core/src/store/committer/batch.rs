//! The batch: judged, written, synced, published.

use alloc::collections::{BTreeSet, VecDeque};
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, Lane};
use super::judge::Judged;
use super::queue::big_names;
use super::{Committer, Pending};
use crate::limits;
use crate::record::Record;
use crate::store::disk::{DiskDone, DiskOp};
use crate::store::journal::record::{self, Place};
use crate::store::layout;
use crate::store::operation::{NewAccount, Operation};
use crate::store::queue::QUEUE;
use crate::store::request::{Refused, Reply, Request, Submission};
use crate::store::{AccountId, Location, Lsn, MailboxKey};

/// What is in flight.
pub(super) struct Batch {
    segment: u32,
    records: Vec<Recorded>,
    /// In the order of judging: a reply without a record of its own waits too, since it may rest on a record before it.
    replies: Vec<(u64, Reply)>,
}

impl Batch {
    /// Its first record.
    pub(super) fn first(&self) -> Lsn {
        self.records[0].lsn
    }
}

pub(super) struct Recorded {
    pub(super) lsn: Lsn,
    pub(super) operation: Operation,
    pub(super) body: Option<Arc<[u8]>>,
}

impl Committer {
    /// Judges what is waiting into a batch and has it written, if none is in flight.
    pub(super) fn begin_batch(&mut self) {
        if self.batch.is_some() || self.waiting.is_empty() {
            return;
        }
        if self.settling.octets() > self.settings.unsettled_bytes {
            return self.refuse_mail_while_full();
        }
        let mut parts: Vec<Arc<[u8]>> = Vec::new();
        let mut octets = 0;
        let mut batch = Batch {
            segment: 0,
            records: Vec::new(),
            replies: Vec::new(),
        };
        let first = self.ring.peek_lsn();
        while let Some(next) = self.waiting.front() {
            let most = self.record_at_most(&next.request);
            if most > self.ring.segment_bytes() || most > limits::RECORD as u64 + limits::INLINE_BODY {
                let Submission { ticket, request } = self.waiting.pop_front().expect("it is there");
                self.abandon(big_names(&request));
                let refused = Refused::Limit("the change is too large for one transaction; do it in parts".into());
                batch.replies.push((ticket, Reply::Refused(refused)));
                continue;
            }
            if octets + most > self.ring.room() {
                // The next segment is begun only by a batch of its own.
                if !batch.records.is_empty() {
                    break;
                }
                if !self.ring.advance(self.checkpointing.done().lsn) {
                    self.checkpointing.wanted = true;
                    self.refuse_mail_while_full();
                    break;
                }
            }
            let submission = self.waiting.pop_front().expect("it is there");
            let names = big_names(&submission.request);
            match self.judge(submission.request) {
                Judged::Reply(reply) => {
                    self.abandon(names);
                    batch.replies.push((submission.ticket, reply));
                }
                Judged::Record {
                    operation,
                    body,
                    origin,
                    reply,
                } => {
                    let lsn = self.ring.next_lsn();
                    let payload = operation.to_record();
                    let crc = if let Operation::Place(place) = &operation {
                        place.body_crc
                    } else {
                        0
                    };
                    let place = Place {
                        lsn,
                        batch: first,
                        epoch: self.ring.epoch(),
                    };
                    let encoded = record::encode(place, &payload, body.as_ref().map(|body| (body, crc)));
                    octets += encoded.iter().map(|part| part.len() as u64).sum::<u64>();
                    parts.extend(encoded);
                    self.apply(lsn, origin, &operation);
                    batch.replies.push((submission.ticket, reply(lsn)));
                    batch.records.push(Recorded { lsn, operation, body });
                }
            }
            if octets >= limits::BATCH_BYTES {
                break;
            }
        }
        if batch.records.is_empty() {
            for (ticket, reply) in batch.replies {
                self.reply(ticket, reply);
            }
            return;
        }
        self.write_batch(batch, parts, octets);
    }

    /// Makes the queue's account in a store that has none yet: a record like any other, for whose reply nobody waits.
    pub(super) fn make_queue(&mut self) {
        let operation = Operation::Account(NewAccount {
            account: QUEUE,
            uid_validity: 1,
            mailboxes: Vec::new(),
        });
        let lsn = self.ring.next_lsn();
        let place = Place {
            lsn,
            batch: lsn,
            epoch: self.ring.epoch(),
        };
        let parts = record::encode(place, &operation.to_record(), None);
        let octets = parts.iter().map(|part| part.len() as u64).sum::<u64>();
        self.apply(lsn, 0, &operation);
        let made = Recorded {
            lsn,
            operation,
            body: None,
        };
        let batch = Batch {
            segment: 0,
            records: alloc::vec![made],
            replies: Vec::new(),
        };
        self.write_batch(batch, parts, octets);
    }

    fn write_batch(&mut self, mut batch: Batch, parts: Vec<Arc<[u8]>>, octets: u64) {
        let (segment, offset) = self.ring.take(octets);
        batch.segment = segment;
        self.batch = Some(batch);
        self.disk(
            Lane::Ring,
            DiskOp::Write {
                path: layout::segment(segment),
                offset,
                parts,
            },
            Pending::RingWrite,
        );
        // Asked at once, performed behind the write: a lane keeps its order.
        self.disk(Lane::Ring, DiskOp::DataSync(layout::segment(segment)), Pending::RingSync);
    }

    /// If the write failed, no outcome of the sync behind it counts.
    pub(super) fn ring_written(&mut self, done: DiskDone) {
        if let Err(error) = done {
            self.fail(format!("the journal cannot be written: {error}"));
        }
    }

    /// The batch is durable: now, and not before, it may be seen.
    pub(super) fn ring_synced(&mut self, done: DiskDone) {
        if let Err(error) = done {
            return self.fail(format!("the journal cannot be made durable: {error}"));
        }
        let batch = self.batch.take().expect("a batch is in flight");
        let first = batch.first();
        let mut touched: BTreeSet<MailboxKey> = BTreeSet::new();
        let (mut trees, mut gone) = (BTreeSet::new(), Vec::new());
        for recorded in batch.records {
            self.hold(&recorded);
            match &recorded.operation {
                Operation::Account(new) => {
                    if let Some(entry) = self.accounts.get_mut(&new.account) {
                        entry.visible = true;
                    }
                    touched.extend(new.mailboxes.iter().map(|made| MailboxKey {
                        account: new.account,
                        mailbox: made.mailbox,
                    }));
                    trees.insert(new.account);
                }
                Operation::Place(place) => touched.extend(place.copies.iter().map(|copy| copy.mailbox)),
                Operation::Flag(flag) => _ = touched.insert(flag.mailbox),
                Operation::Expunge(expunge) => _ = touched.insert(expunge.mailbox),
                Operation::Tree(change) => {
                    trees.insert(change.account);
                    touched.extend(change.mailboxes());
                    gone.extend(change.deleted().map(|mailbox| (mailbox, recorded.lsn)));
                }
                Operation::Transfer(transfer) => touched.extend([transfer.from, transfer.destination()]),
                Operation::ChangeQueue(_) => {}
            }
            self.settle(recorded.lsn, &recorded.operation, recorded.body);
            self.publish_queue(recorded.lsn, &recorded.operation);
        }
        touched.retain(|mailbox| {
            let entry = self.accounts.get_mut(&mailbox.account);
            let model = entry.and_then(|entry| entry.account.mailbox_mut(mailbox.mailbox));
            model.is_some_and(|model| model.publish().lsn >= first)
        });
        for id in trees {
            if let Some(entry) = self.accounts.get_mut(&id) {
                entry.account.publish_tree();
            }
        }
        for (ticket, reply) in batch.replies {
            self.reply(ticket, reply);
        }
        for mailbox in touched {
            self.notify(mailbox);
        }
        for (mailbox, lsn) in gone {
            self.notify_gone(mailbox, lsn);
        }
        self.checkpointing.dirty(self.now.instant);
        if self.ring.used(self.checkpointing.done().lsn) >= limits::RING_SEGMENTS as usize / 2 {
            self.checkpointing.wanted = true;
        }
        self.compact_indexes();
        self.settling.wait_for_more(self.now.instant);
    }

    /// New mail does not wait for a disk that has no room (R11); everything else does, and goes on when there is room.
    fn refuse_mail_while_full(&mut self) {
        if self.space.enough {
            return;
        }
        let (mail, rest) = core::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|submission| matches!(&submission.request, Request::Place { changes, .. } if changes.is_empty()));
        self.waiting = rest;
        let mail: VecDeque<Submission> = mail;
        for Submission { ticket, request } in mail {
            self.abandon(big_names(&request));
            self.reply(ticket, Reply::Refused(Refused::DiskFull));
        }
    }

    fn notify(&mut self, mailbox: MailboxKey) {
        let Some(watchers) = self.watches.get(&mailbox) else { return };
        let entry = self.accounts.get(&mailbox.account);
        let model = entry.and_then(|entry| entry.account.mailbox(crate::store::request::Where::Mailbox(mailbox.mailbox)));
        let Some((_, model)) = model else { return };
        let lsn = model.published().lsn;
        self.outbox.extend(watchers.iter().map(|watch| Ask::Notify {
            watch: *watch,
            mailbox,
            lsn,
        }));
    }

    /// Who watches a mailbox that is gone is told, and finds it gone; then there is nothing to watch.
    fn notify_gone(&mut self, mailbox: MailboxKey, lsn: Lsn) {
        let watchers = self.watches.remove(&mailbox).unwrap_or_default();
        self.outbox
            .extend(watchers.into_iter().map(|watch| Ask::Notify { watch, mailbox, lsn }));
    }

    fn hold(&mut self, recorded: &Recorded) {
        let Operation::Place(place) = &recorded.operation else {
            return;
        };
        let copies = place
            .copies
            .iter()
            .map(|copy| (copy.mailbox.account, copy.location, &copy.prefix));
        let queued = place
            .queued
            .iter()
            .map(|queued| (QUEUE, queued.location, &queued.entered.prefix));
        for (account, location, prefix) in copies.chain(queued) {
            let (account, pack, offset) = spot(account, location);
            let body = recorded.body.clone().unwrap_or_else(|| Arc::new([]));
            self.outbox.push_back(Ask::Hold {
                account,
                pack,
                offset,
                prefix: prefix.clone(),
                body,
            });
        }
    }
}

/// A location in an account's packs.
pub(super) fn spot(account: AccountId, location: Location) -> (AccountId, u32, u64) {
    let (Location::Pack { pack, offset } | Location::Big { pack, offset }) = location;
    (account, pack, offset)
}
