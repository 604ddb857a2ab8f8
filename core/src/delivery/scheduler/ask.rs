//! What the scheduler asks of its host and is told by it.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::address::{Domain, Mailbox};
use crate::delivery::Plan;
use crate::delivery::dsn::ReportOrder;
use crate::delivery::retry::RetrySettings;
use crate::delivery::route::{Route, RouteSettings};
use crate::machine::Slot;
use crate::smtp::client::ask::{Outcome, Transaction};
use crate::store::queue::{QueueId, QueuedMessage, RowChange, Said};

/// What the scheduler needs.
#[derive(Debug, PartialEq, Eq)]
pub enum Ask {
    /// Query: the decision `route` for this recipient, by the settings that the scheduler was given last.
    Route {
        /// For which connection.
        connection: u64,
        /// The recipient; what is decided goes for all of its destination.
        recipient: Mailbox,
        /// Makes the order among equal servers.
        seed: u64,
        /// For the verdict.
        then: Slot<Routed>,
    },
    /// Effect: connect to the first of these servers that can be used, and run a client session there. No answer; what becomes of
    /// it comes as notices: `Wants` and `Result` in turn, at last `Ended` or `Unusable`.
    Connect {
        /// The connection.
        connection: u64,
        /// Where to.
        plan: Arc<Plan>,
    },
    /// Effect: what a connection gets for its `Wants`; nothing: QUIT. No answer.
    Hand {
        /// The connection.
        connection: u64,
        /// The message.
        handed: Option<Handed>,
    },
    /// Effect: makes changes of rows durable, and the report about them in the same record.
    Commit {
        /// What changes.
        commit: Commit,
        /// When it is durable, or refused.
        then: Slot<Committed>,
    },
    /// Effect: a connection's `Result` is settled; it may go on. No answer.
    Reported {
        /// The connection.
        connection: u64,
    },
    /// Effect: an operator's command has been carried out as far as it can be at once. No answer.
    Obeyed {
        /// The command's ticket.
        ticket: u64,
        /// How many rows it concerns.
        rows: u32,
    },
}

/// A message for a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Handed {
    /// To read it.
    pub message: Arc<QueuedMessage>,
    /// To send it.
    pub transaction: Arc<Transaction>,
}

/// Changes of one message's rows, with the report about them: one record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Commit {
    /// Of which message.
    pub message: Arc<QueuedMessage>,
    /// The changes, at most one a row.
    pub changes: Vec<RowChange>,
    /// The report.
    pub report: Option<ReportOrder>,
}

/// The route decision's outcome.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routed(pub Route);

/// What became of a commit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Committed {
    /// It is durable.
    Done,
    /// The store refused it, and nothing of it was done; it is tried again.
    Refused,
}

crate::answers! {
    /// The sum of all answers.
    #[derive(Debug, PartialEq, Eq)]
    pub enum Value {
        /// To `Route`.
        Routed(Routed),
        /// To `Commit`.
        Committed(Committed),
    }
}

/// What the host says unasked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Notice {
    /// A message is in the queue, durably: it has just entered, or was there when the server started. Once for each.
    Entered(Arc<QueuedMessage>),
    /// A connection can send a message at once.
    Wants {
        /// The connection.
        connection: u64,
    },
    /// What became of the message that a connection was handed.
    Result {
        /// The connection.
        connection: u64,
        /// One for each recipient of the transaction, in their order.
        results: Vec<Outcome>,
    },
    /// A connection has ended after it was used.
    Ended {
        /// The connection.
        connection: u64,
    },
    /// None of a plan's servers could be used: a failure of the destination, not of a recipient.
    Unusable {
        /// The connection.
        connection: u64,
        /// Why, of the last server tried.
        said: Arc<Said>,
    },
    /// An operator's command.
    Operate {
        /// For `Ask::Obeyed`.
        ticket: u64,
        /// What for.
        which: Which,
        /// What to do.
        what: Operation,
    },
    /// New settings.
    Settings(Arc<Settings>),
    /// The server stops: no new connections; end when the open ones have.
    Shutdown,
}

/// Which rows a command is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// A message, by its id in the store.
    Id(QueueId),
    /// A message, by its id for people.
    Message(Arc<str>),
    /// All recipients in a domain.
    Domain(Domain),
    /// All.
    All,
}

/// What an operator may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Try again now.
    Retry,
    /// Keep back until it is released. What is being sent is kept back if that fails.
    Hold,
    /// Let go.
    Release,
    /// Remove; nobody is told. What is being sent is removed if that fails.
    Cancel,
}

/// The scheduler's settings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// What routes are decided by.
    pub route: Arc<RouteSettings>,
    /// When is tried again.
    pub retry: RetrySettings,
    /// Connections over all.
    pub connections: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Settings {
            route: Arc::default(),
            retry: RetrySettings::default(),
            connections: crate::limits::CLIENT_CONNECTIONS,
        }
    }
}
