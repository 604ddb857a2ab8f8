//! IMAP commands beside `imap-codec`.
//!
//! Domain: what the framer cuts out as one command (and an APPEND that comes first), in ASCII, at most [`LONGEST`] octets. What the
//! other reads is told in our own terms ([`super::told`]) and must be what ours reads; what cannot be told so, ours has not or refuses, and
//! its reason stands there. What ours reads and the other does not is listed in [`beyond`].

use imap_codec::CommandCodec;
use imap_codec::decode::Decoder;
use imap_codec::imap_types::command::Command as Theirs;
use pillarbox_core::bytes::base64;
use pillarbox_core::imap::command::{Command, FetchItem, ListForm, SearchKey, SequenceSet, parse};
use pillarbox_core::imap::frame::{Event, Framer};
use pillarbox_core::limits;

use super::told::{CHARSET, told};

/// Limits on how many words there are have tests of their own.
const LONGEST: usize = 600;

/// Commands, one behind the other.
pub fn imap_second(bytes: &[u8]) {
    let mut framer = Framer::new();
    framer.log_in();
    if bytes.is_empty() {
        return;
    }
    framer.receive(bytes);
    let mut first = true;
    while let Some(event) = framer.poll() {
        match event {
            Event::Command(framed) => {
                let text = framed.text.to_vec();
                compare(&text, parse(&framed).ok().map(|(tag, command)| (tag.0, command)));
            }
            Event::Message { tag, command, .. } => {
                if first {
                    append(bytes, tag.0, command);
                }
                framer.drop_message();
            }
            Event::Continue | Event::MessageEnd | Event::Refused(_) => {}
            Event::Line(_) => panic!("no line was asked for"),
        }
        first = false;
    }
}

fn compare(text: &[u8], ours: Option<(String, Command)>) {
    if !text.is_ascii() || text.len() > LONGEST {
        return;
    }
    let whole = [text, b"\r\n"].concat();
    // A literal may be all that is behind a CRLF: the whole must be one command to both.
    let theirs = CommandCodec::default().decode(&whole).ok().filter(|(rest, _)| rest.is_empty());
    let theirs = theirs.map(|(_, command)| command);
    judge(text, ours, theirs);
}

/// The other reads an APPEND with its message.
fn append(bytes: &[u8], tag: String, command: Command) {
    let head = bytes.windows(2).position(|two| two == b"\r\n").unwrap_or(bytes.len());
    if !bytes[..head].is_ascii() || head > LONGEST {
        return;
    }
    if let Ok((_, theirs)) = CommandCodec::default().decode(bytes) {
        judge(&bytes[..head], Some((tag, command)), Some(theirs));
    }
}

fn judge(text: &[u8], ours: Option<(String, Command)>, theirs: Option<Theirs<'_>>) {
    let shown = text.escape_ascii();
    match (ours, theirs) {
        (Some((tag, ours)), Some(theirs)) => {
            planted!(matches!(&ours, Command::Fetch { items, uid: true, .. } if items.iter().any(|item| matches!(item, FetchItem::BinarySize { .. }))));
            assert_eq!(tag, theirs.tag.as_ref(), "{shown}");
            let told = told(&theirs.body);
            // ISO-2022-JP, UTF-16 and what nobody knows: ours knows, and the other does not look.
            if told != Err(CHARSET) {
                assert_eq!(told, Ok(normal(ours)), "{shown}");
            }
        }
        (Some((_, ours)), None) => assert!(beyond(text, &ours), "{shown}\nours: {ours:?}\ntheirs: none"),
        (None, Some(theirs)) => {
            // What the other forgives has no end: a fuzzer is not sent to look for it, the committed seeds are looked at.
            let told = told(&theirs.body);
            assert!(cfg!(fuzzing) || told.is_err() || lenient(text), "{shown}\nours: none\ntheirs: {theirs:?}");
        }
        (None, None) => {}
    }
}

/// What ours reads, without what the other does not keep.
fn normal(mut ours: Command) -> Command {
    match &mut ours {
        Command::Authenticate { mechanism, .. } => mechanism.make_ascii_uppercase(),
        // It tells INBOX in one case.
        Command::List(list) if list.reference.eq_ignore_ascii_case("INBOX") => list.reference = "INBOX".into(),
        _ => {}
    }
    ours
}

/// What ours reads and the other does not.
fn beyond(text: &[u8], ours: &Command) -> bool {
    let saved = |set: &SequenceSet| *set == SequenceSet::saved(); // RFC 5182 §3
    let more_than_32_bits = |octets: u64| octets > u64::from(u32::MAX); // RFC 9051 §9, number64
    match ours {
        Command::Search { returns, keys, .. } => {
            let keys = keys.as_deref().unwrap_or_default();
            let operators = keys.iter().filter(|key| matches!(key, SearchKey::And(_) | SearchKey::Or | SearchKey::Not));
            returns.is_some() // RFC 4731 §3.1
                || text.to_ascii_uppercase().windows(9).any(|nine| nine == b" CHARSET ") // names that it does not know
                || operators.count() > 7 // its own limit
                || keys.iter().any(|key| match key {
                    SearchKey::Numbers(set) | SearchKey::Uids(set) => saved(set),
                    SearchKey::Larger(octets) | SearchKey::Smaller(octets) => more_than_32_bits(*octets),
                    _ => false,
                })
        }
        Command::Fetch { set, .. } | Command::Store { set, .. } | Command::Transfer { set, .. } | Command::UidExpunge(set) => {
            saved(set)
        }
        // RFC 5258 §3, RFC 6154 §3
        Command::List(list) => matches!(list.form, ListForm::Extended(_)),
        Command::Create { .. } => text.contains(&b'('),
        // What is no base64 is told to the mechanism, which refuses it (RFC 9051 §6.2.2).
        Command::Authenticate { initial: Some(initial), .. } => base64::decode(initial.reveal().as_bytes()).is_none(),
        _ => false,
    }
}

/// What the other takes beyond the grammar.
fn lenient(text: &[u8]) -> bool {
    // Its tags have no end; ours have.
    let tag = text.iter().position(|byte| *byte == b' ').unwrap_or(text.len());
    // `nz-number = digit-nz *DIGIT` (RFC 9051 §9): it takes zeros in front.
    tag > limits::IMAP_TAG || text.windows(3).any(|three| !three[0].is_ascii_digit() && three[1] == b'0' && three[2].is_ascii_digit())
}
