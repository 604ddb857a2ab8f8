//! Names that are ours: host name, domains, postmaster.

use std::collections::BTreeMap;

use pillarbox_core::address::{Domain, Host, Mailbox};
use toml::de::{DeTable, DeValue};

use super::super::DomainRules;
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

    pub(super) fn domains(&mut self, document: &'a DeTable<'a>) -> (Vec<Domain>, BTreeMap<Domain, DomainRules>) {
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
        let mut rules = BTreeMap::new();
        for table in &tables {
            let given = self.domain_rules(table, &domains);
            if let Some(domain) = self.name_of(table) {
                rules.insert(domain, given);
            }
        }
        let aliases: Vec<&Domain> = rules
            .iter()
            .filter(|(_, rules)| rules.alias_of.is_some())
            .map(|(name, _)| name)
            .collect();
        for table in &tables {
            let of = self.name_of(table).and_then(|name| rules.get(&name)?.alias_of.as_ref());
            if let Some(of) = of.filter(|of| aliases.contains(of)) {
                let at = table.keys.get("alias_of").map(|value| value.span());
                let hint = "name the domain that has the accounts".into();
                self.error(at, "domain.alias_of", format!("{of} is an alias itself"), hint);
            }
        }
        (domains, rules)
    }

    /// The name of a `[[domain]]`, whose errors are told elsewhere.
    fn name_of(&self, table: &Table<'a>) -> Option<Domain> {
        match table.keys.get("name")?.get_ref() {
            DeValue::String(text) => Domain::parse(text, true).ok(),
            _ => None,
        }
    }

    fn domain_rules(&mut self, table: &Table<'a>, domains: &[Domain]) -> DomainRules {
        let catch_all = self.catch_all(table, domains);
        let alias_of = self.alias_of(table, domains);
        if let (Some(_), Some(value)) = (&alias_of, table.keys.get("catch_all")) {
            let hint = "remove one of them: an alias has the addresses of the other domain, its catch-all too".into();
            self.error(
                Some(value.span()),
                "domain.catch_all",
                "stands beside `alias_of`".into(),
                hint,
            );
        }
        DomainRules {
            catch_all,
            alias_of,
            subaddress: self.subaddress(table),
        }
    }

    fn catch_all(&mut self, table: &Table<'a>, domains: &[Domain]) -> Option<Mailbox> {
        const SETTING: &str = "domain.catch_all";
        let Some((text, at)) = self.text(table, "catch_all") else {
            self.note_default(table, "catch_all");
            return None;
        };
        self.note(table, "catch_all", quoted(text));
        let mailbox = Mailbox::parse(text, true);
        let ours = match &mailbox {
            Ok(mailbox) => matches!(&mailbox.host, Host::Domain(domain) if domains.contains(domain)),
            Err(_) => false,
        };
        match mailbox {
            Ok(mailbox) if ours => Some(mailbox),
            Ok(_) => {
                let hint = "name an account of one of the [[domain]]s".into();
                self.error(Some(at), SETTING, format!("`{}` is in no domain of ours", shown(text)), hint);
                None
            }
            Err(_) => {
                let hint = "write the address of an account, as in alice@example.org".into();
                self.error(Some(at), SETTING, format!("`{}` is no address", shown(text)), hint);
                None
            }
        }
    }

    fn alias_of(&mut self, table: &Table<'a>, domains: &[Domain]) -> Option<Domain> {
        const SETTING: &str = "domain.alias_of";
        let Some((text, at)) = self.text(table, "alias_of") else {
            self.note_default(table, "alias_of");
            return None;
        };
        self.note(table, "alias_of", quoted(text));
        let itself = self.name_of(table);
        let (what, hint) = match Domain::parse(text, true) {
            Ok(domain) if Some(&domain) == itself.as_ref() => {
                ("a domain is no alias of itself".into(), "name another [[domain]]".into())
            }
            Ok(domain) if domains.contains(&domain) => return Some(domain),
            Ok(domain) => (
                format!("{domain} is no domain of ours"),
                format!("add [[domain]] name = \"{domain}\""),
            ),
            Err(_) => (
                format!("`{}` is no domain name", shown(text)),
                "name one of the [[domain]]s".into(),
            ),
        };
        self.error(Some(at), SETTING, what, hint);
        None
    }

    fn subaddress(&mut self, table: &Table<'a>) -> Option<char> {
        let Some((text, at)) = self.text(table, "subaddress") else {
            self.note_default(table, "subaddress");
            return Some('+');
        };
        self.note(table, "subaddress", quoted(text));
        match text {
            "" => None,
            "+" => Some('+'),
            "-" => Some('-'),
            other => {
                let what = format!("`{}` does not separate", shown(other));
                self.error(
                    Some(at),
                    "domain.subaddress",
                    what,
                    "one of \"+\", \"-\", or \"\" for none".into(),
                );
                None
            }
        }
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
