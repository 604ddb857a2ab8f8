//! The SMTP client session, as a machine: one connection to one server (RFC 5321 §3, §4.5.3.2, §4.5.4).
//!
//! ```text
//!   greeting -> EHLO, or HELO -> STARTTLS -> EHLO -> AUTH -> ready -----------------------------------------> QUIT
//!                                                             |  ^                          no other transaction
//!                                            NextTransaction  |  |  (RSET <-) Report
//!                                                             v  |
//!                                      MAIL, RCPT+, DATA -> message -> final dot
//! ```
//!
//! * A reply is taken only for a command whose last byte has left. Whoever speaks before his turn is not believed (421 apart, which
//!   a server may say at any time).
//! * What was handed out is reported once, whatever happens. What cannot be known is deferred: a connection that is lost between
//!   the final dot and its reply makes a second copy if the server took the message (RFC 5321 §4.5.3.2.6).
//! * The final dot is sent only when every octet of the message was; what is sent can be read as one message only
//!   ([`super::dot::DotEncoder`]).

pub mod ask;
mod hello;
mod login;
mod message;
mod record;
pub mod reply;
mod script;
#[cfg(test)]
mod tests;
pub mod trace;
mod transaction;
mod xtext;

use alloc::collections::VecDeque;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use core::time::Duration;
use zeroize::Zeroize;

use self::ask::{Ask, Notice, Outcome, Settings, Value};
use self::hello::Offer;
use self::message::Run;
use self::reply::{Class, Reader, Reply, ours};
use self::transaction::Work;
use crate::limits;
use crate::machine::{Close, Deadline, Input, Machine, Output, Reason, Slots, Wait};
use crate::store::queue::Said;
use crate::time::Now;
use crate::trace::Marks;

/// One session.
pub struct Session {
    settings: Settings,
    now: Now,
    slots: Slots<Pending>,
    asks: VecDeque<Ask>,
    reader: Reader,
    /// Commands that were queued and not answered, in order.
    awaited: VecDeque<Awaited>,
    send: Vec<u8>,
    sent: usize,
    /// Octets that were queued and that have left, over all.
    queued: u64,
    left: u64,
    /// What is queued holds a password.
    secret: bool,
    state: State,
    greeted: bool,
    secured: bool,
    offer: Offer,
    /// Responses to the server's challenges that are still to be given.
    responses: VecDeque<crate::secret::Secret>,
    /// A transaction was asked for: from then on the server was usable.
    used: bool,
    transactions: u64,
    work: Option<Work>,
    /// The transaction must be reset before the next one.
    reset: bool,
    stopping: bool,
    eof: bool,
    /// Why the session ends once QUIT is answered.
    farewell: Reason,
    closing: Option<Reason>,
    /// What ended the session: for a transaction that is handed out too late.
    last_words: Option<Arc<Said>>,
    deadline: Option<Deadline>,
    /// Octets that have left since the deadline was moved.
    progress: u64,
    marks: Marks,
}

#[derive(Debug)]
enum State {
    /// Commands and replies.
    Commands,
    /// The host runs a handshake.
    Tls,
    /// The host looks for the next transaction.
    Choosing,
    /// The message is read for octets above 127.
    Scanning(Run),
    /// The message is sent.
    Message(Run),
    /// The host makes the results durable.
    Reporting,
    /// QUIT was sent.
    Quitting,
}

/// What to do with an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pending {
    Tls,
    Next,
    Body,
    Report,
}

/// A command, as far as its reply matters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Greeting,
    Ehlo,
    Helo,
    StartTls,
    Auth,
    Mail,
    /// Of this recipient of the transaction.
    Rcpt(usize),
    Data,
    /// A final dot alone, since DATA was taken although no recipient was (RFC 2920 §3.1).
    NoMessage,
    FinalDot,
    Rset,
    Quit,
}

#[derive(Debug, Clone, Copy)]
struct Awaited {
    step: Step,
    /// How many octets have left when the command has: a reply that comes earlier is not its own.
    end: u64,
}

impl Step {
    /// For how long its reply is waited for, and the words for it.
    fn patience(self) -> (Duration, &'static str) {
        match self {
            Step::Greeting => (limits::CLIENT_GREETING_TIMEOUT, "waiting for the greeting"),
            Step::Ehlo => (limits::CLIENT_COMMAND_TIMEOUT, "waiting for the reply to EHLO"),
            Step::Helo => (limits::CLIENT_COMMAND_TIMEOUT, "waiting for the reply to HELO"),
            Step::StartTls => (limits::CLIENT_COMMAND_TIMEOUT, "waiting for the reply to STARTTLS"),
            Step::Auth => (limits::CLIENT_COMMAND_TIMEOUT, "waiting for the reply to AUTH"),
            Step::Mail => (limits::CLIENT_COMMAND_TIMEOUT, "waiting for the reply to MAIL"),
            Step::Rcpt(_) => (limits::CLIENT_COMMAND_TIMEOUT, "waiting for the reply to RCPT"),
            Step::Data => (limits::CLIENT_DATA_TIMEOUT, "waiting for the reply to DATA"),
            Step::NoMessage | Step::FinalDot => (limits::CLIENT_FINAL_DOT_TIMEOUT, "waiting for the reply to the final dot"),
            Step::Rset => (limits::CLIENT_COMMAND_TIMEOUT, "waiting for the reply to RSET"),
            Step::Quit => (limits::CLIENT_QUIT_TIMEOUT, "waiting for the reply to QUIT"),
        }
    }
}

impl Session {
    /// A session that begins by waiting for the greeting, on a stream that has just been opened (and encrypted, with
    /// [`ask::TlsUse::Implicit`]). `machine` is unique in its process.
    pub fn new(settings: Settings, machine: u64, now: Now) -> Session {
        let mut session = Session {
            secured: settings.tls == ask::TlsUse::Implicit,
            settings,
            now,
            slots: Slots::new(machine),
            asks: VecDeque::new(),
            reader: Reader::new(),
            awaited: VecDeque::new(),
            send: Vec::new(),
            sent: 0,
            queued: 0,
            left: 0,
            secret: false,
            state: State::Commands,
            greeted: false,
            offer: Offer::default(),
            responses: VecDeque::new(),
            used: false,
            transactions: 0,
            work: None,
            reset: false,
            stopping: false,
            eof: false,
            farewell: Reason::Quit,
            closing: None,
            last_words: None,
            deadline: None,
            progress: 0,
            marks: Marks::default(),
        };
        session.awaits(Step::Greeting);
        session
    }

    /// Octets of buffers that the session holds now: none while it waits for a transaction.
    pub fn buffered(&self) -> usize {
        let queues = self.asks.capacity() * size_of::<Ask>() + self.awaited.capacity() * size_of::<Awaited>();
        self.send.capacity() + self.reader.buffered() + queues
    }

    // --- commands -----------------------------------------------------------------------------------------------------

    /// Queues a command line.
    fn command(&mut self, step: Step, line: &str) {
        assert!(
            !line.bytes().any(|byte| matches!(byte, b'\r' | b'\n' | 0)),
            "a command is one line"
        );
        self.queue(line.as_bytes());
        self.queue(b"\r\n");
        self.awaits(step);
    }

    fn queue(&mut self, bytes: &[u8]) {
        self.send.extend_from_slice(bytes);
        self.queued += bytes.len() as u64;
    }

    /// Expects a reply to what was queued last.
    fn awaits(&mut self, step: Step) {
        self.awaited.push_back(Awaited { step, end: self.queued });
        if self.awaited.len() == 1 {
            self.wait_for(step.patience());
        }
    }

    fn wait_for(&mut self, (patience, why): (Duration, &'static str)) {
        let at = self.now.instant.after(patience);
        self.deadline = Some(Deadline { at, why });
        self.progress = 0;
    }

    /// Says QUIT, and why the session ends.
    fn quit(&mut self, why: Reason) {
        self.farewell = why;
        self.state = State::Quitting;
        self.command(Step::Quit, "QUIT");
    }

    /// The server cannot be used; it is told goodbye.
    fn unusable(&mut self, said: Arc<Said>) {
        let greeted = self.greeted;
        self.asks.push_back(Ask::Unusable { said, greeted });
        self.quit(Reason::Refused);
    }

    /// The connection is of no use any more. What was handed out is deferred and reported.
    fn fail(&mut self, why: Reason, said: Arc<Said>) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(why);
        self.deadline = None;
        self.forget();
        match self.state {
            // Its transaction, if one comes, is deferred as soon as it is here.
            State::Choosing => self.last_words = Some(said),
            State::Reporting | State::Quitting => {}
            State::Commands | State::Tls | State::Scanning(_) | State::Message(_) if self.work.is_some() => {
                self.decide_rest(&Outcome::Deferred(said));
                self.report();
            }
            State::Commands | State::Tls | State::Scanning(_) | State::Message(_) => {
                self.state = State::Commands;
                if !self.used {
                    let greeted = self.greeted;
                    self.asks.push_back(Ask::Unusable { said, greeted });
                }
            }
        }
    }

    /// Nothing more is sent, nothing more is expected.
    fn forget(&mut self) {
        if self.secret {
            self.send.zeroize();
            self.secret = false;
        }
        self.send = Vec::new();
        self.sent = 0;
        self.awaited = VecDeque::new();
        self.responses = VecDeque::new();
        self.reader = Reader::new();
    }

    // --- replies ------------------------------------------------------------------------------------------------------

    fn received(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() && self.closing.is_none() {
            let (taken, reply) = self.reader.step(bytes);
            bytes = &bytes[taken..];
            match reply {
                None => {}
                Some(Ok(reply)) => self.replied(&reply, !bytes.is_empty()),
                Some(Err(broken)) => {
                    let why = match broken {
                        reply::Broken::Line | reply::Broken::Codes => Reason::NotOurProtocol,
                        reply::Broken::TooLong => Reason::Limit(broken.as_str()),
                    };
                    self.fail(why, ours(451, [4, 5, 0], broken.as_str()));
                }
            }
        }
    }

    /// Takes a reply; `more`: bytes stand behind it.
    fn replied(&mut self, reply: &Reply, more: bool) {
        if matches!(self.state, State::Quitting) {
            return self.fail(self.farewell, ours(421, [4, 3, 2], "closing")); // whatever it says
        }
        let said = reply.said(&self.settings.server);
        let step = match self.awaited.front() {
            _ if reply.code == 421 => return self.fail(Reason::Refused, Arc::new(said)), // RFC 5321 §3.8
            Some(awaited) if awaited.end <= self.left => awaited.step,
            Some(_) | None => return self.unasked(reply, &said),
        };
        self.awaited.pop_front();
        match self.awaited.front() {
            Some(next) => self.wait_for(next.step.patience()),
            None => {
                self.awaited = VecDeque::new(); // an idle session owns no buffer
                self.deadline = None;
            }
        }
        match step {
            Step::Greeting => self.greeting(reply, said),
            Step::Ehlo => self.ehlo(reply, said),
            Step::Helo => self.helo(reply, said),
            Step::StartTls => self.start_tls(reply, said, more),
            Step::Auth => self.auth(reply, &said),
            Step::Mail => self.mail_known(reply, said),
            Step::Rcpt(index) => self.rcpt_known(index, reply, said),
            Step::Data => self.data_known(reply, said),
            Step::NoMessage => self.report(),
            Step::FinalDot => self.final_dot_known(reply, said),
            Step::Rset if reply.class() == Class::Done => self.ready(),
            Step::Rset => self.quit(Reason::Refused),
            Step::Quit => unreachable!("QUIT has its own state"),
        }
    }

    /// A reply to nothing. A refusal in the midst of a message is the server's answer to it: it will not read the rest.
    fn unasked(&mut self, reply: &Reply, said: &Said) {
        let in_message = self.work.as_ref().is_some_and(Work::is_being_sent);
        if in_message && matches!(reply.class(), Class::NotNow | Class::Never) {
            let said = Arc::new(said.clone());
            self.refused_early(reply, &said);
            return self.fail(Reason::Refused, said);
        }
        let words = reply::prefixed(451, [4, 5, 0], "the server spoke before its turn", said);
        self.fail(Reason::EarlyTalker, words);
    }

    /// A reply of a class that its command does not have: the two sides no longer speak of the same thing.
    fn out_of_step(&mut self, said: &Said) {
        let words = reply::prefixed(451, [4, 5, 0], "the server's reply does not fit", said);
        self.fail(Reason::NotOurProtocol, words);
    }

    // --- time and connection ------------------------------------------------------------------------------------------

    fn tick(&mut self) {
        let Some(deadline) = self.deadline.filter(|deadline| deadline.at <= self.now.instant) else {
            return;
        };
        let why = match self.state {
            State::Quitting => self.farewell, // nothing hangs on its reply
            State::Commands | State::Tls | State::Choosing | State::Scanning(_) | State::Message(_) | State::Reporting => {
                Reason::Timeout(deadline.why)
            }
        };
        let text = format!("timeout, {}{}", deadline.why, self.in_doubt());
        self.fail(why, ours(451, [4, 4, 2], &text));
    }

    fn lost(&mut self) {
        self.eof = true;
        let doing = self.deadline.map_or("between two messages", |deadline| deadline.why);
        let text = format!("the connection was lost, {doing}{}", self.in_doubt());
        let why = if matches!(self.state, State::Quitting) {
            self.farewell
        } else {
            Reason::PeerGone
        };
        self.fail(why, ours(451, [4, 4, 2], &text));
    }

    /// RFC 5321 §4.5.3.2.6: the window in which a message may come twice.
    fn in_doubt(&self) -> &'static str {
        let sent = |awaited: &Awaited| awaited.step == Step::FinalDot && awaited.end <= self.left;
        if self.awaited.front().is_some_and(sent) {
            "; the server may have taken the message"
        } else {
            ""
        }
    }

    fn stop(&mut self) {
        self.stopping = true;
        if !self.used && matches!(self.state, State::Commands) {
            self.fail(Reason::Shutdown, ours(421, [4, 3, 2], "this server stops"));
        }
    }

    fn left(&mut self, octets: usize) {
        self.sent += octets;
        self.left += octets as u64;
        self.progress += octets as u64;
        assert!(self.sent <= self.send.len(), "more was sent than offered");
        let all = self.sent == self.send.len();
        if all {
            if self.secret {
                self.send.zeroize();
                self.secret = false;
            }
            self.send = Vec::new();
            self.sent = 0;
        }
        self.message_left(all);
    }

    fn answered(&mut self, pending: Pending, value: Value) {
        match (pending, value) {
            (Pending::Tls, Value::Tls(outcome)) => self.tls_known(outcome),
            (Pending::Next, Value::Next(next)) => self.begin(next),
            (Pending::Body, Value::Body(opened)) => self.body_opened(opened),
            (Pending::Report, Value::Reported(_)) => self.reported(),
            (Pending::Tls | Pending::Next | Pending::Body | Pending::Report, _) => {
                panic!("an answer of another kind than the question")
            }
        }
    }
}

impl Machine for Session {
    type Ask = Ask;
    type Value = Value;
    type Notice = Notice;

    fn handle(&mut self, now: Now, input: Input<'_, Value, Notice>) {
        self.now = now;
        match input {
            Input::Received(bytes) => self.received(bytes),
            Input::Eof => self.lost(),
            Input::Sent(octets) => self.left(octets),
            Input::Body(chunk) => self.chunk(chunk),
            Input::Answer(answer) => {
                let pending = self.slots.take(answer.id);
                self.answered(pending, answer.value);
            }
            Input::Notice(Notice::Shutdown) => self.stop(),
            Input::Tick => self.tick(),
        }
    }

    fn poll(&mut self) -> Output<'_, Ask> {
        if let Some(ask) = self.asks.pop_front() {
            if self.asks.is_empty() {
                self.asks = VecDeque::new(); // an idle session owns no buffer
            }
            return Output::Ask(ask);
        }
        // Effects are waited for.
        let effect = matches!(self.state, State::Tls | State::Choosing | State::Reporting);
        if let Some(why) = self.closing
            && !effect
        {
            return Output::Close(Close { why, linger: None });
        }
        Output::Wait(Wait {
            send: &self.send[self.sent..],
            read: self.closing.is_none() && !self.eof && !matches!(self.state, State::Tls),
            body: self.closing.is_none() && self.wants_body(),
            until: self.deadline,
        })
    }
}
