//! The lexical level of commands (RFC 9051 §9): atoms, strings, literals, lists.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::bytes::utf7;
use crate::limits;
use crate::store::{Flags, MailboxName};

/// What is wrong with a command, in words for its author.
pub(super) type Wrong = &'static str;

/// Reads a command from left to right.
#[derive(Debug, Clone)]
pub(super) struct Parser<'a> {
    rest: &'a [u8],
}

/// `ATOM-CHAR`: not `(` `)` `{` SP CTL `%` `*` `"` `\` `]`.
pub(super) fn is_atom(byte: u8) -> bool {
    byte > b' ' && byte < 0x7f && !b"(){%*\"\\]".contains(&byte)
}

/// `ASTRING-CHAR = ATOM-CHAR / "]"`.
fn is_astring(byte: u8) -> bool {
    is_atom(byte) || byte == b']'
}

impl<'a> Parser<'a> {
    pub(super) fn new(text: &'a [u8]) -> Self {
        Parser { rest: text }
    }

    pub(super) fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn peek(&self) -> Option<u8> {
        self.rest.first().copied()
    }

    pub(super) fn take(&mut self, byte: u8) -> bool {
        let there = self.peek() == Some(byte);
        if there {
            self.rest = &self.rest[1..];
        }
        there
    }

    pub(super) fn space(&mut self) -> Result<(), Wrong> {
        if self.take(b' ') { Ok(()) } else { Err("a space is missing") }
    }

    pub(super) fn end(&self) -> Result<(), Wrong> {
        if self.rest.is_empty() {
            Ok(())
        } else {
            Err("there is something behind the command")
        }
    }

    /// Takes a word in any case, if it comes next.
    pub(super) fn word(&mut self, word: &str) -> bool {
        let there = self
            .rest
            .get(..word.len())
            .is_some_and(|head| head.eq_ignore_ascii_case(word.as_bytes()));
        if there {
            self.rest = &self.rest[word.len()..];
        }
        there
    }

    pub(super) fn take_while(&mut self, test: impl Fn(u8) -> bool) -> &'a [u8] {
        let end = self.rest.iter().position(|byte| !test(*byte)).unwrap_or(self.rest.len());
        let (taken, rest) = self.rest.split_at(end);
        self.rest = rest;
        taken
    }

    /// `atom`, in upper case.
    pub(super) fn atom(&mut self) -> Result<String, Wrong> {
        let atom = self.take_while(is_atom);
        if atom.is_empty() {
            return Err("a word is missing");
        }
        Ok(atom.iter().map(|byte| char::from(byte.to_ascii_uppercase())).collect())
    }

    /// `number`, up to 32 bits.
    pub(super) fn number(&mut self) -> Result<u32, Wrong> {
        let digits = self.take_while(|byte| byte.is_ascii_digit());
        core::str::from_utf8(digits)
            .ok()
            .and_then(|digits| digits.parse().ok())
            .ok_or("a number is missing or too large")
    }

    /// `astring = 1*ASTRING-CHAR / string`.
    pub(super) fn astring(&mut self) -> Result<Vec<u8>, Wrong> {
        match self.peek() {
            Some(b'"' | b'{') => self.string(),
            Some(byte) if is_astring(byte) => Ok(self.take_while(is_astring).to_vec()),
            _ => Err("a string is missing"),
        }
    }

    /// `string = quoted / literal`.
    pub(super) fn string(&mut self) -> Result<Vec<u8>, Wrong> {
        match self.peek() {
            Some(b'"') => self.quoted(),
            Some(b'{') => self.literal(),
            _ => Err("a string is missing"),
        }
    }

    /// `quoted = DQUOTE *QUOTED-CHAR DQUOTE`; only `"` and `\` may be escaped.
    fn quoted(&mut self) -> Result<Vec<u8>, Wrong> {
        self.take(b'"');
        let mut text = Vec::new();
        loop {
            let plain = self.take_while(|byte| !matches!(byte, b'"' | b'\\' | b'\r' | b'\n'));
            text.extend_from_slice(plain);
            if self.take(b'"') {
                return Ok(text);
            }
            if !self.take(b'\\') {
                return Err("a quoted string has no end");
            }
            match self.peek() {
                Some(escaped @ (b'"' | b'\\')) => {
                    self.take(escaped);
                    text.push(escaped);
                }
                _ => return Err("only \" and \\ can be escaped"),
            }
        }
    }

    /// `literal = "{" number64 ["+"] "}" CRLF *CHAR8`; the framer has seen to it that it is whole.
    fn literal(&mut self) -> Result<Vec<u8>, Wrong> {
        self.take(b'{');
        let size = self.number()? as usize;
        self.take(b'+');
        if !self.take(b'}') || !self.take(b'\r') || !self.take(b'\n') || size > self.rest.len() {
            return Err("a literal is malformed");
        }
        let (text, rest) = self.rest.split_at(size);
        self.rest = rest;
        if text.contains(&0) {
            return Err("a literal must not hold NUL");
        }
        Ok(text.to_vec())
    }

    pub(super) fn utf8(&mut self) -> Result<String, Wrong> {
        String::from_utf8(self.astring()?).map_err(|_| "a string is not UTF-8")
    }

    /// `mailbox`, in modified UTF-7 (RFC 3501 §5.1.3).
    pub(super) fn mailbox(&mut self) -> Result<MailboxName, Wrong> {
        let text = self.astring()?;
        mailbox_name(&text)
    }

    /// `list-mailbox = 1*list-char / string`.
    pub(super) fn list_mailbox(&mut self) -> Result<String, Wrong> {
        let text = match self.peek() {
            Some(b'"' | b'{') => self.string()?,
            _ => self
                .take_while(|byte| is_astring(byte) || matches!(byte, b'%' | b'*'))
                .to_vec(),
        };
        if text.len() > limits::MAILBOX_NAME {
            return Err("the pattern is too long");
        }
        utf7::decode(&text).ok_or("the pattern is not modified UTF-7")
    }

    /// `"(" [item *(SP item)] ")"`, not nested.
    pub(super) fn list<T>(&mut self, mut item: impl FnMut(&mut Self) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
        if !self.take(b'(') {
            return Err("a list is missing");
        }
        let mut items = Vec::new();
        if self.take(b')') {
            return Ok(items);
        }
        loop {
            if items.len() >= limits::LIST_ITEMS {
                return Err("the list is too long");
            }
            items.push(item(self)?);
            if self.take(b')') {
                return Ok(items);
            }
            self.space()?;
        }
    }

    /// `flag = "\" system-flag / keyword`: `\Recent` cannot be set.
    pub(super) fn flag(&mut self) -> Result<Flag, Wrong> {
        if self.take(b'\\') {
            let known = [
                ("ANSWERED", Flags::ANSWERED),
                ("FLAGGED", Flags::FLAGGED),
                ("DELETED", Flags::DELETED),
                ("SEEN", Flags::SEEN),
                ("DRAFT", Flags::DRAFT),
            ];
            let name = self.atom()?;
            return match known.iter().find(|(known, _)| *known == name) {
                Some((_, flag)) => Ok(Flag::System(*flag)),
                None => Err("no such system flag"),
            };
        }
        let keyword = self.take_while(is_atom);
        if keyword.is_empty() || keyword.len() > limits::KEYWORD {
            return Err("a flag is missing or too long");
        }
        Ok(Flag::Keyword(
            core::str::from_utf8(keyword).map_err(|_| "a keyword is ASCII")?.into(),
        ))
    }

    /// A list of flags.
    pub(super) fn flags(&mut self) -> Result<(Flags, Vec<Arc<str>>), Wrong> {
        let list = self.list(Parser::flag)?;
        Ok(gather(list))
    }
}

/// A flag in a command.
pub(super) enum Flag {
    System(Flags),
    Keyword(Arc<str>),
}

/// System flags together, keywords each once.
pub(super) fn gather(list: Vec<Flag>) -> (Flags, Vec<Arc<str>>) {
    let (mut flags, mut keywords) = (Flags::default(), Vec::<Arc<str>>::new());
    for flag in list {
        match flag {
            Flag::System(flag) => flags = flags.with(flag),
            Flag::Keyword(keyword) => {
                if !keywords.iter().any(|known| known.eq_ignore_ascii_case(&keyword)) {
                    keywords.push(keyword);
                }
            }
        }
    }
    (flags, keywords)
}

/// A name as IMAP4rev1 writes it; INBOX in any case is INBOX. Control characters, empty levels and over-long names are none (S42).
fn mailbox_name(text: &[u8]) -> Result<MailboxName, Wrong> {
    if text.eq_ignore_ascii_case(b"INBOX") {
        return Ok(MailboxName("INBOX".into()));
    }
    let name = utf7::decode(text).ok_or("the mailbox name is not modified UTF-7")?;
    let levels = name.split('/').count();
    if name.is_empty()
        || name.len() > limits::MAILBOX_NAME
        || levels > limits::MAILBOX_DEPTH
        || name.chars().any(char::is_control)
    {
        return Err("this cannot be the name of a mailbox");
    }
    Ok(MailboxName(name.into()))
}
