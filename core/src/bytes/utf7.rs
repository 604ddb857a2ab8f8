//! Modified UTF-7: mailbox names on the IMAP4rev1 wire (RFC 3501 §5.1.3).
//!
//! Printable ASCII stands for itself, `&` is `&-`; everything else is UTF-16 in modified base64 (`,` for `/`, no padding) between
//! `&` and `-`.

use alloc::string::String;
use alloc::vec::Vec;

const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,";

/// A name in modified UTF-7.
pub fn encode(name: &str) -> String {
    let mut out = String::with_capacity(name.len());
    let mut shifted = Vec::new();
    for c in name.chars() {
        if matches!(c, ' '..='~') {
            shift(&mut shifted, &mut out);
            out.push(c);
            if c == '&' {
                out.push('-');
            }
        } else {
            shifted.extend_from_slice(c.encode_utf16(&mut [0; 2]));
        }
    }
    shift(&mut shifted, &mut out);
    out
}

/// Writes what has to be shifted.
fn shift(units: &mut Vec<u16>, out: &mut String) {
    if units.is_empty() {
        return;
    }
    out.push('&');
    let (mut word, mut bits) = (0u32, 0);
    for unit in units.drain(..) {
        word = word << 16 | u32::from(unit);
        bits += 16;
        while bits >= 6 {
            bits -= 6;
            out.push(char::from(DIGITS[(word >> bits & 63) as usize]));
        }
        word &= (1 << bits) - 1;
    }
    if bits > 0 {
        out.push(char::from(DIGITS[(word << (6 - bits) & 63) as usize]));
    }
    out.push('-');
}

/// The name of a modified UTF-7 text; `None` when it is not the canonical form of one.
pub fn decode(text: &[u8]) -> Option<String> {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((&byte, tail)) = rest.split_first() {
        rest = tail;
        match byte {
            b'&' => {
                let end = memchr::memchr(b'-', rest)?;
                unshift(&rest[..end], &mut out)?;
                rest = &rest[end + 1..];
            }
            b' '..=b'~' => out.push(char::from(byte)),
            _ => return None,
        }
    }
    // One name has one form only: two shifts in a row, or printable characters shifted, are someone's trick.
    (encode(&out).as_bytes() == text).then_some(out)
}

/// Reads what stands between `&` and `-`.
fn unshift(digits: &[u8], out: &mut String) -> Option<()> {
    if digits.is_empty() {
        out.push('&');
        return Some(());
    }
    let mut units = Vec::with_capacity(digits.len() * 6 / 16);
    let (mut word, mut bits) = (0u32, 0);
    for digit in digits {
        let value = DIGITS.iter().position(|known| known == digit)?;
        word = word << 6 | u32::try_from(value).ok()?;
        bits += 6;
        if bits >= 16 {
            bits -= 16;
            units.push((word >> bits) as u16);
            word &= (1 << bits) - 1;
        }
    }
    for c in char::decode_utf16(units) {
        out.push(c.ok()?);
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn rfc_3501_examples() {
        assert_eq!(decode(b"~peter/mail/&U,BTFw-/&ZeVnLIqe-").unwrap(), "~peter/mail/台北/日本語");
        assert_eq!(encode("~peter/mail/台北/日本語"), "~peter/mail/&U,BTFw-/&ZeVnLIqe-");
        assert_eq!(encode("Lost & Found"), "Lost &- Found");
        assert_eq!(encode("Entwürfe"), "Entw&APw-rfe");
    }

    #[test]
    fn what_is_not_canonical_is_refused() {
        for bad in [
            "&Jjo!",
            "&U,BTFw-&ZeVnLIqe-",
            "&AGE-",
            "&",
            "a&b",
            "&A-",
            "\u{e4}",
            "&2AA-",
            "a\tb",
            "&APx-",
        ] {
            assert_eq!(decode(bad.as_bytes()), None, "{bad}");
        }
    }

    proptest! {
        #[test]
        fn decode_of_encode(name in "\\PC{0,20}") {
            let text = encode(&name);
            prop_assert_eq!(decode(text.as_bytes()), Some(name));
        }
        #[test]
        fn any_bytes(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
