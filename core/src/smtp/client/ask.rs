//! What an SMTP client session asks of its host, and what it is answered.
//!
//! A session is one connection to one server. It greets, secures itself, logs in where it must, and then asks for transactions until
//! there is none; each is reported before the next one is asked for. A session that never came to ask for one says so
//! ([`Ask::Unusable`]): the host tries the next server.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::address::ReversePath;
use crate::machine::{BodyError, Slot};
use crate::secret::Secret;
use crate::smtp::server::ask::TlsEvidence;
use crate::store::queue::{QueueId, QueuedRecipient, Said, Wishes};

/// What the session needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// Effect: run the client's side of the TLS handshake on the stream. Given only with nothing to send and `read` false.
    StartTls {
        /// For the outcome.
        then: Slot<TlsOutcome>,
    },
    /// Effect: the next message for this server; asked only when it can be sent at once. What is handed out is reported, whatever
    /// happens to the connection.
    NextTransaction {
        /// For the message, or none: then QUIT.
        then: Slot<Next>,
    },
    /// Query: open the message's octets from `start` on (prefix ++ body are one); they come as `Input::Body`.
    OpenBody {
        /// Which message.
        id: QueueId,
        /// First octet.
        start: u64,
        /// How many: at most [`crate::limits::RUN_BYTES`].
        len: u64,
        /// For the outcome.
        then: Slot<BodyOpened>,
    },
    /// The server cannot be used: no transaction was or will be asked for. Said once, before the session closes. No answer.
    Unusable {
        /// Why. A refused login is 4yz whatever the server said: it is not the message's fault.
        said: Arc<Said>,
        /// Whether the server had greeted with 220: connections that fail earlier are cheap to try again elsewhere.
        greeted: bool,
    },
    /// Effect: what became of the transaction's recipients; QUIT and the next transaction wait for the answer.
    Report {
        /// Of which message.
        id: QueueId,
        /// One for each recipient of the transaction, in their order.
        results: Vec<Outcome>,
        /// When it is durable.
        then: Slot<Reported>,
    },
}

/// One message for one server: sender, some of its recipients, and how large it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transaction {
    /// Which message.
    pub id: QueueId,
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// What the sender wishes.
    pub wishes: Wishes,
    /// Who is to get it by this transaction: at most [`crate::limits::CLIENT_RECIPIENTS`].
    pub recipients: Vec<QueuedRecipient>,
    /// Octets of prefix and body.
    pub size: u64,
    /// A user of ours handed it in: it is re-encoded for a server without 8BITMIME (RFC 6152 §3). The mail of others is not.
    pub ours: bool,
}

/// What became of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// The server took the message for it.
    Relayed {
        /// Its reply to the message.
        said: Arc<Said>,
        /// Whether it knows DSN (RFC 3461): then it reports a success, else we say `relayed` (§5.2.2).
        dsn: bool,
    },
    /// Not now: 4yz, or the connection broke.
    Deferred(Arc<Said>),
    /// Never: 5yz, or the message cannot be sent to a server with so few extensions.
    Failed(Arc<Said>),
}

/// The next message, or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Next(pub Option<Arc<Transaction>>);

/// How the TLS handshake ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TlsOutcome {
    /// The stream is encrypted, and verified as far as [`TlsUse`] asks.
    Secure(TlsEvidence),
    /// It failed; the connection is useless. The text is for the log and the queue.
    Failed(Arc<str>),
}

impl From<Result<TlsEvidence, Arc<str>>> for TlsOutcome {
    fn from(handshake: Result<TlsEvidence, Arc<str>>) -> TlsOutcome {
        match handshake {
            Ok(evidence) => TlsOutcome::Secure(evidence),
            Err(why) => TlsOutcome::Failed(why),
        }
    }
}

/// Whether the octets can be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyOpened {
    /// They come when `Wait.body` is set.
    Ready,
    /// They cannot be read: the session closes **without** the final dot.
    Failed(BodyError),
}

/// The results are durable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported;

crate::answers! {
    /// The sum of all answers.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Value {
        /// To `StartTls`.
        Tls(TlsOutcome),
        /// To `NextTransaction`.
        Next(Next),
        /// To `OpenBody`.
        Body(BodyOpened),
        /// To `Report`.
        Reported(Reported),
    }
}

/// What the host says unasked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Our own server stops: finish the open transaction, then QUIT; ask for no other.
    Shutdown,
}

/// One connection's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What we call ourselves in EHLO.
    pub hostname: String,
    /// The server, for [`Said::by`] and logs: `mx.example.org`.
    pub server: Arc<str>,
    /// Whether and how TLS is used.
    pub tls: TlsUse,
    /// To log in with (smarthost); needs TLS.
    pub login: Option<Credentials>,
}

/// Whether and how TLS is used. What is verified is the host's matter; the session only knows whether it may go on without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TlsUse {
    /// The stream is encrypted from its first byte (465).
    Implicit,
    /// STARTTLS where it is offered; plain text where it is not. When the handshake fails the host connects again with `Never`.
    Opportunistic,
    /// STARTTLS or nothing: without it every recipient is deferred.
    Required,
    /// Plain text.
    Never,
}

/// A user name and its password.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: Secret,
}
