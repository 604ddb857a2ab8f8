use alloc::format;
use alloc::string::ToString;
use alloc::vec::Vec;

use proptest::prelude::*;

use super::*;
use crate::record::Record;

fn mailbox(text: &str) -> Result<Mailbox, AddressError> {
    Mailbox::parse(text, false)
}

#[test]
fn well_formed_addresses() {
    for text in [
        "a@b",
        "first.last@example.org",
        "\"a b\"@example.org",
        "\"\"@example.org",
        "\"a\\\"b\\\\c\"@example.org",
        "a+b@example.org",
        "o'hara@xn--bcher-kva.example",
        "!#$%&'*+-/=?^_`{|}~@example.org",
        "a@[192.0.2.1]",
        "a@[IPv6:2001:db8::1]",
        "a@_dmarc.example.org",
        "postmaster@localhost",
        "user%other.test@example.org",
        "\"<>\"@example.org",
    ] {
        let parsed = mailbox(text).unwrap_or_else(|error| panic!("{text}: {error}"));
        assert_eq!(parsed.to_string(), text);
        assert_eq!(Mailbox::from_record(&parsed.to_record()).unwrap(), parsed);
    }
    assert_eq!(
        mailbox("\"abc\"@EXAMPLE.org").unwrap().to_string(),
        "abc@example.org",
        "needless quotes go"
    );
}

#[test]
fn s11_odd_addresses_are_refused() {
    for text in [
        "",
        "@",
        "a",
        "a@",
        "@b",
        "a@@b",
        "a@b@c",
        ".a@b",
        "a.@b",
        "a..b@c",
        "a b@c",
        "a@b c",
        "a@.b",
        "a@b.",
        "a@b..c",
        "a@-b",
        "a@b-",
        "\"a@b",
        "a\"@b",
        "\"a\"b@c",
        "a\\b@c",
        "\"a\\\"@b",
        "a@[",
        "a@[]",
        "a@[1.2.3]",
        "a@[1.2.3.4",
        "a@[256.1.1.1]",
        "a@[IPv6:1]",
        "a@[IPv6:1.2.3.4]",
        "a@[::1]",
        "a@b:c",
        "a@b,c@d",
        "a@b/c",
        "a(comment)@b",
        "a@b(c)",
        "a\u{0}@b",
        "a@b\u{0}",
        "\"a\rb\"@c",
        "\"a\nb\"@c",
        "a@\u{e4}.example",
        "\u{e4}@b",
        "a@b!c",
        "<a@b>",
        "a@b>",
        "a:b@c",
        "a;b@c",
        "a,b@c",
        "a[b@c",
        "a]b@c",
        "a\tb@c",
    ] {
        assert!(mailbox(text).is_err(), "{text:?} was taken");
    }
    let long = "x".repeat(65);
    assert_eq!(mailbox(&format!("{long}@b")), Err(AddressError::TooLong));
    assert!(mailbox(&format!("{}@b", &long[..64])).is_ok());
    assert_eq!(mailbox(&format!("a@{}.b", "y".repeat(64))), Err(AddressError::Domain));
    assert_eq!(mailbox(&format!("a@{}", "y.".repeat(128))), Err(AddressError::TooLong));
}

#[test]
fn utf8_only_where_it_is_allowed() {
    assert_eq!(Mailbox::parse("jürgen@bücher.example", false), Err(AddressError::NotAscii));
    let parsed = Mailbox::parse("jürgen@BÜCHER.example", true).unwrap();
    assert_eq!(parsed.to_string(), "jürgen@bücher.example");
}

#[test]
fn paths() {
    let reverse =
        |text: &str| ReversePath::parse_prefix(text.as_bytes(), false).map(|(path, rest)| (path.to_string(), rest.to_vec()));
    assert_eq!(reverse("<>"), Ok(("<>".into(), b"".to_vec())));
    assert_eq!(reverse("<a@b> SIZE=1"), Ok(("<a@b>".into(), b" SIZE=1".to_vec())));
    assert_eq!(reverse("<@x,@y:a@b>"), Ok(("<a@b>".into(), b"".to_vec())));
    assert_eq!(reverse("<\"a>b\"@c>"), Ok(("<\"a>b\"@c>".into(), b"".to_vec())));
    for bad in [
        "",
        "a@b",
        "<a@b",
        "<a@b\"",
        "<@x a@b>",
        "<@:a@b>",
        "<x:a@b>",
        "< a@b>",
        "<a@b >",
        "<postmaster>",
    ] {
        assert!(reverse(bad).is_err(), "{bad:?} was taken");
    }
    let forward = |text: &str| ForwardPath::parse_prefix(text.as_bytes(), false).map(|(path, _)| path);
    assert_eq!(forward("<PostMaster>"), Ok(ForwardPath::Postmaster));
    assert!(forward("<>").is_err());
    assert!(forward("<abuse>").is_err());
}

/// The isemail corpus knows more than SMTP takes (comments, folding); what it calls valid for SMTP must parse, what it calls an
/// error must not.
#[test]
fn isemail_categories() {
    // ISEMAIL_ERR_* of a form that can stand in a path, each with its reason there.
    for text in [
        "test",
        "@test.org",
        "test@",
        "@",
        "test@.org",
        ".test@iana.org",
        "test.@iana.org",
        "test..iana.org",
        "test_exa-mple.com",
        "test\\@test@iana.org",
        "test@-iana.org",
        "test@iana-.com",
        "\"test@iana.org",
        "test\"@iana.org",
        "\"test\"test@iana.org",
        "test\"text\"@iana.org",
        "test@[255.255.255]",
        "test@[255.255.255.255.255]",
        "test@[255.255.255.256]",
        "test@[1111:2222:3333:4444:5555:6666:7777:8888]",
    ] {
        assert!(mailbox(text).is_err(), "{text:?} was taken");
    }
    for text in [
        "test@iana.org",
        "test@nominet.org.uk",
        "test@about.museum",
        "a@iana.org",
        "test@e.com",
        "test@iana.a",
        "test.test@iana.org",
        "!#$%&`*+/=?^`{|}~@iana.org",
        "123@iana.org",
        "test@123.com",
        "abcdefghijklmnopqrstuvwxyzabcdefghijklmnopqrstuvwxyzabcdefghiklm@iana.org",
        "test@mason-dixon.com",
        "test@c--n.com",
        "test@iana.co-uk",
        "\"test\"@iana.org",
        "\"\"@iana.org",
        "\"\\a\"@iana.org",
        "\"\\\"\"@iana.org",
        "\"\\\\\"@iana.org",
        "test@[255.255.255.255]",
        "test@[IPv6:1111:2222:3333:4444:5555:6666:7777:8888]",
        "test@[IPv6:1111:2222:3333:4444:5555:6666::8888]",
    ] {
        assert!(mailbox(text).is_ok(), "{text:?} was refused");
    }
}

proptest! {
    #[test]
    fn what_is_shown_is_read_back(local in "[ -~]{0,64}", domain in "[a-z0-9]([a-z0-9-]{0,20}[a-z0-9])?(\\.[a-z]{1,10}){0,3}") {
        let mailbox = Mailbox { local: LocalPart::new(&local, false).unwrap(), host: Host::Domain(Domain::parse(&domain, false).unwrap()) };
        prop_assert_eq!(Mailbox::parse(&mailbox.to_string(), false), Ok(mailbox.clone()));
        let path = format!("<{mailbox}> REST");
        if path.len() <= 256 {
            let (parsed, rest) = ReversePath::parse_prefix(path.as_bytes(), false).unwrap();
            prop_assert_eq!(parsed, ReversePath::Mailbox(mailbox));
            prop_assert_eq!(rest, b" REST");
        }
    }
    #[test]
    fn any_bytes(bytes: Vec<u8>) {
        let _ = ReversePath::parse_prefix(&bytes, true);
        let _ = ForwardPath::parse_prefix(&bytes, false);
    }
}
