//! The framer: cuts what a client sends into commands, before any grammar is applied.
//!
//! A command is lines joined by literals (RFC 3501 §4.3). The framer finds the ends of lines and the literals between them,
//! looks at each byte once, and keeps one command within one budget (S30). What it hands out is the command as it came
//! ([`Framed`]), with marks where its literals lie; [`command::parse`](super::command::parse) does the rest.
//!
//! ```text
//!            {n} {n+}                  n octets
//!   Text ─────────────► Literal ───────────────► Text        CRLF without a literal: Event::Command
//!     │  message of APPEND
//!     ├────────► Offered ──accept_message──► Message ──n octets──► Tail ──CRLF──► Event::MessageEnd
//!     │ error       └─drop_message─┐            └─drop_message─┐     │ error
//!     └──────────► SkipText ◄──────┴── SkipLiteral ◄───────────┘─────┘      ends with Refused or MessageEnd
//!
//!   A dropped message that the client has not begun to send: Offered ──drop_message──► Dropped ──► Event::MessageEnd
//! ```
//!
//! Each command ends in exactly one of [`Event::Command`], [`Event::Refused`] and [`Event::MessageEnd`], so the count of
//! tagged replies equals the count of commands (S32).

use alloc::vec::Vec;
use zeroize::Zeroize;

use super::command::append::{self, AppendHead};
use super::command::{Bad, Command, Tag, tag_of};
use super::mailbox_name::Names;
use crate::limits;

mod announced;
mod event;
#[cfg(test)]
mod tests;

use announced::Announced;
pub use event::{Event, Framed, Literal};

/// Cuts a client's bytes into commands; see the [module text](self).
///
/// Give it bytes with [`receive`](Framer::receive), then [`poll`](Framer::poll) until `None`.
#[derive(Debug, Default)]
pub struct Framer {
    /// What has come and is not consumed before `start`.
    received: Vec<u8>,
    /// Where the command begins.
    start: usize,
    /// Where its current text line begins.
    line: usize,
    /// Everything before has been looked at.
    scan: usize,
    state: State,
    literals: Vec<Literal>,
    /// The command that `literals` belongs to has been handed out.
    handed_out: bool,
    /// What a skipped command is refused with; `None`: it ends in `MessageEnd`.
    refusal: Option<Bad>,
    /// The tag of the APPEND whose message is on its way.
    append_tag: Option<Tag>,
    logged_in: bool,
    names: Names,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum State {
    /// In a text line of a command.
    #[default]
    Text,
    /// In a literal that ends at this place of `received`.
    Literal { end: usize },
    /// The next line is wanted as it is (IDLE).
    RawLine,
    /// The message of APPEND waits for a decision.
    Offered { size: u64, synchronising: bool },
    /// The message of APPEND is being taken.
    Message { remaining: u64 },
    /// Behind the message of APPEND.
    Tail,
    /// The command is over without its synchronising message.
    Dropped,
    /// In a text line of a refused command.
    SkipText,
    /// In a raw line that is refused: no literal is announced in it.
    SkipLine,
    /// In a literal of a refused command.
    SkipLiteral { remaining: u64 },
}

/// One step of the state machine: places in `received`, so that nothing is borrowed between steps.
enum Step {
    Again,
    Wait,
    Command {
        start: usize,
        end: usize,
    },
    Line {
        start: usize,
        end: usize,
    },
    Continue,
    Message {
        tag: Tag,
        command: Command,
        size: u64,
        synchronising: bool,
        literal8: bool,
    },
    End,
}

const TOO_LONG: &str = "command is too long";
const BARE: &str = "a line ends in CRLF, and CR and LF stand nowhere else";

impl Framer {
    /// For a session that is not logged in.
    pub fn new() -> Self {
        Framer::default()
    }

    /// From now on the greater budget and LITERAL+ hold, and APPEND's message is offered.
    pub fn log_in(&mut self) {
        self.logged_in = true;
    }

    /// From now on mailbox names have this form.
    pub fn set_names(&mut self, names: Names) {
        self.names = names;
    }

    /// Takes bytes from the client.
    pub fn receive(&mut self, bytes: &[u8]) {
        self.release();
        if self.start > self.received.len() / 2 {
            self.received.drain(..self.start); // moves less than it drops: linear in all
            self.line -= self.start;
            self.scan -= self.start;
            if let State::Literal { end } = &mut self.state {
                *end -= self.start;
            }
            self.start = 0;
        }
        self.received.extend_from_slice(bytes);
    }

    /// What has come, or `None`: more bytes are needed (or a decision on a message).
    pub fn poll(&mut self) -> Option<Event<'_>> {
        self.release();
        loop {
            let step = match self.state {
                State::Text => self.text(),
                State::Literal { end } => self.literal(end),
                State::RawLine => self.raw_line(),
                State::Offered { .. } => Step::Wait,
                State::Message { remaining } => self.message(remaining),
                State::Tail => self.tail(),
                State::Dropped => self.end(),
                State::SkipText | State::SkipLine => self.skip_text(),
                State::SkipLiteral { remaining } => self.skip_literal(remaining),
            };
            return match step {
                Step::Again => continue,
                Step::Wait => {
                    self.release();
                    None
                }
                Step::Command { start, end } => Some(Event::Command(Framed {
                    text: &self.received[start..end],
                    literals: &self.literals,
                })),
                Step::Line { start, end } => Some(Event::Line(&self.received[start..end])),
                Step::Continue => Some(Event::Continue),
                Step::Message {
                    tag,
                    command,
                    size,
                    synchronising,
                    literal8,
                } => Some(Event::Message {
                    tag,
                    command,
                    size,
                    synchronising,
                    literal8,
                }),
                Step::End => Some(self.refusal.take().map_or(Event::MessageEnd, Event::Refused)),
            };
        }
    }

    /// The next line is wanted as it is, as [`Event::Line`]: after IDLE.
    ///
    /// # Panics
    /// Within a command: the host's bug.
    pub fn expect_line(&mut self) {
        assert_eq!(self.state, State::Text, "a raw line within a command");
        assert_eq!(self.start, self.scan, "a raw line within a command");
        self.state = State::RawLine;
    }

    /// Takes the offered message: the host has sent `+ ` if it is synchronising.
    ///
    /// # Panics
    /// When none is offered.
    pub fn accept_message(&mut self) {
        let State::Offered { size, .. } = self.state else {
            panic!("no message is offered");
        };
        self.state = State::Message { remaining: size };
    }

    /// Drops the message that is offered or being taken; what the client has begun to send of it is consumed.
    /// [`Event::MessageEnd`] tells when the reply is due.
    ///
    /// # Panics
    /// When there is none.
    pub fn drop_message(&mut self) {
        self.state = match self.state {
            State::Offered { synchronising: true, .. } => State::Dropped,
            State::Offered { size, .. } => State::SkipLiteral { remaining: size },
            State::Message { remaining } => State::SkipLiteral { remaining },
            State::Text
            | State::Literal { .. }
            | State::RawLine
            | State::Tail
            | State::Dropped
            | State::SkipText
            | State::SkipLine
            | State::SkipLiteral { .. } => panic!("no message to drop"),
        };
        self.append_tag = None;
    }

    /// The next octets of the accepted message, at most `max`; empty when none have come.
    pub fn take_message(&mut self, max: usize) -> &[u8] {
        self.release();
        let State::Message { remaining } = &mut self.state else {
            return &[];
        };
        let start = self.scan;
        let has = self.received.len() - start;
        let len = has.min(max).min(usize::try_from(*remaining).unwrap_or(usize::MAX));
        *remaining -= len as u64;
        self.consume_to(start + len);
        &self.received[start..start + len]
    }

    /// Octets of the accepted message that have not been taken.
    pub fn message_remaining(&self) -> u64 {
        match self.state {
            State::Message { remaining } => remaining,
            State::Text
            | State::Literal { .. }
            | State::RawLine
            | State::Offered { .. }
            | State::Tail
            | State::Dropped
            | State::SkipText
            | State::SkipLine
            | State::SkipLiteral { .. } => 0,
        }
    }

    /// Octets received and not yet part of an event: those behind STARTTLS (S04).
    pub fn buffered(&self) -> usize {
        self.received.len() - self.start
    }

    /// Whether a command that is not over is refused already.
    pub fn refuses(&self) -> bool {
        matches!(self.state, State::SkipText | State::SkipLine | State::SkipLiteral { .. })
    }

    /// Octets of memory held.
    pub fn memory(&self) -> usize {
        self.received.capacity() + self.literals.capacity() * size_of::<Literal>()
    }

    fn budget(&self) -> usize {
        if self.logged_in {
            limits::IMAP_COMMAND
        } else {
            limits::IMAP_COMMAND_BEFORE_LOGIN
        }
    }

    /// Gives back what the last event lent out.
    fn release(&mut self) {
        if self.handed_out {
            self.literals = Vec::new();
            self.handed_out = false;
        }
        if self.start == self.received.len() && self.start > 0 {
            if !self.logged_in {
                self.received.zeroize(); // a password may have been in it
            }
            self.received = Vec::new(); // an idle session owns no buffer
            self.consume_to(0);
        }
    }

    fn consume_to(&mut self, place: usize) {
        self.start = place;
        self.line = place;
        self.scan = place;
    }

    fn text(&mut self) -> Step {
        match self.line_end() {
            LineEnd::Unfinished if self.scan - self.start > self.budget() => self.refuse_line(TOO_LONG),
            LineEnd::Unfinished => Step::Wait,
            LineEnd::Bare if self.scan - self.start > self.budget() => self.refuse_line(TOO_LONG),
            LineEnd::Bare => self.refuse_line(BARE),
            LineEnd::At(end) => {
                let announced = Announced::at_end_of(&self.received[self.line..end]);
                if self.scan - self.start > self.budget() {
                    return self.refuse(TOO_LONG, announced);
                }
                let Some(announced) = announced else {
                    let start = self.start;
                    self.consume_to(self.scan);
                    self.handed_out = true;
                    return Step::Command { start, end };
                };
                self.literal_announced(announced, end)
            }
        }
    }

    /// A text line of a command ends at `end` in an announced literal.
    fn literal_announced(&mut self, announced: Announced, end: usize) -> Step {
        let brace = end - announced.len;
        // The message is APPEND's first or second literal: no command is looked at more than twice.
        if self.logged_in && self.literals.len() < 2 {
            let head = Framed {
                text: &self.received[self.start..brace - usize::from(announced.literal8)],
                literals: &self.literals,
            };
            match append::parse_head(head, self.names) {
                AppendHead::Other => {}
                AppendHead::Wrong(text) => return self.refuse(text, Some(announced)),
                AppendHead::Message(tag, command) => return self.offer(tag, command, announced),
            }
        }
        if announced.literal8 {
            return self.refuse("literal8 (~{n}) is only for APPEND's message, after login", Some(announced));
        }
        let room = self.budget() - (self.scan - self.start);
        let size = usize::try_from(announced.size).unwrap_or(usize::MAX);
        if size > room {
            return self.refuse(TOO_LONG, Some(announced));
        }
        if self.literals.len() >= limits::IMAP_LITERALS {
            return self.refuse("too many literals", Some(announced));
        }
        if !announced.synchronising && !self.logged_in && announced.size > limits::IMAP_LITERAL_MINUS {
            return self.refuse("{n+} is at most 4096 before login", Some(announced));
        }
        self.literals.push(Literal {
            brace: brace - self.start,
            start: self.scan - self.start,
            end: self.scan - self.start + size,
        });
        self.state = State::Literal { end: self.scan + size };
        if announced.synchronising {
            Step::Continue
        } else {
            Step::Again
        }
    }

    fn offer(&mut self, tag: Tag, command: Command, announced: Announced) -> Step {
        self.append_tag = Some(tag.clone());
        self.consume_to(self.scan);
        self.handed_out = true;
        self.state = State::Offered {
            size: announced.size,
            synchronising: announced.synchronising,
        };
        Step::Message {
            tag,
            command,
            size: announced.size,
            synchronising: announced.synchronising,
            literal8: announced.literal8,
        }
    }

    fn literal(&mut self, end: usize) -> Step {
        if self.received.len() < end {
            return Step::Wait;
        }
        self.scan = end;
        self.line = end;
        self.state = State::Text;
        Step::Again
    }

    fn raw_line(&mut self) -> Step {
        match self.line_end() {
            LineEnd::Unfinished if self.scan - self.start > self.budget() => self.refuse_line(TOO_LONG),
            LineEnd::Unfinished => Step::Wait,
            LineEnd::Bare if self.scan - self.start > self.budget() => self.refuse_line(TOO_LONG),
            LineEnd::Bare => self.refuse_line(BARE),
            LineEnd::At(_) if self.scan - self.start > self.budget() => self.refuse(TOO_LONG, None),
            LineEnd::At(end) => {
                let start = self.start;
                self.consume_to(self.scan);
                self.state = State::Text;
                Step::Line { start, end }
            }
        }
    }

    fn message(&mut self, remaining: u64) -> Step {
        if remaining > 0 {
            return Step::Wait;
        }
        self.state = State::Tail;
        Step::Again
    }

    /// `append = … SP literal`, and nothing behind it (MULTIAPPEND is not offered).
    fn tail(&mut self) -> Step {
        match &self.received[self.scan..] {
            [] | [b'\r'] => Step::Wait,
            [b'\r', b'\n', ..] => {
                self.append_tag = None;
                self.consume_to(self.scan + 2);
                self.end()
            }
            _ => {
                self.refusal = Some(Bad {
                    tag: self.append_tag.take(),
                    text: "APPEND takes one message and nothing behind it",
                });
                self.state = State::SkipText;
                Step::Again
            }
        }
    }

    fn skip_text(&mut self) -> Step {
        let end = self.line_end();
        if let LineEnd::At(end) = end {
            let raw = self.state == State::SkipLine;
            let announced = Announced::at_end_of(&self.received[self.line..end]);
            return self.skip(announced.filter(|_| !raw));
        }
        // Only what may announce a literal is kept of the line.
        self.line = self.line.max(self.scan.saturating_sub(Announced::LEN_MAX));
        self.start = self.line;
        match end {
            LineEnd::Bare => Step::Again,
            LineEnd::Unfinished | LineEnd::At(_) => Step::Wait,
        }
    }

    fn skip_literal(&mut self, remaining: u64) -> Step {
        let has = (self.received.len() - self.scan) as u64;
        let now = has.min(remaining);
        self.consume_to(self.scan + now as usize);
        if now < remaining {
            self.state = State::SkipLiteral {
                remaining: remaining - now,
            };
            return Step::Wait;
        }
        self.state = State::SkipText;
        Step::Again
    }

    /// Refuses the command in the middle of a line.
    fn refuse_line(&mut self, text: &'static str) -> Step {
        self.mark_refused(text);
        let raw = self.state == State::RawLine;
        self.state = if raw { State::SkipLine } else { State::SkipText };
        self.line = self.line.max(self.scan.saturating_sub(Announced::LEN_MAX));
        self.start = self.line;
        Step::Again
    }

    /// Refuses the command at the end of a line.
    fn refuse(&mut self, text: &'static str, announced: Option<Announced>) -> Step {
        self.mark_refused(text);
        self.skip(announced)
    }

    fn mark_refused(&mut self, text: &'static str) {
        let within_command = self.state != State::RawLine;
        let tag = within_command
            .then(|| tag_of(&self.received[self.start..self.scan]))
            .flatten();
        self.refusal = Some(Bad { tag, text });
        self.literals = Vec::new();
    }

    /// A line of a refused command has ended. A client that waits for `+ ` is answered now; else its literal is on its way.
    fn skip(&mut self, announced: Option<Announced>) -> Step {
        self.consume_to(self.scan);
        match announced {
            Some(literal) if !literal.synchronising => {
                self.state = State::SkipLiteral { remaining: literal.size };
                Step::Again
            }
            Some(_) | None => self.end(),
        }
    }

    fn end(&mut self) -> Step {
        self.state = State::Text;
        Step::End
    }

    /// Looks for the end of the line, from where it looked last.
    fn line_end(&mut self) -> LineEnd {
        let Some(found) = memchr::memchr2(b'\r', b'\n', &self.received[self.scan..]) else {
            self.scan = self.received.len();
            return LineEnd::Unfinished;
        };
        let at = self.scan + found;
        match self.received[at..] {
            [b'\r'] => {
                self.scan = at;
                LineEnd::Unfinished
            }
            [b'\r', b'\n', ..] => {
                self.scan = at + 2;
                LineEnd::At(at)
            }
            _ => {
                self.scan = at + 1;
                LineEnd::Bare
            }
        }
    }
}

enum LineEnd {
    /// It has not come.
    Unfinished,
    /// A CR or LF alone, before `scan`.
    Bare,
    /// Its CR is here.
    At(usize),
}
