//! FETCH: its items and sections.

use alloc::string::String;
use alloc::vec::Vec;

use super::cursor::{Cursor, Wrong, ascii};
use super::{Command, FetchItem, Section, SectionText};
use crate::limits;

/// `fetch = "FETCH" SP sequence-set SP ("ALL" / "FULL" / "FAST" / fetch-att / "(" fetch-att *(SP fetch-att) ")")`
/// (RFC 3501 §6.4.5)
pub(super) fn fetch(cursor: &mut Cursor<'_>, uid: bool) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "FETCH: a sequence set is expected")?;
    let set = cursor.sequence_set()?;
    cursor.space().map_err(|_| "FETCH: items are expected")?;
    let items = if cursor.eat(b'(') {
        item_list(cursor)?
    } else {
        macro_or_item(cursor)?
    };
    Ok(Command::Fetch { set, items, uid })
}

/// Behind its `(`. An item named twice is answered once (S34).
fn item_list(cursor: &mut Cursor<'_>) -> Result<Vec<FetchItem>, Wrong> {
    // In the order of the command, and in their own: each is looked for among many.
    let (mut items, mut sorted) = (Vec::<FetchItem>::new(), Vec::<usize>::new());
    loop {
        let name = cursor.keyword();
        let item = item(cursor, &name)?;
        if let Err(place) = sorted.binary_search_by(|known| items[*known].cmp(&item)) {
            if items.len() == limits::IMAP_FETCH_ITEMS {
                return Err("FETCH: too many items");
            }
            sorted.insert(place, items.len());
            items.push(item);
        }
        if cursor.eat(b')') {
            return Ok(items);
        }
        cursor.space()?;
    }
}

fn macro_or_item(cursor: &mut Cursor<'_>) -> Result<Vec<FetchItem>, Wrong> {
    let name = cursor.keyword();
    let mut items = Vec::from([FetchItem::Flags, FetchItem::InternalDate, FetchItem::Rfc822Size]);
    match name.as_slice() {
        b"FAST" => Ok(items),
        b"ALL" => {
            items.push(FetchItem::Envelope);
            Ok(items)
        }
        b"FULL" => {
            items.extend([FetchItem::Envelope, FetchItem::Body]);
            Ok(items)
        }
        _ => Ok(Vec::from([item(cursor, &name)?])),
    }
}

/// `fetch-att`, behind its name
fn item(cursor: &mut Cursor<'_>, name: &[u8]) -> Result<FetchItem, Wrong> {
    Ok(match name {
        b"BODY" if cursor.peek() == Some(b'[') => body(cursor, false)?,
        b"BODY.PEEK" if cursor.peek() == Some(b'[') => body(cursor, true)?,
        b"BINARY" => binary(cursor, false)?,
        b"BINARY.PEEK" => binary(cursor, true)?,
        b"BINARY.SIZE" => FetchItem::BinarySize {
            part: section_binary(cursor)?,
        },
        b"BODY" => FetchItem::Body,
        b"BODYSTRUCTURE" => FetchItem::BodyStructure,
        b"ENVELOPE" => FetchItem::Envelope,
        b"FLAGS" => FetchItem::Flags,
        b"INTERNALDATE" => FetchItem::InternalDate,
        b"RFC822" => FetchItem::Rfc822,
        b"RFC822.HEADER" => FetchItem::Rfc822Header,
        b"RFC822.SIZE" => FetchItem::Rfc822Size,
        b"RFC822.TEXT" => FetchItem::Rfc822Text,
        b"UID" => FetchItem::Uid,
        _ => return Err("FETCH: unknown item"),
    })
}

/// `"BODY" [".PEEK"] section ["<" number "." nz-number ">"]`
fn body(cursor: &mut Cursor<'_>, peek: bool) -> Result<FetchItem, Wrong> {
    Ok(FetchItem::Section {
        section: section(cursor)?,
        partial: partial(cursor)?,
        peek,
    })
}

/// `"BINARY" [".PEEK"] section-binary [partial]` (RFC 3516 §7)
fn binary(cursor: &mut Cursor<'_>, peek: bool) -> Result<FetchItem, Wrong> {
    Ok(FetchItem::Binary {
        part: section_binary(cursor)?,
        partial: partial(cursor)?,
        peek,
    })
}

/// `section-binary = "[" [section-part] "]"`
fn section_binary(cursor: &mut Cursor<'_>) -> Result<Vec<u32>, Wrong> {
    let Section { part, text } = section(cursor)?;
    if text == SectionText::Whole {
        Ok(part)
    } else {
        Err("FETCH: BINARY has part numbers only")
    }
}

/// `partial = "<" number "." nz-number ">"`
fn partial(cursor: &mut Cursor<'_>) -> Result<Option<(u32, u32)>, Wrong> {
    if !cursor.eat(b'<') {
        return Ok(None);
    }
    let first = cursor.number()?;
    cursor.expect(b'.', "FETCH: a partial is <first.count>")?;
    let count = cursor.nz_number()?;
    cursor.expect(b'>', "FETCH: a partial is <first.count>")?;
    Ok(Some((first, count)))
}

/// `section = "[" [section-spec] "]"`,
/// `section-spec = section-msgtext / (nz-number *("." nz-number) ["." section-text])`
fn section(cursor: &mut Cursor<'_>) -> Result<Section, Wrong> {
    cursor.expect(b'[', "FETCH: a section is expected")?;
    let mut part = Vec::new();
    let mut whole = true;
    while cursor.peek().is_some_and(|byte| byte.is_ascii_digit()) {
        if part.len() == limits::MIME_DEPTH {
            return Err("FETCH: too many part numbers");
        }
        part.push(cursor.nz_number()?);
        whole = !cursor.eat(b'.');
        if whole {
            break;
        }
    }
    let text = if whole && (!part.is_empty() || cursor.peek() == Some(b']')) {
        SectionText::Whole
    } else {
        section_text(cursor, !part.is_empty())?
    };
    cursor.expect(b']', "FETCH: unknown section")?;
    Ok(Section { part, text })
}

/// `section-msgtext = "HEADER" / "HEADER.FIELDS" [".NOT"] SP header-list / "TEXT"`, and behind part numbers `"MIME"`
fn section_text(cursor: &mut Cursor<'_>, of_part: bool) -> Result<SectionText, Wrong> {
    Ok(match cursor.keyword().as_slice() {
        b"HEADER" => SectionText::Header,
        b"HEADER.FIELDS" => SectionText::HeaderFields(header_list(cursor)?),
        b"HEADER.FIELDS.NOT" => SectionText::HeaderFieldsNot(header_list(cursor)?),
        b"TEXT" => SectionText::Text,
        b"MIME" if of_part => SectionText::Mime,
        _ => return Err("FETCH: unknown section"),
    })
}

/// `header-list = "(" header-fld-name *(SP header-fld-name) ")"`, `header-fld-name = astring`: a field name of RFC 5322, which
/// has neither spaces nor `:`.
fn header_list(cursor: &mut Cursor<'_>) -> Result<Vec<String>, Wrong> {
    cursor.space().map_err(|_| "FETCH: header names are expected")?;
    cursor.expect(b'(', "FETCH: header names are expected")?;
    let mut names = Vec::new();
    loop {
        let name = cursor.astring()?;
        if name.is_empty() || !name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':') {
            return Err("FETCH: that is no header name");
        }
        if names.len() == limits::IMAP_HEADER_FIELDS {
            return Err("FETCH: too many header names");
        }
        names.push(ascii(&name));
        if cursor.eat(b')') {
            return Ok(names);
        }
        cursor.space()?;
    }
}
