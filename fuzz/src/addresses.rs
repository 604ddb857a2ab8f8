//! Addresses and paths: what is read is written and read again, within its limits, and nothing of it breaks a line (S11, S18).

use std::net::IpAddr;

use pillarbox_core::address::{Domain, ForwardPath, Host, LocalPart, Mailbox, ReversePath};
use pillarbox_core::limits;
use pillarbox_core::record::Record;

use crate::steered;

/// A domain, a host, a mailbox and both paths, with and without UTF-8.
pub fn addresses(bytes: &[u8]) {
    let (steer, bytes) = steered(bytes);
    let utf8 = steer & 1 != 0;
    paths(bytes, utf8);
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(domain) = Domain::parse(text, utf8) {
        assert!(
            domain
                .as_str()
                .split('.')
                .all(|label| (1..=limits::LABEL).contains(&label.len()))
        );
        assert!(naive_domain(text), "{text:?}");
        again(&domain, |text| Domain::parse(text, utf8).ok());
    } else if text.is_ascii() {
        assert!(!naive_domain(text), "{text:?}");
    }
    if let Ok(host) = Host::parse(text, utf8) {
        again(&host, |text| Host::parse(text, utf8).ok());
    }
    if let Ok(local) = LocalPart::new(text, utf8) {
        let mailbox = Mailbox {
            local,
            host: Host::Literal(IpAddr::from([192, 0, 2, steer])),
        };
        again(&mailbox, |text| Mailbox::parse(text, utf8).ok());
    }
    let mailbox = Mailbox::parse(text, utf8);
    if text.is_ascii() && !text.starts_with('"') {
        assert_eq!(mailbox.is_ok(), naive_mailbox(text), "{text:?}");
    }
    let Ok(mailbox) = mailbox else { return };
    assert!(mailbox.local.as_str().len() <= limits::LOCAL_PART);
    assert_eq!(
        Mailbox::parse(text, true).as_ref(),
        Ok(&mailbox),
        "what ASCII allows, UTF-8 does"
    );
    assert!(utf8 || mailbox.is_ascii());
    planted!(mailbox.local.as_str().contains(' ') && matches!(mailbox.host, Host::Literal(IpAddr::V6(_))));
    again(&mailbox, |text| Mailbox::parse(text, utf8).ok());
    assert_eq!(mailbox.local.folded(), mailbox.local.as_str().to_lowercase());
    let path = format!("<{mailbox}>");
    if path.len() <= limits::PATH {
        assert_eq!(
            ReversePath::parse_prefix(path.as_bytes(), utf8),
            Ok((ReversePath::Mailbox(mailbox), &b""[..]))
        );
    }
}

/// Its text, read again, is the same; so is its record; and the text is of one line.
fn again<T: Record + PartialEq + std::fmt::Debug + std::fmt::Display>(value: &T, parse: impl Fn(&str) -> Option<T>) {
    let text = value.to_string();
    assert!(!text.chars().any(char::is_control), "{text:?}");
    assert_eq!(parse(&text).as_ref(), Some(value), "{text:?}");
    assert_eq!(T::from_record(&value.to_record()).as_ref(), Ok(value));
}

/// A path ends where its bracket does; what stands behind it does not count.
fn paths(bytes: &[u8], utf8: bool) {
    if let Ok((path, rest)) = ReversePath::parse_prefix(bytes, utf8) {
        let text = path.to_string();
        assert!(bytes.ends_with(rest) && !text.chars().any(char::is_control));
        assert_eq!(path.is_ascii(), text.is_ascii());
        if text.len() <= limits::PATH {
            assert_eq!(ReversePath::parse_prefix(text.as_bytes(), utf8), Ok((path.clone(), &b""[..])));
        }
        assert_eq!(ReversePath::from_record(&path.to_record()), Ok(path));
    }
    if let Ok((path, rest)) = ForwardPath::parse_prefix(bytes, utf8) {
        let text = path.to_string();
        assert!(bytes.ends_with(rest) && !text.chars().any(char::is_control));
        assert_eq!(path.is_ascii(), text.is_ascii());
        if text.len() <= limits::PATH {
            assert_eq!(ForwardPath::parse_prefix(text.as_bytes(), utf8), Ok((path.clone(), &b""[..])));
        }
        assert_eq!(ForwardPath::from_record(&path.to_record()), Ok(path));
    }
}

/// RFC 5321 §4.1.2 in ASCII, with `_`, which hosts have.
fn naive_domain(text: &str) -> bool {
    !text.is_ascii()
        || text.len() <= limits::DOMAIN
            && text.split('.').all(|label| {
                (1..=63).contains(&label.len())
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label
                        .bytes()
                        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
            })
}

/// `Dot-string "@" ( Domain / address-literal )` in ASCII.
fn naive_mailbox(text: &str) -> bool {
    let Some((local, host)) = text.split_once('@') else {
        return false;
    };
    let atext = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-/=?^_`{|}~".contains(&byte);
    let atom = |atom: &str| !atom.is_empty() && atom.bytes().all(atext);
    let literal = |host: &str| {
        let inner = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
        inner.is_some_and(|inner| match inner.get(..5).filter(|tag| tag.eq_ignore_ascii_case("ipv6:")) {
            Some(_) => inner[5..].parse::<std::net::Ipv6Addr>().is_ok(),
            None => inner.parse::<std::net::Ipv4Addr>().is_ok(),
        })
    };
    local.len() <= limits::LOCAL_PART && local.split('.').all(atom) && (naive_domain(host) || literal(host))
}
