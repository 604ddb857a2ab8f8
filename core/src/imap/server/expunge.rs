//! EXPUNGE (RFC 3501 §6.4.3) and UID EXPUNGE (RFC 4315 §2.1).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, ExpungeDone};
use super::{Doing, Session, Wanted};
use crate::imap::command::{SequenceSet, Tag};
use crate::imap::response::{Code, Condition};
use crate::store::Uid;

impl Session {
    pub(super) fn expunge(&mut self, tag: Tag, set: Option<&SequenceSet>) {
        let view = self.view.as_ref().expect("only when selected");
        if view.read_only() {
            return self.reply(&tag, Condition::No, Some(&Code::ReadOnly), "The mailbox is read-only");
        }
        let uids: Option<Arc<[Uid]>> = set.map(|set| {
            let mut hits = view.hits(set, true);
            let uids: Vec<Uid> = core::iter::from_fn(|| hits.next(view)).map(|row| row.uid).collect();
            uids.into()
        });
        if uids.as_ref().is_some_and(|uids| uids.is_empty()) {
            return self.finish_ok(tag, "EXPUNGE completed");
        }
        self.ask = Some(Ask::Expunge {
            mailbox: view.mailbox(),
            uids,
            then: self.slots.ask(Wanted::Expunged),
        });
        self.doing = Doing::Expunge { tag };
    }

    /// The changes up to the record are pulled before the tagged reply, and with them comes EXPUNGE.
    pub(super) fn expunged(&mut self, tag: Tag, done: ExpungeDone) {
        match (done.0, &mut self.view) {
            (Ok(lsn), Some(view)) => {
                view.learn(lsn);
                self.finish_ok(tag, "EXPUNGE completed");
            }
            (Ok(_), None) => unreachable!("an expunge in no mailbox"),
            (Err(refused), _) => self.refuse(&tag, &refused),
        }
    }
}
