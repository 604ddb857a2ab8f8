//! The SMTP session, tried by machine: every command in every state, every false end of data at every split, lines without end.

mod chunks;
mod offers;
mod support;
mod trace;

use pillarbox_core::machine::{Input, Machine, Output, Reason};
use pillarbox_core::smtp::server::Session;
use proptest::prelude::*;

use support::{ENVELOPE, Host, LOGIN, now};

/// Every state, every command: one reply with the code that the table says, and the session still answers NOOP (or has closed).
#[test]
fn every_command_in_every_state() {
    let start: &[&str] = &[];
    let ready = &ENVELOPE[..1];
    let mail = &ENVELOPE[..2];
    let rcpt = &ENVELOPE[..3];
    let commands = [
        // on 25:                        start, ready, mail,  rcpt
        ("EHLO a.test", ["250", "250", "250", "250"]),
        ("HELO a.test", ["250", "250", "250", "250"]),
        ("MAIL FROM:<a@b.test>", ["503", "250", "503", "503"]),
        ("RCPT TO:<a@b.test>", ["503", "503", "250", "250"]),
        ("DATA", ["503", "503", "554", "354"]),
        ("RSET", ["250", "250", "250", "250"]),
        ("NOOP", ["250", "250", "250", "250"]),
        ("VRFY a", ["252", "252", "252", "252"]),
        ("EXPN a", ["502", "502", "502", "502"]),
        ("HELP", ["214", "214", "214", "214"]),
        ("STARTTLS", ["220", "220", "220", "220"]),
        (LOGIN, ["503", "503", "503", "503"]),
        ("BDAT 0 LAST", ["503", "503", "554", "250"]),
        ("XYZZY", ["500", "500", "500", "500"]),
        ("QUIT", ["221", "221", "221", "221"]),
    ];
    for (command, codes) in commands {
        for (state, code) in [start, ready, mail, rcpt].into_iter().zip(codes) {
            let mut host = Host::new(false, false);
            host.all(state);
            let reply = host.all(&[command]);
            let last = reply.lines().last().unwrap_or_default();
            assert!(last.starts_with(&format!("{code} ")), "{command} after {state:?}: {reply}");
            if code == "354" {
                let reply = host.all(&["x", "."]);
                assert!(reply.starts_with("250 "), "{reply}");
            }
            match command {
                "QUIT" => assert_eq!(host.closed, Some(Reason::Quit)),
                _ => assert_eq!(host.all(&["NOOP"]), "250 2.0.0 OK\r\n", "after {command}"),
            }
        }
    }
}

/// What DATA reads is text, whatever it looks like; what AUTH reads is a response.
#[test]
fn commands_within_data_and_auth_are_none() {
    for command in ["QUIT", "RSET", "EHLO x", "DATA", "STARTTLS", LOGIN] {
        let mut host = Host::new(false, false);
        host.all(&ENVELOPE);
        assert!(host.all(&["DATA"]).starts_with("354"));
        assert_eq!(host.all(&[command]), "");
        assert!(host.all(&["."]).starts_with("250"), "{command}");
        let mut host = Host::new(true, true);
        host.all(&["EHLO x", "AUTH PLAIN"]);
        // Some are base64 by chance: then they are a wrong response.
        let reply = host.all(&[command]);
        assert!(
            reply.starts_with("501 5.5.2 ") || reply.starts_with("535 "),
            "{command}: {reply}"
        );
        assert_eq!(host.closed, None);
    }
}

/// S01: every way to write an end of data that is none, at every split: one message or a refusal, never two.
#[test]
fn s01_every_false_end_at_every_split() {
    let marks: [&[u8]; 5] = [b"\r", b"\n", b"\r\n", b"\0", b"."];
    let mut endings: Vec<Vec<u8>> = Vec::new();
    for one in marks {
        for two in marks {
            for three in marks {
                endings.push([one, two, three].concat());
            }
        }
    }
    for hex in ["0a2e0a", "0d2e0d", "0a2e0d0a", "0d2e0d0a", "0d0a2e0a"] {
        let bytes = (0..hex.len()).step_by(2).map(|at| u8::from_str_radix(&hex[at..at + 2], 16));
        endings.push(bytes.collect::<Result<_, _>>().expect("hexadecimal"));
    }
    let smuggled = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<bob@one.test>\r\nDATA\r\nevil\r\n.\r\n";
    for ending in endings {
        let honest = ending == b"\r\n.\r\n";
        let bytes = [b"text".as_slice(), &ending, smuggled].concat();
        for cut in 0..bytes.len() {
            let mut host = Host::new(false, false);
            host.all(&ENVELOPE);
            host.say(b"DATA\r\n");
            let replies = host.say(&bytes[..cut]) + &host.say(&bytes[cut..]);
            let evil = host
                .commits
                .iter()
                .any(|message| message.reverse_path.to_string().contains("evil"));
            if honest {
                // What follows a real end is a command; DATA with its text at once is then an early talker.
                assert_eq!(host.commits.len(), 1 + usize::from(evil), "{replies}");
                continue;
            }
            assert!(!evil, "{ending:?} at {cut}: smuggled");
            let answers = replies.lines().count();
            assert_eq!(answers, 1, "{ending:?} at {cut}: {replies}");
            assert_eq!(
                host.commits.len(),
                usize::from(replies.starts_with("250")),
                "{ending:?}: {replies}"
            );
        }
    }
}

/// S04: bytes behind STARTTLS, cut everywhere: none is read as a command, before or after the handshake.
#[test]
fn s04_no_byte_crosses_the_handshake() {
    let bytes = b"STARTTLS\r\nMAIL FROM:<evil@x.test>\r\n";
    for cut in 0..bytes.len() {
        let mut host = Host::new(false, false);
        host.all(&ENVELOPE[..1]);
        let mut replies = host.say(&bytes[..cut]);
        // Once the handshake has begun, what follows is the TLS layer's.
        if host.handshakes == 0 {
            replies += &host.say(&bytes[cut..]);
        }
        if host.handshakes == 0 {
            assert_eq!(host.closed, Some(Reason::StartTlsInjection), "cut at {cut}: {replies}");
            assert!(replies.starts_with("554 "), "{replies}");
        } else {
            assert_eq!(cut, "STARTTLS\r\n".len());
            assert!(host.all(&["MAIL FROM:<a@b.test>"]).starts_with("503"), "EHLO was forgotten");
        }
        assert_eq!(replies.lines().count(), 1, "cut at {cut}: {replies}");
    }
}

/// S08: a line of a gigabyte, as a command and as text, and byte by byte: constant memory.
#[test]
fn s08_lines_without_end() {
    let chunk = vec![b'x'; 64 * 1024];
    let mut host = Host::new(false, false);
    for _ in 0..(1 << 30) / chunk.len() {
        assert_eq!(host.say(&chunk), "");
    }
    assert!(host.most <= 256 * 1024, "{} octets are held", host.most);
    assert!(host.say(b"\r\n").starts_with("500 "));
    host.all(&ENVELOPE);
    host.say(b"DATA\r\n");
    for _ in 0..(1 << 30) / chunk.len() {
        host.say(&chunk);
    }
    for _ in 0..1 << 20 {
        host.say(b"x");
    }
    assert!(host.say(b"\r\n.\r\n").starts_with("250 "));
    assert_eq!(host.body, (1 << 30) + (1 << 20) + 2);
    assert!(host.most <= 256 * 1024, "{} octets are held", host.most);
}

/// A peer that pipelines commands and takes no reply is not read any further.
#[test]
fn replies_that_are_not_taken_are_bounded() {
    let mut host = Host::new(false, false);
    host.all(&ENVELOPE[..1]);
    let commands = b"HELP\r\n".repeat(10_000);
    let mut rounds = 0;
    loop {
        match host.session.poll() {
            Output::Wait(wait) if wait.read => {}
            Output::Wait(_) => break,
            _ => panic!("nothing is asked"),
        }
        rounds += 1;
        assert!(rounds < 100, "it reads without end");
        host.session.handle(now(), Input::Received(&commands));
    }
    assert!(host.session.buffered() < 1024 * 1024, "{}", host.session.buffered());
}

/// An idle session owns no buffer, whatever it did before, and is small itself.
#[test]
fn an_idle_session_owns_no_buffer() {
    let mut host = Host::new(true, true);
    assert_eq!(host.session.buffered(), 0);
    host.all(&["EHLO x", LOGIN]);
    host.say(b"MAIL FROM:<tim@one.test>\r\nRCPT TO:<bob@one.test>\r\nRCPT TO:<bob@one.test>\r\nNOOP\r\n");
    assert_eq!(host.session.buffered(), 0);
    host.say(b"DATA\r\n");
    host.say(b"From: tim@one.test\r\n\r\nx\r\n.\r\nNOOP\r\n");
    assert_eq!(host.commits.len(), 1);
    assert_eq!(host.session.buffered(), 0);
    assert!(size_of::<Session>() <= 2048, "{}", size_of::<Session>());
}

proptest! {
    /// S64: whatever comes, in whatever pieces, the session ends in a known state: it closes, or it rests and reads.
    #[test]
    fn s64_any_bytes(
        pieces in prop::collection::vec(
            prop_oneof![
                prop::collection::vec(any::<u8>(), 1..40),
                prop::sample::select(vec![
                    "EHLO x\r\n", "MAIL FROM:<a@b.test>\r\n", "RCPT TO:<bob@one.test>\r\n", "DATA\r\n", ".\r\n", "\r\n", "RSET\r\n",
                    "STARTTLS\r\n", "AUTH PLAIN\r\n", "AUTH LOGIN\r\n", "AUTH SCRAM-SHA-256 biwsbj10aW0scj14\r\n",
                    "BDAT 10\r\n", "BDAT 3 LAST\r\n", "BDAT 0 LAST\r\n", "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n", "From: tim@one.test\r\n", "QUIT\r\n", "*\r\n",
                ]).prop_map(|text| text.as_bytes().to_vec()),
            ],
            0..30,
        ),
        submission: bool,
    ) {
        let mut host = Host::new(submission, submission);
        for piece in &pieces {
            host.say(piece);
            prop_assert!(host.closed.is_some() || host.reads);
        }
    }
}
