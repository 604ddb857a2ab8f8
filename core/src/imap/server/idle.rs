//! IDLE (RFC 2177): changes are told as they happen, until the client says DONE.

use super::ask::Pulled;
use super::{Doing, Session, Step};
use crate::imap::command::Tag;
use crate::imap::frame::Event;
use crate::imap::response::{self, Condition};
use crate::imap::view::{Expunges, Report};
use crate::limits;
use crate::machine::{Deadline, Reason};
use crate::time::Instant;

/// An IDLE in progress.
#[derive(Debug)]
pub(super) struct Idling {
    tag: Tag,
    /// When `* OK Still here` is due.
    still_here: Instant,
    report: Option<Report>,
}

impl Idling {
    pub(super) fn still_here(&self) -> Deadline {
        Deadline {
            at: self.still_here,
            why: "still here",
        }
    }
}

impl Session {
    pub(super) fn idle(&mut self, tag: Tag) {
        response::continuation("idling", self.out.end());
        self.framer.expect_line();
        self.doing = Doing::Idle(Idling {
            tag,
            still_here: self.now.instant.after(limits::IMAP_STILL_HERE),
            report: None,
        });
    }

    pub(super) fn step_idle(&mut self, mut idling: Idling) -> Step {
        if let Some(report) = &mut idling.report {
            if self.tell(report, false) {
                idling.report = None;
            }
            self.doing = Doing::Idle(idling);
            return Step::Again;
        }
        let Some(view) = self.view.as_mut() else {
            return self.idle_line(idling);
        };
        if view.behind() {
            self.ask_changes();
            self.doing = Doing::Idle(idling);
            return Step::Again;
        }
        if view.owes_expunges() {
            idling.report = Some(view.tell_expunges());
            self.doing = Doing::Idle(idling);
            return Step::Again;
        }
        self.idle_line(idling)
    }

    fn idle_line(&mut self, idling: Idling) -> Step {
        let wrong = match self.framer.poll() {
            None if self.shutdown => {
                self.bye(Reason::Shutdown, "The server is shutting down");
                return Step::Again;
            }
            None => {
                self.doing = Doing::Idle(idling);
                return Step::Rest;
            }
            Some(Event::Line(line)) if line.eq_ignore_ascii_case(b"DONE") => None,
            Some(Event::Line(_)) => Some("DONE is expected"),
            Some(Event::Refused(bad)) => Some(bad.text),
            Some(Event::Command(_) | Event::Continue | Event::Message { .. } | Event::MessageEnd) => {
                unreachable!("a line was asked for")
            }
        };
        match wrong {
            None => self.finish(&idling.tag, Condition::Ok, None, "IDLE terminated", Expunges::Tell, false),
            Some(text) => self.bad(Some(&idling.tag), text),
        }
        Step::Again
    }

    pub(super) fn idle_pulled(&mut self, mut idling: Idling, pulled: Pulled) {
        if let Some(report) = self.apply(pulled, Expunges::Tell) {
            idling.report = Some(report);
            self.doing = Doing::Idle(idling);
        }
    }

    /// Says that the session lives, for NAT boxes; not on top of what the client has not read.
    pub(super) fn still_here(&mut self) {
        let Doing::Idle(idling) = &mut self.doing else { return };
        if idling.still_here > self.now.instant {
            return;
        }
        idling.still_here = self.now.instant.after(limits::IMAP_STILL_HERE);
        if self.out.is_empty() {
            response::status(None, Condition::Ok, None, "Still here", self.out.end());
        }
    }
}
