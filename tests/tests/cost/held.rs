//! Octets that a connection holds, by the allocator: never above what `limits.rs` adds up to, whatever the peer does; idle, next to
//! nothing.

use pillarbox_core::limits;

use crate::allocator::counted;
use crate::cases::imap::Host as Imap;
use crate::cases::smtp::Host as Smtp;

/// Whatever a session is beside its buffers.
const SESSION: usize = 16 * 1024;

/// The most octets held, and those held at last.
fn held<H>(make: impl FnOnce() -> H, mut say: impl FnMut(&mut H)) -> (usize, usize) {
    let mut host = None;
    let of_session = counted(|| host = Some(make()));
    let mut host = host.expect("made");
    let run = counted(|| say(&mut host));
    let octets = |octets: isize| usize::try_from(octets.max(0)).expect("not negative");
    (octets(of_session.held + run.peak), octets(of_session.held + run.held))
}

#[test]
fn s08_what_an_smtp_connection_holds() {
    // What comes in is held once, in a buffer that doubles while it grows.
    let buffer = 2 * (limits::SMTP_BACKLOG + 16 * 1024);
    let line = 2 * limits::SMTP_AUTH_LINE;
    let recipients = limits::SMTP_RECIPIENTS * 1024;
    type Say = fn(&mut Smtp);
    let cases: [(&str, bool, usize, Say); 8] = [
        ("nothing", false, 0, |_| {}),
        ("an endless line", false, line, |host| {
            (0..100_000).for_each(|_| host.say(b"0123456789abcdef"))
        }),
        ("an endless AUTH", true, 4 * limits::SMTP_AUTH_LINE, |host| {
            host.say(b"AUTH PLAIN ");
            (0..100_000).for_each(|_| host.say(b"0123456789abcdef"));
        }),
        ("commands without end", false, buffer, |host| {
            (0..100).for_each(|_| host.say(&b"NOOP\r\n".repeat(2000)))
        }),
        ("recipients without end", false, buffer + recipients, |host| {
            host.say(b"MAIL FROM:<a@b.test>\r\n");
            let recipient = |number| format!("RCPT TO:<{number:064}@one.test>\r\n");
            (0..3000).for_each(|number| host.say(recipient(number).as_bytes()));
        }),
        ("a message without end", false, buffer + 64 * 1024, |host| {
            host.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<b@one.test>\r\nDATA\r\n");
            (0..4000).for_each(|_| host.say(&b"a line\r\n".repeat(512)));
        }),
        ("a header without end", true, buffer + 3 * limits::SUBMISSION_HEADER, |host| {
            host.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<b@one.test>\r\nDATA\r\n");
            (0..1000).for_each(|_| host.say(&b"X: a line\r\n".repeat(400)));
        }),
        ("chunks without end", false, buffer + 64 * 1024, |host| {
            host.say(b"MAIL FROM:<a@b.test>\r\nRCPT TO:<b@one.test>\r\n");
            (0..10_000).for_each(|_| host.say(b"BDAT 8\r\na line\r\n"));
        }),
    ];
    for (what, submission, bound, say) in cases {
        let (most, last) = held(|| Smtp::ready(submission), say);
        println!("{what}: {most} octets of {}, then {last}", bound + SESSION);
        assert!(most <= bound + SESSION, "{what}: {most} octets");
        if bound <= buffer {
            assert!(last <= SESSION, "{what}: {last} octets are left");
        }
    }
}

#[test]
fn s30_what_an_imap_connection_holds() {
    let before = 2 * limits::IMAP_COMMAND_BEFORE_LOGIN;
    let command = 2 * limits::IMAP_COMMAND;
    let sending = 2 * (limits::SEND_HIGH_WATER + 64 * 1024);
    type Say = fn(&mut Imap);
    let cases: [(&str, bool, usize, Say); 9] = [
        ("nothing", true, 0, |_| {}),
        ("a stranger's endless line", false, before, |host| {
            (0..100_000).for_each(|_| host.say(b"0123456789abcdef"))
        }),
        ("a stranger's literals", false, before, |host| {
            host.say(b"a LOGIN ");
            (0..10_000).for_each(|_| host.say(b"{4+}\r\nabcd "));
        }),
        ("a stranger's great literal", false, before, |host| {
            host.say(b"a LOGIN {1000000000+}\r\n");
            (0..100_000).for_each(|_| host.say(b"0123456789abcdef"));
        }),
        ("an endless line", true, command, |host| {
            (0..200_000).for_each(|_| host.say(b"0123456789abcdef"))
        }),
        ("literals without end", true, command, |host| {
            host.say(b"a ID (");
            (0..200_000).for_each(|_| host.say(b"{4+}\r\nabcd "));
        }),
        // A message is written as it comes.
        ("a message without end", true, 128 * 1024, |host| {
            host.say(b"a APPEND INBOX {40000000+}\r\n");
            (0..9000).for_each(|_| host.say(&b"a line\r\n".repeat(512)));
        }),
        ("commands without end", true, before + sending, |host| {
            (0..100).for_each(|_| host.say(&b"a NOOP\r\n".repeat(2000)))
        }),
        ("all envelopes, again and again", true, before + sending, |host| {
            (0..10).for_each(|_| host.say(b"a FETCH 1:* (FLAGS ENVELOPE BODYSTRUCTURE)\r\n"));
        }),
    ];
    for (what, logged_in, bound, say) in cases {
        let make = || {
            if logged_in {
                Imap::selected(2000, b"Subject: x\r\n\r\ny\r\n")
            } else {
                Imap::new()
            }
        };
        // The mailbox is the store's, not the session's.
        let of_mailbox = if logged_in { held(make, |_| {}).1 } else { 0 };
        let (most, last) = held(make, say);
        let (most, last) = (most.saturating_sub(of_mailbox), last.saturating_sub(of_mailbox));
        println!("{what}: {most} octets of {}, then {last}", bound + SESSION);
        assert!(most <= bound + SESSION, "{what}: {most} octets");
        if !what.contains("line") && !what.contains("literal") {
            assert!(last <= SESSION, "{what}: {last} octets are left");
        }
    }
}

/// A session that waits owns no buffer (law of `machine.rs`): what it says it holds is nothing.
#[test]
fn an_idle_session_owns_no_buffer() {
    let mut smtp = Smtp::ready(false);
    smtp.say(b"NOOP\r\n");
    assert_eq!(smtp.session.buffered(), 0);
    let mut imap = Imap::selected(10, b"Subject: x\r\n\r\ny\r\n");
    imap.say(b"a NOOP\r\nb FETCH 1:* ENVELOPE\r\n");
    assert_eq!(imap.session.memory(), 0);
}

/// S26: what was begun of a login is given back when it is cancelled, however often. (Too many errors end a session.)
#[test]
fn s26_cancelled_logins_leave_nothing() {
    let session = |first: &[u8]| {
        let mut host = Smtp::new(true);
        host.say(b"EHLO client.test\r\n");
        let before = host.sent;
        host.say(first);
        host.say(b"*\r\n");
        assert!(host.sent > before, "it is answered");
        host.say(b"AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9eA==\r\n*\r\n");
        host
    };
    for first in [
        &b"AUTH PLAIN\r\n"[..],
        b"AUTH LOGIN\r\ndGlt\r\n",
        b"AUTH SCRAM-SHA-256 biwsbj11c2VyLHI9eA==\r\n",
    ] {
        drop(session(first)); // what is made once for all is made
        let whole = counted(|| (0..10_000).for_each(|_| drop(session(first))));
        assert_eq!(whole.held, 0, "{} octets are left", whole.held);
        let (_, last) = held(|| session(first), |_| {});
        assert!(last <= 2048, "a session holds {last} octets");
    }
}
