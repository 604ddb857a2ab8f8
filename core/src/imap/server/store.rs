//! STORE (RFC 3501 §6.4.6) and UID STORE.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, FlagsSet, Pulled};
use super::{Doing, Session, Step, Wanted};
use crate::imap::command::{SequenceSet, Tag};
use crate::imap::response::{Code, Condition};
use crate::imap::view::{Expunges, Report};
use crate::limits;
use crate::store::Uid;
use crate::store::request::{FlagChange, FlagHow};

/// ```text
///   Setting ──FlagsSet──► Pulling ──Pulled──► Telling ──all told──► Finish
/// ```
#[derive(Debug)]
pub(super) struct Storing {
    tag: Tag,
    uid: bool,
    silent: bool,
    uids: Arc<[Uid]>,
    /// What is owed of others' changes, once they are pulled.
    report: Option<Report>,
    /// So many of `uids` are told.
    told: usize,
}

impl Session {
    pub(super) fn store(&mut self, tag: Tag, set: &SequenceSet, change: FlagChange, silent: bool, uid: bool) {
        let view = self.view.as_ref().expect("only when selected");
        if view.read_only() {
            return self.reply(&tag, Condition::No, Some(&Code::ReadOnly), "The mailbox is read-only");
        }
        if !uid && view.is_beyond(set) {
            return self.reply(&tag, Condition::Bad, None, "There is no message of that number");
        }
        if change.how != FlagHow::Remove && keywords_beyond(&view.version().keywords, &change.keywords) {
            return self.reply(&tag, Condition::No, Some(&Code::Limit), "The mailbox has too many keywords");
        }
        let mut hits = view.hits(set, uid);
        let uids: Vec<Uid> = core::iter::from_fn(|| hits.next(view))
            .map(|row| row.uid)
            .filter(|uid| !view.is_gone(*uid))
            .collect();
        if uids.is_empty() {
            return self.finish_store(&tag, uid);
        }
        let uids: Arc<[Uid]> = uids.into();
        self.ask = Some(Ask::SetFlags {
            mailbox: view.mailbox(),
            uids: uids.clone(),
            change,
            then: self.slots.ask(Wanted::Flags),
        });
        self.doing = Doing::Store(Box::new(Storing {
            tag,
            uid,
            silent,
            uids,
            report: None,
            told: 0,
        }));
    }

    /// Messages in numbers: EXPUNGE waits (RFC 3501 §7.4.1).
    fn finish_store(&mut self, tag: &Tag, uid: bool) {
        let expunges = if uid { Expunges::Tell } else { Expunges::Wait };
        self.finish(tag, Condition::Ok, None, "STORE completed", expunges, uid);
    }

    pub(super) fn flags_stored(&mut self, storing: Box<Storing>, set: FlagsSet) {
        match (set.0, &mut self.view) {
            (Ok(set), Some(view)) => {
                view.learn(set.lsn);
                self.doing = Doing::Store(storing);
            }
            (Ok(_), None) => unreachable!("flags of no mailbox"),
            (Err(refused), _) => self.refuse(&storing.tag, &refused),
        }
    }

    pub(super) fn step_store(&mut self, mut storing: Box<Storing>) -> Step {
        let view = self.view.as_mut().expect("only when selected");
        let Some(report) = &mut storing.report else {
            if view.behind() {
                self.ask_changes();
            } else {
                storing.report = Some(Report::default());
            }
            self.doing = Doing::Store(storing);
            return Step::Again;
        };
        // Where versions were compared, another session's change of the same flags may be hidden behind ours.
        let silent = storing.silent && !report.compared();
        if !self.tell(report, storing.uid) {
            self.doing = Doing::Store(storing);
            return Step::Again;
        }
        let view = self.view.as_ref().expect("only when selected");
        while !silent && storing.told < storing.uids.len() {
            if self.out.len() >= limits::SEND_HIGH_WATER {
                self.doing = Doing::Store(storing);
                return Step::Again;
            }
            let changed = storing.uids[storing.told];
            storing.told += 1;
            if !view.is_gone(changed) {
                view.write_flags(changed, storing.uid, self.out.end());
            }
        }
        self.finish_store(&storing.tag, storing.uid);
        Step::Again
    }

    pub(super) fn store_pulled(&mut self, mut storing: Box<Storing>, pulled: Pulled) {
        if let Some(report) = self.apply(pulled, Expunges::Wait) {
            storing.report = Some(report);
            self.doing = Doing::Store(storing);
        }
    }
}

/// Whether these keywords do not fit the mailbox's table any more (S70).
pub(super) fn keywords_beyond(table: &[Arc<str>], keywords: &[Arc<str>]) -> bool {
    let known = |keyword: &Arc<str>| table.iter().any(|known| known.eq_ignore_ascii_case(keyword));
    let new = keywords.iter().filter(|keyword| !known(keyword)).count();
    table.len() + new > limits::KEYWORDS
}
