//! SRV records that tell mail programs where the services are (RFC 6186 §3, RFC 8314 §5.1).
//!
//! ```text
//! _Service._Proto.Name SRV Priority Weight Port Target      "0 0 0 ." = decidedly not available (RFC 2782)
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use super::{Kind, Security, Services};
use crate::address::Domain;

/// One SRV record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Srv {
    /// `_imaps._tcp.example.org`, without a final dot.
    pub name: String,
    /// Lower first.
    pub priority: u16,
    /// Among equals.
    pub weight: u16,
    /// Where.
    pub port: u16,
    /// The host; `None`: the service does not exist.
    pub target: Option<Domain>,
}

/// The records of a domain, TLS first. POP3 comes behind IMAP (RFC 6186 §3.4), STARTTLS behind TLS.
pub fn records(services: &Services, domain: &Domain) -> Vec<Srv> {
    let mut records = Vec::new();
    let mut add = |service: &str, priority, port: Option<u16>| {
        let name = alloc::format!("_{service}._tcp.{domain}");
        records.push(match port {
            Some(port) => Srv {
                name,
                priority,
                weight: 1,
                port,
                target: Some(services.hostname.clone()),
            },
            None => Srv {
                name,
                priority: 0,
                weight: 0,
                port: 0,
                target: None,
            },
        });
    };
    let port = |kind, security| services.one(kind, security).map(|service| service.port);
    add("submissions", 0, port(Kind::Submission, Security::Tls));
    add("imaps", 0, port(Kind::Imap, Security::Tls));
    add("submission", 5, port(Kind::Submission, Security::StartTls));
    add("imap", 5, port(Kind::Imap, Security::StartTls));
    add("pop3s", 10, port(Kind::Pop3, Security::Tls));
    add("pop3", 15, port(Kind::Pop3, Security::StartTls));
    if services.https.is_some() {
        add("autodiscover", 0, services.https);
    }
    records
}
