//! Datagrams: they may overtake each other, and get lost.

use std::collections::BTreeMap;
use std::io::{ErrorKind, Result};
use std::net::SocketAddr;
use std::task::{Poll, Waker};

use pillarbox::env::Datagram;

use super::state::{Life, Shared};

/// Where datagrams wait for a socket.
pub(super) struct Mailslot {
    pub(super) life: Life,
    /// Arrival, sender, bytes.
    waiting: BTreeMap<(u64, u64), (SocketAddr, Vec<u8>)>,
    waker: Option<Waker>,
}

/// A datagram socket of a node.
pub struct SimDatagram {
    shared: Shared,
    life: Life,
    address: SocketAddr,
}

/// Opens one; port 0 takes a free one.
pub(super) fn bind(shared: &Shared, life: Life, at: SocketAddr) -> Result<SimDatagram> {
    shared.with(|state| {
        let mut at = at;
        while at.port() == 0 {
            let port = u16::try_from(1024 + state.number() % 60_000).expect("below 65 536");
            let free = SocketAddr::new(at.ip(), port);
            if !state.datagrams.contains_key(&free) {
                at = free;
            }
        }
        if state.datagrams.contains_key(&at) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let slot = Mailslot {
            life,
            waiting: BTreeMap::new(),
            waker: None,
        };
        state.datagrams.insert(at, slot);
        Ok(SimDatagram {
            shared: shared.clone(),
            life,
            address: at,
        })
    })
}

/// Puts a datagram on its way, whoever sends it.
pub(super) fn send(shared: &Shared, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
    shared.with(|state| {
        let lost = state.network.datagrams_lost_percent;
        if state.is_cut(from.ip(), to.ip()) || (lost > 0 && state.rng.percent(lost)) {
            state.happened.datagrams_lost += 1;
            return state.event(format_args!("{from} sends {} bytes to {to}: lost", bytes.len()));
        }
        let range = state.network.latency.clone();
        let at = state.now + state.draw(&range);
        let number = state.number();
        state.event(format_args!("{from} sends {} bytes to {to}", bytes.len()));
        if let Some(slot) = state.datagrams.get_mut(&to) {
            slot.waiting.insert((at, number), (from, bytes.to_vec()));
            slot.waker.take().into_iter().for_each(Waker::wake);
        }
    });
}

impl Datagram for SimDatagram {
    fn local_address(&self) -> Result<SocketAddr> {
        Ok(self.address)
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> Result<()> {
        send(&self.shared, self.address, to, bytes);
        Ok(())
    }

    async fn receive_from(&self, into: &mut [u8]) -> Result<(usize, SocketAddr)> {
        let mut timer = Waiting {
            shared: &self.shared,
            timer: None,
        };
        let (from, bytes) = std::future::poll_fn(|cx| {
            self.shared.with(|state| {
                let now = state.now;
                let Some(slot) = state.datagrams.get_mut(&self.address) else {
                    return Poll::Pending; // of a life that has ended
                };
                slot.waker = Some(cx.waker().clone());
                match slot.waiting.first_entry() {
                    Some(first) if first.key().0 <= now => Poll::Ready(first.remove()),
                    Some(first) => {
                        let at = first.key().0;
                        state.set(&mut timer.timer, at, cx.waker());
                        Poll::Pending
                    }
                    None => Poll::Pending,
                }
            })
        })
        .await;
        let len = bytes.len().min(into.len());
        into[..len].copy_from_slice(&bytes[..len]);
        Ok((len, from))
    }
}

/// Nothing goes off for a receiver that has stopped waiting.
struct Waiting<'a> {
    shared: &'a Shared,
    timer: super::state::Timer,
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.shared.with(|state| state.unset(&mut self.timer));
    }
}

impl Drop for SimDatagram {
    fn drop(&mut self) {
        let gone = self.shared.with(|state| match state.datagrams.get(&self.address) {
            Some(slot) if slot.life == self.life => state.datagrams.remove(&self.address),
            Some(_) | None => None,
        });
        drop(gone);
    }
}
