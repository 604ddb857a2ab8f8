//! Messages: any split gives what the whole gives, and all offsets lie within each other.

use pillarbox_core::limits;
use pillarbox_core::message::digest::{Digest, PartKind};
use pillarbox_core::message::header::{Field, HeaderEnd, fields, fold_into};
use pillarbox_core::message::header_filter::HeaderFilter;
use pillarbox_core::message::intake::{Intake, Taken};
use pillarbox_core::message::section::SectionKind;
use pillarbox_core::message::{address_list, date};

use crate::{pieces, steered};

/// Header blocks: fields tile the block, and folding them changes only where their lines end; the block's end and its filter are what a
/// naive reading gives, however it is split.
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
        folds(&field);
    }
    let end = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut end = HeaderEnd::default();
        let taken: usize = pieces.map(|piece| end.update(piece)).sum();
        (taken, end.found())
    };
    let whole = end(&mut [bytes].into_iter());
    assert_eq!(end(&mut bytes.chunks(1)), whole);
    assert_eq!(end(&mut pieces(bytes, steer)), whole);
    let mut lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let empty = |line: &[u8]| matches!(line, b"\n" | b"\r\n");
    let header: usize = lines.by_ref().take_while(|line| !empty(line)).map(<[u8]>::len).sum();
    let behind = &bytes[header..];
    let empty_line = behind.split_inclusive(|byte| *byte == b'\n').next().unwrap_or_default();
    assert_eq!(whole, (header + empty_line.len(), empty(empty_line)));
    for not in [false, true] {
        let names = ["From", "X", "Subject"];
        let filter = |pieces: &mut dyn Iterator<Item = &[u8]>| {
            let mut filter = HeaderFilter::new(names.map(String::from).into(), not);
            let mut out = Vec::new();
            pieces.for_each(|piece| filter.update(piece, &mut out));
            filter.finish(&mut out);
            out
        };
        let whole = filter(&mut [bytes].into_iter());
        assert_eq!(filter(&mut bytes.chunks(1)), whole);
        assert_eq!(filter(&mut pieces(bytes, steer)), whole);
        let wanted = |field: &Field<'_>| {
            let colon = field.raw.iter().position(|byte| *byte == b':').unwrap_or(0);
            (colon <= limits::FIELD_NAME && names.iter().any(|name| field.is(name))) != not
        };
        let mut naive: Vec<u8> = fields(bytes).filter(wanted).flat_map(|field| field.raw.to_vec()).collect();
        naive.extend_from_slice(empty_line);
        assert_eq!(whole, naive, "{not}");
    }
}

/// A folded field is one field of the same name and octets; no line is longer than it need be.
fn folds(field: &Field<'_>) {
    let fold = |raw: &[u8]| {
        let mut out = Vec::new();
        fold_into(raw, &mut out);
        out
    };
    let folded = fold(field.raw);
    let line = |line: &[u8]| line.trim_ascii_end().len();
    let octets = |raw: &[u8]| -> Vec<u8> { raw.iter().copied().filter(|byte| !matches!(byte, b'\r' | b'\n')).collect() };
    assert_eq!(octets(&folded), octets(field.raw));
    assert_eq!(fold(&folded), folded, "once is enough");
    let long = |raw: &[u8]| raw.split(|byte| *byte == b'\n').any(|text| line(text) > limits::TEXT_LINE as usize);
    assert!(long(field.raw) || folded == field.raw);
    if !matches!(field.raw[0], b' ' | b'\t') {
        let again: Vec<Field<'_>> = fields(&folded).collect();
        let [again] = again[..] else { panic!("{again:?}") };
        assert_eq!((again.name, again.unfolded()), (field.name, field.unfolded()));
    }
    for text in folded.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii) {
        // A word that is too long has no place to fold at, but behind the name.
        let value = text.iter().position(|byte| *byte == b':').map_or(text, |at| text[at + 1..].trim_ascii());
        let words = value.split(|byte| matches!(byte, b' ' | b'\t')).count();
        assert!(text.len() <= limits::TEXT_LINE as usize || words == 1, "{}", String::from_utf8_lossy(text));
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
