//! The IMAP server session (RFC 3501, RFC 9051): a machine over [`ask`].
//!
//! ```text
//!                LOGIN, AUTHENTICATE              SELECT, EXAMINE
//!   Not logged in ─────────────────► Logged in ─────────────────► Selected
//!     │  ▲                              ▲  │  ▲    CLOSE, UNSELECT,    │
//!     │  └─STARTTLS                     │  │  └──── SELECT that fails ─┘
//!     │                                 │  │
//!     └──── LOGOUT, timeout, too many errors, shutdown ────► Closing ──all sent──► Close
//! ```
//!
//! Commands are executed one at a time, in order; what the client pipelines waits in the framer. A command that is being
//! executed is what the session is `Doing`; one question is open at a time. Whatever a command changed is pulled and told before
//! its tagged reply (`finish.rs`), so that every session sees one order.

use alloc::boxed::Box;
use alloc::sync::Arc;

use crate::imap::command::Tag;
use crate::imap::frame::Framer;
use crate::imap::response::{self, Code, Condition};
use crate::imap::view::View;
use crate::limits;
use crate::machine::{Answer, Close, Deadline, Input, Machine, Output, Reason, Slots, Wait};
use crate::smtp::server::ask::TlsEvidence;
use crate::store::{AccountId, MailboxName};
use crate::time::{Instant, Now};
use crate::trace::{Marks, marks::What};

mod append;
pub mod ask;
mod dispatch;
mod expunge;
mod fetch;
mod finish;
mod idle;
mod list;
mod login;
mod outbox;
mod record;
pub mod script;
mod search;
mod select;
mod status;
mod store;
pub mod trace;
mod transfer;
mod tree;

use ask::{Ask, Notice, Settings, Value};
use outbox::Outbox;

/// One client's session; see the [module text](self).
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    /// Whether the stream is encrypted.
    secure: bool,
    framer: Framer,
    out: Outbox,
    slots: Slots<Wanted>,
    /// The next question to hand out.
    ask: Option<Ask>,
    /// The watch that ends before that.
    unwatch: Option<Ask>,
    account: Option<AccountId>,
    /// ENABLE IMAP4rev2 was given: names in UTF-8, ESEARCH in place of SEARCH, no RECENT (RFC 9051 Appendix E).
    rev2: bool,
    view: Option<Box<View>>,
    doing: Doing,
    /// Protocol errors in a row.
    errors: u32,
    login_failures: u32,
    now: Now,
    /// When the client last showed that it is there.
    heard: Instant,
    /// The client will send no more.
    eof: bool,
    /// The server stops: BYE at the next command boundary.
    shutdown: bool,
    closing: Option<Closing>,
    marks: Marks,
}

/// What is being executed.
#[derive(Debug, Default)]
enum Doing {
    /// Waiting for a command.
    #[default]
    Nothing,
    /// The reply to STARTTLS is being sent; then the handshake.
    StartTls,
    /// A password is being verified.
    Login {
        tag: Tag,
    },
    /// AUTHENTICATE waits for the client's response.
    Authenticate(Box<login::Authenticating>),
    /// The host answers what an exchange needs to go on.
    Authenticating(Box<login::Authenticating>),
    List(Box<list::Listing>),
    Select {
        tag: Tag,
        name: MailboxName,
        read_only: bool,
    },
    Status(Box<status::Counting>),
    Fetch(Box<fetch::Fetching>),
    Search(Box<search::Searching>),
    Store(Box<store::Storing>),
    Expunge {
        tag: Tag,
    },
    /// CLOSE expunges first.
    CloseMailbox {
        tag: Tag,
    },
    Append(Box<append::Appending>),
    /// The tree of mailboxes is being changed.
    Tree(Box<tree::Changing>),
    /// COPY, MOVE.
    Transfer(Box<transfer::Transferring>),
    Idle(idle::Idling),
    /// Changes are pulled and told, then the tagged reply is sent.
    Finish(Box<finish::Finish>),
}

/// What kind of answer the open question wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    Tls,
    Password,
    Salt,
    Proof,
    Mailboxes,
    Opened,
    Pulled,
    Digests,
    Bodies,
    Matched,
    Flags,
    Expunged,
    Sink,
    Appended,
    Tree,
    Transferred,
}

/// The session ends when everything is sent.
#[derive(Debug, Clone, Copy)]
struct Closing {
    why: Reason,
    until: Instant,
}

/// What a step of the machine led to.
enum Step {
    /// There is more to do.
    Again,
    /// Nothing to do before the next input.
    Rest,
    /// Octets of the message being appended can be written to its sink.
    Message,
}

impl Session {
    /// A session that greets its client. `machine`: its number, unique in the process, and the origin of its changes.
    pub fn new(settings: Arc<Settings>, secure: Option<TlsEvidence>, machine: u64, now: Now) -> Session {
        let mut session = Session {
            settings,
            secure: secure.is_some(),
            framer: Framer::new(),
            out: Outbox::default(),
            slots: Slots::new(machine),
            ask: None,
            unwatch: None,
            account: None,
            rev2: false,
            view: None,
            doing: Doing::Nothing,
            errors: 0,
            login_failures: 0,
            now,
            heard: now.instant,
            eof: false,
            shutdown: false,
            closing: None,
            marks: Marks::default(),
        };
        session.greet();
        session
    }

    /// Whether the client speaks IMAP4rev2.
    fn rev2(&self) -> bool {
        self.rev2
    }

    /// Octets of memory held beside the session itself.
    pub fn memory(&self) -> usize {
        self.framer.memory() + self.out.memory()
    }

    /// Writes the tagged reply to a command that changed nothing.
    fn reply(&mut self, tag: &Tag, condition: Condition, code: Option<&Code<'_>>, text: &str) {
        response::status(Some(tag), condition, code, text, self.out.end());
    }

    /// Says BYE and ends the session once that is sent.
    fn bye(&mut self, why: Reason, text: &str) {
        response::status(None, Condition::Bye, None, text, self.out.end());
        self.close(why);
    }

    fn close(&mut self, why: Reason) {
        let until = self.now.instant.after(limits::IMAP_LAST_WORDS);
        self.closing.get_or_insert(Closing { why, until });
        self.doing = Doing::Nothing;
        self.ask = None;
    }

    /// Ends the watch on the selected mailbox.
    fn deselect(&mut self) {
        if let Some(view) = self.view.take() {
            self.unwatch = Some(Ask::Unwatch { mailbox: view.mailbox() });
        }
    }

    fn step(&mut self) -> Step {
        if self.slots.open() > 0 || self.out.len() >= limits::SEND_HIGH_WATER {
            return Step::Rest;
        }
        match core::mem::take(&mut self.doing) {
            Doing::Nothing => self.next_command(),
            Doing::StartTls => self.step_start_tls(),
            Doing::Authenticate(authenticating) => self.step_authenticate(authenticating),
            Doing::List(listing) => self.step_list(listing),
            Doing::Fetch(fetching) => self.step_fetch(fetching),
            Doing::Search(searching) => self.step_search(searching),
            Doing::Store(storing) => self.step_store(storing),
            Doing::Append(appending) => self.step_append(appending),
            Doing::Idle(idling) => self.step_idle(idling),
            Doing::Finish(finish) => self.step_finish(finish),
            doing @ (Doing::Login { .. }
            | Doing::Authenticating(_)
            | Doing::Select { .. }
            | Doing::Status(_)
            | Doing::Expunge { .. }
            | Doing::Tree(_)
            | Doing::Transfer(_)
            | Doing::CloseMailbox { .. }) => {
                self.doing = doing; // its question is about to be asked
                Step::Rest
            }
        }
    }

    fn answered(&mut self, answer: Answer<Value>) {
        let wanted = self.slots.take(answer.id);
        assert!(wanted.fits(&answer.value), "an answer of another kind");
        if self.closing.is_some() {
            return;
        }
        match (core::mem::take(&mut self.doing), answer.value) {
            (Doing::StartTls, Value::Tls(outcome)) => self.tls(outcome),
            (Doing::Login { tag }, Value::Password(verdict)) => self.verified(tag, verdict),
            (Doing::Authenticating(authenticating), Value::Salt(salt)) => self.salted(authenticating, &salt),
            (Doing::Authenticating(authenticating), Value::Proof(verdict)) => self.proved(authenticating, verdict),
            (Doing::List(listing), Value::Mailboxes(list)) => self.listed(listing, list),
            (Doing::List(listing), Value::Opened(opened)) => self.list_counted(listing, opened),
            (Doing::Tree(changing), Value::Tree(done)) => self.tree_changed(*changing, done),
            (Doing::Transfer(transferring), Value::Transferred(done)) => self.transferred(&transferring, done),
            (Doing::Select { tag, name, read_only }, Value::Opened(opened)) => self.selected(tag, &name, read_only, opened),
            (Doing::Status(counting), Value::Opened(opened)) => self.counted(*counting, opened),
            (Doing::Append(appending), Value::Opened(opened)) => self.append_opened(appending, opened),
            (Doing::Append(appending), Value::Sink(sink)) => self.append_sink(appending, sink),
            (Doing::Append(appending), Value::Appended(done)) => self.appended(*appending, done),
            (Doing::Search(searching), Value::Matched(matched)) => self.matched(searching, matched),
            (Doing::Store(storing), Value::Flags(set)) => self.flags_stored(storing, set),
            (Doing::Store(storing), Value::Pulled(pulled)) => self.store_pulled(storing, pulled),
            (Doing::Expunge { tag }, Value::Expunged(done)) => self.expunged(tag, done),
            (Doing::CloseMailbox { tag }, Value::Expunged(done)) => self.close_expunged(tag, done),
            (Doing::Fetch(fetching), value) => self.fetch_answered(fetching, value),
            (Doing::Idle(idling), Value::Pulled(pulled)) => self.idle_pulled(idling, pulled),
            (Doing::Finish(finish), Value::Pulled(pulled)) => self.finish_pulled(finish, pulled),
            (doing, value) => unreachable!("{doing:?} asked for no {value:?}"),
        }
    }

    fn notice(&mut self, notice: Notice) {
        match notice {
            Notice::Changed { mailbox, lsn } => {
                if let Some(view) = self.view.as_mut().filter(|view| view.mailbox() == mailbox) {
                    view.learn(lsn);
                }
            }
            Notice::Shutdown => self.shutdown = true,
            Notice::Shed if self.closing.is_some() => {}
            // Within a literal no word of ours can be said.
            Notice::Shed if self.in_literal() => self.close(Reason::Shutdown),
            Notice::Shed => self.bye(Reason::Shutdown, "The server sheds load; try again later"),
        }
    }

    fn tick(&mut self) {
        if self.closing.is_some() || self.slots.open() > 0 {
            return;
        }
        let autologout = self.autologout();
        if autologout.at <= self.now.instant {
            let why = Reason::Timeout(autologout.why);
            if self.in_literal() {
                return self.close(why);
            }
            return self.bye(why, "Autologout; idle for too long");
        }
        self.still_here();
    }

    /// Between the head of a literal and its end.
    fn in_literal(&self) -> bool {
        matches!(&self.doing, Doing::Fetch(fetching) if fetching.in_literal())
    }

    fn autologout(&self) -> Deadline {
        let (after, why) = match self.account {
            Some(_) => (limits::IMAP_AUTOLOGOUT, "autologout"),
            None => (limits::IMAP_LOGIN_TIMEOUT, "login"),
        };
        Deadline {
            at: self.heard.after(after),
            why,
        }
    }

    /// The next deadline. While a question is open, it is not the client who keeps us waiting.
    fn until(&self) -> Option<Deadline> {
        if let Some(closing) = self.closing {
            return Some(Deadline {
                at: closing.until,
                why: "last words",
            });
        }
        let open = self.slots.open() > 0;
        let autologout = (!open).then(|| self.autologout());
        let still_here = match &self.doing {
            Doing::Idle(idling) if !open => Some(idling.still_here()),
            _ => None,
        };
        autologout.into_iter().chain(still_here).min()
    }

    /// Whether more bytes from the client are of use: a command's rest, or a little of the commands behind it.
    fn wants_bytes(&self) -> bool {
        let ahead = match &self.doing {
            Doing::StartTls => false,
            Doing::Nothing | Doing::Authenticate(_) | Doing::Idle(_) => true,
            Doing::Append(appending) if appending.wants_bytes() => true,
            _ => self.framer.buffered() < limits::IMAP_READ_AHEAD,
        };
        ahead && self.closing.is_none() && !self.eof && self.out.len() < limits::SEND_HIGH_WATER
    }
}

impl Machine for Session {
    type Ask = Ask;
    type Value = Value;
    type Notice = Notice;

    fn handle(&mut self, now: Now, input: Input<'_, Value, Notice>) {
        self.now = now;
        match input {
            Input::Received(bytes) => {
                if self.account.is_some() {
                    self.heard = now.instant;
                }
                self.marks.received(bytes.len());
                self.framer.receive(bytes);
            }
            Input::Eof => self.eof = true,
            Input::Sent(octets) => {
                self.out.sent(octets);
                if !matches!(self.doing, Doing::Idle(_)) && self.account.is_some() {
                    self.heard = now.instant; // it reads
                }
            }
            Input::Body(chunk) => self.body(chunk),
            Input::Answer(answer) => self.answered(answer),
            Input::Notice(notice) => self.notice(notice),
            Input::Tick => self.tick(),
        }
    }

    fn poll(&mut self) -> Output<'_, Ask> {
        loop {
            if let Some(ask) = self.unwatch.take().or_else(|| self.ask.take()) {
                return Output::Ask(ask);
            }
            if let Some(closing) = self.closing {
                if self.out.is_empty() || closing.until <= self.now.instant {
                    return Output::Close(Close {
                        why: closing.why,
                        linger: Some(Deadline {
                            at: self.now.instant.after(limits::LINGER),
                            why: "linger",
                        }),
                    });
                }
                break;
            }
            match self.step() {
                Step::Again => {}
                Step::Message => {
                    let before = self.framer.buffered();
                    let octets = self.framer.take_message(limits::SINK_CHUNK);
                    let behind = before - octets.len();
                    self.marks.note(behind, What::Message(octets.len() as u64));
                    if let Doing::Append(appending) = &mut self.doing {
                        appending.watch(octets);
                    }
                    return Output::Body(octets);
                }
                // A client that sends no more may still read what it asked for.
                Step::Rest if self.eof && self.slots.open() == 0 && self.out.is_empty() && !self.wants_body() => {
                    self.close(Reason::PeerGone);
                }
                Step::Rest => break,
            }
        }
        Output::Wait(Wait {
            read: self.wants_bytes(),
            body: self.wants_body(),
            until: self.until(),
            send: self.out.bytes(),
        })
    }
}

impl Wanted {
    fn fits(self, value: &Value) -> bool {
        self == match value {
            Value::Tls(_) => Wanted::Tls,
            Value::Password(_) => Wanted::Password,
            Value::Salt(_) => Wanted::Salt,
            Value::Proof(_) => Wanted::Proof,
            Value::Mailboxes(_) => Wanted::Mailboxes,
            Value::Opened(_) => Wanted::Opened,
            Value::Pulled(_) => Wanted::Pulled,
            Value::Digests(_) => Wanted::Digests,
            Value::Bodies(_) => Wanted::Bodies,
            Value::Matched(_) => Wanted::Matched,
            Value::Flags(_) => Wanted::Flags,
            Value::Expunged(_) => Wanted::Expunged,
            Value::Sink(_) => Wanted::Sink,
            Value::Appended(_) => Wanted::Appended,
            Value::Tree(_) => Wanted::Tree,
            Value::Transferred(_) => Wanted::Transferred,
        }
    }
}
