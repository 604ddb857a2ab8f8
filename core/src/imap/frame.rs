//! Framing: commands are cut out of the stream, with their literals, before anything is parsed (RFC 9051 §4.3, RFC 7888).
//!
//! One byte budget holds for a command over all its lines and literals (S30). No byte is looked at twice: the position up to which
//! the end of a line was searched is remembered. APPEND's message is never gathered: its literal is taken in pieces.
//!
//! ```text
//!          {n}: budget holds          n octets came
//! Line ------------------> Literal ------------------> Line ---- CRLF, no literal ----> Command
//!   |  \--- APPEND's message ---> Stream --- n octets taken ---> Line (the rest of the command)
//!   |  \--- {n+} over budget ---> Discard --- n octets and the rest of the command ---> Refused
//!   \------ line over budget ---> Skip ------ CRLF ---> Refused
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use memchr::{memchr, memchr2};

use super::command::append::{self, Append};

/// What may be gathered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Budget {
    /// Octets of a command in all.
    pub command: usize,
    /// Octets of a non-synchronising literal.
    pub non_synchronising: u64,
}

/// What the stream holds next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Framed {
    /// More bytes are needed.
    NeedMore,
    /// A whole command, its lines and literals as they came, without the last CRLF.
    Command(Vec<u8>),
    /// A synchronising literal that fits was announced: the client waits for `+`.
    Continue,
    /// APPEND's message comes next, in pieces.
    Message {
        /// The command before it.
        head: Append,
        /// Octets.
        size: u64,
        /// The client waits for `+` before it sends them.
        waits: bool,
    },
    /// The command is refused; all of it that has been or will be sent is out of the way.
    Refused {
        /// Its tag, if it had one.
        tag: Option<String>,
        /// Why.
        why: &'static str,
    },
}

/// The framer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Framer {
    buffer: Vec<u8>,
    /// The command begins here.
    start: usize,
    /// The line that is looked at begins here.
    line: usize,
    /// Up to here there is no end of that line.
    searched: usize,
    state: State,
}

#[derive(Debug, Clone, PartialEq, Eq, Default)]
enum State {
    #[default]
    Line,
    Literal {
        left: usize,
    },
    Stream {
        left: u64,
    },
    Discard {
        left: u64,
        tag: Option<String>,
        why: &'static str,
    },
    Skip {
        tag: Option<String>,
        why: &'static str,
    },
}

impl Framer {
    /// Takes received bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Octets that wait.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// Forgets everything: after STARTTLS.
    pub fn clear(&mut self) {
        *self = Framer::default();
    }

    /// Gives memory back.
    pub fn compact(&mut self) {
        if self.start == self.buffer.len() {
            self.buffer = Vec::new();
            (self.start, self.line, self.searched) = (0, 0, 0);
        } else if self.start > 0 {
            self.buffer.drain(..self.start);
            self.line -= self.start;
            self.searched = self.searched.saturating_sub(self.start);
            self.start = 0;
        }
    }

    /// Memory in use.
    pub fn capacity(&self) -> usize {
        self.buffer.capacity()
    }

    /// What comes next.
    pub fn next(&mut self, budget: Budget) -> Framed {
        loop {
            match &mut self.state {
                State::Line => match self.whole_line(budget) {
                    Some(framed) => return framed,
                    None => continue,
                },
                State::Literal { left } => {
                    let there = self.buffer.len() - self.line;
                    if there < *left {
                        return Framed::NeedMore;
                    }
                    self.line += *left;
                    self.searched = self.line;
                    self.state = State::Line;
                }
                State::Stream { .. } => return Framed::NeedMore,
                State::Discard { left, tag, why } => {
                    let take = (self.buffer.len() - self.start).min(usize::try_from(*left).unwrap_or(usize::MAX));
                    *left -= take as u64;
                    let done = (*left == 0).then(|| State::Skip { tag: tag.take(), why });
                    self.consume(self.start + take);
                    match done {
                        Some(skip) => self.state = skip,
                        None => return Framed::NeedMore,
                    }
                }
                State::Skip { .. } => match self.skip() {
                    Skipped::Refused(framed) => return framed,
                    Skipped::NeedMore => return Framed::NeedMore,
                    Skipped::GoOn => {}
                },
            }
        }
    }

    /// Takes up to `max` octets of APPEND's message: where they are in [`Framer::bytes`].
    pub fn stream(&mut self, max: usize) -> core::ops::Range<usize> {
        let State::Stream { left } = &mut self.state else {
            return 0..0;
        };
        let there = self.buffer.len() - self.start;
        let take = there.min(max).min(usize::try_from(*left).unwrap_or(usize::MAX));
        *left -= take as u64;
        if *left == 0 {
            self.state = State::Line;
        }
        let from = self.start;
        self.consume(from + take);
        from..from + take
    }

    /// Octets of the message still to come.
    pub fn stream_left(&self) -> u64 {
        match &self.state {
            State::Stream { left } => *left,
            State::Line | State::Literal { .. } | State::Discard { .. } | State::Skip { .. } => 0,
        }
    }

    /// The message that was announced is not wanted. If the client sends it all the same, it and the rest of the command go; then
    /// [`Framed::Refused`] comes with this tag.
    pub fn refuse_message(&mut self, waits: bool, tag: Option<String>, why: &'static str) {
        if let State::Stream { left } = self.state {
            self.state = if waits {
                State::Line
            } else {
                State::Discard { left, tag, why }
            };
        }
    }

    /// Lent bytes, by the range that [`Framer::stream`] gave; valid until the next `push` or `compact`.
    pub fn bytes(&self, range: core::ops::Range<usize>) -> &[u8] {
        &self.buffer[range]
    }

    /// The next line by itself, without CRLF: DONE, a SASL response, the rest of APPEND. `Err`: it is over the budget, or its end is
    /// not CRLF.
    pub fn raw_line(&mut self, max: usize) -> Result<Option<Vec<u8>>, ()> {
        let from = self.searched.max(self.start);
        let Some(end) = memchr(b'\n', &self.buffer[from..]).map(|at| from + at) else {
            self.searched = self.buffer.len();
            return if self.buffered() > max { Err(()) } else { Ok(None) };
        };
        let line = self.buffer[self.start..end].to_vec();
        self.consume(end + 1);
        match line.strip_suffix(b"\r") {
            Some(line) if line.len() <= max => Ok(Some(line.to_vec())),
            _ => Err(()),
        }
    }

    fn consume(&mut self, to: usize) {
        self.start = to;
        self.line = to;
        self.searched = to;
    }

    /// Works on the line that is being received. `None`: go on.
    fn whole_line(&mut self, budget: Budget) -> Option<Framed> {
        let Some(end) = memchr(b'\n', &self.buffer[self.searched..]).map(|at| self.searched + at) else {
            self.searched = self.buffer.len();
            if self.buffer.len() - self.start > budget.command {
                self.begin_skip("the command is too long");
                return None;
            }
            return Some(Framed::NeedMore);
        };
        self.searched = end + 1;
        if end + 1 - self.start > budget.command {
            // The whole line is here already.
            let tag = self.tag();
            self.consume(end + 1);
            return Some(Framed::Refused {
                tag,
                why: "the command is too long",
            });
        }
        let line = &self.buffer[self.line..end];
        let Some(text) = line.strip_suffix(b"\r").filter(|text| memchr2(b'\r', 0, text).is_none()) else {
            let tag = self.tag();
            self.consume(end + 1);
            return Some(Framed::Refused {
                tag,
                why: "lines end with CR LF, and hold no bare CR or NUL",
            });
        };
        let Some(literal) = Announced::at_end_of(text) else {
            let command = self.buffer[self.start..end - 1].to_vec();
            self.consume(end + 1);
            return Some(Framed::Command(command));
        };
        self.announced(literal, end + 1, budget)
    }

    fn announced(&mut self, literal: Announced, after: usize, budget: Budget) -> Option<Framed> {
        let head = append::parse_head(&self.buffer[self.start..after]);
        if let Some(head) = head.filter(|_| !literal.binary) {
            self.consume(after);
            self.state = State::Stream { left: literal.size };
            return Some(Framed::Message {
                head,
                size: literal.size,
                waits: !literal.non_synchronising,
            });
        }
        let gathered = (after - self.start) as u64;
        let fits = gathered.saturating_add(literal.size) <= budget.command as u64;
        let allowed = !literal.non_synchronising || literal.size <= budget.non_synchronising;
        if literal.binary || !fits || !allowed {
            let why = if literal.binary {
                "literal8 is not supported"
            } else {
                "the literal is too large"
            };
            let tag = self.tag();
            self.consume(after);
            if literal.non_synchronising {
                self.state = State::Discard {
                    left: literal.size,
                    tag,
                    why,
                };
                return None;
            }
            return Some(Framed::Refused { tag, why });
        }
        self.line = after;
        self.searched = after;
        self.state = State::Literal {
            left: usize::try_from(literal.size).expect("it fits the budget"),
        };
        (!literal.non_synchronising).then_some(Framed::Continue)
    }

    fn begin_skip(&mut self, why: &'static str) {
        let tag = self.tag();
        self.consume(self.buffer.len());
        self.state = State::Skip { tag, why };
    }

    /// Throws the rest of a command away, literals that follow at once with it, in constant memory.
    fn skip(&mut self) -> Skipped {
        let Some(end) = memchr(b'\n', &self.buffer[self.start..]).map(|at| self.start + at) else {
            // Only an announcement at the end of the line matters: keep as much as one is long.
            let keep = self.buffer.len().saturating_sub(ANNOUNCEMENT).max(self.start);
            self.start = keep;
            (self.line, self.searched) = (keep, keep);
            return Skipped::NeedMore;
        };
        let line = &self.buffer[self.start..end];
        let literal = line
            .strip_suffix(b"\r")
            .and_then(Announced::at_end_of)
            .filter(|literal| literal.non_synchronising);
        let State::Skip { tag, why } = &mut self.state else {
            return Skipped::GoOn;
        };
        let (tag, why) = (tag.take(), *why);
        self.consume(end + 1);
        match literal {
            Some(literal) => {
                self.state = State::Discard {
                    left: literal.size,
                    tag,
                    why,
                };
                Skipped::GoOn
            }
            None => {
                self.state = State::Line;
                Skipped::Refused(Framed::Refused { tag, why })
            }
        }
    }

    /// The tag of the command that is being received.
    fn tag(&self) -> Option<String> {
        let command = &self.buffer[self.start..self.buffer.len().min(self.start + 64)];
        super::command::parse_tag(command).map(|(tag, _)| tag)
    }
}

/// What came of throwing a line away.
enum Skipped {
    NeedMore,
    GoOn,
    Refused(Framed),
}

/// `{18446744073709551615+}` and `~` before it.
const ANNOUNCEMENT: usize = 26;

/// `literal = "{" number64 ["+"] "}"`, `literal8 = "~{" number64 ["+"] "}"` at the end of a line.
struct Announced {
    size: u64,
    non_synchronising: bool,
    binary: bool,
}

impl Announced {
    fn at_end_of(line: &[u8]) -> Option<Announced> {
        let inner = line.strip_suffix(b"}")?;
        let open = inner.len() - inner.iter().rev().take(ANNOUNCEMENT).position(|byte| *byte == b'{')? - 1;
        let digits = &inner[open + 1..];
        let non_synchronising = digits.ends_with(b"+");
        let digits = digits.strip_suffix(b"+").unwrap_or(digits);
        let number = !digits.is_empty() && digits.len() <= 20 && digits.iter().all(u8::is_ascii_digit);
        let size = number.then(|| core::str::from_utf8(digits).ok()?.parse().ok())??;
        Some(Announced {
            size,
            non_synchronising,
            binary: line[..open].ends_with(b"~"),
        })
    }
}
