//! Where the octets of an item lie.

use core::ops::Range;

use super::Fetched;
use super::filter::Filter;
use crate::imap::command::{FetchItem, Section, SectionText};
use crate::imap::server::ask::BodyRange;
use crate::message::digest::PartKind;
use crate::message::section::SectionKind;
use crate::message::transfer::Encoding;

/// How an item is answered.
#[derive(Debug)]
pub(super) enum Source {
    /// From memory.
    Memory,
    /// There is no such part.
    Nil,
    /// These octets.
    Octets(BodyRange),
    /// What a filter leaves of this header; of that, a part.
    Filtered(BodyRange),
    /// What these octets decode to; of that, a part or the size.
    Decoded(BodyRange),
    /// They are encoded in a way that we do not know.
    UnknownEncoding,
}

/// Whether a message's digest is needed for an item.
pub(super) fn needs_digest(item: &FetchItem) -> bool {
    match item {
        FetchItem::Body | FetchItem::BodyStructure | FetchItem::Envelope | FetchItem::Rfc822Header | FetchItem::Rfc822Text => {
            true
        }
        FetchItem::Flags | FetchItem::InternalDate | FetchItem::Rfc822 | FetchItem::Rfc822Size | FetchItem::Uid => false,
        FetchItem::Binary { part, .. } | FetchItem::BinarySize { part } => !part.is_empty(),
        FetchItem::Section { section, .. } => !section.part.is_empty() || section.text != SectionText::Whole,
    }
}

/// Where an item's octets lie.
pub(super) fn source(fetched: &Fetched, item: &FetchItem) -> Source {
    let (section, partial) = match item {
        FetchItem::Rfc822 => return octets(fetched, Some(0..u64::from(fetched.row.size)), None),
        FetchItem::Rfc822Header => return octets(fetched, located(fetched, &[], SectionKind::Header), None),
        FetchItem::Rfc822Text => return octets(fetched, located(fetched, &[], SectionKind::Text), None),
        FetchItem::Section { section, partial, .. } => (section, *partial),
        FetchItem::Binary { part, .. } | FetchItem::BinarySize { part } => return binary(fetched, part),
        FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::Envelope
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Rfc822Size
        | FetchItem::Uid => return Source::Memory,
    };
    let Section { part, text } = section;
    let kind = match text {
        SectionText::Whole if part.is_empty() => return octets(fetched, Some(0..u64::from(fetched.row.size)), partial),
        SectionText::Whole => SectionKind::Whole,
        SectionText::Header => SectionKind::Header,
        SectionText::Text => SectionKind::Text,
        SectionText::Mime => SectionKind::Mime,
        SectionText::HeaderFields(_) | SectionText::HeaderFieldsNot(_) => {
            return match located(fetched, part, SectionKind::Header) {
                Some(range) => Source::Filtered(body_range(fetched, range)),
                None => Source::Nil,
            };
        }
    };
    octets(fetched, located(fetched, part, kind), partial)
}

/// A part for BINARY.
fn binary(fetched: &Fetched, part: &[u32]) -> Source {
    if part.is_empty() {
        return Source::Decoded(body_range(fetched, 0..u64::from(fetched.row.size)));
    }
    match (located(fetched, part, SectionKind::Whole), decoding(fetched, part)) {
        (None, _) => Source::Nil,
        (Some(_), None) => Source::UnknownEncoding,
        (Some(range), Some(_)) => Source::Decoded(body_range(fetched, range)),
    }
}

/// How a part is decoded, and whether it is text.
fn decoding(fetched: &Fetched, part: &[u32]) -> Option<(Encoding, bool)> {
    match fetched.digest.as_ref().and_then(|digest| digest.body_of(part)) {
        Some(part) => part
            .encoding
            .map(|encoding| (encoding, part.text && part.kind == PartKind::Leaf)),
        None => Some((Encoding::Identity, false)), // the message
    }
}

/// What turns an item's octets into its answer: the filter of HEADER.FIELDS, or BINARY's decoder.
pub(super) fn filter(fetched: &Fetched, item: &FetchItem) -> Option<Filter> {
    match item {
        FetchItem::Section { section, .. } => match &section.text {
            SectionText::HeaderFields(names) => Some(Filter::header(names, false)),
            SectionText::HeaderFieldsNot(names) => Some(Filter::header(names, true)),
            SectionText::Whole | SectionText::Header | SectionText::Text | SectionText::Mime => None,
        },
        FetchItem::Binary { part, .. } | FetchItem::BinarySize { part } => {
            let (encoding, text) = decoding(fetched, part)?;
            Some(Filter::decoder(encoding, text))
        }
        FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::Envelope
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Rfc822
        | FetchItem::Rfc822Header
        | FetchItem::Rfc822Size
        | FetchItem::Rfc822Text
        | FetchItem::Uid => None,
    }
}

/// `<first.count>` of so many octets.
pub(super) fn partial_of(range: Range<u64>, partial: Option<(u32, u32)>) -> Range<u64> {
    let Some((first, count)) = partial else {
        return range;
    };
    let start = range.start.saturating_add(u64::from(first)).min(range.end);
    start..start.saturating_add(u64::from(count)).min(range.end)
}

fn octets(fetched: &Fetched, range: Option<Range<u64>>, partial: Option<(u32, u32)>) -> Source {
    match range {
        Some(range) => Source::Octets(body_range(fetched, partial_of(range, partial))),
        None => Source::Nil,
    }
}

/// A section's octets in the whole message. The digest counts from the body; our trace fields stand before it, and belong to
/// the message's own header.
fn located(fetched: &Fetched, part: &[u32], kind: SectionKind) -> Option<Range<u64>> {
    let prefix = u64::from(fetched.row.prefix);
    let size = u64::from(fetched.row.size);
    let range = fetched.digest.as_ref()?.section(part, kind)?;
    let start = if part.is_empty() && kind == SectionKind::Header {
        0
    } else {
        prefix.saturating_add(range.start).min(size)
    };
    Some(start..prefix.saturating_add(range.end).clamp(start, size))
}

fn body_range(fetched: &Fetched, range: Range<u64>) -> BodyRange {
    BodyRange {
        row: fetched.row,
        start: range.start,
        len: range.end - range.start,
    }
}
