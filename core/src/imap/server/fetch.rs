//! FETCH (RFC 3501 §6.4.5): messages in runs, bodies streamed, nothing generated that the peer does not take (S34).
//!
//! ```text
//!        some rows      need a digest      set \Seen       have octets to read
//! Next -----------> Digests --------> Seen --------> Bodies ------------> Streaming ---> Next ... ---> the tagged line
//! ```

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::ops::Range;

use super::ask::{Ask, BodiesOpened, BodyRange, Digests, FlagsSet};
use super::{Job, Pending, Session};
use crate::imap::command::{FetchItem, SectionText, SequenceSet};
use crate::imap::response;
use crate::limits;
use crate::machine::{BodyError, Reason};
use crate::message::date::format_internal;
use crate::message::digest::Digest;
use crate::message::header_filter::HeaderFilter;
use crate::message::section::SectionKind;
use crate::store::request::{FlagChange, FlagHow};
use crate::store::version::Row;
use crate::store::{Flags, Lsn};

/// A FETCH that is being answered.
pub(super) struct FetchJob {
    tag: String,
    items: Vec<FetchItem>,
    uid: bool,
    /// What is still to be answered, as intervals of sequence numbers.
    numbers: VecDeque<(u32, u32)>,
    run: Vec<One>,
    step: Step,
    /// What is to be written, in order.
    pieces: VecDeque<Piece>,
    /// Octets of the opened bodies still to come.
    expected: u64,
    /// A message of the run could not be read.
    unreadable: bool,
    /// Up to which record what this FETCH changed has been applied.
    seen_lsn: Lsn,
}

/// One message of a run.
struct One {
    number: u32,
    row: Row,
    digest: Option<Arc<Digest>>,
    /// It cannot be read.
    lost: bool,
    /// `\Seen` is set by this FETCH.
    marks_seen: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Next,
    Digests,
    Digested,
    Seen,
    Marked,
    Bodies,
    Streaming,
}

/// A piece of the answer.
enum Piece {
    /// As it is. `begins`: the first bytes of a message's answer.
    Text { bytes: Vec<u8>, begins: bool },
    /// So many octets of the bodies.
    Body(u64),
    /// So many octets of the bodies go through a filter; then its literal is written.
    Filtered {
        left: u64,
        filter: Box<HeaderFilter>,
        kept: Vec<u8>,
        partial: Option<(u32, u32)>,
    },
}

impl FetchJob {
    pub(super) fn wants_body(&self) -> bool {
        self.step == Step::Streaming && self.expected > 0
    }
}

/// Items that need the message's structure.
fn needs_digest(item: &FetchItem) -> bool {
    match item {
        FetchItem::Body | FetchItem::BodyStructure | FetchItem::Envelope | FetchItem::Rfc822Header | FetchItem::Rfc822Text => {
            true
        }
        FetchItem::Section { section, .. } => !section.part.is_empty() || section.text != SectionText::Whole,
        FetchItem::Flags | FetchItem::InternalDate | FetchItem::Rfc822 | FetchItem::Rfc822Size | FetchItem::Uid => false,
    }
}

/// Items that set `\Seen`.
fn marks_seen(item: &FetchItem) -> bool {
    matches!(
        item,
        FetchItem::Rfc822 | FetchItem::Rfc822Text | FetchItem::Section { peek: false, .. }
    )
}

/// What of a message an item reads: part numbers, kind, and the names of a filter.
fn section_of(item: &FetchItem) -> Option<(&[u32], SectionKind, Option<(&[String], bool)>)> {
    match item {
        FetchItem::Rfc822 => Some((&[], SectionKind::Whole, None)),
        FetchItem::Rfc822Header => Some((&[], SectionKind::Header, None)),
        FetchItem::Rfc822Text => Some((&[], SectionKind::Text, None)),
        FetchItem::Section { section, .. } => {
            let part = section.part.as_slice();
            Some(match &section.text {
                SectionText::Whole => (part, SectionKind::Whole, None),
                SectionText::Header => (part, SectionKind::Header, None),
                SectionText::HeaderFields(names) => (part, SectionKind::Header, Some((names, false))),
                SectionText::HeaderFieldsNot(names) => (part, SectionKind::Header, Some((names, true))),
                SectionText::Text => (part, SectionKind::Text, None),
                SectionText::Mime => (part, SectionKind::Mime, None),
            })
        }
        FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::Envelope
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Rfc822Size
        | FetchItem::Uid => None,
    }
}

/// Where a section lies in the message: prefix and body are one, and the prefix belongs to the message's header.
fn range_of(row: &Row, digest: Option<&Digest>, part: &[u32], kind: SectionKind) -> Option<Range<u64>> {
    let prefix = u64::from(row.prefix);
    if part.is_empty() && kind == SectionKind::Whole {
        return Some(0..u64::from(row.size));
    }
    let range = digest?.section(part, kind)?;
    let start = if part.is_empty() && kind == SectionKind::Header {
        0
    } else {
        range.start + prefix
    };
    Some(start..range.end + prefix)
}

/// `<first.length>` of a range.
fn cut(range: Range<u64>, partial: Option<(u32, u32)>) -> Range<u64> {
    match partial {
        None => range,
        Some((first, length)) => {
            let start = range.start.saturating_add(u64::from(first)).min(range.end);
            start..start.saturating_add(u64::from(length)).min(range.end)
        }
    }
}

impl Session {
    pub(super) fn fetch(&mut self, tag: String, set: &SequenceSet, mut items: Vec<FetchItem>, uid: bool) {
        if !self.needs_view(&tag) {
            return;
        }
        let Some(numbers) = self.numbers(&tag, set, uid) else { return };
        if uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid);
        }
        self.job = Job::Fetch(Box::new(FetchJob {
            tag,
            items,
            uid,
            numbers: numbers.into(),
            run: Vec::new(),
            step: Step::Next,
            pieces: VecDeque::new(),
            expected: 0,
            unreadable: false,
            seen_lsn: Lsn(0),
        }));
    }

    /// Does what can be done without waiting.
    pub(super) fn fetch_goes_on(&mut self) -> bool {
        let low = self.send.len() - self.sent < limits::SEND_HIGH_WATER;
        let Job::Fetch(job) = &mut self.job else { return false };
        match job.step {
            Step::Next if low => self.fetch_next(),
            Step::Digested => self.fetch_mark(),
            Step::Marked => self.fetch_open(),
            Step::Streaming if low => return self.fetch_write(),
            Step::Next | Step::Streaming | Step::Digests | Step::Seen | Step::Bodies => return false,
        }
        true
    }

    /// Takes the next messages.
    fn fetch_next(&mut self) {
        let Job::Fetch(job) = &mut self.job else { return };
        let view = self.view.as_ref().expect("a FETCH has a view");
        let reads = job.items.iter().any(|item| section_of(item).is_some());
        let marks = !view.read_only && job.items.iter().any(marks_seen);
        let parts = job.items.iter().filter(|item| section_of(item).is_some()).count().max(1);
        let mut octets = 0;
        job.run.clear();
        while job.run.len() * parts < limits::RUN_PARTS && octets < limits::RUN_BYTES {
            let Some((first, last)) = job.numbers.front_mut() else { break };
            let number = *first;
            if number >= *last {
                _ = job.numbers.pop_front()
            } else {
                *first += 1
            }
            if let Some(row) = view.row(number) {
                octets += if reads { u64::from(row.size) } else { 64 };
                let marks_seen = marks && !row.flags.contains(Flags::SEEN);
                job.run.push(One {
                    number,
                    row,
                    digest: None,
                    lost: false,
                    marks_seen,
                });
            }
        }
        if job.run.is_empty() {
            return self.fetch_ends();
        }
        if !job.items.iter().any(needs_digest) {
            job.step = Step::Digested;
            return;
        }
        job.step = Step::Digests;
        let (mailbox, rows) = (view.mailbox, job.run.iter().map(|one| one.row).collect());
        let then = self.wait(Pending::Digests);
        self.asks.push_back(Ask::Digests { mailbox, rows, then });
    }

    pub(super) fn digests_known(&mut self, digests: Digests) {
        self.patience = None;
        let Job::Fetch(job) = &mut self.job else { return };
        for (one, digest) in job.run.iter_mut().zip(digests.0) {
            one.lost = digest.is_none();
            one.digest = digest;
        }
        job.step = Step::Digested;
    }

    /// Sets `\Seen` where this FETCH does.
    fn fetch_mark(&mut self) {
        let Job::Fetch(job) = &mut self.job else { return };
        let view = self.view.as_ref().expect("a FETCH has a view");
        let uids: Vec<_> = job
            .run
            .iter()
            .filter(|one| one.marks_seen && !one.lost)
            .map(|one| one.row.uid)
            .collect();
        if uids.is_empty() {
            job.step = Step::Marked;
            return;
        }
        job.step = Step::Seen;
        let change = FlagChange {
            how: FlagHow::Add,
            flags: Flags::SEEN,
            keywords: Vec::new(),
        };
        let mailbox = view.mailbox;
        let then = self.wait(Pending::Seen);
        self.asks.push_back(Ask::SetFlags {
            mailbox,
            uids: uids.into(),
            change,
            then,
        });
    }

    pub(super) fn seen_set(&mut self, set: FlagsSet) {
        self.patience = None;
        let Job::Fetch(job) = &mut self.job else { return };
        match set.0 {
            Ok(set) => job.seen_lsn = job.seen_lsn.max(set.lsn),
            // The messages can be read all the same.
            Err(_) => job.run.iter_mut().for_each(|one| one.marks_seen = false),
        }
        job.step = Step::Marked;
    }

    /// Writes what is known, and opens what has to be read.
    fn fetch_open(&mut self) {
        let Job::Fetch(job) = &mut self.job else { return };
        let view = self.view.as_ref().expect("a FETCH has a view");
        let mut ranges = Vec::new();
        for one in &job.run {
            if one.lost {
                job.unreadable = true;
                continue;
            }
            let recent = view.is_recent(one.row.uid);
            answer_one(
                &job.items,
                one,
                recent,
                &view.version().keywords,
                &mut job.pieces,
                &mut ranges,
            );
        }
        job.expected = ranges.iter().map(|range| range.len).sum();
        if ranges.is_empty() {
            job.step = Step::Streaming;
            return;
        }
        job.step = Step::Bodies;
        let mailbox = view.mailbox;
        let then = self.wait(Pending::Bodies);
        self.asks.push_back(Ask::OpenBodies {
            mailbox,
            parts: ranges,
            then,
        });
    }

    pub(super) fn bodies_opened(&mut self, opened: BodiesOpened) {
        self.patience = None;
        let Job::Fetch(job) = &mut self.job else { return };
        job.step = Step::Streaming;
        if let BodiesOpened::Failed(error) = opened {
            self.fetch_body(Err(error));
        }
    }

    /// Writes pieces that wait for no octets.
    fn fetch_write(&mut self) -> bool {
        let Job::Fetch(job) = &mut self.job else { return false };
        let mut out = Vec::new();
        // A message's answer begins when its first octets are there: until then it can still be left out.
        while let Some(piece) = job.pieces.front() {
            match piece {
                Piece::Text { .. } if job.expected > 0 && waits_for_octets(&job.pieces) => break,
                Piece::Text { .. } => {
                    if let Some(Piece::Text { bytes, .. }) = job.pieces.pop_front() {
                        out.extend_from_slice(&bytes);
                    }
                }
                Piece::Body(0) => _ = job.pieces.pop_front(),
                Piece::Filtered { left: 0, .. } => {
                    if let Some(Piece::Filtered {
                        filter,
                        mut kept,
                        partial,
                        ..
                    }) = job.pieces.pop_front()
                    {
                        filter.finish(&mut kept);
                        let range = cut(0..kept.len() as u64, partial);
                        let kept = &kept[range.start as usize..range.end as usize];
                        out.extend_from_slice(format!("{{{}}}\r\n", kept.len()).as_bytes());
                        out.extend(kept.iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }));
                    }
                }
                Piece::Body(_) | Piece::Filtered { .. } => break,
            }
            if out.len() >= limits::SEND_HIGH_WATER {
                break;
            }
        }
        if job.pieces.is_empty() {
            job.step = Step::Next;
        }
        let went = !out.is_empty() || job.pieces.is_empty();
        if !out.is_empty() {
            self.out().append(&mut out);
        }
        went
    }

    /// Octets of the opened bodies, or why they end.
    pub(super) fn fetch_body(&mut self, chunk: Result<&[u8], BodyError>) {
        let Job::Fetch(job) = &mut self.job else { return };
        let mut bytes = match chunk {
            Ok(bytes) => bytes,
            Err(_) => return self.fetch_breaks(),
        };
        assert!(bytes.len() as u64 <= job.expected, "more octets than were opened");
        job.expected -= bytes.len() as u64;
        let mut out = Vec::with_capacity(bytes.len() + 256);
        loop {
            match job.pieces.front_mut() {
                Some(Piece::Text { .. }) => {
                    // What waits for octets is written when they come, and never before.
                    if bytes.is_empty() {
                        break;
                    }
                    if let Some(Piece::Text { bytes, .. }) = job.pieces.pop_front() {
                        out.extend_from_slice(&bytes);
                    }
                }
                Some(Piece::Body(left)) => {
                    let take = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    // rules.md: no string may hold NUL; each is sent as 0x80, and the length stays.
                    out.extend(bytes[..take].iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }));
                    bytes = &bytes[take..];
                    *left -= take as u64;
                    if *left > 0 {
                        break;
                    }
                    job.pieces.pop_front();
                }
                Some(Piece::Filtered { left, filter, kept, .. }) => {
                    let take = bytes.len().min(usize::try_from(*left).unwrap_or(usize::MAX));
                    if kept.len() < limits::HEADERS_KEPT {
                        filter.update(&bytes[..take], kept);
                    }
                    bytes = &bytes[take..];
                    *left -= take as u64;
                    if *left > 0 {
                        break;
                    }
                    if let Some(Piece::Filtered {
                        filter,
                        mut kept,
                        partial,
                        ..
                    }) = job.pieces.pop_front()
                    {
                        filter.finish(&mut kept);
                        let range = cut(0..kept.len() as u64, partial);
                        let kept = &kept[range.start as usize..range.end as usize];
                        out.extend_from_slice(format!("{{{}}}\r\n", kept.len()).as_bytes());
                        out.extend(kept.iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }));
                    }
                }
                None => break,
            }
        }
        if !out.is_empty() {
            self.out().append(&mut out);
        }
    }

    /// A body cannot be read. If nothing of its message has been said, that message is left out, and the FETCH ends with NO; in the
    /// midst of a literal only the end of the connection is honest.
    fn fetch_breaks(&mut self) {
        let Job::Fetch(job) = &mut self.job else { return };
        let begun = !matches!(job.pieces.front(), Some(Piece::Text { begins: true, .. }));
        if begun {
            return self.close(Reason::BodyFailed);
        }
        job.pieces.clear();
        job.numbers.clear();
        job.expected = 0;
        job.unreadable = true;
        job.step = Step::Next;
    }

    fn fetch_ends(&mut self) {
        let Job::Fetch(job) = core::mem::replace(&mut self.job, Job::Waiting) else {
            return;
        };
        // What this FETCH set was said with it.
        self.silent = job.seen_lsn > Lsn(0);
        self.hold_expunges = !job.uid;
        let text = if job.unreadable {
            "NO [CONTACTADMIN] a message cannot be read"
        } else {
            "OK done"
        };
        self.finish(job.tag, text, job.seen_lsn);
    }
}

/// Whether the message that the next piece begins has octets to wait for.
fn waits_for_octets(pieces: &VecDeque<Piece>) -> bool {
    let mut rest = pieces.iter();
    rest.next();
    for piece in rest {
        match piece {
            Piece::Text { begins: true, .. } => return false,
            Piece::Text { .. } => {}
            Piece::Body(left) | Piece::Filtered { left, .. } => {
                if *left > 0 {
                    return true;
                }
            }
        }
    }
    false
}

/// The answer for one message: pieces, and the ranges that they read, in order.
fn answer_one(
    items: &[FetchItem],
    one: &One,
    recent: bool,
    keywords: &[Arc<str>],
    pieces: &mut VecDeque<Piece>,
    ranges: &mut Vec<BodyRange>,
) {
    let (row, digest) = (&one.row, one.digest.as_deref());
    let mut text = format!("* {} FETCH (", one.number).into_bytes();
    let mut begins = true;
    for (index, item) in items.iter().enumerate() {
        if index > 0 {
            text.push(b' ');
        }
        text.extend_from_slice(&response::item_name(item));
        text.push(b' ');
        if let Some((part, kind, filter)) = section_of(item) {
            let partial = if let FetchItem::Section { partial, .. } = item {
                *partial
            } else {
                None
            };
            let Some(range) = range_of(row, digest, part, kind) else {
                text.extend_from_slice(b"NIL");
                continue;
            };
            match filter {
                None => {
                    let range = cut(range, partial);
                    let len = range.end - range.start;
                    text.extend_from_slice(format!("{{{len}}}\r\n").as_bytes());
                    pieces.push_back(Piece::Text {
                        bytes: core::mem::take(&mut text),
                        begins,
                    });
                    pieces.push_back(Piece::Body(len));
                    if len > 0 {
                        ranges.push(BodyRange {
                            row: *row,
                            start: range.start,
                            len,
                        });
                    }
                }
                Some((names, not)) => {
                    let len = range.end - range.start;
                    pieces.push_back(Piece::Text {
                        bytes: core::mem::take(&mut text),
                        begins,
                    });
                    let filter = Box::new(HeaderFilter::new(names.to_vec(), not));
                    pieces.push_back(Piece::Filtered {
                        left: len,
                        filter,
                        kept: Vec::new(),
                        partial,
                    });
                    if len > 0 {
                        ranges.push(BodyRange {
                            row: *row,
                            start: range.start,
                            len,
                        });
                    }
                }
            }
            begins = false;
            continue;
        }
        let flags = if one.marks_seen {
            row.flags.with(Flags::SEEN)
        } else {
            row.flags
        };
        match item {
            FetchItem::Flags => response::flags(&mut text, flags, row.keywords, keywords, recent),
            FetchItem::InternalDate => text.extend_from_slice(format!("\"{}\"", format_internal(row.internal_date)).as_bytes()),
            FetchItem::Rfc822Size => text.extend_from_slice(format!("{}", row.size).as_bytes()),
            FetchItem::Uid => text.extend_from_slice(format!("{}", row.uid).as_bytes()),
            FetchItem::Envelope => text.extend_from_slice(digest.map_or(b"NIL", |digest| &digest.envelope)),
            FetchItem::Body => text.extend_from_slice(digest.map_or(b"NIL", |digest| &digest.body)),
            FetchItem::BodyStructure => text.extend_from_slice(digest.map_or(b"NIL", |digest| &digest.body_structure)),
            FetchItem::Rfc822 | FetchItem::Rfc822Header | FetchItem::Rfc822Text | FetchItem::Section { .. } => {}
        }
    }
    // `\Seen` set by this FETCH is said with it, unless FLAGS are asked for anyway.
    if one.marks_seen && !items.contains(&FetchItem::Flags) {
        text.extend_from_slice(b" FLAGS ");
        response::flags(&mut text, row.flags.with(Flags::SEEN), row.keywords, keywords, recent);
    }
    text.extend_from_slice(b")\r\n");
    pieces.push_back(Piece::Text { bytes: text, begins });
}
