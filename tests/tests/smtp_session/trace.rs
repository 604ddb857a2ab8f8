//! What a message gets on its way: trace fields, and who is told of a failure. And the recorded form of answers.

use pillarbox_core::message::header;
use pillarbox_core::policy::access::{AuthorVerdict, Login, RecipientVerdict, Refusal};
use pillarbox_core::record::Record;
use pillarbox_core::sasl::{Proof, ProofVerdict, ScramSalt};
use pillarbox_core::smtp::server::ask::{Committed, Notice, PasswordVerdict, SinkOpened, TlsOutcome, Value};
use pillarbox_core::store::AccountId;
use pillarbox_tests::host::evidence;
use pillarbox_tests::host::smtp::{local, remote};
use proptest::prelude::*;

use super::support::{ENVELOPE, Host, LOGIN};

/// RFC 5321 §4.4, RFC 3848: the trace fields, whole, in their order; `for` only with a single recipient.
#[test]
fn trace_fields() {
    let mut host = Host::new(true, true);
    host.all(&[
        "EHLO [192.168.1.2]",
        LOGIN,
        ENVELOPE[1],
        ENVELOPE[2],
        "DATA",
        "From: tim@one.test",
        "",
        ".",
    ]);
    let message = &host.commits[0];
    assert_eq!((message.id.len(), message.local.len()), (17, 1));
    let prefix = String::from_utf8(message.local[0].prefix.clone()).expect("ASCII");
    assert_eq!(
        prefix,
        format!(
            "Return-Path: <tim@one.test>\r\nDelivered-To: bob@one.test\r\n\
             Received: from [192.168.1.2] ([IPv6:2001:db8::7])\r\n \
             (using TLSv1.3 with cipher TLS_AES_256_GCM_SHA384 (256/256 bits))\r\n \
             by mx.one.test (Pillarbox) with ESMTPSA id {}\r\n for <bob@one.test>;\r\n \
             Tue, 24 Nov 2026 09:00:00 +0000\r\n",
            message.id
        )
    );
    for (hello, tls, with) in [
        ("HELO a.test", false, " with SMTP id "),
        ("EHLO a.test", false, " with ESMTP id "),
        ("EHLO a.test", true, " with ESMTPS id "),
        ("HELO a.test", true, " with SMTP id "),
    ] {
        let mut host = Host::new(false, tls);
        host.all(&[hello, "MAIL FROM:<>", ENVELOPE[2], "DATA", "x", "."]);
        let prefix = String::from_utf8_lossy(&host.commits[0].local[0].prefix).into_owned();
        assert!(prefix.contains(with), "{prefix}");
        assert!(prefix.starts_with("Return-Path: <>\r\n"), "{prefix}");
    }
}

/// What goes to other servers has one trace field for all, without the fields of a final delivery; `for` names nobody when there
/// are several. A failure is reported to who has logged in, and to nobody else.
#[test]
fn what_leaves_for_other_servers() {
    let submit = |host: &mut Host| {
        host.all(&[LOGIN, ENVELOPE[1]]);
        host.all(&["RCPT TO:<bob@one.test>", "RCPT TO:<x@other.test>", "RCPT TO:<x@other.test>"]);
        host.all(&["DATA", "From: tim@one.test", "", "."]);
    };
    let mut host = Host::new(true, true);
    host.all(&ENVELOPE[..1]);
    submit(&mut host);
    let message = &host.commits[0];
    assert_eq!((message.local.len(), message.remote.len()), (1, 1));
    assert_eq!((message.submitter, message.reportable), (Some(AccountId([1; 16])), true));
    let prefix = String::from_utf8(message.remote_prefix.clone()).expect("ASCII");
    assert!(
        prefix.starts_with("Received: from client.test ") && prefix.ends_with(" +0000\r\n"),
        "{prefix}"
    );
    assert!(!prefix.contains("\r\n for "), "{prefix}");
    assert!(message.local[0].prefix.ends_with(prefix.as_bytes()));
    let mut host = Host::new(false, false);
    host.all(&ENVELOPE);
    host.all(&["DATA", "."]);
    let message = &host.commits[0];
    assert_eq!((message.submitter, message.reportable), (None, false));
    assert!(message.remote.is_empty() && message.remote_prefix.is_empty());
}

/// RFC 6531 §3.7.3: a transaction with SMTPUTF8 says so in its trace field.
#[test]
fn trace_fields_of_utf8() {
    for (tls, with) in [(false, " with UTF8SMTP id "), (true, " with UTF8SMTPS id ")] {
        let mut host = Host::new(false, tls);
        host.all(&[
            ENVELOPE[0],
            "MAIL FROM:<j\u{fc}rgen@other.test> SMTPUTF8",
            ENVELOPE[2],
            "DATA",
            ".",
        ]);
        let prefix = String::from_utf8(host.commits[0].local[0].prefix.clone()).expect("UTF-8");
        assert!(prefix.contains(with), "{prefix}");
        assert!(prefix.starts_with("Return-Path: <j\u{fc}rgen@other.test>\r\n"), "{prefix}");
    }
}

proptest! {
    /// S18: whatever stands in EHLO and in the envelope, the trace fields are these three, each as it was said, and the message begins
    /// behind them.
    #[test]
    fn s18_trace_fields_cannot_be_forged(
        name in prop_oneof!["[ -~]{1,60}", "\\PC{1,40}", any::<String>()],
        sender in prop_oneof!["[ -~]{1,40}", any::<String>()],
        recipient in prop_oneof!["[ -~]{1,40}", any::<String>()],
    ) {
        let mut host = Host::new(false, false);
        host.say(format!("EHLO {name}\r\n").as_bytes());
        host.all(&["EHLO client.test", "NOOP"]);
        if host.closed.is_some() {
            return Ok(());
        }
        host.say(format!("EHLO {name}\r\n").as_bytes());
        let quoted = |local: &str| local.replace('\\', "\\\\").replace('"', "\\\"");
        host.say(format!("MAIL FROM:<\"{}\"@x.test> SMTPUTF8\r\n", quoted(&sender)).as_bytes());
        host.say(format!("RCPT TO:<\"{}\"@one.test>\r\n", quoted(&recipient)).as_bytes());
        host.say(b"BDAT 0 LAST\r\n");
        let Some(message) = host.commits.first() else { return Ok(()) };
        let prefix = &message.local[0].prefix;
        let fields: Vec<_> = header::fields(prefix).collect();
        let names: Vec<&[u8]> = fields.iter().map(|field| field.name).collect();
        prop_assert_eq!(names, [b"Return-Path".as_slice(), b"Delivered-To", b"Received"]);
        prop_assert_eq!(fields[0].unfolded(), message.reverse_path.to_string().into_bytes());
        prop_assert_eq!(fields[1].unfolded(), message.local[0].recipient.address.to_string().into_bytes());
        let received = String::from_utf8(fields[2].unfolded()).expect("UTF-8");
        prop_assert!(received.starts_with("from ") && received.ends_with(" +0000"), "{}", received);
        // One line for each part, none of them cut by what was said.
        let lines: Vec<&[u8]> = prefix.split_inclusive(|byte| *byte == b'\n').collect();
        prop_assert_eq!(lines.len(), 6, "{}", String::from_utf8_lossy(prefix));
        prop_assert!(lines.iter().all(|line| line.ends_with(b"\r\n") && line.len() <= 1000));
        prop_assert!(lines.iter().all(|line| !line[..line.len() - 2].iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0))));
    }
}

/// Values and notices can be recorded.
#[test]
fn values_are_recorded() {
    let refusal = Refusal {
        code: 550,
        status: [5, 1, 1],
        text: "no such user".into(),
    };
    let values = [
        Value::Tls(TlsOutcome::Secure(evidence())),
        Value::Tls(TlsOutcome::Failed),
        Value::Password(PasswordVerdict::Denied),
        Value::Password(PasswordVerdict::Busy),
        Value::Salt(ScramSalt {
            salt: [1; 16],
            iterations: 4096,
            nonce: [2; 18],
        }),
        Value::Proof(ProofVerdict::Denied),
        Value::Proof(ProofVerdict::Granted {
            login: Login {
                account: AccountId([1; 16]),
                name: "tim@one.test".into(),
            },
            signature: Proof([0; 32]), // any other one is recorded as this
        }),
        Value::Recipient(RecipientVerdict {
            outcome: Ok(vec![local(), remote()]),
            because: Vec::new(),
        }),
        Value::Recipient(RecipientVerdict {
            outcome: Err(refusal.clone()),
            because: Vec::new(),
        }),
        Value::Author(AuthorVerdict {
            outcome: Err(refusal),
            because: Vec::new(),
        }),
        Value::Sink(SinkOpened::Full),
        Value::Committed(Committed::Failed),
    ];
    for value in values {
        assert_eq!(Value::from_record(&value.to_record()), Ok(value));
    }
    for notice in [Notice::Shutdown, Notice::Shed] {
        assert_eq!(Notice::from_record(&notice.to_record()), Ok(notice));
    }
}
