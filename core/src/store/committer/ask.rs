//! What the committer asks of its host and is told by it.

use alloc::string::String;
use alloc::sync::Arc;

use crate::machine::Slot;
use crate::store::disk::{DiskDone, DiskOp};
use crate::store::queue::{QueuedMessage, RowChange};
use crate::store::request::{Reply, Submission};
use crate::store::{AccountId, Lsn, MailboxKey};

/// What the committer needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// Effect: one disk operation. Operations of one lane are performed in the order asked; lanes run side by side.
    Disk {
        /// Its lane.
        lane: Lane,
        /// What to do.
        op: DiskOp,
        /// For the outcome.
        then: Slot<DiskReply>,
    },
    /// Recovery is done: sessions may start. Given once. No answer.
    Ready(Recovered),
    /// The reply to a submission. No answer.
    Reply {
        /// The submission's ticket.
        ticket: u64,
        /// The reply.
        reply: Reply,
    },
    /// Tell a watcher that its mailbox has changed. No answer.
    Notify {
        /// The watcher.
        watch: u64,
        /// The mailbox.
        mailbox: MailboxKey,
        /// Its newest record.
        lsn: Lsn,
    },
    /// Keep these bytes and serve reads of this place from them until `Release`: they are durable in the journal but may not
    /// be in the pack yet. Given before the message is published. No answer.
    Hold {
        /// Whose pack.
        account: AccountId,
        /// Which pack.
        pack: u32,
        /// Where the prefix begins in it.
        offset: u64,
        /// Our trace fields.
        prefix: Arc<[u8]>,
        /// The body (empty when it is a big file).
        body: Arc<[u8]>,
    },
    /// The pack holds it now. No answer.
    Release {
        /// Whose pack.
        account: AccountId,
        /// Which pack.
        pack: u32,
        /// Where the prefix begins in it.
        offset: u64,
    },
    /// Something durable has happened to the queue; in the order of records. What is queued at the start is told before `Ready`.
    /// No answer.
    Queue(QueueEvent),
    /// Fail-stop: the process ends at once with exit code 70. No reply that has not been given may be given. No answer.
    Stop(String),
}

/// What has happened to the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum QueueEvent {
    /// A message is in the queue.
    Entered(Arc<QueuedMessage>),
    /// A row has changed. A message leaves with its last open row.
    Changed(RowChange),
}

/// The order in which disk operations are performed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Lane {
    /// The journal ring: a thread of its own.
    Ring,
    /// Packs and index logs of accounts; not awaited by any reply.
    Settle,
    /// Checkpoints.
    Checkpoint,
}

/// What recovery found, for the log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recovered {
    /// Records replayed.
    pub records: u64,
    /// Whole records of a torn batch that were ignored: none of it was acknowledged.
    pub torn_records: u64,
    /// Messages known.
    pub messages: u64,
}

/// The outcome of a disk operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiskReply(pub DiskDone);

crate::answers! {
    /// The sum of all answers.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Value {
        /// To `Disk`.
        Disk(DiskReply),
    }
}

/// What the host says unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A session's request.
    Submit(Submission),
    /// Stop cleanly: finish what is open, checkpoint, then `Close`.
    Shutdown,
}
