//! The process: its signals, its limits, and what it forbids itself.

use std::io;

use async_signal::{Signal, Signals};
use futures_lite::StreamExt;
use rustix::process::{DumpableBehavior, Resource, Rlimit};

/// What a person or the system asks of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// SIGTERM or SIGINT: drain and stop.
    Stop,
    /// SIGHUP: read the configuration again.
    Reload,
}

/// The requests that reach this process.
pub struct Requests(Signals);

impl Requests {
    /// Begins to listen; before that a signal ends the process, as usual.
    ///
    /// # Errors
    /// When the system does not let it.
    pub fn listen() -> io::Result<Requests> {
        Ok(Requests(Signals::new([Signal::Term, Signal::Int, Signal::Hup])?))
    }

    /// The next one.
    pub async fn next(&mut self) -> Request {
        loop {
            match self.0.next().await {
                Some(Ok(Signal::Term | Signal::Int)) => return Request::Stop,
                Some(Ok(Signal::Hup)) => return Request::Reload,
                Some(Ok(_)) => {} // we asked for no other
                Some(Err(error)) => tracing::error!(%error, "signals cannot be read"),
                None => std::future::pending().await,
            }
        }
    }
}

/// Raises the number of files that may be open as far as the system lets us, and says how many that are.
pub fn raise_open_files() -> u64 {
    let limit = rustix::process::getrlimit(Resource::Nofile);
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    if let Err(error) = rustix::process::setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the limit of open files cannot be raised");
    }
    rustix::process::getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}

/// Forbids memory dumps, which would hold passwords and mail (S66), and debuggers of the same user.
pub fn forbid_dumps() {
    if let Err(error) = rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "memory dumps cannot be forbidden");
    }
}
