//! Runs the scheduler of the queue: decides routes, opens connections, commits what became of recipients, writes the reports.
//!
//! ```text
//! store --Entered--> inbox --> scheduler --Ask::Route----> decision, with DNS ---answer--> inbox
//! operators --Operate-^            |-------Ask::Connect--> Post::deliver, with a Hand ---Wants, Result, Ended--> inbox
//!                                  |-------Ask::Hand, Reported--> the connection's Hand
//!                                  |-------Ask::Commit---> Post::commit, with the report --answer--> inbox
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use async_channel::{Receiver, Sender};
use futures_lite::{FutureExt, future};
use pillarbox_core::delivery::Plan;
use pillarbox_core::delivery::dsn::Ours;
use pillarbox_core::delivery::route::{Route, RouteMatter, RouteSettings, route};
use pillarbox_core::delivery::scheduler::Scheduler;
use pillarbox_core::delivery::scheduler::ask::{
    Ask, Commit, Committed, Handed, Notice, Operation, Routed, Settings, Value, Which,
};
use pillarbox_core::limits;
use pillarbox_core::machine::{Answer, Input, Machine, Output, Slot};
use pillarbox_core::smtp::client::ask::Outcome;
use pillarbox_core::store::queue::{QueuedMessage, RowChange, RowState, Said};

use super::{escaped, event_or_deadline};
use crate::decide::{FactSource, decide};
use crate::env::Env;

mod letter;
mod post;
mod settings;

pub use letter::Letter;
pub use post::ServerPost;
pub use settings::settings;

/// Through whom the scheduler works: the store's queue, the SMTP client, accounts and DNS. A server has one, a test another.
pub trait Post: Send + Sync + 'static {
    /// Runs a client session at the first of the plan's servers that can be used.
    ///
    /// # Errors
    /// None could be used: why, of the last one.
    fn deliver(&self, plan: Arc<Plan>, hand: Hand) -> impl Future<Output = Result<(), Arc<Said>>> + Send;
    /// Makes changes durable, and the letter with them in the same record; whether it was done. It is handed over when this is called,
    /// and runs to its end.
    fn commit(&self, changes: Vec<RowChange>, letter: Option<Letter>) -> impl Future<Output = bool> + Send + 'static;
    /// The first octets of a queued message, prefix and body; what cannot be read is missing.
    fn beginning(&self, message: &QueuedMessage, octets: usize) -> impl Future<Output = Vec<u8>> + Send;
    /// Who answers questions: about our names and addresses, and by DNS.
    fn facts(&self) -> impl FactSource + Send + '_;
}

/// A connection's end of the scheduler: where its messages come from, and their results go.
pub struct Hand {
    connection: u64,
    inbox: Sender<Event>,
    handed: Receiver<Option<Handed>>,
    reported: Receiver<()>,
}

impl Hand {
    /// The connection's number, for logs.
    pub fn number(&self) -> u64 {
        self.connection
    }

    /// The next message for this connection, or none: then QUIT. Called only when it can be sent at once.
    pub async fn next(&self) -> Option<Handed> {
        let connection = self.connection;
        self.tell(Notice::Wants { connection });
        self.handed.recv().await.unwrap_or(None)
    }

    /// What became of the message handed out last; returns when that is settled.
    pub async fn report(&self, results: Vec<Outcome>) {
        let connection = self.connection;
        self.tell(Notice::Result { connection, results });
        // It closes when the scheduler has ended: nothing more can be settled.
        let _ = self.reported.recv().await;
    }

    fn tell(&self, notice: Notice) {
        // A scheduler that has ended needs no word.
        let _ = self.inbox.try_send(Event::Notice(notice));
    }
}

/// A running scheduler; cheap to clone.
#[derive(Clone)]
pub struct Dispatch {
    inbox: Sender<Event>,
    ended: Receiver<()>,
}

/// What comes to the scheduler's task.
enum Event {
    Notice(Notice),
    Answer(Answer<Value>),
    Operate {
        which: Which,
        what: Operation,
        rows: Sender<u32>,
    },
}

impl Dispatch {
    /// Starts the scheduler of an empty queue; `ours` is how reports name us.
    pub fn start<E: Env, P: Post>(env: &E, post: Arc<P>, settings: Settings, ours: Ours) -> Dispatch {
        let (inbox, events) = async_channel::unbounded();
        let (ending, ended) = async_channel::bounded(1);
        let task = Task {
            env: env.clone(),
            post,
            inbox: inbox.clone(),
            ours: Arc::new(ours),
            route: settings.route.clone(),
            connections: BTreeMap::new(),
            commands: BTreeMap::new(),
            next_command: 0,
        };
        env.spawn("scheduler", async move {
            task.run(events, settings).await;
            drop(ending);
        });
        Dispatch { inbox, ended }
    }

    /// A message is in the queue, durably.
    pub fn entered(&self, message: Arc<QueuedMessage>) {
        self.tell(Notice::Entered(message));
    }

    /// New settings.
    pub fn set(&self, settings: Settings) {
        self.tell(Notice::Settings(Arc::new(settings)));
    }

    /// An operator's command; how many rows it concerned. `None`: the scheduler has ended.
    pub async fn operate(&self, which: Which, what: Operation) -> Option<u32> {
        let (rows, obeyed) = async_channel::bounded(1);
        self.inbox.try_send(Event::Operate { which, what, rows }).ok()?;
        obeyed.recv().await.ok()
    }

    /// No new connections; what is being sent is finished.
    pub fn shutdown(&self) {
        self.tell(Notice::Shutdown);
    }

    /// Returns when the last connection has ended after [`Dispatch::shutdown`].
    pub async fn ended(&self) {
        // Nothing is ever sent: it closes.
        let _ = self.ended.recv().await;
    }

    fn tell(&self, notice: Notice) {
        // A scheduler that has ended needs no word.
        let _ = self.inbox.try_send(Event::Notice(notice));
    }
}

/// The task that runs the machine.
struct Task<E: Env, P: Post> {
    env: E,
    post: Arc<P>,
    inbox: Sender<Event>,
    ours: Arc<Ours>,
    route: Arc<RouteSettings>,
    /// Open connections.
    connections: BTreeMap<u64, Wire>,
    /// Operators that wait.
    commands: BTreeMap<u64, Sender<u32>>,
    next_command: u64,
}

/// The scheduler's end of a [`Hand`].
struct Wire {
    handed: Sender<Option<Handed>>,
    reported: Sender<()>,
    /// Whether it has asked for a message.
    used: bool,
    /// Dropped to end a delivery that is not used yet.
    open: Option<Sender<()>>,
}

impl<E: Env, P: Post> Task<E, P> {
    async fn run(mut self, events: Receiver<Event>, settings: Settings) {
        let env = self.env.clone();
        let mut seed = [0; 8];
        env.entropy(&mut seed);
        // It is the only machine of its kind: its number need only differ from those of other machines in a trace.
        let mut scheduler = Scheduler::new(Arc::new(settings), u64::MAX, u64::from_le_bytes(seed), env.now());
        loop {
            let until = loop {
                match scheduler.poll() {
                    Output::Ask(ask) => self.perform(ask),
                    Output::Wait(wait) => break wait.until,
                    Output::Close(_) => return,
                    Output::Body(_) => panic!("a scheduler has no body"),
                }
            };
            let input = match event_or_deadline(&env, &events, until).await {
                Some(Event::Notice(notice)) => self.notice(notice),
                Some(Event::Answer(answer)) => Input::Answer(answer),
                Some(Event::Operate { which, what, rows }) => {
                    self.next_command += 1;
                    let ticket = self.next_command;
                    self.commands.insert(ticket, rows);
                    Input::Notice(Notice::Operate { ticket, which, what })
                }
                None => Input::Tick,
            };
            scheduler.handle(env.now(), input);
        }
    }

    fn notice(&mut self, notice: Notice) -> Input<'static, Value, Notice> {
        match &notice {
            Notice::Ended { connection } | Notice::Unusable { connection, .. } => {
                self.connections.remove(connection);
            }
            Notice::Settings(settings) => self.route = settings.route.clone(),
            Notice::Wants { connection } => {
                if let Some(wire) = self.connections.get_mut(connection) {
                    wire.used = true;
                }
            }
            // Who is still knocking at doors need not go on; what is being sent is.
            Notice::Shutdown => {
                let unused = self.connections.values_mut().filter(|wire| !wire.used);
                unused.for_each(|wire| wire.open = None);
            }
            Notice::Entered(_) | Notice::Result { .. } | Notice::Operate { .. } => {}
        }
        Input::Notice(notice)
    }

    fn perform(&mut self, ask: Ask) {
        match ask {
            Ask::Route {
                recipient, seed, then, ..
            } => {
                let settings = self.route.clone();
                self.decide(
                    RouteMatter {
                        recipient,
                        settings,
                        seed,
                    },
                    then,
                );
            }
            Ask::Connect { connection, plan } => self.connect(connection, plan),
            Ask::Hand { connection, handed } => {
                if let Some(wire) = self.connections.get(&connection) {
                    // Its host may have died; then its end is on the way.
                    let _ = wire.handed.try_send(handed);
                }
            }
            Ask::Commit { commit, then } => self.commit(commit, then),
            Ask::Reported { connection } => {
                if let Some(wire) = self.connections.get(&connection) {
                    let _ = wire.reported.try_send(());
                }
            }
            Ask::Obeyed { ticket, rows } => {
                if let Some(operator) = self.commands.remove(&ticket) {
                    let _ = operator.try_send(rows);
                }
            }
        }
    }

    fn decide(&self, matter: RouteMatter, then: Slot<Routed>) {
        let (env, post, inbox) = (self.env.clone(), self.post.clone(), self.inbox.clone());
        self.env.spawn("route", async move {
            let facts = post.facts();
            let decided = AssertUnwindSafe(decide(&env, &facts, |facts| route(&matter, facts)));
            let outcome = match decided.catch_unwind().await {
                Ok(Some(verdict)) => {
                    for because in &verdict.because {
                        let recipient = escaped(&matter.recipient.to_string());
                        tracing::debug!(recipient, saw = escaped(&because.saw), rule = %because.rule, "route");
                    }
                    verdict.outcome
                }
                Ok(None) | Err(_) => Route::Deferred(said(451, [4, 4, 3], "the way cannot be found out now")),
            };
            let _ = inbox.try_send(Event::Answer(then.answer(Routed(outcome))));
        });
    }

    fn connect(&mut self, connection: u64, plan: Arc<Plan>) {
        // One message and one word of it at a time, so that sending never waits.
        let (hand_out, handed) = async_channel::bounded(1);
        let (reported, settled) = async_channel::bounded(1);
        let (open, closed) = async_channel::bounded::<()>(1);
        let wire = Wire {
            handed: hand_out,
            reported,
            used: false,
            open: Some(open),
        };
        self.connections.insert(connection, wire);
        let hand = Hand {
            connection,
            inbox: self.inbox.clone(),
            handed,
            reported: settled,
        };
        let (post, inbox) = (self.post.clone(), self.inbox.clone());
        self.env.spawn("delivery", async move {
            let delivery = async { Some(AssertUnwindSafe(post.deliver(plan, hand)).catch_unwind().await) };
            let stop = async {
                // Nothing is ever sent: it closes.
                let _ = closed.recv().await;
                None
            };
            let notice = match future::or(delivery, stop).await {
                Some(Ok(Err(said))) => Notice::Unusable { connection, said },
                Some(Ok(Ok(())) | Err(_)) | None => Notice::Ended { connection },
            };
            let _ = inbox.try_send(Event::Notice(notice));
        });
    }

    fn commit(&self, commit: Commit, then: Slot<Committed>) {
        let (env, post, inbox) = (self.env.clone(), self.post.clone(), self.inbox.clone());
        let ours = self.ours.clone();
        // What needs no report is handed over at once, so that the store's next batch takes it.
        let at_once = match &commit.report {
            None => Some(post.commit(commit.changes.clone(), None)),
            Some(_) => None,
        };
        self.env.spawn("queue change", async move {
            let done = match (at_once, &commit.report) {
                (Some(done), _) => done.await,
                (None, None) => false,
                (None, Some(order)) => {
                    let original = post.beginning(&commit.message, limits::REPORT_RETURNED).await;
                    let letter = letter::write(&env, &post.facts(), &ours, &commit.message, order, &original).await;
                    post.commit(commit.changes.clone(), letter).await
                }
            };
            log(&commit, done);
            let outcome = if done { Committed::Done } else { Committed::Refused };
            let _ = inbox.try_send(Event::Answer(then.answer(outcome)));
        });
    }
}

fn said(code: u16, status: [u16; 3], text: &str) -> Arc<Said> {
    Arc::new(Said {
        code,
        status,
        text: text.into(),
        by: None,
    })
}

/// One line for what became of each recipient.
fn log(commit: &Commit, done: bool) {
    let message = escaped(&commit.message.entered.message);
    if !done {
        tracing::warn!(message, "the store refused a change of the queue; it is tried again");
        return;
    }
    for change in &commit.changes {
        let recipient = &commit.message.entered.recipients[change.recipient as usize];
        let recipient = escaped(&recipient.address.to_string());
        let reply = change.said.as_ref().map_or_else(String::new, |said| {
            let [class, subject, detail] = said.status;
            format!("{} {class}.{subject}.{detail} {}", said.code, escaped(&said.text))
        });
        let by = change.said.as_ref().and_then(|said| said.by.as_ref());
        let by = by.map_or_else(String::new, |by| escaped(by));
        match change.state {
            RowState::Relayed => tracing::info!(message, recipient, by, reply, "relayed"),
            RowState::Failed => tracing::warn!(message, recipient, by, reply, "failed"),
            RowState::Waiting(due) if change.attempted => {
                let due = pillarbox_core::message::date::format_rfc5322(due);
                tracing::info!(message, recipient, by, reply, due, "deferred");
            }
            RowState::Waiting(_) => tracing::info!(message, recipient, delay_reported = change.delay_reported, "waits"),
            RowState::Held => tracing::info!(message, recipient, "held"),
            RowState::Cancelled => tracing::info!(message, recipient, "cancelled"),
            RowState::Delivered => tracing::info!(message, recipient, "delivered here, and reported"),
        }
    }
}
