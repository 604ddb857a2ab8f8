//! One mailbox in memory: the store's own model, and the messages' bytes. Hosts of IMAP sessions stand on it, those of the fuzz
//! targets too (they include this file).

use std::sync::Arc;

use pillarbox_core::message::digest::Digest;
use pillarbox_core::message::intake::Intake;
use pillarbox_core::store::mailbox::Mailbox;
use pillarbox_core::store::operation::{Copied, Expunge, Flag, Place};
use pillarbox_core::store::ranges::UidRanges;
use pillarbox_core::store::request::{FlagChange, Selected};
use pillarbox_core::store::version::Row;
use pillarbox_core::store::{AccountId, EmailId, Flags, Location, Lsn, MailboxId, MailboxKey, MailboxName, ModSeq, Uid};
use pillarbox_core::time::UnixTime;

/// Which it is.
pub const KEY: MailboxKey = MailboxKey {
    account: AccountId([1; 16]),
    mailbox: MailboxId([2; 16]),
};
/// Its UIDVALIDITY.
pub const UID_VALIDITY: u32 = 7;

/// INBOX; what was expunged from it keeps its bytes.
#[derive(Debug)]
pub struct Inbox {
    /// The store's model of it.
    pub mailbox: Mailbox,
    /// Messages that cannot be read.
    pub broken: Vec<Uid>,
    messages: Vec<(Vec<u8>, Arc<Digest>)>,
    lsn: Lsn,
}

impl Default for Inbox {
    fn default() -> Inbox {
        Inbox::new()
    }
}

impl Inbox {
    /// Empty.
    pub fn new() -> Inbox {
        Inbox {
            mailbox: Mailbox::new(MailboxName("INBOX".into()), None, UID_VALIDITY, ModSeq(1), Lsn(1)),
            broken: Vec::new(),
            messages: Vec::new(),
            lsn: Lsn(1),
        }
    }

    /// The record that came last.
    pub fn lsn(&self) -> Lsn {
        self.lsn
    }

    fn next(&mut self) -> Lsn {
        self.lsn = Lsn(self.lsn.0 + 1);
        self.lsn
    }

    /// A message comes, with a header of its copy's own before it. `origin`: the session that wanted it, or 0.
    pub fn append(&mut self, origin: u64, prefix: &[u8], body: &[u8], flags: Flags, keywords: &[Arc<str>]) -> (Lsn, Uid) {
        let lsn = self.next();
        let mut intake = Intake::new();
        intake.update(body);
        let taken = intake.finish();
        let uid = self.mailbox.uid_next();
        let copy = Copied {
            mailbox: KEY,
            uid,
            mod_seq: ModSeq(lsn.0),
            email_id: EmailId([0; 16]),
            location: Location::Pack {
                pack: 0,
                offset: self.messages.len() as u64,
            },
            prefix: prefix.into(),
            flags,
            keywords: keywords.to_vec(),
            internal_date: UnixTime(0),
            save_date: UnixTime(0),
        };
        let place = Place {
            body_len: taken.size,
            body_crc: taken.crc,
            body_hash: taken.hash,
            big: false,
            copies: Vec::new(),
            queued: Vec::new(),
            changes: Vec::new(),
        };
        self.messages.push(([prefix, body].concat(), Arc::new(taken.digest)));
        self.mailbox.append(lsn, origin, &place, &copy);
        self.mailbox.publish();
        (lsn, uid)
    }

    /// Flags of these change.
    pub fn flag(&mut self, origin: u64, uids: &[Uid], change: &FlagChange) -> Lsn {
        let lsn = self.next();
        let flag = Flag {
            mailbox: KEY,
            uids: UidRanges::from_sorted(uids.iter().copied()),
            mod_seq: ModSeq(lsn.0),
            how: change.how,
            flags: change.flags,
            keywords: change.keywords.clone(),
        };
        self.mailbox.flag(lsn, origin, &flag);
        self.mailbox.publish();
        lsn
    }

    /// These go.
    pub fn remove(&mut self, origin: u64, gone: Vec<Uid>) -> Lsn {
        let lsn = self.next();
        let expunge = Expunge {
            mailbox: KEY,
            uids: UidRanges::from_sorted(gone),
            mod_seq: ModSeq(lsn.0),
        };
        self.mailbox.expunge(lsn, origin, &expunge);
        self.mailbox.publish();
        lsn
    }

    /// Those of these (or of all) that have `\Deleted` go.
    pub fn expunge(&mut self, origin: u64, only: Option<&[Uid]>) -> Lsn {
        let mut gone = self.mailbox.with_flag(Flags::DELETED);
        gone.retain(|uid| only.is_none_or(|only| only.contains(uid)));
        self.remove(origin, gone)
    }

    /// What SELECT is told.
    pub fn select(&mut self, take_recent: bool) -> Selected {
        Selected {
            mailbox: KEY,
            version: self.mailbox.published().clone(),
            recent_from: self.mailbox.recent(take_recent),
        }
    }

    /// All that came, in order; an expunge takes none away.
    pub fn messages(&self) -> impl Iterator<Item = &[u8]> {
        self.messages.iter().map(|(bytes, _)| bytes.as_slice())
    }

    fn message(&self, row: &Row) -> &(Vec<u8>, Arc<Digest>) {
        let Location::Pack { offset, .. } = row.location else {
            panic!("all messages lie in a pack")
        };
        &self.messages[offset as usize]
    }

    /// A message, its prefix before it.
    pub fn bytes(&self, row: &Row) -> &[u8] {
        &self.message(row).0
    }

    /// Its structure, without the prefix.
    pub fn digest(&self, row: &Row) -> Arc<Digest> {
        self.message(row).1.clone()
    }
}
