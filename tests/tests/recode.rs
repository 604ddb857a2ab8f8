//! Re-encoded messages, read by a second parser: the same parts with the same content, in short lines, or in seven bits.

use mail_parser::{Message, MessageParser, PartType};
use pillarbox_core::message::recode::{Aim, Plan, Recoder, Survey};
use proptest::prelude::*;

fn plan(message: &[u8], aim: Aim, piece: usize) -> Plan {
    let mut survey = Survey::new();
    message.chunks(piece).for_each(|piece| survey.update(piece));
    survey.finish(aim)
}

fn recoded(message: &[u8], aim: Aim, piece: usize) -> Vec<u8> {
    let (mut recoder, mut out) = (Recoder::new(plan(message, aim, piece)), Vec::new());
    message.chunks(piece).for_each(|piece| recoder.update(piece, &mut out));
    recoder.finish(&mut out);
    out
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

fn longest(bytes: &[u8]) -> usize {
    let lines = bytes.split(|byte| *byte == b'\n');
    lines.map(|line| line.trim_ascii_end().len()).max().unwrap_or(0)
}

/// Types and decoded contents of the leaves.
fn leaves(bytes: &[u8]) -> Vec<(String, Vec<u8>)> {
    let message = MessageParser::default().parse(bytes).expect("it parses");
    let mut found = Vec::new();
    collect(&message, &mut found);
    found
}

fn collect(message: &Message<'_>, found: &mut Vec<(String, Vec<u8>)>) {
    use mail_parser::MimeHeaders;
    for part in &message.parts {
        let kind = part
            .content_type()
            .map(|kind| format!("{}/{}", kind.ctype(), kind.subtype().unwrap_or("")));
        let kind = kind.unwrap_or_default();
        match &part.body {
            PartType::Multipart(_) => found.push((kind, Vec::new())),
            PartType::Message(inner) => {
                found.push((kind, Vec::new()));
                collect(inner, found);
            }
            PartType::Text(_) | PartType::Html(_) | PartType::Binary(_) | PartType::InlineBinary(_) => {
                found.push((kind, part.contents().to_vec()));
            }
        }
    }
}

#[test]
fn a_plain_message_with_a_long_line() {
    let message = format!("Subject: x\r\n\r\nshort\r\n{}\r\n-- \r\n", "word = ".repeat(300));
    let out = text(&recoded(message.as_bytes(), Aim::ShortLines, 1000));
    assert!(
        out.starts_with(
            "Subject: x\r\nContent-Transfer-Encoding: quoted-printable\r\nMIME-Version: 1.0\r\n\r\nshort\r\nword =3D word =3D "
        ),
        "{out}"
    );
    assert!(out.ends_with("\r\n--=20\r\n"), "{out}");
    assert!(longest(out.as_bytes()) <= 76);
    assert_eq!(leaves(out.as_bytes()), leaves(message.as_bytes()));
}

#[test]
fn short_lines_are_left_alone() {
    let message = format!("Subject: x\r\n\r\ncaf\u{e9}\r\n{}\r\n", "y".repeat(998));
    assert!(plan(message.as_bytes(), Aim::ShortLines, 7).is_empty());
    let message = format!("Subject: x\r\n\r\n{}\r\n", "y".repeat(999));
    for piece in [1, 3, 1000, 1013] {
        assert!(!plan(message.as_bytes(), Aim::ShortLines, piece).is_empty());
    }
}

/// Each part for itself: text is quoted, other octets are base64, what is encoded already stays.
#[test]
fn each_part_for_itself() {
    let long = "z".repeat(2000);
    let message = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\npreamble\r\n--b\r\n\
         content-transfer-encoding:\r\n 8bit\r\nContent-Type: text/html\r\n\r\n{long}\r\n--b\r\nContent-Type: application/x\r\n\r\n{long}\r\n\
         --b\r\nContent-Transfer-Encoding: base64\r\n\r\n{long}\r\n--b\r\n\r\nshort\r\n--b\r\n\r\n{long} \r\n--b--\r\n"
    );
    let out = text(&recoded(message.as_bytes(), Aim::ShortLines, 5));
    let headers: Vec<&str> = out
        .split("--b")
        .map(|part| part.split("\r\n\r\n").next().expect("a header"))
        .collect();
    assert_eq!(
        headers,
        [
            "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit",
            "\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: text/html",
            "\r\nContent-Type: application/x\r\nContent-Transfer-Encoding: base64",
            "\r\nContent-Transfer-Encoding: base64",
            "",
            "\r\nContent-Transfer-Encoding: quoted-printable",
            "--\r\n"
        ]
    );
    assert_eq!(leaves(out.as_bytes()), leaves(message.as_bytes()));
    assert!(longest(out.as_bytes()) == 2000, "what says that it is base64 stays as it is");
}

/// Signed, encrypted and forwarded messages stay byte-identical (RFC 1847 §2.1).
#[test]
fn what_is_sealed_stays() {
    let long = format!("\u{e9}{}", "z".repeat(2000));
    for kind in ["multipart/signed", "multipart/encrypted"] {
        let message = format!("Content-Type: {kind}; boundary=b\r\n\r\n--b\r\n\r\n{long}\r\n--b--\r\n");
        for aim in [Aim::ShortLines, Aim::SevenBit] {
            let plan = plan(message.as_bytes(), aim, 100);
            assert!(plan.is_empty() && !plan.gives_seven_bit(), "{kind} {aim:?}");
            assert_eq!(recoded(message.as_bytes(), aim, 100), message.as_bytes());
        }
    }
    let forwarded = format!("Subject: inner\r\n\r\n{long}\r\n");
    let message = format!(
        "MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\n\r\n{long}\r\n--b\r\nContent-Type: \
         message/rfc822\r\n\r\n{forwarded}--b--\r\n"
    );
    let out = text(&recoded(message.as_bytes(), Aim::SevenBit, 100));
    assert!(!plan(message.as_bytes(), Aim::SevenBit, 100).gives_seven_bit());
    assert!(out.contains(&forwarded), "{out}");
    assert_eq!(out.matches("\u{e9}").count(), 1);
}

/// RFC 6152 §3: seven bits, and no label that says otherwise.
#[test]
fn seven_bits() {
    let message = "Mime-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 8bit\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n\r\ncaf\u{e9}\r\n--b\r\n\
         Content-Transfer-Encoding: 8bit\r\n\r\nplain\r\n--b\r\nContent-Type: image/x\r\n\r\n\u{fc}\r\n--b--\r\n";
    assert!(plan(message.as_bytes(), Aim::SevenBit, 9).gives_seven_bit());
    let out = text(&recoded(message.as_bytes(), Aim::SevenBit, 9));
    let want = "Mime-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\nContent-Transfer-Encoding: 7bit\r\n\r\n--b\r\n\
         Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\ncaf=C3=A9\r\n--b\r\n\
         Content-Transfer-Encoding: 7bit\r\n\r\nplain\r\n--b\r\nContent-Type: image/x\r\nContent-Transfer-Encoding: \
         base64\r\n\r\nw7w=\r\n--b--\r\n";
    assert_eq!(out, want);
    assert_eq!(leaves(out.as_bytes()), leaves(message.as_bytes()));
    let header = "Subject: caf\u{e9}\r\n\r\n\u{e9}\r\n";
    assert!(
        !plan(header.as_bytes(), Aim::SevenBit, 9).gives_seven_bit(),
        "a header is not encoded"
    );
}

#[derive(Debug, Clone)]
enum Tree {
    Leaf {
        kind: &'static str,
        encoding: &'static str,
        body: Vec<String>,
    },
    Multipart {
        kind: &'static str,
        parts: Vec<Tree>,
    },
}

fn tree() -> impl Strategy<Value = Tree> {
    let line = prop_oneof![
        4 => "[ -~]{0,90}",
        1 => "[a-z =\t-]{990,1100}",
        1 => "[a-z]{995,1003}",
        1 => "[\u{e0}-\u{ff} a-z]{0,60}",
        1 => "-{0,1200}",
    ];
    let kind = prop_oneof![
        Just(""),
        Just("Content-Type: text/plain; charset=utf-8\r\n"),
        Just("Content-Type: text/html;\r\n charset=utf-8\r\n"),
        Just("Content-Type: application/octet-stream\r\n"),
    ];
    let encoding = prop_oneof![
        Just(""),
        Just("Content-Transfer-Encoding: 8bit\r\n"),
        Just("CONTENT-TRANSFER-ENCODING:\r\n\t7bit\r\n"),
    ];
    let leaf = (kind, encoding, proptest::collection::vec(line, 0..6)).prop_map(|(kind, encoding, body)| Tree::Leaf {
        kind,
        encoding,
        body,
    });
    leaf.prop_recursive(3, 12, 4, |inner| {
        let kind = prop_oneof![3 => Just("mixed"), 2 => Just("alternative"), 1 => Just("signed")];
        (kind, proptest::collection::vec(inner, 1..4)).prop_map(|(kind, parts)| Tree::Multipart { kind, parts })
    })
}

fn write(tree: &Tree, boundary: &str, out: &mut Vec<u8>) {
    match tree {
        Tree::Leaf { kind, encoding, body } => {
            out.extend_from_slice(format!("{kind}X-Other: 1\r\n{encoding}\r\n").as_bytes());
            body.iter()
                .for_each(|line| out.extend_from_slice(format!("{line}\r\n").as_bytes()));
        }
        Tree::Multipart { kind, parts } => {
            out.extend_from_slice(
                format!("Content-Type: multipart/{kind}; boundary=\"BOUNDARY{boundary}\"\r\n\r\n").as_bytes(),
            );
            for (place, part) in parts.iter().enumerate() {
                out.extend_from_slice(format!("\r\n--BOUNDARY{boundary}\r\n").as_bytes());
                write(part, &format!("{boundary}{place}"), out);
            }
            out.extend_from_slice(format!("\r\n--BOUNDARY{boundary}--\r\n").as_bytes());
        }
    }
}

fn has_sealed(tree: &Tree) -> bool {
    match tree {
        Tree::Leaf { .. } => false,
        Tree::Multipart { kind, parts } => *kind == "signed" || parts.iter().any(has_sealed),
    }
}

proptest! {
    #[test]
    fn the_same_content_in_a_form_that_goes(tree in tree(), mime: bool, piece in 1usize..2000) {
        let mut message = b"Subject: x\r\n".to_vec();
        if mime {
            message.extend_from_slice(b"MIME-Version: 1.0\r\n");
        }
        write(&tree, "b", &mut message);
        for aim in [Aim::ShortLines, Aim::SevenBit] {
            let plan = plan(&message, aim, message.len());
            let out = recoded(&message, aim, message.len());
            prop_assert_eq!(&out, &recoded(&message, aim, piece), "any split gives the same");
            prop_assert!(leaves(&out) == leaves(&message), "{}\n---\n{}", text(&message), text(&out));
            prop_assert_eq!(plan.is_empty(), out == message);
            match aim {
                Aim::ShortLines => prop_assert!(longest(&out) <= 998 || has_sealed(&tree)),
                Aim::SevenBit => {
                    prop_assert_eq!(plan.gives_seven_bit(), out.is_ascii());
                    prop_assert!(out.is_ascii() || has_sealed(&tree));
                }
            }
            let again = recoded(&out, aim, 500);
            prop_assert_eq!(again, out, "once is enough");
        }
    }

    /// Whatever comes: nothing is lost that is not an encoding's, and no octet is looked at twice.
    #[test]
    fn any_octets(octets in proptest::collection::vec("[-=:a-zA-Z /;\"\r\n\u{e9}]{0,40}|Content-Type: multipart/mixed; boundary=a\r\n|Content-Type: message/rfc822\r\n|\r\n|--a\r\n|--a--|z{1000}\r\n", 0..24), piece in 1usize..50) {
        let octets = octets.concat().into_bytes();
        for aim in [Aim::ShortLines, Aim::SevenBit] {
            let out = recoded(&octets, aim, octets.len().max(1));
            prop_assert_eq!(&out, &recoded(&octets, aim, piece));
            if plan(&octets, aim, 99).is_empty() {
                prop_assert_eq!(&out, &octets);
            } else if plan(&octets, aim, 99).gives_seven_bit() {
                prop_assert!(aim == Aim::ShortLines || out.is_ascii());
            }
        }
    }
}
