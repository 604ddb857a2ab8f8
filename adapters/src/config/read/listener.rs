//! `[[listener]]`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use toml::Spanned;
use toml::de::DeTable;

use super::super::settings::{self, nearest};
use super::super::{Listener, Problem, Protocol, Severity, standard_listener, standard_listeners};
use super::{Origin, Table, Walk, find, list, quoted, shown};

impl<'a> Walk<'a> {
    pub(super) fn listeners(&mut self, document: &'a DeTable<'a>) -> Vec<Listener> {
        let mut listeners = Vec::new();
        let tables = self.repeated("listener", document);
        if tables.is_empty() {
            listeners = standard_listeners();
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

    pub(super) fn listener(&mut self, table: &Table<'a>, listeners: &mut Vec<Listener>) {
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
                    let hint = "remove it: the standard ports are 25, 80, 143, 443, 465, 587 and 993".into();
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
    pub(super) fn protocol(&mut self, table: &Table<'a>) -> Option<Option<Protocol>> {
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

    pub(super) fn addresses(&mut self, table: &Table<'a>, protocol: Protocol) -> Vec<SocketAddr> {
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
}
