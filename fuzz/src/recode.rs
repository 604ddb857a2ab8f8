//! Re-encoded messages: the same parts with the same content, in a form that goes.

use pillarbox_core::limits;
use pillarbox_core::message::digest::{Digest, Part, PartKind};
use pillarbox_core::message::header::fields;
use pillarbox_core::message::intake::Intake;
use pillarbox_core::message::recode::{Aim, Plan, Recoder, Survey};
use pillarbox_core::message::transfer::Encoding;

use crate::{pieces, steered};

/// Any split gives the same; each part keeps its fields and its decoded content; the aim is reached where it can be; once is enough.
pub fn message_recode(bytes: &[u8]) {
    let (steer, message) = steered(bytes);
    let before = digest(message);
    for aim in [Aim::ShortLines, Aim::SevenBit] {
        let plan = plan(&mut [message].into_iter(), aim);
        assert_eq!(self::plan(&mut message.chunks(1), aim), plan);
        let out = recoded(&plan, &mut [message].into_iter());
        assert_eq!(recoded(&plan, &mut message.chunks(1)), out);
        assert_eq!(recoded(&plan, &mut pieces(message, steer)), out);
        assert_eq!(plan.is_empty(), out == message);
        let after = digest(&out);
        let again = self::plan(&mut [&out[..]].into_iter(), aim);
        assert!(again.is_empty(), "once is enough: {}", String::from_utf8_lossy(&out));
        assert_eq!(plan.gives_seven_bit(), out.is_ascii());
        assert_eq!(after.parts.len(), before.parts.len());
        for (place, (old, new)) in before.parts.iter().zip(&after.parts).enumerate() {
            assert_eq!((old.parent, old.number, old.kind), (new.parent, new.number, new.kind));
            assert_eq!(header(message, old), header(&out, new));
            if old.kind != PartKind::Leaf {
                continue;
            }
            assert_eq!(decoded(message, old), decoded(&out, new), "{aim:?}: part {place} of {}", String::from_utf8_lossy(&out));
            if new.encoding != old.encoding {
                assert_eq!(old.encoding, Some(Encoding::Identity));
                let mut lines = body(&out, new).split(|byte| *byte == b'\n');
                assert!(body(&out, new).is_ascii() && lines.all(|line| line.len() <= limits::TEXT_LINE as usize));
            }
        }
        let became = |encoding: Encoding| {
            let changed = before.parts.iter().zip(&after.parts).filter(|(old, new)| old.encoding != new.encoding);
            changed.filter(|(_, new)| new.encoding == Some(encoding)).count()
        };
        planted!(aim == Aim::SevenBit && became(Encoding::Base64) > 0 && became(Encoding::QuotedPrintable) > 1);
    }
}

fn plan(pieces: &mut dyn Iterator<Item = &[u8]>, aim: Aim) -> Plan {
    let mut survey = Survey::new();
    pieces.for_each(|piece| survey.update(piece));
    survey.finish(aim)
}

fn recoded(plan: &Plan, pieces: &mut dyn Iterator<Item = &[u8]>) -> Vec<u8> {
    let (mut recoder, mut out) = (Recoder::new(plan.clone()), Vec::new());
    pieces.for_each(|piece| recoder.update(piece, &mut out));
    recoder.finish(&mut out);
    out
}

fn digest(message: &[u8]) -> Digest {
    let mut intake = Intake::new();
    intake.update(message);
    intake.finish().digest
}

fn body<'a>(message: &'a [u8], part: &Part) -> &'a [u8] {
    &message[part.body_start as usize..part.body_end as usize]
}

/// The fields that no encoding changes.
fn header(message: &[u8], part: &Part) -> Vec<Vec<u8>> {
    let header = &message[part.header_start as usize..part.body_start as usize];
    fields(header)
        .filter(|field| !field.is("Content-Transfer-Encoding") && !field.is("MIME-Version"))
        .map(|field| field.raw.to_vec())
        .collect()
}

fn decoded(message: &[u8], part: &Part) -> Vec<u8> {
    let body = body(message, part);
    match part.encoding {
        Some(Encoding::Identity) | None => body.to_vec(),
        Some(Encoding::Base64) => base64(body),
        Some(Encoding::QuotedPrintable) => quoted(body),
    }
}

/// RFC 2045 §6.8, of any text: what is no digit is passed over.
fn base64(text: &[u8]) -> Vec<u8> {
    let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut out, mut bits, mut count) = (Vec::new(), 0u32, 0);
    for byte in text {
        let Some(digit) = digits.iter().position(|digit| digit == byte) else {
            continue;
        };
        (bits, count) = (bits << 6 | digit as u32, count + 6);
        if count >= 8 {
            count -= 8;
            out.push((bits >> count) as u8);
        }
    }
    out
}

/// RFC 2045 §6.7, of any text: what is no escape stands for itself.
fn quoted(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        let mut rest = line;
        while let Some((byte, behind)) = rest.split_first() {
            let escape = behind.get(..2).and_then(|two| std::str::from_utf8(two).ok());
            let octet = escape.and_then(|two| u8::from_str_radix(two, 16).ok());
            rest = match (byte, octet) {
                (b'=', _) if behind.trim_ascii().is_empty() => break,
                (b'=', Some(octet)) => {
                    out.push(octet);
                    &behind[2..]
                }
                _ => {
                    out.push(*byte);
                    behind
                }
            };
        }
    }
    out
}
