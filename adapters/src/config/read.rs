//! Reads the file: walks over what TOML made of it, and notes every problem with its place instead of stopping at the first.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::ops::Range;
use std::path::{Path, PathBuf};

use pillarbox_core::address::{Domain, Host, Mailbox};
use pillarbox_core::limits;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::settings::{self, full_name, nearest};
use super::value::{self, Network, show_size};
use super::{CertificateFiles, Config, Listener, Log, LogFormat, Problem, Protocol, Severity, standard_listener};

/// The smallest ring whose segments hold a record with a body that is worth its name.
const RING_MIN: u64 = 1 << 20;
/// The largest ring: beyond it a start after a crash takes too long.
const RING_MAX: u64 = 64 << 30;
/// The smallest `limits.message`: RFC 5321 §4.5.3.1.7 asks for 64K.
const MESSAGE_MIN: u64 = 64 << 10;
/// The largest: RFC822.SIZE is a number of 32 bits.
const MESSAGE_MAX: u64 = 2 << 30;

/// What came of reading a file.
#[derive(Debug, Clone)]
pub struct Read {
    /// The configuration, unless there is an error.
    pub config: Option<Config>,
    /// Errors and warnings, in the order of the file.
    pub problems: Vec<Problem>,
    /// Every setting with its value, and where that comes from.
    pub origins: Vec<Origin>,
}

/// One setting in force.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// Its full name: `listener[2].address`.
    pub setting: String,
    /// Its value as TOML writes it.
    pub value: String,
    /// The line of the file, counted from 1; `None`: the default.
    pub line: Option<usize>,
}

/// Reads the text of a configuration file. File names in it are relative to `folder`.
pub fn read(text: &str, folder: &Path) -> Read {
    let (document, errors) = DeTable::parse_recoverable(text);
    let mut walk = Walk {
        text,
        folder,
        problems: Vec::new(),
        origins: Vec::new(),
    };
    for error in errors {
        let at = error.span().unwrap_or(0..0);
        walk.error(
            Some(at),
            "",
            error.message().replace('\n', ", "),
            "this is not TOML; see https://toml.io".into(),
        );
    }
    let config = if walk.problems.is_empty() {
        walk.config(document.get_ref())
    } else {
        None
    };
    walk.problems
        .sort_by_key(|problem| problem.at.as_ref().map_or(usize::MAX, |at| at.start));
    let failed = walk.problems.iter().any(|problem| problem.severity == Severity::Error);
    Read {
        config: config.filter(|_| !failed),
        problems: walk.problems,
        origins: walk.origins,
    }
}

struct Walk<'a> {
    text: &'a str,
    folder: &'a Path,
    problems: Vec<Problem>,
    origins: Vec<Origin>,
}

/// A table of the file: its section, its name in `--effective`, its keys.
struct Table<'a> {
    section: &'static str,
    shown: String,
    keys: BTreeMap<&'a str, &'a Spanned<DeValue<'a>>>,
    at: Option<Range<usize>>,
}

impl<'a> Walk<'a> {
    fn error(&mut self, at: Option<Range<usize>>, setting: &str, what: String, hint: String) {
        self.problems.push(Problem {
            severity: Severity::Error,
            setting: setting.into(),
            what,
            at,
            hint,
        });
    }

    fn warning(&mut self, at: Option<Range<usize>>, setting: &str, what: String, hint: String) {
        self.problems.push(Problem {
            severity: Severity::Warning,
            setting: setting.into(),
            what,
            at,
            hint,
        });
    }

    fn config(&mut self, document: &'a DeTable<'a>) -> Option<Config> {
        let top = self.table("", String::new(), document, None);
        let hostname = self.hostname(&top);
        let data_dir = self
            .path(&top, "data_dir")
            .unwrap_or_else(|| PathBuf::from("/var/lib/pillarbox"));
        let domains = self.domains(document);
        let postmaster = self.postmaster(&top, &domains);
        let listeners = self.listeners(document);
        let tls = self.tls(document);
        let limits = self.single("limits", document);
        let message_max = self.size(&limits, "message", limits::MESSAGE, MESSAGE_MIN..=MESSAGE_MAX);
        let log = self.log(document);
        let store = self.single("store", document);
        let ring_bytes = self.size(&store, "ring", limits::RING_BYTES, RING_MIN..=RING_MAX);
        Some(Config {
            hostname: hostname?,
            data_dir,
            postmaster,
            domains,
            listeners,
            tls,
            message_max,
            ring_bytes,
            log,
        })
    }

    // --- tables -----------------------------------------------------------------------------------------------------------

    /// Looks at all keys of a table: unknown ones are errors.
    fn table(&mut self, section: &'static str, shown: String, table: &'a DeTable<'a>, at: Option<Range<usize>>) -> Table<'a> {
        let mut keys = BTreeMap::new();
        for (key, value) in table {
            let name: &'a str = key.get_ref().as_ref();
            if settings::find(section, name).is_some() {
                keys.insert(name, value);
            } else if !(section.is_empty() && settings::SECTIONS.iter().any(|known| known.name == name)) {
                self.unknown(section, name, key.span());
            }
        }
        Table {
            section,
            shown,
            keys,
            at,
        }
    }

    fn unknown(&mut self, section: &str, name: &str, at: Range<usize>) {
        let setting = full_name(section, name);
        if settings::LATER.contains(&(section, name)) {
            let hint = "remove it: this version would not do what it says".into();
            return self.error(Some(at), &setting, "not in this version".into(), hint);
        }
        let names = settings::names(section);
        let elsewhere = settings::SETTINGS.iter().find(|setting| setting.key == name);
        let hint = match (nearest(name, &names), elsewhere) {
            (Some(near), _) => format!("did you mean `{near}`?"),
            (None, Some(setting)) if setting.table.is_empty() => {
                format!("`{name}` stands at the top of the file, before the first [table]")
            }
            (None, Some(setting)) => format!("there is a `{name}` in [{}]", setting.table),
            (None, None) => format!("known here: {}", names.join(", ")),
        };
        self.error(Some(at), &setting, "unknown setting".into(), hint);
    }

    /// `[name]`; an absent table is an empty one.
    fn single(&mut self, section: &'static str, document: &'a DeTable<'a>) -> Table<'a> {
        let value = find(document, section);
        match value.map(|value| (value, value.get_ref())) {
            Some((value, DeValue::Table(table))) => self.table(section, section.into(), table, Some(value.span())),
            Some((value, other)) => {
                let what = format!("a table is wanted, this is a {}", other.type_str());
                self.error(
                    Some(value.span()),
                    section,
                    what,
                    format!("write [{section}] on a line of its own"),
                );
                Table {
                    section,
                    shown: section.into(),
                    keys: BTreeMap::new(),
                    at: None,
                }
            }
            None => Table {
                section,
                shown: section.into(),
                keys: BTreeMap::new(),
                at: None,
            },
        }
    }

    /// `[[name]]`, any number of times.
    fn repeated(&mut self, section: &'static str, document: &'a DeTable<'a>) -> Vec<Table<'a>> {
        let Some(value) = find(document, section) else {
            return Vec::new();
        };
        let DeValue::Array(entries) = value.get_ref() else {
            let what = format!("a list of tables is wanted, this is a {}", value.get_ref().type_str());
            self.error(
                Some(value.span()),
                section,
                what,
                format!("write [[{section}]], with two brackets"),
            );
            return Vec::new();
        };
        let mut tables = Vec::new();
        for (index, entry) in entries.iter().enumerate() {
            let DeValue::Table(table) = entry.get_ref() else {
                let what = format!("a table is wanted, this is a {}", entry.get_ref().type_str());
                self.error(
                    Some(entry.span()),
                    section,
                    what,
                    format!("write [[{section}]], with two brackets"),
                );
                continue;
            };
            tables.push(self.table(section, format!("{section}[{}]", index + 1), table, Some(entry.span())));
        }
        tables
    }

    // --- values -----------------------------------------------------------------------------------------------------------

    /// A text of a table.
    fn text(&mut self, table: &Table<'a>, key: &str) -> Option<(&'a str, Range<usize>)> {
        let value = table.keys.get(key)?;
        match value.get_ref() {
            DeValue::String(text) => Some((text.as_ref(), value.span())),
            other => {
                let what = format!("a text is wanted, this is a {}", other.type_str());
                let example = settings::find(table.section, key).map_or("\"…\"", |setting| setting.example);
                let hint = format!("put it in quotes, as in {key} = {example}");
                self.error(Some(value.span()), &full_name(table.section, key), what, hint);
                None
            }
        }
    }

    /// A text or a list of texts; `None`: absent.
    fn texts(&mut self, table: &Table<'a>, key: &str) -> Option<Vec<(&'a str, Range<usize>)>> {
        let value = table.keys.get(key)?;
        let DeValue::Array(entries) = value.get_ref() else {
            return Some(self.text(table, key).into_iter().collect());
        };
        let mut texts = Vec::new();
        for entry in entries.iter() {
            match entry.get_ref() {
                DeValue::String(text) => texts.push((text.as_ref(), entry.span())),
                other => {
                    let what = format!("a list of texts is wanted, this is a {}", other.type_str());
                    let hint = "put each entry in quotes".into();
                    self.error(Some(entry.span()), &full_name(table.section, key), what, hint);
                }
            }
        }
        Some(texts)
    }

    fn size(&mut self, table: &Table<'a>, key: &str, default: u64, range: std::ops::RangeInclusive<u64>) -> u64 {
        let mut octets = default;
        if let Some((text, at)) = self.text(table, key) {
            let setting = full_name(table.section, key);
            match value::size(text) {
                Some(size) if range.contains(&size) => octets = size,
                Some(_) => {
                    let (least, most) = (show_size(*range.start()), show_size(*range.end()));
                    let hint = format!("give a size from {least} to {most}");
                    self.error(Some(at), &setting, "out of range".into(), hint);
                }
                None => {
                    let hint = "write digits and K, M or G, as in \"50M\"".into();
                    self.error(Some(at), &setting, format!("`{}` is not a size", shown(text)), hint);
                }
            }
        }
        self.note(table, key, quoted(&show_size(octets)));
        octets
    }

    fn path(&mut self, table: &Table<'a>, key: &str) -> Option<PathBuf> {
        let read = self.text(table, key);
        let default = settings::find(table.section, key).map_or("", |setting| setting.default);
        let path = match read {
            Some(("", at)) => {
                self.error(
                    Some(at),
                    &full_name(table.section, key),
                    "empty".into(),
                    "name a file or folder".into(),
                );
                None
            }
            Some((text, _)) => Some(self.folder.join(text)),
            None => None,
        };
        let value = path
            .as_ref()
            .map_or_else(|| default.to_string(), |path| path.display().to_string());
        self.note(table, key, quoted(&value));
        path
    }

    fn networks(&mut self, table: &Table<'a>, key: &str) -> Vec<Network> {
        let mut networks = Vec::new();
        for (text, at) in self.texts(table, key).unwrap_or_default() {
            match Network::parse(text) {
                Some(network) => networks.push(network),
                None => {
                    let hint = "write an address or a prefix without bits behind it, as in \"127.0.0.0/8\"".into();
                    let what = format!("`{}` is no network", shown(text));
                    self.error(Some(at), &full_name(table.section, key), what, hint);
                }
            }
        }
        self.note(table, key, list(networks.iter()));
        networks
    }

    /// Notes a setting for `--effective`.
    fn note(&mut self, table: &Table<'a>, key: &str, value: String) {
        let line = table.keys.get(key).map(|value| {
            let start = value.span().start;
            1 + self.text.as_bytes()[..start].iter().filter(|byte| **byte == b'\n').count()
        });
        let setting = full_name(&table.shown, key);
        self.origins.push(Origin { setting, value, line });
    }

    // --- settings ---------------------------------------------------------------------------------------------------------

    fn domain(&mut self, table: &Table<'a>, key: &str) -> Option<Domain> {
        let setting = full_name(table.section, key);
        let Some((text, at)) = self.text(table, key) else {
            if !table.keys.contains_key(key) {
                let example = settings::find(table.section, key).map_or("", |setting| setting.example);
                let hint = format!("add {key} = {example}, with your own name");
                self.error(table.at.clone(), &setting, "missing".into(), hint);
            }
            return None;
        };
        match Domain::parse(text, true) {
            Ok(domain) => {
                self.note(table, key, quoted(domain.as_str()));
                Some(domain)
            }
            Err(_) => {
                let hint = "write a name such as example.org, without a final dot".into();
                self.error(Some(at), &setting, format!("`{}` is no domain name", shown(text)), hint);
                None
            }
        }
    }

    fn hostname(&mut self, top: &Table<'a>) -> Option<Domain> {
        let hostname = self.domain(top, "hostname")?;
        if !hostname.as_str().contains('.') {
            let at = top.keys.get("hostname").map(|value| value.span());
            let hint = "use the full name, as in mx.example.org; other servers refuse a bare one".into();
            self.warning(at, "hostname", "not a full name".into(), hint);
        }
        Some(hostname)
    }

    fn domains(&mut self, document: &'a DeTable<'a>) -> Vec<Domain> {
        let tables = self.repeated("domain", document);
        if tables.is_empty() && find(document, "domain").is_none() {
            let hint = "add [[domain]] and, below it, name = \"example.org\"".into();
            self.error(None, "domain", "missing: no mail would be ours".into(), hint);
        }
        let mut domains = Vec::new();
        for table in &tables {
            let Some(domain) = self.domain(table, "name") else { continue };
            if domains.contains(&domain) {
                let at = table.keys.get("name").map(|value| value.span());
                self.error(
                    at,
                    "domain.name",
                    format!("{domain} is given twice"),
                    "remove one of them".into(),
                );
            } else {
                domains.push(domain);
            }
        }
        domains
    }

    fn postmaster(&mut self, top: &Table<'a>, domains: &[Domain]) -> Option<Mailbox> {
        let Some((text, at)) = self.text(top, "postmaster") else {
            self.note(top, "postmaster", quoted("the first account"));
            return None;
        };
        let mailbox = Mailbox::parse(text, true).ok();
        self.note(top, "postmaster", quoted(text));
        match mailbox {
            Some(Mailbox {
                host: Host::Domain(domain),
                local,
            }) if domains.contains(&domain) || domains.is_empty() => Some(Mailbox {
                host: Host::Domain(domain),
                local,
            }),
            Some(_) => {
                let hint = "name an account of one of the [[domain]]s".into();
                self.error(
                    Some(at),
                    "postmaster",
                    format!("`{}` is in no domain of ours", shown(text)),
                    hint,
                );
                None
            }
            None => {
                let hint = "write an address, as in alice@example.org".into();
                self.error(Some(at), "postmaster", format!("`{}` is no address", shown(text)), hint);
                None
            }
        }
    }

    fn listeners(&mut self, document: &'a DeTable<'a>) -> Vec<Listener> {
        let mut listeners = Vec::new();
        let tables = self.repeated("listener", document);
        if tables.is_empty() {
            listeners = super::standard_listeners();
            self.origins.push(Origin {
                setting: "listener".into(),
                value: quoted("standard"),
                line: None,
            });
        }
        for table in &tables {
            self.listener(table, &mut listeners);
        }
        let mut seen: Vec<SocketAddr> = Vec::new();
        for address in listeners.iter().flat_map(|listener| &listener.addresses) {
            if address.port() != 0 && seen.contains(address) {
                let hint = "give each listener its own port".into();
                let what = format!("{address} is given to two listeners");
                self.problems.push(Problem {
                    severity: Severity::Error,
                    setting: "listener.address".into(),
                    what,
                    at: find(document, "listener").map(Spanned::span).filter(|at| at.end > at.start),
                    hint,
                });
            }
            seen.push(*address);
        }
        listeners
    }

    fn listener(&mut self, table: &Table<'a>, listeners: &mut Vec<Listener>) {
        let protocol = self.protocol(table);
        let addresses = match &protocol {
            Some(Some(protocol)) => self.addresses(table, *protocol),
            Some(None) | None => Vec::new(),
        };
        let proxy_protocol = self.networks(table, "proxy_protocol");
        let plaintext_auth = self.networks(table, "plaintext_auth");
        match protocol {
            Some(Some(protocol)) => {
                listeners.push(Listener {
                    protocol,
                    addresses,
                    proxy_protocol,
                    plaintext_auth,
                });
            }
            Some(None) => {
                if let Some(value) = table.keys.get("address") {
                    let hint = "remove it: the standard ports are 25, 143, 465, 587 and 993".into();
                    let what = "a standard listener has no address of its own".into();
                    self.error(Some(value.span()), "listener.address", what, hint);
                }
                for protocol in Protocol::ALL {
                    let standard = standard_listener(protocol);
                    listeners.push(Listener {
                        proxy_protocol: proxy_protocol.clone(),
                        plaintext_auth: plaintext_auth.clone(),
                        ..standard
                    });
                }
            }
            None => {}
        }
    }

    /// The protocol; `Some(None)` is `standard`.
    fn protocol(&mut self, table: &Table<'a>) -> Option<Option<Protocol>> {
        const SETTING: &str = "listener.protocol";
        let known: Vec<&str> = Protocol::ALL
            .iter()
            .map(|protocol| protocol.name())
            .chain(["standard"])
            .collect();
        let Some((text, at)) = self.text(table, "protocol") else {
            if !table.keys.contains_key("protocol") {
                let hint = format!("add protocol = …, one of {}", known.join(", "));
                self.error(table.at.clone(), SETTING, "missing".into(), hint);
            }
            return None;
        };
        self.note(table, "protocol", quoted(text));
        if text == "standard" {
            return Some(None);
        }
        if let Some(protocol) = Protocol::ALL.into_iter().find(|protocol| protocol.name() == text) {
            return Some(Some(protocol));
        }
        let (what, hint) = if settings::LATER_PROTOCOLS.contains(&text) {
            (format!("`{text}` is not in this version"), "remove this listener".into())
        } else {
            let hint = match nearest(text, &known) {
                Some(near) => format!("did you mean `{near}`?"),
                None => format!("one of {}", known.join(", ")),
            };
            (format!("`{}` is no protocol", shown(text)), hint)
        };
        self.error(Some(at), SETTING, what, hint);
        None
    }

    fn addresses(&mut self, table: &Table<'a>, protocol: Protocol) -> Vec<SocketAddr> {
        let mut addresses = Vec::new();
        match self.texts(table, "address") {
            Some(texts) => {
                for (text, at) in texts {
                    match text.parse() {
                        Ok(address) => addresses.push(address),
                        Err(_) => {
                            let port = protocol.port();
                            let hint = format!("write address and port, as in \"127.0.0.1:{port}\" or \"[::1]:{port}\"");
                            let what = format!("`{}` is no address with a port", shown(text));
                            self.error(Some(at), "listener.address", what, hint);
                        }
                    }
                }
            }
            None => {
                let all: [IpAddr; 2] = [Ipv4Addr::UNSPECIFIED.into(), Ipv6Addr::UNSPECIFIED.into()];
                addresses.extend(all.map(|ip| SocketAddr::new(ip, protocol.port())));
            }
        }
        self.note(table, "address", list(addresses.iter()));
        addresses
    }

    fn tls(&mut self, document: &'a DeTable<'a>) -> Option<CertificateFiles> {
        let table = self.single("tls", document);
        let certificate = self.path(&table, "certificate");
        let key = self.path(&table, "key");
        match (certificate, key) {
            (Some(certificate), Some(key)) => Some(CertificateFiles { certificate, key }),
            (None, None) => None,
            (Some(_), None) => {
                let hint = "add key = \"key.pem\", the certificate's private key".into();
                self.error(table.at, "tls.key", "missing beside `certificate`".into(), hint);
                None
            }
            (None, Some(_)) => {
                let hint = "add certificate = \"cert.pem\", the chain of this key".into();
                self.error(table.at, "tls.certificate", "missing beside `key`".into(), hint);
                None
            }
        }
    }

    fn log(&mut self, document: &'a DeTable<'a>) -> Log {
        let table = self.single("log", document);
        let file = match self.text(&table, "to") {
            Some(("stderr", _)) | None => None,
            Some((file, _)) => Some(self.folder.join(file)),
        };
        let to = file
            .as_ref()
            .map_or_else(|| "stderr".to_string(), |file| file.display().to_string());
        self.note(&table, "to", quoted(&to));
        let format = match self.text(&table, "format") {
            Some(("text", _)) | None => LogFormat::Text,
            Some(("json", _)) => LogFormat::Json,
            Some((other, at)) => {
                let what = if other == "postfix" {
                    "`postfix` is not in this version".into()
                } else {
                    format!("`{}` is no format", shown(other))
                };
                self.error(Some(at), "log.format", what, "one of text, json".into());
                LogFormat::Text
            }
        };
        let name = match format {
            LogFormat::Text => "text",
            LogFormat::Json => "json",
        };
        self.note(&table, "format", quoted(name));
        Log { file, format }
    }
}

fn find<'a>(document: &'a DeTable<'a>, name: &str) -> Option<&'a Spanned<DeValue<'a>>> {
    document
        .iter()
        .find(|(key, _)| key.get_ref().as_ref() == name)
        .map(|(_, value)| value)
}

/// A value inside a message: cut, without control characters.
fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).collect();
    cut.escape_debug().to_string()
}

fn quoted(text: &str) -> String {
    format!("{text:?}")
}

fn list<T: ToString>(entries: impl Iterator<Item = T>) -> String {
    let entries: Vec<String> = entries.map(|entry| quoted(&entry.to_string())).collect();
    format!("[{}]", entries.join(", "))
}
