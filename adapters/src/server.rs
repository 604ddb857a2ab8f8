//! A whole server over an environment: accounts, store, listeners. Two of them may live in one process.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use async_channel::{Receiver, Sender};
use futures_lite::future;
use pillarbox_core::delivery::dsn::Ours;
use pillarbox_core::limits;
use pillarbox_core::store::committer::Settings;
use pillarbox_core::store::committer::ask::QueueEvent;
use pillarbox_core::store::queue::QueuedMessage;
use pillarbox_core::store::request::{NewMailbox, Reply, Request};
use pillarbox_core::store::{MailboxId, MailboxName, SpecialUse};

use crate::accounts::{Accounts, AccountsError, Names};
use crate::config::{Config, Listener, Protocol, Secrets};
use crate::env::Env;
use crate::hosts::Shared;
use crate::hosts::door::{Current, Door};
use crate::hosts::scheduler::{self, Dispatch, ServerPost};
use crate::hosts::sessions::Sessions;
use crate::hosts::store::Store;
use crate::listen::{Bounds, Gate};
use crate::resolver::Resolver;
use crate::setup;
use crate::trace::Records;

/// What a server is started with.
pub struct Start<E: Env> {
    /// Its configuration.
    pub config: Config,
    /// The passwords of next hops.
    pub secrets: Secrets,
    /// Its certificate.
    pub tls: E::TlsServer,
    /// How many connections are let in.
    pub connections: Bounds,
    /// Password checks that may run at once: as many as there are cores. Searches: one less, so that the others can go on.
    pub password_jobs: usize,
}

/// A running server.
pub struct Server<E: Env> {
    shared: Arc<Shared<E>>,
    dispatch: Dispatch,
    bound: Vec<Bound>,
    current: Arc<Mutex<Current<E>>>,
    /// Dropped to stop the listeners.
    open: Sender<()>,
    store_ended: Receiver<()>,
}

/// An open listening socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bound {
    /// What it speaks.
    pub protocol: Protocol,
    /// Where.
    pub address: SocketAddr,
    /// Whether proxies speak for its peers: then the port outside is another.
    pub behind_proxy: bool,
}

impl Bound {
    /// A listener at one of its addresses.
    pub fn of(listener: &Listener, address: SocketAddr) -> Bound {
        Bound {
            protocol: listener.protocol,
            address,
            behind_proxy: !listener.proxy_protocol.is_empty(),
        }
    }
}

/// Why a server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The accounts file is unreadable.
    #[error("{0}")]
    Accounts(#[from] AccountsError),
    /// An address cannot be listened on.
    #[error("{protocol} cannot listen on {address}: {error}; is another server running? (listener.address)")]
    Listen {
        /// For what.
        protocol: &'static str,
        /// Where.
        address: SocketAddr,
        /// Why not.
        error: io::Error,
    },
    /// The store did not start, or refused to make an account.
    #[error("the store does not start: {0}")]
    Store(&'static str),
}

impl<E: Env> Server<E> {
    /// Opens the listeners, recovers the store, makes missing accounts in it; then begins to accept.
    ///
    /// # Errors
    /// As [`StartError`]; nothing is left running but the store's tasks, which end with the process.
    pub async fn start(env: E, start: Start<E>) -> Result<Server<E>, StartError> {
        let Start {
            config,
            secrets,
            tls,
            connections,
            password_jobs,
        } = start;
        let gate = Gate::new(connections);
        let listeners = open_listeners(&env, &config.listeners)?;
        let bound: Vec<Bound> = listeners.iter().map(|(listener, _, at)| Bound::of(listener, *at)).collect();
        let accounts = Accounts::load(env.clone(), Names::of(&config), password_jobs).await?;
        let sessions = Arc::<Sessions>::default();
        let started = Store::start(env.clone(), store_settings(&config), sessions.clone()).await;
        let started = started.ok_or(StartError::Store("it was stopped while it recovered"))?;
        let recovered = &started.recovered;
        tracing::info!(
            records = recovered.records,
            torn_records = recovered.torn_records,
            messages = recovered.messages,
            "store recovered"
        );
        let mut seed = [0; 16];
        env.entropy(&mut seed);
        let shared = Arc::new(Shared {
            env: env.clone(),
            accounts,
            resolver: Resolver::new(env.clone(), &config.dns),
            secrets,
            store: started.store,
            sessions,
            records: Records::start(&env, &config.record),
            searches: Arc::new(async_lock::Semaphore::new(password_jobs.saturating_sub(1).max(1))),
            seed,
        });
        make_accounts(&shared).await?;
        let current = Current {
            tls,
            hostname: config.hostname.as_str().to_string(),
            message_max: config.message_max,
            max_age: config.delivery.max_age,
            site: Arc::new(setup::site(&config, &bound)),
        };
        let current = Arc::new(Mutex::new(current));
        let (open, closed) = async_channel::bounded::<()>(1);
        for (listener, at, address) in listeners {
            tracing::info!(protocol = listener.protocol.name(), %address, "listening");
            let door = Door {
                shared: shared.clone(),
                current: current.clone(),
                listener,
                gate: gate.clone(),
            };
            let closed = closed.clone();
            env.spawn("listener", async move { door.accept_all(at, closed).await });
        }
        let dispatch = start_dispatch(&shared, &config);
        Ok(Server {
            shared,
            dispatch,
            bound,
            current,
            open,
            store_ended: started.ended,
        })
    }

    /// The open listening sockets.
    pub fn bound(&self) -> &[Bound] {
        &self.bound
    }

    /// The scheduler of the queue, for operators.
    pub fn dispatch(&self) -> &Dispatch {
        &self.dispatch
    }

    /// Every message in the queue, by age.
    pub async fn queue(&self) -> Vec<Arc<QueuedMessage>> {
        match self.shared.store.submit(Request::Queue).await {
            Reply::Queue(messages) => messages,
            Reply::Done
            | Reply::Refused(_)
            | Reply::Placed { .. }
            | Reply::Flagged { .. }
            | Reply::Expunged { .. }
            | Reply::Mailboxes(_)
            | Reply::Selected(_)
            | Reply::Tree(_)
            | Reply::Transferred(_)
            | Reply::Changed { .. } => Vec::new(), // the store is stopping
        }
    }

    /// The store.
    pub fn store(&self) -> &Store<E> {
        &self.shared.store
    }

    /// The accounts.
    pub fn accounts(&self) -> &Accounts<E> {
        &self.shared.accounts
    }

    /// Reads the accounts again, and makes the new ones in the store.
    ///
    /// # Errors
    /// As [`StartError`]; the accounts then stay as they were.
    pub async fn reload_accounts(&self) -> Result<(), StartError> {
        self.shared.accounts.reload(None).await?;
        make_accounts(&self.shared).await
    }

    /// Takes what can change without a restart: names, limits, certificate, accounts. The settings that cannot are returned.
    ///
    /// # Errors
    /// As [`Server::reload_accounts`].
    pub async fn reload(&self, old: &Config, new: &Config, tls: E::TlsServer) -> Result<Vec<&'static str>, StartError> {
        self.shared.accounts.reload(Some(Names::of(new))).await?;
        make_accounts(&self.shared).await?;
        {
            let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
            *current = Current {
                tls,
                hostname: new.hostname.as_str().to_string(),
                message_max: new.message_max,
                max_age: new.delivery.max_age,
                site: Arc::new(setup::site(new, &self.bound)),
            };
        }
        let kept = [
            ("data_dir", old.data_dir != new.data_dir),
            ("listener", old.listeners != new.listeners),
            ("dns", old.dns != new.dns),
            ("route", old.routes != new.routes),
            ("delivery", old.delivery != new.delivery),
            ("store.ring", old.ring_bytes != new.ring_bytes),
            ("log", old.log != new.log),
            ("record", old.record != new.record),
        ];
        Ok(kept
            .into_iter()
            .filter(|(_, changed)| *changed)
            .map(|(name, _)| name)
            .collect())
    }

    /// Accepts nothing more, lets sessions finish for [`limits::DRAIN`], then closes the store.
    pub async fn shutdown(self) {
        let Server {
            shared,
            dispatch,
            open,
            store_ended,
            ..
        } = self;
        drop(open);
        dispatch.shutdown();
        shared.sessions.shutdown();
        let env = &shared.env;
        let until = env.now().instant.after(limits::DRAIN);
        let drained = async {
            future::poll_fn(|cx| shared.sessions.poll_drained(cx)).await;
            dispatch.ended().await;
        };
        future::or(drained, async {
            env.sleep_until(until).await;
            tracing::warn!(
                sessions = shared.sessions.len(),
                "sessions were still open when the server stopped"
            );
        })
        .await;
        shared.store.shutdown();
        // Nothing is ever sent: the channel closes when the committer has ended.
        let _ = store_ended.recv().await;
        if let Some(records) = &shared.records {
            records.stop().await;
        }
        tracing::info!("stopped");
    }
}

/// Starts delivery to other servers: what is queued, and what will be.
fn start_dispatch<E: Env>(shared: &Arc<Shared<E>>, config: &Config) -> Dispatch {
    let post = Arc::new(ServerPost::new(shared.clone(), config));
    let ours = Ours {
        hostname: config.hostname.clone(),
        domain: config.domains.first().unwrap_or(&config.hostname).clone(),
    };
    let dispatch = Dispatch::start(&shared.env, post, scheduler::settings(config), ours);
    let (events, told) = (shared.store.queue_events(), dispatch.clone());
    shared.env.spawn("queue events", async move {
        while let Ok(event) = events.recv().await {
            match event {
                QueueEvent::Entered(message) => told.entered(message),
                QueueEvent::Changed(_) => {} // the scheduler's own: nobody else changes a row
            }
        }
    });
    dispatch
}

fn store_settings(config: &Config) -> Settings {
    Settings {
        ring_bytes: config.ring_bytes,
        free_bytes_min: config.message_max.saturating_mul(2),
        ..Settings::default()
    }
}

/// All sockets, or none.
fn open_listeners<E: Env>(env: &E, listeners: &[Listener]) -> Result<Vec<(Listener, E::Listener, SocketAddr)>, StartError> {
    let mut open = Vec::new();
    for listener in listeners {
        for address in &listener.addresses {
            let failed = |error| StartError::Listen {
                protocol: listener.protocol.name(),
                address: *address,
                error,
            };
            let socket = env.listen(*address).map_err(failed)?;
            let at = env.local_address(&socket).map_err(failed)?;
            open.push((listener.clone(), socket, at));
        }
    }
    Ok(open)
}

/// Makes every account in the store that is not there yet, with its first mailboxes (`rules.md`, "Special-use mailboxes").
async fn make_accounts<E: Env>(shared: &Shared<E>) -> Result<(), StartError> {
    let now = shared.env.now().unix;
    for account in shared.accounts.table().accounts() {
        let request = Request::CreateAccount {
            account: account.id,
            mailboxes: first_mailboxes(&shared.env),
            uid_validity: u32::try_from(now.seconds()).unwrap_or(1).max(1),
        };
        match shared.store.submit(request).await {
            Reply::Done => {}
            Reply::Refused(_)
            | Reply::Placed { .. }
            | Reply::Flagged { .. }
            | Reply::Expunged { .. }
            | Reply::Mailboxes(_)
            | Reply::Selected(_)
            | Reply::Tree(_)
            | Reply::Transferred(_)
            | Reply::Changed { .. }
            | Reply::Queue(_) => return Err(StartError::Store("it refused to make an account; is the disk full?")),
        }
    }
    Ok(())
}

fn first_mailboxes<E: Env>(env: &E) -> Vec<NewMailbox> {
    let mailbox = |(name, special_use): (&str, Option<SpecialUse>)| {
        let mut id = [0; 16];
        env.entropy(&mut id);
        NewMailbox {
            mailbox: MailboxId(id),
            name: MailboxName(name.into()),
            special_use,
        }
    };
    let first = [
        ("INBOX", None),
        ("Drafts", Some(SpecialUse::Drafts)),
        ("Sent", Some(SpecialUse::Sent)),
        ("Trash", Some(SpecialUse::Trash)),
        ("Junk", Some(SpecialUse::Junk)),
        ("Archive", Some(SpecialUse::Archive)),
    ];
    first.into_iter().map(mailbox).collect()
}
