//! What an IMAP server session asks of its host, what it is answered, and what it may be told.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::imap::search::{Candidate, Program};
use crate::machine::Slot;
use crate::message::digest::Digest;
use crate::sasl::{Proof, ProofVerdict, ScramSalt};
use crate::secret::Secret;
use crate::smtp::server::ask::{PasswordVerdict, SinkOpened, TlsOutcome};
use crate::store::request::{FlagChange, ListedMailbox, Refused, Selected};
use crate::store::tree::{Transferred, TreeDone};
use crate::store::version::{Changes, Row};
use crate::store::{AccountId, Flags, Lsn, MailboxKey, MailboxName, SpecialUse, Uid};
use crate::time::UnixTime;

/// What the session needs. The host fills in its own number as `origin` and `watch`.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// Effect: run the TLS handshake. Given only with nothing to send and `read` false.
    StartTls {
        /// For the outcome.
        then: Slot<TlsOutcome>,
    },
    /// Query: is this the password?
    VerifyPassword {
        /// As the client wrote it.
        login: String,
        /// The password.
        password: Secret,
        /// For the verdict.
        then: Slot<PasswordVerdict>,
    },
    /// Query: the salt of a login's SCRAM keys; of nobody's too.
    ScramSalt {
        /// As the client wrote it.
        login: String,
        /// For the salt.
        then: Slot<ScramSalt>,
    },
    /// Query: is this proof made with the login's keys?
    ScramProof {
        /// As the client wrote it.
        login: String,
        /// What was signed.
        message: String,
        /// The proof.
        proof: Proof,
        /// For the verdict.
        then: Slot<ProofVerdict>,
    },
    /// Query: the account's mailboxes.
    Mailboxes {
        /// Whose.
        account: AccountId,
        /// For the list.
        then: Slot<MailboxList>,
    },
    /// Query: open a mailbox; with `watch`, changes are told from this version on by [`Notice::Changed`].
    Select {
        /// Whose.
        account: AccountId,
        /// Which.
        name: MailboxName,
        /// SELECT and EXAMINE; STATUS and APPEND look without watching.
        watch: bool,
        /// Takes the `\Recent` messages: SELECT only.
        take_recent: bool,
        /// For the mailbox.
        then: Slot<Opened>,
    },
    /// The watch on this mailbox ends. No answer.
    Unwatch {
        /// Which.
        mailbox: MailboxKey,
    },
    /// Query: what has changed since this record.
    Changes {
        /// Where.
        mailbox: MailboxKey,
        /// The last record seen.
        since: Lsn,
        /// Takes the `\Recent` messages.
        take_recent: bool,
        /// For the changes.
        then: Slot<Pulled>,
    },
    /// Query: the digests of these messages, in this order.
    Digests {
        /// Where.
        mailbox: MailboxKey,
        /// Which: at most [`crate::limits::RUN_PARTS`].
        rows: Vec<Row>,
        /// For the digests.
        then: Slot<Digests>,
    },
    /// Query: open a run of body ranges; they then come as `Input::Body`, one behind the other, without borders. At most
    /// [`crate::limits::RUN_PARTS`] and [`crate::limits::RUN_BYTES`], unless one range alone is larger. A run ends when all its
    /// octets have come, or with `Body(Err(_))`.
    OpenBodies {
        /// Where.
        mailbox: MailboxKey,
        /// The ranges.
        parts: Vec<BodyRange>,
        /// For the outcome.
        then: Slot<BodiesOpened>,
    },
    /// Query: which of these messages fit? At most [`crate::limits::RUN_PARTS`] and [`crate::limits::SEARCH_RUN`] octets, unless
    /// one message alone is larger; none: others may run before the session goes on. A message that cannot be read does not fit.
    Match {
        /// Where.
        mailbox: MailboxKey,
        /// What they have to fit.
        program: Arc<Program>,
        /// Which: those that cannot be judged by their rows.
        candidates: Vec<Candidate>,
        /// For the outcome.
        then: Slot<Matched>,
    },
    /// Effect: change flags.
    SetFlags {
        /// Where.
        mailbox: MailboxKey,
        /// Which, ascending.
        uids: Arc<[Uid]>,
        /// How.
        change: FlagChange,
        /// For the outcome.
        then: Slot<FlagsSet>,
    },
    /// Effect: remove messages with `\Deleted`.
    Expunge {
        /// Where.
        mailbox: MailboxKey,
        /// Only these.
        uids: Option<Arc<[Uid]>>,
        /// For the outcome.
        then: Slot<ExpungeDone>,
    },
    /// Query: open a sink for APPEND's message. A sink that is dropped uncommitted leaves nothing.
    OpenMessage {
        /// The literal's size.
        size: u64,
        /// For the outcome.
        then: Slot<SinkOpened>,
    },
    /// Drop the open sink. No answer.
    DropMessage,
    /// Effect: commit what the open sink holds.
    CommitAppend {
        /// Where to.
        mailbox: MailboxKey,
        /// First system flags.
        flags: Flags,
        /// First keywords.
        keywords: Vec<Arc<str>>,
        /// INTERNALDATE.
        internal_date: UnixTime,
        /// For the outcome.
        then: Slot<AppendDone>,
    },
    /// Effect: change the tree of mailboxes.
    ChangeTree {
        /// Whose.
        account: AccountId,
        /// How.
        wish: TreeWish,
        /// For the outcome.
        then: Slot<TreeChanged>,
    },
    /// Effect: copy or move messages, all or none.
    Transfer {
        /// From here.
        from: MailboxKey,
        /// Into this mailbox of the account.
        to: MailboxName,
        /// Which, ascending.
        uids: Arc<[Uid]>,
        /// Refused when one of them is gone.
        strict: bool,
        /// They leave the source.
        moves: bool,
        /// For the outcome.
        then: Slot<TransferDone>,
    },
}

/// A change of the tree of mailboxes; the host gives new mailboxes their random ids.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeWish {
    /// CREATE.
    Create {
        /// Its name.
        name: MailboxName,
        /// What it is for.
        special_use: Option<SpecialUse>,
    },
    /// DELETE.
    Delete(MailboxName),
    /// RENAME.
    Rename {
        /// From here.
        from: MailboxName,
        /// To there.
        to: MailboxName,
    },
    /// SUBSCRIBE.
    Subscribe(MailboxName),
    /// UNSUBSCRIBE.
    Unsubscribe(MailboxName),
}

/// A range of a message's octets (prefix and body are one).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BodyRange {
    /// Of which message.
    pub row: Row,
    /// First octet.
    pub start: u64,
    /// Octets; not beyond the message's size.
    pub len: u64,
}

/// What the host says unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// There is more in a watched mailbox (level-triggered: the newest is enough).
    Changed {
        /// Which.
        mailbox: MailboxKey,
        /// Its newest record.
        lsn: Lsn,
    },
    /// The server stops: BYE at the next command boundary.
    Shutdown,
    /// Memory or connections run out: BYE at once.
    Shed,
}

/// The account's mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MailboxList(pub Result<Arc<[ListedMailbox]>, Refused>);

/// The opened mailbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Opened(pub Result<Selected, Refused>);

/// What has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pulled(pub Result<PulledChanges, Refused>);

/// Changes, and where `\Recent` begins for them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PulledChanges {
    /// The changes and the newest version.
    pub changes: Changes,
    /// UIDs from here on are `\Recent` for this session, if it took them.
    pub recent_from: Uid,
}

/// Digests in the order asked; `None`: the message cannot be read (`NO [CONTACTADMIN]`) or is gone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digests(pub Vec<Option<Arc<Digest>>>);

/// Whether the run is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodiesOpened {
    /// Its octets come when `Wait.body` is set.
    Ready,
    /// It cannot be opened: NO.
    Failed(crate::machine::BodyError),
}

/// Whether each message fits, in the order asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Matched(pub Vec<bool>);

/// What became of STORE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagsSet(pub Result<FlagsSetAt, Refused>);

/// STORE's record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlagsSetAt {
    /// Apply changes up to here before the tagged reply.
    pub lsn: Lsn,
    /// Not changed because of UNCHANGEDSINCE.
    pub modified: Vec<Uid>,
}

/// What became of EXPUNGE: apply changes up to this record before the tagged reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpungeDone(pub Result<Lsn, Refused>);

/// What became of APPEND.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AppendDone(pub Result<Appended, Refused>);

/// APPEND's record and APPENDUID.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Appended {
    /// Apply changes up to here before the tagged reply, if the mailbox is the selected one.
    pub lsn: Lsn,
    /// UIDVALIDITY.
    pub uid_validity: u32,
    /// The new message's UID.
    pub uid: Uid,
}

/// What became of a change of the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChanged(pub Result<TreeDone, Refused>);

/// What became of COPY or MOVE.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferDone(pub Result<Transferred, Refused>);

crate::answers! {
    /// The sum of all answers.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Value {
        /// To `StartTls`.
        Tls(TlsOutcome),
        /// To `VerifyPassword`.
        Password(PasswordVerdict),
        /// To `ScramSalt`.
        Salt(ScramSalt),
        /// To `ScramProof`.
        Proof(ProofVerdict),
        /// To `Mailboxes`.
        Mailboxes(MailboxList),
        /// To `Select`.
        Opened(Opened),
        /// To `Changes`.
        Pulled(Pulled),
        /// To `Digests`.
        Digests(Digests),
        /// To `OpenBodies`.
        Bodies(BodiesOpened),
        /// To `Match`.
        Matched(Matched),
        /// To `SetFlags`.
        Flags(FlagsSet),
        /// To `Expunge`.
        Expunged(ExpungeDone),
        /// To `OpenMessage`.
        Sink(SinkOpened),
        /// To `CommitAppend`.
        Appended(AppendDone),
        /// To `ChangeTree`.
        Tree(TreeChanged),
        /// To `Transfer`.
        Transferred(TransferDone),
    }
}

/// One listener's settings for its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our name in the greeting.
    pub hostname: String,
    /// Offer STARTTLS.
    pub starttls: bool,
    /// This peer may log in without TLS (`plaintext_auth`).
    pub plaintext_auth: bool,
    /// Offer SCRAM: every account has keys for it.
    pub scram: bool,
    /// Largest message in octets.
    pub message_max: u64,
}
