use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec;
use alloc::vec::Vec;
use proptest::prelude::*;

use super::*;
use crate::imap::command::parse;

/// What a session would have answered.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Seen {
    Command(String),
    Bad(String),
    Continue,
    Message(String, u64, bool),
    Octets(Vec<u8>),
    MessageEnd,
    /// Octets that are left unframed at the end.
    Left(bool),
}
use Seen::{Bad, Command, Continue, Left, Message, MessageEnd, Octets};

/// Feeds the pieces; accepts messages, or drops them.
fn run<'a>(pieces: impl IntoIterator<Item = &'a [u8]>, logged_in: bool, accept: bool) -> Vec<Seen> {
    let mut framer = Framer::new();
    if logged_in {
        framer.log_in();
    }
    let mut seen = Vec::new();
    let mut octets = Vec::new();
    for piece in pieces {
        framer.receive(piece);
        loop {
            if framer.message_remaining() > 0 {
                octets.extend_from_slice(framer.take_message(7));
                if framer.message_remaining() > 0 && framer.buffered() == 0 {
                    break;
                }
                continue;
            }
            let Some(event) = framer.poll() else { break };
            let (now, offered) = match event {
                Event::Command(framed) => match parse(&framed) {
                    Ok((tag, command)) => (Command(format!("{} {command:?}", tag.0)), false),
                    Err(bad) => (bad_text(&bad), false),
                },
                Event::Refused(bad) => (bad_text(&bad), false),
                Event::Continue => (Continue, false),
                Event::Message {
                    tag,
                    size,
                    synchronising,
                    ..
                } => (Message(tag.0, size, synchronising), true),
                Event::MessageEnd => (MessageEnd, false),
                Event::Line(line) => (Octets(line.to_vec()), false),
            };
            if !octets.is_empty() {
                seen.push(Octets(core::mem::take(&mut octets)));
            }
            seen.push(now);
            match (offered, accept) {
                (true, true) => framer.accept_message(),
                (true, false) => framer.drop_message(),
                (false, _) => {}
            }
        }
    }
    seen.push(Left(framer.buffered() > 0));
    seen
}

fn bad_text(bad: &super::Bad) -> Seen {
    Bad(format!("{} {}", bad.tag.as_ref().map_or("*", |tag| &tag.0), bad.text))
}

fn whole(bytes: &[u8], logged_in: bool) -> Vec<Seen> {
    run([bytes], logged_in, true)
}

/// Tagged or untagged final replies.
fn replies(seen: &[Seen]) -> usize {
    seen.iter()
        .filter(|seen| matches!(seen, Command(_) | Bad(_) | MessageEnd))
        .count()
}

#[test]
fn rfc_9051_login_with_literals() {
    let seen = whole(b"A001 LOGIN {11}\r\nFRED FOOBAR {7}\r\nfat man\r\n", false);
    let command = "A001 Login { login: \"FRED FOOBAR\", password: Secret(…) }".to_string();
    assert_eq!(seen, [Continue, Continue, Command(command), Left(false)]);
}

#[test]
fn append_streams_its_message() {
    let bytes = b"A003 APPEND saved-messages (\\Seen) {5}\r\nhello\r\nA004 NOOP\r\n";
    let seen = whole(bytes, true);
    let noop = Command("A004 Noop".into());
    let offer = Message("A003".into(), 5, true);
    assert_eq!(
        seen,
        [
            offer.clone(),
            Octets(b"hello".to_vec()),
            MessageEnd,
            noop.clone(),
            Left(false)
        ]
    );
    // A mailbox may be a literal too; and a large message needs no budget.
    let mut bytes = b"A3 APPEND {5+}\r\nINBOX {2000000+}\r\n".to_vec();
    bytes.extend_from_slice(&vec![b'x'; 2_000_000]);
    bytes.extend_from_slice(b"\r\nA004 NOOP\r\n");
    let seen = whole(&bytes, true);
    assert_eq!(seen[0], Message("A3".into(), 2_000_000, false));
    assert_eq!(seen[2..], [MessageEnd, noop.clone(), Left(false)]);
    // Dropped: a synchronising one is not sent at all, the other is consumed.
    let seen = run([&bytes[..]], true, false);
    assert_eq!(
        seen,
        [Message("A3".into(), 2_000_000, false), MessageEnd, noop.clone(), Left(false)]
    );
    let seen = run(
        [&b"A003 APPEND saved-messages (\\Seen) {5}\r\nA004 NOOP\r\n"[..]],
        true,
        false,
    );
    assert_eq!(seen, [offer, MessageEnd, noop, Left(false)]);
}

#[test]
fn append_with_something_behind_its_message() {
    let bytes = b"A3 APPEND INBOX {2+}\r\nhi (\\Seen) {3+}\r\nyou\r\nA4 NOOP\r\n";
    let seen = whole(bytes, true);
    let bad = Bad("A3 APPEND takes one message and nothing behind it".into());
    let offer = Message("A3".into(), 2, false);
    assert_eq!(
        seen,
        [offer, Octets(b"hi".to_vec()), bad, Command("A4 Noop".into()), Left(false)]
    );
}

#[test]
fn a_raw_line_for_idle() {
    let mut framer = Framer::new();
    framer.receive(b"a IDLE\r\nDO");
    assert!(matches!(framer.poll(), Some(Event::Command(_))));
    framer.expect_line();
    assert_eq!(framer.poll(), None);
    framer.receive(b"NE\r\nb NOOP\r\n");
    assert_eq!(framer.poll(), Some(Event::Line(b"DONE")));
    assert!(matches!(framer.poll(), Some(Event::Command(framed)) if framed.text == b"b NOOP"));
    assert_eq!(framer.poll(), None);
    assert_eq!(framer.memory(), 0, "an idle session owns no buffer");
}

/// What looks like a literal at the end of a raw line hides no command.
#[test]
fn a_raw_line_announces_nothing() {
    for line in ["DONE {9+}", "DO\nNE {9+}"] {
        let mut framer = Framer::new();
        framer.receive(format!("a IDLE\r\n{line}\r\nb NOOP\r\n").as_bytes());
        assert!(matches!(framer.poll(), Some(Event::Command(_))));
        framer.expect_line();
        let said = framer.poll();
        assert!(
            matches!(said, Some(Event::Line(b"DONE {9+}") | Event::Refused(_))),
            "{said:?}"
        );
        assert!(matches!(framer.poll(), Some(Event::Command(framed)) if framed.text == b"b NOOP"));
    }
}

#[test]
fn s04_what_waits_behind_starttls_is_seen() {
    let bytes = b"a STARTTLS\r\nb NOOP\r\n";
    for split in 0..bytes.len() {
        let mut framer = Framer::new();
        framer.receive(&bytes[..split]);
        let at_once = framer.poll().is_some();
        framer.receive(&bytes[split..]);
        if !at_once {
            assert!(matches!(framer.poll(), Some(Event::Command(framed)) if framed.text == b"a STARTTLS"));
        }
        assert_eq!(framer.buffered(), 8);
    }
}

#[test]
fn lines_end_in_crlf_only() {
    let bad = |tag: &str| Bad(format!("{tag} {BARE}"));
    let noop = Command("b Noop".into());
    for line in ["a NOOP\n\r\n", "a NO\rOP\r\n", "a NOOP\r\r\n", "a \nx NOOP\r\n"] {
        let seen = whole(format!("{line}b NOOP\r\n").as_bytes(), false);
        assert_eq!(seen, [bad("a"), noop.clone(), Left(false)], "{line:?}");
    }
    assert_eq!(whole(b"\nb NOOP\r\nb NOOP\r\n", false), [bad("*"), noop, Left(false)]);
}

#[test]
fn s08_s30_an_endless_line_costs_no_memory() {
    for logged_in in [false, true] {
        let mut framer = Framer::new();
        let budget = if logged_in {
            limits::IMAP_COMMAND
        } else {
            limits::IMAP_COMMAND_BEFORE_LOGIN
        };
        if logged_in {
            framer.log_in();
        }
        framer.receive(b"a ");
        let mut most = 0;
        for _ in 0..3 * budget / 1000 {
            framer.receive(&[b'('; 1000]);
            assert_eq!(framer.poll(), None);
            most = most.max(framer.buffered());
        }
        assert!(most <= budget + 1000, "{most}");
        assert!(framer.buffered() <= Announced::LEN_MAX);
        framer.receive(b"\r\nb NOOP\r\n");
        let tag = Some(Tag("a".into()));
        assert_eq!(framer.poll(), Some(Event::Refused(super::Bad { tag, text: TOO_LONG })));
        assert!(matches!(framer.poll(), Some(Event::Command(framed)) if framed.text == b"b NOOP"));
    }
}

#[test]
fn s30_many_literals_share_one_budget() {
    // Each literal is small; together they are not (Cyrus CVE-2024-34055).
    let mut framer = Framer::new();
    framer.receive(b"a LOGIN");
    let mut most = 0;
    for _ in 0..100_000 {
        framer.receive(b" {9+}\r\n123456789");
        assert_eq!(framer.poll(), None);
        most = most.max(framer.memory());
    }
    assert!(most <= 4 * limits::IMAP_COMMAND_BEFORE_LOGIN, "{most}");
    framer.receive(b"\r\n");
    assert!(matches!(framer.poll(), Some(Event::Refused(bad)) if bad.tag == Some(Tag("a".into()))));
    assert_eq!(framer.poll(), None);
    assert_eq!(framer.memory(), 0);
}

#[test]
fn s30_s32_literals_beyond_the_budget() {
    let noop = Command("b Noop".into());
    let after = |line: &str, octets: usize| {
        let mut bytes = line.as_bytes().to_vec();
        bytes.extend(core::iter::repeat_n(b"x NOOP\r\n", octets / 8).flatten());
        bytes.extend_from_slice(b" more\r\nb NOOP\r\n");
        bytes
    };
    // Not synchronising: its octets and the rest of the command are consumed before the one reply.
    let seen = whole(&after("a LOGIN {80000+}\r\n", 80_000), false);
    assert_eq!(seen, [Bad(format!("a {TOO_LONG}")), noop.clone(), Left(false)]);
    let seen = whole(&after("a LOGIN {4104+}\r\n", 4104), false);
    assert_eq!(
        seen,
        [Bad("a {n+} is at most 4096 before login".into()), noop.clone(), Left(false)]
    );
    let seen = whole(&after("a SELECT ~{8+}\r\n", 8), true);
    assert!(matches!(&seen[..], [Bad(bad), now, Left(false)] if bad.starts_with("a literal8") && *now == noop));
    // Synchronising: refused at once, without `+`.
    let seen = whole(b"a LOGIN {80000}\r\nb NOOP\r\n", false);
    assert_eq!(seen, [Bad(format!("a {TOO_LONG}")), noop.clone(), Left(false)]);
    let seen = whole(b"a LOGIN {99999999999999999999}\r\nb NOOP\r\n", false);
    assert_eq!(seen, [Bad(format!("a {TOO_LONG}")), noop.clone(), Left(false)]);
    // In an error, too: what follows a bare LF is the command's own.
    let seen = whole(b"a LOGIN \n{8+}\r\nx NOOP\r\n\r\nb NOOP\r\n", false);
    assert_eq!(seen, [Bad(format!("a {BARE}")), noop, Left(false)]);
    // A right literal in a wrong command is consumed as well.
    let seen = whole(b"a FOO {8+}\r\nx NOOP\r\n\r\nb NOOP\r\n", false);
    assert_eq!(replies(&seen), 2);
}

#[test]
fn a_wrong_append_is_refused_at_its_literal() {
    let seen = whole(b"a APPEND INBOX (\\Foo) {50000000}\r\nb NOOP\r\n", true);
    assert_eq!(
        seen,
        [Bad("a unknown system flag".into()), Command("b Noop".into()), Left(false)]
    );
    let seen = whole(b"a APPEND R&D {8+}\r\nx NOOP\r\n\r\nb NOOP\r\n", true);
    assert_eq!(replies(&seen), 2);
    let seen = whole(b"a APPEND INBOX {2+}\r\nhi\r\n", false);
    assert_eq!(
        seen,
        [
            Bad("a APPEND: the message is expected as a literal, after login".into()),
            Left(false)
        ]
    );
    let seen = whole(b"a APPEND INBOX\r\n", true);
    assert_eq!(replies(&seen), 1);
}

#[test]
fn s36_each_byte_is_scanned_once() {
    // A command in one-byte pieces: were the line scanned again for each, this would be 5 x 10^11 steps.
    let mut framer = Framer::new();
    framer.log_in();
    framer.receive(b"a FETCH ");
    assert_eq!(framer.poll(), None);
    for _ in 0..1_000_000 {
        framer.receive(b"1");
        let before = framer.scan;
        assert_eq!(framer.poll(), None);
        assert_eq!(framer.scan, before + 1);
    }
}

/// Lines, literals and rubbish.
fn dialogue() -> impl Strategy<Value = Vec<u8>> {
    let literal = (any::<bool>(), prop::collection::vec(any::<u8>(), 0..12)).prop_map(|(plus, bytes)| {
        let mut out = format!("{{{}{}}}\r\n", bytes.len(), if plus { "+" } else { "" }).into_bytes();
        out.extend(bytes);
        out
    });
    let words = prop::sample::select(vec![
        "a NOOP",
        "b LOGIN ",
        "c APPEND INBOX ",
        "APPEND ",
        "(\\Seen) ",
        "{",
        "+}",
        "~",
        "}",
        "\r",
        "\n",
        "\r\n",
        "\r\n",
        "\r\n",
        " ",
        "{3}",
        "{3+}\r\n",
        "{99999+}\r\n",
        "\"",
        "{7777777}\r\n",
        "d FETCH 1:* ",
        "BODY[]",
    ]);
    let piece = prop_oneof![
        3 => words.prop_map(|word| word.as_bytes().to_vec()),
        1 => literal,
        1 => prop::collection::vec(any::<u8>(), 0..6),
    ];
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn any_split_is_the_whole(bytes in dialogue(), cuts in prop::collection::vec(any::<u16>(), 0..8), flags: (bool, bool)) {
        let (logged_in, accept) = flags;
        let whole = run([&bytes[..]], logged_in, accept);
        prop_assert_eq!(&run(bytes.chunks(1), logged_in, accept), &whole);
        let mut places: Vec<usize> = cuts.iter().map(|cut| *cut as usize % (bytes.len() + 1)).collect();
        places.extend([0, bytes.len()]);
        places.sort_unstable();
        let pieces = places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).filter(|piece| !piece.is_empty());
        prop_assert_eq!(&run(pieces, logged_in, accept), &whole);
    }

    #[test]
    fn s32_one_reply_a_command(
        commands in prop::collection::vec((0usize..6, prop::collection::vec(any::<u8>(), 0..9000)), 1..8),
        logged_in: bool,
    ) {
        let mut bytes = Vec::new();
        for (kind, octets) in &commands {
            let head = ["a LOGIN x ", "b APPEND INBOX ", "c APPEND INBOX (\\Wrong ", "d FOO \n ", "e SEARCH ~", "f LIST \"\" "][*kind];
            bytes.extend_from_slice(head.as_bytes());
            bytes.extend_from_slice(format!("{{{}+}}\r\n", octets.len()).as_bytes());
            bytes.extend_from_slice(octets);
            bytes.extend_from_slice(b"\r\n");
        }
        let seen = whole(&bytes, logged_in);
        prop_assert_eq!(replies(&seen), commands.len());
        prop_assert_eq!(seen.last(), Some(&Left(false)));
    }
}
