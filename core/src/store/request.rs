//! What sessions ask of the committer, and what it answers. Everything here passes through the one committer, so every session
//! sees one order.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::queue::{Enqueue, QueueId, QueuedMessage, RowChange};
use super::tree::{Transferred, TreeDone, TreeRequest};
use super::version::{Changes, Version};
use super::{AccountId, Flags, Location, Lsn, MailboxId, MailboxKey, MailboxName, ModSeq, SpecialUse, Uid};
use crate::time::UnixTime;

/// A request with the ticket that its reply carries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Submission {
    /// Chosen by the host, unique among the open ones.
    pub ticket: u64,
    /// What is wanted.
    pub request: Request,
}

/// What the committer does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Request {
    /// Effect: makes an account with its first mailboxes, unless it exists. -> `Done`
    CreateAccount {
        /// Its id.
        account: AccountId,
        /// Its mailboxes: random ids, names, uses. INBOX first.
        mailboxes: Vec<NewMailbox>,
        /// Their UIDVALIDITY (seconds since 1970).
        uid_validity: u32,
    },
    /// Effect: one message into mailboxes, into the queue, or both, all or none. -> `Placed`
    Place {
        /// The body as received.
        body: Body,
        /// Which mailboxes.
        placements: Vec<Placement>,
        /// What of it enters the queue; at most 255.
        queued: Vec<Enqueue>,
        /// Rows of the queue that change with it (a report and the failure that it reports). With any, the message is taken even
        /// when the disk is too full for new mail. Changes that come too late are skipped, as by `ChangeQueue`; when all of them
        /// do, there is nothing to report: nothing is done, and `placed` and `queued` are empty.
        changes: Vec<RowChange>,
        /// Who asks (a session's number; 0 = none).
        origin: u64,
    },
    /// Effect: changes flags. -> `Flagged`
    SetFlags {
        /// Where.
        mailbox: MailboxKey,
        /// Which: ascending.
        uids: Arc<[Uid]>,
        /// How.
        change: FlagChange,
        /// Only rows whose MODSEQ is not above this (RFC 7162 §3.1.3).
        unchanged_since: Option<ModSeq>,
        /// Who asks.
        origin: u64,
    },
    /// Effect: removes messages that have `\Deleted`. -> `Expunged`
    Expunge {
        /// Where.
        mailbox: MailboxKey,
        /// Only these (UID EXPUNGE); `None`: all.
        uids: Option<Arc<[Uid]>>,
        /// Who asks.
        origin: u64,
    },
    /// Effect: changes rows of the queue; those that are over, or are not there, stay as they are. -> `Done`
    ChangeQueue(Vec<RowChange>),
    /// Query: every message with a row that is not over, by age. -> `Queue`
    Queue,
    /// Query: the account's mailboxes. -> `Mailboxes`
    Mailboxes(AccountId),
    /// Query: opens a mailbox and, in the same step, watches it from this version on. -> `Selected`
    Select {
        /// Whose.
        account: AccountId,
        /// Which.
        name: MailboxName,
        /// Whom to tell; the host's number of the session. `None`: no watch.
        watch: Option<u64>,
        /// Takes the `\Recent` messages (SELECT, not EXAMINE).
        take_recent: bool,
    },
    /// Query: what has changed since. -> `Changes`
    Changes {
        /// Where.
        mailbox: MailboxKey,
        /// The last record seen.
        since: Lsn,
        /// Takes the `\Recent` messages.
        take_recent: bool,
    },
    /// Ends a watch. -> `Done`
    Unwatch {
        /// Where.
        mailbox: MailboxKey,
        /// Whose.
        watch: u64,
    },
    /// Effect: changes the tree of mailboxes. -> `Tree`
    Tree {
        /// Whose.
        account: AccountId,
        /// How.
        change: TreeRequest,
        /// Now: UIDVALIDITY and SAVEDATE come from it.
        at: UnixTime,
        /// Who asks.
        origin: u64,
    },
    /// Effect: copies or moves messages within an account, all or none. -> `Transferred`
    Transfer {
        /// From here.
        from: MailboxKey,
        /// Into this mailbox of the account.
        to: MailboxName,
        /// Which, ascending.
        uids: Arc<[Uid]>,
        /// Refused when one of them is gone; else those that are there go.
        strict: bool,
        /// They leave the source.
        moves: bool,
        /// SAVEDATE.
        at: UnixTime,
        /// Who asks.
        origin: u64,
    },
}

/// A mailbox to be made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewMailbox {
    /// Its id.
    pub mailbox: MailboxId,
    /// Its name.
    pub name: MailboxName,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
}

/// A message's body, ready to be committed: encoded and hashed by the session that brought it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Body {
    /// Octets.
    pub len: u64,
    /// CRC-32C of all of it.
    pub crc: u32,
    /// BLAKE3 of all of it.
    pub hash: [u8; 32],
    /// Where it is now.
    pub bytes: BodyBytes,
}

/// Where a body is while it is being committed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BodyBytes {
    /// In memory: rides in the journal record.
    Inline(Arc<[u8]>),
    /// Already durable as `big/<dd>/<email id>.eml` of every account of the placements.
    Big,
}

/// One mailbox that a message goes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Whose.
    pub account: AccountId,
    /// Which mailbox.
    pub mailbox: Where,
    /// Bytes in front of the body: our trace fields, whole lines. At most 65 535.
    pub prefix: Arc<[u8]>,
    /// First flags.
    pub flags: Flags,
    /// First keywords.
    pub keywords: Vec<Arc<str>>,
    /// INTERNALDATE.
    pub internal_date: UnixTime,
    /// SAVEDATE.
    pub save_date: UnixTime,
}

/// A mailbox by use or by id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Where {
    /// The account's INBOX.
    Inbox,
    /// This one.
    Mailbox(MailboxId),
}

/// How flags change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagChange {
    /// Add, remove or replace.
    pub how: FlagHow,
    /// System flags.
    pub flags: Flags,
    /// Keywords, as written.
    pub keywords: Vec<Arc<str>>,
}

/// The three forms of STORE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FlagHow {
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
    /// `FLAGS`.
    Replace,
}

/// The committer's answer. Replies to effects come only when their record is durable and published.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reply {
    /// Done, nothing to tell.
    Done,
    /// Where the message now is, one for each placement.
    Placed {
        /// The record.
        lsn: Lsn,
        /// In the order of the placements.
        placed: Vec<Placed>,
        /// In the order of what was to be queued.
        queued: Vec<QueueId>,
    },
    /// Flags are changed.
    Flagged {
        /// The record (or the newest, when nothing changed).
        lsn: Lsn,
        /// Those not changed because of `unchanged_since`.
        modified: Vec<Uid>,
    },
    /// Messages are gone.
    Expunged {
        /// The record (or the newest, when there were none).
        lsn: Lsn,
    },
    /// What is queued.
    Queue(Vec<Arc<QueuedMessage>>),
    /// The account's mailboxes, by name.
    Mailboxes(Arc<[ListedMailbox]>),
    /// The opened mailbox.
    Selected(Selected),
    /// What has changed.
    Changed {
        /// The changes and the newest version.
        changes: Changes,
        /// UIDs from here on are `\Recent` for the asker, if it took them.
        recent_from: Uid,
    },
    /// Not done, and nothing of it was done.
    Refused(Refused),
    /// The tree is changed.
    Tree(TreeDone),
    /// Messages are copied or moved.
    Transferred(Transferred),
}

/// A message's place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// The mailbox.
    pub mailbox: MailboxKey,
    /// Its UIDVALIDITY.
    pub uid_validity: u32,
    /// Its UID there.
    pub uid: Uid,
    /// Where its bytes are.
    pub location: Location,
}

/// A mailbox in a list, or a name that is only subscribed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListedMailbox {
    /// Its id; `None`: there is a subscription, but no mailbox.
    pub mailbox: Option<MailboxId>,
    /// Its name.
    pub name: MailboxName,
    /// What it is for.
    pub special_use: Option<SpecialUse>,
    /// Whether it is subscribed.
    pub subscribed: bool,
}

/// An opened mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selected {
    /// Its key.
    pub mailbox: MailboxKey,
    /// As it is now; the watch tells of everything later.
    pub version: Arc<Version>,
    /// UIDs from here on are `\Recent` for this session, if it took them; else those that would be.
    pub recent_from: Uid,
}

/// Why a request was refused before anything was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// No such account or mailbox.
    NoSuchMailbox,
    /// The disk is (nearly) full: `452 4.3.1`, `NO [LIMIT]`.
    DiskFull,
    /// Over a limit; the text says which.
    Limit(String),
    /// The store is stopping.
    Stopping,
    /// There is a mailbox of this name.
    AlreadyExists,
    /// It can never be done; the text says why.
    Cannot(String),
    /// A name that is no mailbox has names below it (DELETE).
    HasChildren,
    /// Another mailbox has this use already, and there is one of each (`rules.md`).
    UseTaken,
    /// The destination of COPY or MOVE is not there.
    NoDestination,
    /// Some of the messages are gone.
    Expunged,
}
