//! STORE and EXPUNGE: the tagged line comes when the change is durable, and what it changed has been said.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, ExpungeDone, FlagsSet};
use super::{Job, Pending, Session};
use crate::imap::command::SequenceSet;
use crate::store::request::{FlagChange, Refused};
use crate::store::{Lsn, Uid};

impl Session {
    pub(super) fn store(&mut self, tag: String, set: &SequenceSet, change: FlagChange, silent: bool, uid: bool) {
        if !self.needs_view(&tag) {
            return;
        }
        let Some(numbers) = self.numbers(&tag, set, uid) else { return };
        let view = self.view.as_ref().expect("it was just looked at");
        if view.read_only {
            return self.finish(tag, "NO [READ-ONLY] the mailbox is open for reading only", Lsn(0));
        }
        let mailbox = view.mailbox;
        let uids: Vec<Uid> = numbers
            .into_iter()
            .flat_map(|(first, last)| first..=last)
            .filter_map(|n| view.row(n))
            .map(|row| row.uid)
            .collect();
        if uids.is_empty() {
            return self.finish(tag, "OK done", Lsn(0));
        }
        let then = self.wait(Pending::Flags {
            tag,
            silent,
            expunge: uid,
        });
        self.asks.push_back(Ask::SetFlags {
            mailbox,
            uids: Arc::from(uids),
            change,
            then,
        });
        self.job = Job::Waiting;
    }

    pub(super) fn flags_set(&mut self, tag: String, silent: bool, expunge: bool, set: FlagsSet) {
        match set.0 {
            Ok(set) => {
                self.silent = silent;
                // RFC 3501 §7.4.1: no EXPUNGE during STORE; UID STORE may have it.
                self.hold_expunges = !expunge;
                self.finish(tag, "OK done", set.lsn);
            }
            Err(why) => self.finish(tag, &refusal(&why), Lsn(0)),
        }
    }

    pub(super) fn expunge(&mut self, tag: String, set: Option<&SequenceSet>) {
        if !self.needs_view(&tag) {
            return;
        }
        let view = self.view.as_ref().expect("it was just looked at");
        if view.read_only {
            return self.finish(tag, "NO [READ-ONLY] the mailbox is open for reading only", Lsn(0));
        }
        let mailbox = view.mailbox;
        let uids = set.map(|set| {
            let numbers = view.numbers_of(&set.intervals(view.last_uid()));
            let rows = numbers
                .into_iter()
                .flat_map(|(first, last)| first..=last)
                .filter_map(|n| view.row(n));
            rows.map(|row| row.uid).collect::<Arc<[Uid]>>()
        });
        let then = self.wait(Pending::Expunged { tag });
        self.asks.push_back(Ask::Expunge { mailbox, uids, then });
        self.job = Job::Waiting;
    }

    pub(super) fn expunged(&mut self, tag: String, done: ExpungeDone) {
        match done.0 {
            Ok(lsn) => self.finish(tag, "OK done", lsn),
            Err(why) => self.finish(tag, &refusal(&why), Lsn(0)),
        }
    }
}

/// A store's refusal as a response (RFC 5530).
pub(super) fn refusal(why: &Refused) -> String {
    match why {
        Refused::NoSuchMailbox => "NO [NONEXISTENT] no such mailbox".into(),
        Refused::DiskFull => "NO [UNAVAILABLE] the disk is nearly full, try again later".into(),
        Refused::Limit(text) => alloc::format!("NO [LIMIT] {text}"),
        Refused::Stopping => "NO [UNAVAILABLE] the server stops".into(),
    }
}
