//! SELECT, EXAMINE, CLOSE, UNSELECT, and pulling what has changed.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ask::{Ask, Opened, Pulled};
use super::{AfterPull, Job, Pending, Session};
use crate::imap::view::View;
use crate::store::{Lsn, MailboxName};

impl Session {
    pub(super) fn select(&mut self, tag: String, name: MailboxName, read_only: bool) {
        let Some(login) = self.needs_login(&tag) else { return };
        // RFC 3501 §6.3.1: even a SELECT that fails leaves the mailbox before.
        self.unselect();
        let then = self.wait(Pending::Select { tag, read_only });
        self.asks.push_back(Ask::Select {
            account: login.account,
            name,
            watch: true,
            take_recent: !read_only,
            then,
        });
        self.job = Job::Waiting;
    }

    pub(super) fn selected(&mut self, tag: String, read_only: bool, opened: Opened) {
        let selected = match opened.0 {
            Ok(selected) => selected,
            Err(_) => return self.finish(tag, "NO [NONEXISTENT] no such mailbox", Lsn(0)),
        };
        let view = View::new(selected.mailbox, read_only, selected.version, selected.recent_from);
        let mut out = Vec::new();
        view.say_flags(&mut out);
        self.out().append(&mut out);
        self.untagged(&format!("{} EXISTS", view.exists()));
        self.untagged(&format!("{} RECENT", view.recent()));
        if let Some(unseen) = view.first_unseen() {
            self.untagged(&format!("OK [UNSEEN {unseen}] first unseen"));
        }
        self.untagged(&format!("OK [UIDVALIDITY {}] UIDs are valid", view.version().uid_validity));
        self.untagged(&format!("OK [UIDNEXT {}] next UID", view.version().uid_next));
        self.news = view.lsn();
        self.view = Some(Box::new(view));
        let mode = if read_only { "READ-ONLY" } else { "READ-WRITE" };
        self.finish(tag, &format!("OK [{mode}] selected"), Lsn(0));
    }

    /// Leaves the selected mailbox.
    pub(super) fn unselect(&mut self) {
        if let Some(view) = self.view.take() {
            self.asks.push_back(Ask::Unwatch { mailbox: view.mailbox });
        }
        self.news = Lsn(0);
    }

    pub(super) fn close_mailbox(&mut self, tag: String, expunge: bool) {
        if !self.needs_view(&tag) {
            return;
        }
        let view = self.view.as_ref().expect("it was just looked at");
        if !expunge || view.read_only {
            return self.closed(&tag);
        }
        let mailbox = view.mailbox;
        let then = self.wait(Pending::Closed { tag });
        self.asks.push_back(Ask::Expunge {
            mailbox,
            uids: None,
            then,
        });
        self.job = Job::Waiting;
    }

    /// CLOSE says no EXPUNGE (RFC 3501 §6.4.2).
    pub(super) fn closed(&mut self, tag: &str) {
        self.unselect();
        self.job = Job::None;
        self.patience = None;
        self.tagged(tag, "OK closed");
    }

    pub(super) fn pulled(&mut self, then: AfterPull, pulled: Pulled) {
        let origin = self.slots.machine();
        let silent = core::mem::take(&mut self.silent);
        let expunge = !core::mem::take(&mut self.hold_expunges);
        let mut out = Vec::new();
        match (pulled.0, &mut self.view) {
            (Ok(pulled), Some(view)) => view.apply(&pulled.changes, pulled.recent_from, origin, silent, expunge, &mut out),
            (Err(_), _) => self.news = self.view.as_ref().map_or(Lsn(0), |view| view.lsn()),
            (Ok(_), None) => {}
        }
        if !out.is_empty() {
            self.out().append(&mut out);
        }
        match then {
            AfterPull::Tagged(line) => self.say_line(&line),
            AfterPull::Idle => {
                self.pulling = false;
                self.patience = None;
            }
        }
    }
}
