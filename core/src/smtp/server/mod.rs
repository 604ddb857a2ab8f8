//! The SMTP server session, as a machine: relay (25) and submission (587, 465).
//!
//! ```text
//!            EHLO        MAIL          RCPT+           DATA, BDAT            final dot, BDAT LAST
//! Start ---> Ready ---> Envelope ---> Envelope ---> Opening ---> Message ------------> Committing ---> Ready
//!   |          |  \--- AUTH ---> Sasl ---> Ready                 |    |
//!   |          \---- STARTTLS ---> Tls ---> Start                |    +-- refused on the way: reads on, replies after its end
//!   |                                                            +-- a chunk ends: commands, of which BDAT goes on with it
//!   +--- QUIT, 421, too many errors, an early talker ---> Closing
//! ```
//!
//! A refused BDAT is `Discarding`: its octets are read and thrown away before the reply.
//!
//! Commands are taken one by one; only RCPTs overlap: their look-ups run side by side (up to [`limits::SMTP_ASKS`]), and their
//! replies go out in the order of the commands.

pub mod ask;
mod auth;
pub mod author;
mod commit;
mod data;
mod envelope;
mod greet;
mod record;
pub(crate) mod script;
pub mod trace;

use alloc::borrow::Cow;
use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use memchr::memchr;

use self::ask::{Ask, Notice, Peer, Settings, TlsEvidence, Value};
use self::data::{Chunk, Message};
use self::envelope::Envelope;
use super::command::{self, Command, Syntax};
use super::parameter::RcptParameters;
use super::reply::Reply;
use crate::address::ForwardPath;
use crate::limits;
use crate::machine::{Close, Deadline, Input, Machine, Output, Reason, Slots, Wait};
use crate::policy::access::Login;
use crate::sasl::Exchange;
use crate::time::{Instant, Now};
use crate::trace::{Marks, marks::What};

/// One session.
pub struct Session {
    settings: Arc<Settings>,
    peer: Peer,
    tls: Option<TlsEvidence>,
    now: Now,
    seed: [u8; 16],
    messages: u64,
    slots: Slots<Pending>,
    asks: VecDeque<Ask>,
    /// Replies in the order of commands; `None`: still looked up.
    replies: VecDeque<Option<Reply>>,
    /// How many replies have left the queue: the number of its first place.
    replied: u64,
    send: Vec<u8>,
    sent: usize,
    /// A part of the message that the next poll gives out.
    body: Option<BodyPart>,
    input: Vec<u8>,
    /// How far the input is done with, and how far it was searched for the end of a line.
    taken: usize,
    searched: usize,
    state: State,
    hello: Option<Hello>,
    login: Option<Login>,
    login_failures: u32,
    /// A SASL exchange that has begun.
    exchange: Option<Box<Exchange>>,
    envelope: Option<Envelope>,
    /// A message that has begun; between chunks, commands are taken.
    message: Option<Box<Message>>,
    /// Octets of a message since the deadline was moved.
    progress: u64,
    errors: u32,
    errors_in_a_row: u32,
    eof: bool,
    stopping: bool,
    closing: Option<Reason>,
    deadline: Deadline,
    /// Since when the peer has not taken what is offered.
    offered: Option<Instant>,
    marks: Marks,
}

/// What the client called itself, and how.
#[derive(Debug, Clone)]
struct Hello {
    extended: bool,
    name: String,
}

enum State {
    /// Before or between commands.
    Command,
    /// An over-long line is skipped; then 500.
    Skipping {
        /// It belonged to a SASL exchange.
        auth: bool,
    },
    /// A SASL exchange waits for the client.
    Sasl,
    /// The host checks a password or a proof.
    Checking,
    /// The host opens a sink; for BDAT, its octets follow.
    Opening(Option<Chunk>),
    /// A message is read: `Session::message`.
    Message,
    /// A refused chunk is read; then this is said.
    Discarding { left: u64, reply: Option<Reply> },
    /// A message is committed.
    Committing,
    /// The host runs a handshake.
    Tls,
}

/// What to do with an answer.
enum Pending {
    Recipient {
        place: u64,
        path: ForwardPath,
        parameters: RcptParameters,
    },
    Author,
    Password,
    Salt,
    Proof,
    Sink,
    Commit(String),
    Tls,
}

enum BodyPart {
    /// A piece of the input buffer.
    Input(Range<usize>),
    /// A header that was held and rewritten.
    Held(Vec<u8>),
}

impl Session {
    /// A session that begins with the greeting. `machine` is unique in its process, `seed` unpredictable; both go into message ids.
    pub fn new(
        settings: Arc<Settings>,
        peer: Peer,
        tls: Option<TlsEvidence>,
        machine: u64,
        seed: [u8; 16],
        now: Now,
    ) -> Session {
        let mut session = Session {
            peer,
            tls,
            now,
            seed,
            messages: 0,
            slots: Slots::new(machine),
            asks: VecDeque::new(),
            replies: VecDeque::new(),
            replied: 0,
            send: Vec::new(),
            sent: 0,
            body: None,
            input: Vec::new(),
            taken: 0,
            searched: 0,
            state: State::Command,
            hello: None,
            login: None,
            login_failures: 0,
            exchange: None,
            envelope: None,
            message: None,
            progress: 0,
            errors: 0,
            errors_in_a_row: 0,
            eof: false,
            stopping: false,
            closing: None,
            deadline: Deadline {
                at: now.instant.after(limits::SMTP_COMMAND_TIMEOUT),
                why: "waiting for a command",
            },
            offered: None,
            marks: Marks::default(),
            settings,
        };
        session.greet();
        session.flush();
        session
    }

    // --- replies ------------------------------------------------------------------------------------------------------

    fn reply(&mut self, reply: Reply) {
        match self.replies.is_empty() {
            true => self.write(&reply),
            false => self.replies.push_back(Some(reply)),
        }
    }

    /// Behind what is offered to the peer already.
    fn write(&mut self, reply: &Reply) {
        if self.send.is_empty() {
            self.offered = Some(self.now.instant);
        }
        reply.encode(&mut self.send);
        self.replied += 1;
    }

    /// Keeps a place for a reply that is not known yet.
    fn reply_later(&mut self) -> u64 {
        self.replies.push_back(None);
        self.replied + self.replies.len() as u64 - 1
    }

    fn fill(&mut self, place: u64, reply: Reply) {
        let index = usize::try_from(place - self.replied).expect("the place was kept");
        self.replies[index] = Some(reply);
    }

    /// Moves replies that are known, in order, to what is offered.
    fn flush(&mut self) {
        while let Some(Some(_)) = self.replies.front() {
            let reply = self.replies.pop_front().flatten().expect("it was there just now");
            self.write(&reply);
        }
        if self.replies.is_empty() {
            self.replies = VecDeque::new(); // an idle session owns no buffer
        }
    }

    /// Whether the next command may be taken: not too many look-ups are open, and the peer reads its replies.
    fn takes_commands(&self) -> bool {
        self.slots.open() < limits::SMTP_ASKS && self.send.len() - self.sent < limits::SMTP_BACKLOG
    }

    fn refuse(&mut self, code: u16, status: [u16; 3], text: impl Into<Cow<'static, str>>) {
        self.reply(Reply::new(code, status, text));
    }

    /// A protocol error: counted; too many end the session.
    fn protocol_error(&mut self, code: u16, status: [u16; 3], text: impl Into<Cow<'static, str>>) {
        self.errors += 1;
        self.errors_in_a_row += 1;
        self.refuse(code, status, text);
        if self.errors_in_a_row >= limits::SMTP_ERRORS_IN_A_ROW || self.errors >= limits::SMTP_ERRORS {
            self.refuse(421, [4, 7, 0], "too many errors, closing");
            self.close(Reason::NotOurProtocol);
        }
    }

    fn close(&mut self, why: Reason) {
        if self.closing.is_none() {
            self.closing = Some(why);
            self.deadline = Deadline {
                at: self.now.instant.after(limits::SMTP_LAST_WORDS),
                why: "the last reply is not taken",
            };
            if self.message.take().is_some() || matches!(self.state, State::Opening(_)) {
                self.asks.push_back(Ask::DropMessage);
            }
            self.forget_input();
        }
    }

    fn forget_input(&mut self) {
        let unheard = self.input.len() - self.taken;
        self.marks.note(0, What::Unheard(unheard as u64));
        self.input = Vec::new();
        self.taken = 0;
        self.searched = 0;
        self.body = None;
    }

    fn wait_for_command(&mut self) {
        self.state = State::Command;
        self.deadline = Deadline {
            at: self.now.instant.after(limits::SMTP_COMMAND_TIMEOUT),
            why: "waiting for a command",
        };
    }

    /// Octets of buffers that the session holds now: none when it is idle.
    pub fn buffered(&self) -> usize {
        let message = self.message.as_ref().map_or(0, |message| message.buffered());
        let queues = self.asks.capacity() * size_of::<Ask>() + self.replies.capacity() * size_of::<Option<Reply>>();
        self.input.capacity() + self.send.capacity() + queues + message
    }

    // --- input --------------------------------------------------------------------------------------------------------

    /// Works on what has been received, until something is to be asked, written or waited for.
    fn advance(&mut self) {
        while self.closing.is_none() && self.body.is_none() && self.asks.is_empty() {
            let went = match &self.state {
                State::Command => self.takes_commands() && self.command(),
                State::Skipping { auth } => {
                    let auth = *auth;
                    self.skip(auth)
                }
                State::Sasl => self.sasl_line(),
                State::Message => self.message(),
                State::Discarding { .. } => self.discard_more(),
                State::Checking | State::Opening(_) | State::Committing | State::Tls => false,
            };
            self.flush();
            if !went {
                break;
            }
        }
        if self.closing.is_none() && self.stopping && matches!(self.state, State::Command) && self.slots.open() == 0 {
            self.refuse(421, [4, 3, 2], "the service stops, try again later");
            self.close(Reason::Shutdown);
        }
        if self.closing.is_none() && self.eof && self.nothing_open() {
            self.close(Reason::PeerGone);
        }
        self.compact();
    }

    /// Whether nothing is on its way that a reply or a commit hangs on.
    fn nothing_open(&self) -> bool {
        self.slots.open() == 0 && self.asks.is_empty() && self.body.is_none()
    }

    /// Gives room back: the whole buffer when it is empty.
    fn compact(&mut self) {
        if self.body.is_some() {
            return;
        }
        if self.taken == self.input.len() {
            self.input = Vec::new();
            self.taken = 0;
            self.searched = 0;
        } else if self.taken * 2 >= self.input.len() {
            // Not at every line: moving what is left is paid for by what was taken.
            self.input.drain(..self.taken);
            self.searched -= self.taken.min(self.searched);
            self.taken = 0;
        }
    }

    /// The next line without its CRLF, within `limit` octets. `Err`: it is longer.
    fn line(&mut self, limit: usize) -> Result<Option<Vec<u8>>, ()> {
        let from = self.searched.max(self.taken);
        let Some(end) = memchr(b'\n', &self.input[from..]).map(|at| from + at) else {
            self.searched = self.input.len();
            return if self.input.len() - self.taken > limit {
                Err(())
            } else {
                Ok(None)
            };
        };
        if end + 1 - self.taken > limit {
            return Err(());
        }
        let line = self.input[self.taken..=end].to_vec();
        self.taken = end + 1;
        self.searched = self.taken;
        self.mark_line(&line);
        Ok(Some(line))
    }

    /// Takes a command, if one is there and may be taken now.
    fn command(&mut self) -> bool {
        let limit = self.line_limit();
        let barrier = self.slots.open() > 0;
        if barrier && !self.next_is_rcpt() {
            return false; // whatever it is, it waits for the look-ups before it
        }
        match self.line(limit) {
            Ok(None) => false,
            Err(()) => {
                self.state = State::Skipping {
                    auth: limit == limits::SMTP_AUTH_LINE,
                };
                true
            }
            Ok(Some(line)) => {
                self.deadline.at = self.now.instant.after(limits::SMTP_COMMAND_TIMEOUT);
                // Only EHLO offers PIPELINING (S10).
                if self.hello.as_ref().is_some_and(|hello| !hello.extended) && self.talks_early() {
                    return true;
                }
                self.execute(&line);
                true
            }
        }
    }

    fn line_limit(&self) -> usize {
        let auth = self
            .input
            .get(self.taken..self.taken + 5)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH "));
        if auth { limits::SMTP_AUTH_LINE } else { limits::SMTP_COMMAND }
    }

    fn next_is_rcpt(&self) -> bool {
        self.input
            .get(self.taken..self.taken + 5)
            .is_some_and(|verb| verb.eq_ignore_ascii_case(b"RCPT "))
    }

    /// Throws an over-long line away, in constant memory, up to its end.
    fn skip(&mut self, auth: bool) -> bool {
        let from = self.taken;
        match memchr(b'\n', &self.input[from..]) {
            None => {
                self.taken = self.input.len();
                self.searched = self.taken;
                self.mark_skipped(from);
                false
            }
            Some(end) => {
                self.taken += end + 1;
                self.searched = self.taken;
                self.mark_skipped(from);
                self.wait_for_command();
                let status = if auth { [5, 5, 6] } else { [5, 5, 2] };
                self.protocol_error(500, status, "the line is too long");
                true
            }
        }
    }

    fn execute(&mut self, line: &[u8]) {
        let Some(text) = line
            .strip_suffix(b"\r\n")
            .filter(|text| !text.contains(&b'\r') && !text.contains(&0))
        else {
            return self.protocol_error(500, [5, 5, 2], "lines end with CR LF, and hold no bare CR, LF or NUL");
        };
        match command::parse(text) {
            Ok(command) => self.run(command),
            Err(Syntax::Http) => {
                self.refuse(554, [5, 5, 1], "this is SMTP");
                self.close(Reason::NotOurProtocol);
            }
            Err(Syntax::NotImplemented) => self.refuse(502, [5, 5, 1], "not implemented"),
            Err(Syntax::Unknown) => self.protocol_error(500, [5, 5, 1], "unknown command"),
            Err(Syntax::Chunk) => {
                self.refuse(501, [5, 5, 4], "say BDAT, a size and perhaps LAST");
                self.close(Reason::NotOurProtocol);
            }
            Err(Syntax::Argument(what)) => self.protocol_error(501, [5, 5, 4], what),
            Err(Syntax::Address(error)) => {
                let text = alloc::format!("{error}");
                // A bad address is the sender's, not a sign of a foreign protocol: it counts, but does not add up to a close.
                self.refuse(501, [5, 1, 3], text);
            }
            Err(Syntax::Parameter(name)) => {
                let text = alloc::format!("parameter {name} was not offered");
                self.refuse(555, [5, 5, 4], text);
            }
        }
    }

    fn run(&mut self, command: Command) {
        let errors = self.errors;
        match command {
            Command::Hello { extended, name } => self.hello(extended, name),
            Command::Mail { path, parameters } => self.mail(path, parameters),
            Command::Rcpt { path, parameters } => self.rcpt(path, parameters),
            Command::Data => self.data(),
            Command::Bdat { size, last } => self.bdat(size, last),
            Command::Rset => {
                self.abandon();
                self.refuse(250, [2, 0, 0], "OK");
            }
            Command::Noop => self.refuse(250, [2, 0, 0], "OK"),
            Command::Quit => {
                self.refuse(221, [2, 0, 0], "bye");
                self.close(Reason::Quit);
            }
            Command::Vrfy => self.refuse(252, [2, 1, 5], "send the mail, and it will be tried"),
            Command::Help => self.reply(Reply::bare(214, "2.0.0 see RFC 5321")),
            Command::StartTls => self.start_tls(),
            Command::Auth { mechanism, initial } => self.auth(&mechanism, initial),
        }
        if self.errors == errors {
            self.errors_in_a_row = 0;
        }
    }

    /// Bytes behind a command that must be the last of its group (RFC 2920 §3.1), or behind any when pipelining was not offered.
    fn talks_early(&mut self) -> bool {
        let early = self.taken < self.input.len();
        if early {
            self.refuse(554, [5, 5, 0], "synchronisation error: wait for the reply");
            self.close(Reason::EarlyTalker);
        }
        early
    }

    fn received(&mut self, bytes: &[u8]) {
        self.marks.received(bytes.len());
        if self.closing.is_some() {
            self.marks.note(0, What::Unheard(bytes.len() as u64));
            return;
        }
        // Before the greeting has left, nobody has anything to say (S10).
        if self.hello.is_none() && self.replied == 1 && self.offered.is_some() && self.errors == 0 {
            self.refuse(554, [5, 5, 0], "wait for the greeting");
            self.marks.note(0, What::Unheard(bytes.len() as u64));
            return self.close(Reason::EarlyTalker);
        }
        self.input.extend_from_slice(bytes);
        if matches!(self.state, State::Message | State::Discarding { .. }) {
            self.progress += bytes.len() as u64;
            if self.progress >= limits::SMTP_DATA_PROGRESS {
                self.progress = 0;
                self.deadline.at = self.now.instant.after(limits::SMTP_DATA_TIMEOUT);
            }
        }
    }

    fn tick(&mut self) {
        let now = self.now.instant;
        if self
            .offered
            .is_some_and(|since| since.after(limits::SMTP_COMMAND_TIMEOUT) <= now)
        {
            // Nobody reads: there is no one to say it to.
            self.send = Vec::new();
            self.sent = 0;
            self.offered = None;
            self.close(Reason::Timeout("the peer does not read"));
        } else if self.deadline.at <= now {
            match self.closing {
                Some(_) => {
                    self.send = Vec::new();
                    self.sent = 0;
                    self.offered = None;
                    self.replies = VecDeque::new();
                }
                // The stream is the handshake's: nothing can be said on it.
                None if matches!(self.state, State::Tls) && self.slots.open() > 0 => {
                    self.close(Reason::Timeout(self.deadline.why));
                }
                None => {
                    let why = self.deadline.why;
                    self.refuse(421, [4, 4, 2], "timeout, closing");
                    self.close(Reason::Timeout(why));
                }
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
            Input::Eof => self.eof = true,
            Input::Sent(octets) => {
                self.sent += octets;
                assert!(self.sent <= self.send.len(), "more was sent than offered");
                self.offered = Some(now.instant);
                if self.sent == self.send.len() {
                    self.send = Vec::new();
                    self.sent = 0;
                    self.offered = None;
                }
            }
            Input::Answer(answer) => {
                let pending = self.slots.take(answer.id);
                self.answered(pending, answer.value);
            }
            Input::Notice(Notice::Shutdown) => self.stopping = true,
            Input::Notice(Notice::Shed) => {
                if !matches!(self.state, State::Committing) {
                    self.refuse(421, [4, 3, 2], "too busy, try again later");
                    self.close(Reason::Shutdown);
                } else {
                    self.stopping = true;
                }
            }
            Input::Tick => self.tick(),
            Input::Body(_) => panic!("an SMTP server opens no bodies"),
        }
    }

    fn poll(&mut self) -> Output<'_, Ask> {
        if self.body.is_none() {
            if self.asks.is_empty() {
                self.advance();
            }
            self.flush();
            self.tls_may_begin();
        }
        if let Some(part) = self.body.take() {
            // What is lent stays in the buffer until the next poll.
            return match part {
                BodyPart::Input(range) => Output::Body(&self.input[range]),
                BodyPart::Held(header) => {
                    self.lend(header);
                    Output::Body(self.lent())
                }
            };
        }
        if let Some(ask) = self.asks.pop_front() {
            if self.asks.is_empty() {
                self.asks = VecDeque::new(); // an idle session owns no buffer
            }
            return Output::Ask(ask);
        }
        if let Some(why) = self.closing
            && self.send.is_empty()
            && self.replies.iter().all(Option::is_none)
        {
            let linger = Deadline {
                at: self.now.instant.after(limits::LINGER),
                why: "draining",
            };
            let linger = (!self.eof).then_some(linger);
            return Output::Close(Close { why, linger });
        }
        let offered = self.offered.map(|since| Deadline {
            at: since.after(limits::SMTP_COMMAND_TIMEOUT),
            why: "the peer does not read",
        });
        Output::Wait(Wait {
            send: &self.send[self.sent..],
            read: self.wants_more(),
            body: false,
            until: Some(offered.map_or(self.deadline, |offered| offered.min(self.deadline))),
        })
    }
}

impl Session {
    fn wants_more(&self) -> bool {
        if self.closing.is_some() || self.eof {
            return false;
        }
        let backlog = self.input.len() - self.taken;
        match &self.state {
            State::Command => self.takes_commands() && backlog < limits::SMTP_BACKLOG,
            State::Skipping { .. } | State::Sasl | State::Discarding { .. } => true,
            State::Message => !self.message.as_ref().is_some_and(|message| message.is_judged_now()),
            // A hang-up is to be noticed while a password is checked or a message committed; a little may come meanwhile.
            State::Checking | State::Opening(_) | State::Committing => backlog < limits::SMTP_BACKLOG,
            State::Tls => false,
        }
    }

    fn lend(&mut self, header: Vec<u8>) {
        if let Some(message) = &mut self.message {
            message.lent = header;
        }
    }

    fn lent(&self) -> &[u8] {
        self.message.as_ref().map_or(&[], |message| &message.lent)
    }

    fn answered(&mut self, pending: Pending, value: Value) {
        match (pending, value) {
            (Pending::Recipient { place, path, parameters }, Value::Recipient(verdict)) => {
                self.recipient_known(place, &path, &parameters, verdict);
            }
            (Pending::Author, Value::Author(verdict)) => self.author_known(verdict),
            (Pending::Password, Value::Password(verdict)) => self.password_known(verdict),
            (Pending::Salt, Value::Salt(salt)) => self.salt_known(&salt),
            (Pending::Proof, Value::Proof(verdict)) => self.proof_known(verdict),
            (Pending::Sink, Value::Sink(opened)) => self.sink_opened(opened),
            (Pending::Commit(id), Value::Committed(committed)) => self.committed(&id, committed),
            (Pending::Tls, Value::Tls(outcome)) => self.tls_known(outcome),
            _ => panic!("an answer of another kind than the question"),
        }
    }
}
