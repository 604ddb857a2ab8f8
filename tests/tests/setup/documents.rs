//! Whole documents.

use pillarbox_core::setup::dns_records::{self, Publisher};
use pillarbox_core::setup::xml::{Event, Reader, escape};
use pillarbox_core::setup::{Kind, Security, Services, autoconfig, autodiscover, srv};
use pillarbox_core::time::UnixTime;
use proptest::prelude::*;

use super::{domain, high_ports, mailbox, service, standard, text};

/// 2026-11-24T13:05:09.007Z
const NOW: UnixTime = UnixTime(1_795_525_509_007);

fn post(address: &str) -> String {
    format!(
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\r\n\
         <Autodiscover xmlns=\"http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006\">\r\n  <Request>\r\n    \
         <EMailAddress>{}</EMailAddress>\r\n    <AcceptableResponseSchema>\
         http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a</AcceptableResponseSchema>\r\n  \
         </Request>\r\n</Autodiscover>\r\n",
        escape(address)
    )
}

fn nothing() -> Services {
    Services {
        mail: Vec::new(),
        https: None,
        http: None,
        ..standard()
    }
}

#[test]
fn autoconfig_names_what_listens_tls_first() {
    let document = autoconfig::document(&standard(), &domain("example.test"), None);
    insta::assert_snapshot!("autoconfig", text(document.expect("a document")));
    let ann = mailbox("ann@demo.test");
    let document = autoconfig::document(&high_ports(), &domain("demo.test"), Some(&ann));
    insta::assert_snapshot!("autoconfig_high_ports", text(document.expect("a document")));
}

#[test]
fn nothing_is_promised_that_does_not_listen() {
    assert_eq!(autoconfig::document(&nothing(), &domain("example.test"), None), None);
    let mut only_imap = standard();
    only_imap.mail.retain(|service| service.kind == Kind::Imap);
    assert_eq!(autoconfig::document(&only_imap, &domain("example.test"), None), None);
    let ours = [domain("example.test")];
    let body = post("ann@example.test");
    let error = text(autodiscover::reply(&only_imap, &ours, body.as_bytes(), NOW));
    assert!(error.contains("<ErrorCode>603</ErrorCode>"), "{error}");
    assert!(
        srv::records(&nothing(), &ours[0])
            .iter()
            .all(|record| record.target.is_none())
    );
    assert_eq!(
        autodiscover::reply_v2(&nothing(), &ours, "ann@example.test", "AutodiscoverV1").0,
        404
    );
}

#[test]
fn autodiscover_names_the_best_of_each_kind() {
    let ours = [domain("example.test"), domain("demo.test")];
    let reply = autodiscover::reply(&standard(), &ours, post("Ann@Example.test").as_bytes(), NOW);
    insta::assert_snapshot!("autodiscover", text(reply));
    let reply = autodiscover::reply(&high_ports(), &ours, post("ann@demo.test").as_bytes(), NOW);
    insta::assert_snapshot!("autodiscover_high_ports", text(reply));
}

#[test]
fn autodiscover_says_why_not() {
    let ours = [domain("example.test")];
    let all = ["ann@elsewhere.test", "ann", "ann@[192.0.2.1]", "ann@example.test\"><x/>", ""];
    for address in all {
        let reply = text(autodiscover::reply(&standard(), &ours, post(address).as_bytes(), NOW));
        let code = if address.is_empty() { "600" } else { "500" };
        assert!(
            reply.contains(&format!("<ErrorCode>{code}</ErrorCode>")),
            "{address}: {reply}"
        );
    }
    insta::assert_snapshot!(
        "autodiscover_error",
        text(autodiscover::reply(&standard(), &ours, b"junk", NOW))
    );
}

/// S59: nobody is sent anywhere by what they write: documents name our host, and of what was asked for only the address.
#[test]
fn s59_documents_name_only_our_host() {
    let ours = [domain("example.test")];
    for address in [
        "ann@example.test",
        "ann@evil.test",
        "http://evil.test/@example.test",
        "evil.test",
        "ann@example.test@evil.test",
    ] {
        let reply = text(autodiscover::reply(&standard(), &ours, post(address).as_bytes(), NOW));
        let servers = reply
            .split("<Server>")
            .skip(1)
            .map(|rest| rest.split('<').next().unwrap_or_default());
        for server in servers {
            assert_eq!(server, standard().hostname.as_str(), "{address}: {reply}");
        }
        assert!(
            address.contains("@example.test") || !reply.contains("evil.test/"),
            "{address}: {reply}"
        );
        assert!(
            !reply.contains("<RedirectUrl>") && !reply.contains("<RedirectAddr>"),
            "{address}: {reply}"
        );
        let (_, document) = autodiscover::reply_v2(&standard(), &ours, address, "AutodiscoverV1");
        assert!(!text(document).contains("//evil.test"), "{address}");
    }
}

#[test]
fn version_2_points_at_the_document() {
    let ours = [domain("example.test")];
    let ask = |address: &str, protocol: &str| {
        let (status, body) = autodiscover::reply_v2(&standard(), &ours, address, protocol);
        let json: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
        (status, json)
    };
    let (status, json) = ask("ann@example.test", "autodiscoverv1");
    assert_eq!(
        (status, json["Url"].as_str()),
        (200, Some("https://mx.example.test/autodiscover/autodiscover.xml"))
    );
    assert_eq!(json["Protocol"], "AutodiscoverV1");
    let (status, json) = ask("ann@example.test", "ActiveSync");
    assert_eq!((status, json["ErrorCode"].as_str()), (400, Some("InvalidProtocol")));
    assert_eq!(ask("ann@elsewhere.test", "AutodiscoverV1").0, 404);
}

#[test]
fn records_of_a_domain() {
    let publisher = Publisher {
        services: standard(),
        addresses: vec!["192.0.2.10".parse().expect("IPv4"), "2001:db8::10".parse().expect("IPv6")],
        sources: Vec::new(),
        smarthost: None,
        smtp: true,
    };
    let zone = dns_records::zone_text(&dns_records::records(&publisher, &domain("example.test")));
    insta::assert_snapshot!("records", zone);
    let publisher = Publisher {
        services: Services {
            https: None,
            http: None,
            ..high_ports()
        },
        addresses: Vec::new(),
        sources: vec!["192.0.2.11".parse().expect("IPv4")],
        smarthost: Some(domain("smtp.isp.example")),
        smtp: false,
    };
    let zone = dns_records::zone_text(&dns_records::records(&publisher, &domain("second.test")));
    insta::assert_snapshot!("records_with_a_smarthost", zone);
}

/// Elements, attributes left out, with their texts: fails when it is not well-formed.
fn leaves(document: &[u8]) -> Vec<(String, String)> {
    let mut reader = Reader::new(document).expect("a declaration that is taken");
    let (mut leaves, mut open) = (Vec::new(), Vec::new());
    while let Some(event) = reader.read().expect("well-formed") {
        match event {
            Event::Open { name, .. } => open.push((name.to_string(), String::new())),
            Event::Text(text) => open.last_mut().expect("text inside").1.push_str(&text),
            Event::Close => leaves.extend(open.pop()),
        }
    }
    leaves
}

/// What comes back of a text that went through a document.
fn sane(text: &str) -> String {
    let bad = |c: char| {
        (c.is_control() && !matches!(c, '\t' | '\n' | '\r') && u32::from(c) < 32) || matches!(c, '\u{fffe}' | '\u{ffff}')
    };
    text.chars().map(|c| if bad(c) { '\u{fffd}' } else { c }).collect()
}

proptest! {
    /// Whatever is inserted comes out again as text, and nothing else changes: no address can add an element.
    #[test]
    fn inserted_values_stay_text(local in "\\PC{1,40}") {
        let quoted = format!("\"{}\"@example.test", local.replace('\\', "\\\\").replace('"', "\\\""));
        let Ok(address) = pillarbox_core::address::Mailbox::parse(&quoted, true) else { return Ok(()) };
        let shown = address.to_string();
        let plain = leaves(&autoconfig::document(&standard(), &domain("example.test"), None).expect("a document"));
        let filled = leaves(&autoconfig::document(&standard(), &domain("example.test"), Some(&address)).expect("a document"));
        let expected: Vec<_> = plain
            .into_iter()
            .map(|(name, text)| (name, text.replace("%EMAILADDRESS%", &sane(&shown))))
            .collect();
        prop_assert_eq!(filled, expected);
        let reply = autodiscover::reply(&standard(), &[domain("example.test")], post(&shown).as_bytes(), NOW);
        let logins: Vec<_> = leaves(&reply).into_iter().filter(|(name, _)| name == "LoginName").map(|(_, text)| text).collect();
        prop_assert_eq!(logins, vec![sane(&shown); 2]);
    }

    /// Escaped and read again, a text is itself.
    #[test]
    fn escaped_text_is_read_again(written in any::<String>()) {
        let document = format!("<a>{}</a>", escape(&written));
        prop_assert_eq!(leaves(document.as_bytes()), vec![("a".to_string(), sane(&written))]);
    }

    /// A request's address is what stood in it, however it was written.
    #[test]
    fn an_address_is_read_as_written(written in "\\PC{1,60}") {
        let wanted = written.trim();
        prop_assume!(!wanted.is_empty());
        let read = autodiscover::parse(post(&written).as_bytes()).expect("a request");
        prop_assert_eq!(read.address, sane(wanted));
    }
}

#[test]
fn of_several_listeners_the_standard_port_is_named() {
    let mut services = standard();
    services.mail.insert(0, service(Kind::Imap, Security::Tls, 10));
    services.mail.push(service(Kind::Imap, Security::Tls, 2993));
    assert_eq!(services.one(Kind::Imap, Security::Tls).map(|service| service.port), Some(993));
}
