//! APPEND: its head, which stands before the message.

use alloc::vec::Vec;

use super::cursor::{Cursor, Wrong};
use super::{Command, Tag};
use crate::imap::frame::Framed;
use crate::imap::mailbox_name::Names;
use crate::imap::{flag, response};
use crate::message::date;
use crate::store::Flags;
use crate::time::UnixTime;

const MESSAGE_EXPECTED: Wrong = "APPEND: the message is expected as a literal, after login";

/// What stands before a literal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AppendHead {
    /// Another command, or APPEND whose mailbox is the literal.
    Other,
    /// APPEND whose message is the literal.
    Message(Tag, Command),
    /// APPEND that can become nothing right.
    Wrong(&'static str),
}

/// Reads a command up to the `{` of a literal:
/// `append = "APPEND" SP mailbox [SP flag-list] [SP date-time] SP literal` (RFC 3501 §6.3.11)
pub fn parse_head(framed: Framed<'_>, names: Names) -> AppendHead {
    let mut cursor = Cursor::with(&framed, names);
    let Ok(tag) = cursor.tag() else {
        return AppendHead::Other;
    };
    if !cursor.eat(b' ') || cursor.keyword() != b"APPEND" || !cursor.eat(b' ') || cursor.at_end() {
        return AppendHead::Other;
    }
    match head(&mut cursor) {
        Ok(command) => AppendHead::Message(tag, command),
        Err(wrong) => AppendHead::Wrong(wrong),
    }
}

fn head(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mailbox = cursor.mailbox()?;
    cursor.space()?;
    let (flags, keywords) = match cursor.peek() {
        Some(b'(') => {
            let list = flag::parse_list(cursor)?;
            cursor.space()?;
            list
        }
        Some(_) | None => (Flags::default(), Vec::new()),
    };
    let date = match cursor.peek() {
        Some(b'"') => {
            let date = internal_date(&cursor.quoted()?).ok_or("APPEND: the date-time is wrong")?;
            cursor.space()?;
            Some(date)
        }
        Some(_) | None => None,
    };
    if !cursor.at_end() {
        return Err(MESSAGE_EXPECTED);
    }
    Ok(Command::Append {
        mailbox,
        flags,
        keywords,
        date,
    })
}

/// A date-time that can be told again in UTC: its year has four digits there too.
fn internal_date(text: &[u8]) -> Option<UnixTime> {
    let date = date::parse_internal(text)?;
    (date == response::fetch::tellable(date)).then_some(date)
}

/// Why an APPEND that was framed as a command is wrong: the framer offers its message before that, once someone is logged in.
pub(super) fn why_not(cursor: &mut Cursor<'_>) -> Wrong {
    if cursor.space().is_err() {
        return "APPEND: a mailbox is expected";
    }
    head(cursor).err().unwrap_or(MESSAGE_EXPECTED)
}
