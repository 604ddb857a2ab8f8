//! The tree of mailboxes, copies and moves: the reference, and random requests.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox_core::store::request::{NewMailbox, Refused, Request};
use pillarbox_core::store::tree::{Transferred, TreeRequest};
use pillarbox_core::store::{MailboxId, MailboxKey, MailboxName, Uid};
use pillarbox_core::time::UnixTime;
use pillarbox_tests::rng::Rng;

use super::model::{AccountModel, MailboxModel, Model, Outcome, Wanted, next};
use super::workload;

const NAMES: [&str; 8] = [
    "INBOX",
    "Archive",
    "work",
    "work/one",
    "work/one/deep",
    "work-two",
    "old",
    "old/one",
];

impl Model {
    pub(super) fn apply_tree(&mut self, request: &Request) -> Outcome {
        let Request::Tree { account, change, at, .. } = request else {
            panic!("a change of the tree");
        };
        let key = |mailbox| MailboxKey {
            account: *account,
            mailbox,
        };
        let Some(model) = self.accounts.get_mut(account) else {
            return Outcome::NoSuchMailbox;
        };
        match change {
            TreeRequest::Create(new) => {
                if model.named(&new.name).is_some() {
                    return Outcome::Refused(Refused::AlreadyExists);
                }
                model.make(new, *at);
                Outcome::Tree(Some(key(new.mailbox)))
            }
            TreeRequest::Delete(name) => match model.named(name) {
                Some(id) if id == model.inbox => Outcome::Refused(Refused::Cannot(String::new())),
                Some(id) => {
                    model.mailboxes.remove(&id);
                    Outcome::Tree(Some(key(id)))
                }
                None if model.below(name).next().is_some() => Outcome::Refused(Refused::HasChildren),
                None => Outcome::NoSuchMailbox,
            },
            TreeRequest::Rename { from, to, fresh } => match model.rename(from, to, *fresh, *at) {
                Ok(mailbox) => Outcome::Tree(mailbox.map(key)),
                Err(Refused::NoSuchMailbox) => Outcome::NoSuchMailbox,
                Err(why) => Outcome::Refused(why),
            },
            TreeRequest::Subscribe(name) => {
                model.subscriptions.insert(name.clone());
                Outcome::Tree(None)
            }
            TreeRequest::Unsubscribe(name) => {
                model.subscriptions.remove(name);
                Outcome::Tree(None)
            }
        }
    }

    pub(super) fn apply_transfer(&mut self, request: &Request) -> Outcome {
        let Request::Transfer {
            from,
            to,
            uids,
            strict,
            moves,
            at,
            ..
        } = request
        else {
            panic!("a transfer");
        };
        let Some(model) = self.accounts.get_mut(&from.account) else {
            return Outcome::NoSuchMailbox;
        };
        let Some(source) = model.mailboxes.get(&from.mailbox) else {
            return Outcome::NoSuchMailbox;
        };
        let known: Vec<u32> = uids
            .iter()
            .map(|uid| uid.0)
            .filter(|uid| source.rows.contains_key(uid))
            .collect();
        let Some(destination) = model.named(to) else {
            return Outcome::Refused(Refused::NoDestination);
        };
        if *strict && known.len() < uids.len() {
            return Outcome::Refused(Refused::Expunged);
        }
        let first = model.mailboxes[&destination].uid_next;
        let uid_validity = model.mailboxes[&destination].uid_validity;
        if !known.is_empty() {
            let mod_seq = next(&mut model.mod_seq);
            model.take(from.mailbox, destination, &known, *moves, mod_seq, *at);
        }
        Outcome::Transferred(Transferred {
            lsn: Default::default(),
            to: MailboxKey {
                account: from.account,
                mailbox: destination,
            },
            uid_validity,
            from: pillarbox_core::store::ranges::UidRanges::from_sorted(known.into_iter().map(Uid)),
            first: Uid(first),
        })
    }
}

impl AccountModel {
    fn named(&self, name: &MailboxName) -> Option<MailboxId> {
        let mut found = self.mailboxes.iter().filter(|(_, mailbox)| mailbox.name == *name);
        found.next().map(|(id, _)| *id)
    }

    fn below<'a>(&'a self, name: &'a MailboxName) -> impl Iterator<Item = MailboxId> + 'a {
        let below = move |other: &MailboxName| other.0.strip_prefix(&*name.0).is_some_and(|rest| rest.starts_with('/'));
        self.mailboxes
            .iter()
            .filter(move |(_, mailbox)| below(&mailbox.name))
            .map(|(id, _)| *id)
    }

    fn make(&mut self, new: &NewMailbox, at: UnixTime) {
        let last = self.last_uid_validity.expect("a reference has the counter");
        let uid_validity = (at.seconds() as u32).max(last + 1);
        self.last_uid_validity = Some(uid_validity);
        let made = MailboxModel {
            name: new.name.clone(),
            uid_validity,
            uid_next: 1,
            highest_mod_seq: self.mod_seq.expect("a reference has the counter"),
            rows: BTreeMap::new(),
        };
        self.mailboxes.insert(new.mailbox, made);
    }

    fn rename(
        &mut self,
        from: &MailboxName,
        to: &MailboxName,
        fresh: MailboxId,
        at: UnixTime,
    ) -> Result<Option<MailboxId>, Refused> {
        if self.named(to).is_some() {
            return Err(Refused::AlreadyExists);
        }
        if self.named(from) == Some(self.inbox) {
            let new = NewMailbox {
                mailbox: fresh,
                name: to.clone(),
                special_use: None,
            };
            let mod_seq = next(&mut self.mod_seq);
            self.make(&new, at);
            let all: Vec<u32> = self.mailboxes[&self.inbox].rows.keys().copied().collect();
            if !all.is_empty() {
                self.take(self.inbox, fresh, &all, true, mod_seq, at);
            }
            return Ok(Some(self.inbox));
        }
        let moved: Vec<MailboxId> = self.named(from).into_iter().chain(self.below(from)).collect();
        if moved.is_empty() {
            return Err(Refused::NoSuchMailbox);
        }
        let inside = to.0.strip_prefix(&*from.0);
        if inside.is_some_and(|rest| rest.starts_with('/')) {
            return Err(Refused::Cannot(String::new()));
        }
        let name_of = |mailbox: &MailboxModel| MailboxName(format!("{}{}", to.0, &mailbox.name.0[from.0.len()..]).into());
        let names: Vec<MailboxName> = moved.iter().map(|id| name_of(&self.mailboxes[id])).collect();
        if names.iter().any(|name| self.named(name).is_some()) {
            return Err(Refused::AlreadyExists);
        }
        for (id, name) in moved.iter().zip(names) {
            self.mailboxes.get_mut(id).expect("it was found").name = name;
        }
        Ok(None)
    }

    fn take(&mut self, from: MailboxId, to: MailboxId, uids: &[u32], moves: bool, mod_seq: u64, at: UnixTime) {
        for uid in uids {
            let mut row = self.mailboxes[&from].rows[uid].clone();
            (row.mod_seq, row.save_date) = (mod_seq, at);
            let there = self.mailboxes.get_mut(&to).expect("it was found");
            let new = there.uid_next;
            there.uid_next += 1;
            there.highest_mod_seq = mod_seq;
            there.rows.insert(new, row);
            if moves {
                let here = self.mailboxes.get_mut(&from).expect("it was found");
                here.rows.remove(uid);
                here.highest_mod_seq = mod_seq;
            }
        }
    }
}

/// A random change of the tree, or a copy, or a move.
///
/// Only mailboxes whose making was acknowledged are deleted: where both are open in a crash, nothing that can be seen tells
/// whether both were kept or none, but the hidden counters differ.
pub(super) fn draw(rng: &mut Rng, acknowledged: &Model, pending: &Model, key: MailboxKey) -> Wanted {
    let account = key.account;
    let model = &pending.accounts[&account];
    let any = |rng: &mut Rng| MailboxName((*rng.pick(&NAMES)).into());
    let known = |rng: &mut Rng| {
        let names: Vec<&MailboxName> = model.mailboxes.values().map(|mailbox| &mailbox.name).collect();
        MailboxName(rng.pick(&names).0.clone())
    };
    let last = model.last_uid_validity.expect("a reference has the counter");
    // Seconds in which a clock stands, goes on, or was set back.
    let at = UnixTime::from_seconds(i64::from(last) + rng.below(4) as i64 - 2);
    let fresh = |rng: &mut Rng| {
        let mut id = [0; 16];
        rng.fill(&mut id);
        MailboxId(id)
    };
    let change = match rng.below(10) {
        0..=1 => TreeRequest::Create(NewMailbox {
            mailbox: fresh(rng),
            name: any(rng),
            special_use: None,
        }),
        2 => {
            let firm = acknowledged.accounts.get(&account);
            let stays = workload::mailbox(account, 1);
            let may_go = |id: &MailboxId| *id != stays && firm.is_some_and(|firm| firm.mailboxes.contains_key(id));
            let names: Vec<&MailboxName> = model
                .mailboxes
                .iter()
                .filter(|(id, _)| may_go(id))
                .map(|(_, mailbox)| &mailbox.name)
                .collect();
            let name = if names.is_empty() || rng.percent(10) {
                MailboxName("work/none".into())
            } else {
                rng.pick(&names).to_owned().clone()
            };
            TreeRequest::Delete(name)
        }
        3 => TreeRequest::Rename {
            from: if rng.percent(70) { known(rng) } else { any(rng) },
            to: any(rng),
            fresh: fresh(rng),
        },
        4 => TreeRequest::Subscribe(any(rng)),
        5 => TreeRequest::Unsubscribe(any(rng)),
        _ => {
            let uids = workload::some_uids(rng, pending, key);
            let request = Request::Transfer {
                from: key,
                to: if rng.percent(90) { known(rng) } else { any(rng) },
                uids,
                strict: rng.percent(20),
                moves: rng.percent(50),
                at: UnixTime(rng.below(2_000_000_000_000) as i64),
                origin: rng.below(4),
            };
            return Wanted { request, big: None };
        }
    };
    let request = Request::Tree {
        account,
        change,
        at,
        origin: rng.below(4),
    };
    Wanted { request, big: None }
}

/// What differs in the subscriptions.
pub(super) fn subscriptions_differ(must: &AccountModel, is: &AccountModel) -> Vec<String> {
    let differ: BTreeSet<_> = must.subscriptions.symmetric_difference(&is.subscriptions).collect();
    differ
        .into_iter()
        .map(|name| format!("subscription {} is there: {}", name.0, is.subscriptions.contains(name)))
        .collect()
}
