//! What is served: which names are ours, which paths they have.

use pillarbox_core::address::Domain;
use pillarbox_core::setup::autodiscover::{self, Refused};
use pillarbox_core::setup::{Services, asked_for, autoconfig};
use pillarbox_core::time::UnixTime;

use super::page;
use super::request::{Head, Method};
use super::response::Response;

const AUTOCONFIG: &str = "/mail/config-v1.1.xml";
const WELL_KNOWN: &str = "/.well-known/autoconfig/mail/config-v1.1.xml";
const XML: &str = "text/xml; charset=utf-8";
const JSON: &str = "application/json; charset=utf-8";

/// The site of one server: the same documents for HTTP and HTTPS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What mail programs are told.
    pub services: Services,
    /// Our domains; never empty.
    pub domains: Vec<Domain>,
}

impl Site {
    /// The answer to a request. `secure`: it came by HTTPS.
    pub fn answer(&self, head: &Head, body: &[u8], secure: bool, now: UnixTime) -> Response {
        let Some(domain) = head.host.as_ref().and_then(|host| self.domain_of(host)) else {
            return Response::misdirected();
        };
        let reading = matches!(head.method, Method::Get | Method::Head);
        let path = head.path.to_ascii_lowercase();
        match path.as_str() {
            "/" if reading => Response::document(200, "text/html; charset=utf-8", page::page(&self.services, domain)),
            AUTOCONFIG | WELL_KNOWN if reading => self.autoconfig(&head.query, domain),
            "/" | AUTOCONFIG | WELL_KNOWN => Response::not_allowed("GET, HEAD"),
            autodiscover::PATH => match head.method {
                Method::Post => Response::document(200, XML, autodiscover::reply(&self.services, &self.domains, body, now)),
                Method::Get | Method::Head => self.autodiscover_page(secure, now),
                Method::Other => Response::not_allowed("GET, HEAD, POST"),
            },
            _ if path.starts_with(autodiscover::PATH_V2) => match reading {
                true => self.autodiscover_v2(head),
                false => Response::not_allowed("GET, HEAD"),
            },
            _ => Response::text(404, "404: there is no such page"),
        }
    }

    /// The domain that a host name of ours stands for.
    fn domain_of(&self, host: &Domain) -> Option<&Domain> {
        let find = |name: &str| self.domains.iter().find(|domain| domain.as_str() == name);
        if *host == self.services.hostname {
            return self.domains.first();
        }
        let name = host.as_str();
        let prefixed = || name.strip_prefix("autoconfig.").or(name.strip_prefix("autodiscover."));
        find(name).or_else(|| prefixed().and_then(find))
    }

    /// The address's own domain counts, if it is ours: at the host's name all domains are served.
    fn autoconfig(&self, query: &str, domain: &Domain) -> Response {
        let address = parameter(query, "emailaddress");
        let asked = address.and_then(|address| asked_for(&address, &self.domains));
        let document = match &asked {
            Some((address, domain)) => autoconfig::document(&self.services, domain, Some(address)),
            None => autoconfig::document(&self.services, domain, None),
        };
        match document {
            Some(document) => Response::document(200, XML, document),
            None => Response::text(404, "404: there is no mail service to set up"),
        }
    }

    /// A GET (Outlook's last try, and people who look whether something is there).
    fn autodiscover_page(&self, secure: bool, now: UnixTime) -> Response {
        match self.services.web() {
            Some(web) if !secure && self.services.https.is_some() => Response::found(format!("{web}{}", autodiscover::PATH)),
            Some(_) | None => Response::document(200, XML, autodiscover::error(Refused::NotARequest, now)),
        }
    }

    /// `…json?Email=E&Protocol=P`, or `…json/v1.0/E?Protocol=P`.
    fn autodiscover_v2(&self, head: &Head) -> Response {
        let rest = &head.path[autodiscover::PATH_V2.len()..];
        let in_path = match (rest, rest.get(..6)) {
            ("", _) => None,
            (_, Some(version)) if version.eq_ignore_ascii_case("/v1.0/") => decode(&rest[6..]),
            (_, _) => return Response::text(404, "404: there is no such page"),
        };
        let address = in_path.or_else(|| parameter(&head.query, "email")).unwrap_or_default();
        let protocol = parameter(&head.query, "protocol").unwrap_or_default();
        let (status, json) = autodiscover::reply_v2(&self.services, &self.domains, &address, &protocol);
        Response::document(status, JSON, json)
    }
}

/// A parameter of a query, its name in any case; the first one counts.
fn parameter(query: &str, name: &str) -> Option<String> {
    let mut pairs = query.split('&').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
    decode(value)
}

/// Percent-encoding (RFC 3986 §2.1). `+` stays: it is part of many addresses, and no space is part of ours.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&octet, tail)) = rest.split_first() {
        rest = tail;
        if octet != b'%' {
            bytes.push(octet);
            continue;
        }
        let (digits, tail) = tail.split_first_chunk::<2>()?;
        let digit = |octet: u8| char::from(octet).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
        bytes.push(digit(digits[0])? << 4 | digit(digits[1])?);
        rest = tail;
    }
    String::from_utf8(bytes).ok()
}
