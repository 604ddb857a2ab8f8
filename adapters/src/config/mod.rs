//! The configuration: one TOML file, read whole, with every error shown at once.
//!
//! [`settings`] is the one table of keys; the reader, the example file and `check --effective` are made from it.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use pillarbox_core::address::{Domain, Mailbox};

mod delivery;
mod problem;
mod read;
pub mod settings;
#[cfg(test)]
mod tests;
mod value;

pub use delivery::{Delivery, Dns, Relay, RelayHost, RelayLogin, RelayTls, Route, Secrets};
pub use problem::{Problem, Severity, render};
pub use read::{Origin, Read, read};
pub use value::Network;

/// Everything that a server is told by its operator.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// Our name: greeting, EHLO, Received.
    pub hostname: Domain,
    /// Where mail and accounts are kept.
    pub data_dir: PathBuf,
    /// Who reads mail for postmaster, abuse, root and MAILER-DAEMON; the first account when absent.
    pub postmaster: Option<Mailbox>,
    /// The domains whose mail is ours; never empty.
    pub domains: Vec<Domain>,
    /// What holds for each of them.
    pub domain_rules: BTreeMap<Domain, DomainRules>,
    /// Where to listen; never empty.
    pub listeners: Vec<Listener>,
    /// The certificate; a self-signed one when absent.
    pub tls: Option<CertificateFiles>,
    /// Whom we trust as a client, PEM; the system's roots when absent.
    pub tls_roots: Option<PathBuf>,
    /// Whom to ask for names.
    pub dns: Dns,
    /// Next hops for certain domains; the first match wins.
    pub routes: Vec<Route>,
    /// Delivery to other servers.
    pub delivery: Delivery,
    /// Largest message in octets.
    pub message_max: u64,
    /// Octets of the journal's ring.
    pub ring_bytes: u64,
    /// Where the log goes, and how it looks.
    pub log: Log,
    /// Which sessions are recorded.
    pub record: Recording,
}

/// What a `[[domain]]` says beside its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DomainRules {
    /// Who gets mail for addresses that are nobody's; without: they are refused.
    pub catch_all: Option<Mailbox>,
    /// Every address of that domain of ours, which is no alias itself, is one of this domain too.
    pub alias_of: Option<Domain>,
    /// What separates an account's name from a detail that it gets mail for (`alice+lists`).
    pub subaddress: Option<char>,
}

/// One `[[listener]]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listener {
    /// What is spoken.
    pub protocol: Protocol,
    /// Where; port 0 takes a free one.
    pub addresses: Vec<SocketAddr>,
    /// Peers whose PROXY header is believed.
    pub proxy_protocol: Vec<Network>,
    /// Peers that may log in without TLS.
    pub plaintext_auth: Vec<Network>,
}

/// What a listener speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Protocol {
    /// SMTP from other servers: port 25.
    Smtp,
    /// Submission with STARTTLS: port 587.
    Submission,
    /// Submission over TLS: port 465.
    Submissions,
    /// IMAP with STARTTLS: port 143.
    Imap,
    /// IMAP over TLS: port 993.
    Imaps,
    /// HTTP, for settings of mail programs: port 80.
    Http,
    /// HTTP over TLS: port 443.
    Https,
}

/// A certificate and its key, PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The chain, our own certificate first.
    pub certificate: PathBuf,
    /// Its key.
    pub key: PathBuf,
}

/// The log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// A file; standard error when absent.
    pub file: Option<PathBuf>,
    /// Its form.
    pub format: LogFormat,
}

/// Which sessions are recorded (`[record]`): those that all of these take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Recording {
    /// How many of them: one in so many; 0: none.
    pub one_in: u32,
    /// With these peers; empty: with any.
    pub peers: Vec<Network>,
    /// That log in to these accounts; empty: to any, or to none.
    pub accounts: Vec<Mailbox>,
    /// Only those in which something was refused or failed.
    pub refused_only: bool,
    /// Octets of all recordings; the oldest go first.
    pub keep: u64,
}

/// The form of the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// A line for people.
    Text,
    /// An object a line.
    Json,
}

impl Protocol {
    /// All, in the order of their ports.
    pub const ALL: [Protocol; 7] = [
        Protocol::Smtp,
        Protocol::Http,
        Protocol::Imap,
        Protocol::Https,
        Protocol::Submissions,
        Protocol::Submission,
        Protocol::Imaps,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            Protocol::Smtp => "smtp",
            Protocol::Submission => "submission",
            Protocol::Submissions => "submissions",
            Protocol::Imap => "imap",
            Protocol::Imaps => "imaps",
            Protocol::Http => "http",
            Protocol::Https => "https",
        }
    }

    /// Its port (RFC 5321, RFC 6409, RFC 8314, RFC 9051, RFC 9110).
    pub fn port(self) -> u16 {
        match self {
            Protocol::Smtp => 25,
            Protocol::Submission => 587,
            Protocol::Submissions => 465,
            Protocol::Imap => 143,
            Protocol::Imaps => 993,
            Protocol::Http => 80,
            Protocol::Https => 443,
        }
    }

    /// Whether TLS begins with the connection.
    pub fn implicit_tls(self) -> bool {
        match self {
            Protocol::Submissions | Protocol::Imaps | Protocol::Https => true,
            Protocol::Smtp | Protocol::Submission | Protocol::Imap | Protocol::Http => false,
        }
    }

    /// Whether it is HTTP.
    pub fn is_web(self) -> bool {
        match self {
            Protocol::Http | Protocol::Https => true,
            Protocol::Smtp | Protocol::Imap | Protocol::Submissions | Protocol::Submission | Protocol::Imaps => false,
        }
    }
}

/// The listeners that are used when none is given: the standard ports, IPv4 and IPv6.
pub fn standard_listeners() -> Vec<Listener> {
    Protocol::ALL.into_iter().map(standard_listener).collect()
}

fn standard_listener(protocol: Protocol) -> Listener {
    let at = |ip: IpAddr| SocketAddr::new(ip, protocol.port());
    Listener {
        protocol,
        addresses: vec![at(Ipv4Addr::UNSPECIFIED.into()), at(Ipv6Addr::UNSPECIFIED.into())],
        proxy_protocol: Vec::new(),
        plaintext_auth: Vec::new(),
    }
}

/// The line that says which standard services do not listen; `None` when all do.
pub fn not_listening(listeners: &[Listener]) -> Option<String> {
    let missing: Vec<String> = Protocol::ALL
        .into_iter()
        .filter(|protocol| !listeners.iter().any(|listener| listener.protocol == *protocol))
        .map(|protocol| format!("{} {}", protocol.name(), protocol.port()))
        .collect();
    if missing.is_empty() {
        return None;
    }
    Some(format!(
        "not listening: {}; add a [[listener]] with protocol = \"standard\"",
        missing.join(", ")
    ))
}
