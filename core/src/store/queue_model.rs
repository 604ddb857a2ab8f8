//! The model of the queue: its open messages, and what lies on the disk for them.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::operation::Operation;
use super::queue::{QueueId, QueuedMessage, RowChange};
use super::{EmailId, Location, Lsn};

/// The queue; empty in every account but [`super::queue::QUEUE`].
#[derive(Debug, Clone, Default)]
pub struct Queue {
    /// All messages with a row that is not over, with every change that has been accepted.
    messages: BTreeMap<QueueId, Arc<QueuedMessage>>,
    /// The same, as it is committed.
    published: BTreeMap<QueueId, Arc<QueuedMessage>>,
    /// Packs that hold a message, or held one in this process's life.
    packs: BTreeMap<u32, Use>,
    /// The same of the files of large bodies.
    bigs: BTreeMap<EmailId, Use>,
}

/// How a file is used.
#[derive(Debug, Clone, Copy, Default)]
struct Use {
    /// Messages that need it.
    messages: u32,
    /// The last record that changed their number.
    since: Lsn,
}

impl Queue {
    /// A queue as a snapshot has it.
    pub fn from_messages(lsn: Lsn, messages: Vec<Arc<QueuedMessage>>) -> Queue {
        let mut queue = Queue::default();
        for message in messages {
            queue.enter(lsn, message);
        }
        queue
    }

    /// Applies what an operation says of the queue.
    pub fn apply(&mut self, lsn: Lsn, operation: &Operation) {
        if let Operation::Place(place) = operation {
            for queued in &place.queued {
                self.enter(lsn, Arc::new(QueuedMessage::new(place, queued)));
            }
        }
        for change in operation.row_changes() {
            self.change(lsn, change);
        }
    }

    fn enter(&mut self, lsn: Lsn, message: Arc<QueuedMessage>) {
        self.count(lsn, &message, 1);
        self.messages.insert(message.id, message);
    }

    fn change(&mut self, lsn: Lsn, change: &RowChange) {
        let Some(message) = self.messages.get_mut(&change.id) else {
            return;
        };
        let changed = Arc::make_mut(message);
        changed.change(change);
        if changed.is_over() {
            let message = message.clone();
            self.messages.remove(&change.id);
            self.count(lsn, &message, -1);
        }
    }

    fn count(&mut self, lsn: Lsn, message: &QueuedMessage, by: i32) {
        let count = |file: &mut Use| {
            file.messages = file.messages.checked_add_signed(by).expect("what leaves has entered");
            file.since = lsn;
        };
        let (pack, big) = match message.location {
            Location::Pack { pack, .. } => (pack, false),
            Location::Big { pack, .. } => (pack, true),
        };
        count(self.packs.entry(pack).or_default());
        if big {
            count(self.bigs.entry(message.email_id).or_default());
        }
    }

    /// An open message, with every change that has been accepted.
    pub fn message(&self, id: QueueId) -> Option<&Arc<QueuedMessage>> {
        self.messages.get(&id)
    }

    /// All open messages, with every change that has been accepted.
    pub fn messages(&self) -> impl ExactSizeIterator<Item = &Arc<QueuedMessage>> {
        self.messages.values()
    }

    /// All open messages, as they are committed.
    pub fn published(&self) -> impl Iterator<Item = &Arc<QueuedMessage>> {
        self.published.values()
    }

    /// These messages are committed as they now are.
    pub fn publish(&mut self, ids: &BTreeSet<QueueId>) {
        for id in ids {
            match self.messages.get(id) {
                Some(message) => _ = self.published.insert(*id, message.clone()),
                None => _ = self.published.remove(id),
            }
        }
    }

    /// Everything is committed as it now is.
    pub fn publish_all(&mut self) {
        self.published = self.messages.clone();
    }

    /// Takes the packs before `current` and the large bodies that no message needs any more, if a checkpoint covers the record
    /// that made it so: before that, the record might be lost and the message needed again.
    pub fn take_unneeded(&mut self, current: u32, covered: Lsn) -> (Vec<u32>, Vec<EmailId>) {
        let done = |file: &Use| file.messages == 0 && file.since <= covered;
        let packs = self.packs.extract_if(..current, |_, file| done(file)).map(|(pack, _)| pack);
        let packs = packs.collect();
        let bigs = self.bigs.extract_if(.., |_, file| done(file)).map(|(email, _)| email);
        (packs, bigs.collect())
    }

    /// Whether a message lies in this pack.
    pub fn needs_pack(&self, pack: u32) -> bool {
        self.packs.get(&pack).is_some_and(|file| file.messages > 0)
    }

    /// Whether a message has this large body.
    pub fn needs_big(&self, email: EmailId) -> bool {
        self.bigs.get(&email).is_some_and(|file| file.messages > 0)
    }
}
