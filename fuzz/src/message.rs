//! Messages: any split gives what the whole gives, and all offsets lie within each other.

use pillarbox_core::limits;
use pillarbox_core::message::digest::{Digest, PartKind};
use pillarbox_core::message::header::{HeaderEnd, fields};
use pillarbox_core::message::header_filter::HeaderFilter;
use pillarbox_core::message::intake::{Intake, Taken};
use pillarbox_core::message::section::SectionKind;
use pillarbox_core::message::{address_list, date};

use crate::{pieces, steered};

/// Header blocks: fields tile the block; its end and its filter do not depend on the split.
pub fn message_header(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let mut tiled = 0;
    for field in fields(bytes) {
        assert_eq!(field.raw, &bytes[tiled..tiled + field.raw.len()]);
        assert!(!field.raw.is_empty());
        tiled += field.raw.len();
        let value = field.unfolded();
        assert!(!value.iter().any(|byte| matches!(byte, b'\r' | b'\n')));
        assert!(address_list::parse(&value).len() <= 2 * value.len()); // a group has a beginning and an end
        planted!(field.is("Date") && date::parse_rfc5322(&value).is_some_and(|time| time.seconds() < 0));
        if let Some(time) = date::parse_rfc5322(&value) {
            let again = date::format_rfc5322(time);
            assert_eq!(date::parse_rfc5322(again.as_bytes()), Some(time), "{again}");
        }
    }
    let end = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut end = HeaderEnd::default();
        let taken: usize = pieces.map(|piece| end.update(piece)).sum();
        (taken, end.found())
    };
    let whole = end(&mut [bytes].into_iter());
    assert_eq!(end(&mut bytes.chunks(1)), whole);
    assert_eq!(end(&mut pieces(bytes, steer)), whole);
    for not in [false, true] {
        let filter = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut filter = HeaderFilter::new(vec!["From".into(), "X".into(), "Subject".into()], not);
            let mut out = Vec::new();
            pieces.for_each(|piece| filter.update(piece, &mut out));
            filter.finish(&mut out);
            out
        };
        let whole = filter(&mut [bytes].into_iter());
        assert_eq!(filter(&mut bytes.chunks(1)), whole);
        assert_eq!(filter(&mut pieces(bytes, steer)), whole);
    }
}

/// The MIME walker: parts in pre-order, each within the one around it, siblings behind each other.
pub fn message_mime(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let whole = taken([bytes].into_iter());
    assert_eq!(taken(bytes.chunks(1)), whole);
    assert_eq!(taken(pieces(bytes, steer)), whole);
    assert_eq!(whole.size, bytes.len() as u64);
    nested(&whole.digest);
    planted!(whole.digest.parts.iter().any(|part| part.number == 3 && part.parent > 1));
    for value in [&whole.digest.envelope, &whole.digest.body, &whole.digest.body_structure] {
        assert!(balanced(value), "{}", String::from_utf8_lossy(value));
    }
}

fn taken<'a>(pieces: impl Iterator<Item = &'a [u8]>) -> Taken {
    let mut intake = Intake::new();
    pieces.for_each(|piece| intake.update(piece));
    intake.finish()
}

fn nested(digest: &Digest) {
    let parts = &digest.parts;
    assert!((1..=limits::MIME_PARTS).contains(&parts.len()));
    let mut ends = vec![0; parts.len()];
    for (index, part) in parts.iter().enumerate() {
        assert!(
            part.header_start <= part.body_start && part.body_start <= part.body_end,
            "{part:?}"
        );
        assert!(part.body_end <= digest.size, "{part:?}");
        let parent = part.parent as usize;
        if index == 0 {
            assert_eq!((parent, part.header_start), (0, 0));
            continue;
        }
        assert!(parent < index);
        let around = &parts[parent];
        assert_ne!(around.kind, PartKind::Leaf);
        assert!(
            around.body_start <= part.header_start && part.body_end <= around.body_end,
            "{part:?} in {around:?}"
        );
        assert!(ends[parent] <= part.header_start, "{part:?} begins in its sibling");
        ends[parent] = part.body_end;
        for kind in [SectionKind::Whole, SectionKind::Header, SectionKind::Text, SectionKind::Mime] {
            if let Some(range) = digest.section(&[part.number], kind) {
                assert!(range.start <= range.end && range.end <= digest.size);
            }
        }
    }
}

/// Parentheses, quoted strings and literals close: a client can read the value to its end.
fn balanced(mut value: &[u8]) -> bool {
    let mut depth = 0usize;
    while let Some((byte, rest)) = value.split_first() {
        value = rest;
        match byte {
            b'(' => depth += 1,
            b')' if depth == 0 => return false,
            b')' => depth -= 1,
            b'"' => loop {
                match value {
                    [b'"', rest @ ..] => {
                        value = rest;
                        break;
                    }
                    [b'\\', b'"' | b'\\', rest @ ..] => value = rest,
                    [b'\\' | b'\r' | b'\n' | 0, ..] | [] => return false,
                    [_, rest @ ..] => value = rest,
                }
            },
            b'{' => {
                let Some(end) = value.windows(3).position(|three| three == b"}\r\n") else {
                    return false;
                };
                let size = std::str::from_utf8(&value[..end])
                    .ok()
                    .and_then(|digits| digits.parse::<usize>().ok());
                let Some(rest) = size.and_then(|size| value.get(end + 3 + size..)) else {
                    return false;
                };
                value = rest;
            }
            b' '..=b'~' => {}
            _ => return false,
        }
    }
    depth == 0
}
