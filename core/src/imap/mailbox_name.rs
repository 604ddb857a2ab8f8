//! Mailbox names: modified UTF-7 on the wire, UTF-8 within (RFC 3501 §5.1).

use alloc::string::String;
use alloc::vec::Vec;

use super::response;
use crate::bytes::utf7;
use crate::limits;
use crate::store::MailboxName;

/// Between the levels of a name.
pub const DELIMITER: char = '/';

/// Reads a name: `mailbox = "INBOX" / astring`. INBOX, alone or as first level, is `INBOX` in any case.
///
/// Names that can be no mailbox's are refused, with what is wrong (S42): empty levels, control characters, too long or deep.
pub fn parse(wire: &[u8]) -> Result<MailboxName, &'static str> {
    let mut name = decode(wire)?;
    if name.split(DELIMITER).any(str::is_empty) {
        return Err("mailbox name has an empty level");
    }
    if name.split(DELIMITER).count() > limits::IMAP_MAILBOX_DEPTH {
        return Err("mailbox name has too many levels");
    }
    let first = name.split(DELIMITER).next().map_or(0, str::len);
    if name[..first].eq_ignore_ascii_case("INBOX") {
        name.replace_range(..first, "INBOX");
    }
    Ok(MailboxName(name.into()))
}

/// Reads a reference or a pattern, which need not be a mailbox's name.
pub fn decode(wire: &[u8]) -> Result<String, &'static str> {
    let name = utf7::decode(wire).ok_or("mailbox name is not modified UTF-7")?;
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
pub fn encode(name: &str, out: &mut Vec<u8>) {
    response::astring(utf7::encode(name).as_bytes(), out);
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
            assert_eq!(&*parse(wire.as_bytes()).unwrap().0, name);
        }
    }

    #[test]
    fn s42_names_that_are_no_names() {
        let deep = "a/".repeat(limits::IMAP_MAILBOX_DEPTH) + "a";
        let long = "a".repeat(limits::IMAP_MAILBOX_NAME + 1);
        for wire in [
            "", "/", "/a", "a/", "a//b", "a\0b", "a\r\nb", "&AAo-", "&IAk", "&ICg-", "&AH8-", "R&D", "\u{e4}", &deep, &long,
        ] {
            assert!(parse(wire.as_bytes()).is_err(), "{wire:?}");
        }
    }
}
