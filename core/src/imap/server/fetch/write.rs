//! Writing one message's response, item by item.

use alloc::vec::Vec;

use super::range::{self, Source};
use super::{Fetched, Fetching, left_out};
use crate::imap::command::FetchItem;
use crate::imap::response::fetch::Fetch;
use crate::imap::server::Session;
use crate::imap::server::outbox::{Outbox, push_literal};
use crate::imap::view::View;
use crate::limits;

/// The response that is being written. It is held back until its first body's first octet is there: until then, a message that
/// cannot be read is left out whole.
#[derive(Debug, Default)]
pub(super) struct Line {
    held: Vec<u8>,
    response: Option<Fetch>,
    begun: bool,
}

impl Line {
    /// Whether a part of it may have been sent.
    pub(super) fn is_begun(&self) -> bool {
        self.begun
    }

    /// Lets go what is held; there is no way back from here.
    pub(super) fn begin(&mut self, out: &mut Outbox) {
        self.begun = true;
        out.end().append(&mut self.held);
        self.held = Vec::new();
    }

    /// Where to write.
    pub(super) fn items<'a>(&'a mut self, out: &'a mut Outbox) -> (&'a mut Fetch, &'a mut Vec<u8>) {
        let response = self.response.as_mut().expect("the response has begun");
        let end = if self.begun { out.end() } else { &mut self.held };
        (response, end)
    }
}

impl Line {
    /// The head of a literal whose octets follow.
    pub(super) fn begin_literal(&mut self, item: &FetchItem, octets: u64, out: &mut Outbox) {
        let (response, end) = self.items(out);
        response.literal(item, octets, end);
        self.begin(out);
    }

    /// As [`Line::begin_literal`], for octets with a NUL that are sent as they are.
    pub(super) fn begin_literal8(&mut self, item: &FetchItem, octets: u64, out: &mut Outbox) {
        let (response, end) = self.items(out);
        response.literal8(item, octets, end);
        self.begin(out);
    }

    /// An answer that is a number.
    pub(super) fn number(&mut self, item: &FetchItem, number: u64, out: &mut Outbox) {
        let (response, end) = self.items(out);
        response.number(item, number, end);
    }

    /// A literal that is known whole. BINARY's has its NULs.
    pub(super) fn whole_literal(&mut self, item: &FetchItem, octets: &[u8], out: &mut Outbox) {
        let (response, end) = self.items(out);
        if matches!(item, FetchItem::Binary { .. }) && memchr::memchr(0, octets).is_some() {
            response.literal8(item, octets.len() as u64, end);
            end.extend_from_slice(octets);
        } else {
            response.literal(item, octets.len() as u64, end);
            push_literal(octets, end);
        }
        if self.held.len() > limits::SEND_HIGH_WATER {
            self.begin(out); // many filtered headers of one message
        }
    }
}

impl Session {
    /// Writes items and messages on: to the next body, or as far as the client reads.
    pub(super) fn write_on(&mut self, fetching: &mut Fetching) {
        while self.out.len() < limits::SEND_HIGH_WATER && fetching.message < fetching.batch.len() {
            if !self.write_item(fetching) {
                return;
            }
        }
    }

    /// Writes the next item, or the end of a message; `false`: a body's octets are needed first.
    pub(super) fn write_item(&mut self, fetching: &mut Fetching) -> bool {
        let view = self.view.as_ref().expect("only when selected");
        let fetched = &fetching.batch[fetching.message];
        if fetching.line.response.is_none() {
            if let Some(why) = left_out(fetching.digests, &fetching.items, fetched) {
                self.leave_out(fetching, why);
                return true;
            }
            fetching.line.response = Some(Fetch::begin(fetched.number, &mut fetching.line.held));
            if fetched.seen && !fetching.items.contains(&FetchItem::Flags) {
                write_memory(view, fetched, &FetchItem::Flags, fetching.line.items(&mut self.out));
            }
        }
        let Some(item) = fetching.items.get(fetching.item) else {
            let (response, end) = fetching.line.items(&mut self.out);
            response.end(end);
            fetching.line.begin(&mut self.out);
            fetching.next_message();
            return true;
        };
        match range::source(fetched, item) {
            Source::Memory => write_memory(view, fetched, item, fetching.line.items(&mut self.out)),
            Source::Nil => {
                let (response, end) = fetching.line.items(&mut self.out);
                if matches!(item, FetchItem::BinarySize { .. }) {
                    response.number(item, 0, end);
                } else {
                    response.nil(item, end);
                }
            }
            Source::Octets(range) if range.len == 0 => {
                let (response, end) = fetching.line.items(&mut self.out);
                response.literal(item, 0, end);
            }
            Source::Decoded(range) if range.len == 0 && matches!(item, FetchItem::BinarySize { .. }) => {
                let (response, end) = fetching.line.items(&mut self.out);
                response.number(item, 0, end);
            }
            Source::Filtered(range) | Source::Decoded(range) if range.len == 0 => {
                let (response, end) = fetching.line.items(&mut self.out);
                response.literal(item, 0, end);
            }
            Source::UnknownEncoding => unreachable!("such a message is left out"),
            Source::Octets(_) | Source::Filtered(_) | Source::Decoded(_) => {
                self.need_body(fetching);
                return false;
            }
        }
        fetching.item += 1;
        true
    }
}

/// Writes an item that is known.
fn write_memory(view: &View, fetched: &Fetched, item: &FetchItem, (response, out): (&mut Fetch, &mut Vec<u8>)) {
    let row = &fetched.row;
    let digest = fetched.digest.as_ref();
    match (item, digest) {
        (FetchItem::Flags, _) => response.flags(row.flags, view.keywords(row), view.is_recent(row.uid), out),
        (FetchItem::Uid, _) => response.uid(row.uid, out),
        (FetchItem::InternalDate, _) => response.internal_date(row.internal_date, out),
        (FetchItem::Rfc822Size, _) => response.size(u64::from(row.size), out),
        (FetchItem::Envelope, Some(digest)) => response.encoded("ENVELOPE", &digest.envelope, out),
        (FetchItem::Body, Some(digest)) => response.encoded("BODY", &digest.body, out),
        (FetchItem::BodyStructure, Some(digest)) => response.encoded("BODYSTRUCTURE", &digest.body_structure, out),
        (FetchItem::Envelope | FetchItem::Body | FetchItem::BodyStructure, None) => {
            unreachable!("a message without its digest is left out")
        }
        (
            FetchItem::Rfc822
            | FetchItem::Rfc822Header
            | FetchItem::Rfc822Text
            | FetchItem::Binary { .. }
            | FetchItem::BinarySize { .. }
            | FetchItem::Section { .. },
            _,
        ) => unreachable!("a body is streamed"),
    }
}
