//! The subset of a header that `HEADER.FIELDS` and `HEADER.FIELDS.NOT` give (RFC 9051 §6.4.5.1): a fold from header octets to
//! header octets.
//!
//! Whole fields as they came, in their order, and the empty line if the header has one (a message without a body may have none).

use alloc::string::String;
use alloc::vec::Vec;

use crate::limits;

/// The fold.
#[derive(Debug, Clone)]
pub struct HeaderFilter {
    /// Names in lower case, sorted.
    names: Vec<Vec<u8>>,
    not: bool,
    state: State,
    /// A line's beginning, until its name is known.
    pending: Vec<u8>,
}

/// ```text
/// [LineStart] -- white space --> as the line before
///      | other                  [Name] -- ":" or line end --> [Copy] or [Drop] -- line end --> [LineStart]
///      | empty line             [Ended]
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Before a line; whether the field before it is copied.
    LineStart { copied: bool },
    /// In a line whose name is not known yet.
    Name,
    /// In a line that is copied.
    Copy,
    /// In a line that is dropped.
    Drop,
    /// Behind the empty line.
    Ended,
}

impl HeaderFilter {
    /// Copies fields of these names, or with `not` all others. Case does not matter.
    pub fn new(names: Vec<String>, not: bool) -> Self {
        let mut names: Vec<Vec<u8>> = names.into_iter().map(|name| name.to_ascii_lowercase().into_bytes()).collect();
        names.sort();
        HeaderFilter {
            names,
            not,
            // White space before the first field belongs to no field that could be asked for.
            state: State::LineStart { copied: not },
            pending: Vec::new(),
        }
    }

    /// Takes more of a header (with its empty line) and appends what is copied.
    pub fn update(&mut self, header: &[u8], out: &mut Vec<u8>) {
        let mut rest = header;
        while let Some(first) = rest.first().copied() {
            match self.state {
                State::LineStart { copied } if matches!(first, b' ' | b'\t') => {
                    self.state = if copied { State::Copy } else { State::Drop };
                }
                State::LineStart { .. } => self.state = State::Name,
                State::Name => rest = self.name(rest, out),
                State::Copy | State::Drop => {
                    let newline = memchr::memchr(b'\n', rest);
                    let (piece, behind) = rest.split_at(newline.map_or(rest.len(), |newline| newline + 1));
                    let copied = self.state == State::Copy;
                    if copied {
                        out.extend_from_slice(piece);
                    }
                    if newline.is_some() {
                        self.state = State::LineStart { copied };
                    }
                    rest = behind;
                }
                State::Ended => return,
            }
        }
    }

    /// The end of the header: appends a last line that never ended, if it is copied.
    pub fn finish(mut self, out: &mut Vec<u8>) {
        if self.state == State::Name && self.not {
            out.append(&mut self.pending);
        }
    }

    /// Reads on in a name; what follows.
    fn name<'a>(&mut self, rest: &'a [u8], out: &mut Vec<u8>) -> &'a [u8] {
        let room = (limits::FIELD_NAME + 1).saturating_sub(self.pending.len());
        let end = rest.iter().take(room).position(|byte| matches!(byte, b':' | b'\n'));
        let (piece, behind) = rest.split_at(end.map_or(rest.len().min(room), |end| end + 1));
        self.pending.extend_from_slice(piece);
        let copied = match self.pending.last() {
            Some(b':') => {
                let name = self.pending[..self.pending.len() - 1].trim_ascii_end().to_ascii_lowercase();
                self.names.binary_search(&name).is_ok() != self.not
            }
            Some(b'\n') if matches!(self.pending.as_slice(), b"\n" | b"\r\n") => {
                out.append(&mut self.pending);
                self.state = State::Ended;
                return behind;
            }
            // No name: it is none of those asked for.
            Some(b'\n') => self.not,
            _ if self.pending.len() > limits::FIELD_NAME => self.not,
            _ => return behind,
        };
        let line_ended = self.pending.ends_with(b"\n");
        if copied {
            out.append(&mut self.pending);
        }
        self.pending.clear();
        self.state = match (line_ended, copied) {
            (true, _) => State::LineStart { copied },
            (false, true) => State::Copy,
            (false, false) => State::Drop,
        };
        behind
    }
}
