//! Addresses: parsed, not validated: a value of these types is well-formed (RFC 5321 §4.1.2, RFC 6531 §3.3).

use alloc::string::String;
use core::net::IpAddr;

/// A domain name in its A-label or U-label form, lower case, without a final dot; at most 255 octets, labels of 1 to 63.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

/// A local part, unquoted (`"a b"@c` has the local part `a b`), kept as it was written: foreign ones are never folded.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LocalPart(String);

/// What stands behind the `@`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Host {
    /// A name.
    Domain(Domain),
    /// An address literal, `[192.0.2.1]` or `[IPv6:2001:db8::1]`.
    Literal(IpAddr),
}

/// `local-part@host`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mailbox {
    /// Before the `@`.
    pub local: LocalPart,
    /// Behind it.
    pub host: Host,
}

/// Where failures are reported to: `<>` or an address (RFC 5321 §4.1.1.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`.
    Null,
    /// An address; a source route was stripped.
    Mailbox(Mailbox),
}

/// Where a message goes: an address, or `<postmaster>` alone (RFC 5321 §4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, in any case.
    Postmaster,
    /// An address; a source route was stripped.
    Mailbox(Mailbox),
}
