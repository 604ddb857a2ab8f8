//! The tree of an account's mailboxes, and messages that go from one mailbox to another: what is asked, and what is recorded.
//!
//! **Names.** A mailbox is its id; its name is a fact that RENAME changes. A level above others that is no mailbox itself
//! (`a` of `a/b`) is not recorded: it is there as long as something lies below it. A subscription is a name, and outlives its
//! mailbox (RFC 9051 §6.3.7).
//!
//! **UIDVALIDITY** comes from one counter of the account: the seconds of the wall clock, but more than the last one given. So no
//! two mailboxes of an account ever had the same, and a name that is deleted and made again, or taken over by RENAME, never
//! shows an old one (RFC 9051 §2.3.1.1).
//!
//! **Copies share bytes.** COPY and MOVE add rows that name the location and the content's id of the row they came from; no byte
//! of a message is written. A frame of a pack and a big file therefore live as long as *any* row of *any* mailbox of the account
//! names them: whoever compacts packs or removes big files must count rows by location over the whole account, deleted
//! mailboxes excepted, in a state that is behind a checkpoint. Nothing is compacted in this version.

use super::ranges::UidRanges;
use super::request::NewMailbox;
use super::{AccountId, Lsn, MailboxId, MailboxKey, MailboxName, ModSeq, Uid};
use crate::time::UnixTime;

/// What is wanted of an account's mailboxes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeRequest {
    /// CREATE.
    Create(NewMailbox),
    /// DELETE.
    Delete(MailboxName),
    /// RENAME with everything below. INBOX stays: its messages go to a new mailbox (RFC 9051 §6.3.6).
    Rename {
        /// From here.
        from: MailboxName,
        /// To there.
        to: MailboxName,
        /// A random id: of the mailbox that takes INBOX's messages.
        fresh: MailboxId,
    },
    /// SUBSCRIBE.
    Subscribe(MailboxName),
    /// UNSUBSCRIBE.
    Unsubscribe(MailboxName),
}

/// What was done to an account's mailboxes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeDone {
    /// The record (or the newest, when nothing changed).
    pub lsn: Lsn,
    /// The mailbox that is gone (DELETE), was made (CREATE), or was emptied (RENAME of INBOX).
    pub mailbox: Option<MailboxKey>,
}

/// Messages that went into another mailbox: the n-th of `from` has UID `first` + n there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferred {
    /// The record (or the newest of the source, when there were none).
    pub lsn: Lsn,
    /// Where they are now.
    pub to: MailboxKey,
    /// UIDVALIDITY there.
    pub uid_validity: u32,
    /// Their UIDs in the source.
    pub from: UidRanges,
    /// The first one's UID in the destination.
    pub first: Uid,
}

/// A change of an account's mailboxes, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TreeChange {
    /// Whose.
    pub account: AccountId,
    /// What.
    pub what: TreeWhat,
}

/// What changes in the tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TreeWhat {
    /// A new mailbox.
    Create {
        /// Which.
        new: NewMailbox,
        /// Its UIDVALIDITY.
        uid_validity: u32,
    },
    /// A mailbox goes, with its messages.
    Delete(MailboxId),
    /// A name, and every name below it, changes.
    Rename {
        /// From here.
        from: MailboxName,
        /// To there.
        to: MailboxName,
    },
    /// All messages of INBOX go into a new mailbox.
    Empty {
        /// INBOX.
        inbox: MailboxId,
        /// The new one.
        new: NewMailbox,
        /// Its UIDVALIDITY.
        uid_validity: u32,
        /// At which MODSEQ they are there, and gone here.
        mod_seq: ModSeq,
        /// When.
        save_date: UnixTime,
    },
    /// A name is subscribed.
    Subscribe(MailboxName),
    /// It is not any more.
    Unsubscribe(MailboxName),
}

/// Messages are copied or moved within an account, as recorded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The source.
    pub from: MailboxKey,
    /// The destination.
    pub to: MailboxId,
    /// Which messages; all of them exist.
    pub uids: UidRanges,
    /// The first one's UID in the destination; the others follow it.
    pub first: Uid,
    /// They leave the source.
    pub moves: bool,
    /// At which MODSEQ they are there, and gone here.
    pub mod_seq: ModSeq,
    /// When.
    pub save_date: UnixTime,
}

impl TreeChange {
    /// The mailboxes whose messages it changes.
    pub fn mailboxes(&self) -> impl Iterator<Item = MailboxKey> + '_ {
        let changed = match &self.what {
            TreeWhat::Create { new, .. } => [Some(new.mailbox), None],
            TreeWhat::Empty { inbox, new, .. } => [Some(*inbox), Some(new.mailbox)],
            TreeWhat::Delete(_) | TreeWhat::Rename { .. } | TreeWhat::Subscribe(_) | TreeWhat::Unsubscribe(_) => [None, None],
        };
        let account = self.account;
        changed
            .into_iter()
            .flatten()
            .map(move |mailbox| MailboxKey { account, mailbox })
    }
}

impl TreeChange {
    /// The mailbox that is gone.
    pub fn deleted(&self) -> Option<MailboxKey> {
        match &self.what {
            TreeWhat::Delete(mailbox) => Some(MailboxKey {
                account: self.account,
                mailbox: *mailbox,
            }),
            TreeWhat::Create { .. }
            | TreeWhat::Rename { .. }
            | TreeWhat::Empty { .. }
            | TreeWhat::Subscribe(_)
            | TreeWhat::Unsubscribe(_) => None,
        }
    }
}

impl Transfer {
    /// The destination's key.
    pub fn destination(&self) -> MailboxKey {
        MailboxKey {
            account: self.from.account,
            mailbox: self.to,
        }
    }
}

/// The name that `name` has after a RENAME, if it is the renamed one or lies below it.
pub(crate) fn renamed(name: &MailboxName, from: &MailboxName, to: &MailboxName) -> Option<MailboxName> {
    let rest = name.0.strip_prefix(&*from.0)?;
    let concerned = rest.is_empty() || rest.starts_with('/');
    concerned.then(|| MailboxName(alloc::format!("{}{rest}", to.0).into()))
}

crate::record_enum!(TreeRequest {
    0 => Create(new),
    1 => Delete(name),
    2 => Rename { from, to, fresh },
    3 => Subscribe(name),
    4 => Unsubscribe(name),
});
crate::record_struct!(TreeDone { lsn, mailbox });
crate::record_struct!(Transferred {
    lsn,
    to,
    uid_validity,
    from,
    first
});
crate::record_struct!(TreeChange { account, what });
crate::record_enum!(TreeWhat {
    0 => Create { new, uid_validity },
    1 => Delete(mailbox),
    2 => Rename { from, to },
    3 => Empty { inbox, new, uid_validity, mod_seq, save_date },
    4 => Subscribe(name),
    5 => Unsubscribe(name),
});
crate::record_struct!(Transfer {
    from,
    to,
    uids,
    first,
    moves,
    mod_seq,
    save_date
});
