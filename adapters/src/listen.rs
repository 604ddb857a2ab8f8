//! The gate in front of all listeners: how many connections are let in, from where, and who must go when there are too many.
//!
//! ```text
//!            count == high                       count <= low
//!   open ----------------> full: shed the newest --------------> open
//!                          that have not logged in
//! ```
//! The gate counts connections and not bytes: what one may hold is bounded by `limits.rs`, so their number bounds memory, and file
//! descriptors, too. While it is full nothing is accepted: new peers wait in the kernel's backlog, which costs us nothing.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::future::poll_fn;
use std::io;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use futures_lite::future;
use pillarbox_core::limits;

use crate::env::Env;

/// How many connections are let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// In all: at 90 % of it nothing more is accepted, until 80 % are left.
    pub connections: usize,
    /// From one IPv4 address or IPv6 /64; loopback is not counted.
    pub per_network: usize,
}

impl Bounds {
    /// What can be served with so many open files (the system's limit).
    pub fn with_open_files(open_files: u64) -> Bounds {
        let kept_back = limits::OPEN_FILES + limits::FILES_KEPT_BACK;
        let rest = usize::try_from(open_files).unwrap_or(usize::MAX).saturating_sub(kept_back);
        Bounds {
            connections: rest.clamp(1, limits::CONNECTIONS),
            per_network: limits::CONNECTIONS_PER_NETWORK,
        }
    }

    fn high(self) -> usize {
        (self.connections / 10 * 9 + self.connections % 10).max(1)
    }

    fn low(self) -> usize {
        (self.connections / 10 * 8).min(self.high() - 1)
    }
}

/// The gate of one server; clones are the same gate.
#[derive(Debug, Clone)]
pub struct Gate {
    bounds: Bounds,
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// By age: the newest last.
    inside: BTreeMap<u64, Arc<Ticket>>,
    networks: BTreeMap<IpAddr, usize>,
    full: bool,
    /// Listeners that wait.
    waiting: Vec<Waker>,
}

#[derive(Debug, Default)]
struct Ticket {
    logged_in: AtomicBool,
    shed: AtomicBool,
    waker: Mutex<Option<Waker>>,
}

/// A connection that was let in; it counts until this is dropped.
#[derive(Debug)]
pub struct Permit {
    gate: Gate,
    number: u64,
    ticket: Arc<Ticket>,
    network: Option<IpAddr>,
}

/// A peer's network has too many connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many connections from this network")]
pub struct TooMany;

impl Gate {
    /// A gate that lets so many in.
    pub fn new(bounds: Bounds) -> Gate {
        Gate {
            bounds,
            state: Arc::default(),
        }
    }

    /// The next connection that may be served. Waits while the gate is full; survives every error of the system. Peers that
    /// are `trusted` (proxies, whose header names the real peer) are not counted by network: see [`Permit::move_to`].
    pub async fn accept<E: Env>(
        &self,
        env: &E,
        listener: &E::Listener,
        trusted: impl Fn(IpAddr) -> bool,
    ) -> (E::Stream, SocketAddr, Permit) {
        loop {
            poll_fn(|cx| self.poll_open(cx)).await;
            let (stream, peer) = match env.accept(listener).await {
                Ok(accepted) => accepted,
                Err(error) => {
                    rest(env, &error).await;
                    continue;
                }
            };
            match self.enter((!trusted(peer.ip())).then_some(peer.ip())) {
                Ok(permit) => return (stream, peer, permit),
                Err(error) => tracing::info!(%peer, %error, "connection refused"),
            }
        }
    }

    /// Lets a connection in, and sheds others when it is one too many. `None`: not counted by network.
    ///
    /// # Errors
    /// When its network has too many.
    pub fn enter(&self, ip: Option<IpAddr>) -> Result<Permit, TooMany> {
        let mut state = self.state();
        let network = ip.and_then(network);
        state.count(network, self.bounds)?;
        let number = state.next;
        state.next += 1;
        let ticket = Arc::<Ticket>::default();
        state.inside.insert(number, ticket.clone());
        let permit = Permit {
            gate: self.clone(),
            number,
            ticket,
            network,
        };
        if state.inside.len() >= self.bounds.high() && !state.full {
            state.full = true;
            let shed = state.choose(state.inside.len() - self.bounds.low());
            tracing::warn!(
                connections = state.inside.len(),
                shed = shed.len(),
                "full: nothing is accepted for now"
            );
            drop(state);
            shed.iter().for_each(|ticket| ticket.shed());
        }
        Ok(permit)
    }

    /// How many connections are inside.
    pub fn inside(&self) -> usize {
        self.state().inside.len()
    }

    fn poll_open(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if !state.full {
            return Poll::Ready(());
        }
        if !state.waiting.iter().any(|waker| waker.will_wake(cx.waker())) {
            state.waiting.push(cx.waker().clone());
        }
        Poll::Pending
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Permit {
    /// The peer has logged in: it is not shed.
    pub fn logged_in(&self) {
        self.ticket.logged_in.store(true, Ordering::Relaxed);
    }

    /// A proxy has named the real peer: counts it by its network from now on.
    ///
    /// # Errors
    /// When that network has too many.
    pub fn move_to(&mut self, ip: IpAddr) -> Result<(), TooMany> {
        let mut state = self.gate.state();
        let network = network(ip);
        state.count(network, self.gate.bounds)?;
        state.forget(self.network);
        self.network = network;
        Ok(())
    }

    /// Ready when the connection must go (`Notice::Shed`).
    pub fn poll_shed(&self, cx: &mut Context<'_>) -> Poll<()> {
        if self.ticket.shed.load(Ordering::Acquire) {
            return Poll::Ready(());
        }
        let mut waker = self.ticket.waker.lock().unwrap_or_else(PoisonError::into_inner);
        match &mut *waker {
            Some(waker) => waker.clone_from(cx.waker()),
            none => *none = Some(cx.waker().clone()),
        }
        // It may have been shed before the waker was there.
        if self.ticket.shed.load(Ordering::Acquire) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    }
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.gate.state();
        state.inside.remove(&self.number);
        state.forget(self.network);
        if state.full && state.inside.len() <= self.gate.bounds.low() {
            state.full = false;
            let waiting = core::mem::take(&mut state.waiting);
            drop(state);
            waiting.into_iter().for_each(Waker::wake);
        }
    }
}

impl State {
    fn count(&mut self, network: Option<IpAddr>, bounds: Bounds) -> Result<(), TooMany> {
        let Some(network) = network else { return Ok(()) };
        let count = self.networks.entry(network).or_default();
        if *count >= bounds.per_network {
            return Err(TooMany);
        }
        *count += 1;
        Ok(())
    }

    fn forget(&mut self, network: Option<IpAddr>) {
        let Some(network) = network else { return };
        if let Some(count) = self.networks.get_mut(&network) {
            *count -= 1;
            if *count == 0 {
                self.networks.remove(&network);
            }
        }
    }

    /// The newest that have not logged in.
    fn choose(&self, count: usize) -> Vec<Arc<Ticket>> {
        let strangers = self
            .inside
            .values()
            .rev()
            .filter(|ticket| !ticket.logged_in.load(Ordering::Relaxed));
        strangers.take(count).cloned().collect()
    }
}

impl Ticket {
    fn shed(&self) {
        self.shed.store(true, Ordering::Release);
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// What is counted together: an IPv4 address, or the /64 that one subscriber has.
fn network(ip: IpAddr) -> Option<IpAddr> {
    match ip.to_canonical() {
        ip if ip.is_loopback() => None,
        IpAddr::V4(ip) => Some(ip.into()),
        IpAddr::V6(ip) => Some(Ipv6Addr::from(u128::from(ip) >> 64 << 64).into()),
    }
}

/// A connection that was gone before we took it is nothing; no descriptors or no memory passes only with time.
async fn rest<E: Env>(env: &E, error: &io::Error) {
    match error.kind() {
        io::ErrorKind::ConnectionAborted | io::ErrorKind::ConnectionReset | io::ErrorKind::Interrupted => {
            future::yield_now().await;
        }
        _ => {
            tracing::warn!(%error, "a connection cannot be accepted");
            env.sleep_until(env.now().instant.after(limits::ACCEPT_REST)).await;
        }
    }
}
