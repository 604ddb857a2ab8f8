//! The open run of bodies, and the body within it whose octets come next.
//!
//! HEADER.FIELDS and BINARY are filtered into memory when they are short. What is longer has runs of its own: the first is
//! counted, the second is sent, since a literal's length goes before it (and whether BINARY has a NUL).

use alloc::vec::Vec;

use super::Fetching;
use super::filter::Filter;
use super::range::{self, Source};
use crate::imap::command::FetchItem;
use crate::imap::server::ask::{Ask, BodyRange};
use crate::imap::server::{Session, Wanted};
use crate::limits;

/// The run, and how its next octets are used.
#[derive(Debug, Default)]
pub(super) struct Stream {
    /// Asked for and opened.
    open: bool,
    /// Ranges of the run that have not begun.
    ahead: usize,
    /// Octets of the current range still to come.
    remaining: u64,
    body: Body,
    /// The next run holds one message only.
    solo: bool,
    /// The run that was asked for holds one message only.
    single: bool,
}

#[derive(Debug, Default)]
enum Body {
    /// Between two bodies.
    #[default]
    None,
    /// As they are; whether the literal's head is written.
    Literal { begun: bool },
    /// Filtered into memory.
    Held { filter: Filter, kept: Vec<u8> },
    /// Filtered and counted; whether there was a NUL.
    Counted { filter: Filter, count: u64, nul: bool },
    /// Filtered and sent: of what is kept, octets from `start` to `end`.
    Second {
        filter: Filter,
        at: u64,
        start: u64,
        end: u64,
        begun: bool,
        /// It has a NUL, which is sent as it is.
        literal8: bool,
    },
}

impl Stream {
    pub(super) fn is_open(&self) -> bool {
        self.open
    }

    pub(super) fn opened(&mut self) {
        self.open = true;
    }

    /// The run is over, or broken.
    pub(super) fn end(&mut self) {
        *self = Stream::default();
    }

    /// The run could not be opened; whether a smaller one is worth a try.
    pub(super) fn refused(&mut self) -> bool {
        let retry = !self.single;
        self.end();
        self.solo = retry;
        retry
    }
}

impl Session {
    /// The next item is a body: its octets are next in the run, or a run that begins with it is asked for.
    pub(super) fn need_body(&mut self, fetching: &mut Fetching) {
        if fetching.stream.open {
            fetching.begin_body();
            return;
        }
        let parts = fetching.next_run();
        fetching.stream.ahead = parts.len();
        fetching.stream.single = parts.iter().all(|part| part.row.uid == parts[0].row.uid);
        let view = self.view.as_ref().expect("only when selected");
        // The first body is prepared now: a second pass over a header has its filter already.
        fetching.begin_body();
        self.ask = Some(Ask::OpenBodies {
            mailbox: view.mailbox(),
            parts,
            then: self.slots.ask(Wanted::Bodies),
        });
    }

    /// Octets of the run.
    pub(super) fn stream_on(&mut self, fetching: &mut Fetching, mut octets: &[u8]) {
        while !octets.is_empty() {
            let stream = &mut fetching.stream;
            let len = usize::try_from(stream.remaining).unwrap_or(usize::MAX).min(octets.len());
            assert!(len > 0, "more octets than were asked for");
            let (now, rest) = octets.split_at(len);
            octets = rest;
            self.take(fetching, now);
            fetching.stream.remaining -= len as u64;
            if fetching.stream.remaining == 0 {
                self.body_done(fetching);
            }
        }
    }

    fn take(&mut self, fetching: &mut Fetching, octets: &[u8]) {
        let Fetching {
            line,
            items,
            item,
            stream,
            ..
        } = fetching;
        let item = &items[*item];
        match &mut stream.body {
            Body::None => unreachable!("octets of no body"),
            Body::Literal { begun } => {
                if !core::mem::replace(begun, true) {
                    line.begin_literal(item, stream.remaining, &mut self.out);
                }
                self.out.literal(octets);
            }
            Body::Held { filter, kept } => filter.update(octets, kept),
            Body::Counted { filter, count, nul } => {
                let mut kept = Vec::new();
                filter.update(octets, &mut kept);
                *count += kept.len() as u64;
                *nul |= memchr::memchr(0, &kept).is_some();
            }
            Body::Second {
                filter,
                at,
                start,
                end,
                begun,
                literal8,
            } => {
                if !core::mem::replace(begun, true) {
                    match literal8 {
                        true => line.begin_literal8(item, *end - *start, &mut self.out),
                        false => line.begin_literal(item, *end - *start, &mut self.out),
                    }
                }
                let mut kept = Vec::new();
                filter.update(octets, &mut kept);
                let piece = window(&kept, at, *start, *end);
                match literal8 {
                    true => self.out.end().extend_from_slice(piece),
                    false => self.out.literal(piece),
                }
            }
        }
    }

    /// A body's last octet was taken.
    fn body_done(&mut self, fetching: &mut Fetching) {
        match core::mem::take(&mut fetching.stream.body) {
            Body::None => unreachable!("the end of no body"),
            Body::Literal { .. } => {}
            Body::Held { filter, mut kept } => {
                filter.finish(&mut kept);
                let wanted = fetching.partial_of(kept.len() as u64);
                let piece = &kept[wanted.start as usize..wanted.end as usize];
                fetching
                    .line
                    .whole_literal(&fetching.items[fetching.item], piece, &mut self.out);
            }
            Body::Counted { filter, mut count, .. } if fetching.is_size() => {
                let mut kept = Vec::new();
                filter.finish(&mut kept);
                count += kept.len() as u64;
                fetching.line.number(&fetching.items[fetching.item], count, &mut self.out);
            }
            Body::Counted {
                filter,
                mut count,
                mut nul,
            } => {
                let mut kept = Vec::new();
                filter.finish(&mut kept);
                count += kept.len() as u64;
                nul |= memchr::memchr(0, &kept).is_some();
                let wanted = fetching.partial_of(count);
                fetching.stream.end();
                if wanted.is_empty() {
                    fetching
                        .line
                        .whole_literal(&fetching.items[fetching.item], &[], &mut self.out);
                } else {
                    // The same header once more; need_body opens a run for it.
                    fetching.stream.body = Body::Second {
                        filter: fetching.filter(),
                        at: 0,
                        start: wanted.start,
                        end: wanted.end,
                        begun: false,
                        literal8: nul && fetching.is_binary(),
                    };
                    return;
                }
            }
            Body::Second {
                filter,
                mut at,
                start,
                end,
                literal8,
                ..
            } => {
                let mut kept = Vec::new();
                filter.finish(&mut kept);
                let piece = window(&kept, &mut at, start, end);
                match literal8 {
                    true => self.out.end().extend_from_slice(piece),
                    false => self.out.literal(piece),
                }
            }
        }
        fetching.item += 1;
        if fetching.stream.ahead == 0 {
            fetching.stream.end();
            return;
        }
        // The run goes on: what lies between two bodies is written at once, for their octets may be here already.
        while fetching.message < fetching.batch.len() && self.write_item(fetching) {}
    }
}

impl Fetching {
    /// The next body's octets come next.
    fn begin_body(&mut self) {
        let item = &self.items[self.item];
        let (range, filtered) = match range::source(&self.batch[self.message], item) {
            Source::Octets(range) => (range, false),
            Source::Filtered(range) | Source::Decoded(range) => (range, true),
            Source::Memory | Source::Nil | Source::UnknownEncoding => unreachable!("not a body"),
        };
        self.stream.ahead -= 1;
        self.stream.remaining = range.len;
        if matches!(self.stream.body, Body::Second { .. }) {
            return;
        }
        self.stream.body = match filtered {
            false => Body::Literal { begun: false },
            true if range.len <= limits::FILTERED && !self.is_size() => Body::Held {
                filter: self.filter(),
                kept: Vec::new(),
            },
            true => Body::Counted {
                filter: self.filter(),
                count: 0,
                nul: false,
            },
        };
    }

    /// The ranges of the next run: from the current item on, through the batch.
    fn next_run(&self) -> Vec<BodyRange> {
        let mut parts: Vec<BodyRange> = Vec::new();
        let mut octets = 0;
        let last = if self.stream.solo {
            self.message + 1
        } else {
            self.batch.len()
        };
        for message in self.message..last {
            let fetched = &self.batch[message];
            if super::left_out(self.digests, &self.items, fetched).is_some() {
                continue;
            }
            let first = if message == self.message { self.item } else { 0 };
            for item in &self.items[first..] {
                let (range, alone) = match range::source(fetched, item) {
                    Source::Octets(range) | Source::Filtered(range) | Source::Decoded(range) if range.len == 0 => continue,
                    Source::Octets(range) => (range, false),
                    Source::Decoded(range) if matches!(item, FetchItem::BinarySize { .. }) => (range, false),
                    Source::Filtered(range) | Source::Decoded(range) => (range, range.len > limits::FILTERED),
                    Source::Memory | Source::Nil | Source::UnknownEncoding => continue,
                };
                octets += range.len;
                let full = parts.len() == limits::RUN_PARTS || octets > limits::RUN_BYTES || alone;
                if full && !parts.is_empty() {
                    return parts;
                }
                parts.push(range);
                if full {
                    return parts;
                }
            }
        }
        parts
    }

    fn filter(&self) -> Filter {
        range::filter(&self.batch[self.message], &self.items[self.item]).expect("a filtered item")
    }

    fn is_size(&self) -> bool {
        matches!(self.items[self.item], FetchItem::BinarySize { .. })
    }

    fn is_binary(&self) -> bool {
        matches!(self.items[self.item], FetchItem::Binary { .. })
    }

    /// What of the filtered header is wanted.
    fn partial_of(&self, len: u64) -> core::ops::Range<u64> {
        let item = &self.items[self.item];
        let partial = if let FetchItem::Section { partial, .. } | FetchItem::Binary { partial, .. } = item {
            *partial
        } else {
            None
        };
        range::partial_of(0..len, partial)
    }
}

/// Of octets `at`.. those between `start` and `end`; moves `at` on.
fn window<'a>(octets: &'a [u8], at: &mut u64, start: u64, end: u64) -> &'a [u8] {
    let len = octets.len() as u64;
    let from = start.saturating_sub(*at).min(len) as usize;
    let to = end.saturating_sub(*at).min(len) as usize;
    *at += len;
    &octets[from..to.max(from)]
}
