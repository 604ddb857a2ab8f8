//! Messages beside `mail-parser`.
//!
//! Domain: messages that are well-formed ([`super::written`]): their parts, how they nest, their types, their decoded texts; subject,
//! dates and addresses of each message in them. On other messages the two rightly differ: the other one finds boundaries
//! within lines too, where RFC 2046 §5.1.1 says that a delimiter begins a line, and no RFC says what a broken field means. How
//! far they agree on real messages is a test's (`tests/tests/second.rs`).

use mail_parser::{Address, HeaderName, Message, MessageParser, MessagePart, PartType};
use pillarbox_core::message::address_list::{self, Entry};
use pillarbox_core::message::charset::Charset;
use pillarbox_core::message::mime::{Walked, Walker};
use pillarbox_core::message::transfer::Encoding;
use pillarbox_core::message::{date, encoded_word};

use super::written::{self, Choices};

/// Writes a message as the bytes choose, and reads it twice.
pub fn message_second(bytes: &[u8]) {
    let mut message = Vec::new();
    written::message(&mut Choices(bytes), &mut message);
    let ours = ours(&message);
    planted!(ours.iter().filter(|said| said.kind == "message/rfc822").count() > 2 && ours.len() > 9);
    let theirs = theirs(&message);
    let shown = || String::from_utf8_lossy(&message).into_owned();
    assert_eq!(ours.len(), theirs.len(), "parts\n{ours:#?}\n{theirs:#?}\n{}", shown());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours, theirs, "\n{}", shown());
    }
}

/// What is said of a part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Said {
    /// How many parts it is within.
    pub depth: usize,
    /// Its media type, in lower case.
    pub kind: String,
    /// A leaf's text, or what it is in octets; nothing of what has parts.
    pub content: Content,
    /// Of a message: its subject, without white space around it.
    pub subject: Option<String>,
    /// Of a message: when it was written, in seconds.
    pub date: Option<i64>,
    /// Of a message: From, To and Cc, each with its groups' names, display names and addresses.
    pub addresses: Vec<Vec<(String, String, String)>>,
}

/// What a part has.
#[derive(Clone, PartialEq, Eq)]
pub enum Content {
    /// Parts.
    Parts,
    /// Text, decoded.
    Text(String),
    /// Other octets.
    Octets(Vec<u8>),
}

impl std::fmt::Debug for Content {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Content::Parts => f.write_str("parts"),
            Content::Text(text) => write!(f, "{text:?}"),
            Content::Octets(octets) => write!(f, "b\"{}\"", octets.escape_ascii()),
        }
    }
}

/// What ours says, in pre-order.
pub fn ours(message: &[u8]) -> Vec<Said> {
    let mut walker = Walker::new();
    walker.update(message);
    let parts = walker.finish();
    let mut said: Vec<Said> = Vec::new();
    for (index, walked) in parts.iter().enumerate() {
        let parent = walked.part.parent as usize;
        let depth = if index == 0 { 0 } else { said[parent].depth + 1 };
        let kind = walked.content.as_ref().map_or("text/plain".into(), |content| {
            let [main, sub] = [&content.main, &content.sub].map(|name| String::from_utf8_lossy(name).to_lowercase());
            format!("{main}/{sub}")
        });
        let is_message = index == 0 || said[parent].kind == "message/rfc822";
        let has_parts = parts.iter().skip(1).any(|other| other.part.parent as usize == index);
        let text = |name: &str| walked.field(name).filter(|_| is_message);
        let header = |name| text(name).map_or(Vec::new(), |value| our_addresses(&address_list::parse(value)));
        said.push(Said {
            depth,
            kind,
            content: if has_parts { Content::Parts } else { our_content(walked, message) },
            subject: text("Subject").map(|value| encoded_word::decode(value).trim().to_string()),
            date: text("Date").and_then(date::parse_rfc5322).map(|time| time.seconds()),
            addresses: ["From", "To", "Cc"].into_iter().map(header).collect(),
        });
    }
    said
}

fn our_content(walked: &Walked, message: &[u8]) -> Content {
    let part = walked.part;
    let body = &message[part.body_start as usize..part.body_end as usize];
    let mut octets = Vec::new();
    let mut decoder = part.encoding.unwrap_or(Encoding::Identity).decoder();
    decoder.update(body, &mut octets);
    decoder.finish(&mut octets);
    if !part.text {
        return Content::Octets(octets);
    }
    let name = walked.content.as_ref().and_then(|content| content.parameter("charset"));
    let charset = name.and_then(Charset::of).unwrap_or(Charset::UTF_8);
    let (mut decoder, mut text) = (charset.decoder(), String::new());
    decoder.update(&octets, &mut text);
    decoder.finish(&mut text);
    Content::Text(text)
}

/// Group, display name, address.
fn our_addresses(entries: &[Entry]) -> Vec<(String, String, String)> {
    let lossy = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
    let (mut group, mut all) = (String::new(), Vec::new());
    for entry in entries {
        match entry {
            Entry::GroupStart(name) => group = encoded_word::decode(name),
            Entry::GroupEnd => group.clear(),
            Entry::Mailbox { name, local, domain, .. } => {
                let name = name.as_deref().map(encoded_word::decode).unwrap_or_default();
                all.push((group.clone(), name.trim().into(), format!("{}@{}", lossy(local), lossy(domain))));
            }
        }
    }
    all
}

/// What the other one says, in pre-order.
pub fn theirs(message: &[u8]) -> Vec<Said> {
    let mut said = Vec::new();
    if let Some(message) = MessageParser::default().parse(message) {
        their_message(&message, 0, &mut said);
    }
    said
}

fn their_message(message: &Message<'_>, depth: usize, said: &mut Vec<Said>) {
    let first = said.len();
    their_part(message, 0, depth, said);
    let Some(first) = said.get_mut(first) else { return };
    first.subject = message.header(HeaderName::Subject).map(|value| value.as_text().unwrap_or_default().trim().to_string());
    first.date = message.date().map(|date| date.to_timestamp());
    let header = |addresses: Option<&Address<'_>>| addresses.map_or(Vec::new(), their_addresses);
    first.addresses = vec![header(message.from()), header(message.to()), header(message.cc())];
}

fn their_part(message: &Message<'_>, index: u32, depth: usize, said: &mut Vec<Said>) {
    let Some(part) = message.part(index) else { return };
    let content = match &part.body {
        PartType::Text(text) | PartType::Html(text) => Content::Text(text.to_string()),
        PartType::Binary(octets) | PartType::InlineBinary(octets) => Content::Octets(octets.to_vec()),
        PartType::Message(_) | PartType::Multipart(_) => Content::Parts,
    };
    said.push(Said {
        depth,
        kind: their_kind(part),
        content,
        subject: None,
        date: None,
        addresses: vec![Vec::new(); 3],
    });
    match &part.body {
        PartType::Multipart(children) => {
            for child in children {
                their_part(message, *child, depth + 1, said);
            }
        }
        PartType::Message(inner) => their_message(inner, depth + 1, said),
        PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) => {}
    }
}

fn their_kind(part: &MessagePart<'_>) -> String {
    let field = part.headers.iter().rfind(|header| header.name == HeaderName::ContentType);
    let content = field.and_then(|header| header.value.as_content_type());
    content.map_or("text/plain".into(), |content| {
        format!("{}/{}", content.c_type, content.c_subtype.as_deref().unwrap_or_default()).to_lowercase()
    })
}

fn their_addresses(addresses: &Address<'_>) -> Vec<(String, String, String)> {
    let mut all = Vec::new();
    let mut add = |group: &str, addr: &mail_parser::Addr<'_>| {
        let text = |text: &Option<std::borrow::Cow<'_, str>>| text.as_deref().unwrap_or_default().trim().to_string();
        all.push((group.to_string(), text(&addr.name), text(&addr.address)));
    };
    match addresses {
        Address::List(list) => list.iter().for_each(|addr| add("", addr)),
        Address::Group(groups) => {
            for group in groups {
                group.addresses.iter().for_each(|addr| add(group.name.as_deref().unwrap_or_default(), addr));
            }
        }
    }
    all
}
