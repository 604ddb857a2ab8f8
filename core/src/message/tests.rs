mod broken;
mod fields;

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use super::address_list::{self, Entry};
use super::date::{format_internal, format_rfc5322, parse_imap_day, parse_internal, parse_rfc5322};
use super::header_filter::HeaderFilter;
use super::intake::Intake;
use super::section::SectionKind;
use crate::time::UnixTime;

fn digest(text: &str) -> super::digest::Digest {
    let mut intake = Intake::new();
    intake.update(text.as_bytes());
    intake.finish().digest
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

const NESTED: &str = "From: Terry Gray <gray@cac.washington.edu>\r\nSubject: outer\r\nContent-Type: multipart/mixed; boundary=\"one\"\r\n\r\n\
    preamble\r\n--one\r\nContent-Type: text/plain; charset=utf-8\r\n\r\nfirst\r\n--one\r\nContent-Type: message/rfc822\r\n\r\n\
    Subject: inner\r\nFrom: a@b\r\nContent-Type: multipart/alternative; boundary=two\r\n\r\n--two\r\n\r\nplain\r\n--two\r\n\
    Content-Type: text/html\r\n\r\n<p>\r\n--two--\r\n--one--\r\nepilogue\r\n";

#[test]
fn structure_of_nested_parts() {
    let digest = digest(NESTED);
    same(
        &text(&digest.body),
        "((\"text\" \"plain\" (\"charset\" \"utf-8\") NIL NIL \"7bit\" 5 0)(\"message\" \"rfc822\" NIL NIL NIL \"7bit\" 142 \
         (NIL \"inner\" ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) ((NIL NIL \"a\" \"b\")) NIL NIL NIL NIL NIL) \
         ((\"text\" \"plain\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 5 0)(\"text\" \"html\" (\"charset\" \"us-ascii\") NIL NIL \"7bit\" 3 0) \
         \"alternative\") 11) \"mixed\")",
    );
}

fn same(got: &str, want: &str) {
    assert_eq!(got, want);
}

#[test]
fn sections_of_nested_parts() {
    let digest = digest(NESTED);
    let section = |path: &[u32], kind| {
        digest
            .section(path, kind)
            .map(|range| NESTED[range.start as usize..range.end as usize].to_string())
    };
    assert_eq!(section(&[], SectionKind::Whole).unwrap(), NESTED);
    assert_eq!(section(&[1], SectionKind::Whole).unwrap(), "first");
    assert_eq!(
        section(&[1], SectionKind::Mime).unwrap(),
        "Content-Type: text/plain; charset=utf-8\r\n\r\n"
    );
    assert!(section(&[2], SectionKind::Header).unwrap().starts_with("Subject: inner\r\n"));
    assert!(section(&[2], SectionKind::Text).unwrap().starts_with("--two\r\n"));
    assert_eq!(section(&[2, 1], SectionKind::Whole).unwrap(), "plain");
    assert_eq!(section(&[2, 2], SectionKind::Whole).unwrap(), "<p>");
    assert_eq!(section(&[2, 3], SectionKind::Whole), None);
    assert_eq!(section(&[1, 1], SectionKind::Whole), None);
    assert_eq!(section(&[3], SectionKind::Whole), None);
    assert_eq!(section(&[1], SectionKind::Header), None);
    let whole = section(&[], SectionKind::Header).unwrap() + &section(&[], SectionKind::Text).unwrap();
    assert_eq!(whole, NESTED);
}

#[test]
fn a_message_without_parts_has_part_one() {
    let message = "Subject: x\r\n\r\nbody\r\n";
    let digest = digest(message);
    let range = digest.section(&[1], SectionKind::Whole).unwrap();
    assert_eq!(&message[range.start as usize..range.end as usize], "body\r\n");
    assert_eq!(digest.section(&[2], SectionKind::Whole), None);
}

#[test]
fn rfc_9051_envelope() {
    let digest = digest(
        "Date: Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\r\nFrom: Terry Gray <gray@cac.washington.edu>\r\n\
         Subject: IMAP4rev2 WG mtg summary and minutes\r\nTo: imap@cac.washington.edu\r\n\
         cc: minutes@CNRI.Reston.VA.US, John Klensin <KLENSIN@MIT.EDU>\r\n\
         Message-Id: <B27397-0100000@cac.washington.edu>\r\nMIME-Version: 1.0\r\nContent-Type: TEXT/PLAIN; CHARSET=US-ASCII\r\n\r\n",
    );
    assert_eq!(
        text(&digest.envelope),
        "(\"Wed, 17 Jul 1996 02:23:25 -0700 (PDT)\" \"IMAP4rev2 WG mtg summary and minutes\" \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) \
         ((\"Terry Gray\" NIL \"gray\" \"cac.washington.edu\")) ((NIL NIL \"imap\" \"cac.washington.edu\")) \
         ((NIL NIL \"minutes\" \"CNRI.Reston.VA.US\")(\"John Klensin\" NIL \"KLENSIN\" \"MIT.EDU\")) NIL NIL \
         \"<B27397-0100000@cac.washington.edu>\")"
    );
}

#[test]
fn address_lists() {
    let one = |name: Option<&str>, local: &str, domain: &str| Entry::Mailbox {
        name: name.map(|name| name.as_bytes().to_vec()),
        route: None,
        local: local.into(),
        domain: domain.into(),
    };
    for (list, entries) in [
        ("a@b", alloc::vec![one(None, "a", "b")]),
        ("A B <a@b>, c@d", alloc::vec![one(Some("A B"), "a", "b"), one(None, "c", "d")]),
        ("\"Q, \\\"x\\\"\" <q@r>", alloc::vec![one(Some("Q, \"x\""), "q", "r")]),
        ("a@b (Old Name)", alloc::vec![one(Some("Old Name"), "a", "b")]),
        ("J. R. Hacker <j.r@h>", alloc::vec![one(Some("J. R. Hacker"), "j.r", "h")]),
        (
            "Group: a@b, c@d;",
            alloc::vec![
                Entry::GroupStart(b"Group".to_vec()),
                one(None, "a", "b"),
                one(None, "c", "d"),
                Entry::GroupEnd
            ],
        ),
        (
            "undisclosed-recipients:;",
            alloc::vec![Entry::GroupStart(b"undisclosed-recipients".to_vec()), Entry::GroupEnd],
        ),
    ] {
        assert_eq!(address_list::parse(list.as_bytes()), entries, "{list}");
    }
}

#[test]
fn dates() {
    let time = UnixTime::from_seconds(837_596_665);
    assert_eq!(format_internal(time), "17-Jul-1996 09:44:25 +0000");
    assert_eq!(parse_internal(b"17-Jul-1996 02:44:25 -0700"), Some(time));
    assert_eq!(parse_internal(b" 1-Jan-1970 00:00:00 +0000"), Some(UnixTime(0)));
    assert_eq!(parse_internal(b"31-Feb-1996 02:44:25 -0700"), None);
    assert_eq!(parse_internal(b"17-July-1996 02:44:25 -0700"), None);
    assert_eq!(parse_imap_day(b"17-Jul-1996"), Some(9694));
    assert_eq!(parse_imap_day(b"17-July-1996"), None, "a month has three letters");
    assert_eq!(format_rfc5322(UnixTime(0)), "Thu, 01 Jan 1970 00:00:00 +0000");
    for date in [
        "Wed, 17 Jul 1996 02:44:25 -0700 (PDT)",
        "17 Jul 96 02:44:25 PDT",
        "Wed,17 Jul 1996 09:44:25 GMT",
    ] {
        assert_eq!(parse_rfc5322(date.as_bytes()), Some(time), "{date}");
    }
}

fn filter(block: &str, names: &[&str], not: bool, at: usize) -> String {
    let mut filter = HeaderFilter::new(names.iter().map(ToString::to_string).collect(), not);
    let mut out = Vec::new();
    filter.update(&block.as_bytes()[..at], &mut out);
    filter.update(&block.as_bytes()[at..], &mut out);
    filter.finish(&mut out);
    text(&out)
}

#[test]
fn header_fields_at_every_split() {
    let block = "From: a\r\nSubject: one\r\n two\r\nTo: b\r\nsubject: again\r\n\r\n";
    for at in 0..=block.len() {
        assert_eq!(
            filter(block, &["SUBJECT"], false, at),
            "Subject: one\r\n two\r\nsubject: again\r\n\r\n",
            "{at}"
        );
        assert_eq!(filter(block, &["subject"], true, at), "From: a\r\nTo: b\r\n\r\n", "{at}");
    }
}

/// S35: bombs, on a small stack.
#[test]
fn s35_deep_and_wide_messages() {
    extern crate std;
    let bombs = || {
        let mut deep = String::new();
        for n in 0..500 {
            deep.push_str(&alloc::format!(
                "Content-Type: multipart/mixed; boundary=b{n:03}\r\n\r\n--b{n:03}\r\n"
            ));
        }
        let parts = digest(&deep).parts.len();
        assert!(parts <= crate::limits::MIME_DEPTH + 2, "{parts}");
        let messages = "Content-Type: message/rfc822\r\n\r\n".repeat(5000);
        assert!(digest(&messages).parts.len() <= crate::limits::MIME_DEPTH + 2);
        let wide = alloc::format!(
            "Content-Type: multipart/mixed; boundary=b\r\n\r\n{}",
            "--b\r\n\r\n".repeat(20_000)
        );
        assert_eq!(digest(&wide).parts.len(), crate::limits::MIME_PARTS);
        let addresses = alloc::format!("To: {}\r\n\r\n", "a@b,".repeat(100_000));
        assert!(!digest(&addresses).envelope.is_empty());
        let comments = alloc::format!("To: {}\r\n\r\n", "(".repeat(60_000));
        assert!(!digest(&comments).envelope.is_empty());
        let parameters = alloc::format!("Content-Type: text/plain{}\r\n\r\n", ";a*0=b".repeat(9000));
        assert!(!digest(&parameters).body.is_empty());
    };
    std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(bombs)
        .unwrap()
        .join()
        .unwrap();
}

proptest! {
    /// Any split of the bytes gives the digest of the whole, and every part lies within its parent.
    #[test]
    fn any_split_is_the_whole(
        pieces in prop::collection::vec(prop::sample::select(alloc::vec![
            "--b\r\n", "--b--\r\n", "--c\r\n", "--c--\r\n", "\r\n", "text\r\n", "-", "\r", "\n", "From: a@b\r\n", " folded\r\n",
            "Content-Type: multipart/mixed; boundary=b\r\n", "Content-Type: multipart/digest; boundary=c\r\n",
            "Content-Type: message/rfc822\r\n", "Content-Type: text/html\r\n", "Content-Transfer-Encoding: base64\r\n", "x",
        ]), 0..40),
        cuts in prop::collection::vec(0usize..600, 0..6),
    ) {
        let message = pieces.concat();
        let whole = digest(&message);
        let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(message.len())).collect();
        cuts.sort_unstable();
        let mut intake = Intake::new();
        let mut from = 0;
        for cut in cuts.into_iter().chain([message.len()]) {
            intake.update(&message.as_bytes()[from..cut]);
            from = cut;
        }
        let split = intake.finish();
        prop_assert_eq!(&split.digest, &whole);
        prop_assert_eq!(split.size, message.len() as u64);
        for part in &whole.parts {
            let parent = &whole.parts[part.parent as usize];
            prop_assert!(part.header_start <= part.body_start && part.body_start <= part.body_end && part.body_end <= whole.size);
            prop_assert!(parent.header_start <= part.header_start && part.body_end <= parent.body_end.max(parent.body_start));
        }
    }

    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let mut intake = Intake::new();
        intake.update(&bytes);
        let _ = intake.finish();
        let _ = address_list::parse(&bytes);
        let _ = parse_rfc5322(&bytes);
        let _ = parse_internal(&bytes);
        let _ = super::content::Content::parse_type(&bytes);
    }

    #[test]
    fn dates_round_trip(seconds in -60_000_000_000i64..200_000_000_000) {
        let time = UnixTime::from_seconds(seconds);
        prop_assert_eq!(parse_rfc5322(format_rfc5322(time).as_bytes()), Some(time));
        prop_assert_eq!(parse_internal(format_internal(time).as_bytes()), Some(time));
    }
}
