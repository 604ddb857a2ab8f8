//! Operations: what a journal record says. Judged once, then only applied: applying never fails and never asks.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::queue::{Enqueue, QUEUE, QueueId, RowChange};
use super::ranges::UidRanges;
use super::request::{FlagHow, NewMailbox};
use super::tree::{Transfer, TreeChange};
use super::{AccountId, EmailId, Flags, Location, MailboxId, MailboxKey, ModSeq, Uid};
use crate::time::UnixTime;

/// One durable change: a journal record's payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Operation {
    /// A new account.
    Account(NewAccount),
    /// A message, and every mailbox it goes to.
    Place(Place),
    /// Flags of some messages.
    Flag(Flag),
    /// Messages go.
    Expunge(Expunge),
    /// Rows of the queue change.
    ChangeQueue(Vec<RowChange>),
    /// The tree of mailboxes.
    Tree(TreeChange),
    /// Messages go from one mailbox to another.
    Transfer(Transfer),
}

/// A new account with its first mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewAccount {
    /// Its id.
    pub account: AccountId,
    /// UIDVALIDITY of its mailboxes.
    pub uid_validity: u32,
    /// INBOX first.
    pub mailboxes: Vec<NewMailbox>,
}

/// A message. Its inline body, if it has one, rides behind the payload.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Octets of the body.
    pub body_len: u64,
    /// CRC-32C of the body.
    pub body_crc: u32,
    /// BLAKE3 of the body.
    pub body_hash: [u8; 32],
    /// Whether the body is a file of its own.
    pub big: bool,
    /// Where it goes.
    pub copies: Vec<Copied>,
    /// What of it enters the queue.
    pub queued: Vec<Queued>,
    /// Rows of the queue that change with it: a report is one record with the failure that it reports.
    pub changes: Vec<RowChange>,
}

/// A message that entered the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queued {
    /// Its id.
    pub id: QueueId,
    /// The body's id: names its file, if it is a big one.
    pub email_id: EmailId,
    /// Where its bytes will lie, in packs of [`QUEUE`].
    pub location: Location,
    /// What entered.
    pub entered: Arc<Enqueue>,
}

/// One copy of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Copied {
    /// Which mailbox.
    pub mailbox: MailboxKey,
    /// Under which UID.
    pub uid: Uid,
    /// At which MODSEQ.
    pub mod_seq: ModSeq,
    /// The body's id in the account.
    pub email_id: EmailId,
    /// Where its bytes will lie.
    pub location: Location,
    /// Bytes in front of the body.
    pub prefix: Arc<[u8]>,
    /// First flags.
    pub flags: Flags,
    /// First keywords.
    pub keywords: Vec<Arc<str>>,
    /// INTERNALDATE.
    pub internal_date: UnixTime,
    /// SAVEDATE.
    pub save_date: UnixTime,
}

/// Flags change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Flag {
    /// Which mailbox.
    pub mailbox: MailboxKey,
    /// Which messages; all of them exist.
    pub uids: UidRanges,
    /// At which MODSEQ.
    pub mod_seq: ModSeq,
    /// Add, remove or replace.
    pub how: FlagHow,
    /// System flags.
    pub flags: Flags,
    /// Keywords.
    pub keywords: Vec<Arc<str>>,
}

/// Messages go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Expunge {
    /// Which mailbox.
    pub mailbox: MailboxKey,
    /// Which messages; all of them exist.
    pub uids: UidRanges,
    /// At which MODSEQ.
    pub mod_seq: ModSeq,
}

impl Operation {
    /// The accounts that it changes, each once.
    pub fn accounts(&self) -> Vec<AccountId> {
        match self {
            Operation::Account(new) => alloc::vec![new.account],
            Operation::Place(place) => {
                let mut accounts: Vec<AccountId> = place.copies.iter().map(|copy| copy.mailbox.account).collect();
                if !place.queued.is_empty() || !place.changes.is_empty() {
                    accounts.push(QUEUE);
                }
                accounts.sort_unstable();
                accounts.dedup();
                accounts
            }
            Operation::Flag(flag) => alloc::vec![flag.mailbox.account],
            Operation::Expunge(expunge) => alloc::vec![expunge.mailbox.account],
            Operation::ChangeQueue(_) => alloc::vec![QUEUE],
            Operation::Tree(change) => alloc::vec![change.account],
            Operation::Transfer(transfer) => alloc::vec![transfer.from.account],
        }
    }

    /// The rows of the queue that it changes.
    pub fn row_changes(&self) -> &[RowChange] {
        match self {
            Operation::Place(place) => &place.changes,
            Operation::ChangeQueue(changes) => changes,
            Operation::Account(_)
            | Operation::Flag(_)
            | Operation::Expunge(_)
            | Operation::Tree(_)
            | Operation::Transfer(_) => &[],
        }
    }

    /// The same operation as far as it concerns one account.
    pub fn for_account(&self, account: AccountId) -> Operation {
        match self {
            Operation::Place(place) => {
                let copies = place
                    .copies
                    .iter()
                    .filter(|copy| copy.mailbox.account == account)
                    .cloned()
                    .collect();
                let (queued, changes) = match account == QUEUE {
                    true => (place.queued.clone(), place.changes.clone()),
                    false => (Vec::new(), Vec::new()),
                };
                Operation::Place(Place {
                    copies,
                    queued,
                    changes,
                    ..*place
                })
            }
            Operation::Account(_)
            | Operation::Flag(_)
            | Operation::Expunge(_)
            | Operation::ChangeQueue(_)
            | Operation::Tree(_)
            | Operation::Transfer(_) => self.clone(),
        }
    }
}

/// The id of the mailbox an account's mail comes into: the first one made.
pub fn inbox(mailboxes: &[NewMailbox]) -> Option<MailboxId> {
    mailboxes.first().map(|new| new.mailbox)
}

crate::record_enum!(Operation {
    1 => Account(new),
    2 => Place(place),
    3 => Flag(flag),
    4 => Expunge(expunge),
    5 => ChangeQueue(changes),
    16 => Tree(change),
    17 => Transfer(transfer),
});
crate::record_struct!(NewAccount {
    account,
    uid_validity,
    mailboxes
});
crate::record_struct!(Place {
    body_len,
    body_crc,
    body_hash,
    big,
    copies,
    queued,
    changes
});
crate::record_struct!(Queued {
    id,
    email_id,
    location,
    entered
});
crate::record_struct!(Copied {
    mailbox,
    uid,
    mod_seq,
    email_id,
    location,
    prefix,
    flags,
    keywords,
    internal_date,
    save_date
});
crate::record_struct!(Flag {
    mailbox,
    uids,
    mod_seq,
    how,
    flags,
    keywords
});
crate::record_struct!(Expunge { mailbox, uids, mod_seq });
crate::record_struct!(NewMailbox {
    mailbox,
    name,
    special_use
});
crate::record_enum!(FlagHow { 0 => Add, 1 => Remove, 2 => Replace });
