//! Header fields that nothing from outside can break (S18): no CR, LF or other control gets into one, no line is too long.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use crate::address::Mailbox;
use crate::limits;

/// Columns after which a line is folded, where it has a space (RFC 5322 §2.1.1).
const COLUMNS: usize = 76;
/// Octets of one word: a line must stay below 998.
const WORD: usize = 900;

/// Text from outside as one line: controls are `?`, white space is one space, at most [`limits::REPORT_TEXT`] characters.
pub(super) fn one_line(text: &str) -> String {
    let shown = |c: char| if c.is_control() && !c.is_whitespace() { '?' } else { c };
    let text: String = text.chars().take(limits::REPORT_TEXT).map(shown).collect();
    let mut out = String::new();
    for word in text.split_whitespace() {
        let mut rest = word;
        while !rest.is_empty() {
            let mut cut = rest.len().min(WORD);
            while !rest.is_char_boundary(cut) {
                cut -= 1;
            }
            if !out.is_empty() {
                out.push(' ');
            }
            out.push_str(&rest[..cut]);
            rest = &rest[cut..];
        }
    }
    out
}

/// As [`one_line`], in ASCII.
pub(super) fn ascii(text: &str) -> String {
    let text = one_line(text);
    text.chars().map(|c| if c.is_ascii() { c } else { '?' }).collect()
}

/// Writes a field, folded at its spaces. The value is of our making, or went through [`one_line`] or [`ascii`].
pub(super) fn put(out: &mut Vec<u8>, name: &str, value: &str) {
    out.extend_from_slice(name.as_bytes());
    out.push(b':');
    let mut column = name.len() + 1;
    for (place, word) in value.split(' ').filter(|word| !word.is_empty()).enumerate() {
        if place > 0 && column + 1 + word.len() > COLUMNS {
            out.extend_from_slice(b"\r\n");
            column = 0;
        }
        out.push(b' ');
        out.extend_from_slice(word.as_bytes());
        column += 1 + word.len();
    }
    out.extend_from_slice(b"\r\n");
}

/// Writes a field whose spaces are part of its value: an address in quotes. Addresses are short enough for one line.
pub(super) fn put_whole(out: &mut Vec<u8>, name: &str, value: &str) {
    debug_assert!(!value.contains(char::is_control));
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b": ");
    out.extend_from_slice(value.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// An address with its type (RFC 3464 §2.3.2): `rfc822; bob@two.test`, or, with other characters than ASCII, `utf-8; …` in the
/// form that is ASCII (RFC 6533 §3).
pub(super) fn typed_address(mailbox: &Mailbox) -> String {
    typed("rfc822", &mailbox.to_string())
}

/// ORCPT as it was given: `rfc822;bob@example.org`.
pub(super) fn original_recipient(given: &str) -> String {
    let atom = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    match given.split_once(';') {
        Some((kind, address)) if atom(kind) && kind.len() <= limits::LABEL => typed(kind, address.trim()),
        Some(_) | None => typed("rfc822", given.trim()),
    }
}

fn typed(kind: &str, address: &str) -> String {
    let address: String = address.chars().take(limits::REPORT_ADDRESS).collect();
    if !address.is_ascii() {
        return format!("utf-8; {}", utf8_xtext(&address));
    }
    let address = address.chars().map(|c| if c.is_control() { '?' } else { c });
    format!("{kind}; {}", address.collect::<String>().trim_end())
}

/// ```text
/// utf-8-addr-xtext = 1*(QCHAR / EmbeddedUnicodeChar)     QCHAR = %x21-2a / %x2c-3c / %x3e-5b / %x5d-7e
/// EmbeddedUnicodeChar = %x5C.78 "{" HEXPOINT "}"          ; \x{20AC}
/// ```
fn utf8_xtext(address: &str) -> String {
    let mut out = String::new();
    for c in address.chars() {
        match c {
            '!'..='~' if !matches!(c, '+' | '=' | '\\') => out.push(c),
            _ if out.len() > limits::REPORT_ADDRESS => return out, // no valid address is so long
            _ => out += &format!("\\x{{{:X}}}", u32::from(c)),
        }
    }
    out
}
