//! `* n FETCH (…)`, item by item: a body's bytes may lie between two calls (RFC 9051 §7.5.2).

use alloc::format;
use alloc::vec::Vec;

use super::{astring, literal_head};
use crate::imap::command::{FetchItem, Section, SectionText};
use crate::imap::flag;
use crate::message::date;
use crate::store::{Flags, Uid};
use crate::time::UnixTime;

/// One FETCH response being written: [`Fetch::begin`], its items in any order, [`Fetch::end`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fetch {
    empty: bool,
}

impl Fetch {
    /// `* number FETCH (`
    pub fn begin(number: u32, out: &mut Vec<u8>) -> Fetch {
        out.extend_from_slice(format!("* {number} FETCH (").as_bytes());
        Fetch { empty: true }
    }

    /// `)` CRLF
    pub fn end(self, out: &mut Vec<u8>) {
        out.extend_from_slice(b")\r\n");
    }

    /// `FLAGS (…)`
    pub fn flags<'a>(&mut self, flags: Flags, keywords: impl IntoIterator<Item = &'a str>, recent: bool, out: &mut Vec<u8>) {
        self.name("FLAGS ", out);
        flag::encode_list(flags, keywords, recent, out);
    }

    /// `UID n`
    pub fn uid(&mut self, uid: Uid, out: &mut Vec<u8>) {
        self.name(&format!("UID {uid}"), out);
    }

    /// `INTERNALDATE date-time`
    pub fn internal_date(&mut self, date: UnixTime, out: &mut Vec<u8>) {
        self.name("INTERNALDATE ", out);
        encode_internal_date(date, out);
    }

    /// `RFC822.SIZE n`
    pub fn size(&mut self, size: u64, out: &mut Vec<u8>) {
        self.name(&format!("RFC822.SIZE {size}"), out);
    }

    /// ENVELOPE, BODY or BODYSTRUCTURE with its encoded value, as the digest holds it.
    pub fn encoded(&mut self, name: &str, value: &[u8], out: &mut Vec<u8>) {
        self.name(name, out);
        out.push(b' ');
        out.extend_from_slice(value);
    }

    /// The item's name (`BODY[TEXT]<0>`) and the head of a literal of so many octets, which come next.
    pub fn literal(&mut self, item: &FetchItem, octets: u64, out: &mut Vec<u8>) {
        self.separate(out);
        encode_label(item, out);
        out.push(b' ');
        literal_head(octets, out);
    }

    /// As [`Fetch::literal`], for octets that hold a NUL: `literal8 = "~{" number "}" CRLF *OCTET` (RFC 3516 §7).
    pub fn literal8(&mut self, item: &FetchItem, octets: u64, out: &mut Vec<u8>) {
        self.separate(out);
        encode_label(item, out);
        out.extend_from_slice(b" ~");
        literal_head(octets, out);
    }

    /// The item's name and a number: BINARY.SIZE.
    pub fn number(&mut self, item: &FetchItem, number: u64, out: &mut Vec<u8>) {
        self.separate(out);
        encode_label(item, out);
        out.extend_from_slice(format!(" {number}").as_bytes());
    }

    /// The item's name and NIL: there is no such part.
    pub fn nil(&mut self, item: &FetchItem, out: &mut Vec<u8>) {
        self.separate(out);
        encode_label(item, out);
        out.extend_from_slice(b" NIL");
    }

    fn name(&mut self, name: &str, out: &mut Vec<u8>) {
        self.separate(out);
        out.extend_from_slice(name.as_bytes());
    }

    fn separate(&mut self, out: &mut Vec<u8>) {
        if !self.empty {
            out.push(b' ');
        }
        self.empty = false;
    }
}

/// The nearest date that a `date-time` can tell: its year has four digits.
pub(in crate::imap) fn tellable(date: UnixTime) -> UnixTime {
    const YEAR_0: i64 = -62_167_219_200;
    const YEAR_10_000: i64 = 253_402_300_800;
    UnixTime::from_seconds(date.seconds().clamp(YEAR_0, YEAR_10_000 - 1))
}

/// Writes `date-time` with its quotes, in UTC.
pub(in crate::imap) fn encode_internal_date(date: UnixTime, out: &mut Vec<u8>) {
    out.extend_from_slice(format!("\"{}\"", date::format_internal(tellable(date))).as_bytes());
}

/// Writes the name under which an item is answered: `BODY[1.HEADER.FIELDS (From)]<0>`, without `.PEEK`, and of a partial only
/// the first octet (RFC 3501 §7.4.2).
pub fn encode_label(item: &FetchItem, out: &mut Vec<u8>) {
    let name: &str = match item {
        FetchItem::Body => "BODY",
        FetchItem::BodyStructure => "BODYSTRUCTURE",
        FetchItem::Envelope => "ENVELOPE",
        FetchItem::Flags => "FLAGS",
        FetchItem::InternalDate => "INTERNALDATE",
        FetchItem::Rfc822 => "RFC822",
        FetchItem::Rfc822Header => "RFC822.HEADER",
        FetchItem::Rfc822Size => "RFC822.SIZE",
        FetchItem::Rfc822Text => "RFC822.TEXT",
        FetchItem::Uid => "UID",
        FetchItem::Binary { part, partial, .. } => {
            out.extend_from_slice(b"BINARY[");
            encode_part(part, out);
            out.push(b']');
            if let Some((first, _)) = partial {
                out.extend_from_slice(format!("<{first}>").as_bytes());
            }
            return;
        }
        FetchItem::BinarySize { part } => {
            out.extend_from_slice(b"BINARY.SIZE[");
            encode_part(part, out);
            out.push(b']');
            return;
        }
        FetchItem::Section { section, partial, .. } => {
            out.extend_from_slice(b"BODY[");
            encode_section(section, out);
            out.push(b']');
            if let Some((first, _)) = partial {
                out.extend_from_slice(format!("<{first}>").as_bytes());
            }
            return;
        }
    };
    out.extend_from_slice(name.as_bytes());
}

/// Writes `section-spec`.
pub(in crate::imap) fn encode_section(section: &Section, out: &mut Vec<u8>) {
    encode_part(&section.part, out);
    if !section.part.is_empty() && section.text != SectionText::Whole {
        out.push(b'.');
    }
    match &section.text {
        SectionText::Whole => {}
        SectionText::Header => out.extend_from_slice(b"HEADER"),
        SectionText::Text => out.extend_from_slice(b"TEXT"),
        SectionText::Mime => out.extend_from_slice(b"MIME"),
        SectionText::HeaderFields(names) => header_list("HEADER.FIELDS (", names, out),
        SectionText::HeaderFieldsNot(names) => header_list("HEADER.FIELDS.NOT (", names, out),
    }
}

/// `section-part = nz-number *("." nz-number)`
pub(in crate::imap) fn encode_part(part: &[u32], out: &mut Vec<u8>) {
    for (index, number) in part.iter().enumerate() {
        let dot = if index > 0 { "." } else { "" };
        out.extend_from_slice(format!("{dot}{number}").as_bytes());
    }
}

fn header_list(name: &str, names: &[alloc::string::String], out: &mut Vec<u8>) {
    out.extend_from_slice(name.as_bytes());
    for (index, name) in names.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        astring(name.as_bytes(), out);
    }
    out.push(b')');
}
