//! ENVELOPE, BODY and BODYSTRUCTURE as IMAP writes them (RFC 9051 §7.5.2), from the walked parts; iterative.

use alloc::vec::Vec;

use super::address_list::{self, Entry};
use super::content::{Content, parse_languages, parse_token};
use super::digest::PartKind;
use super::mime::Walked;
use crate::limits;

/// `nstring`: quoted when it can be, else a literal; NIL for nothing.
pub(super) fn nstring(out: &mut Vec<u8>, text: Option<&[u8]>) {
    match text {
        None => out.extend_from_slice(b"NIL"),
        Some(text) => string(out, text),
    }
}

/// `string`: quoted when it can be (RFC 9051 §4.3), else a literal. A NUL, which no string may hold, becomes 0x80.
pub(super) fn string(out: &mut Vec<u8>, text: &[u8]) {
    let quotable = text.len() <= 1024 && text.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == b'\t');
    if quotable {
        out.push(b'"');
        for byte in text {
            if matches!(byte, b'"' | b'\\') {
                out.push(b'\\');
            }
            out.push(*byte);
        }
        out.push(b'"');
    } else {
        out.extend_from_slice(alloc::format!("{{{}}}\r\n", text.len()).as_bytes());
        out.extend(text.iter().map(|byte| if *byte == 0 { 0x80 } else { *byte }));
    }
}

fn number(out: &mut Vec<u8>, number: u64) {
    out.extend_from_slice(alloc::format!(" {number}").as_bytes());
}

/// ENVELOPE of a message part; `left`: how many addresses may still be shown, for all messages in one answer (S36).
pub(super) fn envelope(out: &mut Vec<u8>, message: &Walked, left: &mut usize) {
    // Absent is NIL, present but empty is the empty string; of several the last counts.
    let text = |name: &str| message.all(name).last();
    out.push(b'(');
    nstring(out, text("Date"));
    out.push(b' ');
    nstring(out, text("Subject"));
    // A missing Sender or Reply-To is what From is (RFC 9051 §7.5.2).
    let from = addresses(message, "From", left);
    out.push(b' ');
    out.extend_from_slice(&from);
    for name in ["Sender", "Reply-To", "To", "Cc", "Bcc"] {
        out.push(b' ');
        let list = addresses(message, name, left);
        let falls_back = matches!(name, "Sender" | "Reply-To") && list == b"NIL";
        out.extend_from_slice(if falls_back { &from } else { &list });
    }
    for name in ["In-Reply-To", "Message-ID"] {
        out.push(b' ');
        nstring(out, text(name));
    }
    out.push(b')');
}

/// The addresses of all fields of a name, or NIL.
fn addresses(message: &Walked, name: &str, left: &mut usize) -> Vec<u8> {
    let mut out = Vec::new();
    let entries = message.all(name).flat_map(address_list::parse);
    for entry in entries.take(*left) {
        *left -= 1;
        out.extend_from_slice(if out.is_empty() { b"((" } else { b"(" });
        let (name, route, local, domain) = match &entry {
            Entry::Mailbox {
                name,
                route,
                local,
                domain,
            } => (
                name.as_deref(),
                route.as_deref(),
                Some(present(local, MISSING_MAILBOX)),
                Some(present(domain, MISSING_DOMAIN)),
            ),
            Entry::GroupStart(name) => (None, None, Some(name.as_slice()), None),
            Entry::GroupEnd => (None, None, None, None),
        };
        for (index, text) in [name, route, local, domain].into_iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            nstring(&mut out, text);
        }
        out.push(b')');
    }
    if out.is_empty() {
        return b"NIL".to_vec();
    }
    out.push(b')');
    out
}

/// What stands for a part that a broken address lacks (as Dovecot does): NIL would read as a group's border.
const MISSING_MAILBOX: &[u8] = b"MISSING_MAILBOX";
const MISSING_DOMAIN: &[u8] = b"MISSING_DOMAIN";

fn present<'a>(text: &'a [u8], missing: &'a [u8]) -> &'a [u8] {
    if text.is_empty() { missing } else { text }
}

/// BODY (`extended` false) or BODYSTRUCTURE of the whole message.
pub(super) fn structure(parts: &[Walked], extended: bool) -> Vec<u8> {
    let mut out = Vec::new();
    // Parts are in pre-order: a part is closed when the next one is not inside it.
    let mut open: Vec<usize> = Vec::new();
    let mut addresses_left = limits::ADDRESSES;
    for (index, part) in parts.iter().enumerate() {
        while let Some(&last) = open.last() {
            if index != 0 && part.part.parent as usize == last {
                break;
            }
            open.pop();
            close(&mut out, parts, last, extended);
        }
        begin(&mut out, part, parts.get(index + 1), index, &mut addresses_left);
        open.push(index);
    }
    while let Some(last) = open.pop() {
        close(&mut out, parts, last, extended);
    }
    out
}

/// What stands before a part's children.
fn begin(out: &mut Vec<u8>, part: &Walked, next: Option<&Walked>, index: usize, addresses_left: &mut usize) {
    out.push(b'(');
    match part.part.kind {
        PartKind::Multipart => {
            // A multipart without parts still shows one (the grammar needs it).
            let empty = next.is_none_or(|next| next.part.parent as usize != index);
            if empty {
                out.extend_from_slice(b"(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0)");
            }
        }
        PartKind::Message => {
            basics(out, part);
            out.push(b' ');
            match next {
                Some(inner) => envelope(out, inner, addresses_left),
                None => out.extend_from_slice(b"NIL"),
            }
            out.push(b' ');
        }
        PartKind::Leaf => {
            basics(out, part);
            if media(part).is_none_or(|content| content.is("text", "*")) {
                number(out, part.part.lines);
            }
        }
    }
}

/// What stands behind a part's children.
fn close(out: &mut Vec<u8>, parts: &[Walked], index: usize, extended: bool) {
    let part = &parts[index];
    match part.part.kind {
        PartKind::Multipart => {
            out.push(b' ');
            string(out, part.content.as_ref().map_or(b"mixed", |content| &content.sub));
            if extended {
                out.push(b' ');
                parameters(out, part.content.as_ref(), false);
                disposition(out, part);
            }
        }
        PartKind::Message => {
            number(out, part.part.lines);
            if extended {
                md5(out, part);
            }
        }
        PartKind::Leaf => {
            if extended {
                md5(out, part);
            }
        }
    }
    out.push(b')');
}

/// The media type as it is answered: a multipart without a usable boundary is text.
fn media(part: &Walked) -> Option<&Content> {
    part.content.as_ref().filter(|content| !content.is("multipart", "*"))
}

/// `media-type SP body-fields`.
fn basics(out: &mut Vec<u8>, part: &Walked) {
    match media(part) {
        // A message that was not opened must not look like one: clients would expect its envelope.
        Some(content) if part.part.kind == PartKind::Leaf && content.is_message() => {
            out.extend_from_slice(b"\"application\" \"octet-stream\"");
        }
        Some(content) => {
            string(out, &content.main);
            out.push(b' ');
            string(out, &content.sub);
        }
        None => out.extend_from_slice(b"\"text\" \"plain\""),
    }
    out.push(b' ');
    parameters(out, media(part), media(part).is_none_or(|content| content.is("text", "*")));
    for name in ["Content-ID", "Content-Description"] {
        out.push(b' ');
        nstring(out, part.field(name).filter(|value| !value.is_empty()));
    }
    out.push(b' ');
    let encoding = part.field("Content-Transfer-Encoding").and_then(parse_token);
    string(out, encoding.as_deref().unwrap_or(b"7bit"));
    number(out, part.part.body_end - part.part.body_start);
}

/// `body-fld-param`; text without a charset is US-ASCII (RFC 2046 §4.1.2).
fn parameters(out: &mut Vec<u8>, content: Option<&Content>, text: bool) {
    let known = content.map(|content| content.parameters.as_slice()).unwrap_or_default();
    let charset = text && !known.iter().any(|(name, _)| name.eq_ignore_ascii_case(b"charset"));
    if known.is_empty() && !charset {
        out.extend_from_slice(b"NIL");
        return;
    }
    out.push(b'(');
    for (index, (name, value)) in known.iter().enumerate() {
        if index > 0 {
            out.push(b' ');
        }
        string(out, name);
        out.push(b' ');
        string(out, value);
    }
    if charset {
        out.extend_from_slice(if known.is_empty() {
            b"\"charset\" \"us-ascii\""
        } else {
            b" \"charset\" \"us-ascii\""
        });
    }
    out.push(b')');
}

/// ` body-fld-md5` and what follows.
fn md5(out: &mut Vec<u8>, part: &Walked) {
    out.push(b' ');
    nstring(out, part.field("Content-MD5").filter(|value| !value.is_empty()));
    disposition(out, part);
}

/// ` body-fld-dsp SP body-fld-lang SP body-fld-loc`.
fn disposition(out: &mut Vec<u8>, part: &Walked) {
    out.push(b' ');
    match part.field("Content-Disposition").and_then(Content::parse_disposition) {
        None => out.extend_from_slice(b"NIL"),
        Some(content) => {
            out.push(b'(');
            string(out, &content.main);
            out.push(b' ');
            parameters(out, Some(&content), false);
            out.push(b')');
        }
    }
    out.push(b' ');
    let languages = part.field("Content-Language").map(parse_languages).unwrap_or_default();
    match languages.as_slice() {
        [] => out.extend_from_slice(b"NIL"),
        languages => {
            out.push(b'(');
            for (index, tag) in languages.iter().enumerate() {
                if index > 0 {
                    out.push(b' ');
                }
                string(out, tag);
            }
            out.push(b')');
        }
    }
    out.push(b' ');
    nstring(out, part.field("Content-Location").filter(|value| !value.is_empty()));
}
