//! What the configuration says of delivery to other servers: DNS, next hops, retries.

use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use pillarbox_core::address::Domain;
use pillarbox_core::secret::Secret;
use pillarbox_core::smtp::client::ask::{Credentials, TlsUse};

use super::Config;

/// `[dns]`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Dns {
    /// The servers to ask, in this order; empty: those of `resolv.conf`.
    pub servers: Vec<SocketAddr>,
    /// Whether their AD bit counts: they validate DNSSEC, and the way to them is safe.
    pub trust_ad: bool,
}

/// One `[[route]]`: the first whose domains have the recipient's decides.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// For mail to these domains; never empty.
    pub recipient_domains: Vec<Domain>,
    /// The next hop.
    pub relay: Relay,
}

/// A next hop that the configuration names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relay {
    /// Where it is. Its addresses are looked up, never its MX.
    pub host: RelayHost,
    /// Its port.
    pub port: u16,
    /// Whether and how TLS is used.
    pub tls: RelayTls,
    /// What to log in with.
    pub login: Option<RelayLogin>,
}

/// Where a next hop is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RelayHost {
    /// At the addresses of this name.
    Name(Domain),
    /// Here.
    Address(IpAddr),
}

/// The TLS of a next hop, as the configuration names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RelayTls {
    /// From the first byte, with a valid certificate.
    Implicit,
    /// STARTTLS with a valid certificate, or no mail.
    Required,
    /// STARTTLS where it is offered, with any certificate.
    Opportunistic,
    /// None.
    Never,
}

/// A user name and where its password is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayLogin {
    /// The user name.
    pub user: String,
    /// The file that holds the password.
    pub password_file: PathBuf,
}

/// `[delivery]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Delivery {
    /// Takes all mail that no route is for, in place of the recipients' servers.
    pub smarthost: Option<Relay>,
    /// Where the servers that MX records name listen.
    pub port: u16,
    /// Whether mail goes to servers at loopback addresses (S58).
    pub allow_loopback_targets: bool,
    /// How long to wait after the first, second, … attempt; the last one repeats. Never empty.
    pub retry: Vec<Duration>,
    /// How long a message is tried before its sender is told that it failed.
    pub max_age: Duration,
    /// How old a message is when its sender is told of the delay; `max_age` or more: never.
    pub delay_notice: Duration,
    /// The addresses to connect from, one of a family; a family without one connects from where the system likes.
    pub source: Vec<IpAddr>,
}

impl Delivery {
    /// Where a connection to this address comes from.
    pub fn source_for(&self, to: IpAddr) -> Option<IpAddr> {
        self.source.iter().copied().find(|from| from.is_ipv4() == to.is_ipv4())
    }
}

impl Relay {
    /// Its text: `host:port`, an IPv6 address in brackets.
    pub fn name(&self) -> String {
        match &self.host {
            RelayHost::Name(name) => format!("{name}:{}", self.port),
            RelayHost::Address(ip) => SocketAddr::new(*ip, self.port).to_string(),
        }
    }
}

impl RelayTls {
    /// All.
    pub const ALL: [RelayTls; 4] = [
        RelayTls::Implicit,
        RelayTls::Required,
        RelayTls::Opportunistic,
        RelayTls::Never,
    ];

    /// Its name in the configuration.
    pub fn name(self) -> &'static str {
        match self {
            RelayTls::Implicit => "implicit",
            RelayTls::Required => "required",
            RelayTls::Opportunistic => "opportunistic",
            RelayTls::Never => "never",
        }
    }

    /// What the session does.
    pub fn as_use(self) -> TlsUse {
        match self {
            RelayTls::Implicit => TlsUse::Implicit,
            RelayTls::Required => TlsUse::Required,
            RelayTls::Opportunistic => TlsUse::Opportunistic,
            RelayTls::Never => TlsUse::Never,
        }
    }

    /// Whether the certificate must be valid for the host's name.
    pub fn is_verified(self) -> bool {
        match self {
            RelayTls::Implicit | RelayTls::Required => true,
            RelayTls::Opportunistic | RelayTls::Never => false,
        }
    }

    /// Without a setting: a password is never sent to somebody unknown; 465 speaks TLS at once (RFC 8314 §3.3).
    pub(super) fn default_for(port: u16, login: bool) -> RelayTls {
        match (port, login) {
            (465, _) => RelayTls::Implicit,
            (_, true) => RelayTls::Required,
            (_, false) => RelayTls::Opportunistic,
        }
    }
}

/// The passwords that the configuration names files for, read at start. `Debug` shows none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Secrets(BTreeMap<PathBuf, Secret>);

impl Secrets {
    /// Takes what a file holds: its first line, without the end of line that editors add.
    pub fn learn(&mut self, file: PathBuf, text: &str) {
        let line = text.lines().next().unwrap_or_default();
        self.0.insert(file, Secret::new(line.to_owned()));
    }

    /// What a next hop is logged in to with; `None` when its file was never read.
    pub fn credentials(&self, login: &RelayLogin) -> Option<Credentials> {
        Some(Credentials {
            user: login.user.clone(),
            password: self.0.get(&login.password_file)?.clone(),
        })
    }
}

impl Config {
    /// The files with passwords, each with the setting that names it.
    pub fn password_files(&self) -> Vec<(&'static str, &Path)> {
        let routes = self.routes.iter().map(|route| ("route.password_file", &route.relay));
        let smarthost = self.delivery.smarthost.iter();
        routes
            .chain(smarthost.map(|relay| ("delivery.smarthost_password_file", relay)))
            .filter_map(|(setting, relay)| Some((setting, relay.login.as_ref()?.password_file.as_path())))
            .collect()
    }
}
