//! Every command in every state, and the attacks that concern the session.

use pillarbox_tests::host::inbox::Inbox;

use super::support::{Client, literals};
use pillarbox_core::limits;
use pillarbox_core::machine::Reason;
use pillarbox_core::store::Flags;

/// A command, and what is expected logged in without a mailbox, and with one.
const COMMANDS: [(&str, &str, &str); 35] = [
    ("CAPABILITY", "OK", "OK"),
    ("NOOP", "OK", "OK"),
    ("CHECK", "OK", "OK"),
    ("STARTTLS", "BAD", "BAD"),
    ("LOGIN fred secret", "BAD", "BAD"),
    ("AUTHENTICATE PLAIN", "BAD", "BAD"),
    ("LIST \"\" *", "OK", "OK"),
    ("LSUB \"\" *", "OK", "OK"),
    ("STATUS INBOX (MESSAGES)", "OK", "OK"),
    ("APPEND INBOX {5+}\r\na:b\r\n", "OK", "OK"),
    ("CREATE x", "NO", "NO"),
    ("DELETE x", "NO", "NO"),
    ("RENAME x y", "NO", "NO"),
    ("SUBSCRIBE x", "NO", "NO"),
    ("UNSUBSCRIBE x", "NO", "NO"),
    ("NAMESPACE", "OK", "OK"),
    ("ID NIL", "OK", "OK"),
    ("ENABLE IMAP4rev2", "OK", "BAD"),
    ("COPY 1 x", "BAD", "NO"),
    ("UID COPY 1 x", "BAD", "NO"),
    ("MOVE 1 x", "BAD", "NO"),
    ("UID MOVE 1 x", "BAD", "NO"),
    ("LIST (SUBSCRIBED) \"\" * RETURN (CHILDREN)", "OK", "OK"),
    ("SEARCH ALL", "BAD", "OK"),
    ("UID SEARCH RETURN (SAVE) 1", "BAD", "OK"),
    ("FETCH 1 FLAGS", "BAD", "OK"),
    ("UID FETCH 1 FLAGS", "BAD", "OK"),
    ("STORE 1 +FLAGS (\\Seen)", "BAD", "OK"),
    ("UID STORE 1 +FLAGS (\\Seen)", "BAD", "OK"),
    ("EXPUNGE", "BAD", "OK"),
    ("UID EXPUNGE 1", "BAD", "OK"),
    ("CLOSE", "BAD", "OK"),
    ("UNSELECT", "BAD", "OK"),
    ("SELECT INBOX", "OK", "OK"),
    ("EXAMINE INBOX", "OK", "OK"),
];

#[test]
fn every_command_in_every_state() {
    for (command, logged_in, selected) in COMMANDS {
        for (first, expected) in [(None, logged_in), (Some("SELECT INBOX"), selected)] {
            let mut store = Inbox::new();
            store.append(0, b"", b"a: b\r\n\r\n", Flags::default(), &[]);
            let mut client = Client::new(&mut store, 7);
            if let Some(first) = first {
                client.say(&mut store, format!("s {first}\r\n").as_bytes());
            }
            let reply = client.say(&mut store, format!("x {command}\r\ny NOOP\r\n").as_bytes());
            let reply = String::from_utf8(reply).unwrap();
            let tagged: Vec<&str> = reply.lines().filter(|line| !line.starts_with('*')).collect();
            assert_eq!(tagged.len(), 2, "{command}: one tagged reply each: {reply}");
            assert!(
                tagged[0].starts_with(&format!("x {expected} ")),
                "{command} after {first:?}: {reply}"
            );
            assert_eq!(tagged[1], "y OK NOOP completed", "{command}");
        }
    }
}

/// An idle session is small: its own size, and no buffer (`limits`: 16 KiB for all of an idle connection).
#[test]
fn an_idle_session_is_small() {
    let size = size_of::<pillarbox_core::imap::server::Session>();
    println!(
        "a session has {size} octets, a view {}",
        size_of::<pillarbox_core::imap::view::View>()
    );
    assert!(size <= 1024, "{size} octets");
    let mut store = Inbox::new();
    for _ in 0..100 {
        store.append(0, b"", b"a: b\r\n\r\n", Flags::default(), &[]);
    }
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\nf FETCH 1:* BODY[]\r\ni IDLE\r\n");
    assert_eq!(client.session.memory(), 0);
}

/// S30: one budget a command, over all its literals; more is refused, and what is held stays small.
#[test]
fn s30_literals_have_one_budget() {
    let mut store = Inbox::new();
    let mut client = Client::new(&mut store, 7);
    let mut command = b"x LOGIN".to_vec();
    for _ in 0..100 {
        command.extend_from_slice(b" {20000+}\r\n");
        command.extend_from_slice(&[b'a'; 20_000]);
    }
    command.extend_from_slice(b"\r\ny NOOP\r\n");
    let mut held = 0;
    let mut reply = Vec::new();
    for piece in command.chunks(4096) {
        reply.extend(client.say(&mut store, piece));
        held = held.max(client.session.memory());
    }
    assert_eq!(reply, b"x BAD command is too long\r\ny OK NOOP completed\r\n");
    assert!(held <= 2 * limits::IMAP_COMMAND + 64 * 1024, "{held} octets held");
    assert_eq!(client.session.memory(), 0);
}

/// S31: parentheses do not nest without end.
#[test]
fn s31_deep_parentheses() {
    let mut store = Inbox::new();
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let mut command = b"x FETCH 1 ".to_vec();
    command.extend(vec![b'('; 1_000_000]);
    command.extend_from_slice(b"\r\n");
    let reply = client.say(&mut store, &command);
    assert!(reply.starts_with(b"x BAD "), "{}", String::from_utf8_lossy(&reply));
}

/// S32: after an error with `{n+}` the octets are no commands, and each command has one tagged reply.
#[test]
fn s32_octets_behind_an_error_are_no_commands() {
    let mut store = Inbox::new();
    for cut in 1..60 {
        let mut client = Client::new(&mut store, 7);
        let dialogue = b"x FROBNICATE {11+}\r\nz LOGOUT\r\n.\r\ny NOOP\r\nw FETCH {3}\r\nv NOOP\r\n";
        let (one, two) = dialogue.split_at(cut.min(dialogue.len()));
        let mut reply = client.say(&mut store, one);
        reply.extend(client.say(&mut store, two));
        let text = String::from_utf8(reply).unwrap();
        let tags: Vec<&str> = text.lines().map(|line| line.split(' ').next().unwrap()).collect();
        assert_eq!(tags[..2], ["x", "y"], "{text}");
        assert!(!text.contains("z "), "{text}");
        assert!(client.closed.is_none());
    }
}

/// S33: sets are never expanded; their cost is their ranges and hits.
#[test]
fn s33_great_sets() {
    let mut store = Inbox::new();
    for _ in 0..50 {
        store.append(0, b"", b"a: b\r\n\r\n", Flags::SEEN, &[]);
    }
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let text = String::from_utf8(client.say(&mut store, b"x UID FETCH 1:4294967295 UID\r\n")).unwrap();
    assert_eq!(text.matches(" FETCH (UID ").count(), 50);
    let many: Vec<String> = (0..50_000).map(|n| format!("{}:{}", n * 3 + 1, n * 3 + 2)).collect();
    let text = client.say(&mut store, format!("y UID FETCH {} UID\r\n", many.join(",")).as_bytes());
    let text = String::from_utf8(text).unwrap();
    assert_eq!(text.matches(" FETCH (UID ").count(), 34, "two of three");
    let repeated = vec!["7"; 50_000].join(",");
    let text = client.say(&mut store, format!("z FETCH {repeated} UID\r\n").as_bytes());
    assert_eq!(text, b"* 7 FETCH (UID 7)\r\nz OK FETCH completed\r\n");
}

/// S34: an item named again is answered once.
#[test]
fn s34_items_are_not_multiplied() {
    let mut store = Inbox::new();
    store.append(0, b"", b"a: b\r\n\r\nhello", Flags::SEEN, &[]);
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let items = vec!["BODY.PEEK[]"; 1000].join(" ");
    let reply = client.say(&mut store, format!("x FETCH 1 ({items})\r\n").as_bytes());
    assert_eq!(literals(&reply).len(), 1);
}

/// S35, S36: a message of nested parts and endless headers is answered, without a deep stack.
#[test]
fn s35_s36_bombs_are_answered() {
    let mut deep = Vec::new();
    for n in 0..2000 {
        deep.extend_from_slice(format!("Content-Type: multipart/mixed; boundary={n}\r\n\r\n--{n}\r\n").as_bytes());
    }
    let wide = [b"To: ".as_slice(), &b"a@one.test, ".repeat(50_000), b"\r\n\r\n"].concat();
    let answer = std::thread::Builder::new().stack_size(256 * 1024).spawn(move || {
        let mut store = Inbox::new();
        store.append(0, b"", &deep, Flags::SEEN, &[]);
        store.append(0, b"", &wide, Flags::SEEN, &[]);
        let mut client = Client::new(&mut store, 7);
        client.say(&mut store, b"s SELECT INBOX\r\n");
        let path = vec!["1"; 100].join(".");
        client.say(
            &mut store,
            format!("x FETCH 1:2 (ENVELOPE BODYSTRUCTURE BODY.PEEK[{path}])\r\n").as_bytes(),
        )
    });
    let answer = answer.expect("a thread").join().expect("no panic");
    assert!(answer.ends_with(b"x OK FETCH completed\r\n"));
}

/// S64: garbage ends the session soon.
#[test]
fn s64_garbage_ends_the_session() {
    let mut store = Inbox::new();
    // It has logged in: a stranger is let go sooner (script `s64_three_errors`).
    for garbage in [
        b"\x16\x03\x01\x02\r\n\r\n".repeat(10),
        b"x\r\n".repeat(20),
        b"GET / HTTP/1.0\r\n".to_vec(),
        b"host: a\r\n".to_vec(),
    ] {
        let mut client = Client::new(&mut store, 7);
        client.say(&mut store, &garbage);
        let close = client.closed.expect("closed");
        assert_eq!(close.why, Reason::NotOurProtocol);
    }
}

/// A long header is filtered in two passes: the same answer as in one.
#[test]
fn a_long_header_is_filtered_in_two_passes() {
    let mut header = Vec::new();
    for n in 0..4000 {
        header.extend_from_slice(format!("X-{}: value number {n}\r\n", n % 10).as_bytes());
    }
    assert!(header.len() as u64 > limits::FILTERED);
    let body = [&header[..], b"\r\nhello\r\n"].concat();
    let mut store = Inbox::new();
    store.append(0, b"", &body, Flags::SEEN, &[]);
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    client.chunk = 1000;
    let ask = b"x FETCH 1 (BODY.PEEK[HEADER.FIELDS (X-3 X-4)] BODY.PEEK[HEADER.FIELDS.NOT (X-3)]<5.100> BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (x-3)]<999999.1>)\r\n";
    let found = literals(&client.say(&mut store, ask));
    let keep = |wanted: &dyn Fn(&str) -> bool| -> Vec<u8> {
        let text = String::from_utf8(header.clone()).unwrap();
        let lines = text.split_inclusive("\r\n").filter(|line| wanted(line));
        lines.collect::<String>().into_bytes().into_iter().chain(*b"\r\n").collect()
    };
    assert!(found[0] == keep(&|line| line.starts_with("X-3:") || line.starts_with("X-4:")));
    assert!(found[1] == keep(&|line| !line.starts_with("X-3:"))[5..105]);
    assert_eq!(found[2], b"hello\r\n");
    assert_eq!(found[3], b"");
}
