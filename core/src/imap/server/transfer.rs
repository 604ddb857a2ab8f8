//! COPY (RFC 3501 §6.4.7), MOVE (RFC 6851) and their UID forms.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, TransferDone};
use super::{Doing, Session, Wanted};
use crate::imap::command::{SequenceSet, Tag};
use crate::imap::response::{self, Code, Condition};
use crate::imap::sequence::Intervals;
use crate::imap::view::Expunges;
use crate::store::request::Refused;
use crate::store::{MailboxName, Uid};

/// A COPY or MOVE on its way.
#[derive(Debug)]
pub(super) struct Transferring {
    tag: Tag,
    moves: bool,
    uid: bool,
}

impl Session {
    /// All or none go. By numbers, one that is gone without the client's knowledge refuses all (RFC 2180 §4.4.1); by UIDs, those
    /// that are not there are passed over (RFC 3501 §6.4.8).
    pub(super) fn transfer(&mut self, tag: Tag, set: &SequenceSet, to: MailboxName, moves: bool, uid: bool) {
        let view = self.view.as_ref().expect("only when selected");
        if moves && view.read_only() {
            return self.reply(&tag, Condition::No, Some(&Code::ReadOnly), "The mailbox is read-only");
        }
        if !uid && view.is_beyond(set) {
            return self.reply(&tag, Condition::Bad, None, "There is no message of that number");
        }
        let mut hits = view.hits(set, uid);
        let all = core::iter::from_fn(|| hits.next(view)).map(|row| row.uid);
        let (gone, uids): (Vec<Uid>, Vec<Uid>) = all.partition(|uid| view.is_gone(*uid));
        // `$` names what is left of what was found (RFC 5182 §2.1).
        let strict = !uid && !set.is_saved();
        if strict && !gone.is_empty() {
            return self.transfer_refused(&Transferring { tag, moves, uid }, &Refused::Expunged);
        }
        self.ask = Some(Ask::Transfer {
            from: view.mailbox(),
            to,
            uids: Arc::from(uids),
            strict,
            moves,
            then: self.slots.ask(Wanted::Transferred),
        });
        self.doing = Doing::Transfer(Box::new(Transferring { tag, moves, uid }));
    }

    /// COPYUID is in the tagged reply of COPY (RFC 4315 §3), and before the EXPUNGEs of MOVE (RFC 6851 §4.3).
    pub(super) fn transferred(&mut self, transferring: &Transferring, done: TransferDone) {
        let done = match done.0 {
            Ok(done) => done,
            Err(refused) => return self.transfer_refused(transferring, &refused),
        };
        let Some(view) = &mut self.view else {
            unreachable!("messages of no mailbox")
        };
        if transferring.moves || view.mailbox() == done.to {
            view.learn(done.lsn);
        }
        let from = Intervals::from_ranges(done.from.0.iter().map(|(first, last)| (first.0, last.0)));
        let count: u32 = done.from.0.iter().map(|(first, last)| last.0 - first.0 + 1).sum();
        let to = Intervals::from_ranges(count.checked_sub(1).map(|rest| (done.first.0, done.first.0 + rest)));
        let code = (count > 0).then_some(Code::CopyUid {
            uid_validity: done.uid_validity,
            from: &from,
            to: &to,
        });
        let Transferring { tag, moves, uid } = transferring;
        if !*moves {
            return self.finish(tag, Condition::Ok, code.as_ref(), "COPY completed", Expunges::Tell, *uid);
        }
        if let Some(code) = &code {
            response::status(None, Condition::Ok, Some(code), "Moved", self.out.end());
        }
        self.finish(tag, Condition::Ok, None, "MOVE completed", Expunges::Tell, *uid);
    }

    /// Others' changes are told with a refusal too: it may be that the client did not know of them.
    fn transfer_refused(&mut self, transferring: &Transferring, refused: &Refused) {
        let (code, text) = super::select::refusal(refused);
        let Transferring { tag, uid, .. } = transferring;
        self.finish(tag, Condition::No, Some(&code), &text, Expunges::Tell, *uid);
    }
}
