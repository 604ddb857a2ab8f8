//! Outlook's autodiscover: POX, which classic Outlook and others POST for, and the JSON of its second version.
//!
//! Source: MS-OXDSCLI §2.2.4. Request and response have different namespaces, and so do a response and its error. The answer is the
//! same for every address of a domain of ours, whether there is such an account or not.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::xml::{Event, Reader, XmlError, escape};
use super::{Kind, Security, Service, Services, asked_for};
use crate::address::Domain;
use crate::time::UnixTime;

/// Where the POX document lies; its case is not looked at.
pub const PATH: &str = "/autodiscover/autodiscover.xml";
/// The path of version 2; its case is not looked at.
pub const PATH_V2: &str = "/autodiscover/autodiscover.json";

const REQUEST: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006";
const RESPONSE: &str = "http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006";
const SETTINGS: &str = "http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a";

/// What a client asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// The address, as it was written, without the white space around it.
    pub address: String,
}

/// Why there are no settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// No XML that is taken.
    Xml(XmlError),
    /// XML, but no request for settings of a mail program.
    NotARequest,
    /// It wants another kind of answer, as phones do (ActiveSync).
    OtherSchema,
    /// The address is none, or in no domain of ours.
    Address,
    /// The services that a mail program needs do not listen.
    NoServices,
}

/// Reads a request.
///
/// # Errors
/// `Xml`, `NotARequest`, `OtherSchema`.
pub fn parse(body: &[u8]) -> Result<Request, Refused> {
    let mut reader = Reader::new(body).map_err(Refused::Xml)?;
    let mut place = Place::Outside;
    let mut deep = 0; // levels below what we look at
    let (mut address, mut schema): (Option<String>, Option<String>) = (None, None);
    let mut asked = false;
    while let Some(event) = reader.read().map_err(Refused::Xml)? {
        match (event, place) {
            (Event::Open { namespace, name }, _) => {
                let next = place.below(name).filter(|_| deep == 0);
                if namespace != REQUEST {
                    // A field of others inside a request is theirs; the request itself must be ours.
                    match place {
                        Place::Outside if name == "Autodiscover" && !namespace.is_empty() => return Err(Refused::OtherSchema),
                        Place::Outside => return Err(Refused::NotARequest),
                        Place::Root | Place::Request | Place::Address | Place::Schema => deep += 1,
                    }
                    continue;
                }
                match next {
                    Some(next) => {
                        let twice = match next {
                            Place::Request => core::mem::replace(&mut asked, true),
                            Place::Address => address.replace(String::new()).is_some(),
                            Place::Schema => schema.replace(String::new()).is_some(),
                            Place::Outside | Place::Root => false,
                        };
                        if twice {
                            return Err(Refused::NotARequest);
                        }
                        place = next;
                    }
                    None if place == Place::Outside => return Err(Refused::NotARequest),
                    None => deep += 1,
                }
            }
            (Event::Text(text), Place::Address) if deep == 0 => address.get_or_insert_default().push_str(&text),
            (Event::Text(text), Place::Schema) if deep == 0 => schema.get_or_insert_default().push_str(&text),
            (Event::Text(_), _) => {}
            (Event::Close, _) if deep > 0 => deep -= 1,
            (Event::Close, _) => place = place.above(),
        }
    }
    if schema.is_some_and(|schema| schema.trim() != SETTINGS) {
        return Err(Refused::OtherSchema);
    }
    let address = address.map(|address| String::from(address.trim()));
    match address {
        Some(address) if !address.is_empty() => Ok(Request { address }),
        Some(_) | None => Err(Refused::NotARequest),
    }
}

/// Where in a request the reader is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Outside,
    Root,
    Request,
    Address,
    Schema,
}

impl Place {
    fn below(self, name: &str) -> Option<Place> {
        match (self, name) {
            (Place::Outside, "Autodiscover") => Some(Place::Root),
            (Place::Root, "Request") => Some(Place::Request),
            (Place::Request, "EMailAddress") => Some(Place::Address),
            (Place::Request, "AcceptableResponseSchema") => Some(Place::Schema),
            _ => None,
        }
    }

    fn above(self) -> Place {
        match self {
            Place::Outside | Place::Root => Place::Outside,
            Place::Request => Place::Root,
            Place::Address | Place::Schema => Place::Request,
        }
    }
}

/// The answer to a POST: settings, or the document that says why not. Both go out with status 200.
pub fn reply(services: &Services, domains: &[Domain], body: &[u8], now: UnixTime) -> Vec<u8> {
    match settings(services, domains, body) {
        Ok(document) => document,
        Err(refused) => error(refused, now),
    }
}

fn settings(services: &Services, domains: &[Domain], body: &[u8]) -> Result<Vec<u8>, Refused> {
    let request = parse(body)?;
    let (address, _) = asked_for(&request.address, domains).ok_or(Refused::Address)?;
    // Outlook sets up one server of a kind: the best.
    let best = |kind| services.of(kind).into_iter().next();
    let (imap, pop3) = (best(Kind::Imap), best(Kind::Pop3));
    let smtp = best(Kind::Submission).filter(|_| imap.is_some() || pop3.is_some());
    let smtp = smtp.ok_or(Refused::NoServices)?;
    let (host, user) = (escape(services.hostname.as_str()), escape(&format!("{address}")));
    let mut out = begin();
    out.push_str(&format!(
        "  <Response xmlns=\"{SETTINGS}\">\n    <User>\n      <DisplayName>{user}</DisplayName>\n    </User>\n    \
         <Account>\n      <AccountType>email</AccountType>\n      <Action>settings</Action>\n"
    ));
    for service in [imap, pop3, Some(smtp)].into_iter().flatten() {
        protocol(&mut out, service, &host, &user);
    }
    out.push_str("    </Account>\n  </Response>\n</Autodiscover>\n");
    Ok(out.into_bytes())
}

fn protocol(out: &mut String, service: Service, host: &str, user: &str) {
    let kind = match service.kind {
        Kind::Imap => "IMAP",
        Kind::Pop3 => "POP3",
        Kind::Submission => "SMTP",
    };
    // `Encryption` overrides `SSL`; a reader that does not know it must fail rather than send a password in the clear.
    let encryption = match service.security {
        Security::Tls => "SSL",
        Security::StartTls => "TLS",
    };
    out.push_str(&format!(
        "      <Protocol>\n        <Type>{kind}</Type>\n        <Server>{host}</Server>\n        <Port>{}</Port>\n        \
         <DomainRequired>off</DomainRequired>\n        <LoginName>{user}</LoginName>\n        <SPA>off</SPA>\n        \
         <SSL>on</SSL>\n        <Encryption>{encryption}</Encryption>\n        <AuthRequired>on</AuthRequired>\n",
        service.port
    ));
    if service.kind == Kind::Submission {
        out.push_str("        <UsePOPAuth>off</UsePOPAuth>\n        <SMTPLast>off</SMTPLast>\n");
    }
    out.push_str("      </Protocol>\n");
}

/// The error document (MS-OXDSCLI §2.2.4.1.1.2): also for a GET, where people see that something is there.
pub fn error(refused: Refused, now: UnixTime) -> Vec<u8> {
    let (code, text) = match refused {
        Refused::Xml(_) | Refused::NotARequest => (600, "Invalid Request"),
        Refused::OtherSchema => (601, "Provider is not available"),
        Refused::Address => (500, "The email address can't be found."),
        Refused::NoServices => (603, "No mail service is configured"),
    };
    let seconds = now.seconds().rem_euclid(86_400);
    let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    let part = now.0.rem_euclid(1000) * 10_000;
    let mut out = begin();
    out.push_str(&format!(
        "  <Response>\n    <Error Time=\"{hour:02}:{minute:02}:{second:02}.{part:07}\" Id=\"1\">\n      \
         <ErrorCode>{code}</ErrorCode>\n      <Message>{text}</Message>\n      <DebugData/>\n    </Error>\n  \
         </Response>\n</Autodiscover>\n"
    ));
    out.into_bytes()
}

fn begin() -> String {
    format!("<?xml version=\"1.0\" encoding=\"utf-8\"?>\n<Autodiscover xmlns=\"{RESPONSE}\">\n")
}

/// Version 2: only where the POX document lies. The HTTP status and the JSON.
pub fn reply_v2(services: &Services, domains: &[Domain], address: &str, protocol: &str) -> (u16, Vec<u8>) {
    let failed = |status: u16, code: &str, text: &str| {
        let body = format!("{{\"ErrorCode\":\"{code}\",\"ErrorMessage\":\"{text}\"}}\n");
        (status, body.into_bytes())
    };
    if !protocol.eq_ignore_ascii_case("AutodiscoverV1") {
        return failed(400, "InvalidProtocol", "The protocol is not supported: AutodiscoverV1 is.");
    }
    if asked_for(address, domains).is_none() {
        return failed(404, "UserNotFound", "The address is in no domain of this server.");
    }
    match services.web() {
        // A host name has nothing that JSON would escape.
        Some(web) => (
            200,
            format!("{{\"Protocol\":\"AutodiscoverV1\",\"Url\":\"{web}{PATH}\"}}\n").into_bytes(),
        ),
        None => failed(404, "ServiceNotFound", "There is no such service here."),
    }
}
