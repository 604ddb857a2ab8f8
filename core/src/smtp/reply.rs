//! Replies (RFC 5321 §4.2, RFC 2034).

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

/// A reply: code, enhanced status code where the code has one, and lines of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// RFC 3463, as `[class, subject, detail]`.
    pub status: Option<[u16; 3]>,
    /// What it says; printable ASCII.
    pub text: Text,
}

/// The text of a reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Text {
    /// One line, as nearly all are.
    Line(Cow<'static, str>),
    /// At least one.
    Lines(Vec<String>),
}

impl Reply {
    /// A reply of one line with its enhanced status code.
    pub fn new(code: u16, status: [u16; 3], text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            code,
            status: Some(status),
            text: Text::Line(text.into()),
        }
    }

    /// A reply without one: greeting, 354, 334.
    pub fn bare(code: u16, text: impl Into<Cow<'static, str>>) -> Reply {
        Reply {
            code,
            status: None,
            text: Text::Line(text.into()),
        }
    }

    /// One of several lines without enhanced status codes: EHLO's.
    pub fn bare_lines(code: u16, lines: Vec<String>) -> Reply {
        Reply {
            code,
            status: None,
            text: Text::Lines(lines),
        }
    }

    /// Writes it. What is not printable ASCII becomes `?`, so that nothing from outside can end a line.
    ///
    /// ```text
    /// Reply-line = *( Reply-code "-" [ textstring ] CRLF ) Reply-code [ SP textstring ] CRLF
    /// ```
    ///
    /// # Panics
    /// When the code is not one of 200 to 599: our own bug (RFC 5321 §4.2.1).
    pub fn encode(&self, out: &mut Vec<u8>) {
        assert!((200..600).contains(&self.code), "a reply code of ours");
        match &self.text {
            Text::Line(line) => self.encode_line(b' ', line, out),
            Text::Lines(lines) => {
                for (index, line) in lines.iter().enumerate() {
                    let mark = if index + 1 == lines.len() { b' ' } else { b'-' };
                    self.encode_line(mark, line, out);
                }
            }
        }
    }

    fn encode_line(&self, mark: u8, line: &str, out: &mut Vec<u8>) {
        push_number(self.code, out);
        out.push(mark);
        if let Some([class, subject, detail]) = self.status {
            for (number, behind) in [(class, b'.'), (subject, b'.'), (detail, b' ')] {
                push_number(number, out);
                out.push(behind);
            }
        }
        out.extend(
            line.bytes()
                .take(400)
                .map(|byte| if (b' '..=b'~').contains(&byte) { byte } else { b'?' }),
        );
        out.extend_from_slice(b"\r\n");
    }
}

/// In decimal, without an allocation.
fn push_number(number: u16, out: &mut Vec<u8>) {
    let digits = number.checked_ilog10().map_or(1, |power| power + 1);
    out.extend((0..digits).rev().map(|power| b'0' + (number / 10u16.pow(power) % 10) as u8));
}
