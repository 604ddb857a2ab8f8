//! The message itself: read run by run, stuffed with dots, sent.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::time::Duration;

use super::ask::{Ask, BodyOpened, Outcome};
use super::reply::ours;
use super::{Pending, Session, State, Step};
use crate::limits;
use crate::machine::{BodyError, Reason};
use crate::message::recode::{Aim, Recoder};

/// How far a message has been read.
#[derive(Debug)]
pub(super) struct Run {
    /// Octets that were asked for.
    asked: u64,
    /// Octets of the open run that are still to come.
    rest: u64,
    /// The host has opened it.
    open: bool,
}

const SENDING: (Duration, &str) = (limits::CLIENT_BLOCK_TIMEOUT, "sending the message");

impl Run {
    pub(super) fn new() -> Run {
        Run {
            asked: 0,
            rest: 0,
            open: false,
        }
    }

    /// Octets of the open run that are still to come.
    #[cfg(test)]
    pub(super) fn rest(&self) -> u64 {
        self.rest
    }
}

impl Session {
    fn run(&mut self) -> Option<&mut Run> {
        match &mut self.state {
            State::Scanning(run) | State::Message(run) => Some(run),
            State::Commands | State::Tls | State::Choosing | State::Reporting | State::Quitting => None,
        }
    }

    /// Asks for the next run, or comes to the message's end.
    pub(super) fn read_on(&mut self) {
        let Some(work) = &self.work else { return };
        let (id, size) = (work.transaction.id, work.transaction.size);
        let Some(run) = self.run() else { return };
        let len = (size - run.asked).min(limits::RUN_BYTES);
        if len == 0 {
            return self.message_read();
        }
        let start = run.asked;
        *run = Run {
            asked: start + len,
            rest: len,
            open: false,
        };
        let then = self.slots.ask(Pending::Body);
        self.asks.push_back(Ask::OpenBody { id, start, len, then });
        self.wait_for_message();
    }

    /// The message was read to its end.
    fn message_read(&mut self) {
        let Some(work) = &mut self.work else { return };
        if matches!(self.state, State::Scanning(_)) {
            if let Some(survey) = work.survey.take() {
                let plan = survey.finish(Aim::SevenBit);
                if !plan.gives_seven_bit() {
                    return self.needs_eight_bit();
                }
                work.recoder = (!plan.is_empty()).then(|| Box::new(Recoder::new(plan)));
            }
            self.state = State::Commands;
            return self.send_envelope();
        }
        if let Some(recoder) = work.recoder.take() {
            let mut rest = Vec::new();
            recoder.finish(&mut rest);
            work.encoder.encode(&rest, &mut self.send);
        }
        core::mem::take(&mut work.encoder).finish(&mut self.send);
        self.state = State::Commands;
        self.queued = self.left + (self.send.len() - self.sent) as u64;
        self.awaits(Step::FinalDot);
        self.wait_for(SENDING);
    }

    pub(super) fn body_opened(&mut self, opened: BodyOpened) {
        if self.closing.is_some() {
            return;
        }
        match (self.run(), opened) {
            (Some(run), BodyOpened::Ready) => run.open = true,
            (_, BodyOpened::Failed(error)) => self.unreadable(error),
            (None, BodyOpened::Ready) => panic!("a body was opened that nobody waits for"),
        }
    }

    pub(super) fn wants_body(&self) -> bool {
        let room = self.send.len() - self.sent < limits::SEND_HIGH_WATER;
        match &self.state {
            State::Scanning(run) | State::Message(run) => run.open && run.rest > 0 && room,
            State::Commands | State::Tls | State::Choosing | State::Reporting | State::Quitting => false,
        }
    }

    pub(super) fn chunk(&mut self, chunk: Result<&[u8], BodyError>) {
        if self.closing.is_some() {
            return;
        }
        let bytes = match chunk {
            Ok(bytes) => bytes,
            Err(error) => return self.unreadable(error),
        };
        let run = self.run().expect("a chunk comes when it is wanted");
        run.rest = run.rest.checked_sub(bytes.len() as u64).expect("no more than was opened");
        let done = run.rest == 0;
        let Some(work) = &mut self.work else { return };
        if matches!(self.state, State::Scanning(_)) {
            match &mut work.survey {
                Some(survey) => survey.update(bytes),
                None if bytes.is_ascii() => {}
                None => return self.needs_eight_bit(),
            }
        } else {
            if self.sent * 2 >= self.send.len() {
                self.send.drain(..self.sent); // moving what is left is paid for by what has left
                self.sent = 0;
            }
            match &mut work.recoder {
                Some(recoder) => {
                    let mut recoded = Vec::new();
                    recoder.update(bytes, &mut recoded);
                    work.encoder.encode(&recoded, &mut self.send);
                }
                None => work.encoder.encode(bytes, &mut self.send),
            }
        }
        if done {
            self.read_on();
        } else {
            self.wait_for_message();
        }
    }

    /// RFC 6152 §3: the mail of others is not re-encoded; signatures would break. Of our own users', some parts cannot be.
    fn needs_eight_bit(&mut self) {
        let said = ours(
            554,
            [5, 6, 3],
            "the message has 8-bit octets, and the server does not offer 8BITMIME",
        );
        self.state = State::Commands;
        self.decide_rest(&Outcome::Failed(said));
        self.report();
    }

    /// Before MAIL only this message is concerned; later nothing but the end of the connection keeps the server from taking the
    /// part that was sent for the whole.
    fn unreadable(&mut self, error: BodyError) {
        let text = match error {
            BodyError::Missing => "the message is no longer there",
            BodyError::Corrupt => "the message is damaged",
            BodyError::Unreadable => "the message cannot be read",
        };
        let said = ours(451, [4, 3, 0], text);
        if matches!(self.state, State::Scanning(_)) {
            self.state = State::Commands;
            self.decide_rest(&Outcome::Deferred(said));
            self.report();
        } else {
            self.fail(Reason::BodyFailed, said);
        }
    }

    /// Who is waited for: the server, if something is offered to it, else the store.
    fn wait_for_message(&mut self) {
        if self.sent == self.send.len() {
            self.wait_for((limits::CLIENT_BODY_TIMEOUT, "reading the message"));
        } else if self.deadline.is_none_or(|deadline| deadline.why != SENDING.1) {
            // Else it is counted from the server's last progress, not from the store's.
            self.wait_for(SENDING);
        }
    }

    /// Octets have left; `all` of them.
    pub(super) fn message_left(&mut self, all: bool) {
        match &self.state {
            State::Message(_) if all => self.wait_for_message(),
            State::Message(_) if self.progress >= limits::SMTP_DATA_PROGRESS => {
                self.wait_for(SENDING);
            }
            State::Commands if self.awaited.front().is_some_and(|awaited| awaited.step == Step::FinalDot) => {
                if all {
                    self.wait_for(Step::FinalDot.patience());
                } else if self.progress >= limits::SMTP_DATA_PROGRESS {
                    self.wait_for(SENDING);
                }
            }
            State::Commands
            | State::Tls
            | State::Choosing
            | State::Scanning(_)
            | State::Message(_)
            | State::Reporting
            | State::Quitting => {}
        }
    }
}
