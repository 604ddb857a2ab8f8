//! A whole Pillarbox on a simulated node.

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::pin::Pin;
use std::time::Duration;

use pillarbox::accounts::file::{Alias, AliasAddress};
use pillarbox::accounts::{self, file};
use pillarbox::config;
use pillarbox::env::Env;
use pillarbox::listen::Bounds;
use pillarbox::server::{Server, Start};
use pillarbox_core::address::Mailbox;
use pillarbox_core::secret::Secret;

use super::tls::{Certificate, Stream};
use super::{Nodes, SimEnv};

/// The password of every account.
pub const PASSWORD: &str = "correct horse";

/// Starts a server for one domain, with all listeners on their ports. Accounts are made when the disk has none yet.
pub fn start(nodes: &Nodes, ip: IpAddr, domain: &str, users: &[&str]) {
    begin(nodes, ip, domain, users, "", Vec::new());
}

/// The same with more settings, which follow those of the domain and its listeners.
pub fn start_with(nodes: &Nodes, ip: IpAddr, domain: &str, users: &[&str], more: &str) {
    begin(nodes, ip, domain, users, more, Vec::new());
}

/// As [`start`], with aliases and their targets.
pub fn start_with_aliases(nodes: &Nodes, ip: IpAddr, domain: &str, users: &[&str], aliases: &[(&str, &[&str])]) {
    let alias = |(address, targets): &(&str, &[&str])| Alias {
        address: AliasAddress::parse(address).expect("an address"),
        targets: targets
            .iter()
            .map(|to| Mailbox::parse(to, true).expect("an address"))
            .collect(),
    };
    begin(nodes, ip, domain, users, "", aliases.iter().map(alias).collect());
}

fn begin(nodes: &Nodes, ip: IpAddr, domain: &str, users: &[&str], more: &str, aliases: Vec<Alias>) {
    let text = config_text(domain, users[0]) + more;
    let addresses: Vec<String> = users.iter().map(|user| format!("{user}@{domain}")).collect();
    let certificate = Certificate::of(&format!("mx.{domain}"));
    nodes.start(ip, |env| live(env, text, addresses, aliases, certificate));
}

/// Generic and boxed: only of a generic environment does the compiler see that all of it is `Send`.
fn live<E: Env>(
    env: E,
    text: String,
    addresses: Vec<String>,
    aliases: Vec<Alias>,
    tls: E::TlsServer,
) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        let read = config::read(&text, Path::new("/"));
        let config = read.config.unwrap_or_else(|| panic!("{:?}", read.problems));
        if file::read(env.disk()).await.expect("the disk reads").accounts.is_empty() {
            let mut made = Vec::new();
            for address in addresses {
                let address = Mailbox::parse(&address, true).expect("an address");
                made.push(accounts::make(&env, address, &Secret::new(PASSWORD.into())).await);
            }
            let register = file::Register { accounts: made, aliases };
            file::write(env.disk(), &register).await.expect("the disk writes");
        }
        let start = Start {
            config,
            secrets: config::Secrets::default(),
            tls,
            password_jobs: 2,
            connections: Bounds {
                connections: 20_000,
                per_network: 20_000,
            },
        };
        let _server = Server::start(env, start).await.unwrap_or_else(|error| panic!("{error}"));
        std::future::pending::<()>().await;
    })
}

/// What such a server is configured with.
pub fn config_text(domain: &str, postmaster: &str) -> String {
    let listener = |(protocol, port): (&str, u16)| {
        format!("[[listener]]\nprotocol = \"{protocol}\"\naddress = \"0.0.0.0:{port}\"\nplaintext_auth = [\"10.0.0.0/8\"]\n")
    };
    let all = [
        ("smtp", 25),
        ("http", 80),
        ("imap", 143),
        ("https", 443),
        ("submissions", 465),
        ("submission", 587),
        ("imaps", 993),
    ];
    let listeners: String = all.into_iter().map(listener).collect();
    format!(
        "hostname = \"mx.{domain}\"\ndata_dir = \"/data\"\npostmaster = \"{postmaster}@{domain}\"\n[store]\nring = \"64M\"\n[[domain]]\nname = \
         \"{domain}\"\n{listeners}"
    )
}

/// Connects as soon as something listens.
///
/// # Panics
/// When nothing does for a minute.
pub async fn connect(env: &SimEnv, to: SocketAddr) -> Stream {
    let patience = env.now().instant.after(Duration::from_secs(60));
    loop {
        match env.connect(to, None).await {
            Ok(stream) => return stream,
            Err(error) => assert!(env.now().instant < patience, "{to}: {error}"),
        }
        env.sleep_until(env.now().instant.after(Duration::from_millis(20))).await;
    }
}
