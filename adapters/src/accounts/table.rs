//! Which address leads where (`rules.md`, "Names that are ours").
//!
//! ```text
//! address -> (domain alias) -> alias | account -> without its subaddress: alias | account -> role -> catch-all -> nobody
//! ```

use std::collections::{BTreeMap, BTreeSet};

use pillarbox_core::address::{Domain, Host, LocalPart, Mailbox};
use pillarbox_core::decision::AliasTarget;
use pillarbox_core::limits;
use pillarbox_core::store::AccountId;

use super::{Account, AliasAddress, Names, Register};

/// Accounts and aliases, found by address.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Table {
    accounts: Vec<Account>,
    by_address: BTreeMap<(String, Domain), usize>,
    aliases: BTreeMap<(String, Domain), Vec<Mailbox>>,
    catch_all: BTreeMap<Domain, Vec<Mailbox>>,
    scram: bool,
}

/// Whether a name is one of ours.
pub(super) fn is_ours(names: &Names, domain: &Domain) -> bool {
    names.domains.contains(domain) || is_host(names, domain)
}

fn is_host(names: &Names, domain: &Domain) -> bool {
    *domain == names.hostname || domain.as_str() == "localhost"
}

/// One step from an address.
enum Step<'a> {
    /// To a mailbox of ours.
    Account(&'a Account),
    /// To these addresses.
    Alias(&'a [Mailbox]),
    /// To the one who is named for the domain's other mail.
    CatchAll(&'a [Mailbox]),
}

impl Table {
    /// Of this register; of two accounts or aliases with one address the first counts.
    pub fn new(register: Register) -> Table {
        let mut table = Table::default();
        for (index, account) in register.accounts.iter().enumerate() {
            if let Host::Domain(domain) = &account.address.host {
                let key = (account.address.local.folded(), domain.clone());
                table.by_address.entry(key).or_insert(index);
            }
        }
        for alias in register.aliases {
            match alias.address {
                AliasAddress::Mailbox(Mailbox {
                    local,
                    host: Host::Domain(domain),
                }) => {
                    table.aliases.entry((local.folded(), domain)).or_insert(alias.targets);
                }
                AliasAddress::Mailbox(Mailbox {
                    host: Host::Literal(_), ..
                }) => {}
                AliasAddress::CatchAll(domain) => {
                    table.catch_all.entry(domain).or_insert(alias.targets);
                }
            }
        }
        let mut active = register.accounts.iter().filter(|account| account.active).peekable();
        table.scram = active.peek().is_some() && active.all(|account| account.scram.is_some());
        table.accounts = register.accounts;
        table
    }

    /// Whether every active account can log in by SCRAM.
    pub fn scram(&self) -> bool {
        self.scram
    }

    /// All accounts, in the order of the file.
    pub fn accounts(&self) -> &[Account] {
        &self.accounts
    }

    /// The active account of a login name: the full address in any case, an alias that leads to it alone, or the bare local part
    /// when there is one domain.
    pub fn login(&self, names: &Names, login: &str) -> Option<&Account> {
        let (local, domain) = login_address(names, login)?;
        let account = self.find(&local, &domain).or_else(|| self.sole(&local, &domain));
        account.filter(|account| account.active)
    }

    /// The account that is all an alias names.
    fn sole(&self, local: &str, domain: &Domain) -> Option<&Account> {
        match self.aliases.get(&(local.to_string(), domain.clone()))?.as_slice() {
            [
                Mailbox {
                    local,
                    host: Host::Domain(domain),
                },
            ] => self.find(&local.folded(), domain),
            _ => None,
        }
    }

    /// Where an address of ours leads: accounts that take mail, and addresses elsewhere, each once. Empty: nobody is there.
    pub(super) fn resolve(&self, names: &Names, mailbox: &Mailbox) -> Vec<AliasTarget> {
        self.expand(names, mailbox, true)
    }

    /// Whether an account may send as an address: its own, its aliases', with a subaddress or not; never as a catch-all's.
    pub(super) fn owns(&self, names: &Names, id: AccountId, mailbox: &Mailbox) -> bool {
        let leads_to_it = |target: &AliasTarget| matches!(target, AliasTarget::Account(account, _) if *account == id);
        self.expand(names, mailbox, false).iter().any(leads_to_it)
    }

    /// Follows aliases, each once: circles end.
    fn expand(&self, names: &Names, mailbox: &Mailbox, catch_all: bool) -> Vec<AliasTarget> {
        let mut targets = Vec::new();
        if !self.is_local(names, mailbox) {
            return targets;
        }
        let mut seen = BTreeSet::new();
        let mut open = vec![(mailbox.clone(), false)];
        while let Some((mailbox, own)) = open.pop() {
            if targets.len() + open.len() > limits::ALIAS_TARGETS {
                break;
            }
            match self.step(names, &mailbox, own) {
                Some(Step::Account(account)) => {
                    let known = |target: &AliasTarget| matches!(target, AliasTarget::Account(id, _) if *id == account.id);
                    if account.active && !targets.iter().any(known) {
                        targets.push(AliasTarget::Account(account.id, mailbox));
                    }
                }
                Some(Step::CatchAll(_)) if !catch_all => {}
                Some(Step::Alias(next) | Step::CatchAll(next)) => {
                    if !seen.insert(key(names, &mailbox)) {
                        continue;
                    }
                    // The last is taken first: the order of the file is kept.
                    for target in next.iter().rev() {
                        // An alias that names itself means the account behind it.
                        let own = key(names, target) == key(names, &mailbox);
                        open.push((target.clone(), own));
                    }
                }
                None if self.is_local(names, &mailbox) => {}
                None => {
                    let remote = AliasTarget::Remote(mailbox);
                    if !targets.contains(&remote) {
                        targets.push(remote);
                    }
                }
            }
        }
        targets
    }

    fn is_local(&self, names: &Names, mailbox: &Mailbox) -> bool {
        match &mailbox.host {
            Host::Domain(domain) => is_ours(names, domain),
            Host::Literal(ip) => names.literals.contains(ip),
        }
    }

    /// One step; `own`: past the alias of this very address.
    fn step<'a>(&'a self, names: &'a Names, mailbox: &Mailbox, own: bool) -> Option<Step<'a>> {
        let local = mailbox.local.folded();
        let domain = match &mailbox.host {
            Host::Domain(domain) if names.domains.contains(domain) => names.canonical(domain),
            Host::Domain(domain) if is_host(names, domain) => return self.role(names, &local, domain, HOST_ROLES),
            Host::Literal(ip) if names.literals.contains(ip) => return self.role(names, &local, &names.hostname, HOST_ROLES),
            Host::Domain(_) | Host::Literal(_) => return None,
        };
        let base = names.without_subaddress(&local, domain);
        let exact = |local: &str, own: bool| {
            let alias = self.aliases.get(&(local.to_string(), domain.clone())).filter(|_| !own);
            let account = || self.find(local, domain).map(Step::Account);
            alias.map(|targets| Step::Alias(targets)).or_else(account)
        };
        let roles = if is_host(names, domain) { HOST_ROLES } else { DOMAIN_ROLES };
        let catch_all = || self.catch_all.get(domain).map(Vec::as_slice);
        exact(&local, own)
            .or_else(|| exact(base, own))
            .or_else(|| self.role(names, base, domain, roles))
            .or_else(|| catch_all().or(names.catch_all(domain)).map(Step::CatchAll))
    }

    fn find(&self, local: &str, domain: &Domain) -> Option<&Account> {
        let index = self.by_address.get(&(local.to_string(), domain.clone()))?;
        self.accounts.get(*index)
    }

    /// Whoever `postmaster` is, if the name is a role's; an alias of the host's own name comes first.
    fn role(&self, names: &Names, local: &str, domain: &Domain, roles: &[&str]) -> Option<Step<'_>> {
        if let Some(targets) = self
            .aliases
            .get(&(local.to_string(), domain.clone()))
            .filter(|_| is_host(names, domain))
        {
            return Some(Step::Alias(targets));
        }
        if !roles.contains(&local) {
            return None;
        }
        let account = match &names.postmaster {
            Some(Mailbox {
                local,
                host: Host::Domain(domain),
            }) => self.find(&local.folded(), domain),
            Some(_) | None => self.accounts.iter().find(|account| account.active),
        };
        account.map(Step::Account)
    }
}

/// What makes two addresses one.
fn key(names: &Names, mailbox: &Mailbox) -> (String, Host) {
    let host = match &mailbox.host {
        Host::Domain(domain) => Host::Domain(names.canonical(domain).clone()),
        Host::Literal(ip) => Host::Literal(*ip),
    };
    (folded(names, &mailbox.local, &host), host)
}

/// Foreign local parts are never folded.
fn folded(names: &Names, local: &LocalPart, host: &Host) -> String {
    match host {
        Host::Domain(domain) if !is_ours(names, domain) => local.to_string(),
        Host::Domain(_) | Host::Literal(_) => local.folded(),
    }
}

/// The address that a login name means, folded.
fn login_address(names: &Names, login: &str) -> Option<(String, Domain)> {
    match Mailbox::parse(login, true) {
        Ok(Mailbox {
            local,
            host: Host::Domain(domain),
        }) => Some((local.folded(), names.canonical(&domain).clone())),
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
