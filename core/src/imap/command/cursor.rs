//! Reads the words of a framed command, left to right, each byte once.

use alloc::borrow::Cow;
use alloc::string::String;
use alloc::vec::Vec;

use super::{SequenceSet, Tag};
use crate::imap::frame::{Framed, Literal};
use crate::imap::mailbox_name::{self, Names};
use crate::limits;
use crate::store::MailboxName;

/// What is wrong with a command, for the reply's text.
pub(in crate::imap) type Wrong = &'static str;

/// A place in a framed command.
pub(in crate::imap) struct Cursor<'a> {
    text: &'a [u8],
    /// Those at or behind `at`.
    literals: &'a [Literal],
    at: usize,
    names: Names,
}

impl<'a> Cursor<'a> {
    pub(in crate::imap) fn new(framed: &Framed<'a>) -> Self {
        Cursor::with(framed, Names::Utf7)
    }

    pub(in crate::imap) fn with(framed: &Framed<'a>, names: Names) -> Self {
        Cursor {
            names,
            text: framed.text,
            literals: framed.literals,
            at: 0,
        }
    }

    pub(in crate::imap) fn peek(&self) -> Option<u8> {
        self.text.get(self.at).copied()
    }

    /// How far it has come.
    pub(in crate::imap) fn at(&self) -> usize {
        self.at
    }

    /// Whether everything is read.
    pub(in crate::imap) fn at_end(&self) -> bool {
        self.at == self.text.len()
    }

    pub(in crate::imap) fn end(&self) -> Result<(), Wrong> {
        if self.at_end() {
            Ok(())
        } else {
            Err("nothing more is expected behind this command")
        }
    }

    /// Whether the next byte is this one; steps over it if so.
    pub(in crate::imap) fn eat(&mut self, byte: u8) -> bool {
        let eaten = self.peek() == Some(byte);
        self.at += usize::from(eaten);
        eaten
    }

    pub(in crate::imap) fn expect(&mut self, byte: u8, wrong: Wrong) -> Result<(), Wrong> {
        if self.eat(byte) { Ok(()) } else { Err(wrong) }
    }

    pub(in crate::imap) fn space(&mut self) -> Result<(), Wrong> {
        self.expect(b' ', "one space is expected")
    }

    fn take_while(&mut self, wanted: impl Fn(u8) -> bool) -> &'a [u8] {
        let rest = &self.text[self.at..];
        let len = rest.iter().position(|byte| !wanted(*byte)).unwrap_or(rest.len());
        self.at += len;
        &rest[..len]
    }

    /// `tag = 1*<any ASTRING-CHAR except "+">`
    pub(in crate::imap) fn tag(&mut self) -> Result<Tag, Wrong> {
        let tag = self.take_while(|byte| is_astring_char(byte) && byte != b'+');
        if tag.is_empty() {
            return Err("a tag is expected");
        }
        if tag.len() > limits::IMAP_TAG {
            return Err("tag is too long");
        }
        Ok(Tag(ascii(tag)))
    }

    /// A word of letters, digits and dots in upper case; longer than any of ours: empty.
    pub(in crate::imap) fn keyword(&mut self) -> Vec<u8> {
        let word = self.take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'.');
        if word.len() > 32 {
            Vec::new()
        } else {
            word.to_ascii_uppercase()
        }
    }

    /// `atom = 1*ATOM-CHAR`; may be empty.
    pub(in crate::imap) fn atom(&mut self) -> &'a [u8] {
        self.take_while(is_atom_char)
    }

    /// `number = 1*DIGIT`, 32 bits
    pub(in crate::imap) fn number(&mut self) -> Result<u32, Wrong> {
        u32::try_from(self.number64()?).map_err(|_| "number is too great")
    }

    /// `number64 = 1*DIGIT`, 63 bits (RFC 9051 §9)
    pub(in crate::imap) fn number64(&mut self) -> Result<u64, Wrong> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        if digits.is_empty() {
            return Err("a number is expected");
        }
        digits
            .iter()
            .try_fold(0i64, |value, digit| {
                value.checked_mul(10)?.checked_add(i64::from(digit - b'0'))
            })
            .map(i64::unsigned_abs)
            .ok_or("number is too great")
    }

    /// `nz-number = digit-nz *DIGIT`
    pub(in crate::imap) fn nz_number(&mut self) -> Result<u32, Wrong> {
        match self.peek() {
            Some(b'0') => Err("a number from 1 is expected"),
            Some(_) | None => self.number(),
        }
    }

    /// `astring = 1*ASTRING-CHAR / string`
    pub(in crate::imap) fn astring(&mut self) -> Result<Cow<'a, [u8]>, Wrong> {
        self.word(is_astring_char)
    }

    /// `mailbox = "INBOX" / astring`
    pub(in crate::imap) fn mailbox(&mut self) -> Result<MailboxName, Wrong> {
        let name = self.astring()?;
        mailbox_name::parse(&name, self.names)
    }

    /// The name of a mailbox to be made: a delimiter at its end only declares that there will be names below it, and is ignored
    /// (RFC 3501 §6.3.3).
    pub(in crate::imap) fn new_mailbox(&mut self) -> Result<MailboxName, Wrong> {
        let name = self.astring()?;
        let name = name.strip_suffix(b"/").unwrap_or(&name);
        mailbox_name::parse(name, self.names)
    }

    /// A reference: `mailbox`, but it need not be a mailbox's name.
    pub(in crate::imap) fn mailbox_text(&mut self) -> Result<String, Wrong> {
        let text = self.astring()?;
        mailbox_name::decode(&text, self.names)
    }

    /// `list-mailbox = 1*list-char / string`
    pub(in crate::imap) fn pattern(&mut self) -> Result<String, Wrong> {
        let text = self.word(|byte| is_astring_char(byte) || matches!(byte, b'%' | b'*'))?;
        mailbox_name::decode(&text, self.names)
    }

    /// `string = quoted / literal`
    pub(in crate::imap) fn string(&mut self) -> Result<Cow<'a, [u8]>, Wrong> {
        match self.peek() {
            Some(b'"' | b'{') => self.word(|_| false),
            Some(_) | None => Err("a string is expected"),
        }
    }

    /// `nstring = string / nil`
    pub(in crate::imap) fn nstring(&mut self) -> Result<Option<Cow<'a, [u8]>>, Wrong> {
        match self.atom() {
            [] => self.string().map(Some),
            nil if nil.eq_ignore_ascii_case(b"NIL") => Ok(None),
            _ => Err("a string or NIL is expected"),
        }
    }

    fn word(&mut self, wanted: impl Fn(u8) -> bool) -> Result<Cow<'a, [u8]>, Wrong> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal().map(Cow::Borrowed),
            Some(_) | None => match self.take_while(wanted) {
                [] => Err("a string is expected"),
                word => Ok(Cow::Borrowed(word)),
            },
        }
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`, with RFC 9051's UTF-8.
    pub(in crate::imap) fn quoted(&mut self) -> Result<Cow<'a, [u8]>, Wrong> {
        self.expect(b'"', "a quoted string is expected")?;
        let plain = self.take_while(is_quoted_plain);
        if self.eat(b'"') {
            return Ok(Cow::Borrowed(plain));
        }
        let mut out = plain.to_vec();
        loop {
            match self.peek() {
                Some(b'"') => {
                    self.at += 1;
                    return Ok(Cow::Owned(out));
                }
                Some(b'\\') => {
                    self.at += 1;
                    match self.peek() {
                        Some(escaped @ (b'"' | b'\\')) => out.push(escaped),
                        Some(_) | None => return Err("only \" and \\ are escaped in a quoted string"),
                    }
                    self.at += 1;
                }
                Some(byte) if is_quoted_plain(byte) => out.extend_from_slice(self.take_while(is_quoted_plain)),
                Some(_) => return Err("control character in a quoted string"),
                None => return Err("quoted string is not closed"),
            }
        }
    }

    /// `literal = "{" number ["+"] "}" CRLF *CHAR8`: no NUL.
    fn literal(&mut self) -> Result<&'a [u8], Wrong> {
        let Some((literal, rest)) = self.literals.split_first() else {
            return Err("a literal is announced at the end of a line");
        };
        if literal.brace != self.at {
            return Err("a literal is announced at the end of a line");
        }
        let bytes = &self.text[literal.start..literal.end];
        if memchr::memchr(0, bytes).is_some() {
            return Err("NUL in a literal");
        }
        self.at = literal.end;
        self.literals = rest;
        Ok(bytes)
    }

    /// `sequence-set`, with its commas.
    pub(in crate::imap) fn sequence_set(&mut self) -> Result<SequenceSet, Wrong> {
        let text = self.take_while(|byte| byte.is_ascii_digit() || matches!(byte, b':' | b',' | b'*' | b'$'));
        SequenceSet::parse(text)
    }
}

/// The text of bytes known to be ASCII.
pub(in crate::imap) fn ascii(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| char::from(*byte)).collect()
}

/// The text of bytes that must be UTF-8.
pub(in crate::imap) fn utf8(bytes: &[u8], wrong: Wrong) -> Result<String, Wrong> {
    core::str::from_utf8(bytes).map(String::from).map_err(|_| wrong)
}

/// `atom-specials = "(" / ")" / "{" / SP / CTL / list-wildcards / quoted-specials / resp-specials`
pub(in crate::imap) fn is_atom_char(byte: u8) -> bool {
    byte.is_ascii_graphic() && !matches!(byte, b'(' | b')' | b'{' | b'%' | b'*' | b'"' | b'\\' | b']')
}

/// `ASTRING-CHAR = ATOM-CHAR / resp-specials`
pub(in crate::imap) fn is_astring_char(byte: u8) -> bool {
    is_atom_char(byte) || byte == b']'
}

fn is_quoted_plain(byte: u8) -> bool {
    byte >= b' ' && !matches!(byte, b'"' | b'\\' | 0x7f)
}
