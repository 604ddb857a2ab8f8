//! Reports, read back by this project's MIME walker and by a second parser.

use std::sync::Arc;

use mail_parser::{MessageParser, MimeHeaders};
use pillarbox_core::address::{Domain, Mailbox, ReversePath};
use pillarbox_core::delivery::dsn::{self, Action, Ours, ReportMatter, Told};
use pillarbox_core::message::digest::Digest;
use pillarbox_core::message::mime::Walker;
use pillarbox_core::store::queue::{Enqueue, Notify, QueuedRecipient, Ret, Said, Wishes};
use pillarbox_core::time::UnixTime;
use proptest::prelude::*;

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text, true).expect("an address")
}

fn message(recipients: &[&str], ret: Option<Ret>) -> Enqueue {
    let recipient = |address: &&str| QueuedRecipient {
        original: Some(format!("rfc822;{address}").into()),
        notify: Some(Notify(7)),
        ..QueuedRecipient::of(mailbox(address))
    };
    Enqueue {
        message: "m0000000000000001".into(),
        submitter: None,
        reverse_path: ReversePath::Mailbox(mailbox("alice@one.test")),
        reportable: true,
        prefix: Arc::from(&b""[..]),
        arrived: UnixTime::from_seconds(1_795_510_800),
        expires: UnixTime::from_seconds(1_795_942_800),
        wishes: Wishes {
            ret,
            ..Wishes::default()
        },
        recipients: recipients.iter().map(recipient).collect(),
    }
}

fn told(recipient: u32, action: Action, text: &str) -> Told {
    Told {
        recipient,
        action,
        said: Some(Arc::new(Said {
            code: 550,
            status: [5, 1, 1],
            text: text.into(),
            by: Some("mx.two.test".into()),
        })),
        attempted: None,
    }
}

fn written(message: &Enqueue, told: Vec<Told>, original: &[u8]) -> dsn::Written {
    let order = dsn::order(message, told).expect("somebody is told");
    dsn::write(&ReportMatter {
        ours: &Ours {
            hostname: Domain::parse("mx.one.test", false).expect("a name"),
            domain: Domain::parse("one.test", false).expect("a name"),
        },
        message,
        order: &order,
        id: "r1",
        now: UnixTime::from_seconds(1_795_510_900),
        original,
        original_len: original.len() as u64,
    })
}

/// Content types of the parts in the project's own tree: `multipart/report(text/plain,…)`.
fn own_tree(bytes: &[u8]) -> Vec<String> {
    let mut walker = Walker::new();
    walker.update(bytes);
    let parts = walker.finish();
    let shown = |walked: &pillarbox_core::message::mime::Walked| {
        let content = walked.content.as_ref();
        content.map_or("text/plain".to_string(), |content| {
            format!(
                "{}/{}",
                String::from_utf8_lossy(&content.main).to_lowercase(),
                String::from_utf8_lossy(&content.sub).to_lowercase()
            )
        })
    };
    parts.iter().map(shown).collect()
}

#[test]
fn both_parsers_find_the_three_parts() {
    let message = message(&["bob@two.test", "carol@two.test", "dave@two.test"], Some(Ret::Full));
    let news = vec![
        told(2, Action::Relayed, "taken"),
        told(0, Action::Failed, "no such user"),
        told(1, Action::Failed, "no such user either"),
    ];
    let original = b"From: alice@one.test\r\nSubject: hello\r\n\r\nthe body\r\n";
    let report = written(&message, news, original);
    assert_eq!(
        own_tree(&report.bytes),
        [
            "multipart/report",
            "text/plain",
            "message/delivery-status",
            "message/rfc822",
            "text/plain"
        ]
    );
    let parsed = MessageParser::default().parse(&report.bytes).expect("it parses");
    assert_eq!(parsed.subject(), Some("Your message could not be delivered"));
    assert_eq!(
        parsed.to().and_then(|to| to.first()).and_then(|to| to.address()),
        Some("alice@one.test")
    );
    assert_eq!(
        parsed.from().and_then(|from| from.first()).and_then(|from| from.address()),
        Some("MAILER-DAEMON@one.test")
    );
    let content = parsed.content_type().expect("a content type");
    assert_eq!((content.ctype(), content.subtype()), ("multipart", Some("report")));
    assert_eq!(content.attribute("report-type"), Some("delivery-status"));
    let human = parsed.body_text(0).expect("words for people");
    for words in ["<bob@two.test>", "<carol@two.test>", "<dave@two.test>", "no such user either"] {
        assert!(human.contains(words), "{human}");
    }
    let status = parsed
        .parts
        .iter()
        .find(|part| part.is_content_type("message", "delivery-status"));
    let status = String::from_utf8_lossy(status.expect("a status part").contents()).into_owned();
    let groups: Vec<_> = status.trim_end().split("\r\n\r\n").collect();
    assert_eq!(groups.len(), 4, "one for the message, one for each recipient: {status}");
    for (group, (address, action)) in groups[1..].iter().zip([
        ("bob@two.test", "failed"),
        ("carol@two.test", "failed"),
        ("dave@two.test", "relayed"),
    ]) {
        assert!(
            group.contains(&format!("Final-Recipient: rfc822; {address}\r\nAction: {action}\r\n")),
            "{group}"
        );
    }
    let attached = parsed.parts.iter().find_map(|part| part.message()).expect("the original");
    assert_eq!(attached.subject(), Some("hello"));
}

/// RFC 3461 §5.2.3, §5.2.7.3: a report of success, with the header alone whatever RET says (§4.3).
#[test]
fn both_parsers_read_a_success() {
    let mut message = message(&["bob@one.test", "friends@one.test", "carol@two.test"], Some(Ret::Full));
    message.recipients[0].notify = Some(Notify::SUCCESS);
    message.recipients[2].notify = None;
    message.wishes.envelope_id = Some("QQ314159".into());
    let here = |recipient, action| Told {
        said: None,
        ..told(recipient, action, "")
    };
    let news = vec![
        here(1, Action::Expanded),
        here(0, Action::Delivered),
        told(2, Action::Relayed, "taken"),
    ];
    let report = written(&message, news, b"From: alice@one.test\r\nSubject: hello\r\n\r\nthe body\r\n");
    assert_eq!(
        own_tree(&report.bytes),
        [
            "multipart/report",
            "text/plain",
            "message/delivery-status",
            "text/rfc822-headers"
        ]
    );
    let parsed = MessageParser::default().parse(&report.bytes).expect("it parses");
    assert_eq!(parsed.subject(), Some("Your message was delivered"));
    let status = parsed
        .parts
        .iter()
        .find(|part| part.is_content_type("message", "delivery-status"));
    let status = String::from_utf8_lossy(status.expect("a status part").contents()).into_owned();
    let want = "Reporting-MTA: dns; mx.one.test\r\nOriginal-Envelope-Id: QQ314159\r\nArrival-Date: Tue, 24 Nov 2026 09:00:00 \
                +0000\r\n\r\nOriginal-Recipient: rfc822; bob@one.test\r\nFinal-Recipient: rfc822; bob@one.test\r\nAction: \
                delivered\r\nStatus: 2.0.0\r\n\r\nOriginal-Recipient: rfc822; friends@one.test\r\nFinal-Recipient: rfc822; \
                friends@one.test\r\nAction: expanded\r\nStatus: 2.0.0";
    assert_eq!(status.trim_end(), want, "who did not ask is not in it");
    let human = parsed.body_text(0).expect("words for people");
    let human: String = human.split_whitespace().collect::<Vec<_>>().join(" ");
    for words in [
        "was delivered to the following",
        "<bob@one.test>",
        "was passed on to all members",
        "<friends@one.test>",
    ] {
        assert!(human.contains(words), "{human}");
    }
    assert!(!human.contains("carol@two.test"), "{human}");
}

proptest! {
    /// Whatever is returned and said, the tree is ours: nothing from outside makes a part.
    #[test]
    fn nothing_from_outside_makes_a_part(text: String, original: Vec<u8>, lines in proptest::collection::vec("[-=_a-z0-9:\" ]{0,30}", 0..8)) {
        let message = message(&["bob@two.test"], None);
        for original in [original, [lines.join("\r\n"), "\r\n".into()].concat().into_bytes()] {
            let report = written(&message, vec![told(0, Action::Failed, &text)], &original);
            let tree = own_tree(&report.bytes);
            prop_assert_eq!(&tree[..3], ["multipart/report", "text/plain", "message/delivery-status"]);
            let returned = tree[3].as_str();
            prop_assert!(matches!(returned, "text/rfc822-headers" | "message/global-headers"), "{}", returned);
            prop_assert_eq!(tree.len(), 4);
            let mut walker = Walker::new();
            walker.update(&report.bytes);
            let _ = Digest::of(walker, report.bytes.len() as u64);
            let parsed = MessageParser::default().parse(&report.bytes).expect("it parses");
            prop_assert_eq!(parsed.subject(), Some("Your message could not be delivered"));
        }
    }
}
