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

#[cfg(test)]
mod tests {
    use alloc::format;

    use super::*;
    use crate::store::operation::NewAccount;

    const ACCOUNT: AccountId = AccountId([1; 16]);
    const FRESH: MailboxId = MailboxId([9; 16]);

    fn name(name: &str) -> MailboxName {
        MailboxName(name.into())
    }

    fn new(number: usize, of: &str) -> NewMailbox {
        let mut id = [0; 16];
        id[..8].copy_from_slice(&number.to_le_bytes());
        NewMailbox {
            mailbox: MailboxId(id),
            name: name(of),
            special_use: None,
        }
    }

    fn account() -> Account {
        let mut account = Account::new(ACCOUNT);
        let made = NewAccount {
            account: ACCOUNT,
            uid_validity: 100,
            mailboxes: alloc::vec![new(0, "INBOX")],
        };
        account.apply(Lsn(1), 0, &Operation::Account(made));
        account
    }

    fn apply(account: &mut Account, lsn: usize, verdict: Verdict) -> Result<(), Refused> {
        match verdict {
            Verdict::Change(what) => {
                let change = TreeChange { account: ACCOUNT, what };
                account.apply(Lsn(lsn as u64), 0, &Operation::Tree(change));
                Ok(())
            }
            Verdict::Nothing => Ok(()),
            Verdict::No(why) => Err(why),
        }
    }

    fn make(account: &mut Account, number: usize, of: &str) -> Result<(), Refused> {
        let verdict = create(account, new(number, of), UnixTime(0));
        apply(account, number + 1, verdict)
    }

    fn is_limit(outcome: Result<(), Refused>) -> bool {
        matches!(outcome, Err(Refused::Limit(_)))
    }

    #[test]
    fn s70_an_account_has_so_many_mailboxes_and_no_more() {
        let mut account = account();
        for number in 1..limits::MAILBOXES {
            make(&mut account, number, &format!("m{number}")).unwrap();
        }
        assert!(is_limit(make(&mut account, limits::MAILBOXES, "more")));
        let verdict = rename(&account, name("INBOX"), name("more"), FRESH, UnixTime(0));
        assert!(is_limit(apply(&mut account, 1, verdict)));
        let verdict = delete(&account, &name("m1"));
        apply(&mut account, 9000, verdict).unwrap();
        make(&mut account, limits::MAILBOXES, "more").unwrap();
    }

    #[test]
    fn s70_an_account_has_so_many_subscriptions_and_no_more() {
        let mut account = account();
        for number in 1..limits::SUBSCRIPTIONS {
            let verdict = subscribe(&account, name(&format!("m{number}")));
            apply(&mut account, number, verdict).unwrap();
        }
        let verdict = subscribe(&account, name("more"));
        assert!(is_limit(apply(&mut account, 1, verdict)));
        let verdict = subscribe(&account, name("m1"));
        apply(&mut account, 1, verdict).unwrap();
    }

    #[test]
    fn names_that_rename_would_make_are_looked_at() {
        let mut account = account();
        make(&mut account, 1, "a").unwrap();
        make(&mut account, 2, &format!("a/{}", "b".repeat(1000))).unwrap();
        make(&mut account, 3, "c/d").unwrap();
        let try_rename = |from: &str, to: &str| {
            let verdict = rename(&account, name(from), name(to), FRESH, UnixTime(0));
            apply(&mut account.clone(), 10, verdict)
        };
        assert!(is_limit(try_rename("a", &"x".repeat(100))));
        assert!(is_limit(try_rename("a", &["x"; limits::IMAP_MAILBOX_DEPTH].join("/"))));
        assert!(matches!(try_rename("a", "a/b"), Err(Refused::Cannot(_))));
        assert!(matches!(try_rename("c", "c/d/e"), Err(Refused::Cannot(_))));
        assert_eq!(try_rename("a", "inbox"), Err(Refused::AlreadyExists));
        assert_eq!(try_rename("a", "c/d"), Err(Refused::AlreadyExists));
        assert_eq!(try_rename("a", "a"), Err(Refused::AlreadyExists));
        assert_eq!(try_rename("nothing", "b"), Err(Refused::NoSuchMailbox));
        // A level moves with what is below it, and may take the place of another level.
        assert_eq!(try_rename("c", "e"), Ok(()));
        assert_eq!(try_rename("a", "c"), Ok(()));
        assert_eq!(try_rename("INBOX", "inbox/old"), Ok(()));
    }

    #[test]
    fn a_use_is_given_once() {
        let mut account = account();
        let sent = |number, of: &str| NewMailbox {
            special_use: Some(crate::store::SpecialUse::Sent),
            ..new(number, of)
        };
        let verdict = create(&account, sent(1, "Sent"), UnixTime(0));
        apply(&mut account, 2, verdict).unwrap();
        let verdict = create(&account, sent(2, "Also sent"), UnixTime(0));
        assert_eq!(apply(&mut account, 3, verdict), Err(Refused::UseTaken));
        let verdict = delete(&account, &name("Sent"));
        apply(&mut account, 4, verdict).unwrap();
        let verdict = create(&account, sent(2, "Also sent"), UnixTime(0));
        apply(&mut account, 5, verdict).unwrap();
    }
}
