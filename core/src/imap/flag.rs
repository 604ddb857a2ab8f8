//! Flags: `flag = "\Answered" / "\Flagged" / "\Deleted" / "\Seen" / "\Draft" / flag-keyword` (RFC 9051 §9).

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::command::cursor::{Cursor, Wrong, ascii};
use crate::limits;
use crate::store::Flags;

/// The system flags with their names, as sent.
pub const SYSTEM: [(Flags, &str); 5] = [
    (Flags::ANSWERED, "\\Answered"),
    (Flags::FLAGGED, "\\Flagged"),
    (Flags::DELETED, "\\Deleted"),
    (Flags::SEEN, "\\Seen"),
    (Flags::DRAFT, "\\Draft"),
];

/// Writes flags in parentheses: `flag-list = "(" [flag *(SP flag)] ")"`, with `\Recent` last if `recent`.
pub fn encode_list<'a>(flags: Flags, keywords: impl IntoIterator<Item = &'a str>, recent: bool, out: &mut Vec<u8>) {
    out.push(b'(');
    let first = out.len();
    let system = SYSTEM.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name);
    for name in system.chain(keywords).chain(recent.then_some("\\Recent")) {
        if out.len() > first {
            out.push(b' ');
        }
        out.extend_from_slice(name.as_bytes());
    }
    out.push(b')');
}

/// `flag-list`: system flags, and keywords as written, each once (they differ in more than case).
pub(super) fn parse_list(cursor: &mut Cursor<'_>) -> Result<(Flags, Vec<Arc<str>>), Wrong> {
    let mut found = (Flags::default(), Vec::new());
    cursor.expect(b'(', "a list of flags is expected")?;
    if cursor.eat(b')') {
        return Ok(found);
    }
    loop {
        flag(cursor, &mut found)?;
        if cursor.eat(b')') {
            return Ok(found);
        }
        cursor.space()?;
    }
}

/// STORE's `flag-list / (flag *(SP flag))`
pub(super) fn parse_store(cursor: &mut Cursor<'_>) -> Result<(Flags, Vec<Arc<str>>), Wrong> {
    if cursor.peek() == Some(b'(') {
        return parse_list(cursor);
    }
    let mut found = (Flags::default(), Vec::new());
    flag(cursor, &mut found)?;
    while !cursor.at_end() {
        cursor.space()?;
        flag(cursor, &mut found)?;
    }
    Ok(found)
}

fn flag(cursor: &mut Cursor<'_>, found: &mut (Flags, Vec<Arc<str>>)) -> Result<(), Wrong> {
    if cursor.eat(b'\\') {
        let name = cursor.atom();
        let known = SYSTEM
            .iter()
            .find(|(_, known)| known.as_bytes()[1..].eq_ignore_ascii_case(name));
        let Some((flag, _)) = known else {
            return Err("unknown system flag");
        };
        found.0 = found.0.with(*flag);
        return Ok(());
    }
    let keyword = cursor.atom();
    if keyword.is_empty() {
        return Err("a flag is expected");
    }
    if keyword.len() > limits::IMAP_KEYWORD {
        return Err("keyword is too long");
    }
    let keywords = &mut found.1;
    if !keywords
        .iter()
        .any(|known: &Arc<str>| known.as_bytes().eq_ignore_ascii_case(keyword))
    {
        if keywords.len() == limits::KEYWORDS {
            return Err("too many keywords");
        }
        keywords.push(ascii(keyword).into());
    }
    Ok(())
}
