//! Delivery to other servers: where a message goes next, when it is tried again, and what its sender is told.
//!
//! * [`route`]: the decision which servers to try for a recipient (MX in order, null MX, address literal, smarthost).
//! * [`retry`]: when the next attempt is made.
//! * [`dsn`]: reports (RFC 3464).
//! * [`scheduler`]: the machine over the queue's rows: who is tried when, over how many connections.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::net::IpAddr;

pub mod dsn;
pub mod retry;
pub mod route;
pub mod scheduler;

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

/// A number that looks random, made of two (splitmix64): the same for the same two, so that a replay makes the same choices.
pub(crate) fn mixed(seed: u64, place: u64) -> u64 {
    let mut z = seed.wrapping_add(place.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}
