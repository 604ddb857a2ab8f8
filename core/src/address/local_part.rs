//! Local parts.

use alloc::string::String;
use alloc::vec::Vec;

use super::AddressError;
use crate::limits;
use crate::record::{Malformed, Reader, Record};

/// A local part, unquoted (`"a b"@c` has the local part `a b`), kept as it was written: foreign ones are never folded.
///
/// ```text
/// Local-part = Dot-string / Quoted-string        Dot-string = Atom *("." Atom)
/// Quoted-string = DQUOTE *(qtextSMTP / "\" %d32-126) DQUOTE
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPart(String);

impl LocalPart {
    /// Takes an unquoted local part: anything printable.
    ///
    /// # Errors
    /// `LocalPart`, `TooLong`, or `NotAscii` when `utf8` is false.
    pub fn new(text: &str, utf8: bool) -> Result<LocalPart, AddressError> {
        if !utf8 && !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        if text.chars().any(char::is_control) {
            return Err(AddressError::LocalPart);
        }
        if text.len() > limits::LOCAL_PART {
            return Err(AddressError::TooLong);
        }
        Ok(LocalPart(text.into()))
    }

    /// Reads a local part from the start of `text`, in its wire form; what follows it.
    ///
    /// # Errors
    /// As [`LocalPart::new`].
    pub(super) fn parse_prefix(text: &str, utf8: bool) -> Result<(LocalPart, &str), AddressError> {
        if let Some(quoted) = text.strip_prefix('"') {
            let (inner, rest) = unquote(quoted)?;
            return Ok((LocalPart::new(&inner, utf8)?, rest));
        }
        let end = text.find(|c| !is_atext(c) && c != '.').unwrap_or(text.len());
        let (dotted, rest) = text.split_at(end);
        if dotted.split('.').any(str::is_empty) {
            return Err(AddressError::LocalPart);
        }
        Ok((LocalPart::new(dotted, utf8)?, rest))
    }

    /// As written, without quotes.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The form in which local recipients are compared: lower case. (RFC 5321 §2.4 lets a host fold its own; Unicode
    /// normalisation is not applied.)
    pub fn folded(&self) -> String {
        self.0.to_lowercase()
    }
}

/// Reads up to the closing quote: the content, and what follows.
fn unquote(text: &str) -> Result<(String, &str), AddressError> {
    let mut content = String::new();
    let mut characters = text.char_indices();
    while let Some((index, c)) = characters.next() {
        match c {
            '"' => return Ok((content, &text[index + 1..])),
            '\\' => match characters.next() {
                Some((_, escaped @ ' '..='~')) => content.push(escaped),
                _ => return Err(AddressError::LocalPart),
            },
            c if c.is_control() => return Err(AddressError::LocalPart),
            c => content.push(c),
        }
    }
    Err(AddressError::LocalPart)
}

/// `atext` (RFC 5322 §3.2.3, RFC 6531 §3.3).
fn is_atext(c: char) -> bool {
    c.is_ascii_alphanumeric() || "!#$%&'*+-/=?^_`{|}~".contains(c) || (!c.is_ascii() && !c.is_control())
}

/// The wire form: with quotes where they are needed.
impl core::fmt::Display for LocalPart {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        if self.0.split('.').all(|atom| !atom.is_empty() && atom.chars().all(is_atext)) {
            return f.write_str(&self.0);
        }
        f.write_str("\"")?;
        for c in self.0.chars() {
            if matches!(c, '"' | '\\') {
                f.write_str("\\")?;
            }
            write!(f, "{c}")?;
        }
        f.write_str("\"")
    }
}

impl Record for LocalPart {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        LocalPart::new(&String::decode(from)?, true).map_err(|_| Malformed("not a local part"))
    }
}
