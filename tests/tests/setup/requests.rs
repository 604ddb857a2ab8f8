//! Requests that are taken, and those that are not (S60).

use pillarbox_core::limits;
use pillarbox_core::setup::autodiscover::{Refused, parse};
use pillarbox_core::setup::xml::{Reader, XmlError};

const NS: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006";
const WANTED: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

fn read(body: &str) -> Result<String, Refused> {
    parse(body.as_bytes()).map(|request| request.address)
}

fn request(inner: &str) -> String {
    format!("<Autodiscover xmlns=\"{NS}\"><Request>{inner}</Request></Autodiscover>")
}

#[test]
fn forms_that_clients_send() {
    let ann = Ok("ann@example.test".to_string());
    let plain = "<EMailAddress>ann@example.test</EMailAddress>";
    let schema = format!("<AcceptableResponseSchema>{WANTED}</AcceptableResponseSchema>");
    assert_eq!(read(&request(&format!("{plain}{schema}"))), ann);
    assert_eq!(read(&request(&format!("{schema}\n{plain}"))), ann);
    // The answer's form is not always named; white space, comments and CDATA are XML's own.
    assert_eq!(
        read(&request(
            "<EMailAddress> ann@<!-- - --><![CDATA[example]]>.test\r\n</EMailAddress>"
        )),
        ann
    );
    assert_eq!(read(&request("<EMailAddress>ann&#64;example&#x2e;test</EMailAddress>")), ann);
    let prefixed = format!(
        "\u{feff}<?xml version='1.0' encoding='UTF-8' standalone='yes'?><!-- x --><p:Autodiscover xmlns:p='{NS}' a='1'>\
         <p:Request><p:EMailAddress>ann@example.test</p:EMailAddress></p:Request></p:Autodiscover >\n"
    );
    assert_eq!(read(&prefixed), ann);
    // Fields of others are theirs.
    let with_others = format!("<LegacyDN/><x xmlns='u:x'><EMailAddress>eve</EMailAddress></x>{plain}");
    assert_eq!(read(&request(&with_others)), ann);
    let nested = request("<Other><EMailAddress>eve</EMailAddress></Other><EMailAddress>ann@example.test</EMailAddress>");
    assert_eq!(read(&nested), ann);
}

#[test]
fn what_is_no_request() {
    let none = [
        "<a/>".to_string(),
        request(""),
        request("<EMailAddress>  </EMailAddress>"),
        request("<EMailAddress>a@b.test</EMailAddress><EMailAddress>c@b.test</EMailAddress>"),
        format!("<Autodiscover xmlns='{NS}'/>"),
        format!("<Autodiscover xmlns='{NS}'><EMailAddress>a@b.test</EMailAddress></Autodiscover>"),
        "<Autodiscover><Request><EMailAddress>a@b.test</EMailAddress></Request></Autodiscover>".to_string(),
    ];
    for body in none {
        assert_eq!(read(&body), Err(Refused::NotARequest), "{body}");
    }
    let mobile = request("<EMailAddress>a@b.test</EMailAddress>").replace("outlook/requestschema", "mobilesync/requestschema");
    assert_eq!(read(&mobile), Err(Refused::OtherSchema));
    let other = "<EMailAddress>a@b.test</EMailAddress><AcceptableResponseSchema>urn:x</AcceptableResponseSchema>";
    assert_eq!(read(&request(other)), Err(Refused::OtherSchema));
}

#[test]
fn what_is_no_xml() {
    let syntax = [
        "",
        "   ",
        "junk",
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/>text",
        "text<a/>",
        "<a b/>",
        "<a b=c/>",
        "<a b='1'b='2'/>",
        "<a b='1' b='2'/>",
        "<a b='<'/>",
        "<a>]]></a>",
        "<a>&</a>",
        "<a>&lt</a>",
        "<a>\u{1}</a>",
        "<a><!-- -- --></a>",
        "<a><![CDATA[x</a>",
        "<![CDATA[x]]><a/>",
        "<a:b:c/>",
        "<:a/>",
        "<a:/>",
        "<1/>",
        "<a",
        "<a b='1",
        "<?xml?><a/>",
        "<?xml version='1.1'?><a/>",
        "<?xml encoding='utf-8' version='1.0'?><a/>",
        "<a><?xml version='1.0'?",
        "<!doctype a><a/>",
        "<!ENTITY a 'b'><a/>",
    ];
    for body in syntax {
        let refused = read(body);
        let known = matches!(
            refused,
            Err(Refused::Xml(XmlError::Syntax(_))) | Err(Refused::Xml(XmlError::Instruction))
        );
        // A root that is none of ours ends the reading first.
        assert!(known || error(body.as_bytes()).is_some(), "{body}: {refused:?}");
    }
}

/// The error of reading all of a document.
fn error(body: &[u8]) -> Option<XmlError> {
    let mut reader = match Reader::new(body) {
        Ok(reader) => reader,
        Err(error) => return Some(error),
    };
    // Every piece takes at least an octet, but for the end of an empty-element tag.
    for _ in 0..=2 * body.len() {
        match reader.read() {
            Ok(Some(_)) => {}
            Ok(None) => return None,
            Err(error) => return Some(error),
        }
    }
    panic!("the reading does not end")
}

#[test]
fn s60_entities_and_document_types_are_refused() {
    let bomb = "<?xml version=\"1.0\"?><!DOCTYPE lolz [<!ENTITY lol \"lol\"><!ENTITY l2 \"&lol;&lol;\">]><lolz>&l2;</lolz>";
    assert_eq!(error(bomb.as_bytes()), Some(XmlError::DocumentType));
    let external = "<!DOCTYPE a [<!ENTITY x SYSTEM \"file:///etc/passwd\">]><a>&x;</a>";
    assert_eq!(error(external.as_bytes()), Some(XmlError::DocumentType));
    for entity in [
        "&lol;",
        "&#0;",
        "&#xD800;",
        "&#x110000;",
        "&#-1;",
        "&#+1;",
        "&#x;",
        "&#;",
        "&;",
        "&LT;",
    ] {
        assert_eq!(
            error(format!("<a>{entity}</a>").as_bytes()),
            Some(XmlError::Entity),
            "{entity}"
        );
    }
    assert_eq!(error(b"<?xml-stylesheet href='x'?><a/>"), Some(XmlError::Instruction));
    assert_eq!(error(b"<a>\xff</a>"), Some(XmlError::Encoding));
    assert_eq!(error(b"\xff\xfe<\0a\0/\0>\0"), Some(XmlError::Encoding));
    assert_eq!(error(b"<?xml version='1.0' encoding='utf-7'?><a/>"), Some(XmlError::Encoding));
    assert_eq!(error(b"<p:a/>"), Some(XmlError::Prefix));
    assert_eq!(error(b"<a p:b='1'/>"), Some(XmlError::Prefix));
    assert_eq!(error(b"<a xmlns:p=''/>"), Some(XmlError::Prefix));
    assert_eq!(error(b"<a><b xmlns:p='u:p'/><p:c/></a>"), Some(XmlError::Prefix));
}

#[test]
fn s60_depth_attributes_and_namespaces_are_bounded() {
    let deep = |levels: usize| "<a>".repeat(levels) + &"</a>".repeat(levels);
    assert_eq!(error(deep(limits::XML_DEPTH).as_bytes()), None);
    assert_eq!(error(deep(limits::XML_DEPTH + 1).as_bytes()), Some(XmlError::Limit));
    let wide = |count: usize| {
        let attributes: String = (0..count).map(|number| format!(" a{number}='1'")).collect();
        format!("<a{attributes}/>")
    };
    assert_eq!(error(wide(limits::XML_ATTRIBUTES).as_bytes()), None);
    assert_eq!(error(wide(limits::XML_ATTRIBUTES + 1).as_bytes()), Some(XmlError::Limit));
    let named = |count: usize| {
        let attributes: String = (0..count).map(|number| format!(" xmlns:a{number}='u'")).collect();
        format!("<a{attributes}/>")
    };
    assert_eq!(error(named(limits::XML_NAMESPACES).as_bytes()), None);
    assert_eq!(error(named(limits::XML_NAMESPACES + 1).as_bytes()), Some(XmlError::Limit));
    // They end with their element.
    let one_after_another = format!("<r>{}</r>", "<a xmlns:p='u'/>".repeat(100));
    assert_eq!(error(one_after_another.as_bytes()), None);
}
