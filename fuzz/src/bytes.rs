//! Byte-level syntax against naive versions: base64, modified UTF-7, UTF-8 in pieces, CRC-32C.

use pillarbox_core::bytes::crc::{Crc32c, crc32c};
use pillarbox_core::bytes::utf8::Utf8Check;
use pillarbox_core::bytes::{base64, utf7};

use crate::{pieces, steered};

/// Both directions of each, and each against its naive version.
pub fn bytes(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    match steer % 4 {
        0 => of_base64(bytes),
        1 => of_utf7(bytes),
        2 => of_utf8(bytes, steer),
        _ => of_crc(bytes, steer),
    }
}

fn of_base64(bytes: &[u8]) {
    let decoded = base64::decode(bytes);
    assert_eq!(decoded, naive_base64(bytes), "{}", String::from_utf8_lossy(bytes));
    if let Some(plain) = decoded {
        planted!(plain.starts_with(b"deep") && plain.len() % 3 == 2);
        assert_eq!(base64::encode(&plain).as_bytes(), bytes, "one text for one value");
    }
    let text = base64::encode(bytes);
    assert_eq!(base64::decode(text.as_bytes()).as_deref(), Some(bytes));
    for octet in 0..=255 {
        assert_eq!(base64::value(octet).is_some(), naive_digit(octet).is_some());
    }
}

fn naive_digit(digit: u8) -> Option<u8> {
    match digit {
        b'A'..=b'Z' => Some(digit - b'A'),
        b'a'..=b'z' => Some(digit - b'a' + 26),
        b'0'..=b'9' => Some(digit - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Bit by bit.
fn naive_base64(text: &[u8]) -> Option<Vec<u8>> {
    let padding = text.iter().rev().take_while(|digit| **digit == b'=').count();
    let digits = &text[..text.len() - padding];
    if text.len() % 4 != 0 || padding > 2 {
        return None;
    }
    let mut bits = Vec::new();
    for digit in digits {
        let value = naive_digit(*digit)?;
        bits.extend((0..6).rev().map(|bit| value >> bit & 1));
    }
    let whole = bits.len() / 8 * 8;
    let octets = bits[..whole]
        .chunks(8)
        .map(|bits| bits.iter().fold(0, |octet, bit| octet << 1 | bit));
    (bits.len() - whole < 6 && bits[whole..].iter().all(|bit| *bit == 0)).then(|| octets.collect())
}

fn of_utf7(bytes: &[u8]) {
    let decoded = utf7::decode(bytes);
    assert_eq!(decoded, naive_utf7(bytes), "{}", String::from_utf8_lossy(bytes));
    if let Some(name) = decoded {
        planted!(name.contains("&") && name.chars().any(|c| u32::from(c) > 0xffff));
        assert_eq!(utf7::encode(&name).as_bytes(), bytes, "one text for one name");
    }
    if let Ok(name) = std::str::from_utf8(bytes) {
        let text = utf7::encode(name);
        assert_eq!(text, naive_utf7_of(name));
        assert_eq!(utf7::decode(text.as_bytes()).as_deref(), Some(name));
    }
}

/// By way of base64 (RFC 3501 §5.1.3).
fn naive_utf7_of(name: &str) -> String {
    let (mut out, mut rest) = (String::new(), name);
    let plain = |c: char| (' '..='~').contains(&c);
    while !rest.is_empty() {
        let shifted = rest.find(plain).unwrap_or(rest.len());
        if shifted > 0 {
            let octets: Vec<u8> = rest[..shifted].encode_utf16().flat_map(u16::to_be_bytes).collect();
            let digits = base64::encode(&octets).replace('/', ",");
            out.push_str(&format!("&{}-", digits.trim_end_matches('=')));
            rest = &rest[shifted..];
        }
        let end = rest.find(|c| !plain(c)).unwrap_or(rest.len());
        out.push_str(&rest[..end].replace('&', "&-"));
        rest = &rest[end..];
    }
    out
}

fn naive_utf7(text: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(text).ok()?;
    let mut out = String::new();
    let mut parts = text.split('&');
    out.push_str(parts.next()?);
    for part in parts {
        let (digits, plain) = part.split_once('-')?;
        if digits.is_empty() {
            out.push('&');
        }
        let padded = format!(
            "{}{}",
            digits.replace('/', "!").replace(',', "/"),
            &"==="[..(4 - digits.len() % 4) % 4]
        );
        let octets = base64::decode(padded.as_bytes())?;
        let (units, odd) = octets.as_chunks::<2>();
        if !odd.is_empty() {
            return None;
        }
        out.push_str(&String::from_utf16(&units.iter().map(|unit| u16::from_be_bytes(*unit)).collect::<Vec<u16>>()).ok()?);
        out.push_str(plain);
    }
    (naive_utf7_of(&out) == text).then_some(out)
}

fn of_utf8(bytes: &[u8], seed: u8) {
    let holds = |pieces: &mut dyn Iterator<Item = &[u8]>| {
        let mut check = Utf8Check::default();
        pieces.for_each(|piece| check.update(piece));
        check.holds()
    };
    // A character that the end cuts is no fault.
    let naive = std::str::from_utf8(bytes).map_or_else(|error| error.error_len().is_none(), |_| true);
    assert_eq!(holds(&mut [bytes].into_iter()), naive);
    assert_eq!(holds(&mut bytes.chunks(1)), naive);
    assert_eq!(holds(&mut pieces(bytes, seed)), naive);
}

fn of_crc(bytes: &[u8], seed: u8) {
    let mut crc = Crc32c::new();
    pieces(bytes, seed).for_each(|piece| crc.update(piece));
    assert_eq!(crc.finish(), crc32c(bytes));
    let naive = bytes.iter().fold(!0u32, |crc, octet| {
        (0..8).fold(crc ^ u32::from(*octet), |crc, _| {
            if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 }
        })
    });
    assert_eq!(crc32c(bytes), !naive);
}
