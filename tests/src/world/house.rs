//! The servers of a world: how they start, and what can be asked of them from behind.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_channel::{Receiver, Sender};
use pillarbox::accounts::{self, file};
use pillarbox::config::{self, Config};
use pillarbox::env::Env;
use pillarbox::listen::Bounds;
use pillarbox::server::{Server, Start};
use pillarbox_core::address::Mailbox;
use pillarbox_core::delivery::scheduler::ask::{Operation, Which};
use pillarbox_core::secret::Secret;
use pillarbox_core::store::AccountId;
use pillarbox_core::store::queue::QueuedMessage;
use pillarbox_core::store::request::{Reply, Request, Selected};

use super::Ctx;
use super::model::{account, domain, home, server_ip};
use super::transition::{CLIENTS, SERVERS, To};
use crate::disk::StrictDisk;
use crate::sim::server::PASSWORD;
use crate::sim::tls::Certificate;
use crate::sim::{Nodes, World};

/// Octets of a ring: eight segments of 64 KiB.
const RING: u64 = 8 * 64 * 1024;
/// Octets of a disk.
pub const DISK: u64 = 64 * 1024 * 1024;
/// What a start that cannot be exits with.
const EXIT_START: i32 = 75;

/// A life of a server, as the world knows it.
#[derive(Clone)]
pub struct Life {
    /// It has recovered and listens.
    pub ready: Arc<AtomicBool>,
    /// What can be asked of it.
    inquiries: Sender<Inquiry>,
}

/// All mailboxes of some accounts, as published.
pub type Published = Vec<(AccountId, Vec<(String, Selected)>)>;

/// A question to a server from behind.
enum Inquiry {
    Queue(Sender<Vec<Arc<QueuedMessage>>>),
    Mailboxes(AccountId, Sender<Vec<(String, Selected)>>),
    Accounts(Sender<Vec<(AccountId, String)>>),
    Operate(Operation, Sender<u32>),
}

impl Life {
    /// Whether it is this one.
    pub fn is(&self, other: &Life) -> bool {
        Arc::ptr_eq(&self.ready, &other.ready)
    }

    /// Whether it has recovered.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Relaxed)
    }

    /// What is queued; `None`: the server has ended.
    pub async fn queue(&self) -> Option<Vec<Arc<QueuedMessage>>> {
        self.ask(Inquiry::Queue).await
    }

    /// All mailboxes of an account, as published.
    pub async fn mailboxes(&self, account: AccountId) -> Option<Vec<(String, Selected)>> {
        self.ask(|to| Inquiry::Mailboxes(account, to)).await
    }

    /// Ids and addresses of accounts.
    pub async fn accounts(&self) -> Option<Vec<(AccountId, String)>> {
        self.ask(Inquiry::Accounts).await
    }

    /// An operator's command about all that is queued: how many rows it concerned.
    pub async fn operate(&self, what: Operation) -> Option<u32> {
        self.ask(|to| Inquiry::Operate(what, to)).await
    }

    async fn ask<T>(&self, what: impl FnOnce(Sender<T>) -> Inquiry) -> Option<T> {
        let (to, answer) = async_channel::bounded(1);
        self.inquiries.try_send(what(to)).ok()?;
        answer.recv().await.ok()
    }
}

/// A node for a server, with a store that was made before, or with none.
pub fn build(nodes: &Nodes, server: usize, fresh: bool) {
    let ip = nodes.node(1 + server as u8, &domain(server));
    let made = if fresh { &blank(server) } else { &stores()[server] };
    nodes.disk(ip, |disk| {
        *disk = made.clone();
        disk.set_capacity(DISK);
    });
}

/// Starts a server. `recovered` is told what its accounts are once it has read its store, before anybody can have changed them.
pub fn start(nodes: &Nodes, server: usize, recovered: impl FnOnce(&Life, Published) + Send + 'static) -> Life {
    let (inquiries, asked) = async_channel::unbounded();
    let life = Life {
        ready: Arc::default(),
        inquiries,
    };
    let (config, known) = (configs()[server].clone(), life.clone());
    let ready = move |accounts| {
        recovered(&known, accounts);
        known.ready.store(true, Ordering::Relaxed);
    };
    let certificate = Certificate::of(&format!("mx.{}", domain(server)));
    nodes.start(server_ip(server), |env| live(env, config, certificate, asked, ready));
    life
}

/// Generic and boxed: only of a generic environment does the compiler see that all of it is `Send`.
fn live<E: Env>(
    env: E,
    config: Config,
    tls: E::TlsServer,
    inquiries: Receiver<Inquiry>,
    ready: impl FnOnce(Published) + Send + 'static,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let start = Start {
            config,
            secrets: config::Secrets::default(),
            tls,
            password_jobs: 2,
            connections: Bounds {
                connections: 1000,
                per_network: 1000,
            },
        };
        let server = match Server::start(env.clone(), start).await {
            Ok(server) => server,
            Err(error) => env.exit(EXIT_START, &error.to_string()),
        };
        let mut accounts = Vec::new();
        let ids: Vec<AccountId> = server
            .accounts()
            .table()
            .accounts()
            .iter()
            .map(|account| account.id)
            .collect();
        for id in ids {
            accounts.push((id, mailboxes(&server, id).await));
        }
        ready(accounts);
        while let Ok(inquiry) = inquiries.recv().await {
            // Who asked may have given up.
            match inquiry {
                Inquiry::Queue(to) => _ = to.try_send(server.queue().await),
                Inquiry::Mailboxes(account, to) => _ = to.try_send(mailboxes(&server, account).await),
                Inquiry::Accounts(to) => {
                    let table = server.accounts().table();
                    let accounts = table
                        .accounts()
                        .iter()
                        .map(|account| (account.id, account.address.to_string()));
                    let _ = to.try_send(accounts.collect());
                }
                Inquiry::Operate(what, to) => {
                    if let Some(rows) = server.dispatch().operate(Which::All, what).await {
                        let _ = to.try_send(rows);
                    }
                }
            }
        }
        std::future::pending::<()>().await;
    })
}

async fn mailboxes<E: Env>(server: &Server<E>, account: AccountId) -> Vec<(String, Selected)> {
    let mut all = Vec::new();
    let Reply::Mailboxes(listed) = server.store().submit(Request::Mailboxes(account)).await else {
        return all;
    };
    for mailbox in listed.iter().filter(|listed| listed.mailbox.is_some()) {
        let select = Request::Select {
            account,
            name: mailbox.name.clone(),
            watch: None,
            take_recent: false,
        };
        if let Reply::Selected(selected) = server.store().submit(select).await {
            all.push((mailbox.name.0.to_string(), selected));
        }
    }
    all
}

fn configs() -> &'static [Config] {
    static CONFIGS: OnceLock<Vec<Config>> = OnceLock::new();
    CONFIGS.get_or_init(|| (0..SERVERS).map(config_of).collect())
}

fn config_of(server: usize) -> Config {
    let domain = domain(server);
    let listener = |(protocol, port): (&str, u16)| {
        format!("[[listener]]\nprotocol = \"{protocol}\"\naddress = \"0.0.0.0:{port}\"\nplaintext_auth = [\"10.0.0.0/8\"]\n")
    };
    let listeners: String = [("smtp", 25), ("imap", 143), ("submission", 587)]
        .into_iter()
        .map(listener)
        .collect();
    let text = format!(
        "hostname = \"mx.{domain}\"\ndata_dir = \"/data\"\npostmaster = \"{}\"\n[limits]\nmessage = \"256K\"\n[delivery]\nretry = [\"2m\", \
         \"5m\", \"10m\", \"20m\"]\nmax_age = \"3h\"\ndelay_notice = \"30m\"\n[[domain]]\nname = \"{domain}\"\n{listeners}",
        account(server)
    );
    let read = config::read(&text, Path::new("/"));
    let mut config = read.config.unwrap_or_else(|| panic!("{:?}", read.problems));
    // Smaller than a configuration may say: laps are many.
    config.ring_bytes = RING;
    config
}

/// An operator's command to a server, if it runs.
pub async fn operate(ctx: &Ctx, server: usize, what: Operation) {
    let life = ctx.with(|inner| inner.houses[server].life.clone());
    let Some(life) = life.filter(Life::is_ready) else { return };
    if let Some(rows) = life.operate(what).await.filter(|_| what == Operation::Hold) {
        ctx.with(|inner| inner.counters.held += u64::from(rows));
    }
}

fn alias(to: To) -> file::Alias {
    let mailbox = |to: To| Mailbox::parse(&to.address(), true).expect("an address");
    file::Alias {
        address: file::AliasAddress::Mailbox(mailbox(to)),
        targets: to.targets().into_iter().map(mailbox).collect(),
    }
}

/// A disk with accounts and no store.
fn blank(server: usize) -> StrictDisk {
    static BLANK: OnceLock<Vec<StrictDisk>> = OnceLock::new();
    BLANK.get_or_init(|| (0..SERVERS).map(blank_of).collect())[server].clone()
}

fn blank_of(server: usize) -> StrictDisk {
    let mut world = World::new(1000 + server as u64);
    let ip = world.node(1, "blank");
    let (sent, done) = async_channel::bounded(1);
    world.start(ip, |env| write_accounts(env, server, sent));
    world.run(async move { done.recv().await.expect("the accounts are written") });
    world.disk(ip, |disk| disk.clone())
}

/// Keys are made here, once for all worlds: they cost more than all else.
fn write_accounts<E: Env>(env: E, server: usize, done: Sender<()>) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let mut made = Vec::new();
        for client in (0..CLIENTS).filter(|client| home(*client) == server) {
            let address = Mailbox::parse(&account(client), true).expect("an address");
            made.push(accounts::make(&env, address, &Secret::new(PASSWORD.into())).await);
        }
        let register = file::Register {
            accounts: made,
            aliases: [To::Alias(server), To::List(server)].into_iter().map(alias).collect(),
        };
        file::write(env.disk(), &register).await.expect("the disk writes");
        file::secret(&env).await.expect("the disk writes");
        done.send(()).await.expect("somebody waits");
    })
}

/// Disks with stores in which nothing has happened yet.
fn stores() -> &'static [StrictDisk] {
    static STORES: OnceLock<Vec<StrictDisk>> = OnceLock::new();
    STORES.get_or_init(|| (0..SERVERS).map(store_of).collect())
}

fn store_of(server: usize) -> StrictDisk {
    let mut world = World::new(server as u64);
    build(&world, server, true);
    let life = start(&world, server, |_, _| {});
    let client = world.client();
    world.run(async move {
        // Beyond the first checkpoint.
        client.sleep_until(client.now().instant.after(Duration::from_secs(60))).await;
        assert!(life.is_ready(), "it starts");
    });
    world.disk(server_ip(server), |disk| disk.clone())
}

/// The ids of all clients' accounts; the same in every world.
pub fn account_ids() -> &'static BTreeMap<usize, AccountId> {
    static IDS: OnceLock<BTreeMap<usize, AccountId>> = OnceLock::new();
    IDS.get_or_init(|| {
        let mut ids = BTreeMap::new();
        for server in 0..SERVERS {
            let mut world = World::new(server as u64);
            build(&world, server, true);
            let life = start(&world, server, |_, _| {});
            let client = world.client();
            let known = world.run(async move {
                client.sleep_until(client.now().instant.after(Duration::from_secs(60))).await;
                life.accounts().await.expect("it runs")
            });
            for (id, address) in known {
                let client = (0..CLIENTS).find(|client| account(*client) == address);
                ids.insert(client.expect("an account of a client"), id);
            }
        }
        ids
    })
}
