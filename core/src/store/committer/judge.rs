//! Judging: a request becomes an operation that cannot fail, or is refused with nothing done.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::{Committer, queue};
use crate::limits;
use crate::store::journal::record;
use crate::store::operation::{Copied, Expunge, Flag, NewAccount, Operation, Place};
use crate::store::queue::{Enqueue, QueueId, RowChange};
use crate::store::ranges::UidRanges;
use crate::store::request::{Body, BodyBytes, FlagChange, FlagHow, Placed, Placement, Refused, Reply, Request, Where};
use crate::store::version::Row;
use crate::store::{Flags, Location, Lsn, MailboxKey, ModSeq, Uid};
use crate::store::{frame, layout};

mod transfer;
mod tree;

/// A judgement.
pub(super) enum Judged {
    /// Nothing is recorded.
    Reply(Reply),
    /// This is recorded; when it is durable, this is replied.
    Record {
        operation: Operation,
        body: Option<Arc<[u8]>>,
        origin: u64,
        reply: Box<dyn FnOnce(Lsn) -> Reply + Send>,
    },
}

fn refused(why: Refused) -> Judged {
    Judged::Reply(Reply::Refused(why))
}

impl Committer {
    /// An upper bound of the record that a request may become.
    pub(super) fn record_at_most(&self, request: &Request) -> u64 {
        let text = |words: &[Arc<str>]| words.iter().map(|word| word.len() + 8).sum::<usize>();
        let (payload, body) = match request {
            Request::CreateAccount { mailboxes, .. } => {
                (128 + mailboxes.iter().map(|new| 64 + new.name.0.len()).sum::<usize>(), 0)
            }
            Request::Place {
                body,
                placements,
                queued,
                changes,
                ..
            } => {
                let copies = placements.iter().map(|one| 160 + one.prefix.len() + text(&one.keywords));
                let copies = copies.chain([queue::entered_at_most(queued), queue::changes_at_most(changes)]);
                let inline = if let BodyBytes::Inline(bytes) = &body.bytes {
                    bytes.len()
                } else {
                    0
                };
                (128 + copies.sum::<usize>(), inline)
            }
            Request::SetFlags { uids, change, .. } => (128 + uids.len() * 8 + text(&change.keywords), 0),
            Request::Expunge { mailbox, uids, .. } => {
                let rows = uids.as_ref().map_or_else(|| self.exists(*mailbox), |uids| uids.len());
                (128 + rows * 8, 0)
            }
            Request::Tree { change, .. } => (tree::record_at_most(change), 0),
            Request::Transfer { from, uids, .. } => (self.transfer_at_most(*from, uids), 0),
            Request::ChangeQueue(changes) => (128 + queue::changes_at_most(changes), 0),
            Request::Mailboxes(_)
            | Request::Select { .. }
            | Request::Changes { .. }
            | Request::Unwatch { .. }
            | Request::Queue => (0, 0),
        };
        record::size(payload, body) as u64
    }

    fn exists(&self, mailbox: MailboxKey) -> usize {
        let entry = self.accounts.get(&mailbox.account);
        let model = entry.and_then(|entry| entry.account.mailbox(Where::Mailbox(mailbox.mailbox)));
        model.map_or(0, |(_, model)| model.with_flag(Flags::DELETED).len())
    }

    pub(super) fn judge(&mut self, request: Request) -> Judged {
        match request {
            Request::CreateAccount {
                account,
                mailboxes,
                uid_validity,
            } => {
                if self.accounts.contains_key(&account) {
                    return Judged::Reply(Reply::Done);
                }
                let operation = Operation::Account(NewAccount {
                    account,
                    uid_validity,
                    mailboxes,
                });
                Judged::Record {
                    operation,
                    body: None,
                    origin: 0,
                    reply: Box::new(|_| Reply::Done),
                }
            }
            Request::Place {
                body,
                placements,
                queued,
                changes,
                origin,
            } => self.judge_place(&body, placements, queued, changes, origin),
            Request::ChangeQueue(changes) => self.judge_changes(changes),
            Request::SetFlags {
                mailbox,
                uids,
                change,
                unchanged_since,
                origin,
            } => self.judge_flags(mailbox, &uids, &change, unchanged_since, origin),
            Request::Expunge { mailbox, uids, origin } => self.judge_expunge(mailbox, uids.as_deref(), origin),
            Request::Tree {
                account,
                change,
                at,
                origin,
            } => self.judge_tree(account, change, at, origin),
            Request::Transfer {
                from,
                to,
                uids,
                strict,
                moves,
                at,
                origin,
            } => self.judge_transfer(from, &to, &uids, (strict, moves), at, origin),
            Request::Mailboxes(_)
            | Request::Select { .. }
            | Request::Changes { .. }
            | Request::Unwatch { .. }
            | Request::Queue => unreachable!("queries do not wait"),
        }
    }

    fn judge_place(
        &mut self,
        body: &Body,
        placements: Vec<Placement>,
        queued: Vec<Enqueue>,
        changes: Vec<RowChange>,
        origin: u64,
    ) -> Judged {
        if !self.space.enough && changes.is_empty() {
            return refused(Refused::DiskFull);
        }
        let inline = match &body.bytes {
            BodyBytes::Inline(bytes) => {
                assert_eq!(bytes.len() as u64, body.len, "a body's length is its length");
                if body.len > self.settings.inline_max() {
                    return refused(Refused::Limit("the body is too large for the journal".into()));
                }
                Some(bytes.clone())
            }
            BodyBytes::Big => None,
        };
        for one in &placements {
            let entry = self.accounts.get(&one.account);
            let Some((_, model)) = entry.and_then(|entry| entry.account.mailbox(one.mailbox)) else {
                return refused(Refused::NoSuchMailbox);
            };
            if !model.has_room_for(&one.keywords) {
                return refused(Refused::Limit("a mailbox has at most 64 keywords".into()));
            }
            if one.prefix.len() > limits::PREFIX || model.uid_next().0 > u32::MAX - 1_000_000 {
                return refused(Refused::Limit("the mailbox or the trace fields are at their limit".into()));
            }
        }
        let reports = !changes.is_empty();
        let changes = self.concerned(changes);
        if reports && changes.is_empty() {
            // All come too late: there is nothing to report.
            let lsn = self.ring.last_lsn();
            return Judged::Reply(Reply::Placed {
                lsn,
                placed: Vec::new(),
                queued: Vec::new(),
            });
        }
        if queued.iter().any(|one| one.recipients.is_empty()) {
            return refused(Refused::Limit("a message for the queue has no recipient".into()));
        }
        if queued.len() > queue::IN_A_RECORD || queued.iter().any(|one| one.prefix.len() > limits::PREFIX) {
            return refused(Refused::Limit(
                "too many messages for the queue, or trace fields, in one transaction".into(),
            ));
        }
        let mut place = Place {
            body_len: body.len,
            body_crc: body.crc,
            body_hash: body.hash,
            big: inline.is_none(),
            copies: Vec::with_capacity(placements.len()),
            queued: Vec::with_capacity(queued.len()),
            changes,
        };
        let mut next: BTreeMap<MailboxKey, Uid> = BTreeMap::new();
        let mut placed = Vec::with_capacity(placements.len());
        for one in placements {
            let (copy, at) = self.copy(&place, one, &mut next);
            place.copies.push(copy);
            placed.push(at);
        }
        for (index, entered) in queued.into_iter().enumerate() {
            let queued = self.enter(&place, index as u64, entered);
            place.queued.push(queued);
        }
        let queued: Vec<QueueId> = place.queued.iter().map(|queued| queued.id).collect();
        let operation = Operation::Place(place);
        Judged::Record {
            operation,
            body: inline,
            origin,
            reply: Box::new(move |lsn| Reply::Placed { lsn, placed, queued }),
        }
    }

    /// Gives one copy its UID, MODSEQ and place in the account's pack.
    fn copy(&mut self, place: &Place, one: Placement, next: &mut BTreeMap<MailboxKey, Uid>) -> (Copied, Placed) {
        let account = &mut self.accounts.get_mut(&one.account).expect("it was just looked at").account;
        let (mailbox, model) = account.mailbox(one.mailbox).expect("it was just looked at");
        let (uid_validity, uid_next) = (model.uid_validity, model.uid_next());
        let mailbox = MailboxKey {
            account: one.account,
            mailbox,
        };
        let uid = *next.entry(mailbox).and_modify(|uid| uid.0 += 1).or_insert(uid_next);
        account.mod_seq = ModSeq(account.mod_seq.0 + 1);
        let mut copy = Copied {
            mailbox,
            uid,
            mod_seq: account.mod_seq,
            email_id: layout::email_id(one.account, &place.body_hash),
            location: Location::Pack { pack: 0, offset: 0 },
            prefix: one.prefix,
            flags: one.flags,
            keywords: one.keywords,
            internal_date: one.internal_date,
            save_date: one.save_date,
        };
        let line = frame::line(place, &copy).len() as u64;
        let body = if place.big { 0 } else { place.body_len };
        let at = account
            .pack
            .take(line + copy.prefix.len() as u64 + body + 2, self.settings.pack_bytes);
        let (pack, offset) = (at.pack, at.len + line);
        copy.location = if place.big {
            Location::Big { pack, offset }
        } else {
            Location::Pack { pack, offset }
        };
        let placed = Placed {
            mailbox,
            uid_validity,
            uid,
            location: copy.location,
        };
        (copy, placed)
    }

    fn judge_flags(
        &mut self,
        mailbox: MailboxKey,
        uids: &[Uid],
        change: &FlagChange,
        unchanged_since: Option<ModSeq>,
        origin: u64,
    ) -> Judged {
        let Some(account) = self.accounts.get_mut(&mailbox.account).map(|entry| &mut entry.account) else {
            return refused(Refused::NoSuchMailbox);
        };
        let Some((_, model)) = account.mailbox(Where::Mailbox(mailbox.mailbox)) else {
            return refused(Refused::NoSuchMailbox);
        };
        if change.how != FlagHow::Remove && !model.has_room_for(&change.keywords) {
            return refused(Refused::Limit("a mailbox has at most 64 keywords".into()));
        }
        let newest = model.last_lsn();
        let mut modified = Vec::new();
        let chosen = model.select_rows(uids, |row: &Row| {
            let fresh = unchanged_since.is_none_or(|since| row.mod_seq <= since);
            if !fresh {
                modified.push(row.uid);
            }
            fresh
        });
        if chosen.is_empty() {
            return Judged::Reply(Reply::Flagged { lsn: newest, modified });
        }
        account.mod_seq = ModSeq(account.mod_seq.0 + 1);
        let operation = Operation::Flag(Flag {
            mailbox,
            uids: UidRanges::from_sorted(chosen),
            mod_seq: account.mod_seq,
            how: change.how,
            flags: change.flags,
            keywords: change.keywords.clone(),
        });
        Judged::Record {
            operation,
            body: None,
            origin,
            reply: Box::new(move |lsn| Reply::Flagged { lsn, modified }),
        }
    }

    fn judge_expunge(&mut self, mailbox: MailboxKey, uids: Option<&[Uid]>, origin: u64) -> Judged {
        let Some(account) = self.accounts.get_mut(&mailbox.account).map(|entry| &mut entry.account) else {
            return refused(Refused::NoSuchMailbox);
        };
        let Some((_, model)) = account.mailbox(Where::Mailbox(mailbox.mailbox)) else {
            return refused(Refused::NoSuchMailbox);
        };
        let newest = model.last_lsn();
        let chosen = match uids {
            Some(uids) => model.select_rows(uids, |row| row.flags.contains(Flags::DELETED)),
            None => model.with_flag(Flags::DELETED),
        };
        if chosen.is_empty() {
            return Judged::Reply(Reply::Expunged { lsn: newest });
        }
        account.mod_seq = ModSeq(account.mod_seq.0 + 1);
        let uids = UidRanges::from_sorted(chosen);
        let operation = Operation::Expunge(Expunge {
            mailbox,
            uids,
            mod_seq: account.mod_seq,
        });
        Judged::Record {
            operation,
            body: None,
            origin,
            reply: Box::new(|lsn| Reply::Expunged { lsn }),
        }
    }
}
