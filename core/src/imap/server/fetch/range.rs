//! Where the octets of an item lie.

use core::ops::Range;

use super::Fetched;
use crate::imap::command::{FetchItem, Section, SectionText};
use crate::imap::server::ask::BodyRange;
use crate::message::header_filter::HeaderFilter;
use crate::message::section::SectionKind;

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
}

/// Whether a message's digest is needed for an item.
pub(super) fn needs_digest(item: &FetchItem) -> bool {
    match item {
        FetchItem::Body | FetchItem::BodyStructure | FetchItem::Envelope | FetchItem::Rfc822Header | FetchItem::Rfc822Text => {
            true
        }
        FetchItem::Flags | FetchItem::InternalDate | FetchItem::Rfc822 | FetchItem::Rfc822Size | FetchItem::Uid => false,
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

/// The filter of HEADER.FIELDS and HEADER.FIELDS.NOT.
pub(super) fn filter(item: &FetchItem) -> Option<HeaderFilter> {
    let FetchItem::Section { section, .. } = item else {
        return None;
    };
    match &section.text {
        SectionText::HeaderFields(names) => Some(HeaderFilter::new(names.clone(), false)),
        SectionText::HeaderFieldsNot(names) => Some(HeaderFilter::new(names.clone(), true)),
        SectionText::Whole | SectionText::Header | SectionText::Text | SectionText::Mime => None,
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
