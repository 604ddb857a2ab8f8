//! The IMAP server session, as a machine.
//!
//! ```text
//!            LOGIN, AUTHENTICATE          SELECT, EXAMINE
//! Greeted ----------------------> In ----------------------> Selected
//!    |                             ^                            |
//!    +-- STARTTLS --> Greeted      +------ CLOSE, UNSELECT -----+          LOGOUT from everywhere --> Closing
//! ```
//!
//! One command is worked on at a time; what is pipelined behind it waits in the framer under its budget. A command that needs the
//! host leaves a [`Job`], which says how it goes on. A command ends in one place, [`Session::finish`]: what has changed in the
//! selected mailbox is pulled and said before the tagged line.

mod append;
pub mod ask;
mod fetch;
mod greet;
mod idle;
mod list;
mod record;
mod script;
mod select;
mod store;

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use self::append::AppendJob;
use self::ask::{Ask, Notice, Settings, Value};
use self::fetch::FetchJob;
use super::command::{self, Command};
use super::frame::{Budget, Framed, Framer};
use super::response;
use super::view::View;
use crate::limits;
use crate::machine::{BodyError, Close, Deadline, Input, Machine, Output, Reason, Slots, Wait};
use crate::policy::access::Login;
use crate::smtp::server::ask::TlsEvidence;
use crate::store::Lsn;
use crate::time::{Instant, Now};

/// One session.
pub struct Session {
    settings: Arc<Settings>,
    tls: Option<TlsEvidence>,
    now: Now,
    slots: Slots<Pending>,
    asks: VecDeque<Ask>,
    framer: Framer,
    send: Vec<u8>,
    sent: usize,
    body: Option<Range<usize>>,
    login: Option<Login>,
    login_failures: u32,
    view: Option<Box<View>>,
    /// The newest record that a notice named, for the selected mailbox.
    news: Lsn,
    /// The command's own changes of flags are not said again (`.SILENT`; `\Seen` of a FETCH).
    silent: bool,
    /// EXPUNGE may not be said with this command (RFC 3501 §7.4.1).
    hold_expunges: bool,
    /// Changes are being pulled in IDLE.
    pulling: bool,
    job: Job,
    errors_in_a_row: u32,
    eof: bool,
    stopping: bool,
    closing: Option<Reason>,
    /// When the client has been silent for too long.
    silence: Instant,
    /// When an answer, or the last words, take too long.
    patience: Option<Deadline>,
    /// Since when the peer has not taken what is offered.
    offered: Option<Instant>,
}

/// What is being worked on.
enum Job {
    /// Nothing: the next command may come.
    None,
    /// An answer is waited for, and says itself how it goes on.
    Waiting,
    /// STARTTLS was answered; the handshake begins when the reply has left.
    Tls,
    /// AUTHENTICATE waits for the client's line.
    Sasl(String),
    /// Messages are fetched.
    Fetch(Box<FetchJob>),
    /// A message is taken in.
    Append(Box<AppendJob>),
    /// IDLE: since when, and when to say that we are still here.
    Idle { tag: String, still_here: Instant },
}

/// What to do with an answer.
enum Pending {
    Tls,
    Password(String),
    List {
        tag: String,
        reference: String,
        pattern: String,
        lsub: bool,
    },
    Select {
        tag: String,
        read_only: bool,
    },
    Status {
        tag: String,
        name: crate::store::MailboxName,
        items: Vec<command::StatusItem>,
    },
    Changes {
        then: AfterPull,
    },
    Digests,
    Bodies,
    Seen,
    Flags {
        tag: String,
        silent: bool,
        expunge: bool,
    },
    Expunged {
        tag: String,
    },
    Closed {
        tag: String,
    },
    AppendTo,
    AppendSink,
    Appended,
}

/// What follows when changes have been pulled.
enum AfterPull {
    /// The tagged line.
    Tagged(String),
    /// Nothing: the session idles.
    Idle,
}

impl Session {
    /// A session that begins with the greeting. `machine` is unique in its process; it is the session's `origin` and `watch`.
    pub fn new(settings: Arc<Settings>, tls: Option<TlsEvidence>, machine: u64, now: Now) -> Session {
        let mut session = Session {
            settings,
            tls,
            now,
            slots: Slots::new(machine),
            asks: VecDeque::new(),
            framer: Framer::default(),
            send: Vec::new(),
            sent: 0,
            body: None,
            login: None,
            login_failures: 0,
            view: None,
            news: Lsn(0),
            silent: false,
            hold_expunges: false,
            pulling: false,
            job: Job::None,
            errors_in_a_row: 0,
            eof: false,
            stopping: false,
            closing: None,
            silence: now.instant.after(limits::IMAP_LOGIN_TIMEOUT),
            patience: None,
            offered: None,
        };
        session.greet();
        session
    }

    // --- saying things ------------------------------------------------------------------------------------------------

    /// Where responses are appended.
    fn out(&mut self) -> &mut Vec<u8> {
        if self.send.is_empty() {
            self.offered = Some(self.now.instant);
        }
        &mut self.send
    }

    fn untagged(&mut self, text: &str) {
        response::untagged(self.out(), text);
    }

    /// A tagged line without news before it.
    fn tagged(&mut self, tag: &str, text: &str) {
        response::tagged(self.out(), tag, text);
    }

    /// A command that is wrong in itself: counted; too many in a row end the session.
    fn bad(&mut self, tag: Option<&str>, why: &str) {
        self.errors_in_a_row += 1;
        match tag {
            Some(tag) => self.tagged(tag, &format!("BAD {why}")),
            None => self.untagged(&format!("BAD {why}")),
        }
        if self.errors_in_a_row >= limits::IMAP_ERRORS_IN_A_ROW {
            self.bye("too many errors", Reason::NotOurProtocol);
        }
    }

    fn bye(&mut self, text: &str, why: Reason) {
        if self.closing.is_none() {
            self.untagged(&format!("BYE {text}"));
            self.close(why);
        }
    }

    fn close(&mut self, why: Reason) {
        if self.closing.is_some() {
            return;
        }
        self.closing = Some(why);
        self.patience = Some(Deadline {
            at: self.now.instant.after(limits::SMTP_LAST_WORDS),
            why: "the last words are not taken",
        });
        if let Job::Append(job) = &self.job
            && job.has_sink()
        {
            self.asks.push_back(Ask::DropMessage);
        }
        self.job = Job::None;
        self.framer.clear();
        self.body = None;
        self.unselect();
    }

    /// The end of a command: news first, if they may be said, then the tagged line.
    fn finish(&mut self, tag: String, text: &str, until: Lsn) {
        self.news = self.news.max(until);
        let line = format!("{tag} {text}");
        match &self.view {
            Some(view) if view.lsn() < self.news => {
                self.job = Job::Waiting;
                self.pull(AfterPull::Tagged(line));
            }
            Some(view) if view.holds_expunges() && !self.hold_expunges => {
                self.say_expunges();
                self.say_line(&line);
            }
            _ => self.say_line(&line),
        }
    }

    fn say_line(&mut self, line: &str) {
        let (tag, text) = line.split_once(' ').unwrap_or((line, "OK"));
        let (tag, text) = (String::from(tag), String::from(text));
        self.tagged(&tag, &text);
        self.job = Job::None;
        self.patience = None;
        self.silent = false;
        self.hold_expunges = false;
    }

    fn say_expunges(&mut self) {
        let mut out = Vec::new();
        if let Some(view) = &mut self.view {
            view.say_expunges(&mut out);
        }
        self.out().append(&mut out);
    }

    /// Asks what has changed.
    fn pull(&mut self, then: AfterPull) {
        let Some(view) = &self.view else { return };
        let (mailbox, since, take_recent) = (view.mailbox, view.lsn(), !view.read_only);
        let then = self.wait(Pending::Changes { then });
        self.asks.push_back(Ask::Changes {
            mailbox,
            since,
            take_recent,
            then,
        });
    }

    /// Opens a question.
    fn wait<T>(&mut self, pending: Pending) -> crate::machine::Slot<T> {
        self.patience = Some(Deadline {
            at: self.now.instant.after(limits::ANSWER_TIMEOUT),
            why: "the store does not answer",
        });
        self.slots.ask(pending)
    }

    // --- commands -----------------------------------------------------------------------------------------------------

    fn budget(&self) -> Budget {
        match self.login {
            None => Budget {
                command: limits::IMAP_COMMAND_BEFORE_LOGIN,
                non_synchronising: limits::IMAP_LITERAL_MINUS,
            },
            Some(_) => Budget {
                command: limits::IMAP_COMMAND,
                non_synchronising: limits::IMAP_COMMAND as u64,
            },
        }
    }

    /// Works on what has been received, until something is to be asked, written or waited for.
    fn advance(&mut self) {
        while self.closing.is_none() && self.body.is_none() && self.asks.is_empty() {
            let went = match &self.job {
                Job::None => self.send.len() - self.sent < limits::SEND_HIGH_WATER && self.command(),
                Job::Sasl(_) => self.sasl_line(),
                Job::Idle { .. } => self.idle_line(),
                Job::Append(_) => self.append_goes_on(),
                Job::Fetch(_) => self.fetch_goes_on(),
                Job::Waiting | Job::Tls => false,
            };
            if !went {
                break;
            }
        }
        let between = matches!(self.job, Job::None | Job::Idle { .. });
        if self.closing.is_none() && self.stopping && between {
            self.bye("the server stops", Reason::Shutdown);
        }
        if self.closing.is_none() && self.eof && (between || self.wants_input()) {
            self.close(Reason::PeerGone);
        }
        if self.body.is_none() {
            self.framer.compact();
        }
    }

    /// Whether the job needs bytes from the peer to go on.
    fn wants_input(&self) -> bool {
        match &self.job {
            Job::None | Job::Sasl(_) | Job::Idle { .. } => true,
            Job::Append(job) => job.reads(),
            Job::Waiting | Job::Tls | Job::Fetch(_) => false,
        }
    }

    fn command(&mut self) -> bool {
        match self.framer.next(self.budget()) {
            Framed::NeedMore => false,
            Framed::Continue => {
                self.out().extend_from_slice(b"+ OK\r\n");
                true
            }
            Framed::Refused { tag, why } => {
                self.bad(tag.as_deref(), why);
                true
            }
            Framed::Message { head, size, waits } => {
                self.append(head, size, waits);
                true
            }
            Framed::Command(text) => {
                match command::parse(&text) {
                    Ok((tag, command)) => self.run(tag, command),
                    Err(_) if is_http(&text) => self.bye("this is IMAP", Reason::NotOurProtocol),
                    Err(bad) => self.bad(bad.tag.as_deref(), bad.why),
                }
                true
            }
        }
    }

    fn run(&mut self, tag: String, command: Command) {
        let errors = self.errors_in_a_row;
        match command {
            Command::Capability => {
                let capabilities = self.capabilities();
                self.untagged(&format!("CAPABILITY {capabilities}"));
                self.finish(tag, "OK done", Lsn(0));
            }
            Command::Noop => self.finish(tag, "OK done", Lsn(0)),
            Command::Logout => {
                self.untagged("BYE logging out");
                self.tagged(&tag, "OK done");
                self.close(Reason::Quit);
            }
            Command::StartTls => self.start_tls(&tag),
            Command::Login { login, password } => self.log_in(tag, login, password),
            Command::Authenticate { mechanism, initial } => self.authenticate(tag, &mechanism, initial),
            Command::List {
                reference,
                pattern,
                lsub,
            } => self.list(tag, reference, pattern, lsub),
            Command::Select { mailbox, read_only } => self.select(tag, mailbox, read_only),
            Command::Status { mailbox, items } => self.status(tag, mailbox, items),
            Command::Close { expunge } => self.close_mailbox(tag, expunge),
            Command::Fetch { set, items, uid } => self.fetch(tag, &set, items, uid),
            Command::Store {
                set,
                change,
                silent,
                uid,
            } => self.store(tag, &set, change, silent, uid),
            Command::Expunge => self.expunge(tag, None),
            Command::UidExpunge(set) => self.expunge(tag, Some(&set)),
            Command::Idle => self.idle(tag),
        }
        if self.errors_in_a_row == errors {
            self.errors_in_a_row = 0;
        }
    }

    /// Whether a login has been made; else the command is refused.
    fn needs_login(&mut self, tag: &str) -> Option<Login> {
        if self.login.is_none() {
            self.bad(Some(tag), "log in first");
        }
        self.login.clone()
    }

    /// Whether a mailbox is selected; else the command is refused.
    fn needs_view(&mut self, tag: &str) -> bool {
        if self.view.is_none() {
            self.bad(Some(tag), "select a mailbox first");
        }
        self.view.is_some()
    }

    /// Sequence numbers or UIDs of a set, as intervals of sequence numbers; a number beyond the last message is refused.
    fn numbers(&mut self, tag: &str, set: &command::SequenceSet, uid: bool) -> Option<Vec<(u32, u32)>> {
        let view = self.view.as_ref()?;
        if uid {
            return Some(view.numbers_of(&set.intervals(view.last_uid())));
        }
        let numbers = set.intervals(view.exists());
        if numbers.first().is_some_and(|(first, _)| *first == 0)
            || numbers.last().is_some_and(|(_, last)| *last > view.exists())
        {
            self.bad(Some(tag), "there is no such message");
            return None;
        }
        Some(numbers)
    }

    fn answered(&mut self, pending: Pending, value: Value) {
        match (pending, value) {
            (Pending::Tls, Value::Tls(outcome)) => self.tls_known(outcome),
            (Pending::Password(tag), Value::Password(verdict)) => self.password_known(&tag, verdict),
            (
                Pending::List {
                    tag,
                    reference,
                    pattern,
                    lsub,
                },
                Value::Mailboxes(list),
            ) => {
                self.listed(tag, &reference, &pattern, lsub, list);
            }
            (Pending::Select { tag, read_only }, Value::Opened(opened)) => self.selected(tag, read_only, opened),
            (Pending::Status { tag, name, items }, Value::Opened(opened)) => self.status_known(tag, &name, &items, opened),
            (Pending::Changes { then }, Value::Pulled(pulled)) => self.pulled(then, pulled),
            (Pending::Digests, Value::Digests(digests)) => self.digests_known(digests),
            (Pending::Bodies, Value::Bodies(opened)) => self.bodies_opened(opened),
            (Pending::Seen, Value::Flags(set)) => self.seen_set(set),
            (Pending::Flags { tag, silent, expunge }, Value::Flags(set)) => self.flags_set(tag, silent, expunge, set),
            (Pending::Expunged { tag }, Value::Expunged(done)) => self.expunged(tag, done),
            (Pending::Closed { tag }, Value::Expunged(_)) => self.closed(&tag),
            (Pending::AppendTo, Value::Opened(opened)) => self.append_to(opened),
            (Pending::AppendSink, Value::Sink(opened)) => self.append_sink(opened),
            (Pending::Appended, Value::Appended(done)) => self.appended(done),
            _ => panic!("an answer of another kind than the question"),
        }
    }

    fn received(&mut self, bytes: &[u8]) {
        if self.closing.is_some() {
            return;
        }
        if self.login.is_some() {
            self.silence = self.now.instant.after(limits::IMAP_AUTOLOGOUT);
        }
        self.framer.push(bytes);
    }

    fn tick(&mut self) {
        let now = self.now.instant;
        let stuck = self
            .offered
            .is_some_and(|since| since.after(limits::SMTP_COMMAND_TIMEOUT) <= now);
        let late = self.patience.filter(|deadline| deadline.at <= now);
        if stuck || late.is_some() && self.closing.is_some() {
            self.send = Vec::new();
            self.sent = 0;
            self.offered = None;
            self.patience = None;
            self.close(Reason::Timeout("the peer does not read"));
        } else if let Some(deadline) = late {
            self.bye("the store does not answer", Reason::Timeout(deadline.why));
        } else if self.silence <= now && self.closing.is_none() && !matches!(self.job, Job::Waiting | Job::Fetch(_)) {
            self.bye("autologout", Reason::Timeout("the client is silent"));
        } else if self.silence <= now {
            self.silence = now.after(limits::IMAP_LOGIN_TIMEOUT);
        } else {
            self.still_here();
        }
    }

    fn until(&self) -> Deadline {
        let silence = Deadline {
            at: self.silence,
            why: "the client is silent",
        };
        let offered = self.offered.map(|since| Deadline {
            at: since.after(limits::SMTP_COMMAND_TIMEOUT),
            why: "the peer does not read",
        });
        let still_here = match &self.job {
            Job::Idle { still_here, .. } => Some(Deadline {
                at: *still_here,
                why: "still here",
            }),
            Job::None | Job::Waiting | Job::Tls | Job::Sasl(_) | Job::Fetch(_) | Job::Append(_) => None,
        };
        [offered, still_here, self.patience]
            .into_iter()
            .flatten()
            .fold(silence, Deadline::min)
    }
}

/// An HTTP request line, or one of its fields (S64).
fn is_http(text: &[u8]) -> bool {
    ["GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "CONNECT ", "Host: "]
        .iter()
        .any(|verb| text.starts_with(verb.as_bytes()))
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
            Input::Body(chunk) => self.body_came(chunk),
            Input::Answer(answer) => {
                let pending = self.slots.take(answer.id);
                if self.closing.is_none() {
                    self.answered(pending, answer.value);
                }
            }
            Input::Notice(Notice::Changed { mailbox, lsn }) => {
                if self.view.as_ref().is_some_and(|view| view.mailbox == mailbox) {
                    self.news = self.news.max(lsn);
                }
            }
            Input::Notice(Notice::Shutdown) => self.stopping = true,
            Input::Notice(Notice::Shed) => self.bye("too busy", Reason::Shutdown),
            Input::Tick => self.tick(),
        }
    }

    fn poll(&mut self) -> Output<'_, Ask> {
        if self.body.is_none() && self.asks.is_empty() {
            self.advance();
            self.tls_may_begin();
        }
        if let Some(range) = self.body.take() {
            return Output::Body(self.framer.bytes(range));
        }
        if let Some(ask) = self.asks.pop_front() {
            return Output::Ask(ask);
        }
        if let Some(why) = self.closing
            && self.send.is_empty()
        {
            let linger = Deadline {
                at: self.now.instant.after(limits::LINGER),
                why: "draining",
            };
            return Output::Close(Close {
                why,
                linger: (!self.eof).then_some(linger),
            });
        }
        let low = self.send.len() - self.sent < limits::SEND_HIGH_WATER;
        Output::Wait(Wait {
            send: &self.send[self.sent..],
            read: self.closing.is_none() && !self.eof && self.reads(),
            body: low && self.wants_body(),
            until: Some(self.until()),
        })
    }
}

impl Session {
    fn reads(&self) -> bool {
        match &self.job {
            Job::Append(job) if job.reads() => true,
            Job::Tls => false,
            Job::None | Job::Sasl(_) => true,
            // A hang-up is to be noticed during work; a little may come meanwhile.
            Job::Waiting | Job::Idle { .. } | Job::Fetch(_) | Job::Append(_) => self.framer.buffered() < limits::IMAP_BACKLOG,
        }
    }

    fn wants_body(&self) -> bool {
        match &self.job {
            Job::Fetch(job) => job.wants_body(),
            Job::None | Job::Waiting | Job::Tls | Job::Sasl(_) | Job::Append(_) | Job::Idle { .. } => false,
        }
    }

    /// A body's chunk, for the fetch that opened it.
    fn body_came(&mut self, chunk: Result<&[u8], BodyError>) {
        if self.closing.is_none() {
            self.fetch_body(chunk);
        }
    }
}
