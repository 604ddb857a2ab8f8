//! Responses as bytes: each function appends one response, or a piece of one, to `out` (RFC 9051 §7, §9 `response`).

use alloc::format;
use alloc::vec::Vec;

use super::command::{StatusItem, Tag};
use super::mailbox_name::Names;
use super::{flag, mailbox_name};
use crate::limits;
use crate::store::{Flags, SpecialUse};

pub mod fetch;
pub mod search;
mod status;
#[cfg(test)]
mod tests;

pub use status::{Code, Condition, status};

/// `+ text`: the client may go on (RFC 9051 §7.6).
pub fn continuation(text: &str, out: &mut Vec<u8>) {
    line(out, &["+ ", text]);
}

/// `* CAPABILITY …` (RFC 9051 §7.2.2).
pub fn capability(names: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(b"* CAPABILITY");
    for name in names {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// `* FLAGS (…)`: the flags that can be in this mailbox (RFC 9051 §7.3.5).
pub fn flags<'a>(keywords: impl IntoIterator<Item = &'a str>, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* FLAGS ");
    let all = flag::SYSTEM.iter().fold(Flags::default(), |all, (flag, _)| all.with(*flag));
    flag::encode_list(all, keywords, false, out);
    out.extend_from_slice(b"\r\n");
}

/// A mailbox in LIST or LSUB.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listed<'a> {
    /// Its name in UTF-8.
    pub name: &'a str,
    /// Whether it is a mailbox.
    pub exists: Exists,
    /// `\Subscribed` (RFC 5258 §3.1).
    pub subscribed: bool,
    /// `\HasChildren` or `\HasNoChildren` (RFC 3348); `None`: not told.
    pub children: Option<bool>,
    /// What it is for (RFC 6154).
    pub special_use: Option<SpecialUse>,
    /// CHILDINFO: selection criteria that something below it meets (RFC 5258 §3.5).
    pub child_info: &'a [&'a str],
}

/// Whether a name in LIST is a mailbox.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exists {
    /// It is.
    Yes,
    /// `\Noselect` (RFC 3501 §7.2.2).
    NoSelect,
    /// `\NonExistent`, to clients that know it (RFC 5258 §3).
    NonExistent,
}

/// `* LIST (attributes) "/" name`, or LSUB (RFC 3501 §7.2.2).
pub fn list(lsub: bool, listed: &Listed<'_>, names: Names, out: &mut Vec<u8>) {
    out.extend_from_slice(if lsub { b"* LSUB (" } else { b"* LIST (" });
    let attributes = [
        match listed.exists {
            Exists::Yes => None,
            Exists::NoSelect => Some("\\Noselect"),
            Exists::NonExistent => Some("\\NonExistent"),
        },
        listed.subscribed.then_some("\\Subscribed"),
        listed
            .children
            .map(|has| if has { "\\HasChildren" } else { "\\HasNoChildren" }),
        listed.special_use.map(special_use),
    ];
    words(attributes.into_iter().flatten(), out);
    out.extend_from_slice(b") \"/\" ");
    mailbox_name::encode(listed.name, names, out);
    for (index, criterion) in listed.child_info.iter().enumerate() {
        out.extend_from_slice(if index == 0 { b" (\"CHILDINFO\" (" } else { b" " });
        quoted(criterion.as_bytes(), out);
    }
    out.extend_from_slice(if listed.child_info.is_empty() { b"\r\n" } else { b"))\r\n" });
}

/// A use as an attribute (RFC 6154 §2).
pub fn special_use(special_use: SpecialUse) -> &'static str {
    match special_use {
        SpecialUse::Archive => "\\Archive",
        SpecialUse::Drafts => "\\Drafts",
        SpecialUse::Junk => "\\Junk",
        SpecialUse::Sent => "\\Sent",
        SpecialUse::Trash => "\\Trash",
    }
}

/// `* NAMESPACE (("" "/")) NIL NIL`: all mailboxes are the account's own (RFC 2342 §5).
pub fn namespace(out: &mut Vec<u8>) {
    line(out, &["* NAMESPACE ((\"\" \"/\")) NIL NIL"]);
}

/// `* ENABLED …` (RFC 5161 §3.2).
pub fn enabled(names: &[&str], out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ENABLED");
    for name in names {
        out.push(b' ');
        out.extend_from_slice(name.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// `* ID (name value …)` (RFC 2971 §3.2).
pub fn id(pairs: &[(&str, &str)], out: &mut Vec<u8>) {
    out.extend_from_slice(b"* ID (");
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        string(name.as_bytes(), out);
        out.push(b' ');
        string(value.as_bytes(), out);
    }
    out.extend_from_slice(b")\r\n");
}

/// `* LIST (\Noselect) "/" ""`: the delimiter is asked for (RFC 3501 §6.3.8).
pub fn list_delimiter(lsub: bool, out: &mut Vec<u8>) {
    out.extend_from_slice(if lsub {
        b"* LSUB (\\Noselect) \"/\" \"\"\r\n"
    } else {
        b"* LIST (\\Noselect) \"/\" \"\"\r\n"
    });
}

/// `* STATUS name (item value …)` (RFC 9051 §7.3.4).
pub fn mailbox_status(name: &str, values: &[(StatusItem, u64)], names: Names, out: &mut Vec<u8>) {
    out.extend_from_slice(b"* STATUS ");
    mailbox_name::encode(name, names, out);
    out.extend_from_slice(b" (");
    for (index, (item, value)) in values.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(format!("{} {value}", item.name()).as_bytes());
    }
    out.extend_from_slice(b")\r\n");
}

impl StatusItem {
    /// Its name on the wire.
    pub fn name(self) -> &'static str {
        match self {
            StatusItem::Messages => "MESSAGES",
            StatusItem::Recent => "RECENT",
            StatusItem::UidNext => "UIDNEXT",
            StatusItem::UidValidity => "UIDVALIDITY",
            StatusItem::Unseen => "UNSEEN",
            StatusItem::Deleted => "DELETED",
            StatusItem::Size => "SIZE",
        }
    }
}

/// `* n EXISTS` (RFC 9051 §7.4.1).
pub fn exists(count: u32, out: &mut Vec<u8>) {
    numbered(count, "EXISTS", out);
}

/// `* n RECENT` (RFC 3501 §7.3.2).
pub fn recent(count: u32, out: &mut Vec<u8>) {
    numbered(count, "RECENT", out);
}

/// `* n EXPUNGE` (RFC 9051 §7.5.1).
pub fn expunge(number: u32, out: &mut Vec<u8>) {
    numbered(number, "EXPUNGE", out);
}

fn numbered(number: u32, what: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("* {number} {what}\r\n").as_bytes());
}

/// `astring`: an atom if it can be one, else a [`string`].
pub fn astring(bytes: &[u8], out: &mut Vec<u8>) {
    use super::command::cursor::is_astring_char;
    if !bytes.is_empty() && bytes.iter().all(|byte| is_astring_char(*byte)) {
        out.extend_from_slice(bytes);
    } else {
        string(bytes, out);
    }
}

/// `string = quoted / literal`: quoted if it can be.
pub fn string(bytes: &[u8], out: &mut Vec<u8>) {
    if !quoted(bytes, out) {
        literal_head(bytes.len() as u64, out);
        out.extend_from_slice(bytes);
    }
}

/// `nstring = string / "NIL"`
pub fn nstring(bytes: Option<&[u8]>, out: &mut Vec<u8>) {
    match bytes {
        Some(bytes) => string(bytes, out),
        None => out.extend_from_slice(b"NIL"),
    }
}

/// `{n}` CRLF: so many octets follow.
pub fn literal_head(size: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("{{{size}}}\r\n").as_bytes());
}

/// `quoted`, unless the bytes must go as a literal: long, 8-bit, or with CR, LF, NUL or another control.
pub(super) fn quoted(bytes: &[u8], out: &mut Vec<u8>) -> bool {
    if bytes.len() > limits::IMAP_QUOTED || !bytes.iter().all(|byte| matches!(byte, b' '..=b'~')) {
        return false;
    }
    out.push(b'"');
    for byte in bytes {
        if matches!(byte, b'"' | b'\\') {
            out.push(b'\\');
        }
        out.push(*byte);
    }
    out.push(b'"');
    true
}

fn words<'a>(words: impl Iterator<Item = &'a str>, out: &mut Vec<u8>) {
    for (index, word) in words.enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        out.extend_from_slice(word.as_bytes());
    }
}

fn line(out: &mut Vec<u8>, pieces: &[&str]) {
    for piece in pieces {
        out.extend_from_slice(piece.as_bytes());
    }
    out.extend_from_slice(b"\r\n");
}

/// The tag of a reply: `*` when the command's could not be read.
pub(super) fn tag(tag: Option<&Tag>, out: &mut Vec<u8>) {
    out.extend_from_slice(tag.map_or("*", |tag| &tag.0).as_bytes());
    out.push(b' ');
}
