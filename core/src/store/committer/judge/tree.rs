//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE.

use alloc::boxed::Box;

use super::{Judged, refused};
use crate::limits;
use crate::store::account::Account;
use crate::store::committer::Committer;
use crate::store::operation::Operation;
use crate::store::request::{NewMailbox, Refused, Reply};
use crate::store::tree::{TreeChange, TreeDone, TreeRequest, TreeWhat, renamed};
use crate::store::{AccountId, Lsn, MailboxId, MailboxKey, MailboxName, ModSeq};
use crate::time::UnixTime;

/// What a change of the tree comes to.
enum Verdict {
    /// It is as wanted already.
    Nothing,
    Change(TreeWhat),
    No(Refused),
}

fn no(why: Refused) -> Verdict {
    Verdict::No(why)
}

/// Octets of the payload that a change may become.
pub(super) fn record_at_most(change: &TreeRequest) -> usize {
    128 + match change {
        TreeRequest::Create(new) => new.name.0.len(),
        TreeRequest::Rename { from, to, .. } => from.0.len() + to.0.len(),
        TreeRequest::Delete(name) | TreeRequest::Subscribe(name) | TreeRequest::Unsubscribe(name) => name.0.len(),
    }
}

impl Committer {
    pub(super) fn judge_tree(&mut self, id: AccountId, change: TreeRequest, at: UnixTime, origin: u64) -> Judged {
        let enough = self.space.enough;
        let Some(account) = self.accounts.get_mut(&id).map(|entry| &mut entry.account) else {
            return refused(Refused::NoSuchMailbox);
        };
        let verdict = match change {
            // It makes something that stays, and the index grows by it.
            TreeRequest::Create(_) | TreeRequest::Subscribe(_) if !enough => no(Refused::DiskFull),
            TreeRequest::Create(new) => create(account, new, at),
            TreeRequest::Delete(name) => delete(account, &name),
            TreeRequest::Rename { from, to, fresh } => rename(account, from, to, fresh, at),
            TreeRequest::Subscribe(name) => subscribe(account, name),
            TreeRequest::Unsubscribe(name) if account.is_subscribed(&name) => Verdict::Change(TreeWhat::Unsubscribe(name)),
            TreeRequest::Unsubscribe(_) => Verdict::Nothing,
        };
        let what = match verdict {
            Verdict::Change(what) => what,
            Verdict::Nothing => {
                let lsn = account.last_lsn;
                return Judged::Reply(Reply::Tree(TreeDone { lsn, mailbox: None }));
            }
            Verdict::No(why) => return refused(why),
        };
        let mailbox = match &what {
            TreeWhat::Create { new, .. } => Some(new.mailbox),
            TreeWhat::Delete(mailbox) => Some(*mailbox),
            TreeWhat::Empty { inbox, mod_seq, .. } => {
                account.mod_seq = *mod_seq;
                Some(*inbox)
            }
            TreeWhat::Rename { .. } | TreeWhat::Subscribe(_) | TreeWhat::Unsubscribe(_) => None,
        };
        let mailbox = mailbox.map(|mailbox| MailboxKey { account: id, mailbox });
        Judged::Record {
            operation: Operation::Tree(TreeChange { account: id, what }),
            body: None,
            origin,
            reply: Box::new(move |lsn: Lsn| Reply::Tree(TreeDone { lsn, mailbox })),
        }
    }
}

/// What is wrong with a name; the session has looked at what came from a client, but RENAME makes longer ones.
fn wrong_name(name: &MailboxName) -> Option<Refused> {
    if name.0.len() > limits::IMAP_MAILBOX_NAME {
        return Some(Refused::Limit("a mailbox name would be too long".into()));
    }
    if name.0.split('/').count() > limits::IMAP_MAILBOX_DEPTH {
        return Some(Refused::Limit("a mailbox name would have too many levels".into()));
    }
    let empty = name.0.split('/').any(str::is_empty);
    empty.then(|| Refused::Cannot("a mailbox name has an empty level".into()))
}

fn too_many(account: &Account) -> Option<Refused> {
    let full = account.mailbox_count() >= limits::MAILBOXES;
    full.then(|| Refused::Limit("the account has as many mailboxes as it may have".into()))
}

fn create(account: &Account, new: NewMailbox, at: UnixTime) -> Verdict {
    if account.by_name(&new.name).is_some() {
        return no(Refused::AlreadyExists);
    }
    if let Some(why) = wrong_name(&new.name).or_else(|| too_many(account)) {
        return no(why);
    }
    let taken = |wanted| account.mailboxes().any(|(_, mailbox)| mailbox.special_use == Some(wanted));
    if new.special_use.is_some_and(taken) {
        return no(Refused::UseTaken);
    }
    let uid_validity = account.next_uid_validity(at.seconds());
    Verdict::Change(TreeWhat::Create { new, uid_validity })
}

fn delete(account: &Account, name: &MailboxName) -> Verdict {
    match account.by_name(name) {
        Some(id) if account.inbox() == Some(id) => no(Refused::Cannot("INBOX is not deleted".into())),
        Some(id) => Verdict::Change(TreeWhat::Delete(id)),
        None if account.inferiors(name).next().is_some() => no(Refused::HasChildren),
        None => no(Refused::NoSuchMailbox),
    }
}

fn rename(account: &Account, from: MailboxName, to: MailboxName, fresh: MailboxId, at: UnixTime) -> Verdict {
    if account.by_name(&to).is_some() {
        return no(Refused::AlreadyExists);
    }
    if let Some(why) = wrong_name(&to) {
        return no(why);
    }
    if let Some(inbox) = account.by_name(&from).filter(|id| account.inbox() == Some(*id)) {
        if let Some(why) = too_many(account) {
            return no(why);
        }
        let new = NewMailbox {
            mailbox: fresh,
            name: to,
            special_use: None,
        };
        return Verdict::Change(TreeWhat::Empty {
            inbox,
            new,
            uid_validity: account.next_uid_validity(at.seconds()),
            mod_seq: ModSeq(account.mod_seq.0 + 1),
            save_date: at,
        });
    }
    if account.subtree(&from).next().is_none() {
        return no(Refused::NoSuchMailbox);
    }
    if to != from && renamed(&to, &from, &from).is_some() {
        return no(Refused::Cannot("a mailbox is not moved below itself".into()));
    }
    for (name, _) in account.subtree(&from) {
        let name = renamed(name, &from, &to).expect("it is below");
        if let Some(why) = wrong_name(&name) {
            return no(why);
        }
        if account.by_name(&name).is_some() {
            return no(Refused::AlreadyExists);
        }
    }
    Verdict::Change(TreeWhat::Rename { from, to })
}

fn subscribe(account: &Account, name: MailboxName) -> Verdict {
    if account.is_subscribed(&name) {
        return Verdict::Nothing;
    }
    if account.subscription_count() >= limits::SUBSCRIPTIONS {
        return no(Refused::Limit("the account has as many subscriptions as it may have".into()));
    }
    Verdict::Change(TreeWhat::Subscribe(name))
}
