//! Accounts: who may log in, and which addresses lead to whom.
//!
//! They are kept in one text file (see [`file`]), written by `pillarbox account` and read by the server at start and when told.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use async_lock::Semaphore;
use pillarbox_core::address::{Domain, Host, Mailbox};
use pillarbox_core::decision::{Fact, FactAnswer, Failure, Known, Question};
use pillarbox_core::limits;
use pillarbox_core::policy::access::Login;
use pillarbox_core::sasl::{Proof, ProofVerdict, ScramSalt};
use pillarbox_core::secret::Secret;
use pillarbox_core::smtp::server::ask::PasswordVerdict;
use pillarbox_core::store::AccountId;

use crate::config::{Config, DomainRules};
use crate::decide::FactSource;
use crate::env::Env;

pub mod file;
pub mod scram;
mod table;
#[cfg(test)]
mod tests;
pub mod text;

pub use file::{Account, AccountsError, Alias, AliasAddress, Register};
pub use table::Table;

/// The names that are ours, from the configuration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// Our host name.
    pub hostname: Domain,
    /// Our domains.
    pub domains: Vec<Domain>,
    /// Who reads mail for the roles; the first account when absent.
    pub postmaster: Option<Mailbox>,
    /// Our addresses, as far as listeners and `delivery.source` name them.
    pub literals: BTreeSet<IpAddr>,
    /// What the configuration says of single domains; the default of those that are not here.
    pub rules: BTreeMap<Domain, DomainRules>,
}

impl Names {
    /// The domain that a domain stands for: itself, unless it is an alias.
    fn canonical<'a>(&'a self, domain: &'a Domain) -> &'a Domain {
        self.rules
            .get(domain)
            .and_then(|rules| rules.alias_of.as_ref())
            .unwrap_or(domain)
    }

    /// A local part as far as its subaddress.
    fn without_subaddress<'a>(&self, local: &'a str, domain: &Domain) -> &'a str {
        let divider = self.rules.get(domain).map_or(Some('+'), |rules| rules.subaddress);
        divider
            .and_then(|divider| local.split_once(divider))
            .map_or(local, |(base, _)| base)
    }

    fn catch_all(&self, domain: &Domain) -> Option<&[Mailbox]> {
        self.rules.get(domain)?.catch_all.as_ref().map(std::slice::from_ref)
    }

    /// From the configuration.
    pub fn of(config: &Config) -> Names {
        let addresses = config.listeners.iter().flat_map(|listener| &listener.addresses);
        let literals = addresses.map(|address| address.ip()).filter(|ip| !ip.is_unspecified());
        let literals = literals.chain(config.delivery.source.iter().copied());
        Names {
            hostname: config.hostname.clone(),
            domains: config.domains.clone(),
            postmaster: config.postmaster.clone(),
            literals: literals.collect(),
            rules: config.domain_rules.clone(),
        }
    }
}

/// A server's accounts.
pub struct Accounts<E: Env> {
    env: E,
    current: Mutex<(Arc<Names>, Arc<Table>)>,
    /// Password checks that run at once: each takes a core and 19 MiB (S22).
    running: Semaphore,
    waiting: AtomicUsize,
    /// Checked in place of the hash of an account that does not exist, at the same cost (S21).
    dummy: String,
    /// What the SCRAM salt of nobody is made of.
    secret: [u8; 32],
}

impl<E: Env> Accounts<E> {
    /// Reads the file. `jobs`: password checks that may run at once.
    ///
    /// # Errors
    /// When the file cannot be read or understood; an absent one is empty.
    pub async fn load(env: E, names: Names, jobs: usize) -> Result<Accounts<E>, AccountsError> {
        let register = file::read(env.disk()).await?;
        let (mut salt, mut password) = ([0; 16], [0; 16]);
        env.entropy(&mut salt);
        env.entropy(&mut password);
        let hasher = env.password();
        let secret = file::secret(&env).await?;
        let dummy = env.blocking(move || hasher.hash(&format!("{password:02x?}"), &salt)).await;
        Ok(Accounts {
            env,
            current: Mutex::new((Arc::new(names), Arc::new(Table::new(register)))),
            running: Semaphore::new(jobs.max(1)),
            waiting: AtomicUsize::new(0),
            dummy,
            secret,
        })
    }

    /// Reads the file again; names change with the configuration.
    ///
    /// # Errors
    /// As [`Accounts::load`]; then the accounts stay as they were.
    pub async fn reload(&self, names: Option<Names>) -> Result<(), AccountsError> {
        let register = file::read(self.env.disk()).await?;
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(names) = names {
            current.0 = Arc::new(names);
        }
        current.1 = Arc::new(Table::new(register));
        Ok(())
    }

    /// The accounts as they are now.
    pub fn table(&self) -> Arc<Table> {
        self.current().1
    }

    fn current(&self) -> (Arc<Names>, Arc<Table>) {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether this login may enter. The same work and the same answer for a wrong password and for nobody (S21).
    pub async fn verify(&self, login: &str, password: Secret) -> PasswordVerdict {
        let (names, table) = self.current();
        let account = table.login(&names, login);
        let hash = account.map_or_else(|| self.dummy.clone(), |account| account.password.clone());
        let Some(_waiting) = Waiting::begin(&self.waiting) else {
            return PasswordVerdict::Busy;
        };
        let _running = self.running.acquire().await;
        let hasher = self.env.password();
        let fits = self.env.blocking(move || hasher.verify(password.reveal(), &hash)).await;
        match account {
            Some(account) if fits => PasswordVerdict::Granted(login_of(account)),
            Some(_) | None => PasswordVerdict::Denied,
        }
    }

    /// Whether SCRAM can be offered: every active account has keys.
    pub fn scram(&self) -> bool {
        self.current().1.scram()
    }

    /// The salt of a login's keys; nobody has one too, which stays the same (S21).
    pub fn scram_salt(&self, login: &str) -> ScramSalt {
        let (_, keys) = self.keys(login);
        let mut nonce = [0; 18];
        self.env.entropy(&mut nonce);
        ScramSalt {
            salt: keys.salt,
            iterations: keys.iterations,
            nonce,
        }
    }

    /// Whether a proof was made with a login's keys. The same work and the same answer for a wrong proof and for nobody (S21).
    pub fn prove(&self, login: &str, message: &str, proof: &[u8; 32]) -> ProofVerdict {
        let (account, keys) = self.keys(login);
        match (account, keys.check(message, proof)) {
            (Some(login), Some(signature)) => ProofVerdict::Granted {
                login,
                signature: Proof(signature),
            },
            (Some(_) | None, _) => ProofVerdict::Denied,
        }
    }

    /// Who logs in, and with which keys.
    fn keys(&self, login: &str) -> (Option<Login>, scram::Keys) {
        let (names, table) = self.current();
        let nobody = scram::Keys::of_nobody(&self.secret, &table::login_key(&names, login));
        let account = table.login(&names, login);
        match account.and_then(|account| Some((login_of(account), account.scram.clone()?))) {
            Some((login, keys)) => (Some(login), keys),
            None => (None, nobody),
        }
    }
}

/// What names and accounts say of a question about us.
pub fn answer(names: &Names, table: &Table, question: &Question) -> FactAnswer {
    let known = match question {
        Question::OurDomain(domain) => table::is_ours(names, domain).then_some(Known::Yes),
        Question::LocalAddress(mailbox) => {
            let targets = table.resolve(names, mailbox);
            (!targets.is_empty()).then_some(Known::Targets(targets))
        }
        Question::Owns(account, mailbox) => table.owns(names, *account, mailbox).then_some(Known::Yes),
        Question::OurAddress(ip) => names.literals.contains(ip).then_some(Known::Yes),
        // Names of others are the resolver's.
        Question::Mx(_) | Question::Ipv4(_) | Question::Ipv6(_) => return FactAnswer::Failed(Failure::Temporary),
    };
    known.map_or(FactAnswer::Absent, FactAnswer::Known)
}

fn login_of(account: &Account) -> Login {
    Login {
        account: account.id,
        name: account.address.to_string(),
    }
}

impl<E: Env> FactSource for Accounts<E> {
    async fn fact(&self, question: &Question) -> Fact {
        let (names, table) = self.current();
        Fact::local(answer(&names, &table, question))
    }
}

/// One place in the queue of password checks.
struct Waiting<'a>(&'a AtomicUsize);

impl Waiting<'_> {
    fn begin(count: &AtomicUsize) -> Option<Waiting<'_>> {
        if count.fetch_add(1, Ordering::Relaxed) >= limits::PASSWORD_QUEUE {
            count.fetch_sub(1, Ordering::Relaxed);
            return None;
        }
        Some(Waiting(count))
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A new account with this password: random id, Argon2id hash and SCRAM keys.
pub async fn make<E: Env>(env: &E, address: Mailbox, password: &Secret) -> Account {
    let mut id = [0; 16];
    env.entropy(&mut id);
    let mut account = Account {
        id: AccountId(id),
        address,
        active: true,
        password: String::new(),
        scram: None,
    };
    set_password(env, &mut account, password).await;
    account
}

/// Gives an account another password.
pub async fn set_password<E: Env>(env: &E, account: &mut Account, password: &Secret) {
    let (mut salt, mut scram_salt) = ([0; 16], [0; 16]);
    env.entropy(&mut salt);
    env.entropy(&mut scram_salt);
    let (hasher, password) = (env.password(), password.clone());
    let made = env.blocking(move || {
        let hash = hasher.hash(password.reveal(), &salt);
        (hash, scram::Keys::derive(password.reveal(), scram_salt))
    });
    (account.password, account.scram) = made.await;
}

/// A password that people can type: 20 characters of 32, in groups of five (100 bits).
pub fn random_password<E: Env>(env: &E) -> Secret {
    const LETTERS: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";
    let mut random = [0; 20];
    env.entropy(&mut random);
    let letter = |byte: &u8| char::from(LETTERS[usize::from(byte % 32)]);
    let groups: Vec<String> = random.chunks(5).map(|group| group.iter().map(letter).collect()).collect();
    Secret::new(groups.join("-"))
}

/// An address that an account of ours can have: plain characters, in a domain of ours.
///
/// # Errors
/// What is wrong with it.
pub fn parse_address(text: &str, domains: &[Domain]) -> Result<Mailbox, String> {
    let mailbox = Mailbox::parse(text, true).map_err(|_| format!("`{}` is no address", text.escape_debug()))?;
    let written = mailbox.local.to_string();
    if written.starts_with('"') || written.contains('+') || written.contains(char::is_whitespace) {
        return Err(format!("`{written}`: the name of an account has no quotes, spaces or `+`"));
    }
    match &mailbox.host {
        Host::Domain(domain) if domains.contains(domain) => Ok(mailbox),
        Host::Domain(domain) => {
            let known: Vec<&str> = domains.iter().map(Domain::as_str).collect();
            Err(format!(
                "{domain} is no domain of ours ({}); add [[domain]] name = \"{domain}\"",
                known.join(", ")
            ))
        }
        Host::Literal(_) => Err("an account has a domain, not an address in brackets".into()),
    }
}
