//! The table of `smtp/extension.rs`: what EHLO shows in every column, and that a parameter is taken where its extension is offered,
//! and nowhere else (555 5.5.4).

use super::support::{Host, LOGIN};

/// A column: its name, whether it is submission, whether TLS came first, and what is said before the second EHLO.
const COLUMNS: [(&str, bool, bool, &[&str]); 5] = [
    ("25", false, false, &[]),
    ("25 under TLS", false, true, &[]),
    ("587 before TLS", true, false, &[]),
    ("587, 465 before AUTH", true, true, &[]),
    ("587, 465 after AUTH", true, true, &["EHLO client.test", LOGIN]),
];

/// An extension as EHLO shows it, and in which columns it is offered.
const OFFERED: [(&str, [bool; 5]); 11] = [
    ("PIPELINING", [true; 5]),
    ("SIZE 4294967296", [true; 5]),
    ("8BITMIME", [true; 5]),
    ("CHUNKING", [true; 5]),
    ("SMTPUTF8", [true; 5]),
    ("LIMITS RCPTMAX=1000", [true; 5]),
    ("HELP", [true; 5]),
    ("ENHANCEDSTATUSCODES", [true; 5]),
    ("DSN", [false, false, false, false, true]),
    ("STARTTLS", [true, false, true, false, false]),
    ("AUTH PLAIN LOGIN SCRAM-SHA-256", [false, false, false, true, false]),
];

/// A parameter of MAIL, and the codes in the columns: 250 where it is offered; a login is asked for first on submission.
const OF_MAIL: [(&str, [&str; 5]); 16] = [
    ("", ["250", "250", "530", "530", "250"]),
    ("SIZE=100", ["250", "250", "530", "530", "250"]),
    ("BODY=7BIT", ["250", "250", "530", "530", "250"]),
    ("BODY=8BITMIME", ["250", "250", "530", "530", "250"]),
    ("SMTPUTF8", ["250", "250", "530", "530", "250"]),
    ("RET=FULL", ["555", "555", "530", "530", "250"]),
    ("RET=HDRS", ["555", "555", "530", "530", "250"]),
    ("ENVID=x", ["555", "555", "530", "530", "250"]),
    ("AUTH=<>", ["555", "555", "530", "530", "250"]),
    ("BODY=BINARYMIME", ["555"; 5]),
    ("REQUIRETLS", ["555"; 5]),
    ("BY=120;R", ["555"; 5]),
    ("MT-PRIORITY=3", ["555"; 5]),
    ("HOLDFOR=60", ["555"; 5]),
    ("TRANSID=<x@y>", ["555"; 5]),
    ("X-UNKNOWN", ["555"; 5]),
];

/// A parameter of RCPT, likewise, in the columns where a transaction can begin: 25, and after AUTH.
const OF_RCPT: [(&str, [&str; 3]); 5] = [
    ("", ["250", "250", "250"]),
    ("NOTIFY=NEVER", ["555", "555", "250"]),
    ("ORCPT=rfc822;bob@one.test", ["555", "555", "250"]),
    ("RRVS=2026-11-24T09:00:00Z", ["555"; 3]),
    ("X-UNKNOWN=1", ["555"; 3]),
];

fn column(index: usize) -> (Host, String) {
    let (_, submission, tls, before) = COLUMNS[index];
    let mut host = Host::new(submission, tls);
    host.all(before);
    let reply = host.all(&["EHLO client.test"]);
    (host, reply)
}

#[test]
fn ehlo_in_every_column() {
    for (index, (name, ..)) in COLUMNS.iter().enumerate() {
        let (_, reply) = column(index);
        let shown: Vec<&str> = reply.lines().skip(1).map(|line| &line[4..]).collect();
        let table = OFFERED.iter().filter(|(_, columns)| columns[index]);
        let wanted: Vec<&str> = table.map(|(extension, _)| *extension).collect();
        assert_eq!(shown, wanted, "{name}");
    }
}

#[test]
fn parameters_of_mail_in_every_column() {
    for (parameter, codes) in OF_MAIL {
        for (index, code) in codes.iter().enumerate() {
            let (mut host, _) = column(index);
            let reply = host.all(&[&format!("MAIL FROM:<tim@one.test> {parameter}")]);
            assert!(reply.starts_with(code), "{parameter} on {}: {reply}", COLUMNS[index].0);
            assert_eq!(code == &"555", reply.starts_with("555 5.5.4 "), "{reply}");
        }
    }
}

#[test]
fn parameters_of_rcpt_in_every_column() {
    for (parameter, codes) in OF_RCPT {
        for (index, code) in [0, 1, 4].into_iter().zip(codes) {
            let (mut host, _) = column(index);
            host.all(&["MAIL FROM:<tim@one.test>"]);
            let reply = host.all(&[&format!("RCPT TO:<bob@one.test> {parameter}")]);
            assert!(reply.starts_with(code), "{parameter} on {}: {reply}", COLUMNS[index].0);
        }
    }
}

/// HELO offers nothing (RFC 5321 §4.1.1.1): no parameter is taken, wherever it is.
#[test]
fn parameters_after_helo() {
    for (index, (.., before)) in COLUMNS.iter().enumerate().filter(|(index, _)| matches!(index, 0 | 1 | 4)) {
        for parameter in ["SIZE=100", "BODY=8BITMIME", "SMTPUTF8", "RET=FULL", "AUTH=<>"] {
            let (mut host, _) = column(index);
            host.all(&["HELO client.test"]);
            let reply = host.all(&[&format!("MAIL FROM:<tim@one.test> {parameter}")]);
            assert!(reply.starts_with("555 5.5.4 "), "{parameter} after {before:?}: {reply}");
        }
        let (mut host, _) = column(index);
        let reply = host.all(&[
            "HELO client.test",
            "MAIL FROM:<tim@one.test>",
            "RCPT TO:<bob@one.test> NOTIFY=NEVER",
        ]);
        assert!(
            reply.lines().last().is_some_and(|last| last.starts_with("555 5.5.4 ")),
            "{reply}"
        );
    }
}
