//! The lexical level of structured header fields (RFC 5322 §3.2, RFC 2045 §5.1), lenient as real mail needs it.

use alloc::vec::Vec;

/// Reads tokens from an unfolded field body.
#[derive(Debug, Clone)]
pub(super) struct Tokens<'a> {
    rest: &'a [u8],
}

impl<'a> Tokens<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Tokens { rest: text }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn skip(&mut self) {
        self.rest = self.rest.get(1..).unwrap_or_default();
    }

    /// Whether the next character is this one; then it is taken.
    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.skip();
        }
        there
    }

    /// Skips white space and comments (nested, without recursion); the last comment's text.
    pub(super) fn skip_cfws(&mut self) -> Option<Vec<u8>> {
        let mut comment = None;
        loop {
            match self.peek() {
                Some(b' ' | b'\t' | b'\r' | b'\n') => self.skip(),
                Some(b'(') => comment = Some(self.comment()),
                _ => return comment,
            }
        }
    }

    /// `comment = "(" *([FWS] ccontent) [FWS] ")"`: its content.
    fn comment(&mut self) -> Vec<u8> {
        let (mut depth, mut text) = (0usize, Vec::new());
        while let Some(byte) = self.peek() {
            self.skip();
            match byte {
                b'(' => {
                    depth += 1;
                    if depth > 1 {
                        text.push(byte);
                    }
                }
                b')' => {
                    depth -= 1;
                    if depth == 0 {
                        break;
                    }
                    text.push(byte);
                }
                b'\\' => {
                    if let Some(quoted) = self.peek() {
                        text.push(quoted);
                        self.skip();
                    }
                }
                _ => text.push(byte),
            }
        }
        text
    }

    /// `quoted-string`, from its opening quote: its content without the quotes' own backslashes; a missing end is the end.
    pub(super) fn quoted(&mut self) -> Vec<u8> {
        let mut text = Vec::new();
        self.skip();
        while let Some(byte) = self.peek() {
            self.skip();
            match byte {
                b'"' => break,
                b'\\' => {
                    if let Some(quoted) = self.peek() {
                        text.push(quoted);
                        self.skip();
                    }
                }
                b'\r' | b'\n' => {}
                _ => text.push(byte),
            }
        }
        text
    }

    /// As long as a test holds.
    pub(super) fn take_while(&mut self, test: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !test(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }
}

/// `atext` (RFC 5322 §3.2.3), and everything above ASCII.
pub(super) fn is_atext(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte >= 0x80 || b"!#$%&'*+-/=?^_`{|}~".contains(&byte)
}

/// A MIME `token` (RFC 2045 §5.1), and everything above ASCII.
pub(super) fn is_token(byte: u8) -> bool {
    byte > b' ' && byte != 0x7f && !b"()<>@,;:\\\"/[]?=".contains(&byte)
}
