//! Delivery to other servers: where a message goes next, when it is tried again, and what its sender is told.
//!
//! * [`route`](self): the decision which servers to try for a recipient (local, MX in order, null MX, address literal, smarthost).
//! * the scheduler: a machine over the queue's rows.
//! * reports (RFC 3464).

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::address::Domain;
use crate::smtp::client::ask::TlsUse;

/// What connections, concurrency and back-off go by: messages of one destination may share a connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Destination {
    /// The servers of a domain.
    Domain(Domain),
    /// A server by its address (`user@[192.0.2.1]`).
    Literal(IpAddr),
    /// A next hop that the configuration names: the smarthost or a `[[route]]`, by its text `host:port`.
    Relay(Arc<str>),
}

/// Which servers to try, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// What it is shared by.
    pub destination: Destination,
    /// The servers: by MX preference, those of one preference in a random order (RFC 5321 §5.1). Never empty.
    pub hops: Vec<Hop>,
}

/// One server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hop {
    /// Its name, for logs, SNI and verification; an address in brackets when it has none.
    pub name: Arc<str>,
    /// Its addresses, in the order to try. Never empty.
    pub addresses: Vec<IpAddr>,
    /// Its port.
    pub port: u16,
    /// Whether and how TLS is used.
    pub tls: TlsUse,
    /// Whether its certificate must be valid for its name.
    pub verified: bool,
    /// Whether to log in (the smarthost's user and password are the host's matter).
    pub login: bool,
}

crate::record_struct!(Plan { destination, hops });
crate::record_struct!(Hop {
    name,
    addresses,
    port,
    tls,
    verified,
    login
});
crate::record_enum!(Destination { 0 => Domain(domain), 1 => Literal(ip), 2 => Relay(relay) });
crate::record_enum!(TlsUse { 0 => Implicit, 1 => Opportunistic, 2 => Required, 3 => Never });
