//! The MIME walker: a fold over a message's bytes that finds its parts. No recursion, bounded memory, any split gives the same.
//!
//! It keeps header fields that structure and envelope need, and looks at body lines only where a boundary may begin
//! (RFC 2046 §5.1.1).

use alloc::vec::Vec;

use memchr::memchr;

use super::content::{Content, parse_token};
use super::digest::{Part, PartKind};
use super::header::unfold;
use super::transfer::Encoding;
use crate::limits;

/// A part with the fields that describe it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked {
    /// Where it lies.
    pub part: Part,
    /// Its media type; `None`: text/plain.
    pub content: Option<Content>,
    /// Its fields, unfolded, by [`KEPT`]'s order.
    pub fields: Vec<(usize, Vec<u8>)>,
}

/// Fields that are kept.
pub const KEPT: [&str; 18] = [
    "Content-Type",
    "Content-Transfer-Encoding",
    "Content-ID",
    "Content-Description",
    "Content-Disposition",
    "Content-Language",
    "Content-Location",
    "Content-MD5",
    "Date",
    "Subject",
    "From",
    "Sender",
    "Reply-To",
    "To",
    "Cc",
    "Bcc",
    "In-Reply-To",
    "Message-ID",
];
/// Index into [`KEPT`] of the first envelope field.
const ENVELOPE: usize = 8;

impl Walked {
    /// A field's value by name; the first of that name.
    pub fn field(&self, name: &str) -> Option<&[u8]> {
        let index = KEPT.iter().position(|known| *known == name)?;
        self.fields
            .iter()
            .find(|(known, _)| *known == index)
            .map(|(_, value)| value.as_slice())
    }

    /// All values of a name.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &[u8]> {
        let index = KEPT.iter().position(|known| *known == name);
        self.fields
            .iter()
            .filter(move |(known, _)| Some(*known) == index)
            .map(|(_, value)| value.as_slice())
    }
}

/// What a walker may be asked to tell as it goes ([`Walker::update_with`]). Any split of the octets tells the same, body octets in
/// other pieces.
pub trait Observer {
    /// A field with its line ends, cut at [`limits::HEADER_KEPT`]; `top`: of the message's own header.
    fn field(&mut self, top: bool, raw: &[u8]);
    /// The header of this part is whole; its body follows.
    fn body_begins(&mut self, part: &Walked);
    /// Octets of the body begun last, or of what lies around the parts of a multipart. The line end before a boundary is among
    /// them, the boundary is not.
    fn body(&mut self, octets: &[u8]);
    /// The body has ended. What comes before the next beginning is of no part.
    fn body_ends(&mut self);
}

/// Nobody listens.
impl Observer for () {
    fn field(&mut self, _: bool, _: &[u8]) {}
    fn body_begins(&mut self, _: &Walked) {}
    fn body(&mut self, _: &[u8]) {}
    fn body_ends(&mut self) {}
}

/// The walker.
#[derive(Debug)]
pub struct Walker {
    offset: u64,
    parts: Vec<Walked>,
    /// From the message inwards: the parts that the next byte is in.
    open: Vec<Open>,
    state: State,
    /// The line so far, as far as it matters.
    line: Vec<u8>,
    /// So many octets of it were told as a body's.
    told: usize,
    /// Where the line began, and how long the line end before it was.
    line_start: u64,
    last_end: u64,
    last_was_cr: bool,
    longest_line: u64,
    lines: u64,
    header: Vec<u8>,
    header_room: usize,
    kept: usize,
}

#[derive(Debug)]
struct Open {
    part: usize,
    boundary: Option<Vec<u8>>,
    /// The close delimiter has come: what follows is epilogue.
    closed: bool,
    children: u32,
    lines_before: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the header of the innermost part.
    Header,
    /// In a body, a preamble or an epilogue.
    Body,
}

/// Boundary lines are at most `--` 70 `--` and white space; a little more is kept.
const LINE_KEPT: usize = 256;

impl Default for Walker {
    fn default() -> Self {
        Walker::new()
    }
}

impl Walker {
    /// At a message's first byte.
    pub fn new() -> Walker {
        let mut walker = Walker {
            offset: 0,
            parts: Vec::new(),
            open: Vec::new(),
            state: State::Header,
            line: Vec::new(),
            told: 0,
            line_start: 0,
            last_end: 0,
            last_was_cr: false,
            longest_line: 0,
            lines: 0,
            header: Vec::new(),
            header_room: limits::HEADER_KEPT,
            kept: 0,
        };
        walker.begin(0, 1);
        walker
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.update_with(bytes, &mut ());
    }

    /// Takes more bytes, and tells what they are.
    pub fn update_with(&mut self, mut bytes: &[u8], observer: &mut impl Observer) {
        while !bytes.is_empty() {
            let (piece, whole) = match memchr(b'\n', bytes) {
                Some(end) => (&bytes[..=end], true),
                None => (bytes, false),
            };
            self.piece(piece, observer);
            self.offset += piece.len() as u64;
            if whole {
                self.line_ends(observer);
            }
            bytes = &bytes[piece.len()..];
        }
    }

    /// Octets of the longest line so far that has ended, without its line end.
    pub fn longest_line(&self) -> u64 {
        self.longest_line
    }

    /// The end of the message: its parts in pre-order.
    pub fn finish(self) -> Vec<Walked> {
        self.finish_with(&mut ())
    }

    /// The end of the message, told too.
    pub fn finish_with(mut self, observer: &mut impl Observer) -> Vec<Walked> {
        if self.line_start < self.offset {
            self.last_line(observer);
        }
        if self.state == State::Header {
            self.header_ends(self.offset, self.lines, observer);
        }
        self.end_down_to(0, self.offset, self.lines);
        observer.body_ends();
        self.parts
    }

    /// Keeps what matters of a piece of a line.
    fn piece(&mut self, piece: &[u8], observer: &mut impl Observer) {
        let room = match self.state {
            State::Header => self.header_room,
            State::Body => LINE_KEPT,
        };
        // Only a line that begins like a boundary is kept in a body.
        let wanted = match self.state {
            State::Header => true,
            State::Body if self.offset == self.line_start => piece[0] == b'-',
            State::Body => !self.line.is_empty() && b"--".starts_with(&self.line[..self.line.len().min(2)]),
        };
        if wanted {
            let keep = piece.len().min(room.saturating_sub(self.line.len()));
            self.line.extend_from_slice(&piece[..keep]);
            // Longer than a boundary line: what it is, is known.
            if keep < piece.len() && self.state == State::Body && self.boundary(&self.line).is_none() {
                self.tell_line(observer);
                observer.body(&piece[keep..]);
            }
        } else {
            self.tell_line(observer);
            observer.body(piece);
        }
        let before = piece.len().checked_sub(2).map(|at| piece[at]);
        let cr = if piece.ends_with(b"\n") {
            before.map_or(self.last_was_cr, |byte| byte == b'\r')
        } else {
            piece.ends_with(b"\r")
        };
        self.last_was_cr = cr;
    }

    /// Tells what was held back of a line that is a body's.
    fn tell_line(&mut self, observer: &mut impl Observer) {
        if self.told < self.line.len() {
            observer.body(&self.line[self.told..]);
            self.told = self.line.len();
        }
    }

    fn line_ends(&mut self, observer: &mut impl Observer) {
        let eol = if self.last_was_cr { 2 } else { 1 };
        self.longest_line = self.longest_line.max(self.offset - self.line_start - eol);
        self.lines += 1;
        let line = core::mem::take(&mut self.line);
        self.whole_line(&line, self.lines - 1, observer);
        self.line = line;
        self.line.clear();
        self.told = 0;
        self.line_start = self.offset;
        self.last_end = eol;
        self.last_was_cr = false;
    }

    /// The last line, without a line end.
    fn last_line(&mut self, observer: &mut impl Observer) {
        let line = core::mem::take(&mut self.line);
        self.whole_line(&line, self.lines, observer);
        self.line_start = self.offset;
        self.last_end = 0;
    }

    /// Decides about a line; `lines`: how many end before it.
    fn whole_line(&mut self, line: &[u8], lines: u64, observer: &mut impl Observer) {
        if let Some((depth, close)) = self.boundary(line) {
            self.delimiter(depth, close, lines, observer);
            return;
        }
        if self.state == State::Body {
            if self.told < line.len() {
                observer.body(&line[self.told..]);
            }
            return;
        }
        if line == b"\r\n" || line == b"\n" {
            self.header_ends(self.offset, self.lines, observer);
        } else {
            self.header_line(line, observer);
        }
    }

    /// Which open multipart this line delimits (its place in `open`), and whether it closes it.
    ///
    /// The boundary must only begin the line (RFC 2046 §5.1.1); of several the longest counts, then the innermost.
    fn boundary(&self, line: &[u8]) -> Option<(usize, bool)> {
        let text = line.strip_prefix(b"--")?;
        let mut found: Option<(usize, &[u8])> = None;
        for (depth, open) in self.open.iter().enumerate().rev() {
            let Some(boundary) = open.boundary.as_deref().filter(|_| !open.closed) else {
                continue;
            };
            if text.starts_with(boundary) && found.is_none_or(|(_, longest)| boundary.len() > longest.len()) {
                found = Some((depth, boundary));
            }
        }
        found.map(|(depth, boundary)| (depth, text[boundary.len()..].starts_with(b"--")))
    }

    /// Acts on a delimiter; `lines`: how many end before it.
    fn delimiter(&mut self, depth: usize, close: bool, lines: u64, observer: &mut impl Observer) {
        if self.state == State::Header {
            self.header_ends(self.line_start, lines, observer);
        }
        // The line end before the delimiter belongs to it (RFC 2046 §5.1.1), unless there is none.
        let end = self.line_start.saturating_sub(self.last_end);
        let lines = lines.saturating_sub(u64::from(self.last_end > 0));
        self.end_down_to(depth + 1, end, lines);
        observer.body_ends();
        self.state = State::Body;
        let multipart = &mut self.open[depth];
        if close {
            multipart.closed = true;
        } else if self.parts.len() < limits::MIME_PARTS {
            multipart.children += 1;
            let (parent, number) = (multipart.part, multipart.children);
            self.begin(parent, number);
            let part = self.parts.len() - 1;
            self.parts[part].part.header_start = self.offset;
        }
    }

    /// A part begins at the next byte.
    fn begin(&mut self, parent: usize, number: u32) {
        let at = self.offset;
        let parent = u32::try_from(parent).expect("parts are few");
        let part = Part {
            parent,
            number,
            kind: PartKind::Leaf,
            header_start: at,
            body_start: at,
            body_end: at,
            lines: 0,
            encoding: Some(Encoding::Identity),
            text: true,
        };
        self.parts.push(Walked {
            part,
            content: None,
            fields: Vec::new(),
        });
        let open = Open {
            part: self.parts.len() - 1,
            boundary: None,
            closed: false,
            children: 0,
            lines_before: self.lines,
        };
        self.open.push(open);
        self.state = State::Header;
        self.header.clear();
    }

    /// Ends all parts but the outermost `depth`: their last body octet is before `end`, behind so many line ends.
    fn end_down_to(&mut self, depth: usize, end: u64, lines: u64) {
        // The delimiter's line end may be the empty line of an embedded message too: a part never leaves the one around it.
        let mut around = u64::MAX;
        for open in self.open.drain(depth..) {
            let part = &mut self.parts[open.part].part;
            part.header_start = part.header_start.min(around);
            part.body_start = part.body_start.min(around);
            part.body_end = end.max(part.body_start).min(around);
            part.lines = lines.saturating_sub(open.lines_before);
            around = part.body_end;
        }
    }

    /// A line of a header: the field before it is whole unless this one continues it.
    fn header_line(&mut self, line: &[u8], observer: &mut impl Observer) {
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            self.keep_field(observer);
        }
        let room = self.header_room.saturating_sub(self.header.len());
        self.header.extend_from_slice(&line[..line.len().min(room)]);
    }

    /// Takes the field over if it is one that is kept.
    fn keep_field(&mut self, observer: &mut impl Observer) {
        let colon = memchr(b':', &self.header);
        let innermost = self.open.last().expect("a header belongs to a part").part;
        if !self.header.is_empty() {
            observer.field(innermost == 0, &self.header);
        }
        if let Some(colon) = colon {
            let name = self.header[..colon].trim_ascii_end(); // as `fields` has it
            let known = KEPT.iter().position(|known| known.as_bytes().eq_ignore_ascii_case(name));
            // Only a message has an envelope; a part's own From says nothing.
            let message =
                innermost == 0 || self.parts[self.parts[innermost].part.parent as usize].part.kind == PartKind::Message;
            if let Some(known) = known.filter(|known| *known < ENVELOPE || message)
                && self.kept
                    < if known < ENVELOPE {
                        limits::HEADERS_KEPT
                    } else {
                        limits::ENVELOPES_KEPT
                    }
            {
                let value = unfold(&self.header[colon + 1..]);
                self.kept += value.len() + 32;
                self.parts[innermost].fields.push((known, value));
            }
        }
        self.header.clear();
    }

    /// The header of the innermost part is whole, and its body begins behind so many line ends: what kind of part is it?
    fn header_ends(&mut self, body_start: u64, lines: u64, observer: &mut impl Observer) {
        self.keep_field(observer);
        self.state = State::Body;
        let depth = self.open.len();
        let open = self.open.last_mut().expect("a header belongs to a part");
        open.lines_before = lines;
        let index = open.part;
        let parent = self.parts[index].part.parent as usize;
        let in_digest = index != parent
            && self.parts[parent]
                .content
                .as_ref()
                .is_some_and(|content| content.is("multipart", "digest"));
        let walked = &mut self.parts[index];
        walked.part.body_start = body_start;
        walked.content = match walked.field("Content-Type") {
            Some(text) => Content::parse_type(text),
            None if in_digest => Content::parse_type(b"message/rfc822"),
            None => None,
        };
        let embeds = self.judge_content(index, depth, body_start);
        let walked = &mut self.parts[index];
        walked.part.text = walked.content.as_ref().is_none_or(|content| content.is("text", "*"));
        if walked.part.kind == PartKind::Leaf && !embeds {
            walked.part.encoding = Encoding::of(walked.field("Content-Transfer-Encoding"));
        }
        observer.body_begins(&self.parts[index]);
        if embeds {
            self.parts[index].part.kind = PartKind::Message;
            self.begin(index, 1);
        }
    }

    /// What a part's content makes of it; whether it is a message with a header of its own.
    fn judge_content(&mut self, index: usize, depth: usize, body_start: u64) -> bool {
        let open = self.open.last_mut().expect("a header belongs to a part");
        let walked = &mut self.parts[index];
        let Some(content) = &walked.content else { return false };
        if content.is("multipart", "*") {
            let boundary = content
                .parameter("boundary")
                .map(<[u8]>::trim_ascii_end)
                .filter(|boundary| !boundary.is_empty());
            match boundary {
                Some(boundary) if depth <= limits::MIME_DEPTH && boundary.len() <= LINE_KEPT / 2 => {
                    open.boundary = Some(boundary.to_vec());
                    walked.part.kind = PartKind::Multipart;
                }
                _ => {}
            }
        } else if content.is_message() {
            let encoding = walked
                .field("Content-Transfer-Encoding")
                .and_then(parse_token)
                .unwrap_or_default();
            // Only message/global may be encoded (RFC 6532 §3.7), and is octets then; message/rfc822 is not, whatever it says.
            let encoded = [&b"base64"[..], b"quoted-printable"];
            let opaque = content.is("message", "global") && encoded.iter().any(|known| known.eq_ignore_ascii_case(&encoding));
            return !opaque
                && depth <= limits::MIME_DEPTH
                && self.parts.len() < limits::MIME_PARTS
                && body_start == self.offset;
        }
        false
    }
}
