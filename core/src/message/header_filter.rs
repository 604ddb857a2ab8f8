//! HEADER.FIELDS and HEADER.FIELDS.NOT (RFC 9051 §6.4.5.1): a fold that keeps the fields that were asked for, as they stand.

use alloc::string::String;
use alloc::vec::Vec;

use memchr::memchr;

/// The fold. Output is bounded by input; the caller bounds the input.
#[derive(Debug, Clone)]
pub struct HeaderFilter {
    names: Vec<String>,
    not: bool,
    /// The line so far, until its name is known.
    line: Vec<u8>,
    /// What is done with the line: unknown until its name is whole.
    keep: Option<bool>,
    /// What was done with the field before, for its continuations.
    field: bool,
    ended: bool,
}

impl HeaderFilter {
    /// For these names in any case; `not`: all others.
    pub fn new(names: Vec<String>, not: bool) -> HeaderFilter {
        HeaderFilter {
            names,
            not,
            line: Vec::new(),
            keep: None,
            field: false,
            ended: false,
        }
    }

    /// Takes a piece of the header block; appends what is kept of it.
    pub fn update(&mut self, mut bytes: &[u8], out: &mut Vec<u8>) {
        while !bytes.is_empty() && !self.ended {
            let end = memchr(b'\n', bytes).map_or(bytes.len(), |end| end + 1);
            let (piece, rest) = bytes.split_at(end);
            bytes = rest;
            match self.keep {
                Some(true) => out.extend_from_slice(piece),
                Some(false) => {}
                None => self.begin_line(piece, out),
            }
            if piece.ends_with(b"\n") {
                // A line whose name never came is kept only by NOT.
                if self.keep.is_none() && !self.ended {
                    self.decide(b"", out);
                }
                self.keep = None;
            }
        }
    }

    /// The header is over: the empty line that closes every such answer.
    pub fn finish(self, out: &mut Vec<u8>) {
        if self.not && !self.line.is_empty() {
            out.extend_from_slice(&self.line);
        }
        out.extend_from_slice(b"\r\n");
    }

    fn begin_line(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        self.line.extend_from_slice(piece);
        let line = core::mem::take(&mut self.line);
        match line.first() {
            Some(b' ' | b'\t') => {
                self.keep = Some(self.field);
                if self.field {
                    out.extend_from_slice(&line);
                }
            }
            _ if line == b"\r\n" || line == b"\n" => self.ended = true,
            _ => match memchr(b':', &line) {
                Some(colon) => {
                    let name = line[..colon].trim_ascii_end().to_vec();
                    self.line = line;
                    self.decide(&name, out);
                }
                None => self.line = line,
            },
        }
    }

    fn decide(&mut self, name: &[u8], out: &mut Vec<u8>) {
        let listed = self.names.iter().any(|known| known.as_bytes().eq_ignore_ascii_case(name));
        self.field = listed != self.not;
        self.keep = Some(self.field);
        if self.field {
            out.extend_from_slice(&self.line);
        }
        self.line.clear();
    }
}
