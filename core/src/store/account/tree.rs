//! An account's mailboxes as a tree: applying changes of it, and what of it sessions may see.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Account;
use crate::store::mailbox::Mailbox;
use crate::store::mailbox::receive::Arrival;
use crate::store::operation::Expunge;
use crate::store::request::{ListedMailbox, NewMailbox};
use crate::store::tree::{Transfer, TreeChange, TreeWhat, renamed};
use crate::store::{Lsn, MailboxId, MailboxKey, MailboxName, Uid};

impl Account {
    /// The mailbox of a name, committed or not; INBOX in any case.
    pub fn by_name(&self, name: &MailboxName) -> Option<MailboxId> {
        if name.0.eq_ignore_ascii_case("INBOX") {
            return self.inbox;
        }
        self.names.get(name).copied()
    }

    /// How many mailboxes it has.
    pub fn mailbox_count(&self) -> usize {
        self.mailboxes.len()
    }

    /// How many names are subscribed.
    pub fn subscription_count(&self) -> usize {
        self.subscriptions.len()
    }

    /// Whether a name is subscribed.
    pub fn is_subscribed(&self, name: &MailboxName) -> bool {
        self.subscriptions.contains(name)
    }

    /// INBOX.
    pub fn inbox(&self) -> Option<MailboxId> {
        self.inbox
    }

    /// Messages in all mailboxes.
    pub fn message_count(&self) -> u64 {
        self.mailboxes.values().map(|mailbox| u64::from(mailbox.exists())).sum()
    }

    /// The name and all names below it, with their mailboxes, by name.
    pub fn subtree<'a>(&'a self, name: &'a MailboxName) -> impl Iterator<Item = (&'a MailboxName, MailboxId)> {
        let own = self.names.get_key_value(name).map(|(name, id)| (name, *id));
        own.into_iter().chain(self.inferiors(name))
    }

    /// All names below a name, with their mailboxes, by name.
    pub fn inferiors<'a>(&'a self, name: &'a MailboxName) -> impl Iterator<Item = (&'a MailboxName, MailboxId)> {
        let from = MailboxName(alloc::format!("{}/", name.0).into());
        let prefix = from.clone();
        self.names
            .range(from..)
            .take_while(move |(below, _)| below.0.starts_with(&*prefix.0))
            .map(|(below, id)| (below, *id))
    }

    /// The UIDVALIDITY of a mailbox that is made now; never given before in this account.
    pub fn next_uid_validity(&self, seconds: i64) -> u32 {
        let seconds = u32::try_from(seconds.max(1)).unwrap_or(u32::MAX);
        seconds.max(self.last_uid_validity.saturating_add(1))
    }

    pub(super) fn make_mailbox(&mut self, lsn: Lsn, new: &NewMailbox, uid_validity: u32) {
        self.last_uid_validity = self.last_uid_validity.max(uid_validity);
        let made = Mailbox::new(new.name.clone(), new.special_use, uid_validity, self.mod_seq, lsn);
        self.mailboxes.entry(new.mailbox).or_insert(made);
        self.names.insert(new.name.clone(), new.mailbox);
        self.unseen.insert(new.mailbox);
    }

    pub(super) fn reshape(&mut self, lsn: Lsn, origin: u64, change: &TreeChange) {
        match &change.what {
            TreeWhat::Create { new, uid_validity } => self.make_mailbox(lsn, new, *uid_validity),
            TreeWhat::Delete(id) => {
                if let Some(gone) = self.mailboxes.remove(id) {
                    self.names.remove(&gone.name);
                    self.leaving.insert(*id, gone);
                }
            }
            TreeWhat::Rename { from, to } => {
                let moved: Vec<(MailboxName, MailboxId)> = self.subtree(from).map(|(name, id)| (name.clone(), id)).collect();
                for (name, _) in &moved {
                    self.names.remove(name);
                }
                for (name, id) in moved {
                    let name = renamed(&name, from, to).expect("it is below");
                    if let Some(mailbox) = self.mailboxes.get_mut(&id) {
                        mailbox.name = name.clone();
                    }
                    self.names.insert(name, id);
                }
            }
            TreeWhat::Empty {
                inbox,
                new,
                uid_validity,
                mod_seq,
                save_date,
            } => {
                // First, so that a replay makes the same mailbox.
                self.mod_seq = self.mod_seq.max(*mod_seq);
                self.make_mailbox(lsn, new, *uid_validity);
                let Some(uids) = self.mailboxes.get(inbox).map(Mailbox::all_uids) else {
                    return;
                };
                let account = self.id;
                let transfer = Transfer {
                    from: MailboxKey {
                        account,
                        mailbox: *inbox,
                    },
                    to: new.mailbox,
                    uids,
                    first: Uid(1),
                    moves: true,
                    mod_seq: *mod_seq,
                    save_date: *save_date,
                };
                self.transfer(lsn, origin, &transfer);
            }
            TreeWhat::Subscribe(name) => _ = self.subscriptions.insert(name.clone()),
            TreeWhat::Unsubscribe(name) => _ = self.subscriptions.remove(name),
        }
    }

    /// Rows arrive before they leave: source and destination may be one.
    pub(super) fn transfer(&mut self, lsn: Lsn, origin: u64, transfer: &Transfer) {
        self.mod_seq = self.mod_seq.max(transfer.mod_seq);
        if transfer.uids.is_empty() {
            return;
        }
        let Some(source) = self.mailboxes.get(&transfer.from.mailbox) else {
            return;
        };
        let (rows, table) = (source.rows_of(&transfer.uids), source.keyword_table());
        let arrival = Arrival {
            first: transfer.first,
            mod_seq: transfer.mod_seq,
            save_date: transfer.save_date,
        };
        if let Some(destination) = self.mailboxes.get_mut(&transfer.to) {
            destination.receive(lsn, origin, &rows, &table, arrival);
        }
        if let Some(source) = self.mailboxes.get_mut(&transfer.from.mailbox)
            && transfer.moves
        {
            let expunge = Expunge {
                mailbox: transfer.from,
                uids: transfer.uids.clone(),
                mod_seq: transfer.mod_seq,
            };
            source.expunge(lsn, origin, &expunge);
        }
    }

    // --- what sessions see ------------------------------------------------------------------------------------------------

    /// Makes the tree after a committed batch visible.
    pub fn publish_tree(&mut self) {
        self.unseen.clear();
        self.leaving.clear();
        self.shown = self.list();
    }

    /// The committed mailboxes and subscriptions, by name.
    pub fn shown(&self) -> &Arc<[ListedMailbox]> {
        &self.shown
    }

    /// The committed mailbox of a name; INBOX in any case.
    pub fn shown_by_name(&self, name: &MailboxName) -> Option<MailboxId> {
        let name: &str = if name.0.eq_ignore_ascii_case("INBOX") {
            "INBOX"
        } else {
            &name.0
        };
        let place = self.shown.binary_search_by(|listed| (*listed.name.0).cmp(name)).ok()?;
        self.shown[place].mailbox
    }

    /// A committed mailbox, also when a change that waits for its commit removes it.
    pub fn shown_mut(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        if self.unseen.contains(&id) {
            return None;
        }
        self.mailboxes.get_mut(&id).or_else(|| self.leaving.get_mut(&id))
    }

    /// Mailboxes and subscriptions as they are now, by name.
    fn list(&self) -> Arc<[ListedMailbox]> {
        let mut listed = Vec::with_capacity(self.names.len());
        let mut subscribed = self.subscriptions.iter().peekable();
        let alone = |name: &MailboxName| ListedMailbox {
            mailbox: None,
            name: name.clone(),
            special_use: None,
            subscribed: true,
        };
        for (name, id) in &self.names {
            while let Some(before) = subscribed.next_if(|subscribed| *subscribed < name) {
                listed.push(alone(before));
            }
            listed.push(ListedMailbox {
                mailbox: Some(*id),
                name: name.clone(),
                special_use: self.mailboxes.get(id).and_then(|mailbox| mailbox.special_use),
                subscribed: subscribed.next_if_eq(&name).is_some(),
            });
        }
        listed.extend(subscribed.map(alone));
        listed.into()
    }
}
