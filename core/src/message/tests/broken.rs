//! What is made of messages and lists that no standard allows: the answers follow Dovecot and Cyrus where these agree.

use alloc::string::String;
use alloc::vec::Vec;

use super::{digest, text};
use crate::limits;
use crate::message::digest::PartKind;
use crate::message::section::SectionKind;

/// ENVELOPE's To of a list.
fn to(list: &str) -> String {
    let envelope = text(&digest(&alloc::format!("To: {list}\r\n\r\n")).envelope);
    let inner = envelope.strip_prefix("(NIL NIL NIL NIL NIL ").unwrap();
    inner.strip_suffix(" NIL NIL NIL NIL)").unwrap().into()
}

#[test]
fn odd_address_lists() {
    for (list, wanted) in [
        ("", "NIL"),
        (",,;", "NIL"),
        ("a", "((NIL NIL \"a\" \"MISSING_DOMAIN\"))"),
        ("Big Bug", "((\"Big Bug\" NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))"),
        ("@b", "((NIL NIL \"MISSING_MAILBOX\" \"b\"))"),
        ("<>", "((NIL NIL \"MISSING_MAILBOX\" \"MISSING_DOMAIN\"))"),
        ("x <a@b", "((\"x\" NIL \"a\" \"b\"))"),
        ("<@h1,@h2:a@b>", "((NIL \"@h1,@h2\" \"a\" \"b\"))"),
        (
            "c@(Chris's host.)public.example",
            "((\"Chris's host.\" NIL \"c\" \"public.example\"))",
        ),
        ("a . b @ c . d", "((NIL NIL \"a.b\" \"c.d\"))"),
        ("\"a \\\"q\\\" b\"@c", "((NIL NIL \"a \\\"q\\\" b\" \"c\"))"),
        ("a@[192.0.2.1]", "((NIL NIL \"a\" \"[192.0.2.1]\"))"),
        ("g: a@b", "((NIL NIL \"g\" NIL)(NIL NIL \"a\" \"b\")(NIL NIL NIL NIL))"),
        ("a@b (one (two) \\) three", "((\"one (two) ) three\" NIL \"a\" \"b\"))"),
        ("a@b (trailing \\", "((\"trailing \" NIL \"a\" \"b\"))"),
        ("\u{e4} <a@b>", "(({2}\r\n\u{e4} NIL \"a\" \"b\"))"),
    ] {
        assert_eq!(to(list), wanted, "{list}");
    }
}

#[test]
fn fields_that_come_twice_or_empty() {
    let digest = digest(
        "Subject: one\r\nSubject: two\r\nTo: a@b\r\nTo: c@d\r\nDate:\r\nMessage-ID: <1>\r\nSender:\r\nFrom: f@g\r\n\r\n",
    );
    assert_eq!(
        text(&digest.envelope),
        "(\"\" \"two\" ((NIL NIL \"f\" \"g\")) ((NIL NIL \"f\" \"g\")) ((NIL NIL \"f\" \"g\")) \
         ((NIL NIL \"a\" \"b\")(NIL NIL \"c\" \"d\")) NIL NIL NIL \"<1>\")"
    );
}

/// Bodies of the leaves, in order.
fn leaves(message: &str) -> Vec<String> {
    let digest = digest(message);
    let leaves = digest.parts.iter().filter(|part| part.kind == PartKind::Leaf);
    leaves
        .map(|part| message[part.body_start as usize..part.body_end as usize].into())
        .collect()
}

#[test]
fn boundaries() {
    let outer = "Content-Type: multipart/mixed; boundary=b\r\n\r\n";
    for (body, wanted) in [
        ("--b\r\n\r\nx\r\n--b--\r\n", &["x"][..]),
        ("--b\r\n\r\nx\r\n--b--", &["x"]),
        ("--b\r\n\r\nx\r\n", &["x\r\n"]),
        ("--b\r\n\r\n--b\r\n\r\n\r\n--b--\r\n", &["", ""]),
        ("--b and more\r\n\r\nx\r\n--bx\r\n\r\ny\r\n--b--more\r\nz", &["x", "y"]),
        ("--b\r\n\r\nx\r\n--b--\r\n--b\r\n\r\nepilogue", &["x"]),
        ("--b\nA: b\n\nx\n--b--\n", &["x"]),
        ("--b\r\nContent-Type: text/plain\r\n--b\r\n\r\ny\r\n--b--", &["", "y"]),
        (" --b\r\n- -b\r\n", &[]),
        (
            "--b\r\nContent-Type: multipart/mixed; boundary=bb\r\n\r\n--bb\r\n\r\nx\r\n--b\r\n\r\ny",
            &["x", "y"],
        ),
    ] {
        assert_eq!(leaves(&alloc::format!("{outer}{body}")), wanted, "{body:?}");
    }
}

/// The last line's end is not there, so it is not counted; the one before a delimiter belongs to the delimiter.
#[test]
fn lines_are_counted_by_their_ends() {
    let lines = |message: &str| digest(message).parts.last().unwrap().lines;
    assert_eq!(lines("A: b\r\n\r\n"), 0);
    assert_eq!(lines("A: b\r\n\r\none\r\ntwo"), 1);
    assert_eq!(lines("A: b\r\n\r\none\r\ntwo\r\n"), 2);
    let multipart = "Content-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\none\r\ntwo\r\n\r\n--b--";
    assert_eq!(lines(multipart), 2);
    assert_eq!(lines(&alloc::format!("{multipart}\r\n")), 2);
}

#[test]
fn a_message_that_is_a_message() {
    let message = "Content-Type: message/rfc822\r\nSubject: outer\r\n\r\nSubject: inner\r\n\r\ntext\r\n";
    let digest = digest(message);
    let section = |path: &[u32], kind| {
        digest
            .section(path, kind)
            .map(|range| &message[range.start as usize..range.end as usize])
    };
    let inner = "Subject: inner\r\n\r\ntext\r\n";
    assert_eq!(section(&[], SectionKind::Text), Some(inner));
    assert_eq!(section(&[1], SectionKind::Whole), Some(inner));
    assert_eq!(section(&[1], SectionKind::Header), Some("Subject: inner\r\n\r\n"));
    assert_eq!(section(&[1], SectionKind::Text), Some("text\r\n"));
    assert_eq!(section(&[1, 1], SectionKind::Whole), Some("text\r\n"));
    assert_eq!(section(&[1, 1], SectionKind::Mime), Some("Subject: inner\r\n\r\n"));
    for (path, kind) in [
        (&[1, 1, 1][..], SectionKind::Whole),
        (&[2], SectionKind::Whole),
        (&[1, 2], SectionKind::Whole),
        (&[0], SectionKind::Whole),
        (&[1, 1], SectionKind::Header),
        (&[], SectionKind::Mime),
    ] {
        assert_eq!(section(path, kind), None, "{path:?} {kind:?}");
    }
}

/// What should have parts within but has not must not look as if it had: clients rely on the grammar of RFC 9051.
#[test]
fn what_is_not_opened_is_octets() {
    let body = |message: &str| text(&digest(message).body);
    let global = "Content-Type: message/global\r\nContent-Transfer-Encoding: base64\r\n\r\nU3ViamVjdDo=\r\n";
    assert_eq!(body(global), "(\"application\" \"octet-stream\" NIL NIL NIL \"base64\" 14)");
    assert_eq!(
        body("Content-Type: multipart/mixed\r\n\r\nx\r\n"),
        "(\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 1)"
    );
    assert_eq!(
        body("Content-Type: multipart/mixed; boundary=b\r\n\r\nx\r\n"),
        "((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 0 0) \"mixed\")"
    );
}

/// S36: what is answered stays in proportion, whatever is asked to be listed.
#[test]
fn s36_hostile_lists_do_not_grow_the_digest() {
    let field = alloc::format!("From: {}\r\n", "a,".repeat(30_000));
    let many = alloc::format!("{}\r\n", field.repeat(100));
    assert!(digest(&many).envelope.len() < 4 * limits::ADDRESSES * 40);
    let nested = alloc::format!(
        "Content-Type: message/rfc822\r\n\r\n{}",
        alloc::format!("Content-Type: message/rfc822\r\n{field}\r\n").repeat(90)
    );
    let digest = digest(&nested);
    let size = digest.body.len() + digest.body_structure.len();
    assert!(size < 8 * limits::ADDRESSES * 40, "{size}");
    let parts = "--b\r\nContent-ID: <\"\\\\\">\r\nContent-Disposition: x; y=\"\"\r\n\r\n".repeat(50_000);
    let wide = super::digest(&alloc::format!("Content-Type: multipart/mixed; boundary=b\r\n\r\n{parts}"));
    assert_eq!(wide.parts.len(), limits::MIME_PARTS);
    assert!(wide.body_structure.len() < 4 * limits::HEADERS_KEPT);
}
