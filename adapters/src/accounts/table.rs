//! Which address leads to which account (`rules.md`, "Names that are ours").

use std::collections::BTreeMap;

use pillarbox_core::address::{Domain, Host, Mailbox};
use pillarbox_core::store::AccountId;

use super::{Account, Names};

/// Accounts, found by address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    accounts: Vec<Account>,
    by_address: BTreeMap<(String, Domain), usize>,
    scram: bool,
}

/// Whether a name is one of ours.
pub(super) fn is_ours(names: &Names, domain: &Domain) -> bool {
    names.domains.contains(domain) || is_host(names, domain)
}

fn is_host(names: &Names, domain: &Domain) -> bool {
    *domain == names.hostname || domain.as_str() == "localhost"
}

impl Table {
    /// Of these accounts; of two with one address the first counts.
    pub fn new(accounts: Vec<Account>) -> Table {
        let mut by_address = BTreeMap::new();
        for (index, account) in accounts.iter().enumerate() {
            if let Host::Domain(domain) = &account.address.host {
                by_address
                    .entry((account.address.local.folded(), domain.clone()))
                    .or_insert(index);
            }
        }
        let mut active = accounts.iter().filter(|account| account.active).peekable();
        let scram = active.peek().is_some() && active.all(|account| account.scram.is_some());
        Table {
            accounts,
            by_address,
            scram,
        }
    }

    /// Whether every active account can log in by SCRAM.
    pub fn scram(&self) -> bool {
        self.scram
    }

    /// All, in the order of the file.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The active account of a login name: the full address in any case, or the bare local part when there is one domain.
    pub(super) fn login(&self, names: &Names, login: &str) -> Option<&Account> {
        let (local, domain) = login_address(names, login)?;
        self.find(&local, &domain).filter(|account| account.active)
    }

    /// The active account that takes mail for an address of ours.
    pub(super) fn resolve(&self, names: &Names, mailbox: &Mailbox) -> Option<AccountId> {
        let local = mailbox.local.folded();
        let account = match &mailbox.host {
            Host::Domain(domain) if names.domains.contains(domain) => {
                let base = local.split_once('+').map_or(local.as_str(), |(base, _)| base);
                let found = self.find(&local, domain).or_else(|| self.find(base, domain));
                match found {
                    Some(account) => Some(account),
                    None if is_host(names, domain) => self.role(names, base, HOST_ROLES),
                    None => self.role(names, base, DOMAIN_ROLES),
                }
            }
            Host::Domain(domain) if is_host(names, domain) => self.role(names, &local, HOST_ROLES),
            Host::Literal(ip) if names.literals.contains(ip) => self.role(names, &local, HOST_ROLES),
            Host::Domain(_) | Host::Literal(_) => None,
        };
        account.filter(|account| account.active).map(|account| account.id)
    }

    fn find(&self, local: &str, domain: &Domain) -> Option<&Account> {
        let index = self.by_address.get(&(local.to_string(), domain.clone()))?;
        self.accounts.get(*index)
    }

    /// Whoever `postmaster` is, if the name is a role's.
    fn role(&self, names: &Names, local: &str, roles: &[&str]) -> Option<&Account> {
        if !roles.contains(&local) {
            return None;
        }
        match &names.postmaster {
            Some(Mailbox {
                local,
                host: Host::Domain(domain),
            }) => self.find(&local.folded(), domain),
            Some(_) | None => self.accounts.iter().find(|account| account.active),
        }
    }
}

/// The address that a login name means, folded.
fn login_address(names: &Names, login: &str) -> Option<(String, Domain)> {
    match Mailbox::parse(login, true) {
        Ok(Mailbox {
            local,
            host: Host::Domain(domain),
        }) => Some((local.folded(), domain)),
        Ok(Mailbox {
            host: Host::Literal(_), ..
        }) => None,
        Err(_) => match names.domains.as_slice() {
            [domain] => Some((login.to_lowercase(), domain.clone())),
            _ => None,
        },
    }
}

/// One text for all ways to write a login name, also of nobody.
pub(super) fn login_key(names: &Names, login: &str) -> String {
    match login_address(names, login) {
        Some((local, domain)) => format!("{local}@{domain}"),
        None => login.to_lowercase(),
    }
}

/// Names that every domain has (RFC 5321 §4.5.1, RFC 2142 §4).
const DOMAIN_ROLES: &[&str] = &["postmaster", "abuse"];
/// Names at the host itself.
const HOST_ROLES: &[&str] = &["postmaster", "mailer-daemon", "abuse", "root"];
