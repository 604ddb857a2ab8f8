//! Client set-up: what tells mail programs our host, ports and security, as pure functions of what listens.
//!
//! [`autoconfig`] is Mozilla's document, [`autodiscover`] Outlook's (POX and the v2 JSON), [`srv`] the SRV records of RFC 6186 and
//! RFC 8314, [`dns_records`] all records that a domain publishes. They name one host for every domain (`rules.md`, "One host name in
//! all discovery documents"), and never say whether an account exists.

pub mod autoconfig;
pub mod autodiscover;
pub mod dns_records;
pub mod srv;
pub mod xml;

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use crate::address::{Domain, Host, Mailbox};

/// What can be set up at this server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Services {
    /// The host that all documents name.
    pub hostname: Domain,
    /// What listens for mail programs, in any order.
    pub mail: Vec<Service>,
    /// The port of HTTPS, if it is served.
    pub https: Option<u16>,
    /// The port of plain HTTP, if it is served.
    pub http: Option<u16>,
}

/// A service for mail programs. One without any security is never told to anybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Service {
    /// What it speaks.
    pub kind: Kind,
    /// How it is protected.
    pub security: Security,
    /// Where it listens.
    pub port: u16,
}

/// What a mail program speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// IMAP.
    Imap,
    /// POP3.
    Pop3,
    /// SMTP for submission.
    Submission,
}

/// How a service is protected; the better one first (RFC 8314 §3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Security {
    /// TLS from the first byte.
    Tls,
    /// STARTTLS, which login waits for.
    StartTls,
}

impl Service {
    /// The port that everybody expects (RFC 8314 §7, RFC 6409 §3.1).
    pub fn standard_port(kind: Kind, security: Security) -> u16 {
        match (kind, security) {
            (Kind::Imap, Security::Tls) => 993,
            (Kind::Imap, Security::StartTls) => 143,
            (Kind::Pop3, Security::Tls) => 995,
            (Kind::Pop3, Security::StartTls) => 110,
            (Kind::Submission, Security::Tls) => 465,
            (Kind::Submission, Security::StartTls) => 587,
        }
    }
}

impl Services {
    /// What is offered of a kind, TLS first; of several with the same security the one at the standard port, else the lowest.
    pub fn of(&self, kind: Kind) -> Vec<Service> {
        let all = [Security::Tls, Security::StartTls];
        all.into_iter().filter_map(|security| self.one(kind, security)).collect()
    }

    /// The one service of a kind and security.
    pub fn one(&self, kind: Kind, security: Security) -> Option<Service> {
        let fitting = self.mail.iter().filter(|s| s.kind == kind && s.security == security);
        let standard = Service::standard_port(kind, security);
        fitting
            .copied()
            .min_by_key(|service| (service.port != standard, service.port))
    }

    /// `https://host[:port]`, or `http://…` where only that is served; without a final slash.
    pub fn web(&self) -> Option<String> {
        let url = |scheme: &str, port: u16, standard: u16| match port == standard {
            true => format!("{scheme}://{}", self.hostname),
            false => format!("{scheme}://{}:{port}", self.hostname),
        };
        match (self.https, self.http) {
            (Some(port), _) => Some(url("https", port, 443)),
            (None, Some(port)) => Some(url("http", port, 80)),
            (None, None) => None,
        }
    }
}

/// The address that a client asks for, if it is one of these domains.
pub fn asked_for(text: &str, domains: &[Domain]) -> Option<(Mailbox, Domain)> {
    let mailbox = Mailbox::parse(text.trim(), true).ok()?;
    match &mailbox.host {
        Host::Domain(domain) if domains.contains(domain) => {
            let domain = domain.clone();
            Some((mailbox, domain))
        }
        Host::Domain(_) | Host::Literal(_) => None,
    }
}
