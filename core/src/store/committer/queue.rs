//! The queue's part of the committer: what enters, what changes, what is told, and the space of what has left.

use alloc::boxed::Box;
use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, Lane, QueueEvent};
use super::judge::Judged;
use super::{Committer, Pending};
use crate::limits;
use crate::store::disk::DiskOp;
use crate::store::operation::{Operation, Place, Queued};
use crate::store::queue::{Enqueue, QUEUE, QueueId, QueuedMessage, RowChange};
use crate::store::request::{BodyBytes, Reply, Request};
use crate::store::{EmailId, Location, Lsn, frame, layout};

/// Messages that one record may put into the queue: an id is the record's number and a place in it.
pub(super) const IN_A_RECORD: usize = 255;

/// The durable queue, and what lies on the disk for it.
#[derive(Debug, Default)]
pub(super) struct Queue {
    /// As it is told: only what is durable.
    published: BTreeMap<QueueId, Arc<QueuedMessage>>,
    /// Packs that are there, or were in this process's life.
    packs: BTreeMap<u32, Use>,
    /// The newest pack that a durable message lies in.
    newest: u32,
    /// Files of large bodies.
    bigs: BTreeMap<EmailId, Use>,
}

/// How a file is used.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    /// Messages that need it: those of one record may share a large body.
    messages: u32,
    /// The last record that changed their number.
    since: Lsn,
}

impl Queue {
    fn count(&mut self, lsn: Lsn, message: &QueuedMessage, by: i32) {
        let count = |file: &mut Use| {
            file.messages = file.messages.checked_add_signed(by).expect("what leaves has entered");
            file.since = lsn;
        };
        let (pack, big) = match message.location {
            Location::Pack { pack, .. } => (pack, false),
            Location::Big { pack, .. } => (pack, true),
        };
        self.newest = self.newest.max(pack);
        count(self.packs.entry(pack).or_default());
        if big {
            count(self.bigs.entry(message.email_id).or_default());
        }
    }

    fn follow(&mut self, lsn: Lsn, operation: &Operation) -> Vec<QueueEvent> {
        let mut events = Vec::new();
        let changes = match operation {
            Operation::Place(place) => {
                for queued in &place.queued {
                    let mut one = crate::store::queue::Queue::default();
                    one.enter(place, queued);
                    let message = one.get(queued.id).cloned().map(Arc::new).expect("it has just entered");
                    self.count(lsn, &message, 1);
                    self.published.insert(queued.id, message.clone());
                    events.push(QueueEvent::Entered(message));
                }
                &place.changes
            }
            Operation::ChangeQueue(changes) => changes,
            Operation::Account(_)
            | Operation::Flag(_)
            | Operation::Expunge(_)
            | Operation::Tree(_)
            | Operation::Transfer(_) => return events,
        };
        for change in changes {
            let Some(message) = self.published.get_mut(&change.id) else {
                continue;
            };
            if Arc::make_mut(message).change(change) {
                let message = self.published.remove(&change.id).expect("it was just found");
                self.count(lsn, &message, -1);
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

/// The large bodies that a request has put into the queue's account.
pub(super) fn big_names(request: &Request) -> Vec<EmailId> {
    match request {
        Request::Place { body, queued, .. } if body.bytes == BodyBytes::Big => {
            let names = queued.iter().map(|one| layout::queued_id(&one.message, &body.hash));
            names.collect()
        }
        Request::Place { .. }
        | Request::CreateAccount { .. }
        | Request::SetFlags { .. }
        | Request::Expunge { .. }
        | Request::ChangeQueue(_)
        | Request::Queue
        | Request::Mailboxes(_)
        | Request::Select { .. }
        | Request::Changes { .. }
        | Request::Tree { .. }
        | Request::Transfer { .. }
        | Request::Unwatch { .. } => Vec::new(),
    }
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
    /// Those changes whose rows are there and not over, nor ended by a change before them.
    pub(super) fn concerned(&self, changes: Vec<RowChange>) -> Vec<RowChange> {
        let Some(entry) = self.accounts.get(&QUEUE) else {
            return Vec::new();
        };
        let queue = &entry.account.queue;
        let mut over: BTreeSet<(QueueId, u32)> = BTreeSet::new();
        let concerns = |change: &RowChange| {
            let row = (change.id, change.recipient);
            let concerns = queue.concerns(change) && !over.contains(&row);
            if concerns && change.state.is_over() {
                over.insert(row);
            }
            concerns
        };
        changes.into_iter().filter(concerns).collect()
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
        let entry = self.accounts.get_mut(&QUEUE).expect("it is made before the store is ready");
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
        for change in operation.row_changes() {
            if !self.queue.published.contains_key(&change.id) {
                self.spare(change.id);
            }
        }
    }

    /// What the start found: rows, and the files that are there for them.
    pub(super) fn recover_queue(&mut self, files: QueueFiles) {
        if let Some(entry) = self.accounts.get(&QUEUE) {
            let messages = entry.account.queue.messages();
            let messages: Vec<_> = messages.map(|message| Arc::new(message.clone())).collect();
            self.queue.newest = entry.account.pack.pack;
            for message in messages {
                self.queue.count(Lsn(0), &message, 1);
                self.queue.published.insert(message.id, message);
            }
        }
        // What nobody needs goes with the start's checkpoint.
        for pack in files.packs {
            self.queue.packs.entry(pack).or_default();
        }
        for email in files.big {
            self.queue.bigs.entry(email).or_default();
        }
    }

    /// Tells what is queued, before anything else may happen to it.
    pub(super) fn tell_queue(&mut self) {
        let messages = self.queue.published.values().cloned();
        self.outbox
            .extend(messages.map(|message| Ask::Queue(QueueEvent::Entered(message))));
    }

    pub(super) fn wrote_queue_pack(&mut self, pack: u32) {
        self.queue.packs.entry(pack).or_default();
    }

    /// After a checkpoint: removes packs of the queue that are sealed and hold no open message, and the files of large bodies that
    /// no open message has, if it covers the record that made it so. An open message pins its whole pack.
    pub(super) fn free_queue_space(&mut self, covered: Lsn) {
        let done = |file: &Use| file.messages == 0 && file.since <= covered;
        let queue = &mut self.queue;
        let packs = queue.packs.extract_if(..queue.newest, |_, file| done(file));
        let mut gone: Vec<_> = packs.map(|(pack, _)| layout::pack(QUEUE, pack)).collect();
        let bigs = queue.bigs.extract_if(.., |_, file| done(file));
        gone.extend(bigs.map(|(email, _)| layout::big(QUEUE, email)));
        for path in gone {
            self.disk(Lane::Settle, DiskOp::Unlink(path), Pending::Unlink);
        }
    }

    /// Large bodies whose request was not done: no record names them, and none will, so they go at once.
    pub(super) fn abandon(&mut self, bigs: Vec<EmailId>) {
        for email in bigs {
            if !self.queue.bigs.contains_key(&email) {
                self.disk(Lane::Settle, DiskOp::Unlink(layout::big(QUEUE, email)), Pending::Unlink);
            }
        }
    }

    /// The durable queue.
    pub(super) fn queued(&self) -> Vec<Arc<QueuedMessage>> {
        self.queue.published.values().cloned().collect()
    }
}
