//! Responses (RFC 9051 §7): appended to the bytes to send.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::command::{FetchItem, Section, SectionText};
use crate::bytes::utf7;
pub use crate::message::structure::string;
use crate::store::request::ListedMailbox;
use crate::store::{Flags, KeywordBits, SpecialUse};

/// `tag SP ("OK" / "NO" / "BAD") SP [code SP] text CRLF`.
pub fn tagged(out: &mut Vec<u8>, tag: &str, text: &str) {
    line(out, &format!("{tag} {text}"));
}

/// `"*" SP text CRLF`.
pub fn untagged(out: &mut Vec<u8>, text: &str) {
    line(out, &format!("* {text}"));
}

/// A line; what is not printable ASCII becomes `?`, so that nothing from outside can end it.
fn line(out: &mut Vec<u8>, text: &str) {
    out.extend(
        text.bytes()
            .map(|byte| if (b' '..=b'~').contains(&byte) { byte } else { b'?' }),
    );
    out.extend_from_slice(b"\r\n");
}

/// A mailbox's name in modified UTF-7, as a string.
pub fn mailbox(out: &mut Vec<u8>, name: &str) {
    string(out, utf7::encode(name).as_bytes());
}

/// `"(" flag-list ")"`.
pub fn flags(out: &mut Vec<u8>, flags: Flags, keywords: KeywordBits, table: &[Arc<str>], recent: bool) {
    let system = [
        (Flags::ANSWERED, "\\Answered"),
        (Flags::FLAGGED, "\\Flagged"),
        (Flags::DELETED, "\\Deleted"),
        (Flags::SEEN, "\\Seen"),
        (Flags::DRAFT, "\\Draft"),
    ];
    let set = system.iter().filter(|(flag, _)| flags.contains(*flag)).map(|(_, name)| *name);
    let words = table
        .iter()
        .enumerate()
        .filter(|(bit, _)| keywords.0 >> bit & 1 == 1)
        .map(|(_, name)| name.as_ref());
    let all: Vec<&str> = set.chain(recent.then_some("\\Recent")).chain(words).collect();
    out.extend_from_slice(format!("({})", all.join(" ")).as_bytes());
}

/// `* LIST (attributes) "/" name`.
pub fn list(out: &mut Vec<u8>, lsub: bool, mailbox_: &ListedMailbox, has_children: bool) {
    let mut attributes = alloc::vec![if has_children { "\\HasChildren" } else { "\\HasNoChildren" }];
    if let Some(special) = mailbox_.special_use {
        attributes.push(match special {
            SpecialUse::Archive => "\\Archive",
            SpecialUse::Drafts => "\\Drafts",
            SpecialUse::Junk => "\\Junk",
            SpecialUse::Sent => "\\Sent",
            SpecialUse::Trash => "\\Trash",
        });
    }
    let verb = if lsub { "LSUB" } else { "LIST" };
    out.extend_from_slice(format!("* {verb} ({}) \"/\" ", attributes.join(" ")).as_bytes());
    mailbox(out, &mailbox_.name.0);
    out.extend_from_slice(b"\r\n");
}

/// The name under which a FETCH item is answered.
pub fn item_name(item: &FetchItem) -> Vec<u8> {
    match item {
        FetchItem::Body => b"BODY".to_vec(),
        FetchItem::BodyStructure => b"BODYSTRUCTURE".to_vec(),
        FetchItem::Envelope => b"ENVELOPE".to_vec(),
        FetchItem::Flags => b"FLAGS".to_vec(),
        FetchItem::InternalDate => b"INTERNALDATE".to_vec(),
        FetchItem::Rfc822 => b"RFC822".to_vec(),
        FetchItem::Rfc822Header => b"RFC822.HEADER".to_vec(),
        FetchItem::Rfc822Size => b"RFC822.SIZE".to_vec(),
        FetchItem::Rfc822Text => b"RFC822.TEXT".to_vec(),
        FetchItem::Uid => b"UID".to_vec(),
        FetchItem::Section { section, partial, .. } => section_name(section, partial.map(|(first, _)| first)),
    }
}

/// `"BODY" section ["<" number ">"]`.
fn section_name(section: &Section, origin: Option<u32>) -> Vec<u8> {
    let mut out = b"BODY[".to_vec();
    let part: Vec<String> = section.part.iter().map(|number| format!("{number}")).collect();
    out.extend_from_slice(part.join(".").as_bytes());
    let (word, names) = match &section.text {
        SectionText::Whole => ("", None),
        SectionText::Header => ("HEADER", None),
        SectionText::HeaderFields(names) => ("HEADER.FIELDS", Some(names)),
        SectionText::HeaderFieldsNot(names) => ("HEADER.FIELDS.NOT", Some(names)),
        SectionText::Text => ("TEXT", None),
        SectionText::Mime => ("MIME", None),
    };
    if !part.is_empty() && !word.is_empty() {
        out.push(b'.');
    }
    out.extend_from_slice(word.as_bytes());
    if let Some(names) = names {
        out.extend_from_slice(b" (");
        for (index, name) in names.iter().enumerate() {
            if index > 0 {
                out.push(b' ');
            }
            // Names that are atoms stay as they are; others are quoted.
            if name
                .bytes()
                .all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
            {
                out.extend_from_slice(name.as_bytes());
            } else {
                string(&mut out, name.as_bytes());
            }
        }
        out.push(b')');
    }
    out.push(b']');
    if let Some(origin) = origin {
        out.extend_from_slice(format!("<{origin}>").as_bytes());
    }
    out
}
