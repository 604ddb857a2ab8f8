//! The queue's part of the committer: what enters, what changes, what is told, and the space of what has left.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, Lane, QueueEvent};
use super::judge::Judged;
use super::{Committer, Entry, Pending};
use crate::limits;
use crate::store::disk::DiskOp;
use crate::store::operation::{Operation, Place, Queued};
use crate::store::queue::{Enqueue, QUEUE, QueueId, QueuedMessage, RowChange};
use crate::store::request::{Reply, Request, Submission};
use crate::store::{EmailId, Location, Lsn, frame, layout};

/// Messages that one record may put into the queue: an id is the record's number and a place in it.
pub(super) const IN_A_RECORD: usize = 255;

/// A ticket of the committer's own: nobody is told.
pub(super) const NOBODY: u64 = u64::MAX;

/// The durable queue, and what lies on the disk for it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// As it is told: only what is durable.
    published: BTreeMap<QueueId, Arc<QueuedMessage>>,
    /// Packs that are there.
    packs: BTreeSet<u32>,
    /// Files of large bodies whose message has left, and the record that it left by.
    left: Vec<(Lsn, EmailId)>,
}

impl Queue {
    fn follow(&mut self, lsn: Lsn, operation: &Operation) -> Vec<QueueEvent> {
        let mut events = Vec::new();
        let changes = match operation {
            Operation::Place(place) => {
                for queued in &place.queued {
                    let mut one = crate::store::queue::Queue::default();
                    one.enter(place, queued);
                    let message = one.get(queued.id).cloned().map(Arc::new).expect("it has just entered");
                    self.published.insert(queued.id, message.clone());
                    events.push(QueueEvent::Entered(message));
                }
                &place.changes
            }
            Operation::ChangeQueue(changes) => changes,
            Operation::Account(_) | Operation::Flag(_) | Operation::Expunge(_) => return events,
        };
        for change in changes {
            let Some(message) = self.published.get_mut(&change.id) else {
                continue;
            };
            if Arc::make_mut(message).change(change) {
                let message = self.published.remove(&change.id).expect("it was just found");
                if let Location::Big { .. } = message.location {
                    self.left.push((lsn, message.email_id));
                }
            }
            events.push(QueueEvent::Changed(change.clone()));
        }
        events
    }
}

/// What lies on the disk for the queue at the start.
#[derive(Debug, Default)]
pub(super) struct QueueFiles {
    /// Its packs.
    pub(super) packs: Vec<u32>,
    /// Large bodies.
    pub(super) big: Vec<EmailId>,
}

/// Octets that these take in a record, at most.
pub(super) fn entered_at_most(queued: &[Enqueue]) -> usize {
    let recipient = |original: usize| 2 * limits::PATH + original + 64;
    let one = |one: &Enqueue| {
        let originals = one
            .recipients
            .iter()
            .map(|to| recipient(to.original.as_ref().map_or(0, |text| text.len())));
        let envelope_id = one.wishes.envelope_id.as_ref().map_or(0, |text| text.len());
        256 + 2 * limits::PATH + one.message.len() + one.prefix.len() + envelope_id + originals.sum::<usize>()
    };
    queued.iter().map(one).sum()
}

/// Octets that these take in a record, at most.
pub(super) fn changes_at_most(changes: &[RowChange]) -> usize {
    let said = |change: &RowChange| {
        let said = change.said.as_ref();
        said.map_or(0, |said| 32 + said.text.len() + said.by.as_ref().map_or(0, |by| by.len()))
    };
    changes.iter().map(|change| 64 + said(change)).sum()
}

impl Committer {
    /// Makes the queue's account in a store that has none yet.
    pub(super) fn make_queue(&mut self) {
        if self.accounts.contains_key(&QUEUE) {
            return;
        }
        self.waiting.push_front(Submission {
            ticket: NOBODY,
            request: Request::CreateAccount {
                account: QUEUE,
                mailboxes: Vec::new(),
                uid_validity: 1,
            },
        });
    }

    /// The changes of rows that are there and not over.
    pub(super) fn concerned(&self, changes: Vec<RowChange>) -> Vec<RowChange> {
        let Some(entry) = self.accounts.get(&QUEUE) else {
            return Vec::new();
        };
        let queue = &entry.account.queue;
        changes.into_iter().filter(|change| queue.concerns(change)).collect()
    }

    pub(super) fn judge_changes(&mut self, changes: Vec<RowChange>) -> Judged {
        let changes = self.concerned(changes);
        if changes.is_empty() {
            return Judged::Reply(Reply::Done);
        }
        Judged::Record {
            operation: Operation::ChangeQueue(changes),
            body: None,
            origin: 0,
            reply: Box::new(|_| Reply::Done),
        }
    }

    /// Gives a message that enters its id and its place in the queue's packs.
    pub(super) fn enter(&mut self, place: &Place, index: u64, entered: Enqueue) -> Queued {
        let lsn = self.ring.peek_lsn();
        let mut queued = Queued {
            id: QueueId(lsn.0 << 8 | index),
            email_id: layout::queued_id(&entered.message, &place.body_hash),
            location: Location::Pack { pack: 0, offset: 0 },
            entered: Arc::new(entered),
        };
        let line = frame::queued_line(place, &queued).len() as u64;
        let body = if place.big { 0 } else { place.body_len };
        let octets = line + queued.entered.prefix.len() as u64 + body + 2;
        let pack_bytes = self.settings.pack_bytes.min(limits::QUEUE_PACK_BYTES);
        // Its own record makes it, at the first start; an account that is not there yet has no packs either.
        let entry = self.accounts.entry(QUEUE).or_insert_with(|| Entry::new(QUEUE));
        let at = entry.account.pack.take(octets, pack_bytes);
        let (pack, offset) = (at.pack, at.len + line);
        queued.location = if place.big {
            Location::Big { pack, offset }
        } else {
            Location::Pack { pack, offset }
        };
        queued
    }

    /// A record is durable: the queue is as it says, and the host is told.
    pub(super) fn publish_queue(&mut self, lsn: Lsn, operation: &Operation) {
        let events = self.queue.follow(lsn, operation);
        self.outbox.extend(events.into_iter().map(Ask::Queue));
    }

    /// What the start found: rows, and the files that are there for them.
    pub(super) fn recover_queue(&mut self, files: QueueFiles) {
        if let Some(entry) = self.accounts.get(&QUEUE) {
            let messages = entry.account.queue.messages();
            self.queue.published = messages.map(|message| (message.id, Arc::new(message.clone()))).collect();
        }
        let kept: BTreeSet<EmailId> = self.queue.published.values().map(|message| message.email_id).collect();
        self.queue.packs.extend(files.packs);
        let left = files.big.into_iter().filter(|file| !kept.contains(file));
        self.queue.left = left.map(|file| (Lsn(0), file)).collect();
    }

    /// Tells what is queued, before anything else may happen to it.
    pub(super) fn tell_queue(&mut self) {
        let messages = self.queue.published.values().cloned();
        self.outbox
            .extend(messages.map(|message| Ask::Queue(QueueEvent::Entered(message))));
    }

    pub(super) fn wrote_queue_pack(&mut self, pack: u32) {
        self.queue.packs.insert(pack);
    }

    /// After a checkpoint: removes packs of the queue that are full and hold no message any more, and the files of large bodies that
    /// have left. Whatever a crash brings back, the
    /// journal says that those messages are over.
    pub(super) fn free_queue_space(&mut self, covered: Lsn) {
        let Some(entry) = self.accounts.get(&QUEUE) else { return };
        let pack_of = |message: &QueuedMessage| match message.location {
            Location::Pack { pack, .. } | Location::Big { pack, .. } => pack,
        };
        let mut live: BTreeSet<u32> = entry.account.queue.messages().map(pack_of).collect();
        live.extend(self.queue.published.values().map(|message| pack_of(message)));
        let written_to = entry.account.pack.pack;
        let gone = self.queue.packs.extract_if(..written_to, |pack| !live.contains(pack));
        let mut gone: Vec<_> = gone.map(|pack| layout::pack(QUEUE, pack)).collect();
        let left = self.queue.left.extract_if(.., |(lsn, _)| *lsn <= covered);
        gone.extend(left.map(|(_, email)| layout::big(QUEUE, email)));
        for path in gone {
            self.disk(Lane::Settle, DiskOp::Unlink(path), Pending::Unlink);
        }
    }

    /// The durable queue.
    pub(super) fn queued(&self) -> Vec<Arc<QueuedMessage>> {
        self.queue.published.values().cloned().collect()
    }
}
