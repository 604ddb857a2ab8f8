//! `local-part@host`.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::{AddressError, Domain, LocalPart};
use crate::record::{Malformed, Reader, Record};

/// What stands behind the `@`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name.
    Domain(Domain),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]` (RFC 5321 §4.1.3).
    Literal(IpAddr),
}

/// An address.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// Before the `@`.
    pub local: LocalPart,
    /// Behind it.
    pub host: Host,
}

impl Host {
    /// Reads a domain or an address literal.
    ///
    /// # Errors
    /// `Domain`, `Literal`, `TooLong`, `NotAscii`.
    pub fn parse(text: &str, utf8: bool) -> Result<Host, AddressError> {
        let Some(literal) = text.strip_prefix('[') else {
            return Domain::parse(text, utf8).map(Host::Domain);
        };
        let literal = literal.strip_suffix(']').ok_or(AddressError::Literal)?;
        let tagged = literal.get(..5).is_some_and(|tag| tag.eq_ignore_ascii_case("IPv6:"));
        let address = if tagged {
            literal[5..].parse::<Ipv6Addr>().map(IpAddr::V6).ok()
        } else {
            literal.parse::<Ipv4Addr>().map(IpAddr::V4).ok()
        };
        address.map(Host::Literal).ok_or(AddressError::Literal)
    }
}

impl Mailbox {
    /// Whether it has ASCII characters only: else it needs SMTPUTF8 (RFC 6531).
    pub fn is_ascii(&self) -> bool {
        let host = match &self.host {
            Host::Domain(domain) => domain.as_str().is_ascii(),
            Host::Literal(_) => true,
        };
        host && self.local.as_str().is_ascii()
    }

    /// Reads a whole address in its wire form.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse(text: &str, utf8: bool) -> Result<Mailbox, AddressError> {
        let (local, rest) = LocalPart::parse_prefix(text, utf8)?;
        let host = rest.strip_prefix('@').ok_or(if rest.is_empty() {
            AddressError::NoDomain
        } else {
            AddressError::LocalPart
        })?;
        Ok(Mailbox {
            local,
            host: Host::parse(host, utf8)?,
        })
    }
}

impl core::fmt::Display for Host {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Host::Domain(domain) => domain.fmt(f),
            Host::Literal(IpAddr::V4(ip)) => write!(f, "[{ip}]"),
            Host::Literal(IpAddr::V6(ip)) => write!(f, "[IPv6:{ip}]"),
        }
    }
}

impl core::fmt::Display for Mailbox {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "{}@{}", self.local, self.host)
    }
}

impl Record for Host {
    fn encode(&self, out: &mut Vec<u8>) {
        alloc::format!("{self}").encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Host::parse(&String::decode(from)?, true).map_err(|_| Malformed("not a host"))
    }
}

crate::record_struct!(Mailbox { local, host });
