//! Asking DNS: a stub resolver's rules, without its sockets and without the wire format.
//!
//! ```text
//! Query -> cache? -> Lookup --Step::Udp / Step::Tcp--> host asks a server --Event--> Lookup ... --Step::Done--> Fact -> cache
//! ```
//!
//! [`Lookup`] is a machine: it says whom to ask next, under which id, from which port, with the name spelled how; it judges what comes
//! back, and ends with a [`Fact`](crate::decision::Fact). [`Cache`] and [`Servers`] outlive it. The host draws the randomness, opens
//! the sockets, and turns bytes into [`Message`]s.
//!
//! Only what was asked for is believed: an answer counts when it comes from the server that was asked, with the id, the question and the
//! very spelling of the name (S54), and then only records that the name leads to. Nothing else of a message is kept.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::Domain;
use crate::limits;

mod cache;
mod judge;
mod lookup;
mod servers;
#[cfg(test)]
mod tests;

pub use cache::Cache;
pub use judge::{Judged, judge};
pub use lookup::{Event, Health, Lookup, Outgoing, Progress, Randomness, Step};
pub use servers::Servers;

/// What is asked: records of a kind at a name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Query {
    /// The name.
    pub name: Name,
    /// The kind of records.
    pub kind: Kind,
}

/// Kinds of records that are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// MX (RFC 1035 §3.3.9).
    Mx,
    /// A (RFC 1035 §3.4.1).
    Ipv4,
    /// AAAA (RFC 3596 §2.1).
    Ipv6,
}

/// A name in DNS: lower case, without the final dot; the root is empty. Labels of printable ASCII without dots, 1 to 63 octets, in all
/// at most 253 (RFC 1035 §3.1, RFC 2181 §11). More than host names: the target of an alias may have any.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Name(String);

impl Name {
    /// Reads a name; ASCII upper case becomes lower case. `None` when it is none.
    pub fn parse(text: &str) -> Option<Name> {
        let label =
            |label: &str| (1..=limits::LABEL).contains(&label.len()) && label.bytes().all(|octet| octet.is_ascii_graphic());
        let sound = text.is_empty() || (text.len() <= limits::DNS_NAME && text.split('.').all(label));
        sound.then(|| Name(text.to_ascii_lowercase()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The name with each letter in upper or lower case, as the bits say: a forger must guess them too.
    fn spelled(&self, bits: &[u8]) -> String {
        let upper = |index: usize| bits.get(index / 8).is_some_and(|octet| octet >> (index % 8) & 1 == 1);
        let spell = |(index, letter): (usize, char)| match upper(index) {
            true => letter.to_ascii_uppercase(),
            false => letter,
        };
        self.0.chars().enumerate().map(spell).collect()
    }
}

/// What a server said, as far as it matters here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// Its id.
    pub id: u16,
    /// It is an answer to a standard query (QR set, opcode 0), and has one question.
    pub answers: bool,
    /// The question's name exactly as spelled, without the final dot; `None` when it is no [`Name`].
    pub name: Option<String>,
    /// The question's kind, in the internet's class; `None`: another one.
    pub kind: Option<Kind>,
    /// Cut off: ask again by TCP (TC).
    pub truncated: bool,
    /// The server knows the zone itself, or finds out for us (AA or RA): else its "nothing here" says nothing.
    pub competent: bool,
    /// The server says that all of it was validated (AD).
    pub authentic: bool,
    /// How it went.
    pub code: Code,
    /// Answer section.
    pub records: Vec<Record>,
    /// How long it holds that there is nothing, in seconds: the lesser of the SOA's TTL and its minimum (RFC 2308 §5). `None`: no SOA.
    pub negative_ttl: Option<u32>,
}

/// Response codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Code {
    /// NOERROR.
    Fine,
    /// NXDOMAIN: there is no such name, whatever the kind.
    NoSuchName,
    /// FORMERR or NOTIMP: perhaps it does not know EDNS (RFC 6891 §7).
    NotUnderstood,
    /// Any other: this server does not answer this question.
    Refused,
}

/// One record of the internet's class.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// Whose it is; `None` when that is no [`Name`].
    pub owner: Option<Name>,
    /// Seconds.
    pub ttl: u32,
    /// What it says.
    pub data: Data,
}

/// What a record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Data {
    /// A or AAAA.
    Address(IpAddr),
    /// MX.
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The exchanger; `None` when that is no [`Name`].
        exchange: Option<Name>,
    },
    /// CNAME; `None` when the target is no [`Name`].
    Alias(Option<Name>),
    /// Of no use here.
    Other,
}

/// A host name, as mail needs it: of `Name`s only those that a [`Domain`] can be.
fn host(name: &Name) -> Option<Domain> {
    Domain::parse(name.as_str(), false).ok()
}
