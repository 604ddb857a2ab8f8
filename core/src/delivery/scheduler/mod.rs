//! The scheduler: a machine over the queue's rows. It has no stream; it lives by notices, answers and its clock.
//!
//! ```text
//!   Entered --> rows --time--> ready, a queue for each destination --turn--> Route -> Connect
//!                ^                                                              |
//!                |                                             Wants -> Hand (a message, or none)
//!                +--- Commit (changes, with the report about them) <-- Result, Unusable, expiry, operators
//! ```
//!
//! * **One record**: what a row becomes and the report about it are one `Commit`. Until it is answered the row is touched by nobody.
//! * **Turns**: connections go round robin over destinations; within one, messages go round robin over submitters, in three classes.
//! * **A destination that cannot be reached** rests, and its rows wait in memory: no record is written for what was not tried.
//! * **Clocks**: due times are stored by the wall clock and clamped when they are loaded; inside only the monotonic clock counts.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::delivery::route::{Route, destination};
use crate::limits;
use crate::machine::{Close, Deadline, Input, Machine, Output, Reason, Slots, Wait};
use crate::smtp::client::ask::Transaction;
use crate::store::queue::{QueueId, QueuedMessage, Task};
use crate::time::{Instant, Now};

pub mod ask;
mod commit;
mod destination;
mod operate;
mod record;
mod rows;
mod script;
#[cfg(test)]
mod tests;

use ask::{Ask, Handed, Notice, Settings, Value};
use commit::Job;
use destination::Destinations;
use rows::{Message, RowKey, State};

/// The machine.
#[derive(Debug)]
pub struct Scheduler {
    settings: Arc<Settings>,
    seed: u64,
    draws: u64,
    now: Now,
    messages: BTreeMap<QueueId, Message>,
    timers: BTreeSet<(Instant, RowKey)>,
    destinations: Destinations,
    connections: BTreeMap<u64, Connection>,
    next_connection: u64,
    slots: Slots<Pending>,
    /// Commits that wait for one of [`limits::SCHEDULER_COMMITS`] places.
    jobs: VecDeque<Job>,
    open_commits: usize,
    /// Commits that the store refused, and when they are tried again.
    again: VecDeque<(Instant, Job)>,
    asks: VecDeque<Ask>,
    stopping: bool,
}

/// What an answer is for.
#[derive(Debug)]
enum Pending {
    Route(u64),
    Commit(Job),
}

/// A connection to a destination, from the look-up of its route on.
#[derive(Debug)]
struct Connection {
    destination: u32,
    phase: Phase,
    messages: u32,
}

/// ```text
/// Routing -> Opening -> Idle <-> Busy
/// ```
#[derive(Debug, PartialEq, Eq)]
enum Phase {
    /// Its route is being decided.
    Routing,
    /// Being connected, greeted, secured.
    Opening,
    /// Between two messages.
    Idle,
    /// It sends a message.
    Busy { id: QueueId, recipients: Vec<u32> },
}

impl Scheduler {
    /// A scheduler of an empty queue. `machine` is its number; the seed makes every random choice.
    pub fn new(settings: Arc<Settings>, machine: u64, seed: u64, now: Now) -> Scheduler {
        Scheduler {
            settings,
            seed,
            draws: 0,
            now,
            messages: BTreeMap::new(),
            timers: BTreeSet::new(),
            destinations: Destinations::default(),
            connections: BTreeMap::new(),
            next_connection: 1,
            slots: Slots::new(machine),
            jobs: VecDeque::new(),
            open_commits: 0,
            again: VecDeque::new(),
            asks: VecDeque::new(),
            stopping: false,
        }
    }

    /// Messages with rows that are not over.
    pub fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Open connections, those that are being opened included.
    pub fn connections(&self) -> usize {
        self.connections.len()
    }

    fn draw(&mut self) -> u64 {
        self.draws += 1;
        crate::delivery::mixed(self.seed, self.draws)
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Entered(queued) => self.enter(queued),
            Notice::Wants { connection } => self.wants(connection),
            Notice::Result { connection, results } => self.result(connection, results),
            Notice::Ended { connection } => self.ended(connection),
            Notice::Unusable { connection, said } => self.unusable(connection, said),
            Notice::Operate { ticket, which, what } => self.operate(ticket, &which, what),
            Notice::Settings(settings) => self.reroute(settings),
            Notice::Shutdown => self.stopping = true,
        }
    }

    fn enter(&mut self, queued: Arc<QueuedMessage>) {
        let id = queued.id;
        if self.messages.contains_key(&id) {
            return;
        }
        let message = Message::new(queued, &self.settings.retry, self.now);
        if message.open == 0 {
            return;
        }
        let rows = u32::try_from(message.rows.len()).expect("a message has few recipients");
        self.messages.insert(id, message);
        for recipient in 0..rows {
            let key = RowKey { id, recipient };
            self.set_timer(key);
            self.note_unreached(key);
        }
    }

    /// A row that waits for its destination is woken with it.
    fn note_unreached(&mut self, key: RowKey) {
        let row = self.row(key);
        if row.unreached && row.state == State::Deferred {
            let destination = self.destination_of(key);
            self.destinations.get_mut(destination).unreached.insert(key);
        }
    }

    fn forget_unreached(&mut self, key: RowKey) {
        if self.row(key).unreached
            && let Some(destination) = self.known_destination_of(key)
        {
            self.destinations.get_mut(destination).unreached.remove(&key);
            self.destinations.forget(destination);
        }
    }

    fn row(&self, key: RowKey) -> &rows::Row {
        &self.message(key.id).rows[key.recipient as usize]
    }

    fn row_mut(&mut self, key: RowKey) -> &mut rows::Row {
        let message = self.messages.get_mut(&key.id).expect("a row in use keeps its message");
        &mut message.rows[key.recipient as usize]
    }

    fn message(&self, id: QueueId) -> &Message {
        self.messages.get(&id).expect("a row in use keeps its message")
    }

    fn destination_of(&mut self, key: RowKey) -> u32 {
        let recipient = &self.message(key.id).queued.entered.recipients[key.recipient as usize];
        let name = destination(&recipient.address, &self.settings.route);
        self.destinations.id(name)
    }

    fn known_destination_of(&self, key: RowKey) -> Option<u32> {
        let recipient = &self.message(key.id).queued.entered.recipients[key.recipient as usize];
        self.destinations
            .known(&destination(&recipient.address, &self.settings.route))
    }

    /// Sets or removes a row's timer, as its state asks.
    fn set_timer(&mut self, key: RowKey) {
        let next = self.message(key.id).next_time(key.recipient);
        let row = self.row_mut(key);
        let old = core::mem::replace(&mut row.timer, next);
        if let Some(old) = old {
            self.timers.remove(&(old, key));
        }
        if let Some(next) = next {
            self.timers.insert((next, key));
        }
    }

    /// A row's time has come, or its destination is reached again.
    fn make_ready(&mut self, key: RowKey) {
        self.forget_unreached(key);
        self.row_mut(key).state = State::Ready;
        self.set_timer(key);
        let destination = self.destination_of(key);
        let entered = self.message(key.id).queued.entered.clone();
        self.destinations.push(destination, key, &entered);
    }

    /// Takes a row out of wherever it waits; it is then in `state` and has no timer.
    fn take_out(&mut self, key: RowKey, state: State) {
        match self.row(key).state {
            State::Deferred => self.forget_unreached(key),
            State::Ready => {
                if let Some(destination) = self.known_destination_of(key) {
                    self.destinations.remove(destination, key);
                }
            }
            State::InFlight | State::Committing | State::Held | State::Over => {}
        }
        self.row_mut(key).state = state;
        self.set_timer(key);
    }

    /// Everything that can be done now is done.
    fn advance(&mut self) {
        self.destinations.revive_due(self.now.instant);
        while let Some((at, _)) = self.again.front()
            && *at <= self.now.instant
        {
            let (_, job) = self.again.pop_front().expect("looked at just now");
            self.jobs.push_back(job);
        }
        self.fire_timers();
        self.start_commits();
        self.open_connections();
    }

    /// Whether timers must wait until fewer commits are open.
    fn crowded(&self) -> bool {
        self.jobs.len() + self.again.len() + self.open_commits >= 2 * limits::SCHEDULER_COMMITS
    }

    fn fire_timers(&mut self) {
        while !self.crowded() && !self.stopping {
            let Some((at, key)) = self.timers.first().copied() else {
                return;
            };
            if at > self.now.instant {
                return;
            }
            let message = self.message(key.id);
            if message.task(key.recipient) != Task::Relay {
                self.tell(key.id);
            } else if message.expires_at <= self.now.instant {
                self.expire(key.id);
            } else if message.notice_at <= self.now.instant && message.rows[key.recipient as usize].notice {
                self.report_delay(key.id);
            } else {
                self.make_ready(key);
            }
        }
    }

    /// Opens connections while there are places and destinations that need one.
    fn open_connections(&mut self) {
        while !self.stopping {
            let (open, most) = (self.connections.len(), self.settings.connections);
            let Some(destination) = self.destinations.next(open, most) else {
                return;
            };
            let key = self.destinations.get(destination).any_ready().expect("it has ready rows");
            let recipient = self.message(key.id).queued.entered.recipients[key.recipient as usize]
                .address
                .clone();
            let connection = self.next_connection;
            self.next_connection += 1;
            let begun = Connection {
                destination,
                phase: Phase::Routing,
                messages: 0,
            };
            self.connections.insert(connection, begun);
            let seed = self.draw();
            let then = self.slots.ask(Pending::Route(connection));
            self.asks.push_back(Ask::Route {
                connection,
                recipient,
                seed,
                then,
            });
        }
    }

    fn routed(&mut self, number: u64, route: Route) {
        let connection = self.connections.get_mut(&number).expect("it waits for its route");
        let destination = connection.destination;
        assert_eq!(connection.phase, Phase::Routing, "a route that nobody waits for");
        if self.stopping {
            self.connections.remove(&number);
            return self.destinations.closed(destination, true);
        }
        match route {
            Route::Plan(plan) => {
                connection.phase = Phase::Opening;
                self.asks.push_back(Ask::Connect {
                    connection: number,
                    plan,
                });
            }
            Route::Failed(said) => {
                self.connections.remove(&number);
                self.fail_next(destination, &said);
                self.destinations.closed(destination, true);
            }
            Route::Deferred(said) => self.not_reached(number, said),
        }
    }

    fn wants(&mut self, number: u64) {
        let connection = self.connections.get_mut(&number).expect("a notice of an open connection");
        let destination = connection.destination;
        match core::mem::replace(&mut connection.phase, Phase::Idle) {
            Phase::Opening => self.destinations.reached(destination),
            Phase::Idle => {}
            Phase::Routing | Phase::Busy { .. } => panic!("a connection wants a message before it can have one"),
        }
        let handed = self.next_message(number, destination);
        self.asks.push_back(Ask::Hand {
            connection: number,
            handed,
        });
    }

    fn next_message(&mut self, number: u64, destination: u32) -> Option<Handed> {
        let sent = self.connections[&number].messages;
        let (open, most) = (self.connections.len(), self.settings.connections);
        let tired = sent >= limits::CONNECTION_MESSAGES
            || (sent > 0 && open >= most && self.destinations.others_wait(destination, open, most));
        if self.stopping || tired {
            return None;
        }
        let (id, recipients) = self.pop(destination)?;
        for recipient in &recipients {
            self.take_out(
                RowKey {
                    id,
                    recipient: *recipient,
                },
                State::InFlight,
            );
        }
        let message = self.message(id).queued.clone();
        let entered = &message.entered;
        let transaction = Transaction {
            id,
            reverse_path: entered.reverse_path.clone(),
            wishes: entered.wishes.clone(),
            recipients: recipients
                .iter()
                .map(|place| entered.recipients[*place as usize].clone())
                .collect(),
            size: message.body_len + entered.prefix.len() as u64,
            ours: entered.submitter.is_some(),
        };
        let connection = self.connections.get_mut(&number).expect("it was there just now");
        connection.messages += 1;
        connection.phase = Phase::Busy { id, recipients };
        Some(Handed {
            message,
            transaction: Arc::new(transaction),
        })
    }

    /// The message whose turn it is at a destination; its rows are ready no more.
    fn pop(&mut self, destination: u32) -> Option<(QueueId, Vec<u32>)> {
        self.destinations.get_mut(destination).pop()
    }

    fn ended(&mut self, number: u64) {
        let connection = self.connections.get(&number).expect("a notice of an open connection");
        let destination = connection.destination;
        let said = commit::ours(451, [4, 4, 2], "the connection ended before the other server had answered");
        match &connection.phase {
            Phase::Routing => panic!("a connection ends before it is opened"),
            Phase::Opening => self.not_reached(number, said),
            Phase::Idle => {
                self.connections.remove(&number);
                self.destinations.closed(destination, false);
            }
            Phase::Busy { recipients, .. } => {
                // Its host has lost it: a client session reports everything that it was handed.
                let lost = recipients
                    .iter()
                    .map(|_| crate::smtp::client::ask::Outcome::Deferred(said.clone()));
                let lost = lost.collect();
                self.settle_result(number, lost, None);
                self.connections.remove(&number);
                self.destinations.closed(destination, false);
            }
        }
    }

    fn unusable(&mut self, number: u64, said: Arc<crate::store::queue::Said>) {
        let connection = self.connections.get(&number).expect("a notice of an open connection");
        match connection.phase {
            Phase::Opening => self.not_reached(number, said),
            Phase::Routing => panic!("a connection fails before it is opened"),
            Phase::Idle | Phase::Busy { .. } => self.ended(number),
        }
    }

    /// A destination cannot be reached: the message whose turn it is has been tried, the others have not.
    fn not_reached(&mut self, number: u64, said: Arc<crate::store::queue::Said>) {
        let connection = self.connections.remove(&number).expect("it was there just now");
        let destination = connection.destination;
        if self.stopping {
            return self.destinations.closed(destination, true);
        }
        self.defer_next(destination, &said);
        self.destinations.unreachable(destination, said, self.now.instant);
        self.destinations.forget(destination);
    }

    /// All rows that wait for a destination are tried: it has taken a message.
    fn wake(&mut self, destination: u32) {
        for key in core::mem::take(&mut self.destinations.get_mut(destination).unreached) {
            self.row_mut(key).unreached = false;
            self.make_ready(key);
        }
    }

    /// New settings: every waiting row finds its destination anew.
    fn reroute(&mut self, settings: Arc<Settings>) {
        let (ready, unreached) = self.destinations.take_rows();
        self.settings = settings;
        for key in unreached {
            self.note_unreached(key);
        }
        for key in ready {
            self.make_ready(key);
        }
    }
}

impl Machine for Scheduler {
    type Ask = Ask;
    type Value = Value;
    type Notice = Notice;

    fn handle(&mut self, now: Now, input: Input<'_, Value, Notice>) {
        self.now = now;
        match input {
            Input::Notice(notice) => self.notice(notice),
            Input::Answer(answer) => match (self.slots.take(answer.id), answer.value) {
                (Pending::Route(connection), Value::Routed(routed)) => self.routed(connection, routed.0),
                (Pending::Commit(job), Value::Committed(committed)) => self.committed(job, committed),
                (Pending::Route(_), Value::Committed(_)) | (Pending::Commit(_), Value::Routed(_)) => {
                    panic!("an answer of another question's type")
                }
            },
            Input::Tick => {}
            Input::Received(_) | Input::Eof | Input::Sent(_) | Input::Body(_) => panic!("a scheduler has no stream"),
        }
        self.advance();
    }

    fn poll(&mut self) -> Output<'_, Ask> {
        if let Some(ask) = self.asks.pop_front() {
            return Output::Ask(ask);
        }
        if self.asks.capacity() > 64 {
            self.asks = VecDeque::new();
        }
        let settled = self.connections.is_empty() && self.open_commits == 0 && self.jobs.is_empty();
        if self.stopping && settled {
            return Output::Close(Close {
                why: Reason::Shutdown,
                linger: None,
            });
        }
        let timer = self.timers.first().filter(|_| !self.crowded() && !self.stopping);
        let timer = timer.map(|(at, _)| (*at, "a row is due"));
        let revival = self.destinations.next_revival().map(|at| (at, "a destination has rested"));
        let again = self.again.front().map(|(at, _)| (*at, "a commit is tried again"));
        let until = [timer, revival, again].into_iter().flatten().min();
        Output::Wait(Wait {
            send: &[],
            read: false,
            body: false,
            until: until.map(|(at, why)| Deadline { at, why }),
        })
    }
}
