//! A simulated world: any number of servers, a DNS and their clients in one thread, in virtual time, from one seed.
//!
//! [`World`] is what a test holds. It has *nodes* (a computer: one address, one disk); a *life* is one run of a server's process on a
//! node, from its start to its exit, kill or power loss; the disk outlives it. [`SimEnv`] is what a life sees: the same
//! [`pillarbox::env::Env`] that the binary has, here over
//!
//! * one queue of tasks, from which the seed picks the next one; a virtual clock that jumps when nothing is left to do;
//! * a network with seeded latency and pieces, windows, half-close, resets and partitions ([`net`]), and datagrams ([`datagram`]), over which [`dns`] speaks;
//! * a layer in place of TLS that has names, refusals and `close_notify`, and whose bytes cannot be taken for plain text ([`tls`]);
//! * the [strict disk](crate::disk) with seeded latency, whose writes under way at a power loss happen or not ([`disk`]).
//!
//! Everything that happens is an [event of the trace](trace): two worlds with one seed have equal traces.

pub mod datagram;
pub mod disk;
pub mod dns;
pub mod env;
mod executor;
pub mod net;
pub mod server;
mod state;
#[cfg(test)]
mod tests;
pub mod tls;
pub mod trace;
pub mod world;

pub use env::{EPOCH, SimEnv, passwords_verified};
pub use state::{DiskSpeed, Happened, Heard, Network};
pub use world::{Ended, Nodes, World};
