//! A submission's header: whose it is, and what is changed in it.

use alloc::format;
use alloc::vec::Vec;

use crate::address::Mailbox;
use crate::message::address_list::{self, Entry};
use crate::message::header::{fields, fold_into};

/// The addresses in From, and the one in Sender. `None` when a field stands twice, or holds what is no address: readers would
/// disagree about who wrote the message (S14).
pub fn authors(block: &[u8]) -> Option<(Vec<Mailbox>, Option<Mailbox>)> {
    let (mut from, mut sender) = (None, None);
    for field in fields(block) {
        let place = if field.is("From") {
            &mut from
        } else if field.is("Sender") {
            &mut sender
        } else {
            continue;
        };
        if place.replace(mailboxes(&field.unfolded())?).is_some() {
            return None;
        }
    }
    let sender = match sender {
        Some(mailboxes) => Some(<[Mailbox; 1]>::try_from(mailboxes).ok()?),
        None => None,
    };
    Some((from.unwrap_or_default(), sender.map(|[sender]| sender)))
}

/// The mailboxes of an address list; `None` when one is malformed.
fn mailboxes(list: &[u8]) -> Option<Vec<Mailbox>> {
    let mut mailboxes = Vec::new();
    for entry in address_list::parse(list) {
        match entry {
            Entry::Mailbox { local, domain, .. } => {
                let local = crate::address::LocalPart::new(core::str::from_utf8(&local).ok()?, true).ok()?;
                let host = crate::address::Host::parse(core::str::from_utf8(&domain).ok()?, true).ok()?;
                mailboxes.push(Mailbox { local, host });
            }
            Entry::GroupStart(_) | Entry::GroupEnd => {}
        }
    }
    Some(mailboxes)
}

/// A submission's header as it goes on (RFC 6409 §8, `rules.md`): with a Date and a Message-ID, without Bcc, Resent-Bcc,
/// Return-Path and Content-Length, its lines folded that are too long for others. `block` ends with its empty line.
pub(super) fn rewrite(block: &[u8], date: &str, id: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(block.len() + 128);
    let (mut dated, mut named, mut length) = (false, false, 0);
    for field in fields(block) {
        length += field.raw.len();
        dated |= field.is("Date");
        named |= field.is("Message-ID");
        let removed = ["Bcc", "Resent-Bcc", "Return-Path", "Content-Length"];
        if !removed.iter().any(|name| field.is(name)) {
            fold_into(field.raw, &mut out);
        }
    }
    if !named {
        out.extend_from_slice(format!("Message-ID: {id}\r\n").as_bytes());
    }
    if !dated {
        out.extend_from_slice(format!("Date: {date}\r\n").as_bytes());
    }
    out.extend_from_slice(&block[length..]);
    out
}
