//! Commands as bytes: what a client sends. [`parse`](super::parse) of what is written here is the command again.

use alloc::vec::Vec;

use super::{Command, FetchItem, SequenceSet, StatusItem, Tag, search};
use crate::bytes::utf7;
use crate::imap::flag;
use crate::imap::response::fetch::{encode_internal_date, encode_label, encode_section};
use crate::imap::response::quoted;
use crate::store::request::FlagHow;

/// Writes a command with its tag and CRLF. Strings that cannot be quoted go as `{n+}`; APPEND ends with the space before its
/// message literal, which the caller announces.
pub fn encode(tag: &Tag, command: &Command, out: &mut Vec<u8>) {
    text(&tag.0, out);
    text(" ", out);
    match command {
        Command::Capability => text("CAPABILITY", out),
        Command::Noop => text("NOOP", out),
        Command::Logout => text("LOGOUT", out),
        Command::StartTls => text("STARTTLS", out),
        Command::Expunge => text("EXPUNGE", out),
        Command::Idle => text("IDLE", out),
        Command::Close { expunge: true } => text("CLOSE", out),
        Command::Close { expunge: false } => text("UNSELECT", out),
        Command::Login { login, password } => {
            text("LOGIN ", out);
            string(login.as_bytes(), out);
            text(" ", out);
            string(password.reveal().as_bytes(), out);
        }
        Command::Authenticate { mechanism, initial } => {
            text("AUTHENTICATE ", out);
            text(mechanism, out);
            if let Some(initial) = initial {
                text(" ", out);
                text(initial.reveal(), out);
            }
        }
        Command::List {
            reference,
            pattern,
            lsub,
        } => {
            text(if *lsub { "LSUB " } else { "LIST " }, out);
            string(utf7::encode(reference).as_bytes(), out);
            text(" ", out);
            string(utf7::encode(pattern).as_bytes(), out);
        }
        Command::Select { mailbox, read_only } => {
            text(if *read_only { "EXAMINE " } else { "SELECT " }, out);
            string(utf7::encode(&mailbox.0).as_bytes(), out);
        }
        Command::Fetch { set, items, uid } => {
            set_command(if *uid { "UID FETCH " } else { "FETCH " }, set, out);
            fetch_items(items, out);
        }
        Command::Search { uid, returns, keys } => {
            text(if *uid { "UID SEARCH" } else { "SEARCH" }, out);
            search::encode(*returns, keys.as_deref(), string, out);
        }
        Command::Store {
            set,
            change,
            silent,
            uid,
        } => {
            set_command(if *uid { "UID STORE " } else { "STORE " }, set, out);
            let how = match change.how {
                FlagHow::Add => " +FLAGS",
                FlagHow::Remove => " -FLAGS",
                FlagHow::Replace => " FLAGS",
            };
            text(how, out);
            text(if *silent { ".SILENT " } else { " " }, out);
            flag::encode_list(change.flags, change.keywords.iter().map(|keyword| &**keyword), false, out);
        }
        Command::UidExpunge(set) => set_command("UID EXPUNGE ", set, out),
        Command::Append {
            mailbox,
            flags,
            keywords,
            date,
        } => {
            text("APPEND ", out);
            string(utf7::encode(&mailbox.0).as_bytes(), out);
            text(" ", out);
            flag::encode_list(*flags, keywords.iter().map(|keyword| &**keyword), false, out);
            text(" ", out);
            if let Some(date) = date {
                encode_internal_date(*date, out);
                text(" ", out);
            }
            return;
        }
        Command::Status { mailbox, items } => {
            text("STATUS ", out);
            string(utf7::encode(&mailbox.0).as_bytes(), out);
            status_items(items, out);
        }
    }
    text("\r\n", out);
}

fn set_command(name: &str, set: &SequenceSet, out: &mut Vec<u8>) {
    text(name, out);
    set.encode(out);
}

fn fetch_items(items: &[FetchItem], out: &mut Vec<u8>) {
    for (index, item) in items.iter().enumerate() {
        text(if index == 0 { " (" } else { " " }, out);
        match item {
            FetchItem::Section { section, partial, peek } => {
                text(if *peek { "BODY.PEEK[" } else { "BODY[" }, out);
                encode_section(section, out);
                text("]", out);
                if let Some((first, count)) = partial {
                    text(&alloc::format!("<{first}.{count}>"), out);
                }
            }
            FetchItem::Body
            | FetchItem::BodyStructure
            | FetchItem::Envelope
            | FetchItem::Flags
            | FetchItem::InternalDate
            | FetchItem::Rfc822
            | FetchItem::Rfc822Header
            | FetchItem::Rfc822Size
            | FetchItem::Rfc822Text
            | FetchItem::Uid => encode_label(item, out),
        }
    }
    text(")", out);
}

fn status_items(items: &[StatusItem], out: &mut Vec<u8>) {
    for (index, item) in items.iter().enumerate() {
        text(if index == 0 { " (" } else { " " }, out);
        text(item.name(), out);
    }
    text(")", out);
}

/// `string`, with a literal that does not wait (RFC 7888).
fn string(bytes: &[u8], out: &mut Vec<u8>) {
    if !quoted(bytes, out) {
        text(&alloc::format!("{{{}+}}\r\n", bytes.len()), out);
        out.extend_from_slice(bytes);
    }
}

fn text(text: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(text.as_bytes());
}
