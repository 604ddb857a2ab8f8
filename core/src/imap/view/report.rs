//! What the client is to be told of changes: written line by line, so that a slow reader holds little (S34).

use alloc::vec::Vec;

use super::View;
use crate::imap::flag;
use crate::imap::response::{self, Code, Condition};
use crate::limits;
use crate::store::{Flags, Uid};

/// Untagged responses that are owed. The view must not be changed before they are written.
#[derive(Debug, Default)]
pub struct Report {
    /// Numbers for EXPUNGE, in the order of telling.
    pub(super) expunged: Vec<u32>,
    /// There are new messages.
    pub(super) arrived: bool,
    /// EXISTS and RECENT.
    pub(super) exists: Option<(u32, u32)>,
    /// The keyword table has grown.
    pub(super) keywords: bool,
    /// Messages whose flags others changed; ascending.
    pub(super) flagged: Vec<Uid>,
    /// Versions were compared: own changes could not be told from those of others.
    pub(super) compared: bool,
    written: usize,
}

impl Report {
    /// Whether own changes could not be told from those of others, so that they are in the report or were undone unseen.
    pub fn compared(&self) -> bool {
        self.compared
    }

    /// Writes the next line; `false`: all is written. With `uid`, FETCH tells the UID too (RFC 3501 §6.4.8).
    pub fn next(&mut self, view: &View, uid: bool, out: &mut Vec<u8>) -> bool {
        if self.written < self.expunged.len() {
            response::expunge(self.expunged[self.written], out);
            self.written += 1;
            return true;
        }
        if let Some((exists, recent)) = self.exists.take() {
            response::exists(exists, out);
            if view.tells_recent() {
                response::recent(recent, out);
            }
            return true;
        }
        if core::mem::take(&mut self.keywords) {
            response::flags(view.version().keywords.iter().map(|name| &**name), out);
            if !view.takes_keywords() {
                view.write_permanent_flags(out); // RFC 9051 §7.1: without `\*` from now on
            }
            return true;
        }
        let flagged = self.written - self.expunged.len();
        let Some(changed) = self.flagged.get(flagged) else {
            return false;
        };
        view.write_flags(*changed, uid, out);
        self.written += 1;
        true
    }
}

impl View {
    /// Whether the mailbox has room for another keyword.
    fn takes_keywords(&self) -> bool {
        self.version().keywords.len() < limits::KEYWORDS
    }

    /// Writes `* OK [PERMANENTFLAGS (…)]`.
    pub fn write_permanent_flags(&self, out: &mut Vec<u8>) {
        let keywords: Vec<&str> = self.version().keywords.iter().map(|name| &**name).collect();
        let permanent = match self.read_only() {
            true => Code::PermanentFlags {
                flags: Flags::default(),
                keywords: &[],
                more: false,
            },
            false => Code::PermanentFlags {
                flags: flag::SYSTEM.iter().fold(Flags::default(), |all, (flag, _)| all.with(*flag)),
                keywords: &keywords,
                more: self.takes_keywords(),
            },
        };
        response::status(None, Condition::Ok, Some(&permanent), "Flags that are kept", out);
    }

    /// Writes `* n FETCH (FLAGS (…))`, with the UID if asked, if there is such a message.
    pub fn write_flags(&self, uid: Uid, with_uid: bool, out: &mut Vec<u8>) {
        let Some(row) = self.row(uid) else { return };
        let mut fetch = response::fetch::Fetch::begin(self.number(uid), out);
        if with_uid {
            fetch.uid(uid, out);
        }
        fetch.flags(row.flags, self.keywords(&row), self.is_recent(uid), out);
        fetch.end(out);
    }
}
