//! Header blocks and the values of single fields.

use alloc::string::{String, ToString};
use alloc::vec::Vec;

use proptest::prelude::*;

use crate::message::content::Content;
use crate::message::date::{parse_internal, parse_rfc5322};
use crate::message::header::{HeaderEnd, fields, fold_into};
use crate::message::header_filter::HeaderFilter;
use crate::time::UnixTime;

#[test]
fn fields_of_a_broken_block() {
    let block = b" lost\r\nA : one\r\n\ttwo\r\nno colon\n more: text\r\nb:\r\n\r\nC: body\r\n";
    let seen: Vec<(String, String)> = fields(block)
        .map(|field| {
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(field.name), text(&field.unfolded()))
        })
        .collect();
    let wanted = [("", "lost"), ("A", "one\ttwo"), ("", "no colon more: text"), ("b", "")];
    assert_eq!(seen, wanted.map(|(name, value)| (name.to_string(), value.to_string())));
    assert_eq!(fields(block).map(|field| field.raw.len()).sum::<usize>(), block.len() - 11);
}

#[test]
fn dates_of_real_mail() {
    for (text, seconds) in [
        ("Fri, 21 Nov 1997 09:55:06 -0600", 880_127_706),
        ("Fri, 21 Nov 1997 09(comment):   55  :  06 -0600", 880_127_706),
        ("21 Nov 97 09:55:06 CST", 880_127_706),
        ("Thu,\t13\tFeb 1969 23:32 -0330 (Newfoundland Time)", -27_723_480),
        ("(early) 01 Jan 1970 00:00:00 Z", 0),
        ("Thursday, 1 January 1970 0:00", 0),
        ("Thu, 1-Jan-1970 00:00:00 GMT", 0),
        ("1 Jan 70 00:00:60 +0001", 0),
        ("1 Jan 100 00:00 +0000", 946_684_800),
        ("1 Jan 1970 00.00.00 \"GMT\"", 0),
        ("29 Feb 2000 00:00:00 +0000 trailing words", 951_782_400),
        ("1 Jan 1970 00:00:00 +99", 0),
    ] {
        assert_eq!(
            parse_rfc5322(text.as_bytes()),
            Some(UnixTime::from_seconds(seconds)),
            "{text}"
        );
    }
    for text in [
        "",
        "Malformed Date.",
        "<HR>",
        "31 Feb 2000 00:00",
        "1 Jan 2000",
        "1 Jan 2000 24:00",
        "1 Foo 2000 00:00",
        "29 Feb 1900 1:1",
    ] {
        assert_eq!(parse_rfc5322(text.as_bytes()), None, "{text}");
    }
}

#[test]
fn internal_dates_are_strict() {
    let moment = Some(UnixTime::from_seconds(820_454_400));
    for text in [
        " 1-Jan-1996 00:00:00 +0000",
        "01-JAN-1996 00:00:00 +0000",
        "01-Jan-1996 05:30:00 +0530",
    ] {
        assert_eq!(parse_internal(text.as_bytes()), moment, "{text}");
    }
    for text in [
        "01-Jan-1996 00:00:00",
        "01-Jan-96 00:00:00 +0000",
        "01-Jan-1996 0:00:00 +0000",
        "01-Jan-1996 00:00:00 GMT",
        "01-Jan-1996 00:00:00 +0060",
        "01-Jan-1996 00:00:00 +0000 ",
        "32-Jan-1996 00:00:00 +0000",
        "01 Jan 1996 00:00:00 +0000",
        "",
    ] {
        assert_eq!(parse_internal(text.as_bytes()), None, "{text}");
    }
}

/// The examples of RFC 2231 §3, §4 and §4.1, and what is made of broken ones.
#[test]
fn rfc_2231_parameters() {
    for (value, wanted) in [
        (
            "message/external-body; access-type=URL; URL*0=\"ftp://\"; URL*1=\"cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar\"",
            &[
                ("access-type", "URL"),
                ("URL", "ftp://cs.utk.edu/pub/moore/bulk-mailer/bulk-mailer.tar"),
            ][..],
        ),
        (
            "application/x-stuff; title*=us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A",
            &[("title*", "us-ascii'en-us'This%20is%20%2A%2A%2Afun%2A%2A%2A")],
        ),
        (
            "application/x-stuff; title*0*=us-ascii'en'This%20is%20even%20more%20; title*1*=%2A%2A%2Afun%2A%2A%2A%20; title*2=\"isn't it!\"",
            &[(
                "title*",
                "us-ascii'en'This%20is%20even%20more%20%2A%2A%2Afun%2A%2A%2A%20isn%27t%20it!",
            )],
        ),
        ("a/b; n*1=two; n*0=one", &[("n", "onetwo")]),
        ("a/b; n*0=one; n*2*=three", &[("n", "one"), ("n*2*", "three")]),
        (
            "a/b; n*01=x; *0=y; n*99999=z",
            &[("n*01", "x"), ("*0", "y"), ("n*99999", "z")],
        ),
        ("a/b (c); x=y z; ; =w; q; p=\"un;closed", &[("x", "y"), ("p", "un;closed")]),
    ] {
        let content = Content::parse_type(value.as_bytes()).unwrap();
        let seen: Vec<(String, String)> = content
            .parameters
            .iter()
            .map(|(name, value)| (String::from_utf8_lossy(name).into(), String::from_utf8_lossy(value).into()))
            .collect();
        let wanted: Vec<(String, String)> = wanted
            .iter()
            .map(|(name, value)| (name.to_string(), value.to_string()))
            .collect();
        assert_eq!(seen, wanted, "{value}");
    }
}

/// A message without a body may have no empty line (RFC 9051 §6.4.5.1): then none is made up.
#[test]
fn a_header_without_an_end() {
    let filter = |header: &str, not| {
        let mut filter = HeaderFilter::new(Vec::from(["a".to_string()]), not);
        let mut out = Vec::new();
        filter.update(header.as_bytes(), &mut out);
        filter.finish(&mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!(filter("a: 1\r\nb: 2", false), "a: 1\r\n");
    assert_eq!(filter("a: 1\r\nb: 2\r\ncut", true), "b: 2\r\ncut");
    assert_eq!(filter("", true), "");
    let long = alloc::format!("{}\r\na: 1\r\n\r\n", "a".repeat(100_000));
    assert_eq!(filter(&long, false), "a: 1\r\n\r\n");
    assert_eq!(filter(&long, true).len(), 100_004);
}

fn blocks() -> impl Strategy<Value = String> {
    let pieces = [
        "a: 1\r\n",
        "A : 2\r\n",
        "b:\n",
        " c\r\n",
        "\t",
        "no colon\r\n",
        "\r",
        "\n",
        "\r\n",
        "a",
        ":",
        "ab: x\r\n",
    ];
    prop::collection::vec(prop::sample::select(Vec::from(pieces)), 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn the_filter_equals_the_naive_one(block in blocks(), not: bool, at: prop::sample::Index) {
        let listed = |name: &[u8]| name.eq_ignore_ascii_case(b"a") || name.eq_ignore_ascii_case(b"no colon");
        let mut naive: Vec<u8> = Vec::new();
        let mut length = 0;
        for field in fields(block.as_bytes()) {
            length += field.raw.len();
            if listed(field.name) != not {
                naive.extend_from_slice(field.raw);
            }
        }
        let rest = &block.as_bytes()[length..];
        naive.extend_from_slice(&rest[..rest.len().min(if rest.starts_with(b"\r") { 2 } else { 1 })]);

        let mut filter = HeaderFilter::new(Vec::from(["A".to_string(), "no colon".to_string()]), not);
        let mut out = Vec::new();
        let at = at.index(block.len() + 1);
        filter.update(&block.as_bytes()[..at], &mut out);
        filter.update(&block.as_bytes()[at..], &mut out);
        filter.finish(&mut out);
        prop_assert_eq!(String::from_utf8(out), String::from_utf8(naive));
    }

    #[test]
    fn a_header_ends_where_its_fields_do(block in blocks(), at: prop::sample::Index) {
        let length: usize = fields(block.as_bytes()).map(|field| field.raw.len()).sum();
        let rest = &block.as_bytes()[length..];
        let empty = if rest.starts_with(b"\r\n") { 2 } else { usize::from(rest.starts_with(b"\n")) };
        let at = at.index(block.len() + 1);
        let mut end = HeaderEnd::default();
        let first = end.update(&block.as_bytes()[..at]);
        let taken = first + if first == at { end.update(&block.as_bytes()[at..]) } else { 0 };
        prop_assert_eq!(end.found(), empty > 0);
        prop_assert_eq!(taken, length + empty);
    }
}

/// A name stays whole, however long it is and whatever stands before its colon.
#[test]
fn no_name_is_folded() {
    let raw = ["x", &"y".repeat(1000), " : value\r\n"].concat();
    let mut out = Vec::new();
    fold_into(raw.as_bytes(), &mut out);
    assert_eq!(out, raw.as_bytes());
}

proptest! {
    /// Folding adds line ends before white space, nothing else; no line is white space alone, none too long that could be folded.
    #[test]
    fn folded_fields_read_the_same(words in proptest::collection::vec("[a-z:]{0,400}", 1..12), gap in "[ \t]{1,4}") {
        let raw = ["Subject:", &words.join(&gap), "\r\n"].concat();
        let mut out = Vec::new();
        fold_into(raw.as_bytes(), &mut out);
        let out = String::from_utf8(out).unwrap();
        prop_assert_eq!(out.replace("\r\n", ""), raw.replace("\r\n", ""));
        prop_assert_eq!(fields(out.as_bytes()).count(), 1);
        let short = |line: &str| line.len() <= 998 || !line.trim_start().contains([' ', '\t']);
        for line in out.split_terminator("\r\n") {
            prop_assert!(!line.trim().is_empty(), "{:?}", out);
            prop_assert!(short(line), "{:?}", line);
        }
        prop_assert!(raw.len() > 1000 || out == raw);
    }
}
