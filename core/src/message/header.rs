//! Header blocks: fields, their names and unfolded values, on broken input too.

use alloc::vec::Vec;

use memchr::memchr;

use crate::limits;

/// One field of a header block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Field<'a> {
    /// The whole field as it stands, with its line ends.
    pub raw: &'a [u8],
    /// Its name, without white space behind it; empty when the line has no colon.
    pub name: &'a [u8],
    /// What follows the colon, folded as it stands, with its line end.
    pub value: &'a [u8],
}

impl Field<'_> {
    /// Whether it has this name, in any case.
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value without line ends, and without white space around it.
    pub fn unfolded(&self) -> Vec<u8> {
        unfold(self.value)
    }
}

/// The fields of a header block, up to its empty line or its end.
///
/// ```text
/// field = name ":" value CRLF *( WSP continuation CRLF )
/// ```
pub fn fields(block: &[u8]) -> impl Iterator<Item = Field<'_>> {
    let mut rest = block;
    core::iter::from_fn(move || {
        if rest.is_empty() || rest.starts_with(b"\r\n") || rest.starts_with(b"\n") {
            return None;
        }
        let mut end = line_end(rest, 0);
        while matches!(rest.get(end), Some(b' ' | b'\t')) {
            end = line_end(rest, end);
        }
        let (raw, tail) = rest.split_at(end);
        rest = tail;
        let colon = memchr(b':', raw).filter(|colon| !raw[..*colon].contains(&b'\n'));
        let (name, value) = colon.map_or((&raw[..0], raw), |colon| (raw[..colon].trim_ascii_end(), &raw[colon + 1..]));
        Some(Field { raw, name, value })
    })
}

/// Where the line that begins at `from` ends, behind its LF.
fn line_end(bytes: &[u8], from: usize) -> usize {
    memchr(b'\n', &bytes[from..]).map_or(bytes.len(), |at| from + at + 1)
}

/// A value without line ends, and without white space around it.
pub fn unfold(value: &[u8]) -> Vec<u8> {
    let mut out: Vec<u8> = Vec::with_capacity(value.len());
    out.extend(value.iter().filter(|byte| !matches!(byte, b'\r' | b'\n')));
    out.trim_ascii().to_vec()
}

/// Appends a field, its lines over [`limits::TEXT_LINE`] folded where they have white space (RFC 5322 §2.2.3); what has none stays.
pub fn fold_into(raw: &[u8], out: &mut Vec<u8>) {
    for line in raw.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = line;
        while rest.trim_ascii_end().len() > LINE {
            let Some(at) = fold_at(rest) else { break };
            out.extend_from_slice(&rest[..at]);
            out.extend_from_slice(b"\r\n");
            rest = &rest[at..];
        }
        out.extend_from_slice(rest);
    }
}

const LINE: usize = limits::TEXT_LINE as usize;

/// The last white space of a line that leaves a line short enough before it, or else the first behind. There is text on both sides: a
/// line of white space alone is none.
fn fold_at(line: &[u8]) -> Option<usize> {
    let text = line.trim_ascii_end();
    let blank = |at: &usize| matches!(text[*at], b' ' | b'\t') && !matches!(text[at + 1], b' ' | b'\t');
    let first = text.iter().position(|byte| !matches!(byte, b' ' | b'\t'))?;
    // Behind the name, there is something of the value.
    let begin = match memchr(b':', text) {
        Some(colon) if first == 0 => colon + 1 + text[colon + 1..].iter().position(|byte| !matches!(byte, b' ' | b'\t'))?,
        Some(_) | None => first,
    };
    let fits = (begin + 1..=LINE.min(text.len() - 1)).rev().find(blank);
    fits.or_else(|| (LINE.max(begin) + 1..text.len() - 1).find(blank))
}

/// Finds the end of a header block in bytes that come in pieces: behind the empty line.
#[derive(Debug, Clone, Default)]
pub struct HeaderEnd {
    line: Line,
}

/// What the current line has so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
enum Line {
    /// Nothing.
    #[default]
    Empty,
    /// A CR.
    Cr,
    /// Something else.
    Text,
    /// The empty line has come.
    Ended,
}

impl HeaderEnd {
    /// Takes more bytes: how many of them belong to the header block. All, unless the block ends in them.
    pub fn update(&mut self, bytes: &[u8]) -> usize {
        let mut at = 0;
        while at < bytes.len() {
            match (self.line, bytes[at]) {
                (Line::Empty | Line::Cr, b'\n') => self.line = Line::Ended,
                (Line::Empty, b'\r') => self.line = Line::Cr,
                (Line::Empty | Line::Cr | Line::Text, _) => match memchr(b'\n', &bytes[at..]) {
                    Some(newline) => {
                        at += newline;
                        self.line = Line::Empty;
                    }
                    None => {
                        self.line = Line::Text;
                        return bytes.len();
                    }
                },
                (Line::Ended, _) => return at,
            }
            at += 1;
        }
        at
    }

    /// Whether the empty line has come.
    pub fn found(&self) -> bool {
        self.line == Line::Ended
    }
}
