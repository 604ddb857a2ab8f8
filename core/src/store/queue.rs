//! The queue: messages that other servers are to get, and one row for each of their recipients.
//!
//! The queue is an account of the store like any other ([`QUEUE`]): its bodies lie in packs of that account, its rows in its index.
//! A message enters it by [`Enqueue`], alone or in one record with local placements; every later change is a [`RowChange`]. A failed
//! recipient and the report about it are one record, so that there is exactly one report, whatever crashes. Success here is reported by
//! the same way: who is to be told of a delivery to a mailbox of ours enters the queue with the delivery, for the report alone.

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::frame;
use super::operation::{Place, Queued};
use super::version::Row;
use super::{AccountId, Flags, KeywordBits, Location, ModSeq, Uid};
use crate::address::{Mailbox, ReversePath};
use crate::record::{Malformed, Reader, Record};
use crate::time::UnixTime;

/// The account that is the queue. No login leads to it.
pub const QUEUE: AccountId = AccountId([0; 16]);

/// Names a queued message to the store: the record that added it, with its place in it. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct QueueId(pub u64);
crate::record_struct_tuple!(QueueId);

/// A message that enters the queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enqueue {
    /// The message's one id (17 characters), for people and logs.
    pub message: Arc<str>,
    /// The account that handed it in; `None`: it came from outside, or is a report of ours.
    pub submitter: Option<AccountId>,
    /// Where failures are reported to.
    pub reverse_path: ReversePath,
    /// Whether a failure may be reported to the reverse path (`rules.md`, "What is reported, and to whom"); else the postmaster is
    /// told.
    pub reportable: bool,
    /// Trace fields in front of the body (Received …), whole lines. At most 65 535 octets.
    pub prefix: Arc<[u8]>,
    /// When it was received.
    pub arrived: UnixTime,
    /// When its open recipients fail for good.
    pub expires: UnixTime,
    /// What the sender wishes for all of it.
    pub wishes: Wishes,
    /// Who is to get it.
    pub recipients: Vec<QueuedRecipient>,
}

/// What a sender declares and wishes at MAIL.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Wishes {
    /// RET (RFC 3461 §4.3), if it was given: it goes on as it came.
    pub ret: Option<Ret>,
    /// ENVID (RFC 3461 §4.4), decoded from xtext.
    pub envelope_id: Option<Arc<str>>,
    /// BODY=8BITMIME was declared (RFC 6152).
    pub eight_bit: bool,
    /// SMTPUTF8 was declared (RFC 6531).
    pub utf8: bool,
}

/// RET (RFC 3461 §4.3): what a report of a failure brings back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ret {
    /// The whole message.
    Full,
    /// Its header.
    Headers,
}

/// A recipient as it was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedRecipient {
    /// Its address.
    pub address: Mailbox,
    /// ORCPT (RFC 3461 §4.2): type and address as given, `rfc822;bob@example.org`, the address decoded from xtext.
    pub original: Option<Arc<str>>,
    /// NOTIFY (RFC 3461 §4.1), if it was given: it goes on as it came.
    pub notify: Option<Notify>,
    /// What is to be done for it.
    pub task: Task,
}

/// What the queue has to do for a recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Task {
    /// Another server is to get the message.
    Relay,
    /// Nothing but to tell its sender that the message is in its mailbox here (RFC 3461 §5.2.3): it was put there by the record by
    /// which this entered the queue.
    TellDelivered,
    /// Nothing but to tell its sender that it is an alias, and its members have the message (RFC 3461 §5.2.7.3).
    TellExpanded,
}

impl QueuedRecipient {
    /// Another server's, without a wish.
    #[must_use]
    pub fn of(address: Mailbox) -> QueuedRecipient {
        QueuedRecipient {
            address,
            original: None,
            notify: None,
            task: Task::Relay,
        }
    }

    /// Whether all of these reports about it are wanted.
    #[must_use]
    pub fn wants(&self, reports: Notify) -> bool {
        self.notify.unwrap_or(Notify::DEFAULT).contains(reports)
    }
}

/// NOTIFY (RFC 3461 §4.1), as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Notify(pub u8);
crate::record_struct_tuple!(Notify);

impl Notify {
    /// NEVER: no report of any kind.
    pub const NEVER: Notify = Notify(0);
    /// SUCCESS.
    pub const SUCCESS: Notify = Notify(1);
    /// FAILURE.
    pub const FAILURE: Notify = Notify(2);
    /// DELAY.
    pub const DELAY: Notify = Notify(4);
    /// Nothing was given: failures and delays are reported (RFC 3461 §4.1).
    pub const DEFAULT: Notify = Notify(6);

    /// Whether all of `other` are wanted.
    #[must_use]
    pub fn contains(self, other: Notify) -> bool {
        self.0 & other.0 == other.0
    }
}

/// A message in the queue, with its rows as they are now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueuedMessage {
    /// Its id in the store.
    pub id: QueueId,
    /// What entered the queue.
    pub entered: Arc<Enqueue>,
    /// Octets of the body; the message is prefix ++ body.
    pub body_len: u64,
    /// CRC-32C of the body.
    pub body_crc: u32,
    /// Where its bytes lie, in packs of [`QUEUE`].
    pub location: Location,
    /// The content's id in [`QUEUE`]: names a big body's file.
    pub email_id: super::EmailId,
    /// One for each recipient, in their order.
    pub rows: Vec<QueueRow>,
}

/// How a recipient's delivery stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QueueRow {
    /// Waiting, held or ended.
    pub state: RowState,
    /// Attempts that have been made.
    pub attempts: u32,
    /// Whether a delay was reported already.
    pub delay_reported: bool,
    /// What the other side, or we, said last.
    pub said: Option<Arc<Said>>,
}

/// Where a row is on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum RowState {
    /// Due at this time (wall clock, so that it survives a restart; clamped when it is loaded).
    Waiting(UnixTime),
    /// Kept back by the operator until it is released.
    Held,
    /// The next server took it.
    Relayed,
    /// It failed for good, and this was reported where it may be.
    Failed,
    /// The operator removed it; nobody is told.
    Cancelled,
    /// It was delivered here, and this was reported ([`Task`]).
    Delivered,
}

impl QueuedMessage {
    /// Changes a row, if it is there and not over. Whether nothing more happens to any of them.
    pub fn change(&mut self, change: &RowChange) -> bool {
        let row = self.rows.get_mut(change.recipient as usize);
        if let Some(row) = row.filter(|row| !row.state.is_over()) {
            row.state = change.state;
            row.attempts += u32::from(change.attempted);
            row.delay_reported |= change.delay_reported;
            if let Some(said) = &change.said {
                row.said = Some(said.clone());
            }
        }
        self.is_over()
    }

    /// Whether nothing more happens to any of its recipients.
    #[must_use]
    pub fn is_over(&self) -> bool {
        self.rows.iter().all(|row| row.state.is_over())
    }

    /// The message as a row of a mailbox: all that reading it needs.
    #[must_use]
    pub fn row(&self) -> Row {
        let prefix = self.entered.prefix.len();
        Row {
            uid: Uid(0),
            size: u32::try_from(self.body_len + prefix as u64).expect("a message is below 4 GiB"),
            prefix: u16::try_from(prefix).expect("a prefix is below 64 KiB"),
            internal_date: self.entered.arrived,
            save_date: self.entered.arrived,
            email_id: self.email_id,
            location: self.location,
            crc: frame::checksum(&self.entered.prefix, self.body_crc),
            flags: Flags(0),
            keywords: KeywordBits(0),
            mod_seq: ModSeq(0),
        }
    }
}

/// The queue: what an account's index holds beside mailboxes. Of all accounts only [`QUEUE`] has one.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Queue {
    messages: BTreeMap<QueueId, QueuedMessage>,
}

impl Queue {
    /// A message that has an open row.
    pub fn get(&self, id: QueueId) -> Option<&QueuedMessage> {
        self.messages.get(&id)
    }

    /// Every message with an open row, by age.
    pub fn messages(&self) -> impl Iterator<Item = &QueuedMessage> {
        self.messages.values()
    }

    /// Whether a change would change anything: its row is there and not over.
    pub fn concerns(&self, change: &RowChange) -> bool {
        let row = self
            .get(change.id)
            .and_then(|message| message.rows.get(change.recipient as usize));
        row.is_some_and(|row| !row.state.is_over())
    }

    /// A message enters; it is due at once.
    pub fn enter(&mut self, place: &Place, queued: &Queued) {
        let row = QueueRow {
            state: RowState::Waiting(queued.entered.arrived),
            attempts: 0,
            delay_reported: false,
            said: None,
        };
        let message = QueuedMessage {
            id: queued.id,
            entered: queued.entered.clone(),
            body_len: place.body_len,
            body_crc: place.body_crc,
            location: queued.location,
            email_id: queued.email_id,
            rows: alloc::vec![row; queued.entered.recipients.len()],
        };
        self.messages.insert(queued.id, message);
    }

    /// A row changes, if it is not over. The message when this was its last open row: it leaves.
    pub fn change(&mut self, change: &RowChange) -> Option<QueuedMessage> {
        if !self.concerns(change) {
            return None;
        }
        let over = self.messages.get_mut(&change.id)?.change(change);
        over.then(|| self.messages.remove(&change.id)).flatten()
    }
}

impl Record for Queue {
    fn encode(&self, out: &mut Vec<u8>) {
        let count = u32::try_from(self.messages.len()).expect("a queue has below 4 G messages");
        count.encode(out);
        self.messages.values().for_each(|message| message.encode(out));
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let mut queue = Queue::default();
        for _ in 0..u32::decode(from)? {
            let message = QueuedMessage::decode(from)?;
            queue.messages.insert(message.id, message);
        }
        Ok(queue)
    }
}

impl RowState {
    /// Whether nothing more happens to it.
    #[must_use]
    pub fn is_over(self) -> bool {
        match self {
            RowState::Waiting(_) | RowState::Held => false,
            RowState::Relayed | RowState::Failed | RowState::Cancelled | RowState::Delivered => true,
        }
    }
}

/// What was said about a recipient: by another server, or by ourselves about reaching one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// The reply code; 4yz and 5yz of ours when no server spoke.
    pub code: u16,
    /// The enhanced status code (RFC 3463), `[4, 4, 1]`.
    pub status: [u16; 3],
    /// One line of text, printable.
    pub text: Arc<str>,
    /// Which server said so; `None`: we did.
    pub by: Option<Arc<str>>,
}

/// One durable change of a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RowChange {
    /// Of which message.
    pub id: QueueId,
    /// Which of its recipients, by its place.
    pub recipient: u32,
    /// Its new state.
    pub state: RowState,
    /// Whether an attempt was made.
    pub attempted: bool,
    /// Whether a delay is reported by this record.
    pub delay_reported: bool,
    /// What was said.
    pub said: Option<Arc<Said>>,
}

crate::record_struct!(Enqueue {
    message,
    submitter,
    reverse_path,
    reportable,
    prefix,
    arrived,
    expires,
    wishes,
    recipients
});
crate::record_struct!(Wishes {
    ret,
    envelope_id,
    eight_bit,
    utf8
});
crate::record_struct!(QueuedRecipient {
    address,
    original,
    notify,
    task
});
crate::record_enum!(Ret { 0 => Full, 1 => Headers });
crate::record_enum!(Task { 0 => Relay, 1 => TellDelivered, 2 => TellExpanded });
crate::record_struct!(QueuedMessage {
    id,
    entered,
    body_len,
    body_crc,
    location,
    email_id,
    rows
});
crate::record_struct!(QueueRow {
    state,
    attempts,
    delay_reported,
    said
});
crate::record_enum!(RowState { 0 => Waiting(due), 1 => Held, 2 => Relayed, 3 => Failed, 4 => Cancelled, 5 => Delivered });
crate::record_struct!(Said { code, status, text, by });
crate::record_struct!(RowChange {
    id,
    recipient,
    state,
    attempted,
    delay_reported,
    said
});
