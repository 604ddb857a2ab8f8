//! DATA and BDAT: the message on its way through, whichever way it comes.

use alloc::boxed::Box;
use alloc::format;
use alloc::vec::Vec;

use super::ask::{Ask, SinkOpened};
use super::author::{authors, rewrite};
use super::{BodyPart, Pending, Session, State};
use crate::bytes::utf8::Utf8Check;
use crate::limits;
use crate::machine::Deadline;
use crate::message::date::format_rfc5322;
use crate::message::intake::LoopWatch;
use crate::policy::access::{AuthorMatter, AuthorVerdict, Refusal};
use crate::smtp::chunk::ChunkDecoder;
use crate::smtp::dot::{DotDecoder, Step};
use crate::smtp::reply::Reply;
use crate::trace::marks::What;

/// A message that is being read.
pub(super) struct Message {
    framing: Framing,
    /// Octets that came so far.
    came: u64,
    /// Octets of what is stored: those that came, and what a submission's header has more.
    size: u64,
    loops: LoopWatch,
    header: Header,
    /// SMTPUTF8 was declared: its header must be UTF-8.
    utf8: Option<Utf8Check>,
    /// Why it is refused, once that is known; it is read to its end all the same.
    refused: Option<Refusal>,
    /// The final dot has come, or the chunk's last octet.
    ended: bool,
    /// The beginning of the body, until the header before it has been judged.
    behind_header: Vec<u8>,
    /// The header that the last poll lent.
    pub(super) lent: Vec<u8>,
}

/// How its octets come.
enum Framing {
    /// DATA.
    Dot(DotDecoder),
    /// BDAT.
    Chunk(ChunkDecoder),
}

/// A chunk whose octets follow.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chunk {
    size: u64,
    last: bool,
}

/// A submission's header is held whole, and written once, rewritten.
enum Header {
    /// Not a submission: nothing is held.
    AsItCame,
    Held {
        /// At most one octet more than it may have.
        block: Vec<u8>,
    },
    /// The host judges its author.
    Judged {
        block: Vec<u8>,
    },
    Written,
}

impl Framing {
    fn step(&mut self, input: &[u8]) -> Step {
        match self {
            Framing::Dot(decoder) => decoder.step(input),
            Framing::Chunk(decoder) => decoder.step(input),
        }
    }

    /// Why the octets so far are no text: lines end with CR LF, and hold no NUL.
    fn fault(&self) -> Option<([u16; 3], &'static str)> {
        let (bare, nul) = match self {
            Framing::Dot(decoder) => (decoder.bare(), decoder.nul()),
            Framing::Chunk(decoder) => (decoder.bare(), decoder.nul()),
        };
        match (bare, nul) {
            (true, _) => Some(([5, 5, 2], "lines end with CR LF: a CR or LF stood alone in the message")),
            (false, true) => Some(([5, 6, 0], "the message has a NUL character")),
            (false, false) => None,
        }
    }

    /// Whether more of the message comes by another command.
    fn goes_on(&self) -> bool {
        match self {
            Framing::Dot(_) => false,
            Framing::Chunk(decoder) => !decoder.last(),
        }
    }
}

impl Message {
    /// Octets held of the message.
    pub(super) fn buffered(&self) -> usize {
        let header = match &self.header {
            Header::Held { block } | Header::Judged { block } => block.capacity(),
            Header::AsItCame | Header::Written => 0,
        };
        header + self.behind_header.capacity() + self.lent.capacity()
    }

    pub(super) fn is_judged_now(&self) -> bool {
        matches!(self.header, Header::Judged { .. })
    }

    fn refuse(&mut self, code: u16, status: [u16; 3], text: &str) {
        self.refused.get_or_insert(Refusal {
            code,
            status,
            text: text.into(),
        });
    }

    /// Takes note of octets that belong to the message, and tells how many of them its header has.
    fn look_at(&mut self, body: &[u8]) -> usize {
        let of_header = self.loops.update(body);
        let header = &body[..of_header];
        if let Some(utf8) = &mut self.utf8 {
            utf8.update(header);
        }
        if let Header::Held { block } = &mut self.header {
            let room = limits::SUBMISSION_HEADER + 1 - block.len();
            block.extend_from_slice(&header[..header.len().min(room)]);
        }
        if self.loops.ended() && of_header > 0 {
            self.judge_header();
        }
        of_header
    }

    /// Its faults are told when it is over, one before the other, however its octets came.
    fn judge_header(&mut self) {
        let too_large = matches!(&self.header, Header::Held { block } if block.len() > limits::SUBMISSION_HEADER);
        if too_large {
            self.refuse(552, [5, 3, 4], "the header is larger than 256 KiB");
        } else if self.loops.received > limits::RECEIVED_FIELDS {
            self.refuse(554, [5, 4, 6], "the message loops: it has more than 100 Received fields");
        } else if self.utf8.as_ref().is_some_and(|utf8| !utf8.holds()) {
            self.refuse(550, [5, 6, 0], "the header is not UTF-8, as SMTPUTF8 says it is");
        }
    }
}

impl Session {
    pub(super) fn data(&mut self) {
        let Some(envelope) = &self.envelope else {
            return self.protocol_error(503, [5, 5, 1], "MAIL and RCPT come first");
        };
        if self.message.is_some() {
            return self.protocol_error(503, [5, 5, 1], "the message comes by BDAT: DATA cannot end it (RFC 3030)");
        }
        if envelope.copies.is_empty() {
            return self.refuse(554, [5, 5, 1], "no valid recipients");
        }
        let size = envelope.size;
        if self.talks_early() {
            return;
        }
        self.open_sink(size, None);
    }

    /// BDAT (RFC 3030 §2): whatever becomes of it, its octets are taken first, so that the next command is found behind them.
    pub(super) fn bdat(&mut self, size: u64, last: bool) {
        let max = self.settings.message_max;
        let extended = self.hello.as_ref().is_some_and(|hello| hello.extended);
        let so_far = self.message.as_ref().map_or(0, |message| message.came);
        match &self.envelope {
            Some(_) if !extended => self.discard(size, Reply::new(503, [5, 5, 1], "BDAT comes after EHLO")),
            None => self.discard(size, Reply::new(503, [5, 5, 1], "MAIL and RCPT come first")),
            Some(envelope) if envelope.copies.is_empty() => {
                self.discard(size, Reply::new(554, [5, 5, 1], "no valid recipients"));
            }
            Some(_) if so_far.saturating_add(size) > max => {
                self.abandon();
                let text = format!("the message is larger than {max} octets");
                self.discard(size, Reply::new(552, [5, 3, 4], text));
            }
            Some(envelope) => match &mut self.message {
                None => {
                    let declared = envelope.size.max(size);
                    self.open_sink(declared, Some(Chunk { size, last }));
                }
                Some(message) => {
                    let Framing::Chunk(decoder) = &mut message.framing else {
                        unreachable!("no command is taken within DATA");
                    };
                    decoder.next(size, last);
                    message.ended = size == 0;
                    self.read_message();
                }
            },
        }
    }

    fn open_sink(&mut self, size: u64, chunk: Option<Chunk>) {
        let then = self.slots.ask(Pending::Sink);
        self.asks.push_back(Ask::OpenMessage { size, then });
        self.state = State::Opening(chunk);
        self.deadline = Deadline {
            at: self.now.instant.after(limits::ANSWER_TIMEOUT),
            why: "a sink is opened",
        };
    }

    pub(super) fn sink_opened(&mut self, opened: SinkOpened) {
        if self.closing.is_some() {
            return;
        }
        let State::Opening(chunk) = self.state else { return };
        let refusal = match opened {
            SinkOpened::Ready => return self.message_begins(chunk),
            SinkOpened::Full => Reply::new(452, [4, 3, 1], "the disk is nearly full, try again later"),
            SinkOpened::Failed => Reply::new(451, [4, 3, 0], "the message cannot be taken now, try again later"),
        };
        self.envelope = None;
        match chunk {
            Some(chunk) => self.discard(chunk.size, refusal),
            None => {
                self.wait_for_command();
                self.reply(refusal);
            }
        }
    }

    fn message_begins(&mut self, chunk: Option<Chunk>) {
        let framing = match chunk {
            Some(Chunk { size, last }) => Framing::Chunk(ChunkDecoder::new(size, last)),
            None => {
                if self.talks_early() {
                    return;
                }
                self.reply(Reply::bare(354, "go ahead, end with a dot alone"));
                Framing::Dot(DotDecoder::new())
            }
        };
        let header = match &self.login {
            Some(_) => Header::Held { block: Vec::new() },
            None => Header::AsItCame,
        };
        let utf8 = self.envelope.as_ref().is_some_and(|envelope| envelope.wishes.utf8);
        self.message = Some(Box::new(Message {
            framing,
            came: 0,
            size: 0,
            loops: LoopWatch::default(),
            header,
            utf8: utf8.then(Default::default),
            refused: None,
            ended: chunk.is_some_and(|chunk| chunk.size == 0),
            behind_header: Vec::new(),
            lent: Vec::new(),
        }));
        self.read_message();
    }

    fn read_message(&mut self) {
        self.state = State::Message;
        self.progress = 0;
        self.deadline = Deadline {
            at: self.now.instant.after(limits::SMTP_DATA_TIMEOUT),
            why: "waiting for the message",
        };
    }

    /// Reads a chunk and throws it away; then this is said.
    fn discard(&mut self, octets: u64, reply: Reply) {
        self.read_message();
        self.state = State::Discarding {
            left: octets,
            reply: Some(reply),
        };
    }

    /// Throws the next octets of a refused chunk away.
    pub(super) fn discard_more(&mut self) -> bool {
        let State::Discarding { left, reply } = &mut self.state else {
            return false;
        };
        let here = self.input.len() - self.taken;
        let taken = usize::try_from(*left).map_or(here, |left| left.min(here));
        *left -= taken as u64;
        let (left, reply) = (*left, (*left == 0).then(|| reply.take()).flatten());
        self.taken += taken;
        self.searched = self.taken;
        self.mark_message(taken);
        if left > 0 {
            return false;
        }
        self.wait_for_command();
        self.replies.push_back(reply);
        true
    }

    /// Takes the next piece of the message.
    pub(super) fn message(&mut self) -> bool {
        let Some(message) = &mut self.message else { return false };
        message.lent = Vec::new();
        if message.is_judged_now() {
            return false;
        }
        if message.ended {
            self.message_ends();
            return true;
        }
        if self.taken == self.input.len() {
            return false;
        }
        let step = message.framing.step(&self.input[self.taken..]);
        let body = self.taken + step.body.start..self.taken + step.body.end;
        self.taken += step.taken;
        self.searched = self.taken;
        message.ended = step.end;
        self.marks
            .note(self.input.len() - self.taken, What::Message(step.taken as u64));
        if body.is_empty() || message.refused.is_some() {
            return true;
        }
        let max = self.settings.message_max;
        let room = usize::try_from(max.saturating_sub(message.came)).unwrap_or(usize::MAX);
        let fits = body.start..body.end.min(body.start.saturating_add(room));
        message.came += body.len() as u64;
        message.size += body.len() as u64;
        let of_header = message.look_at(&self.input[fits.clone()]);
        if message.refused.is_none() {
            match &message.header {
                Header::AsItCame | Header::Written if fits.is_empty() => {}
                Header::AsItCame | Header::Written => self.body = Some(BodyPart::Input(fits)),
                Header::Held { .. } if message.loops.ended() => {
                    // What follows the header in its last piece waits for the verdict with it: at most what was received at once.
                    message.behind_header = self.input[fits.start + of_header..fits.end].to_vec();
                    self.judge_author();
                }
                Header::Held { .. } | Header::Judged { .. } => {}
            }
        }
        if let Some(message) = &mut self.message
            && message.came > max
        {
            message.judge_header();
            message.refuse(552, [5, 3, 4], &format!("the message is larger than {max} octets"));
        }
        true
    }

    /// Asks whether the author fields are the login's own.
    fn judge_author(&mut self) {
        let login = self.login.clone().expect("a submission has a login");
        let Some(message) = &mut self.message else { return };
        let Header::Held { block } = &mut message.header else {
            return;
        };
        let block = core::mem::take(block);
        let Some((from, sender)) = authors(&block) else {
            message.header = Header::Written;
            message.behind_header = Vec::new();
            return message.refuse(550, [5, 6, 0], "From and Sender must stand once, with well-formed addresses");
        };
        message.header = Header::Judged { block };
        let then = self.slots.ask(Pending::Author);
        self.asks.push_back(Ask::JudgeAuthor {
            matter: AuthorMatter { login, from, sender },
            then,
        });
    }

    pub(super) fn author_known(&mut self, verdict: AuthorVerdict) {
        if self.closing.is_some() {
            return;
        }
        let date = format_rfc5322(self.now.unix);
        let id = format!("<{}@{}>", self.new_id(), self.settings.hostname);
        let Some(message) = &mut self.message else { return };
        let Header::Judged { block } = core::mem::replace(&mut message.header, Header::Written) else {
            return;
        };
        if let Err(refusal) = verdict.outcome {
            message.refused = Some(refusal);
            message.behind_header = Vec::new();
            return;
        }
        let mut header = rewrite(&block, &date, &id);
        message.size = message.size.saturating_sub(block.len() as u64) + header.len() as u64;
        header.append(&mut message.behind_header);
        self.body = Some(BodyPart::Held(header));
    }

    /// The final dot has come, or the last octet of a chunk.
    fn message_ends(&mut self) {
        let Some(message) = &mut self.message else { return };
        if let Some((status, text)) = message.framing.fault() {
            message.refuse(550, status, text);
        }
        if let Some(utf8) = &mut message.utf8
            && !message.loops.ended()
            && !message.framing.goes_on()
        {
            utf8.update(b"\r\n"); // A chunk may end within a character.
        }
        message.judge_header();
        if message.refused.is_none() {
            if message.framing.goes_on() {
                let text = format!("{} octets so far", message.came);
                self.wait_for_command();
                return self.refuse(250, [2, 0, 0], text);
            }
            if let Header::Held { block } = &mut message.header {
                // A header without an empty line: the message has no body.
                let end: &[u8] = if block.is_empty() || block.ends_with(b"\n") {
                    b"\r\n"
                } else {
                    b"\r\n\r\n"
                };
                block.extend_from_slice(end);
                message.size += end.len() as u64;
                return self.judge_author();
            }
        }
        let refused = message.refused.take();
        let loops = core::mem::take(&mut message.loops.delivered_to);
        let size = message.size;
        self.message = None;
        match refused {
            Some(refusal) => self.drop_message(refusal),
            None => self.commit(size, &loops),
        }
    }

    pub(super) fn drop_message(&mut self, refusal: Refusal) {
        self.asks.push_back(Ask::DropMessage);
        self.envelope = None;
        self.wait_for_command();
        self.reply(Reply::new(refusal.code, refusal.status, refusal.text));
    }

    /// The transaction is over, with nothing of it kept.
    pub(super) fn abandon(&mut self) {
        self.envelope = None;
        if self.message.take().is_some() {
            self.asks.push_back(Ask::DropMessage);
        }
    }
}
