//! FETCH items (RFC 3501 §6.4.5).

use alloc::string::String;
use alloc::vec::Vec;

use super::parser::{Parser, Wrong};
use super::{FetchItem, Section, SectionText};
use crate::limits;

/// `fetch-att / macro / "(" fetch-att *(SP fetch-att) ")"`: macros expanded, duplicates removed (S34).
pub(super) fn items(parser: &mut Parser<'_>) -> Result<Vec<FetchItem>, Wrong> {
    let items = if parser.peek() == Some(b'(') {
        parser.list(item)?
    } else if let Some(items) = expanded(parser) {
        items
    } else {
        alloc::vec![item(parser)?]
    };
    if items.is_empty() {
        return Err("FETCH asks for nothing");
    }
    let mut single: Vec<FetchItem> = Vec::with_capacity(items.len());
    for item in items {
        if !single.contains(&item) {
            single.push(item);
        }
    }
    Ok(single)
}

/// `macro = "ALL" / "FULL" / "FAST"`.
fn expanded(parser: &mut Parser<'_>) -> Option<Vec<FetchItem>> {
    let fast = [FetchItem::Flags, FetchItem::InternalDate, FetchItem::Rfc822Size];
    let more: &[FetchItem] = if parser.word("ALL") {
        &[FetchItem::Envelope]
    } else if parser.word("FAST") {
        &[]
    } else if parser.word("FULL") {
        &[FetchItem::Envelope, FetchItem::Body]
    } else {
        return None;
    };
    Some(fast.into_iter().chain(more.iter().cloned()).collect())
}

fn item(parser: &mut Parser<'_>) -> Result<FetchItem, Wrong> {
    let name = parser
        .take_while(|byte| byte.is_ascii_alphanumeric() || byte == b'.')
        .to_ascii_uppercase();
    let bracket = parser.peek() == Some(b'[');
    match (name.as_slice(), bracket) {
        (b"BODY", true) => section(parser, false),
        (b"BODY.PEEK", true) => section(parser, true),
        (b"BODY", false) => Ok(FetchItem::Body),
        (b"BODYSTRUCTURE", false) => Ok(FetchItem::BodyStructure),
        (b"ENVELOPE", false) => Ok(FetchItem::Envelope),
        (b"FLAGS", false) => Ok(FetchItem::Flags),
        (b"INTERNALDATE", false) => Ok(FetchItem::InternalDate),
        (b"RFC822", false) => Ok(FetchItem::Rfc822),
        (b"RFC822.HEADER", false) => Ok(FetchItem::Rfc822Header),
        (b"RFC822.SIZE", false) => Ok(FetchItem::Rfc822Size),
        (b"RFC822.TEXT", false) => Ok(FetchItem::Rfc822Text),
        (b"UID", false) => Ok(FetchItem::Uid),
        _ => Err("no such FETCH item"),
    }
}

/// `section ["<" number "." nz-number ">"]`.
fn section(parser: &mut Parser<'_>, peek: bool) -> Result<FetchItem, Wrong> {
    parser.take(b'[');
    let mut part = Vec::new();
    while parser.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        let number = parser.number()?;
        if number == 0 || part.len() >= limits::MIME_DEPTH {
            return Err("no such part");
        }
        part.push(number);
        if !parser.take(b'.') {
            break;
        }
        if parser.peek() == Some(b']') {
            return Err("a section is malformed");
        }
    }
    let text = if parser.word("HEADER.FIELDS.NOT ") {
        SectionText::HeaderFieldsNot(names(parser)?)
    } else if parser.word("HEADER.FIELDS ") {
        SectionText::HeaderFields(names(parser)?)
    } else if parser.word("HEADER") {
        SectionText::Header
    } else if parser.word("TEXT") {
        SectionText::Text
    } else if parser.word("MIME") {
        if part.is_empty() {
            return Err("MIME comes behind a part number");
        }
        SectionText::Mime
    } else {
        SectionText::Whole
    };
    if !parser.take(b']') {
        return Err("a section is malformed");
    }
    let mut partial = None;
    if parser.take(b'<') {
        let first = parser.number()?;
        let dot = parser.take(b'.');
        let length = parser.number()?;
        if !dot || length == 0 || !parser.take(b'>') {
            return Err("a partial is malformed");
        }
        partial = Some((first, length));
    }
    Ok(FetchItem::Section {
        section: Section { part, text },
        partial,
        peek,
    })
}

/// `header-list = "(" header-fld-name *(SP header-fld-name) ")"`.
fn names(parser: &mut Parser<'_>) -> Result<Vec<String>, Wrong> {
    let names = parser.list(Parser::utf8)?;
    if names.is_empty()
        || names
            .iter()
            .any(|name| name.is_empty() || name.bytes().any(|byte| !(b'!'..=b'~').contains(&byte)))
    {
        return Err("a header field's name is missing or malformed");
    }
    Ok(names)
}
