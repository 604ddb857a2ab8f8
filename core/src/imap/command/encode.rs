//! Commands as bytes: what a client sends. [`parse`](super::parse) of what is written here is the command again.

use alloc::vec::Vec;

use super::{Command, CreateUse, FetchItem, List, ListForm, ListOptions, SequenceSet, StatusItem, Tag, search};
use crate::bytes::utf7;
use crate::imap::flag;
use crate::imap::response::fetch::{encode_internal_date, encode_label, encode_part, encode_section};
use crate::imap::response::{quoted, special_use};
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
        Command::List(list) => encode_list(list, out),
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
            text(" ", out);
            status_items(items, out);
        }
        Command::Create { mailbox, special_use } => {
            text("CREATE ", out);
            string(utf7::encode(&mailbox.0).as_bytes(), out);
            create_use(*special_use, out);
        }
        Command::Delete(mailbox) => {
            text("DELETE ", out);
            string(utf7::encode(&mailbox.0).as_bytes(), out);
        }
        Command::Rename { from, to } => {
            text("RENAME ", out);
            string(utf7::encode(&from.0).as_bytes(), out);
            text(" ", out);
            string(utf7::encode(&to.0).as_bytes(), out);
        }
        Command::Subscribe { mailbox, on } => {
            text(if *on { "SUBSCRIBE " } else { "UNSUBSCRIBE " }, out);
            string(utf7::encode(&mailbox.0).as_bytes(), out);
        }
        Command::Transfer {
            set,
            mailbox,
            moves,
            uid,
        } => {
            text(if *uid { "UID " } else { "" }, out);
            set_command(if *moves { "MOVE " } else { "COPY " }, set, out);
            text(" ", out);
            string(utf7::encode(&mailbox.0).as_bytes(), out);
        }
        Command::Namespace => text("NAMESPACE", out),
        Command::Id => text("ID NIL", out),
        Command::Enable(names) => {
            text("ENABLE", out);
            for name in names {
                text(" ", out);
                text(name, out);
            }
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
            FetchItem::Binary { part, partial, peek } => {
                text(if *peek { "BINARY.PEEK[" } else { "BINARY[" }, out);
                encode_part(part, out);
                text("]", out);
                if let Some((first, count)) = partial {
                    text(&alloc::format!("<{first}.{count}>"), out);
                }
            }
            FetchItem::BinarySize { .. }
            | FetchItem::Body
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

fn encode_list(list: &List, out: &mut Vec<u8>) {
    text(if list.form == ListForm::Lsub { "LSUB " } else { "LIST " }, out);
    if let ListForm::Extended(options) = &list.form {
        let selected = [
            (options.subscribed, "SUBSCRIBED"),
            (options.special_use, "SPECIAL-USE"),
            (options.remote, "REMOTE"),
            (options.recursive, "RECURSIVEMATCH"),
        ];
        text("(", out);
        let selected = selected.iter().filter(|(wanted, _)| *wanted);
        for (index, (_, name)) in selected.enumerate() {
            text(if index == 0 { "" } else { " " }, out);
            text(name, out);
        }
        text(") ", out);
    }
    string(utf7::encode(&list.reference).as_bytes(), out);
    text(if list.patterns.len() == 1 { " " } else { " (" }, out);
    for (index, pattern) in list.patterns.iter().enumerate() {
        text(if index == 0 { "" } else { " " }, out);
        string(utf7::encode(pattern).as_bytes(), out);
    }
    text(if list.patterns.len() == 1 { "" } else { ")" }, out);
    if let ListForm::Extended(options) = &list.form {
        return_options(options, out);
    }
}

fn return_options(options: &ListOptions, out: &mut Vec<u8>) {
    let returned = [
        (options.return_subscribed, "SUBSCRIBED"),
        (options.return_children, "CHILDREN"),
        (options.return_special_use, "SPECIAL-USE"),
        (!options.status.is_empty(), "STATUS "),
    ];
    text(" RETURN (", out);
    let returned = returned.iter().filter(|(wanted, _)| *wanted);
    for (index, (_, name)) in returned.enumerate() {
        text(if index == 0 { "" } else { " " }, out);
        text(name, out);
    }
    if !options.status.is_empty() {
        status_items(&options.status, out);
    }
    text(")", out);
}

fn create_use(wanted: Option<CreateUse>, out: &mut Vec<u8>) {
    let name = match wanted {
        None => return,
        Some(CreateUse::One(one)) => special_use(one),
        Some(CreateUse::Other) => "\\All",
    };
    text(" (USE (", out);
    text(name, out);
    text("))", out);
}

fn status_items(items: &[StatusItem], out: &mut Vec<u8>) {
    for (index, item) in items.iter().enumerate() {
        text(if index == 0 { "(" } else { " " }, out);
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
