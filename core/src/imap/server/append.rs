//! APPEND (RFC 3501 §6.3.11): the message is streamed into a sink, and committed when its command is whole.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;

use super::ask::{AppendDone, Ask, Opened};
use super::store::refusal;
use super::{Job, Pending, Session};
use crate::imap::command::append::Append;
use crate::limits;
use crate::smtp::server::ask::SinkOpened;
use crate::store::{Lsn, MailboxKey};

/// A message on its way in.
pub(super) struct AppendJob {
    head: Append,
    size: u64,
    waits: bool,
    mailbox: Option<MailboxKey>,
    step: Step,
    nul: bool,
}

/// ```text
/// Mailbox -> Sink -> Reading -> Rest -> Committing
///    |         |
///    +---------+-- refused: the message is thrown away, then NO
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Is there such a mailbox?
    Mailbox,
    /// A sink is opened.
    Sink,
    /// The message's octets come.
    Reading,
    /// The rest of the command's line comes.
    Rest,
    /// It is committed.
    Committing,
    /// The client sends it all the same.
    Discarding(&'static str),
}

impl AppendJob {
    pub(super) fn has_sink(&self) -> bool {
        matches!(self.step, Step::Reading | Step::Rest)
    }

    pub(super) fn reads(&self) -> bool {
        matches!(self.step, Step::Reading | Step::Rest | Step::Discarding(_))
    }
}

impl Session {
    pub(super) fn append(&mut self, head: Append, size: u64, waits: bool) {
        self.job = Job::Append(Box::new(AppendJob {
            head,
            size,
            waits,
            mailbox: None,
            step: Step::Mailbox,
            nul: false,
        }));
        let Some(login) = &self.login else {
            return self.append_refused("BAD log in first");
        };
        if size > self.settings.message_max {
            return self.append_refused("NO [TOOBIG] the message is too large");
        }
        let (account, Job::Append(job)) = (login.account, &self.job) else {
            return;
        };
        let name = job.head.mailbox.clone();
        let then = self.wait(Pending::AppendTo);
        self.asks.push_back(Ask::Select {
            account,
            name,
            watch: false,
            take_recent: false,
            then,
        });
    }

    /// The message is not wanted: a client that waits is told at once, one that does not sends it first.
    fn append_refused(&mut self, text: &'static str) {
        let Job::Append(job) = &mut self.job else { return };
        if text.starts_with("BAD") {
            self.errors_in_a_row += 1;
        }
        let (waits, tag) = (job.waits, job.head.tag.clone());
        job.step = Step::Discarding(text);
        self.framer.refuse_message(waits, Some(tag.clone()), text);
        self.patience = None;
        if waits {
            self.finish(tag, text, Lsn(0));
        }
    }

    pub(super) fn append_to(&mut self, opened: Opened) {
        let Job::Append(job) = &mut self.job else { return };
        let Ok(selected) = opened.0 else {
            return self.append_refused("NO [TRYCREATE] no such mailbox");
        };
        job.mailbox = Some(selected.mailbox);
        job.step = Step::Sink;
        let size = job.size;
        let then = self.wait(Pending::AppendSink);
        self.asks.push_back(Ask::OpenMessage { size, then });
    }

    pub(super) fn append_sink(&mut self, opened: SinkOpened) {
        let Job::Append(job) = &mut self.job else { return };
        match opened {
            SinkOpened::Ready => {
                job.step = Step::Reading;
                if job.waits {
                    self.out().extend_from_slice(b"+ OK\r\n");
                }
                self.patience = None;
            }
            SinkOpened::Full => self.append_refused("NO [UNAVAILABLE] the disk is nearly full, try again later"),
            SinkOpened::Failed => self.append_refused("NO [UNAVAILABLE] the message cannot be taken now, try again later"),
        }
    }

    /// Takes more of the message, or the rest of its command.
    pub(super) fn append_goes_on(&mut self) -> bool {
        let Job::Append(job) = &mut self.job else { return false };
        match job.step {
            Step::Reading if self.framer.stream_left() > 0 => {
                let piece = self.framer.stream(limits::IMAP_PIECE);
                job.nul |= self.framer.bytes(piece.clone()).contains(&0);
                if piece.is_empty() {
                    return false;
                }
                if !job.nul {
                    self.body = Some(piece);
                }
                true
            }
            Step::Reading => {
                job.step = Step::Rest;
                true
            }
            Step::Rest => match self.framer.raw_line(limits::IMAP_COMMAND_BEFORE_LOGIN) {
                Ok(None) => false,
                Ok(Some(rest)) if rest.is_empty() && !job.nul => {
                    self.append_commits();
                    true
                }
                Ok(Some(_)) | Err(()) => {
                    let why = if job.nul {
                        "a literal must not hold NUL"
                    } else {
                        "one message, and nothing behind it"
                    };
                    let tag = job.head.tag.clone();
                    self.asks.push_back(Ask::DropMessage);
                    self.job = Job::None;
                    self.bad(Some(&tag), why);
                    true
                }
            },
            Step::Discarding(text) => match self.framer.next(self.budget()) {
                crate::imap::frame::Framed::Refused { tag, .. } => {
                    self.finish(tag.unwrap_or_else(|| "*".into()), text, Lsn(0));
                    true
                }
                _ => false,
            },
            Step::Mailbox | Step::Sink | Step::Committing => false,
        }
    }

    fn append_commits(&mut self) {
        let Job::Append(job) = &mut self.job else { return };
        job.step = Step::Committing;
        let mailbox = job.mailbox.expect("the mailbox was found");
        let (flags, keywords) = (job.head.flags, job.head.keywords.clone());
        let internal_date = job.head.date.unwrap_or(self.now.unix);
        let then = self.wait(Pending::Appended);
        self.asks.push_back(Ask::CommitAppend {
            mailbox,
            flags,
            keywords,
            internal_date,
            then,
        });
    }

    pub(super) fn appended(&mut self, done: AppendDone) {
        let Job::Append(job) = &self.job else { return };
        let (tag, mailbox) = (job.head.tag.clone(), job.mailbox);
        let own = self.view.as_ref().is_some_and(|view| Some(view.mailbox) == mailbox);
        match done.0 {
            Ok(done) => {
                let until = if own { done.lsn } else { Lsn(0) };
                let text: String = format!("OK [APPENDUID {} {}] done", done.uid_validity, done.uid);
                self.finish(tag, &text, until);
            }
            Err(why) => self.finish(tag, &refusal(&why), Lsn(0)),
        }
    }
}
