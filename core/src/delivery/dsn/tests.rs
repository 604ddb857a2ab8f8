use alloc::format;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::field::{ascii, original_recipient, typed_address};
use super::*;
use crate::address::{Host, LocalPart};
use crate::limits;
use crate::message::header::fields;
use crate::record::Record;
use crate::store::queue::{QueuedRecipient, Ret, Wishes};

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text, true).unwrap()
}

fn entered(from: &str, notify: impl Into<Option<Notify>>) -> Enqueue {
    Enqueue {
        message: "m0000000000000001".into(),
        submitter: None,
        reverse_path: if from.is_empty() {
            ReversePath::Null
        } else {
            ReversePath::Mailbox(mailbox(from))
        },
        reportable: true,
        prefix: Arc::from(&b""[..]),
        arrived: UnixTime::from_seconds(1_795_510_800),
        expires: UnixTime::from_seconds(1_795_942_800),
        wishes: Wishes::default(),
        recipients: Vec::from([QueuedRecipient {
            notify: notify.into(),
            ..QueuedRecipient::of(mailbox("bob@two.test"))
        }]),
    }
}

fn ours() -> Ours {
    Ours {
        hostname: Domain::parse("mx.one.test", false).unwrap(),
        domain: Domain::parse("one.test", false).unwrap(),
    }
}

fn said(code: u16, status: [u16; 3], text: &str, by: Option<&str>) -> Option<Arc<Said>> {
    Some(Arc::new(Said {
        code,
        status,
        text: text.into(),
        by: by.map(Arc::from),
    }))
}

fn told(action: Action) -> Told {
    Told {
        recipient: 0,
        action,
        said: said(550, [5, 1, 1], "no such user", Some("mx.two.test")),
        attempted: Some(UnixTime::from_seconds(1_795_510_860)),
    }
}

fn report(message: &Enqueue, order: &ReportOrder, original: &[u8]) -> Written {
    write(&ReportMatter {
        ours: &ours(),
        message,
        order,
        id: "r1",
        now: UnixTime::from_seconds(1_795_510_900),
        original: &original[..original.len().min(limits::REPORT_RETURNED)],
        original_len: original.len() as u64,
    })
}

#[test]
fn s15_who_is_told_what() {
    let every = [
        Action::Failed,
        Action::Delayed,
        Action::Relayed,
        Action::Delivered,
        Action::Expanded,
    ];
    let asked = |message: &Enqueue, action| order(message, Vec::from([told(action)])).map(|order| order.addressee);
    let sender = Some(Addressee::Sender(mailbox("alice@one.test")));
    for (notify, wanted) in [
        (None, &every[..2]),
        (Some(Notify::NEVER), &every[..0]),
        (Some(Notify::SUCCESS), &every[2..]),
        (Some(Notify::FAILURE), &every[..1]),
        (Some(Notify::DELAY), &every[1..2]),
    ] {
        for action in every {
            let want = wanted.contains(&action);
            let message = entered("alice@one.test", notify);
            assert_eq!(
                asked(&message, action),
                sender.clone().filter(|_| want),
                "{notify:?} {action:?}"
            );
            // Nobody but the postmaster, and only of failures.
            let postmaster = (want && action == Action::Failed).then_some(Addressee::Postmaster);
            assert_eq!(asked(&entered("", notify), action), postmaster, "null, {notify:?} {action:?}");
            let junk = Enqueue {
                reportable: false,
                ..message
            };
            assert_eq!(asked(&junk, action), postmaster, "junk, {notify:?} {action:?}");
        }
    }
}

#[test]
fn an_order_survives() {
    let order = order(&entered("alice@one.test", Notify::DEFAULT), Vec::from([told(Action::Failed)])).unwrap();
    assert_eq!(ReportOrder::from_record(&order.to_record()), Ok(order));
}

/// The one header block named `name` of a written report: the lines behind `Content-Type: name` up to the next boundary.
fn part<'a>(text: &'a str, content: &str) -> &'a str {
    let at = text.find(&format!("Content-Type: {content}")).expect("the part");
    let body = &text[at..][text[at..].find("\r\n\r\n").unwrap() + 4..];
    &body[..body.find("\r\n--=_").unwrap()]
}

fn value(block: &str, name: &str) -> Option<String> {
    let field = fields(block.as_bytes()).find(|field| field.is(name))?;
    Some(String::from_utf8(field.unfolded()).unwrap())
}

#[test]
fn a_failure() {
    let message = Enqueue {
        wishes: Wishes {
            envelope_id: Some("abc 1".into()),
            ..Wishes::default()
        },
        ..entered("alice@one.test", Notify::DEFAULT)
    };
    let order = order(&message, Vec::from([told(Action::Failed)])).unwrap();
    let original = b"From: alice@one.test\r\nMessage-ID: <1@one.test>\r\nSubject: hello\r\n\r\nbody\r\n";
    let written = report(&message, &order, original);
    assert!(!written.eight_bit && !written.utf8);
    let text = String::from_utf8(written.bytes).unwrap();
    let header = &text[..text.find("\r\n\r\n").unwrap() + 2];
    assert_eq!(
        value(header, "From").unwrap(),
        "\"Mail Delivery System\" <MAILER-DAEMON@one.test>"
    );
    assert_eq!(value(header, "To").unwrap(), "<alice@one.test>");
    assert_eq!(value(header, "Auto-Submitted").unwrap(), "auto-replied");
    assert_eq!(value(header, "References").unwrap(), "<1@one.test>");
    assert_eq!(value(header, "Message-ID").unwrap(), "<r1.report@mx.one.test>");
    let status = part(&text, "message/delivery-status");
    assert_eq!(
        status,
        "Reporting-MTA: dns; mx.one.test\r\n\
         Original-Envelope-Id: abc 1\r\n\
         Arrival-Date: Tue, 24 Nov 2026 09:00:00 +0000\r\n\
         \r\n\
         Final-Recipient: rfc822; bob@two.test\r\n\
         Action: failed\r\n\
         Status: 5.1.1\r\n\
         Remote-MTA: dns; mx.two.test\r\n\
         Diagnostic-Code: smtp; 550 5.1.1 no such user\r\n\
         Last-Attempt-Date: Tue, 24 Nov 2026 09:01:00 +0000\r\n"
    );
    assert_eq!(
        part(&text, "text/rfc822-headers"),
        "From: alice@one.test\r\nMessage-ID: <1@one.test>\r\nSubject: hello\r\n"
    );
    let human = part(&text, "text/plain");
    assert!(
        human.contains("What happened: mx.two.test said: 550 5.1.1 no such user"),
        "{human}"
    );
    assert!(human.contains("Which rule: 5.1.1, there is no such mailbox"), "{human}");
    assert!(human.contains("What to do: Look whether the address"), "{human}");
    assert!(text.lines().all(|line| line.len() <= 78), "{text}");
}

#[test]
fn the_whole_message_only_when_asked_for_small_and_failed() {
    let mut message = entered("alice@one.test", Notify(7));
    message.wishes.ret = Some(Ret::Full);
    let small = b"Subject: x\r\n\r\nthe body\r\n".to_vec();
    let large = [&small[..], &b"y".repeat(limits::REPORT_RETURNED)].concat();
    for (action, ret, original, whole) in [
        (Action::Failed, Some(Ret::Full), &small, true),
        (Action::Failed, Some(Ret::Headers), &small, false),
        (Action::Failed, None, &small, false),
        (Action::Failed, Some(Ret::Full), &large, false),
        (Action::Delayed, Some(Ret::Full), &small, false),
        (Action::Relayed, Some(Ret::Full), &small, false),
    ] {
        message.wishes.ret = ret;
        let order = order(&message, Vec::from([told(action)])).unwrap();
        let written = report(&message, &order, original);
        let text = String::from_utf8(written.bytes).unwrap();
        assert_eq!(text.contains("the body"), whole, "{action:?}");
        assert_eq!(text.contains("Content-Type: message/rfc822"), whole);
        assert_eq!(text.contains("Content-Type: text/rfc822-headers"), !whole);
    }
}

#[test]
fn a_large_header_is_cut_between_lines() {
    let message = entered("alice@one.test", Notify::DEFAULT);
    let order = order(&message, Vec::from([told(Action::Failed)])).unwrap();
    let original = "X-Long: 0123456789\r\n".repeat(10_000);
    let written = report(&message, &order, original.as_bytes());
    let text = String::from_utf8(written.bytes).unwrap();
    let returned = part(&text, "text/rfc822-headers");
    assert!(returned.len() <= limits::REPORT_RETURNED && returned.len() > limits::REPORT_RETURNED - 100);
    assert!(returned.ends_with("0123456789\r\n"));
}

#[test]
fn eight_bits_and_utf8_are_declared() {
    let mut message = entered("jürgen@one.test", Notify::DEFAULT);
    message.recipients[0].address = mailbox("bücher+1@zwei.test");
    let order = order(&message, Vec::from([told(Action::Failed)])).unwrap();
    let written = report(&message, &order, "Subject: für\r\n\r\n".as_bytes());
    assert!(written.eight_bit && written.utf8);
    let text = String::from_utf8(written.bytes).unwrap();
    assert!(text.contains("Content-Type: message/global-headers"));
    assert_eq!(
        value(
            part(&text, "message/delivery-status").split("\r\n\r\n").nth(1).unwrap(),
            "Final-Recipient"
        )
        .unwrap(),
        "utf-8; b\\x{FC}cher\\x{2B}1@zwei.test"
    );
}

/// As many recipients as one record takes, each with the longest words: still a small message.
#[test]
fn s17_the_largest_report_is_inline() {
    let mut message = entered("alice@one.test", Notify(7));
    message.recipients = (0..limits::CLIENT_RECIPIENTS)
        .map(|number| QueuedRecipient {
            original: Some("\u{20ac}".repeat(500).into()),
            notify: Some(Notify::FAILURE),
            ..QueuedRecipient::of(mailbox(&format!("{number}{}@{}test", "x".repeat(60), "y.".repeat(120))))
        })
        .collect();
    let long = "\u{20ac}".repeat(2000);
    let all = (0..100).map(|recipient| Told {
        recipient,
        said: said(550, [5, 7, 1], &long, Some(&long)),
        ..told(Action::Failed)
    });
    let order = order(&message, all.collect()).unwrap();
    let written = report(&message, &order, &b"X: y\r\n".repeat(20_000));
    assert!(written.bytes.len() < limits::INLINE_BODY as usize, "{}", written.bytes.len());
    let text = String::from_utf8(written.bytes).unwrap();
    assert!(text.contains("more recipients are listed"));
    assert_eq!(text.matches("Final-Recipient:").count(), 100);
}

#[test]
fn the_boundary_stands_nowhere_else() {
    let message = Enqueue {
        wishes: Wishes {
            ret: Some(Ret::Full),
            ..Wishes::default()
        },
        ..entered("alice@one.test", Notify::DEFAULT)
    };
    let order = order(&message, Vec::from([told(Action::Failed)])).unwrap();
    let written = report(&message, &order, b"Subject: x\r\n\r\n--=_r1_0--\r\n--=_r1_1\r\n");
    let text = String::from_utf8(written.bytes).unwrap();
    assert!(text.contains("boundary=\"=_r1_2\""));
}

proptest! {
    /// S18: whatever other servers, senders and recipients say, the report's blocks have exactly the fields that we write.
    #[test]
    fn nothing_from_outside_makes_a_field(
        text in any::<String>(), server in any::<String>(), original in any::<String>(), envelope_id in any::<String>(),
        message_id in any::<String>(), local in "[ -~\u{80}-\u{2fff}]{1,16}", header in any::<Vec<u8>>(), by_us: bool,
    ) {
        let Ok(local) = LocalPart::new(&local, true) else { return Ok(()) };
        let address = Mailbox { local, host: Host::Domain(Domain::parse("two.test", false).unwrap()) };
        let mut message = entered("x@one.test", Notify::DEFAULT);
        message.reverse_path = ReversePath::Mailbox(address.clone());
        message.message = message_id.as_str().into();
        message.wishes.envelope_id = Some(envelope_id.as_str().into());
        message.recipients[0] = QueuedRecipient { original: Some(original.as_str().into()), ..QueuedRecipient::of(address.clone()) };
        let told = Told { said: said(550, [5, 7, 1], &text, (!by_us).then_some(server.as_str())), ..told(Action::Failed) };
        let order = order(&message, Vec::from([told])).unwrap();
        let written = report(&message, &order, &header);
        let at = memchr::memmem::find(&written.bytes, b"Content-Type: message/delivery-status").unwrap();
        let block = &written.bytes[at..];
        let block = &block[memchr::memmem::find(block, b"\r\n\r\n").unwrap() + 4..];
        let block = core::str::from_utf8(&block[..memchr::memmem::find(block, b"\r\n--=_").unwrap()]).unwrap();
        let (first, second) = block.split_once("\r\n\r\n").unwrap();
        let shown = |block: &str| -> Vec<(String, String)> {
            fields(block.as_bytes()).map(|field| {
                (String::from_utf8(field.name.to_vec()).unwrap(), String::from_utf8(field.unfolded()).unwrap())
            }).collect()
        };
        let field = |name: &str, value: String| (name.to_string(), value.trim().to_string());
        prop_assert_eq!(shown(first), Vec::from([
            field("Reporting-MTA", "dns; mx.one.test".into()),
            field("Original-Envelope-Id", ascii(&envelope_id)),
            field("Arrival-Date", "Tue, 24 Nov 2026 09:00:00 +0000".into()),
        ]));
        let mut want = Vec::from([
            field("Original-Recipient", original_recipient(&original)),
            field("Final-Recipient", typed_address(&address)),
            field("Action", "failed".into()),
            field("Status", "5.7.1".into()),
        ]);
        if by_us {
            want.push(field("Diagnostic-Code", format!("x-pillarbox; {}", ascii(&text))));
        } else {
            want.push(field("Remote-MTA", format!("dns; {:.255}", ascii(&server))));
            want.push(field("Diagnostic-Code", format!("smtp; {}", ascii(&format!("550 5.7.1 {text}")))));
        }
        want.push(field("Last-Attempt-Date", "Tue, 24 Nov 2026 09:01:00 +0000".into()));
        prop_assert_eq!(shown(second), want);
        let head = memchr::memmem::find(&written.bytes, b"\r\n\r\n").unwrap();
        let names: Vec<_> = fields(&written.bytes[..head + 2]).map(|field| String::from_utf8(field.name.to_vec()).unwrap()).collect();
        let names: Vec<_> = names.iter().map(String::as_str).filter(|name| !matches!(*name, "References" | "Content-Transfer-Encoding")).collect();
        prop_assert_eq!(names, ["Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "MIME-Version", "Content-Type"]);
        let ours = written.bytes.len() - header.len().min(limits::REPORT_RETURNED);
        let before = &written.bytes[..ours.min(at)];
        prop_assert!(before.split(|byte| *byte == b'\n').all(|line| line.len() <= 999));
        prop_assert!(!before.iter().enumerate().any(|(at, byte)| *byte == b'\n' && before[at - 1] != b'\r'));
    }
}
