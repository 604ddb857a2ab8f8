//! `[dns]`, `[[route]]` and `[delivery]`.

use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::time::Duration;

use pillarbox_core::address::Domain;
use pillarbox_core::limits;
use toml::de::DeTable;

use super::super::delivery::{Delivery, Dns, Relay, RelayHost, RelayLogin, RelayTls, Route};
use super::super::settings::{full_name, nearest};
use super::{Table, Walk, list, quoted, shown};

/// The port of DNS (RFC 1035 §4.2).
const DNS_PORT: u16 = 53;
/// DNS servers that are asked in turn: more would outlast every patience.
const DNS_SERVERS: usize = limits::DNS_SERVERS;
const SECOND: Duration = Duration::from_secs(1);
const DAY: Duration = Duration::from_secs(24 * 60 * 60);
/// Entries of `delivery.retry`.
const RETRIES: usize = 100;

/// The keys of a next hop's login.
struct LoginKeys {
    user: &'static str,
    password_file: &'static str,
}

impl<'a> Walk<'a> {
    pub(super) fn dns(&mut self, document: &'a DeTable<'a>) -> Dns {
        const SETTING: &str = "dns.servers";
        let table = self.single("dns", document);
        let mut servers: Vec<SocketAddr> = Vec::new();
        match self.texts(&table, "servers") {
            Some(texts) => {
                for (text, at) in texts {
                    let ip = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, DNS_PORT));
                    match text.parse::<SocketAddr>().or(ip) {
                        Ok(server) if server.port() != 0 => servers.push(server),
                        Ok(_) | Err(_) => {
                            let hint = "write an address, with a port where it is not 53, as in \"127.0.0.1:5353\"".into();
                            let what = format!("`{}` is no address of a server", shown(text));
                            self.error(Some(at), SETTING, what, hint);
                        }
                    }
                }
                let at = table.keys.get("servers").map(|value| value.span());
                if servers.len() > DNS_SERVERS {
                    let hint = format!("give at most {DNS_SERVERS}: they are asked in turn");
                    self.error(at, SETTING, "too many".into(), hint);
                } else if servers.is_empty() && self.problems.iter().all(|problem| problem.setting != SETTING) {
                    let hint = "name a server, or remove the line: then resolv.conf is used".into();
                    self.error(at, SETTING, "empty".into(), hint);
                }
                self.note(&table, "servers", list(servers.iter()));
            }
            None => self.note_default(&table, "servers"),
        }
        let trust_ad = self.yes_or_no(&table, "trust_ad", false);
        Dns { servers, trust_ad }
    }

    pub(super) fn routes(&mut self, document: &'a DeTable<'a>) -> Vec<Route> {
        let tables = self.repeated("route", document);
        let mut routes: Vec<Route> = Vec::new();
        for table in &tables {
            let recipient_domains = self.recipient_domains(table, &routes);
            self.route_protocol(table);
            let keys = LoginKeys {
                user: "user",
                password_file: "password_file",
            };
            let relay = self.relay(table, "host", "tls", keys);
            if relay.is_none() && !table.keys.contains_key("host") {
                let hint = "add host = \"relay.example:25\", the next hop".into();
                self.error(table.at.clone(), "route.host", "missing".into(), hint);
            }
            if let (Some(relay), false) = (relay, recipient_domains.is_empty()) {
                routes.push(Route {
                    recipient_domains,
                    relay,
                });
            }
        }
        routes
    }

    fn recipient_domains(&mut self, table: &Table<'a>, before: &[Route]) -> Vec<Domain> {
        const SETTING: &str = "route.recipient_domain";
        let mut domains: Vec<Domain> = Vec::new();
        let Some(texts) = self.texts(table, "recipient_domain") else {
            let hint = "add recipient_domain = \"example.net\", the domain that this route is for".into();
            self.error(table.at.clone(), SETTING, "missing".into(), hint);
            return domains;
        };
        let empty = texts.is_empty();
        for (text, at) in texts {
            match Domain::parse(text, true) {
                Ok(domain) => {
                    let earlier = before.iter().any(|route| route.recipient_domains.contains(&domain));
                    if earlier || domains.contains(&domain) {
                        let what = format!("{domain} has a route already; the first one decides");
                        self.warning(Some(at), SETTING, what, "remove one of them".into());
                    }
                    domains.push(domain);
                }
                Err(_) => {
                    let hint = "write a name such as example.net, without a final dot".into();
                    self.error(Some(at), SETTING, format!("`{}` is no domain name", shown(text)), hint);
                }
            }
        }
        if empty {
            let at = table.keys.get("recipient_domain").map(|value| value.span());
            self.error(at, SETTING, "empty".into(), "name a domain".into());
        }
        self.note(table, "recipient_domain", list(domains.iter()));
        domains
    }

    fn route_protocol(&mut self, table: &Table<'a>) {
        match self.text(table, "protocol") {
            Some(("smtp", _)) | None => {}
            Some(("lmtp", at)) => {
                let hint = "remove this route".into();
                self.error(Some(at), "route.protocol", "`lmtp` is not in this version".into(), hint);
            }
            Some((other, at)) => {
                let what = format!("`{}` is no protocol of a route", shown(other));
                self.error(Some(at), "route.protocol", what, "write \"smtp\"".into());
            }
        }
        self.note(table, "protocol", quoted("smtp"));
    }

    pub(super) fn delivery(&mut self, document: &'a DeTable<'a>) -> Delivery {
        let table = self.single("delivery", document);
        let keys = LoginKeys {
            user: "smarthost_user",
            password_file: "smarthost_password_file",
        };
        let smarthost = self.relay(&table, "smarthost", "smarthost_tls", keys);
        let port = self.port(&table, "port", 25);
        let allow_loopback_targets = self.yes_or_no(&table, "allow_loopback_targets", false);
        let retry = self.retry(&table);
        let max_age = self.duration(&table, "max_age", limits::QUEUE_AGE, SECOND..=30 * DAY);
        let delay_notice = self.duration(&table, "delay_notice", limits::DELAY_NOTICE, SECOND..=30 * DAY);
        let source = self.source(&table);
        Delivery {
            smarthost,
            port,
            allow_loopback_targets,
            retry,
            max_age,
            delay_notice,
            source,
        }
    }

    fn retry(&mut self, table: &Table<'a>) -> Vec<Duration> {
        const SETTING: &str = "delivery.retry";
        let Some(texts) = self.texts(table, "retry") else {
            self.note_default(table, "retry");
            return limits::RETRY.to_vec();
        };
        let at = table.keys.get("retry").map(|value| value.span());
        if texts.is_empty() || texts.len() > RETRIES {
            let hint = format!("give 1 to {RETRIES} durations, as in [\"5m\", \"1h\"]; the last one repeats");
            self.error(at, SETTING, "wrong number of entries".into(), hint);
        }
        let mut retry = Vec::new();
        for (text, at) in texts {
            retry.extend(self.duration_of(SETTING, text, at, &(SECOND..=7 * DAY)));
        }
        self.note(
            table,
            "retry",
            list(retry.iter().map(|wait| super::super::value::show_duration(*wait))),
        );
        retry
    }

    fn source(&mut self, table: &Table<'a>) -> Vec<IpAddr> {
        const SETTING: &str = "delivery.source";
        let mut source: Vec<IpAddr> = Vec::new();
        let Some(texts) = self.texts(table, "source") else {
            self.note_default(table, "source");
            return source;
        };
        for (text, at) in texts {
            match text.parse::<IpAddr>() {
                Ok(ip) if ip.is_unspecified() || ip.is_multicast() => {
                    let what = format!("{ip} is no address to connect from");
                    self.error(Some(at), SETTING, what, "name an address of this machine".into());
                }
                Ok(ip) if source.iter().any(|other| other.is_ipv4() == ip.is_ipv4()) => {
                    let what = format!("{ip} is the second of its family");
                    self.error(Some(at), SETTING, what, "give one IPv4 and one IPv6 address at most".into());
                }
                Ok(ip) => source.push(ip),
                Err(_) => {
                    let hint = "write an address of this machine, as in \"192.0.2.10\"".into();
                    self.error(Some(at), SETTING, format!("`{}` is no address", shown(text)), hint);
                }
            }
        }
        self.note(table, "source", list(source.iter()));
        source
    }

    /// A next hop: host and port, TLS, login.
    fn relay(&mut self, table: &Table<'a>, key: &'static str, tls_key: &'static str, keys: LoginKeys) -> Option<Relay> {
        let login = self.login(table, &keys);
        let tls = self.relay_tls(table, tls_key);
        let Some((text, at)) = self.text(table, key) else {
            if !table.keys.contains_key(key) {
                self.note_default(table, key);
                for other in [tls_key, keys.user] {
                    if let Some(value) = table.keys.get(other).filter(|_| key == "smarthost") {
                        let setting = full_name(table.section, other);
                        let what = "there is no smarthost".into();
                        self.error(Some(value.span()), &setting, what, "add smarthost = …, or remove this".into());
                    }
                }
            }
            return None;
        };
        let setting = full_name(table.section, key);
        let Some((host, port)) = host_and_port(text) else {
            let hint = "write name and port, as in \"smtp.isp.example:465\" or \"[2001:db8::1]:25\"".into();
            self.error(Some(at), &setting, format!("`{}` is no host with a port", shown(text)), hint);
            return None;
        };
        let tls = tls.unwrap_or_else(|| RelayTls::default_for(port, login.is_some()));
        let relay = Relay { host, port, tls, login };
        self.note(table, key, quoted(&relay.name()));
        if relay.login.is_some() && !tls.is_verified() {
            let at = table.keys.get(tls_key).map(|value| value.span());
            let hint = "use \"implicit\" or \"required\"; a certificate of your own goes into tls.roots".into();
            let what = "a password would go to anybody".into();
            self.error(at, &full_name(table.section, tls_key), what, hint);
        }
        Some(relay)
    }

    fn relay_tls(&mut self, table: &Table<'a>, key: &'static str) -> Option<RelayTls> {
        let Some((text, at)) = self.text(table, key) else {
            self.note_default(table, key);
            return None;
        };
        self.note(table, key, quoted(text));
        let tls = RelayTls::ALL.into_iter().find(|tls| tls.name() == text);
        if tls.is_none() {
            let known = RelayTls::ALL.map(RelayTls::name);
            let hint = match nearest(text, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of {}", known.join(", ")),
            };
            self.error(
                Some(at),
                &full_name(table.section, key),
                format!("`{}` is no use of TLS", shown(text)),
                hint,
            );
        }
        tls
    }

    fn login(&mut self, table: &Table<'a>, keys: &LoginKeys) -> Option<RelayLogin> {
        let user = self.text(table, keys.user);
        match &user {
            Some((user, _)) => self.note(table, keys.user, quoted(user)),
            None => self.note_default(table, keys.user),
        }
        let password_file = self.path(table, keys.password_file);
        let mut missing = |key: &str, beside: &str, at: Option<Range<usize>>| {
            let hint = format!("give `{key}` and `{beside}`, or neither");
            self.error(at, &full_name(table.section, key), format!("missing beside `{beside}`"), hint);
        };
        match (user, password_file) {
            (Some((user, _)), Some(password_file)) => Some(RelayLogin {
                user: user.to_owned(),
                password_file,
            }),
            (Some((_, at)), None) => {
                missing(keys.password_file, keys.user, Some(at));
                None
            }
            (None, Some(_)) => {
                let at = table.keys.get(keys.password_file).map(|value| value.span());
                missing(keys.user, keys.password_file, at);
                None
            }
            (None, None) => None,
        }
    }
}

/// `name:25`, `192.0.2.1:25`, `[2001:db8::1]:25`.
fn host_and_port(text: &str) -> Option<(RelayHost, u16)> {
    let (host, port) = match text.parse::<SocketAddr>() {
        Ok(address) => (RelayHost::Address(address.ip()), address.port()),
        Err(_) => {
            let (name, port) = text.rsplit_once(':')?;
            let digits = port.bytes().all(|byte| byte.is_ascii_digit());
            let name = Domain::parse(name, true).ok().filter(|_| digits)?;
            // What looks like an address and is none is no name either.
            let numeric = name.as_str().rsplit('.').next()?.bytes().all(|byte| byte.is_ascii_digit());
            (!numeric).then_some((RelayHost::Name(name), port.parse().ok()?))?
        }
    };
    (port != 0).then_some((host, port))
}
