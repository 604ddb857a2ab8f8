//! IDLE (RFC 2177).

use alloc::string::String;

use super::{AfterPull, Job, Session};
use crate::limits;
use crate::machine::Reason;
use crate::store::Lsn;

impl Session {
    pub(super) fn idle(&mut self, tag: String) {
        if self.needs_login(&tag).is_none() {
            return;
        }
        self.out().extend_from_slice(b"+ idling\r\n");
        self.job = Job::Idle {
            tag,
            still_here: self.now.instant.after(limits::IMAP_STILL_HERE),
        };
    }

    /// News at once, and DONE when it comes.
    pub(super) fn idle_line(&mut self) -> bool {
        if self.pulling {
            return false;
        }
        let news = self
            .view
            .as_ref()
            .is_some_and(|view| view.lsn() < self.news || view.holds_expunges());
        if news {
            self.pulling = true;
            self.pull(AfterPull::Idle);
            return true;
        }
        let line = match self.framer.raw_line(limits::IMAP_COMMAND_BEFORE_LOGIN) {
            Ok(None) => return false,
            line => line,
        };
        let Job::Idle { tag, .. } = core::mem::replace(&mut self.job, Job::None) else {
            return false;
        };
        match line {
            Ok(Some(line)) if line.eq_ignore_ascii_case(b"DONE") => self.finish(tag, "OK done", Lsn(0)),
            Ok(_) => self.bad(Some(&tag), "only DONE ends IDLE"),
            Err(()) => self.bye("the line is too long", Reason::Limit("a line in IDLE")),
        }
        true
    }

    /// Keeps the connection alive through address translators; it does not put autologout off.
    pub(super) fn still_here(&mut self) {
        let now = self.now.instant;
        if let Job::Idle { still_here, .. } = &mut self.job
            && *still_here <= now
        {
            *still_here = now.after(limits::IMAP_STILL_HERE);
            self.untagged("OK Still here");
        }
    }
}
