//! Putting a message into a form that goes everywhere: lines of at most 998 octets (RFC 5321 §4.5.3.1.6), or octets of seven bits
//! (RFC 6152 §3), by transfer encodings of its parts. For mail of our own users only: a signature of others would break.
//!
//! Two passes. The [`Survey`] finds what each part holds, and makes a [`Plan`]; the [`Recoder`] follows it, from the same octets to others.
//! Both are folds with bounded memory. Text becomes quoted-printable, anything else base64. What must keep its form does: multiparts and
//! embedded messages themselves (RFC 2045 §6.4), whatever is within an embedded message, and within `multipart/signed` and
//! `multipart/encrypted`, and what has an encoding already.

use alloc::vec::Vec;

use super::digest::PartKind;
use super::encode::Encoder;
use super::mime::{Observer, Walked, Walker};
use super::transfer::Encoding;
use crate::limits;

/// What a message must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Aim {
    /// Of lines of at most [`limits::TEXT_LINE`] octets.
    ShortLines,
    /// Of octets below 128.
    SevenBit,
}

/// The first pass.
#[derive(Debug, Default)]
pub struct Survey {
    walker: Walker,
    seen: Seen,
}

/// What stands in each part.
#[derive(Debug, Default)]
struct Seen {
    parts: Vec<Held>,
    /// The octets that come are of the last part's body.
    inside: bool,
    /// Octets of the line so far, and whether the last is a CR.
    line: u64,
    cr: bool,
    /// Octets above 127 in the message.
    eight_bit: u64,
    /// It says that it is MIME.
    mime: bool,
}

#[derive(Debug, Clone, Copy, Default)]
struct Held {
    long_line: bool,
    eight_bit: u64,
}

impl Survey {
    /// Of nothing.
    pub fn new() -> Survey {
        Survey::default()
    }

    /// Takes more of the message.
    pub fn update(&mut self, octets: &[u8]) {
        self.seen.eight_bit += eight_bit(octets);
        self.walker.update_with(octets, &mut self.seen);
    }

    /// What is to be done for this.
    pub fn finish(self, aim: Aim) -> Plan {
        let Survey { walker, mut seen } = self;
        let walked = walker.finish_with(&mut seen);
        let mut sealed: Vec<bool> = Vec::with_capacity(walked.len());
        let (mut edits, mut left) = (Vec::new(), seen.eight_bit);
        for (place, part) in walked.iter().enumerate() {
            let above = part.part.parent as usize;
            sealed.push(place > 0 && (sealed[above] || seals(&walked[above])));
            let held = seen.parts.get(place).copied().unwrap_or_default();
            let how = match aim {
                _ if sealed[place] => None,
                Aim::ShortLines => encoding(part).filter(|_| held.long_line),
                Aim::SevenBit if held.eight_bit > 0 => encoding(part),
                Aim::SevenBit => declares_more(part).then_some(How::SevenBit),
            };
            if let Some(how) = how {
                left -= if how == How::SevenBit { 0 } else { held.eight_bit };
                edits.push(Edit::of(part, how));
            }
        }
        if edits.iter().all(|edit| edit.how == How::SevenBit) {
            edits.clear(); // a label alone is no reason
        } else if !seen.mime {
            if edits[0].header > 0 {
                edits.insert(0, Edit::of(&walked[0], How::Keep));
            }
            edits[0].mime = true;
        }
        Plan { edits, left }
    }
}

impl Observer for Seen {
    fn field(&mut self, top: bool, raw: &[u8]) {
        let name = raw.split(|byte| *byte == b':').next().unwrap_or_default();
        self.mime |= top && name.trim_ascii_end().eq_ignore_ascii_case(b"MIME-Version");
    }

    fn body_begins(&mut self, _: &Walked) {
        self.parts.push(Held::default());
        (self.inside, self.line, self.cr) = (true, 0, false);
    }

    fn body(&mut self, octets: &[u8]) {
        let Some(part) = self.parts.last_mut().filter(|_| self.inside) else {
            return;
        };
        part.eight_bit += eight_bit(octets);
        for line in octets.split_inclusive(|octet| *octet == b'\n') {
            self.line += line.len() as u64;
            let text = match line {
                [.., b'\r', b'\n'] => self.line - 2,
                [b'\n'] if self.cr => self.line - 2,
                [.., b'\n'] => self.line - 1,
                _ => self.line - u64::from(line.ends_with(b"\r")),
            };
            part.long_line |= text > limits::TEXT_LINE;
            self.cr = line.ends_with(b"\r");
            if line.ends_with(b"\n") {
                self.line = 0;
            }
        }
    }

    fn body_ends(&mut self) {
        self.inside = false;
    }
}

fn eight_bit(octets: &[u8]) -> u64 {
    octets.iter().map(|octet| u64::from(octet >> 7)).sum()
}

/// Whether what is within keeps its form.
fn seals(part: &Walked) -> bool {
    let content = part.content.as_ref();
    let sealed = content.is_some_and(|content| content.is("multipart", "signed") || content.is("multipart", "encrypted"));
    sealed || part.part.kind == PartKind::Message
}

/// How a part may be encoded, if it may.
fn encoding(part: &Walked) -> Option<How> {
    let content = part.content.as_ref();
    let composite = content.is_some_and(|content| content.is("multipart", "*") || content.is("message", "*"));
    let plain = part.part.kind == PartKind::Leaf && part.part.encoding == Some(Encoding::Identity) && !composite;
    plain.then_some(if part.part.text { How::Quoted } else { How::Base64 })
}

/// Whether a part without an octet above 127 of its own says that there may be some in it.
fn declares_more(part: &Walked) -> bool {
    if seals(part) || part.content.as_ref().is_some_and(|content| content.is("message", "*")) {
        return false;
    }
    let field = part.field("Content-Transfer-Encoding").map(<[u8]>::trim_ascii);
    field.is_some_and(|field| field.eq_ignore_ascii_case(b"8bit") || field.eq_ignore_ascii_case(b"binary"))
}

/// What the second pass does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In the order of the octets.
    edits: Vec<Edit>,
    /// Octets above 127 that stay.
    left: u64,
}

/// One part's change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Edit {
    header: u64,
    body: u64,
    end: u64,
    how: How,
    /// The header gets a MIME-Version.
    mime: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum How {
    Quoted,
    Base64,
    /// The encoding that it names changes, the body does not.
    SevenBit,
    /// Neither does.
    Keep,
}

impl Plan {
    /// Whether nothing is to be changed, or nothing can be.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// Whether all octets are below 128 when it has been followed.
    pub fn gives_seven_bit(&self) -> bool {
        self.left == 0
    }
}

impl Edit {
    fn of(part: &Walked, how: How) -> Edit {
        let (body, end) = (part.part.body_start, part.part.body_end);
        Edit {
            header: part.part.header_start,
            body,
            end: if matches!(how, How::Quoted | How::Base64) { end } else { body },
            how,
            mime: false,
        }
    }

    fn field(&self) -> Option<&'static [u8]> {
        match self.how {
            How::Quoted => Some(b"Content-Transfer-Encoding: quoted-printable\r\n"),
            How::Base64 => Some(b"Content-Transfer-Encoding: base64\r\n"),
            How::SevenBit => Some(b"Content-Transfer-Encoding: 7bit\r\n"),
            How::Keep => None,
        }
    }
}

/// The second pass.
#[derive(Debug)]
pub struct Recoder {
    edits: alloc::vec::IntoIter<Edit>,
    edit: Option<Edit>,
    offset: u64,
    line: Line,
    /// A line's beginning, until its name is known.
    pending: Vec<u8>,
    /// The part's new encoding stands in its header.
    named: bool,
    encoder: Option<Encoder>,
}

/// Where a header that is changed stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Line {
    /// Before a line; whether the field before it is dropped.
    Start { dropped: bool },
    /// In a line whose name is not known yet.
    Name,
    /// In a line that is copied or dropped.
    Rest { dropped: bool },
}

const NAME: &[u8] = b"Content-Transfer-Encoding";
/// A name with the white space that old mail has before the colon.
const NAME_KEPT: usize = NAME.len() + 8;

impl Recoder {
    /// At the message's first octet.
    pub fn new(plan: Plan) -> Recoder {
        let mut edits = plan.edits.into_iter();
        Recoder {
            edit: edits.next(),
            edits,
            offset: 0,
            line: Line::Start { dropped: false },
            pending: Vec::new(),
            named: false,
            encoder: None,
        }
    }

    /// Takes more of the message and appends what it becomes.
    pub fn update(&mut self, mut octets: &[u8], out: &mut Vec<u8>) {
        while !octets.is_empty() {
            let Some(edit) = self.edit else {
                self.offset += octets.len() as u64;
                return out.extend_from_slice(octets);
            };
            let border = [edit.header, edit.body, edit.end]
                .into_iter()
                .find(|border| self.offset < *border);
            let Some(border) = border else {
                self.next_edit(out);
                continue;
            };
            let room = usize::try_from(border - self.offset).unwrap_or(usize::MAX);
            let (piece, rest) = octets.split_at(octets.len().min(room));
            if self.offset < edit.header {
                out.extend_from_slice(piece);
            } else if self.offset < edit.body {
                self.header(&edit, piece, out);
            } else {
                let encoder = self.encoder.get_or_insert_with(|| match edit.how {
                    How::Base64 => Encoder::base64(),
                    How::Quoted | How::SevenBit | How::Keep => Encoder::quoted(),
                });
                encoder.update(piece, out);
            }
            self.offset += piece.len() as u64;
            octets = rest;
        }
    }

    /// The end of the message.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        let base64 = matches!(self.encoder, Some(Encoder::Base64 { .. }));
        self.next_edit(out);
        if base64 {
            out.extend_from_slice(b"\r\n"); // no boundary's line end follows
        }
    }

    /// A part has ended.
    fn next_edit(&mut self, out: &mut Vec<u8>) {
        if let Some(mut encoder) = self.encoder.take() {
            encoder.finish(out);
        }
        out.append(&mut self.pending);
        self.edit = self.edits.next();
        (self.line, self.named) = (Line::Start { dropped: false }, false);
    }

    /// Copies a header, but for its old encoding. The new one takes its place, or that of the empty line.
    fn header(&mut self, edit: &Edit, octets: &[u8], out: &mut Vec<u8>) {
        let mut rest = octets;
        while let Some(first) = rest.first() {
            match self.line {
                Line::Start { dropped } if matches!(first, b' ' | b'\t') => self.line = Line::Rest { dropped },
                Line::Start { .. } => self.line = Line::Name,
                Line::Name => rest = self.name(edit, rest, out),
                Line::Rest { dropped } => {
                    let newline = memchr::memchr(b'\n', rest);
                    let (piece, behind) = rest.split_at(newline.map_or(rest.len(), |newline| newline + 1));
                    if !dropped {
                        out.extend_from_slice(piece);
                    }
                    if newline.is_some() {
                        self.line = Line::Start { dropped };
                    }
                    rest = behind;
                }
            }
        }
    }

    /// Reads on in a name; what follows.
    fn name<'a>(&mut self, edit: &Edit, octets: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let room = NAME_KEPT - self.pending.len();
        let end = octets.iter().take(room).position(|octet| matches!(octet, b':' | b'\n'));
        let (piece, rest) = octets.split_at(end.map_or(octets.len().min(room), |end| end + 1));
        self.pending.extend_from_slice(piece);
        let mut dropped = false;
        match self.pending.split_last() {
            Some((b':', name)) => {
                dropped = edit.field().is_some() && name.trim_ascii_end().eq_ignore_ascii_case(NAME);
                if dropped {
                    self.name_encoding(edit, out);
                }
            }
            Some((b'\n', line)) if line.is_empty() || line == b"\r" => {
                self.name_encoding(edit, out);
                if edit.mime {
                    out.extend_from_slice(b"MIME-Version: 1.0\r\n");
                }
            }
            Some((b'\n', _)) => {}
            _ if self.pending.len() == NAME_KEPT => {}
            _ => return rest,
        }
        self.line = match self.pending.last() {
            Some(b'\n') => Line::Start { dropped },
            _ => Line::Rest { dropped },
        };
        if dropped {
            self.pending.clear();
        } else {
            out.append(&mut self.pending);
        }
        rest
    }

    fn name_encoding(&mut self, edit: &Edit, out: &mut Vec<u8>) {
        if let Some(field) = edit.field()
            && !core::mem::replace(&mut self.named, true)
        {
            out.extend_from_slice(field);
        }
    }
}
