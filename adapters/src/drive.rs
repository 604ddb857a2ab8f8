//! The one driver: it alone calls machines, and keeps their contract.
//!
//! Reading, writing, timers, answers and notices race in one poll; a peer that stops reading still meets its deadline. The
//! driver owns no buffer: it reads into a buffer of the thread, lent only inside the poll that calls `handle` next.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use pillarbox_core::machine::{Answer, BodyError, Machine};

/// A future of an answer; boxed, since a session has few open at once.
pub type Answering<V> = Pin<Box<dyn Future<Output = Answer<V>> + Send>>;

/// What performing an ask leads to.
pub enum Performed<V> {
    /// The answer comes later. A *query* may be dropped with its future; an *effect* has been handed over already.
    Later(Answering<V>),
    /// The answer is here.
    Now(Answer<V>),
    /// There is no answer.
    Nothing,
    /// The driver must encrypt its stream now, then answer with what this makes of the outcome.
    StartTls(Box<dyn FnOnce(pillarbox_core::smtp::server::ask::TlsOutcome) -> Answer<V> + Send>),
}

/// What one machine needs done: `match ask { .. }`, one file a machine in `hosts/`.
pub trait Host<M: Machine>: Send {
    /// Starts what was asked.
    fn perform(&mut self, ask: M::Ask) -> Performed<M::Value>;
    /// Writes a part of a body to the open sink. The driver polls nothing else meanwhile, under the host's own deadline; a sink
    /// that fails remembers it and says so at the commit.
    fn write_body(&mut self, part: &[u8]) -> impl Future<Output = ()> + Send;
    /// Reads the next chunk of the opened run of bodies into the host's own buffer; then [`Host::body_chunk`] gives it.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>>;
    /// The chunk read last.
    fn body_chunk(&self) -> &[u8];
    /// The next notice.
    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<M::Notice>;
}
