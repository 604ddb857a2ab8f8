//! Reading a server's replies (RFC 5321 §4.2), and what is kept of them.
//!
//! ```text
//! Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
//! Reply-code = %x32-35 2DIGIT          some servers leave the grammar's second digit (0 to 5)
//! ```

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use memchr::memchr;

use crate::limits;
use crate::store::queue::Said;

/// A whole reply: well-formed lines with one code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    bytes: Vec<u8>,
}

/// Why a server's bytes are no reply; the session cannot go on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// A line does not begin with a code, or ends without CR LF, or holds a bare CR or a NUL.
    Line,
    /// The lines of one reply have different codes.
    Codes,
    /// Longer than [`limits::CLIENT_REPLY`] octets.
    TooLong,
}

impl Broken {
    /// For people.
    pub fn as_str(self) -> &'static str {
        match self {
            Broken::Line => "the server's reply is malformed",
            Broken::Codes => "the lines of the server's reply have different codes",
            Broken::TooLong => "the server's reply is too long",
        }
    }
}

/// Collects one reply after the other: a fold over what is received. Holds at most [`limits::CLIENT_REPLY`] octets.
#[derive(Debug, Default)]
pub struct Reader {
    bytes: Vec<u8>,
    /// Where the current line begins.
    line: usize,
    code: Option<u16>,
}

impl Reader {
    /// Between two replies.
    pub fn new() -> Reader {
        Reader::default()
    }

    /// Takes octets up to the end of a reply, or all of them; how many, and the reply if it is whole.
    pub fn step(&mut self, input: &[u8]) -> (usize, Option<Result<Reply, Broken>>) {
        let mut taken = 0;
        while let Some(end) = memchr(b'\n', &input[taken..]).map(|at| taken + at + 1) {
            if let Err(broken) = self.keep(&input[taken..end]) {
                return (end, Some(Err(broken)));
            }
            taken = end;
            match self.line_ends() {
                Ok(false) => {}
                Ok(true) => {
                    let code = self.code.expect("a line was read");
                    let bytes = core::mem::take(self).bytes;
                    return (taken, Some(Ok(Reply { code, bytes })));
                }
                Err(broken) => return (taken, Some(Err(broken))),
            }
        }
        let kept = self.keep(&input[taken..]);
        (input.len(), kept.err().map(Err))
    }

    /// Whether part of a reply has come.
    pub fn is_within(&self) -> bool {
        !self.bytes.is_empty()
    }

    /// Octets of its buffer.
    pub fn buffered(&self) -> usize {
        self.bytes.capacity()
    }

    fn keep(&mut self, piece: &[u8]) -> Result<(), Broken> {
        if self.bytes.len() + piece.len() > limits::CLIENT_REPLY {
            return Err(Broken::TooLong);
        }
        self.bytes.extend_from_slice(piece);
        Ok(())
    }

    /// Looks at the line that has just ended; whether it is the reply's last.
    fn line_ends(&mut self) -> Result<bool, Broken> {
        let line = self.bytes[self.line..].strip_suffix(b"\r\n").ok_or(Broken::Line)?;
        if line.iter().any(|byte| matches!(byte, b'\r' | 0)) {
            return Err(Broken::Line);
        }
        let (code, rest) = line.split_at_checked(3).ok_or(Broken::Line)?;
        let [b'2'..=b'5', b'0'..=b'9', b'0'..=b'9'] = code else {
            return Err(Broken::Line);
        };
        let code = code.iter().fold(0, |code, digit| code * 10 + u16::from(digit - b'0'));
        if *self.code.get_or_insert(code) != code {
            return Err(Broken::Codes);
        }
        self.line = self.bytes.len();
        match rest.first() {
            None | Some(b' ') => Ok(true),
            Some(b'-') => Ok(false),
            Some(_) => Err(Broken::Line),
        }
    }
}

/// What a reply's first digit says (RFC 5321 §4.2.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// 2yz: done.
    Done,
    /// 3yz: go on.
    GoOn,
    /// 4yz: not now.
    NotNow,
    /// 5yz: never.
    Never,
}

impl Reply {
    /// Its class.
    pub fn class(&self) -> Class {
        match self.code / 100 {
            2 => Class::Done,
            3 => Class::GoOn,
            4 => Class::NotNow,
            _ => Class::Never,
        }
    }

    /// The texts of its lines, without codes.
    pub fn lines(&self) -> impl Iterator<Item = &[u8]> {
        let lines = self.bytes.split(|byte| *byte == b'\n');
        lines
            .filter_map(|line| line.strip_suffix(b"\r"))
            .map(|line| line.get(4..).unwrap_or_default())
    }

    /// What is kept of it: the enhanced status code, and one line of printable text (S18, S69).
    pub fn said(&self, by: &Arc<str>) -> Said {
        let mut status = None;
        let mut text = String::new();
        for line in self.lines() {
            let (own, rest) = enhanced(line, self.code);
            status = status.or(own);
            push_printable(rest.trim_ascii(), &mut text);
            if !text.is_empty() && !text.ends_with(' ') && text.len() < limits::SAID_TEXT {
                text.push(' '); // between lines
            }
        }
        text.truncate(text.trim_end().len());
        Said {
            code: self.code,
            status: status.unwrap_or_else(|| default_status(self.code)),
            text: text.into(),
            by: Some(by.clone()),
        }
    }
}

/// `status-code = class "." subject "." detail SP` before the text, of the reply's own class (RFC 2034 §4, RFC 3463 §2).
fn enhanced(text: &[u8], code: u16) -> (Option<[u16; 3]>, &[u8]) {
    let end = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    let mut parts = text[..end].split(|byte| *byte == b'.').map(|digits| {
        let number = (1..=3).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit);
        number.then(|| digits.iter().fold(0, |sum, digit| sum * 10 + u16::from(digit - b'0')))
    });
    let mut next = || parts.next().flatten();
    match (next(), next(), next()) {
        (Some(class), Some(subject), Some(detail)) if class == code / 100 && matches!(class, 2 | 4 | 5) => {
            if text[..end].iter().filter(|byte| **byte == b'.').count() == 2 {
                (Some([class, subject, detail]), &text[end..])
            } else {
                (None, text)
            }
        }
        _ => (None, text),
    }
}

/// What a code means by itself, where RFC 5321 §4.2.3 leaves no doubt; else `X.0.0` (RFC 3463 §3.1).
fn default_status(code: u16) -> [u16; 3] {
    let class = if code < 400 { 2 } else { code / 100 };
    let (subject, detail) = match code {
        421 => (3, 2),
        450 => (2, 0),
        452 | 552 => (3, 1),
        454 | 530 => (7, 0),
        500 => (5, 2),
        501 | 504 | 555 => (5, 4),
        502 | 503 => (5, 1),
        521 => (3, 2),
        535 => (7, 8),
        551 => (1, 6),
        553 => (1, 3),
        556 => (1, 10),
        _ => (0, 0),
    };
    [class, subject, detail]
}

/// Appends what is printable ASCII, `?` for each other octet, up to the limit.
fn push_printable(bytes: &[u8], text: &mut String) {
    let room = limits::SAID_TEXT.saturating_sub(text.len());
    let shown = |byte: &u8| {
        if byte.is_ascii_graphic() || *byte == b' ' {
            char::from(*byte)
        } else {
            '?'
        }
    };
    text.extend(bytes.iter().take(room).map(shown));
}

/// What is printable ASCII of a text, at most [`limits::SAID_TEXT`] octets.
pub(super) fn printable(text: &str) -> String {
    let mut out = String::new();
    push_printable(text.as_bytes(), &mut out);
    out
}

/// What we say ourselves.
pub(super) fn ours(code: u16, status: [u16; 3], text: &str) -> Arc<Said> {
    Arc::new(Said {
        code,
        status,
        text: text.into(),
        by: None,
    })
}

/// A recipient too many is to be tried again (RFC 5321 §4.5.3.1.10): 552 to RCPT is read as 452.
pub(super) fn as_452(mut said: Said) -> Said {
    if said.code == 552 {
        said.code = 452;
        said.status[0] = 4;
    }
    said
}

/// Our words before what the server said, where its code alone would mislead.
pub(super) fn prefixed(code: u16, status: [u16; 3], words: &str, said: &Said) -> Arc<Said> {
    let mut text = format!("{words}: {} {}", said.code, said.text);
    text.truncate(limits::SAID_TEXT); // ASCII
    Arc::new(Said {
        code,
        status,
        text: text.into(),
        by: said.by.clone(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;
    use alloc::vec;
    use proptest::prelude::*;

    fn read(input: &[u8], cuts: &[usize]) -> Vec<Result<Reply, Broken>> {
        let mut reader = Reader::new();
        let (mut replies, mut from) = (Vec::new(), 0);
        for cut in cuts.iter().copied().chain([input.len()]) {
            while from < cut {
                let (taken, reply) = reader.step(&input[from..cut]);
                from += taken;
                assert!(reader.bytes.len() <= limits::CLIENT_REPLY);
                match reply {
                    None => {}
                    Some(Ok(reply)) => replies.push(Ok(reply)),
                    Some(Err(broken)) => {
                        replies.push(Err(broken));
                        return replies;
                    }
                }
            }
        }
        replies
    }

    fn said(reply: &str) -> Said {
        let reply = read(reply.as_bytes(), &[]).remove(0).unwrap();
        reply.said(&"mx.two.test".into())
    }

    #[test]
    fn forms() {
        let replies = read(b"250-one\r\n250 two\r\n354\r\n220 \r\n", &[]);
        let lines: Vec<Vec<&[u8]>> = replies.iter().flatten().map(|reply| reply.lines().collect()).collect();
        let want: [Vec<&[u8]>; 3] = [vec![b"one", b"two"], vec![b""], vec![b""]];
        assert_eq!(lines, want);
        for (bad, why) in [
            ("25 x\r\n", Broken::Line),
            ("\r\n", Broken::Line),
            ("150 x\r\n", Broken::Line),
            ("650 x\r\n", Broken::Line),
            ("2a0 x\r\n", Broken::Line),
            ("250x\r\n", Broken::Line),
            ("250 x\n", Broken::Line),
            ("250 x\ry\r\n", Broken::Line),
            ("250 x\0\r\n", Broken::Line),
            ("250-x\r\n550 x\r\n", Broken::Codes),
        ] {
            assert_eq!(read(bad.as_bytes(), &[]), [Err(why)], "{bad:?}");
        }
    }

    #[test]
    fn a_reply_without_end_is_cut_off() {
        let line = "x".repeat(limits::CLIENT_REPLY);
        assert_eq!(read(format!("250 {line}").as_bytes(), &[1000]), [Err(Broken::TooLong)]);
        let lines = "250-x\r\n".repeat(limits::CLIENT_REPLY / 7 + 1);
        assert_eq!(read(lines.as_bytes(), &[]), [Err(Broken::TooLong)]);
    }

    #[test]
    fn what_is_kept() {
        let kept = said("550-5.1.1 The user\r\n550 5.1.1 is \u{fc}nknown\x07 here \r\n");
        assert_eq!(
            (kept.code, kept.status, &*kept.text),
            (550, [5, 1, 1], "The user is ??nknown? here")
        );
        assert_eq!(said("450 4.2.1.1 x\r\n").status, [4, 2, 0]);
        assert_eq!(said("550 4.1.1 of another class\r\n").status, [5, 0, 0]);
        assert_eq!(said("552 too many\r\n").status, [5, 3, 1]);
        assert_eq!(said("250 2.1.5\r\n").text.to_string(), "");
        assert_eq!(said("554 5.7.1234 x\r\n").status, [5, 0, 0]);
        assert_eq!(said(&format!("554 {}\r\n", "y".repeat(4000))).text.len(), limits::SAID_TEXT);
        let kept = as_452(said("552 5.5.3 too many\r\n"));
        assert_eq!((kept.code, kept.status), (452, [4, 5, 3]));
    }

    proptest! {
        /// S18, S69: whatever comes, what is kept is one line of printable ASCII of a known length; any split gives the same.
        #[test]
        fn s69_any_bytes_at_any_split(
            pieces in prop::collection::vec(prop::sample::select(vec!["250", "-", " ", "\r\n", "\r", "\n", "550-5.1.1 x\r\n", "550 y\r\n", "\0", "\x1b[0m", "\u{e4}"]), 0..40),
            cuts in prop::collection::vec(0usize..200, 0..6),
        ) {
            let input = pieces.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.sort_unstable();
            let whole = read(&input, &[]);
            prop_assert_eq!(&whole, &read(&input, &cuts));
            for reply in whole.into_iter().flatten() {
                let said = reply.said(&"mx.two.test".into());
                prop_assert!(said.text.len() <= limits::SAID_TEXT);
                prop_assert!(said.text.bytes().all(|byte| (b' '..=b'~').contains(&byte)));
                prop_assert!((2..=5).contains(&said.status[0]));
            }
        }
    }
}
