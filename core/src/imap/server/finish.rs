//! The end of a command: what has changed is pulled and told, then comes the tagged reply.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::ask::{Ask, Pulled};
use super::{Doing, Session, Step, Wanted};
use crate::imap::command::Tag;
use crate::imap::response::{self, Code, Condition};
use crate::imap::view::{Expunges, Report};
use crate::limits;
use crate::machine::Reason;

/// A command that only has to be concluded.
#[derive(Debug)]
pub(super) struct Finish {
    /// The tagged reply.
    reply: Vec<u8>,
    expunges: Expunges,
    /// A UID command: FETCH responses tell the UID.
    uid: bool,
    report: Option<Report>,
}

impl Session {
    /// Concludes a command with `OK`; messages that are gone are told.
    pub(super) fn finish_ok(&mut self, tag: Tag, text: &str) {
        self.finish(&tag, Condition::Ok, None, text, Expunges::Tell, false);
    }

    /// Concludes a command.
    pub(super) fn finish(
        &mut self,
        tag: &Tag,
        condition: Condition,
        code: Option<&Code<'_>>,
        text: &str,
        expunges: Expunges,
        uid: bool,
    ) {
        let mut reply = Vec::new();
        response::status(Some(tag), condition, code, text, &mut reply);
        self.doing = Doing::Finish(Box::new(Finish {
            reply,
            expunges,
            uid,
            report: None,
        }));
    }

    pub(super) fn step_finish(&mut self, mut finish: Box<Finish>) -> Step {
        if let Some(view) = &mut self.view {
            if finish.report.is_none() {
                if view.behind() {
                    self.ask_changes();
                    self.doing = Doing::Finish(finish);
                    return Step::Again;
                }
                if finish.expunges == Expunges::Tell && view.owes_expunges() {
                    finish.report = Some(view.tell_expunges());
                }
            }
            if let Some(report) = &mut finish.report
                && !self.tell(report, finish.uid)
            {
                self.doing = Doing::Finish(finish);
                return Step::Again;
            }
        }
        self.out.end().extend_from_slice(&finish.reply);
        Step::Again
    }

    pub(super) fn finish_pulled(&mut self, mut finish: Box<Finish>, pulled: Pulled) {
        if let Some(report) = self.apply(pulled, finish.expunges) {
            finish.report = Some(report);
            self.doing = Doing::Finish(finish);
        }
    }

    /// Asks for what has changed since the applied version.
    pub(super) fn ask_changes(&mut self) {
        let Some(view) = &mut self.view else { return };
        self.ask = Some(Ask::Changes {
            mailbox: view.mailbox(),
            since: view.pull_from(),
            take_recent: !view.read_only() && view.tells_recent(),
            then: self.slots.ask(Wanted::Pulled),
        });
    }

    /// Applies an answer to that; `None`: the session ends, for its mailbox is gone.
    pub(super) fn apply(&mut self, pulled: Pulled, expunges: Expunges) -> Option<Report> {
        match (pulled.0, &mut self.view) {
            (Ok(changes), Some(view)) => Some(view.apply(changes, expunges)),
            (Ok(_), None) => unreachable!("changes of no mailbox"),
            (Err(_), _) => {
                self.bye(Reason::Shutdown, "The selected mailbox is no longer available");
                None
            }
        }
    }

    /// Writes a report as far as the reader keeps up; whether all is written. Whoever speaks IMAP4rev2 is always told the UID
    /// (RFC 9051 §6.4.9).
    pub(super) fn tell(&mut self, report: &mut Report, uid: bool) -> bool {
        let Some(view) = &self.view else { return true };
        let uid = uid || self.rev2;
        while self.out.len() < limits::SEND_HIGH_WATER {
            if !report.next(view, uid, self.out.end()) {
                return true;
            }
        }
        false
    }
}
