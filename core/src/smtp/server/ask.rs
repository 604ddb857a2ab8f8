//! What an SMTP server session asks of its host, what it is answered, and what it may be told.

use alloc::string::String;
use alloc::vec::Vec;

use crate::address::ReversePath;
use crate::machine::Slot;
use crate::policy::access::{AuthorMatter, AuthorVerdict, Login, RecipientMatter, RecipientVerdict};
use crate::sasl::{Proof, ProofVerdict, ScramSalt};
use crate::secret::Secret;
use crate::store::AccountId;
use crate::store::queue::{QueuedRecipient, Wishes};
use crate::time::UnixTime;

/// What the session needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// Effect: run the TLS handshake on the stream. Given only with nothing to send and `read` false.
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
    /// Query: decide about a recipient (decision `access`).
    ResolveRecipient {
        /// What to decide about.
        matter: RecipientMatter,
        /// For the verdict.
        then: Slot<RecipientVerdict>,
    },
    /// Query: decide about a submission's author fields (decision `access`).
    JudgeAuthor {
        /// What to decide about.
        matter: AuthorMatter,
        /// For the verdict.
        then: Slot<AuthorVerdict>,
    },
    /// Query: open a sink for the message that follows. A sink that is dropped uncommitted leaves nothing.
    OpenMessage {
        /// SIZE as declared; 0 when it was not.
        size: u64,
        /// For the outcome.
        then: Slot<SinkOpened>,
    },
    /// Drop the open sink with all that was written to it. No answer.
    DropMessage,
    /// Effect: commit what the open sink holds to every account and to the queue, all or none. The host builds nothing: trace
    /// fields are here.
    CommitMessage {
        /// The message.
        message: Incoming,
        /// For the outcome.
        then: Slot<Committed>,
    },
}

/// A message ready to be committed; its bytes are in the open sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Incoming {
    /// The one id of this message from first byte to `\Seen`: 17 characters, time-sortable, the last word of the `250`.
    pub id: String,
    /// Who sent it.
    pub reverse_path: ReversePath,
    /// The account that handed it in; `None`: it came from outside.
    pub submitter: Option<AccountId>,
    /// Whether a failure may be reported to the reverse path (`rules.md`, "What is reported, and to whom").
    pub reportable: bool,
    /// What the sender wishes for all of it.
    pub wishes: Wishes,
    /// Copies for accounts of ours.
    pub local: Vec<LocalDelivery>,
    /// Copies for other servers.
    pub remote: Vec<QueuedRecipient>,
    /// Recipients for whom all is done by this commit, and whose sender wishes to hear so: rows of the queue for the report alone
    /// ([`crate::store::queue::Task`]). Empty when there is no reverse path.
    pub told: Vec<QueuedRecipient>,
    /// The trace field in front of what other servers get (Received), whole lines; empty when nothing enters the queue.
    pub remote_prefix: Vec<u8>,
    /// When it was received.
    pub received: UnixTime,
    /// Octets in the sink.
    pub size: u64,
}

/// One copy for an account of ours.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalDelivery {
    /// Whose INBOX.
    pub account: AccountId,
    /// The final address, with what the sender wishes for it.
    pub recipient: QueuedRecipient,
    /// Trace fields in front of the body (Return-Path, Delivered-To, Received), whole lines.
    pub prefix: Vec<u8>,
}

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
        /// To `ResolveRecipient`.
        Recipient(RecipientVerdict),
        /// To `JudgeAuthor`.
        Author(AuthorVerdict),
        /// To `OpenMessage`.
        Sink(SinkOpened),
        /// To `CommitMessage`.
        Committed(Committed),
    }
}

/// What the host says unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// The server stops: 421 at the next command boundary, never between a final dot and its reply.
    Shutdown,
    /// Memory or connections run out: 421 at once, unless a message is being committed.
    Shed,
}

/// How the TLS handshake ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsOutcome {
    /// The stream is encrypted now.
    Secure(TlsEvidence),
    /// It failed; the connection is useless.
    Failed,
}

impl<E> From<Result<TlsEvidence, E>> for TlsOutcome {
    fn from(handshake: Result<TlsEvidence, E>) -> TlsOutcome {
        handshake.map_or(TlsOutcome::Failed, TlsOutcome::Secure)
    }
}

/// What is known of a TLS session (for `Received` and for channel binding).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsEvidence {
    /// `TLSv1.3`.
    pub version: String,
    /// `TLS_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// Key bits of the cipher: 128 or 256.
    pub bits: u32,
}

/// Whether a login may enter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PasswordVerdict {
    /// Yes, as this account.
    Granted(Login),
    /// No such account, or not its password: the same answer for both (S21).
    Denied,
    /// It cannot be checked now (too many at once): 454 4.7.0, `NO [UNAVAILABLE]`.
    Busy,
}

/// Whether a message can be taken in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SinkOpened {
    /// Write.
    Ready,
    /// The disk is nearly full: 452 4.3.1.
    Full,
    /// Cannot be taken now: 451 4.3.0.
    Failed,
}

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// Durable: 250.
    Done,
    /// The disk is full: 452 4.3.1; nothing was kept.
    Full,
    /// It failed: 451 4.3.0; nothing was kept.
    Failed,
}

/// Whom a session speaks with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// The peer's address, as a PROXY header gave it where one is believed.
    pub ip: core::net::IpAddr,
    /// Its port.
    pub port: u16,
}

/// One listener's settings for its sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Our name in greeting, EHLO and Received.
    pub hostname: String,
    /// A submission listener (587, 465), or one for relay (25).
    pub submission: bool,
    /// Offer STARTTLS.
    pub starttls: bool,
    /// This peer may log in without TLS (`plaintext_auth`).
    pub plaintext_auth: bool,
    /// Offer SCRAM: every account has keys for it.
    pub scram: bool,
    /// Largest message in octets (SIZE).
    pub message_max: u64,
}
