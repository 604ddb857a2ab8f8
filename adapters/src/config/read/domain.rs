//! Names that are ours: host name, domains, postmaster.

use pillarbox_core::address::{Domain, Host, Mailbox};
use toml::de::DeTable;

use super::super::settings::{self, full_name};
use super::{Table, Walk, find, quoted, shown};

impl<'a> Walk<'a> {
    pub(super) fn domain(&mut self, table: &Table<'a>, key: &str) -> Option<Domain> {
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

    pub(super) fn hostname(&mut self, top: &Table<'a>) -> Option<Domain> {
        let hostname = self.domain(top, "hostname")?;
        if !hostname.as_str().contains('.') {
            let at = top.keys.get("hostname").map(|value| value.span());
            let hint = "use the full name, as in mx.example.org; other servers refuse a bare one".into();
            self.warning(at, "hostname", "not a full name".into(), hint);
        }
        Some(hostname)
    }

    pub(super) fn domains(&mut self, document: &'a DeTable<'a>) -> Vec<Domain> {
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

    pub(super) fn postmaster(&mut self, top: &Table<'a>, domains: &[Domain]) -> Option<Mailbox> {
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
}
