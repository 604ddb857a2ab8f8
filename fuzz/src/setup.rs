//! Outlook's request: the XML reader against its own canonical form, and the answer against a document that says the same.

use pillarbox_core::address::Domain;
use pillarbox_core::limits;
use pillarbox_core::setup::autodiscover::{self, parse};
use pillarbox_core::setup::xml::{Event, Reader, XmlError, escape};
use pillarbox_core::setup::{Kind, Security, Service, Services};
use pillarbox_core::time::UnixTime;

/// An element, or the text in one: what a document says, however it was written.
#[derive(Debug, PartialEq)]
enum Said {
    Open(String, String),
    Text(String),
    Close,
}

/// A document that is read, written plainly and read again says the same; the request in it, too; and whatever comes, the answer is a
/// document of ours.
pub fn setup_autodiscover(body: &[u8]) {
    let said = read(body);
    let asked = parse(body);
    if let Ok(said) = &said {
        planted!(
            said.iter()
                .any(|said| matches!(said, Said::Text(text) if text.contains('>') && text.contains('@')))
        );
        let plain = write(said);
        let again = read(plain.as_bytes());
        // Two prefixes in turn need two declarations, but one for each level in this form.
        if again != Err(XmlError::Limit) {
            assert_eq!(again.as_ref(), Ok(said), "{plain}");
            assert_eq!(parse(plain.as_bytes()), asked, "{plain}");
        }
    } else {
        assert!(asked.is_err());
    }
    let domain = Domain::parse("a.test", false).expect("a domain");
    let services = services(&domain);
    if let Ok(address) = std::str::from_utf8(body) {
        let (status, json) = autodiscover::reply_v2(&services, std::slice::from_ref(&domain), address, "AutodiscoverV1");
        assert_eq!(status == 200, json.starts_with(b"{\"Protocol\""));
        assert_eq!(autodiscover::reply_v2(&services, &[], address, address).0 == 200, false);
    }
    let reply = autodiscover::reply(&services, &[domain], body, UnixTime(0));
    let answered = read(&reply).expect("the answer is well-formed");
    let logins = answered
        .iter()
        .filter(|said| matches!(said, Said::Open(_, name) if name == "LoginName"));
    let errors = answered
        .iter()
        .filter(|said| matches!(said, Said::Open(_, name) if name == "Error"));
    let (logins, errors) = (logins.count(), errors.count());
    assert!((logins, errors) == (2, 0) || (logins, errors) == (0, 1));
    assert!(asked.is_ok() || errors == 1);
}

/// All of a document; texts in a row are one. The reader comes to an end, never deeper than it may.
fn read(body: &[u8]) -> Result<Vec<Said>, XmlError> {
    let mut reader = Reader::new(body)?;
    let (mut said, mut depth) = (Vec::new(), 0);
    for _ in 0..=2 * body.len() {
        match reader.read()? {
            None => {
                assert_eq!(depth, 0);
                return Ok(said);
            }
            Some(Event::Open { namespace, name }) => {
                depth += 1;
                assert!(depth <= limits::XML_DEPTH);
                said.push(Said::Open(namespace.into(), name.into()));
            }
            Some(Event::Text(text)) => match said.last_mut() {
                _ if text.is_empty() => {}
                Some(Said::Text(before)) => before.push_str(&text),
                Some(Said::Open(..) | Said::Close) | None => said.push(Said::Text(text.into())),
            },
            Some(Event::Close) => {
                depth -= 1;
                said.push(Said::Close);
            }
        }
    }
    panic!("the reading does not end");
}

/// The plainest form: a default namespace with every element that changes it.
fn write(said: &[Said]) -> String {
    let (mut out, mut open): (String, Vec<(&str, &str)>) = (String::new(), Vec::new());
    for piece in said {
        match piece {
            Said::Open(namespace, name) => {
                let outer = open.last().map_or("", |(namespace, _)| *namespace);
                out.push_str(&format!("<{name}"));
                if outer != namespace {
                    // As it was written: with references it would not have been taken.
                    let quote = if namespace.contains('"') { '\'' } else { '"' };
                    out.push_str(&format!(" xmlns={quote}{namespace}{quote}"));
                }
                out.push('>');
                open.push((namespace, name));
            }
            Said::Text(text) => out.push_str(&escape(text)),
            Said::Close => {
                let (_, name) = open.pop().expect("open");
                out.push_str(&format!("</{name}>"));
            }
        }
    }
    out
}

fn services(hostname: &Domain) -> Services {
    let service = |kind| Service {
        kind,
        security: Security::Tls,
        port: 1,
    };
    Services {
        hostname: hostname.clone(),
        mail: vec![service(Kind::Imap), service(Kind::Submission)],
        https: Some(443),
        http: None,
    }
}
