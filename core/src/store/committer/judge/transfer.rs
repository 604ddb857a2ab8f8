//! COPY and MOVE within an account.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::{Judged, refused};
use crate::limits;
use crate::store::committer::Committer;
use crate::store::operation::Operation;
use crate::store::ranges::UidRanges;
use crate::store::request::{Refused, Reply, Where};
use crate::store::tree::{Transfer, Transferred};
use crate::store::{MailboxKey, MailboxName, ModSeq, Uid};
use crate::time::UnixTime;

impl Committer {
    /// Octets of the payload of a transfer: as many ranges as it will have.
    pub(super) fn transfer_at_most(&self, from: MailboxKey, uids: &[Uid]) -> usize {
        let entry = self.accounts.get(&from.account);
        let model = entry.and_then(|entry| entry.account.mailbox(Where::Mailbox(from.mailbox)));
        let ranges = model.map_or(0, |(_, model)| {
            UidRanges::from_sorted(model.select_rows(uids, |_| true)).0.len()
        });
        128 + ranges * 8
    }

    pub(super) fn judge_transfer(
        &mut self,
        from: MailboxKey,
        to: &MailboxName,
        uids: &[Uid],
        (strict, moves): (bool, bool),
        at: UnixTime,
        origin: u64,
    ) -> Judged {
        let Some(account) = self.accounts.get_mut(&from.account).map(|entry| &mut entry.account) else {
            return refused(Refused::NoSuchMailbox);
        };
        let Some((_, source)) = account.mailbox(Where::Mailbox(from.mailbox)) else {
            return refused(Refused::NoSuchMailbox);
        };
        let destination = account.by_name(to);
        let Some((to, destination)) = destination.and_then(|id| account.mailbox(Where::Mailbox(id))) else {
            return refused(Refused::NoDestination);
        };
        let chosen: Vec<Uid> = source.select_rows(uids, |_| true);
        if strict && chosen.len() < uids.len() {
            return refused(Refused::Expunged);
        }
        let count = chosen.len() as u64;
        let ranges = UidRanges::from_sorted(chosen);
        let (uid_validity, first) = (destination.uid_validity, destination.uid_next());
        let to = MailboxKey {
            account: from.account,
            mailbox: to,
        };
        let mut done = Transferred {
            lsn: source.last_lsn(),
            to,
            uid_validity,
            from: ranges.clone(),
            first,
        };
        if ranges.is_empty() {
            return Judged::Reply(Reply::Transferred(done));
        }
        if !moves && !self.space.enough {
            return refused(Refused::DiskFull);
        }
        if !destination.has_room_for(&source.keywords_of(&source.rows_of(&ranges))) {
            return refused(Refused::Limit("a mailbox has at most 64 keywords".into()));
        }
        if u64::from(first.0) + count > u64::from(u32::MAX - 1_000_000) {
            return refused(Refused::Limit("the mailbox is at its limit".into()));
        }
        if !moves && account.message_count() + count > limits::COPIED_MESSAGES {
            return refused(Refused::Limit("the account has too many messages for more copies".into()));
        }
        account.mod_seq = ModSeq(account.mod_seq.0 + 1);
        let operation = Operation::Transfer(Transfer {
            from,
            to: to.mailbox,
            uids: ranges,
            first,
            moves,
            mod_seq: account.mod_seq,
            save_date: at,
        });
        Judged::Record {
            operation,
            body: None,
            origin,
            reply: Box::new(move |lsn| {
                done.lsn = lsn;
                Reply::Transferred(done)
            }),
        }
    }
}
