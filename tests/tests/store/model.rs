//! The reference: what a store must hold after some requests, in the simplest possible way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use pillarbox_core::store::request::{BodyBytes, FlagHow, NewMailbox, Placement, Refused, Request, Where};
use pillarbox_core::store::tree::Transferred;
use pillarbox_core::store::version::{Row, Version};
use pillarbox_core::store::{AccountId, EmailId, Flags, MailboxId, MailboxKey, MailboxName, ModSeq, Uid, frame, layout};
use pillarbox_core::time::UnixTime;

use super::queue::QueueModel;

/// Everything a store holds.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Model {
    pub(super) accounts: BTreeMap<AccountId, AccountModel>,
    pub(super) queue: QueueModel,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AccountModel {
    /// The account's counter; `None` in what a session sees, which does not show it.
    pub(super) mod_seq: Option<u64>,
    pub(super) mailboxes: BTreeMap<MailboxId, MailboxModel>,
    pub(super) inbox: MailboxId,
    pub(super) subscriptions: BTreeSet<MailboxName>,
    /// The greatest UIDVALIDITY given; `None` in what a session sees.
    pub(super) last_uid_validity: Option<u32>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct MailboxModel {
    pub(super) name: MailboxName,
    pub(super) uid_validity: u32,
    pub(super) uid_next: u32,
    pub(super) highest_mod_seq: u64,
    pub(super) rows: BTreeMap<u32, Message>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Message {
    pub(super) flags: Flags,
    pub(super) keywords: BTreeSet<String>,
    pub(super) mod_seq: u64,
    pub(super) size: u64,
    pub(super) prefix_len: u16,
    pub(super) email_id: EmailId,
    pub(super) internal_date: UnixTime,
    pub(super) save_date: UnixTime,
    pub(super) crc: u32,
    /// Prefix and body; filled in from the disk by the oracle.
    pub(super) content: Arc<[u8]>,
}

/// What must be replied.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    Done,
    /// Copies, and how many entries into the queue.
    Placed(Vec<(MailboxKey, Uid)>, usize),
    Flagged {
        modified: Vec<Uid>,
    },
    Expunged,
    NoSuchMailbox,
    /// Refused for another reason, which the state gives; texts do not matter.
    Refused(Refused),
    Tree(Option<MailboxKey>),
    /// Its lsn does not matter.
    Transferred(Transferred),
}

/// A request, and the bytes of a body that lies in a file of its own.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    pub(super) request: Request,
    pub(super) big: Option<Arc<[u8]>>,
}

impl Model {
    /// Applies a request as the store must.
    pub(super) fn apply(&mut self, wanted: &Wanted) -> Outcome {
        match &wanted.request {
            Request::CreateAccount {
                account,
                mailboxes,
                uid_validity,
            } => {
                let made = || AccountModel::new(mailboxes, *uid_validity);
                self.accounts.entry(*account).or_insert_with(made);
                Outcome::Done
            }
            Request::Place {
                body,
                placements,
                queued,
                changes,
                ..
            } => {
                let bytes = match &body.bytes {
                    BodyBytes::Inline(bytes) => bytes.clone(),
                    BodyBytes::Big => wanted.big.clone().expect("a big body has bytes"),
                };
                // All come too late: there is nothing to report.
                if !changes.is_empty() && self.queue.clone().change(changes, true) == 0 {
                    return Outcome::Placed(Vec::new(), 0);
                }
                if placements.iter().any(|one| self.key(one).is_none()) {
                    return Outcome::NoSuchMailbox;
                }
                self.queue.change(changes, true);
                queued.iter().for_each(|one| self.queue.enter(one, &bytes, &body.hash));
                let placed = placements.iter().map(|one| self.place(one, &bytes, body.crc, &body.hash));
                Outcome::Placed(placed.collect(), queued.len())
            }
            Request::SetFlags {
                mailbox,
                uids,
                change,
                unchanged_since,
                ..
            } => {
                let Some(account) = self.accounts.get_mut(&mailbox.account) else {
                    return Outcome::NoSuchMailbox;
                };
                let Some(model) = account.mailboxes.get_mut(&mailbox.mailbox) else {
                    return Outcome::NoSuchMailbox;
                };
                let known = uids.iter().filter(|uid| model.rows.contains_key(&uid.0));
                let is_fresh = |uid: &&Uid| unchanged_since.is_none_or(|since| model.rows[&uid.0].mod_seq <= since.0);
                let (fresh, modified): (Vec<Uid>, Vec<Uid>) = known.partition(is_fresh);
                if fresh.is_empty() {
                    return Outcome::Flagged { modified };
                }
                let mod_seq = next(&mut account.mod_seq);
                model.highest_mod_seq = mod_seq;
                let keywords = change.keywords.iter().map(|keyword| keyword.to_string());
                let keywords: BTreeSet<String> = keywords.collect();
                for uid in fresh {
                    let row = model.rows.get_mut(&uid.0).expect("it is known");
                    row.mod_seq = mod_seq;
                    match change.how {
                        FlagHow::Add => {
                            row.flags = row.flags.with(change.flags);
                            row.keywords.extend(keywords.iter().cloned());
                        }
                        FlagHow::Remove => {
                            row.flags = row.flags.without(change.flags);
                            row.keywords.retain(|keyword| !keywords.contains(keyword));
                        }
                        FlagHow::Replace => {
                            row.flags = change.flags;
                            row.keywords = keywords.clone();
                        }
                    }
                }
                Outcome::Flagged { modified }
            }
            Request::Expunge { mailbox, uids, .. } => {
                let Some(account) = self.accounts.get_mut(&mailbox.account) else {
                    return Outcome::NoSuchMailbox;
                };
                let Some(model) = account.mailboxes.get_mut(&mailbox.mailbox) else {
                    return Outcome::NoSuchMailbox;
                };
                let before = model.rows.len();
                let named = |uid: &u32| uids.as_ref().is_none_or(|uids| uids.contains(&Uid(*uid)));
                model
                    .rows
                    .retain(|uid, row| !(row.flags.contains(Flags::DELETED) && named(uid)));
                if model.rows.len() < before {
                    model.highest_mod_seq = next(&mut account.mod_seq);
                }
                Outcome::Expunged
            }
            Request::Tree { .. } => self.apply_tree(&wanted.request),
            Request::Transfer { .. } => self.apply_transfer(&wanted.request),
            Request::ChangeQueue(changes) => {
                self.queue.change(changes, false);
                Outcome::Done
            }
            Request::Mailboxes(_)
            | Request::Select { .. }
            | Request::Changes { .. }
            | Request::Unwatch { .. }
            | Request::Queue => {
                panic!("queries change nothing")
            }
        }
    }

    fn key(&self, one: &Placement) -> Option<MailboxKey> {
        let account = self.accounts.get(&one.account)?;
        let mailbox = match one.mailbox {
            Where::Inbox => account.inbox,
            Where::Mailbox(id) => id,
        };
        account.mailboxes.contains_key(&mailbox).then_some(MailboxKey {
            account: one.account,
            mailbox,
        })
    }

    fn place(&mut self, one: &Placement, body: &[u8], crc: u32, hash: &[u8; 32]) -> (MailboxKey, Uid) {
        let key = self.key(one).expect("it was looked at");
        let account = self.accounts.get_mut(&one.account).expect("it was looked at");
        let mod_seq = next(&mut account.mod_seq);
        let model = account.mailboxes.get_mut(&key.mailbox).expect("it was looked at");
        let uid = model.uid_next;
        model.uid_next += 1;
        model.highest_mod_seq = mod_seq;
        let message = Message {
            flags: one.flags,
            keywords: one.keywords.iter().map(|keyword| keyword.to_string()).collect(),
            mod_seq,
            size: (one.prefix.len() + body.len()) as u64,
            prefix_len: one.prefix.len() as u16,
            email_id: layout::email_id(one.account, hash),
            internal_date: one.internal_date,
            save_date: one.save_date,
            crc: frame::checksum(&one.prefix, crc),
            content: [&one.prefix, body].concat().into(),
        };
        model.rows.insert(uid, message);
        (key, Uid(uid))
    }

    /// The same as sessions can see it.
    pub(super) fn visible(&self) -> Model {
        let mut visible = self.clone();
        for account in visible.accounts.values_mut() {
            (account.mod_seq, account.last_uid_validity) = (None, None);
        }
        visible.queue = self.queue.visible();
        visible
    }

    /// What differs between what must be (`self`) and what is, in words; empty when nothing does.
    pub(super) fn difference(&self, real: &Model) -> Vec<String> {
        let mut found = self.queue.difference(&real.queue);
        let both = |a: &BTreeMap<AccountId, AccountModel>| a.keys().copied().collect::<BTreeSet<_>>();
        for id in &both(&self.accounts) ^ &both(&real.accounts) {
            found.push(format!("account {id} is there: {}", real.accounts.contains_key(&id)));
        }
        for (id, account) in &self.accounts {
            let Some(seen) = real.accounts.get(id) else { continue };
            found.extend(super::tree::subscriptions_differ(account, seen));
            for (id, extra) in seen.mailboxes.iter().filter(|(id, _)| !account.mailboxes.contains_key(id)) {
                found.push(format!("mailbox {} ({id}) should not be there", extra.name.0));
            }
            for (mailbox, model) in &account.mailboxes {
                match seen.mailboxes.get(mailbox) {
                    None => found.push(format!("mailbox {} of {} is missing", model.name.0, short(id))),
                    Some(seen) => found.extend(model.difference(seen, &format!("{} of {}", model.name.0, short(id)))),
                }
            }
        }
        found
    }
}

fn short(id: &AccountId) -> String {
    id.to_string()[..4].into()
}

impl AccountModel {
    fn new(mailboxes: &[NewMailbox], uid_validity: u32) -> AccountModel {
        let made = mailboxes.iter().zip(uid_validity..).map(|(new, uid_validity)| {
            let model = MailboxModel {
                name: new.name.clone(),
                uid_validity,
                uid_next: 1,
                highest_mod_seq: 1,
                rows: BTreeMap::new(),
            };
            (new.mailbox, model)
        });
        AccountModel {
            mod_seq: Some(1),
            mailboxes: made.collect(),
            inbox: mailboxes[0].mailbox,
            subscriptions: mailboxes.iter().map(|new| new.name.clone()).collect(),
            last_uid_validity: Some(uid_validity + mailboxes.len() as u32 - 1),
        }
    }
}

impl MailboxModel {
    /// A mailbox as a version shows it; `content` reads the bytes of a row.
    pub(super) fn seen(
        name: MailboxName,
        version: &Version,
        mut content: impl FnMut(&Row) -> Result<Arc<[u8]>, String>,
    ) -> Result<MailboxModel, String> {
        let mut rows = BTreeMap::new();
        for row in version.rows() {
            let keywords = version.keywords.iter().enumerate();
            let keywords = keywords.filter(|(bit, _)| row.keywords.0 >> bit & 1 == 1);
            let message = Message {
                flags: row.flags,
                keywords: keywords.map(|(_, keyword)| keyword.to_string()).collect(),
                mod_seq: row.mod_seq.0,
                size: u64::from(row.size),
                prefix_len: row.prefix,
                email_id: row.email_id,
                internal_date: row.internal_date,
                save_date: row.save_date,
                crc: row.crc,
                content: content(&row)?,
            };
            if rows.insert(row.uid.0, message).is_some() {
                return Err(format!("UID {} is there twice", row.uid));
            }
        }
        if rows.len() != version.exists as usize {
            return Err(format!("EXISTS is {}, but there are {} rows", version.exists, rows.len()));
        }
        let ModSeq(highest_mod_seq) = version.highest_mod_seq;
        Ok(MailboxModel {
            name,
            uid_validity: version.uid_validity,
            uid_next: version.uid_next.0,
            highest_mod_seq,
            rows,
        })
    }

    fn difference(&self, seen: &MailboxModel, at: &str) -> Vec<String> {
        let mut found = Vec::new();
        if self.name != seen.name {
            found.push(format!("{at}: its name is {}", seen.name.0));
        }
        let mut number = |what: &str, must: u64, is: u64| {
            if must != is {
                found.push(format!("{at}: {what} is {is}, must be {must}"));
            }
        };
        number("UIDVALIDITY", self.uid_validity.into(), seen.uid_validity.into());
        number("UIDNEXT", self.uid_next.into(), seen.uid_next.into());
        number("HIGHESTMODSEQ", self.highest_mod_seq, seen.highest_mod_seq);
        let uids: BTreeSet<u32> = self.rows.keys().chain(seen.rows.keys()).copied().collect();
        for uid in uids {
            match (self.rows.get(&uid), seen.rows.get(&uid)) {
                (Some(must), Some(is)) if must == is => {}
                (Some(must), Some(is)) => {
                    let same = if must.content == is.content {
                        "same content"
                    } else {
                        "OTHER CONTENT"
                    };
                    let brief = |row: &Message| format!("{:?} {:?} {} {}", row.flags, row.keywords, row.mod_seq, row.size);
                    found.push(format!("{at}: UID {uid} is {}, must be {}, {same}", brief(is), brief(must)));
                }
                (Some(_), None) => found.push(format!("{at}: UID {uid} is lost")),
                (None, _) => found.push(format!("{at}: UID {uid} should not be there")),
            }
        }
        found
    }
}

pub(super) fn next(mod_seq: &mut Option<u64>) -> u64 {
    let next = mod_seq.expect("a reference has the counter") + 1;
    *mod_seq = Some(next);
    next
}
