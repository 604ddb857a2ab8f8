//! Replies (RFC 5321 §4.2, RFC 2034).

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

/// A reply: code, enhanced status code where the code has one, and lines of text.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 599.
    pub code: u16,
    /// RFC 3463, as `[class, subject, detail]`.
    pub status: Option<[u16; 3]>,
    /// At least one line; printable ASCII.
    pub lines: Vec<String>,
}

impl Reply {
    /// A reply of one line with its enhanced status code.
    pub fn new(code: u16, status: [u16; 3], text: impl Into<String>) -> Reply {
        Reply {
            code,
            status: Some(status),
            lines: alloc::vec![text.into()],
        }
    }

    /// A reply without one: greeting, EHLO, 354, 334.
    pub fn bare(code: u16, lines: Vec<String>) -> Reply {
        Reply {
            code,
            status: None,
            lines,
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
        for (index, line) in self.lines.iter().enumerate() {
            let mark = if index + 1 == self.lines.len() { ' ' } else { '-' };
            out.extend_from_slice(format!("{}{mark}", self.code).as_bytes());
            if let Some([class, subject, detail]) = self.status {
                out.extend_from_slice(format!("{class}.{subject}.{detail} ").as_bytes());
            }
            out.extend(
                line.bytes()
                    .take(400)
                    .map(|byte| if (b' '..=b'~').contains(&byte) { byte } else { b'?' }),
            );
            out.extend_from_slice(b"\r\n");
        }
    }
}
