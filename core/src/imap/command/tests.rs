use alloc::string::ToString;

use proptest::prelude::*;

use super::*;
use crate::imap::frame::{Budget, Framed, Framer};

const BUDGET: Budget = Budget {
    command: 16 * 1024,
    non_synchronising: 4096,
};

fn ok(text: &str) -> Command {
    parse(text.as_bytes()).unwrap_or_else(|bad| panic!("{text}: {}", bad.why)).1
}

fn bad(text: &str) -> Bad {
    parse(text.as_bytes()).expect_err(text)
}

#[test]
fn commands() {
    assert_eq!(ok("a CAPABILITY"), Command::Capability);
    assert_eq!(
        ok("a login \"j s\" {3}\r\nabc"),
        Command::Login {
            login: "j s".into(),
            password: Secret::new("abc".into())
        }
    );
    assert_eq!(
        ok("a SELECT inbox"),
        Command::Select {
            mailbox: MailboxName("INBOX".into()),
            read_only: false
        }
    );
    assert_eq!(
        ok("a EXAMINE Entw&APw-rfe"),
        Command::Select {
            mailbox: MailboxName("Entwürfe".into()),
            read_only: true
        }
    );
    assert_eq!(
        ok("a LIST \"\" %"),
        Command::List {
            reference: "".into(),
            pattern: "%".into(),
            lsub: false
        }
    );
    assert!(matches!(
        ok("a FETCH 2:4,7 (BODY[1.2.MIME]<0.10> RFC822.SIZE)"),
        Command::Fetch { uid: false, .. }
    ));
    assert!(matches!(
        ok("a STORE 1 +FLAGS.SILENT \\Seen key"),
        Command::Store { silent: true, .. }
    ));
    assert!(matches!(ok("a STORE 1 FLAGS ()"), Command::Store { silent: false, .. }));
    let Command::Fetch { items, .. } = ok("a FETCH 1 FULL") else {
        panic!()
    };
    assert_eq!(items.len(), 5);
    let Command::Fetch { items, .. } = ok("a FETCH 1 (UID UID BODY[] BODY[])") else {
        panic!()
    };
    assert_eq!(items.len(), 2, "s34: duplicates go");
}

#[test]
fn malformed_commands_keep_their_tag() {
    for text in [
        "a FOO",
        "a FETCH 0 FLAGS",
        "a FETCH 1 BODY[MIME]",
        "a FETCH 1 BODY[1.]",
        "a FETCH 1 BODY[]<1.0>",
        "a FETCH 1 ()",
        "a STORE 1 FLAGS (\\Recent)",
        "a STATUS INBOX ()",
        "a LOGIN x",
        "a NOOP x",
        "a SELECT \"a",
        "a SELECT &bad",
        "a SELECT \"\"",
        "a SELECT a\u{7f}",
        "a FETCH 1:2:3 FLAGS",
        "a FETCH 4294967296 FLAGS",
        "a SELECT {3}\r\na\0b",
        "a UID NOOP",
        "a FETCH 1 BODY.PEEK",
        "a APPEND INBOX",
    ] {
        assert_eq!(bad(text).tag.as_deref(), Some("a"), "{text}");
    }
    for text in ["", "a", "+ NOOP", " NOOP", "a+b NOOP", "(x NOOP", "* NOOP"] {
        assert_eq!(bad(text).tag, None, "{text}");
    }
}

/// S31: a million parentheses are a clean refusal, on a small stack.
#[test]
fn s31_parentheses() {
    extern crate std;
    let run = || {
        for text in [
            "a FETCH 1 ".to_string() + &"(".repeat(1_000_000),
            "a LIST \"\" ".to_string() + &"(".repeat(1_000_000),
            "(".repeat(1_000_000),
        ] {
            assert!(parse(text.as_bytes()).is_err());
        }
    };
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(run)
        .unwrap()
        .join()
        .unwrap();
}

/// S33: sets are never expanded.
#[test]
fn s33_sequence_sets() {
    let set = SequenceSet::parse(b"4294967295:1,5,3:*,*").unwrap();
    assert_eq!(set.intervals(10), [(1, u32::MAX)]);
    let many = (0..100_000u32).map(|n| (n * 2 + 1).to_string()).collect::<Vec<_>>().join(",");
    assert_eq!(SequenceSet::parse(many.as_bytes()).unwrap().intervals(1).len(), 100_000);
    assert!(SequenceSet::parse((many + ",9").as_bytes()).is_none(), "there is a limit");
    assert_eq!(
        SequenceSet::parse(b"2:4,7,9,12:*").unwrap().intervals(15),
        [(2, 4), (7, 7), (9, 9), (12, 15)]
    );
    assert_eq!(SequenceSet::parse(b"*:4,5:7").unwrap().intervals(10), [(4, 10)]);
    for bad in ["", ",", "1,", "0", "01", "1:", ":1", "1:2:3", "a", "-1", "1 2"] {
        assert!(SequenceSet::parse(bad.as_bytes()).is_none(), "{bad}");
    }
}

/// Everything a framer says of an input, in pieces.
fn frames(input: &[u8], cuts: &[usize]) -> Vec<Framed> {
    let mut framer = Framer::default();
    let mut all = Vec::new();
    let mut from = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        framer.push(&input[from..cut]);
        from = cut;
        loop {
            match framer.next(BUDGET) {
                Framed::NeedMore if framer.stream_left() > 0 => {
                    if framer.stream(7).is_empty() {
                        break;
                    }
                }
                Framed::NeedMore => break,
                framed => all.push(framed),
            }
        }
        framer.compact();
    }
    assert!(
        framer.buffered() > 0 || framer.capacity() == 0,
        "an idle framer owns no buffer"
    );
    all
}

fn refused(tag: &str, why: &'static str) -> Framed {
    Framed::Refused {
        tag: Some(tag.into()),
        why,
    }
}

#[test]
fn framing() {
    let at = |input: &str| frames(input.as_bytes(), &[]);
    assert_eq!(
        at("a NOOP\r\nb NOOP\r\n"),
        [Framed::Command(b"a NOOP".to_vec()), Framed::Command(b"b NOOP".to_vec())]
    );
    assert_eq!(
        at("a LOGIN {1}\r\nx {1+}\r\ny\r\n"),
        [Framed::Continue, Framed::Command(b"a LOGIN {1}\r\nx {1+}\r\ny".to_vec())]
    );
    assert_eq!(
        at("a NOOP\n"),
        [refused("a", "lines end with CR LF, and hold no bare CR or NUL")]
    );
    let append = at("a APPEND {5}\r\nINBOX (\\Seen) {3+}\r\nabc\r\n");
    assert!(
        matches!(&append[..], [Framed::Continue, Framed::Message { size: 3, waits: false, .. }, Framed::Command(rest)] if rest.is_empty())
    );
}

/// S30, S32: what is too large is refused once, and what follows is read as what it is.
#[test]
fn s30_s32_budget_and_synchronisation() {
    let why = "the literal is too large";
    let large = "x".repeat(5000);
    let input = alloc::format!("a LOGIN {{5000+}}\r\n{large} {{2+}}\r\n\r\nrest\r\nb NOOP\r\n");
    assert_eq!(
        frames(input.as_bytes(), &[]),
        [refused("a", why), Framed::Command(b"b NOOP".to_vec())]
    );
    assert_eq!(
        frames(b"a LOGIN {99999}\r\nb NOOP\r\n", &[]),
        [refused("a", why), Framed::Command(b"b NOOP".to_vec())]
    );
    let many = alloc::format!("a LOGIN {}\r\nb NOOP\r\n", "{4000+}\r\n".to_string() + &"y".repeat(4000));
    let many = many.replace(
        "\r\nb NOOP",
        &alloc::format!(
            " {{4000+}}\r\n{0} {{4000+}}\r\n{0} {{4000+}}\r\n{0} {{4000+}}\r\n{0}\r\nb NOOP",
            "z".repeat(4000)
        ),
    );
    assert_eq!(
        frames(many.as_bytes(), &[]).last(),
        Some(&Framed::Command(b"b NOOP".to_vec()))
    );
    assert_eq!(frames(many.as_bytes(), &[]).len(), 2);
    let line = alloc::format!("a {}\r\nb NOOP\r\n", "A".repeat(100_000));
    assert_eq!(
        frames(line.as_bytes(), &[]),
        [refused("a", "the command is too long"), Framed::Command(b"b NOOP".to_vec())]
    );
    assert_eq!(
        frames(b"a FETCH ~{3+}\r\nabc\r\nb NOOP\r\n", &[]),
        [refused("a", "literal8 is not supported"), Framed::Command(b"b NOOP".to_vec())]
    );
}

proptest! {
    #[test]
    fn any_split_is_the_whole(
        pieces in prop::collection::vec(prop::sample::select(alloc::vec![
            "a NOOP", "\r\n", "{3}\r\n", "{3+}\r\n", "abc", "{9999+}\r\n", "a APPEND INBOX ", "\n", "\r", "~{2+}\r\n", "b LOGIN ", " ", "{0+}\r\n", "\"", "}",
        ]), 0..30),
        cuts in prop::collection::vec(0usize..200, 0..5),
    ) {
        let input = pieces.concat().into_bytes();
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(frames(&input, &cuts), frames(&input, &[]));
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = parse(&bytes);
        let _ = frames(&bytes, &[bytes.len() / 2]);
    }
}
