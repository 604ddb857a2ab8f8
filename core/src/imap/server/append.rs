//! APPEND (RFC 3501 §6.3.11): the message goes from the framer to the host's sink in pieces, and is committed when it is whole.
//!
//! ```text
//!   Asking ──Opened──► Opening ──Sink──► Streaming ──MessageEnd──► Committing ──AppendDone──► Finish
//!     │ no such mailbox    │ no room          │ NUL, Refused
//!     └────────────────────┴──► Dropping ◄────┘        the rest of the message is skipped, then comes the reply
//! ```

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{AppendDone, Ask, Opened};
use super::store::keywords_beyond;
use super::{Doing, Session, Step, Wanted};
use crate::imap::command::Tag;
use crate::imap::frame::Event;
use crate::imap::response::{self, Code, Condition};
use crate::imap::view::Expunges;
use crate::smtp::server::ask::SinkOpened;
use crate::store::request::Refused;
use crate::store::{Flags, MailboxKey, MailboxName};
use crate::time::UnixTime;

/// An APPEND in progress.
#[derive(Debug)]
pub(super) struct Appending {
    tag: Tag,
    name: MailboxName,
    flags: Flags,
    keywords: Vec<Arc<str>>,
    date: Option<UnixTime>,
    size: u64,
    synchronising: bool,
    /// It may have NULs (RFC 3516).
    literal8: bool,
    mailbox: Option<MailboxKey>,
    stage: Stage,
    /// The octets handed out last hold a NUL (`rules.md`, BINARYMIME and NUL).
    nul: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Asking,
    Opening,
    Streaming,
    Committing,
    Dropping(Wrong),
}

/// Why the message is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    NoMailbox,
    TooBig,
    Empty,
    Keywords,
    Nul,
    Full,
    Unavailable,
}

impl Appending {
    pub(super) fn new(
        tag: Tag,
        name: MailboxName,
        flags: Flags,
        keywords: Vec<Arc<str>>,
        date: Option<UnixTime>,
        size: u64,
        synchronising: bool,
        literal8: bool,
    ) -> Appending {
        Appending {
            tag,
            name,
            flags,
            keywords,
            date,
            size,
            synchronising,
            literal8,
            mailbox: None,
            stage: Stage::Asking,
            nul: false,
        }
    }

    /// Looks at octets on their way to the sink.
    pub(super) fn watch(&mut self, octets: &[u8]) {
        self.nul |= !self.literal8 && memchr::memchr(0, octets).is_some();
    }

    /// Whether octets of the message are wanted.
    pub(super) fn wants_bytes(&self) -> bool {
        matches!(self.stage, Stage::Streaming | Stage::Dropping(_))
    }
}

impl Session {
    /// The framer holds the message back until it is known what becomes of it.
    pub(super) fn append(&mut self, appending: Box<Appending>) {
        if appending.size > self.settings.message_max || appending.size > u64::from(u32::MAX) {
            return self.drop_offered(appending, Wrong::TooBig);
        }
        if appending.size == 0 {
            return self.drop_offered(appending, Wrong::Empty);
        }
        self.ask_mailbox(appending.name.clone(), false, false);
        self.doing = Doing::Append(appending);
    }

    /// The message that is offered or on its way is not taken.
    fn drop_offered(&mut self, mut appending: Box<Appending>, wrong: Wrong) {
        self.framer.drop_message();
        appending.stage = Stage::Dropping(wrong);
        self.doing = Doing::Append(appending);
    }

    pub(super) fn append_opened(&mut self, mut appending: Box<Appending>, opened: Opened) {
        let selected = match opened.0 {
            Ok(selected) => selected,
            Err(Refused::NoSuchMailbox) => return self.drop_offered(appending, Wrong::NoMailbox),
            Err(Refused::DiskFull) => return self.drop_offered(appending, Wrong::Full),
            Err(
                Refused::Limit(_)
                | Refused::Stopping
                | Refused::AlreadyExists
                | Refused::Cannot(_)
                | Refused::HasChildren
                | Refused::UseTaken
                | Refused::NoDestination
                | Refused::Expunged,
            ) => return self.drop_offered(appending, Wrong::Unavailable),
        };
        if keywords_beyond(&selected.version.keywords, &appending.keywords) {
            return self.drop_offered(appending, Wrong::Keywords);
        }
        appending.mailbox = Some(selected.mailbox);
        appending.stage = Stage::Opening;
        self.ask = Some(Ask::OpenMessage {
            size: appending.size,
            then: self.slots.ask(Wanted::Sink),
        });
        self.doing = Doing::Append(appending);
    }

    pub(super) fn append_sink(&mut self, mut appending: Box<Appending>, sink: SinkOpened) {
        match sink {
            SinkOpened::Ready => {
                self.framer.accept_message();
                if appending.synchronising {
                    response::continuation("Ready for the message", self.out.end());
                }
                appending.stage = Stage::Streaming;
                self.doing = Doing::Append(appending);
            }
            SinkOpened::Full => self.drop_offered(appending, Wrong::Full),
            SinkOpened::Failed => self.drop_offered(appending, Wrong::Unavailable),
        }
    }

    pub(super) fn step_append(&mut self, appending: Box<Appending>) -> Step {
        match appending.stage {
            Stage::Streaming => self.step_stream(appending),
            Stage::Dropping(wrong) => self.step_drop(appending, wrong),
            Stage::Asking | Stage::Opening | Stage::Committing => {
                self.doing = Doing::Append(appending); // its question is about to be asked
                Step::Rest
            }
        }
    }

    fn step_stream(&mut self, mut appending: Box<Appending>) -> Step {
        if appending.nul {
            self.ask = Some(Ask::DropMessage);
            self.drop_offered(appending, Wrong::Nul);
            return Step::Again;
        }
        if self.framer.message_remaining() > 0 {
            self.doing = Doing::Append(appending);
            return if self.framer.buffered() > 0 {
                Step::Message
            } else {
                Step::Rest
            };
        }
        let refused = match self.framer.poll() {
            None => {
                self.doing = Doing::Append(appending);
                return Step::Rest;
            }
            Some(Event::MessageEnd) => None,
            Some(Event::Refused(bad)) => Some(bad.text),
            Some(Event::Command(_) | Event::Continue | Event::Message { .. } | Event::Line(_)) => {
                unreachable!("a message was accepted")
            }
        };
        if let Some(text) = refused {
            self.ask = Some(Ask::DropMessage);
            self.bad(Some(&appending.tag), text);
            return Step::Again;
        }
        self.ask = Some(Ask::CommitAppend {
            mailbox: appending.mailbox.expect("it was opened"),
            flags: appending.flags,
            keywords: core::mem::take(&mut appending.keywords),
            internal_date: appending.date.unwrap_or(self.now.unix),
            then: self.slots.ask(Wanted::Appended),
        });
        appending.stage = Stage::Committing;
        self.doing = Doing::Append(appending);
        Step::Again
    }

    fn step_drop(&mut self, appending: Box<Appending>, wrong: Wrong) -> Step {
        let refused = match self.framer.poll() {
            None => {
                self.doing = Doing::Append(appending);
                return Step::Rest;
            }
            Some(Event::MessageEnd) => None,
            Some(Event::Refused(bad)) => Some(bad.text),
            Some(Event::Command(_) | Event::Continue | Event::Message { .. } | Event::Line(_)) => {
                unreachable!("a message was dropped")
            }
        };
        let tag = &appending.tag;
        if let Some(text) = refused {
            self.bad(Some(tag), text);
            return Step::Again;
        }
        match wrong {
            Wrong::NoMailbox => self.reply(tag, Condition::No, Some(&Code::TryCreate), "No such mailbox"),
            Wrong::TooBig => self.reply(tag, Condition::No, Some(&Code::TooBig), "The message is too big"),
            Wrong::Empty => self.reply(tag, Condition::No, Some(&Code::Cannot), "An empty message is not kept"),
            Wrong::Keywords => self.reply(tag, Condition::No, Some(&Code::Limit), "The mailbox has too many keywords"),
            Wrong::Nul => self.bad(Some(tag), "NUL in a literal"),
            Wrong::Full => self.reply(tag, Condition::No, Some(&Code::Limit), "The disk is full"),
            Wrong::Unavailable => self.reply(tag, Condition::No, Some(&Code::Unavailable), "Try again later"),
        }
        Step::Again
    }

    /// APPENDUID (RFC 4315 §3). In the selected mailbox, EXISTS comes before it.
    pub(super) fn appended(&mut self, appending: Appending, done: AppendDone) {
        match done.0 {
            Ok(appended) => {
                let key = appending.mailbox.expect("it was opened");
                if let Some(view) = self.view.as_mut().filter(|view| view.mailbox() == key) {
                    view.learn(appended.lsn);
                }
                let code = Code::AppendUid {
                    uid_validity: appended.uid_validity,
                    uid: appended.uid.0,
                };
                let text = "APPEND completed";
                self.finish(&appending.tag, Condition::Ok, Some(&code), text, Expunges::Tell, false);
            }
            Err(Refused::NoSuchMailbox) => {
                self.reply(&appending.tag, Condition::No, Some(&Code::TryCreate), "No such mailbox");
            }
            Err(refused) => self.refuse(&appending.tag, &refused),
        }
    }
}
