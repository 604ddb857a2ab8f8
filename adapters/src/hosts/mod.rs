//! One host for each machine: it does what the machine asks, and decides nothing.

use std::future::Future;
use std::pin::Pin;

pub mod body;
pub mod budget;
pub mod digests;
pub mod imap_server;
pub mod sessions;
pub mod sink;
pub mod smtp_server;
pub mod store;

use crate::accounts::Accounts;
use crate::env::Env;

/// What all sessions of a server share.
pub struct Shared<E: Env> {
    /// The environment.
    pub env: E,
    /// Who may log in.
    pub accounts: Accounts<E>,
    /// The store.
    pub store: store::Store<E>,
    /// All open sessions.
    pub sessions: std::sync::Arc<sessions::Sessions>,
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
