//! The test double: each persona does what it is there for, the same each time.

use std::io::{BufRead, BufReader, Read, Write};
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_core::bytes::base64;
use pillarbox_tests::client::smtp::{Smtp, stuffed};
use pillarbox_tests::double::{Double, PASSWORD, Persona};

const HOUR: Duration = Duration::from_secs(3600);

/// An application's way of sending, here as simple as can be.
fn send(mail: &mut Double, to: &str) {
    let at = mail.address("mx.shop.test", 587);
    let to = to.to_string();
    mail.run(|env| async move {
        let mut smtp = Smtp::begin(env.connect(at, None).await.expect("it listens"))
            .await
            .expect("a session");
        let login = base64::encode(format!("\0alice@shop.test\0{PASSWORD}").as_bytes());
        smtp.command(&format!("AUTH PLAIN {login}"), "235").await.expect("logged in");
        smtp.command("MAIL FROM:<alice@shop.test>", "250").await.expect("MAIL");
        smtp.command(&format!("RCPT TO:<{to}>"), "250").await.expect("RCPT");
        smtp.command("DATA", "354").await.expect("DATA");
        let text = format!(
            "From: <alice@shop.test>\r\nTo: <{to}>\r\nSubject: x\r\n\r\n{}.\r\n",
            "text ".repeat(100)
        );
        smtp.0.send(&stuffed(text.as_bytes())).await.expect("sent");
        smtp.expect("250").await.expect("taken");
    });
}

/// What a persona has taken after an hour, and what was said of it to the sender.
fn fate(persona: Persona) -> (usize, Vec<String>) {
    let mut mail = Double::new(3);
    mail.server("shop.test", &["alice"]);
    mail.persona("other.test", persona);
    mail.begin();
    mail.pass(Duration::from_secs(1));
    send(&mut mail, "bob@other.test");
    mail.pass(HOUR);
    let reports = mail
        .inbox("alice@shop.test")
        .into_iter()
        .map(|report| String::from_utf8(report).expect("text"));
    (mail.taken("other.test").len(), reports.collect())
}

#[test]
fn each_persona_has_its_habit() {
    for (persona, taken, status) in [
        (Persona::Friendly, 1, None),
        (Persona::Greylisting(Duration::from_secs(300)), 1, None),
        (Persona::Slow(Duration::from_secs(20)), 1, None),
        // Nobody can know whether it has the first copy.
        (Persona::HangsUpOnce, 2, None),
        (Persona::KnowsNobody, 0, Some("5.1.1")),
        (Persona::RefusesContent, 0, Some("5.7.1")),
        (Persona::Small(100), 0, Some("5.3.4")),
        (Persona::Full, 0, None),
        (Persona::Closing, 0, None),
    ] {
        let (count, reports) = fate(persona);
        assert_eq!(count, taken, "{persona:?}");
        let status = status.map(|status| format!("\r\nStatus: {status}\r\n"));
        assert_eq!(reports.len(), usize::from(status.is_some()), "{persona:?}: {reports:?}");
        assert!(
            status.is_none_or(|status| reports[0].contains(&status)),
            "{persona:?}: {reports:?}"
        );
    }
}

#[test]
fn a_client_of_its_own_meets_a_persona() {
    let mut mail = Double::new(4);
    mail.persona("strict.test", Persona::DeniesLogins);
    mail.begin();
    mail.pass(Duration::from_secs(1));
    let mut stream = BufReader::new(mail.connect("mx.strict.test", 587));
    let mut reply = String::new();
    for (line, code) in [
        ("", "220"),
        ("EHLO app.test", "250"),
        ("AUTH PLAIN AGEAYg==", "535"),
        ("QUIT", "221"),
    ] {
        if !line.is_empty() {
            stream
                .get_mut()
                .write_all(format!("{line}\r\n").as_bytes())
                .expect("it reads");
        }
        reply.clear();
        while reply.as_bytes().get(3) != Some(&b' ') {
            reply.clear();
            stream.read_line(&mut reply).expect("it speaks");
        }
        assert!(reply.starts_with(code), "{line}: {reply}");
    }
    assert_eq!(stream.read(&mut [0]).expect("its end"), 0);
}
