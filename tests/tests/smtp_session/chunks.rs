//! BDAT beside DATA: the same text has the same fate, and no octet of a chunk is ever a command.

use pillarbox_core::machine::Reason;
use proptest::prelude::*;

use super::support::{ENVELOPE, Host, LOGIN};

/// What became of a message: the reply's code, and the octets that were committed. (With two faults, the one that comes first in a
/// chunk is told; behind a final dot all are known.)
fn by_data(submission: bool, text: &[u8]) -> (u16, u64) {
    let mut host = begun(submission);
    host.say(b"DATA\r\n");
    let mut stuffed = Vec::new();
    for line in text.split_inclusive(|byte| *byte == b'\n') {
        // Only a line that begins behind CRLF is a line to the other side.
        if line.starts_with(b".") && (stuffed.is_empty() || stuffed.ends_with(b"\r\n")) {
            stuffed.push(b'.');
        }
        stuffed.extend_from_slice(line);
    }
    stuffed.extend_from_slice(b".\r\n");
    let reply = host.say(&stuffed);
    fate(&host, &reply)
}

fn by_chunks(submission: bool, text: &[u8], cuts: &[usize], split: usize) -> (u16, u64) {
    let mut host = begun(submission);
    let (mut from, mut wire) = (0, Vec::new());
    for cut in cuts {
        let cut = (*cut).clamp(from, text.len());
        wire.extend_from_slice(format!("BDAT {}\r\n", cut - from).as_bytes());
        wire.extend_from_slice(&text[from..cut]);
        from = cut;
    }
    wire.extend_from_slice(format!("BDAT {} LAST\r\n", text.len() - from).as_bytes());
    wire.extend_from_slice(&text[from..]);
    let split = split.min(wire.len());
    let replies = host.say(&wire[..split]) + &host.say(&wire[split..]);
    assert_eq!(replies.lines().count(), cuts.len() + 1, "a reply for each chunk: {replies}");
    let decisive = replies
        .lines()
        .find(|line| !line.contains("octets so far"))
        .unwrap_or_default();
    fate(&host, decisive)
}

fn begun(submission: bool) -> Host {
    let mut host = Host::new(submission, submission);
    if submission {
        host.all(&["EHLO client.test", LOGIN]);
    }
    host.all(&ENVELOPE);
    host
}

fn fate(host: &Host, reply: &str) -> (u16, u64) {
    assert_eq!(host.closed, None, "{reply}");
    let code = reply[..3].parse().expect("a reply begins with its code");
    match host.commits.as_slice() {
        [] => (code, 0),
        [message] => {
            assert_eq!(message.size, host.body, "the size is what was written");
            (code, message.size)
        }
        more => panic!("{} messages of one", more.len()),
    }
}

/// S01: every way to write an end of data that is none, as chunks: text or a refusal, never a second message.
#[test]
fn s01_no_end_of_data_within_a_chunk() {
    let marks: [&[u8]; 5] = [b"\r", b"\n", b"\r\n", b"\0", b"."];
    let smuggled = b"MAIL FROM:<evil@x.test>\r\nRCPT TO:<bob@one.test>\r\nDATA\r\nevil\r\n.\r\nRSET\r\n";
    for one in marks {
        for two in marks {
            for three in marks {
                let text = [b"text".as_slice(), one, two, three, smuggled].concat();
                let wire = [format!("BDAT {} LAST\r\n", text.len()).as_bytes(), &text].concat();
                for cut in 0..wire.len() {
                    let mut host = begun(false);
                    let replies = host.say(&wire[..cut]) + &host.say(&wire[cut..]);
                    assert_eq!(replies.lines().count(), 1, "{text:?} at {cut}: {replies}");
                    assert_eq!(host.commits.len(), usize::from(replies.starts_with("250")));
                    assert!(
                        host.commits
                            .iter()
                            .all(|message| !message.reverse_path.to_string().contains("evil"))
                    );
                    assert_eq!(host.all(&["NOOP"]), "250 2.0.0 OK\r\n", "in step");
                }
            }
        }
    }
}

/// A chunk that is refused, for whatever reason, is read to its end; what stands in it is no command.
#[test]
fn a_refused_chunk_keeps_the_stream_in_step() {
    let chunk = b"QUIT\r\nRSET\r\nDATA\r\n.\r\nMAIL FROM:<evil@x.test>\r\n";
    let command = format!("BDAT {}\r\n", chunk.len()).into_bytes();
    let befores: [&[&str]; 4] = [
        &[],
        &ENVELOPE[..1],
        &ENVELOPE[..2],
        &["HELO client.test", ENVELOPE[1], ENVELOPE[2]],
    ];
    for before in befores {
        for cut in 0..command.len() + chunk.len() {
            let wire = [command.as_slice(), chunk].concat();
            let mut host = Host::new(false, false);
            host.all(before);
            // Under HELO nothing may be pipelined: the octets behind the command are then an early talker's.
            if before.first() == Some(&"HELO client.test") && cut != command.len() {
                continue;
            }
            let replies = host.say(&wire[..cut]) + &host.say(&wire[cut..]);
            assert_eq!(replies.lines().count(), 1, "after {before:?} at {cut}: {replies}");
            assert!(
                replies.starts_with("503 5.5.1 ") || replies.starts_with("554 5.5.1 "),
                "{replies}"
            );
            assert_eq!(host.all(&["NOOP"]), "250 2.0.0 OK\r\n");
        }
    }
}

/// Every command between two chunks: what it answers, and whether the message is still there.
#[test]
fn every_command_between_chunks() {
    let commands = [
        ("EHLO a.test", "250", false),
        ("HELO a.test", "250", false),
        ("MAIL FROM:<a@b.test>", "503", true),
        ("RCPT TO:<a@b.test>", "503", true),
        ("DATA", "503", true),
        ("RSET", "250", false),
        ("NOOP", "250", true),
        ("VRFY a", "252", true),
        ("EXPN a", "502", true),
        ("HELP", "214", true),
        ("STARTTLS", "220", false),
        (LOGIN, "503", true),
        ("BDAT 0", "250", true),
        ("XYZZY", "500", true),
    ];
    for (command, code, there) in commands {
        let mut host = begun(false);
        assert_eq!(
            host.all(&["BDAT 1", "x"]).lines().count(),
            2,
            "the line end behind the chunk is a line of its own"
        );
        let reply = host.all(&[command]);
        let last = reply.lines().last().unwrap_or_default();
        assert!(last.starts_with(code), "{command}: {reply}");
        let end = host.all(&["BDAT 0 LAST"]);
        assert_eq!(host.commits.len(), usize::from(there), "{command}: {end}");
        assert!(end.starts_with(if there { "250 " } else { "503 " }), "{command}: {end}");
    }
    let mut host = begun(false);
    host.all(&["BDAT 0", "QUIT"]);
    assert_eq!((host.closed, host.commits.len()), (Some(Reason::Quit), 0));
}

/// S08: a chunk of a gigabyte, and one that is refused: constant memory; byte by byte, too.
#[test]
fn s08_chunks_without_end() {
    let piece = vec![b'x'; 64 * 1024];
    for taken in [true, false] {
        let mut host = if taken { begun(false) } else { Host::new(false, false) };
        host.say(format!("BDAT {} LAST\r\n", (1u64 << 30) + 1000).as_bytes());
        for _ in 0..(1 << 30) / piece.len() {
            assert_eq!(host.say(&piece), "");
        }
        for _ in 0..999 {
            assert_eq!(host.say(b"x"), "");
        }
        let reply = host.say(b"x");
        assert!(reply.starts_with(if taken { "250 " } else { "503 " }), "{reply}");
        assert_eq!(host.commits.len(), usize::from(taken));
        assert!(host.most <= 256 * 1024, "{} octets are held", host.most);
        assert_eq!(host.session.buffered(), 0);
    }
}

proptest! {
    /// The same text, by DATA, by one chunk and by several, at any split: the same code, and the same octets kept.
    #[test]
    fn chunks_equal_data(
        submission: bool,
        pieces in prop::collection::vec(
            prop::sample::select(vec![
                "From: tim@one.test\r\n", "Bcc: x@y.test\r\n", "Delivered-To: bob@one.test\r\n", "Date: x\r\n", "\r\n", "text\r\n",
                ".\r\n", "..\r\n", "a\nb\r\n", "a\rb\r\n", "a\0\r\n", "Received: x\r\n",
            ]),
            0..12,
        ),
        cuts in prop::collection::vec(0usize..120, 0..5),
        split in 0usize..200,
    ) {
        // DATA ends with a line; so that both are the same text, so does this.
        let text = pieces.concat().into_bytes();
        let mut cuts = cuts;
        cuts.sort_unstable();
        let data = by_data(submission, &text);
        prop_assert_eq!(by_chunks(submission, &text, &[], split), data);
        prop_assert_eq!(by_chunks(submission, &text, &cuts, split), data);
    }
}
