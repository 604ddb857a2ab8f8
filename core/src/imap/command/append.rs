//! APPEND up to its message (RFC 9051 §6.3.12).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::parser::{Parser, Wrong};
use crate::message::date::parse_internal;
use crate::store::{Flags, MailboxName};
use crate::time::UnixTime;

/// What stands before the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Append {
    /// The command's tag.
    pub tag: String,
    /// Where to.
    pub mailbox: MailboxName,
    /// First system flags.
    pub flags: Flags,
    /// First keywords.
    pub keywords: Vec<Arc<str>>,
    /// INTERNALDATE.
    pub date: Option<UnixTime>,
}

/// Reads a command up to and with the announcement of its message: `None` when this is no APPEND, or not that far.
///
/// ```text
/// append = "APPEND" SP mailbox SP [flag-list SP] [date-time SP] literal
/// ```
pub fn parse_head(text: &[u8]) -> Option<Append> {
    let (tag, rest) = super::parse_tag(text)?;
    let mut parser = Parser::new(rest);
    if !parser.word("APPEND ") {
        return None;
    }
    head(&mut parser, tag).ok()
}

fn head(parser: &mut Parser<'_>, tag: String) -> Result<Append, Wrong> {
    let mailbox = parser.mailbox()?;
    parser.space()?;
    let (flags, keywords) = if parser.peek() == Some(b'(') {
        let flags = parser.flags()?;
        parser.space()?;
        flags
    } else {
        Default::default()
    };
    let date = if parser.peek() == Some(b'"') {
        let date = parse_internal(&parser.string()?).ok_or("the date is malformed")?;
        parser.space()?;
        Some(date)
    } else {
        None
    };
    // The announcement, and nothing behind it.
    if !parser.take(b'{') {
        return Err("the message is missing");
    }
    parser.take_while(|byte| byte.is_ascii_digit());
    parser.take(b'+');
    let announced = parser.take(b'}') && parser.take(b'\r') && parser.take(b'\n') && parser.rest().is_empty();
    if announced {
        Ok(Append {
            tag,
            mailbox,
            flags,
            keywords,
            date,
        })
    } else {
        Err("the message is missing")
    }
}
