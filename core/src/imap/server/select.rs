//! SELECT, EXAMINE, CLOSE, UNSELECT.

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::ask::{Ask, ExpungeDone, Opened};
use super::{Doing, Session, Wanted};
use crate::imap::command::Tag;
use crate::imap::response::{self, Code, Condition, Exists, Listed};
use crate::imap::view::View;
use crate::store::MailboxName;
use crate::store::request::Refused;

impl Session {
    /// RFC 3501 §6.3.1: whatever comes of it, the mailbox before is no longer selected.
    pub(super) fn select(&mut self, tag: Tag, name: MailboxName, read_only: bool) {
        if self.rev2 && self.view.is_some() {
            let text = "The mailbox before is no longer selected"; // RFC 9051 §7.1
            response::status(None, Condition::Ok, Some(&Code::Closed), text, self.out.end());
        }
        self.deselect();
        self.ask_mailbox(name.clone(), true, !read_only && !self.rev2);
        self.doing = Doing::Select { tag, name, read_only };
    }

    /// Asks for a mailbox of the account.
    pub(super) fn ask_mailbox(&mut self, name: MailboxName, watch: bool, take_recent: bool) {
        let account = self.account.expect("only when logged in");
        self.ask = Some(Ask::Select {
            account,
            name,
            watch,
            take_recent,
            then: self.slots.ask(Wanted::Opened),
        });
    }

    pub(super) fn selected(&mut self, tag: Tag, name: &MailboxName, read_only: bool, opened: Opened) {
        let selected = match opened.0 {
            Ok(selected) => selected,
            Err(refused) => return self.refuse(&tag, &refused),
        };
        let mut view = View::new(selected, read_only, self.slots.machine());
        if self.rev2 {
            view = view.without_recent();
            // RFC 9051 §6.3.2: the name as it is listed.
            let listed = Listed {
                name: &name.0,
                exists: Exists::Yes,
                subscribed: false,
                children: None,
                special_use: None,
                child_info: &[],
            };
            response::list(false, &listed, self.names(), self.out.end());
        }
        write_selected(&view, self.out.end());
        let (code, text) = if read_only {
            (Code::ReadOnly, "EXAMINE completed")
        } else {
            (Code::ReadWrite, "SELECT completed")
        };
        self.reply(&tag, Condition::Ok, Some(&code), text);
        self.view = Some(Box::new(view));
    }

    /// The store said no.
    pub(super) fn refuse(&mut self, tag: &Tag, refused: &Refused) {
        let (code, text) = refusal(refused);
        self.reply(tag, Condition::No, Some(&code), &text);
    }

    /// CLOSE (RFC 3501 §6.4.2) and UNSELECT (RFC 3691).
    pub(super) fn close_mailbox(&mut self, tag: Tag, expunge: bool) {
        let view = self.view.as_ref().expect("only when selected");
        if expunge && !view.read_only() {
            self.ask = Some(Ask::Expunge {
                mailbox: view.mailbox(),
                uids: None,
                then: self.slots.ask(Wanted::Expunged),
            });
            self.doing = Doing::CloseMailbox { tag };
            return;
        }
        self.deselect();
        let text = if expunge { "CLOSE completed" } else { "UNSELECT completed" };
        self.reply(&tag, Condition::Ok, None, text);
    }

    pub(super) fn close_expunged(&mut self, tag: Tag, done: ExpungeDone) {
        match done.0 {
            Ok(_) => {
                self.deselect();
                self.reply(&tag, Condition::Ok, None, "CLOSE completed");
            }
            Err(refused) => self.refuse(&tag, &refused),
        }
    }
}

/// What the store's refusal is in IMAP (RFC 5530).
pub(super) fn refusal(refused: &Refused) -> (Code<'static>, String) {
    let (code, text) = match refused {
        Refused::NoSuchMailbox => (Code::NonExistent, "No such mailbox"),
        Refused::DiskFull => (Code::Limit, "The disk is full"),
        Refused::Limit(text) => return (Code::Limit, sentence(text)),
        Refused::Stopping => (Code::Unavailable, "The server is stopping"),
        Refused::AlreadyExists => (Code::AlreadyExists, "There is a mailbox of this name"),
        Refused::Cannot(text) => return (Code::Cannot, sentence(text)),
        Refused::HasChildren => (Code::HasChildren, "The name has names below it, and is no mailbox itself"),
        Refused::UseTaken => (Code::UseAttr, "Another mailbox has this use already"),
        Refused::NoDestination => (Code::TryCreate, "No such mailbox"),
        Refused::Expunged => (Code::ExpungeIssued, "Some of these messages are gone"),
    };
    (code, text.into())
}

/// The store's text, which is ours, as one for people.
fn sentence(text: &str) -> String {
    let mut sentence: String = text.chars().map(|c| if matches!(c, ' '..='~') { c } else { '?' }).collect();
    match sentence.get_mut(..1) {
        Some(first) => first.make_ascii_uppercase(),
        None => sentence.push_str("Refused"),
    }
    sentence
}

/// The untagged responses of SELECT (RFC 3501 §6.3.1).
fn write_selected(view: &View, out: &mut Vec<u8>) {
    let version = view.version();
    response::flags(version.keywords.iter().map(|name| &**name), out);
    response::exists(view.exists(), out);
    if view.tells_recent() {
        response::recent(view.recent(), out);
    }
    if let Some(first) = view.first_unseen().filter(|_| view.tells_recent()) {
        write_ok(&Code::Unseen(first), "First unseen message", out);
    }
    view.write_permanent_flags(out);
    write_ok(&Code::UidNext(version.uid_next.0), "Next UID", out);
    write_ok(&Code::UidValidity(version.uid_validity), "UIDs are valid", out);
}

fn write_ok(code: &Code<'_>, text: &str, out: &mut Vec<u8>) {
    response::status(None, Condition::Ok, Some(code), text, out);
}
