//! One host for each machine: it does what the machine asks, and decides nothing.

use std::future::Future;
use std::pin::{Pin, pin};

use async_channel::Receiver;
use futures_lite::future;
use pillarbox_core::machine::Deadline;

pub mod body;
pub mod budget;
pub mod digests;
pub mod door;
pub mod guest;
pub mod imap_server;
pub mod matching;
pub mod scheduler;
pub mod sessions;
pub mod sink;
pub mod smtp_client;
pub mod smtp_server;
pub mod store;

use crate::accounts::Accounts;
use crate::config::Secrets;
use crate::env::Env;
use crate::resolver::Resolver;
use crate::trace::Records;

/// What all sessions of a server share.
pub struct Shared<E: Env> {
    /// The environment.
    pub env: E,
    /// Who may log in.
    pub accounts: Accounts<E>,
    /// Asks DNS.
    pub resolver: Resolver<E>,
    /// The passwords of next hops.
    pub secrets: Secrets,
    /// The store.
    pub store: store::Store<E>,
    /// All open sessions.
    pub sessions: std::sync::Arc<sessions::Sessions>,
    /// Turns to search messages: one less than there are cores, over all sessions.
    pub searches: std::sync::Arc<async_lock::Semaphore>,
    /// Recordings of sessions, where there are any.
    pub records: Option<std::sync::Arc<Records>>,
    /// Unpredictable, new with each start: message ids are made of it and of a session's number.
    pub seed: [u8; 16],
}

/// A peer's words in the log: at most 200 characters, none that could begin a line or move a cursor (S69).
fn escaped(text: &str) -> String {
    text.chars().take(200).flat_map(char::escape_debug).collect()
}

/// The next event of a machine that has no stream; `None`: its deadline has come. The inbox never closes: its task holds a sender.
async fn event_or_deadline<E: Env, T>(env: &E, inbox: &Receiver<T>, until: Option<Deadline>) -> Option<T> {
    let event = async { inbox.recv().await.ok() };
    let Some(deadline) = until else {
        return event.await;
    };
    let tick = async {
        env.sleep_until(deadline.at).await;
        None
    };
    future::or(pin!(event), pin!(tick)).await
}

type Boxed<T> = Pin<Box<dyn Future<Output = T> + Send>>;
