//! Whom to ask first.

use alloc::vec::Vec;
use core::net::SocketAddr;

use super::Health;
use crate::limits;
use crate::time::Instant;

/// The servers, in the order given; one that was silent is asked last for a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Servers(Vec<(SocketAddr, Instant)>);

impl Servers {
    /// These, of which the first [`limits::DNS_SERVERS`] count.
    pub fn new(servers: impl IntoIterator<Item = SocketAddr>) -> Servers {
        let servers = servers.into_iter().take(limits::DNS_SERVERS);
        Servers(servers.map(|server| (server, Instant::default())).collect())
    }

    /// The order to ask in.
    pub fn order(&self, now: Instant) -> Vec<SocketAddr> {
        let (silent, good): (Vec<_>, Vec<_>) = self.0.iter().copied().partition(|(_, until)| *until > now);
        good.into_iter().chain(silent).map(|(server, _)| server).collect()
    }

    /// What was heard of a server.
    pub fn note(&mut self, now: Instant, server: SocketAddr, health: Health) {
        if let Some((_, until)) = self.0.iter_mut().find(|(known, _)| *known == server) {
            *until = match health {
                Health::Answers => Instant::default(),
                Health::Silent => now.after(limits::DNS_SILENT),
            };
        }
    }
}
