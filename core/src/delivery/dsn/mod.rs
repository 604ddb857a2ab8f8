//! Reports about deliveries (RFC 3461, 3464, 6522, 3834): who is told what, and the message that says so.
//!
//! One report is written for all recipients of a message whose fate is settled by one record of the store, and it is part of that
//! record: exactly one report a failed recipient, whatever crashes.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::address::{Domain, Mailbox, ReversePath};
use crate::store::queue::{Enqueue, Notify, Said};
use crate::time::UnixTime;

mod field;
#[cfg(test)]
mod tests;
mod words;
mod write;

pub use write::{Written, write};

/// What a report says of a recipient (RFC 3464 §2.3.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Action {
    /// It will never get the message.
    Failed,
    /// Not yet; it goes on being tried.
    Delayed,
    /// A server that knows no reports took it.
    Relayed,
    /// It is in its mailbox here.
    Delivered,
    /// It is an alias: its members have it, or are going to get it (RFC 3461 §5.2.7.3).
    Expanded,
}

/// What is told of one recipient.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Told {
    /// Which, by its place in the message.
    pub recipient: u32,
    /// What happened.
    pub action: Action,
    /// What was said about it.
    pub said: Option<Arc<Said>>,
    /// When the last attempt was made, if one was.
    pub attempted: Option<UnixTime>,
}

/// Who is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Addressee {
    /// The reverse path.
    Sender(Mailbox),
    /// Our postmaster: nobody else may be told (`rules.md`, "What is reported, and to whom").
    Postmaster,
}

/// A report that is to be made with a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReportOrder {
    /// Who gets it.
    pub addressee: Addressee,
    /// About whom; never empty, the failed ones first.
    pub told: Vec<Told>,
}

/// What a report is written from.
#[derive(Debug, Clone)]
pub struct ReportMatter<'a> {
    /// Who we are.
    pub ours: &'a Ours,
    /// The message it is about.
    pub message: &'a Enqueue,
    /// Who is told what.
    pub order: &'a ReportOrder,
    /// The report's own id, unique.
    pub id: &'a str,
    /// Now.
    pub now: UnixTime,
    /// The first octets of the message (prefix ++ body): as many as there are up to [`crate::limits::REPORT_RETURNED`].
    pub original: &'a [u8],
    /// Octets of the whole message.
    pub original_len: u64,
}

/// Our names in a report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ours {
    /// `hostname`: the reporting MTA.
    pub hostname: Domain,
    /// The first `[[domain]]`: reports come from `MAILER-DAEMON` there, so that SPF and DKIM align.
    pub domain: Domain,
}

crate::record_enum!(Action { 0 => Failed, 1 => Delayed, 2 => Relayed, 3 => Delivered, 4 => Expanded });
crate::record_struct!(Told {
    recipient,
    action,
    said,
    attempted
});
crate::record_enum!(Addressee { 0 => Sender(mailbox), 1 => Postmaster });
crate::record_struct!(ReportOrder { addressee, told });
crate::record_struct!(Ours { hostname, domain });

impl Action {
    /// Its name in a report.
    pub fn name(self) -> &'static str {
        match self {
            Action::Failed => "failed",
            Action::Delayed => "delayed",
            Action::Relayed => "relayed",
            Action::Delivered => "delivered",
            Action::Expanded => "expanded",
        }
    }

    /// The wish that asks for it (RFC 3461 §4.1).
    fn wish(self) -> Notify {
        match self {
            Action::Failed => Notify::FAILURE,
            Action::Delayed => Notify::DELAY,
            Action::Relayed | Action::Delivered | Action::Expanded => Notify::SUCCESS,
        }
    }
}

/// The report that this news of a message makes, if any: what the sender wishes to know, or, of failures that may not be reported
/// to a sender, a copy for the postmaster (RFC 5321 §6.1, RFC 3461 §6.2).
pub fn order(message: &Enqueue, mut told: Vec<Told>) -> Option<ReportOrder> {
    told.retain(|told| message.recipients[told.recipient as usize].wants(told.action.wish()));
    let addressee = match &message.reverse_path {
        ReversePath::Mailbox(mailbox) if message.reportable => Addressee::Sender(mailbox.clone()),
        ReversePath::Mailbox(_) | ReversePath::Null => {
            told.retain(|told| told.action == Action::Failed);
            Addressee::Postmaster
        }
    };
    told.sort_by_key(|told| (told.action, told.recipient));
    (!told.is_empty()).then_some(ReportOrder { addressee, told })
}
