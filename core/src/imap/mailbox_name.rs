//! Mailbox names: modified UTF-7 on the wire (RFC 3501 §5.1), or UTF-8 once IMAP4rev2 is enabled (RFC 9051 §5.1); UTF-8 within.

use alloc::string::String;
use alloc::vec::Vec;

use unicode_normalization::UnicodeNormalization;

use super::response;
use crate::bytes::utf7;
use crate::limits;
use crate::store::MailboxName;

/// The form of mailbox names on a session's wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Names {
    /// Modified UTF-7 (RFC 3501 §5.1.3).
    #[default]
    Utf7,
    /// UTF-8, after ENABLE IMAP4rev2.
    Utf8,
}

/// Between the levels of a name.
pub const DELIMITER: char = '/';

/// Reads a name: `mailbox = "INBOX" / astring`. INBOX, alone or as first level, is `INBOX` in any case.
///
/// Names that can be no mailbox's are refused, with what is wrong (S42): empty levels, control characters, too long or deep, and
/// (RFC 9051 §5.1) not in normalization form C.
pub fn parse(wire: &[u8], names: Names) -> Result<MailboxName, &'static str> {
    let mut name = decode(wire, names)?;
    if name.split(DELIMITER).any(str::is_empty) {
        return Err("mailbox name has an empty level");
    }
    if name.split(DELIMITER).count() > limits::IMAP_MAILBOX_DEPTH {
        return Err("mailbox name has too many levels");
    }
    // Two names that look the same would be two mailboxes; what is not Net-Unicode is refused (RFC 9051 §5.1, RFC 5198 §2).
    if !name.is_ascii() && !name.nfc().eq(name.chars()) {
        return Err("mailbox name is not in Unicode's composed form (NFC)");
    }
    let first = name.split(DELIMITER).next().map_or(0, str::len);
    if name[..first].eq_ignore_ascii_case("INBOX") {
        name.replace_range(..first, "INBOX");
    }
    Ok(MailboxName(name.into()))
}

/// Reads a reference or a pattern, which need not be a mailbox's name.
pub fn decode(wire: &[u8], names: Names) -> Result<String, &'static str> {
    let name = match names {
        Names::Utf7 => utf7::decode(wire).ok_or("mailbox name is not modified UTF-7")?,
        Names::Utf8 => core::str::from_utf8(wire).map_err(|_| "mailbox name is not UTF-8")?.into(),
    };
    if name.len() > limits::IMAP_MAILBOX_NAME {
        return Err("mailbox name is too long");
    }
    // Line and paragraph separators are line ends to whatever shows the name (RFC 5198 §2).
    if name.chars().any(|c| c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')) {
        return Err("control character in a mailbox name");
    }
    Ok(name)
}

/// Writes a name as `mailbox`.
pub fn encode(name: &str, names: Names, out: &mut Vec<u8>) {
    match names {
        Names::Utf7 => response::astring(utf7::encode(name).as_bytes(), out),
        Names::Utf8 if name.is_ascii() => response::astring(name.as_bytes(), out),
        Names::Utf8 => {
            out.push(b'"');
            for byte in name.bytes() {
                if matches!(byte, b'"' | b'\\') {
                    out.push(b'\\');
                }
                out.push(byte);
            }
            out.push(b'"');
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inbox_in_any_case() {
        for (wire, name) in [
            ("inbox", "INBOX"),
            ("InBox/a", "INBOX/a"),
            ("inboxes", "inboxes"),
            ("a/inbox", "a/inbox"),
            ("&U,BTFw-", "台北"),
            ("R&-D", "R&D"),
        ] {
            assert_eq!(&*parse(wire.as_bytes(), Names::Utf7).unwrap().0, name);
        }
    }

    #[test]
    fn s42_names_that_are_no_names() {
        let deep = "a/".repeat(limits::IMAP_MAILBOX_DEPTH) + "a";
        let long = "a".repeat(limits::IMAP_MAILBOX_NAME + 1);
        for wire in [
            "", "/", "/a", "a/", "a//b", "a\0b", "a\r\nb", "&AAo-", "&IAk", "&ICg-", "&AH8-", "R&D", "\u{e4}", &deep, &long,
        ] {
            assert!(parse(wire.as_bytes(), Names::Utf7).is_err(), "{wire:?}");
        }
    }

    #[test]
    fn s42_one_name_has_one_form() {
        for (composed, decomposed) in [
            ("\u{e4}", "a\u{308}"),
            ("\u{ac00}", "\u{1100}\u{1161}"),
            ("\u{3c9}", "\u{2126}"),
        ] {
            assert!(parse(composed.as_bytes(), Names::Utf8).is_ok(), "{composed}");
            assert!(parse(decomposed.as_bytes(), Names::Utf8).is_err(), "{decomposed}");
        }
        assert!(parse(b"a&Awg-", Names::Utf7).is_err());
    }
}
