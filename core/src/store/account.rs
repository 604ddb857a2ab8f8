//! The model of an account: its mailboxes, its counter of changes, and where its next frame goes.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::mailbox::Mailbox;
use super::operation::{NewAccount, Operation};
use super::queue::{QUEUE, Queue};
use super::request::{ListedMailbox, Where};
use super::version::{Chunk, Fixed, FlagColumns, Version};
use super::{AccountId, Location, Lsn, MailboxId, MailboxName, ModSeq, SpecialUse, Uid};
use crate::record::{Malformed, Reader, Record};

mod tree;

/// An account.
#[derive(Debug, Clone)]
pub struct Account {
    /// Its id.
    pub id: AccountId,
    /// Its counter of changes (RFC 7162), the same for all its mailboxes.
    pub mod_seq: ModSeq,
    /// The last record applied to it.
    pub last_lsn: Lsn,
    /// Where its next frame goes.
    pub pack: PackEnd,
    /// Up to which record the index file had everything when it was read.
    pub loaded_until: Lsn,
    /// What waits for other servers; empty in all accounts but the queue's own.
    pub queue: Queue,
    mailboxes: BTreeMap<MailboxId, Mailbox>,
    inbox: Option<MailboxId>,
    made: bool,
    names: BTreeMap<MailboxName, MailboxId>,
    subscriptions: BTreeSet<MailboxName>,
    /// The greatest UIDVALIDITY that any of its mailboxes ever had.
    last_uid_validity: u32,
    /// What sessions see: mailboxes and subscriptions after the last committed batch.
    shown: Arc<[ListedMailbox]>,
    /// Made by a record that is not committed yet.
    unseen: BTreeSet<MailboxId>,
    /// Deleted by a record that is not committed yet: sessions still see them.
    leaving: BTreeMap<MailboxId, Mailbox>,
}

/// The end of an account's packs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PackEnd {
    /// The pack that is written to.
    pub pack: u32,
    /// Its length, with all frames that have been given a place.
    pub len: u64,
}

impl PackEnd {
    /// Gives a frame of so many octets its place: the next pack when this one is full.
    pub fn take(&mut self, octets: u64, pack_bytes: u64) -> PackEnd {
        if self.len > 0 && self.len + octets > pack_bytes {
            *self = PackEnd {
                pack: self.pack + 1,
                len: 0,
            };
        }
        let place = *self;
        self.len += octets;
        place
    }
}

impl Account {
    /// An account that has nothing yet.
    pub fn new(id: AccountId) -> Account {
        Account {
            id,
            mod_seq: ModSeq(1),
            last_lsn: Lsn(0),
            pack: PackEnd::default(),
            loaded_until: Lsn(0),
            queue: Queue::default(),
            mailboxes: BTreeMap::new(),
            inbox: None,
            made: false,
            names: BTreeMap::new(),
            subscriptions: BTreeSet::new(),
            last_uid_validity: 0,
            shown: Arc::new([]),
            unseen: BTreeSet::new(),
            leaving: BTreeMap::new(),
        }
    }

    /// Whether the record that made it has been applied.
    pub fn is_made(&self) -> bool {
        self.made
    }

    /// One of its mailboxes.
    pub fn mailbox(&self, at: Where) -> Option<(MailboxId, &Mailbox)> {
        let id = self.resolve(at)?;
        self.mailboxes.get(&id).map(|mailbox| (id, mailbox))
    }

    /// One of its mailboxes, to be changed.
    pub fn mailbox_mut(&mut self, id: MailboxId) -> Option<&mut Mailbox> {
        self.mailboxes.get_mut(&id)
    }

    /// All mailboxes.
    pub fn mailboxes(&self) -> impl Iterator<Item = (MailboxId, &Mailbox)> {
        self.mailboxes.iter().map(|(id, mailbox)| (*id, mailbox))
    }

    /// All mailboxes, to be changed.
    pub fn mailboxes_mut(&mut self) -> impl Iterator<Item = &mut Mailbox> {
        self.mailboxes.values_mut()
    }

    /// Which mailbox is meant.
    pub fn resolve(&self, at: Where) -> Option<MailboxId> {
        match at {
            Where::Inbox => self.inbox,
            Where::Mailbox(id) => self.mailboxes.contains_key(&id).then_some(id),
        }
    }

    /// Applies what an operation says of this account.
    pub fn apply(&mut self, lsn: Lsn, origin: u64, operation: &Operation) {
        self.last_lsn = lsn;
        let id = self.id;
        match operation {
            Operation::Account(new) => self.make(lsn, new),
            Operation::Place(place) => {
                for copy in place.copies.iter().filter(|copy| copy.mailbox.account == id) {
                    self.mod_seq = self.mod_seq.max(copy.mod_seq);
                    self.follow(
                        copy.location,
                        copy.prefix.len() as u64 + if place.big { 0 } else { place.body_len },
                    );
                    if let Some(mailbox) = self.mailboxes.get_mut(&copy.mailbox.mailbox) {
                        mailbox.append(lsn, origin, place, copy);
                    }
                }
                if id == QUEUE {
                    for queued in &place.queued {
                        let body = if place.big { 0 } else { place.body_len };
                        self.follow(queued.location, queued.entered.prefix.len() as u64 + body);
                        self.queue.enter(place, queued);
                    }
                    place.changes.iter().for_each(|change| _ = self.queue.change(change));
                }
            }
            Operation::ChangeQueue(changes) => changes.iter().for_each(|change| _ = self.queue.change(change)),
            Operation::Flag(flag) => {
                self.mod_seq = self.mod_seq.max(flag.mod_seq);
                if let Some(mailbox) = self.mailboxes.get_mut(&flag.mailbox.mailbox) {
                    mailbox.flag(lsn, origin, flag);
                }
            }
            Operation::Expunge(expunge) => {
                self.mod_seq = self.mod_seq.max(expunge.mod_seq);
                if let Some(mailbox) = self.mailboxes.get_mut(&expunge.mailbox.mailbox) {
                    mailbox.expunge(lsn, origin, expunge);
                }
            }
            Operation::Tree(change) => self.reshape(lsn, origin, change),
            Operation::Transfer(transfer) => self.transfer(lsn, origin, transfer),
        }
    }

    fn make(&mut self, lsn: Lsn, new: &NewAccount) {
        // Each has one of its own, so that no name ever shows another mailbox's (see `tree`).
        for (mailbox, uid_validity) in new.mailboxes.iter().zip(new.uid_validity..) {
            self.make_mailbox(lsn, mailbox, uid_validity);
            self.subscriptions.insert(mailbox.name.clone());
        }
        self.made = true;
        self.inbox = self.inbox.or(new.mailboxes.first().map(|first| first.mailbox));
    }

    /// After a replay the packs' end lies behind every frame that has a place; octets do not count the frame's CRLF.
    fn follow(&mut self, location: Location, octets: u64) {
        let (Location::Pack { pack, offset } | Location::Big { pack, offset }) = location;
        let end = offset + octets + 2;
        if pack > self.pack.pack || pack == self.pack.pack && end > self.pack.len {
            self.pack = PackEnd { pack, len: end };
        }
    }
}

// --- the snapshot ---------------------------------------------------------------------------------------------------------

impl Record for Account {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        self.mod_seq.encode(out);
        self.last_lsn.encode(out);
        self.pack.pack.encode(out);
        self.pack.len.encode(out);
        self.inbox.encode(out);
        self.queue.encode(out);
        self.last_uid_validity.encode(out);
        let subscriptions = u32::try_from(self.subscriptions.len()).expect("an account has few subscriptions");
        subscriptions.encode(out);
        self.subscriptions.iter().for_each(|name| name.encode(out));
        let count = u32::try_from(self.mailboxes.len()).expect("an account has few mailboxes");
        count.encode(out);
        for (id, mailbox) in &self.mailboxes {
            id.encode(out);
            mailbox.name.encode(out);
            mailbox.special_use.encode(out);
            mailbox.version().encode(out);
        }
    }

    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut account = Account::new(AccountId::decode(from)?);
        account.mod_seq = ModSeq::decode(from)?;
        account.last_lsn = Lsn::decode(from)?;
        account.pack = PackEnd {
            pack: u32::decode(from)?,
            len: u64::decode(from)?,
        };
        account.inbox = Option::decode(from)?;
        account.queue = Queue::decode(from)?;
        account.made = true;
        account.last_uid_validity = u32::decode(from)?;
        for _ in 0..u32::decode(from)? {
            account.subscriptions.insert(MailboxName::decode(from)?);
        }
        for _ in 0..u32::decode(from)? {
            let id = MailboxId::decode(from)?;
            let (name, special_use) = (MailboxName::decode(from)?, Option::<SpecialUse>::decode(from)?);
            account.names.insert(name.clone(), id);
            let mailbox = Mailbox::from_version(name, special_use, Version::decode(from)?);
            account.mailboxes.insert(id, mailbox);
        }
        Ok(account)
    }
}

crate::record_struct!(Version {
    lsn,
    uid_validity,
    uid_next,
    highest_mod_seq,
    exists,
    keywords,
    chunks
});
crate::record_struct!(Fixed {
    uid,
    size,
    prefix,
    internal_date,
    save_date,
    email_id,
    location,
    crc
});
crate::record_struct!(FlagColumns {
    flags,
    keywords,
    mod_seq
});

impl Record for Chunk {
    fn encode(&self, out: &mut Vec<u8>) {
        self.fixed.encode(out);
        self.flags.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let (fixed, flags) = (Fixed::decode(from)?, FlagColumns::decode(from)?);
        let rows = fixed.uid.len();
        let same = [
            fixed.size.len(),
            fixed.prefix.len(),
            fixed.internal_date.len(),
            fixed.save_date.len(),
        ]
        .into_iter()
        .chain([fixed.email_id.len(), fixed.location.len(), fixed.crc.len()])
        .chain([flags.flags.len(), flags.keywords.len(), flags.mod_seq.len()])
        .all(|len| len == rows);
        let ascending =
            fixed.uid.windows(2).all(|pair| pair[0] < pair[1]) && fixed.uid.first().is_some_and(|uid| *uid >= Uid(1));
        if !same || !ascending {
            return Err(Malformed("columns of a chunk do not fit"));
        }
        Ok(Chunk {
            fixed: Arc::new(fixed),
            flags: Arc::new(flags),
        })
    }
}
