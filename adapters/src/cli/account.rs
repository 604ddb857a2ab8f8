//! `pillarbox account`.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead, IsTerminal};
use std::os::unix::fs::DirBuilderExt;
use std::path::Path;

use clap::{Args, Subcommand};
use pillarbox_core::address::Mailbox;
use pillarbox_core::secret::Secret;

use super::check::print;
use super::load::load;
use super::owner::become_owner;
use super::{ConfigFile, Exit, Failure};
use crate::accounts::{self, Account, AccountsError, Register, file};
use crate::config::Config;
use crate::control::{self, Request};
use crate::env::Env;
use crate::os::OsEnv;

/// Octets of a password: more than any person or program uses, less than a way to keep the hash busy.
const PASSWORD_MAX: usize = 1024;

/// Add, remove and list accounts, and set passwords
///
/// It makes no difference whether the server runs: a running one is told, and knows the change when the command ends.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  pillarbox account add alice@example.org           makes a password and prints it
  echo 'correct horse' | pillarbox account add bob@example.org --password-stdin
  pillarbox account password alice@example.org
  pillarbox account remove bob@example.org          no login, no mail; what is there is kept
  pillarbox account list --json

Exit codes: 0 done, 64 usage, 65 no such account or not a good address or password, 69 the disk or the server
fails, 78 configuration.")]
pub(super) struct AccountArguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    /// Add an account, or take a removed one back
    Add(WithPassword),
    /// Switch an account off: no login, no mail; its mail is kept, and `add` takes it back
    Remove(WithAddress),
    /// Set a password
    Password(WithPassword),
    /// List all accounts, and who has no SCRAM keys
    List {
        #[command(flatten)]
        config: ConfigFile,
        /// Print an array of objects
        #[arg(long)]
        json: bool,
    },
}

#[derive(Debug, Args)]
struct WithAddress {
    #[command(flatten)]
    config: ConfigFile,
    /// The account's address
    address: String,
}

#[derive(Debug, Args)]
struct WithPassword {
    #[command(flatten)]
    account: WithAddress,
    /// Read the password from the first line of standard input instead of making one
    #[arg(long)]
    password_stdin: bool,
}

impl AccountArguments {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.action {
            Action::Add(arguments) => add(&arguments),
            Action::Remove(arguments) => remove(&arguments),
            Action::Password(arguments) => password(&arguments),
            Action::List { config, json } => list(&config, json),
        }
    }
}

fn add(arguments: &WithPassword) -> Result<(), Failure> {
    let change = Change::begin(&arguments.account)?;
    let given = given_password(arguments.password_stdin)?;
    change.perform(|env, Register { accounts, .. }, address| {
        let existing = accounts.iter().position(|account| same(&account.address, &address));
        if existing.is_some_and(|index| accounts[index].active) {
            let text = format!("{address} exists already; `pillarbox account password {address}` sets its password");
            return Err(Failure::new(Exit::BadData, text));
        }
        let (password, printed) = choose(env, given);
        let mut account = env.run(accounts::make(env, address, &password));
        match existing {
            Some(index) => {
                account.id = accounts[index].id; // the mail that was kept
                accounts[index] = account;
            }
            None => accounts.push(account),
        }
        Ok(printed)
    })
}

fn password(arguments: &WithPassword) -> Result<(), Failure> {
    let change = Change::begin(&arguments.account)?;
    let given = given_password(arguments.password_stdin)?;
    change.perform(|env, Register { accounts, .. }, address| {
        let account = find(accounts, &address)?;
        let (password, printed) = choose(env, given);
        env.run(accounts::set_password(env, account, &password));
        Ok(printed)
    })
}

fn remove(arguments: &WithAddress) -> Result<(), Failure> {
    Change::begin(arguments)?.perform(|_, Register { accounts, .. }, address| {
        find(accounts, &address)?.active = false;
        Ok(String::new())
    })
}

/// What the accounts file has; nothing before there is one.
pub(super) fn register(config: &ConfigFile) -> Result<Register, Failure> {
    let config = load(config)?.config()?;
    become_owner(&config.data_dir)?;
    match config.data_dir.exists() {
        true => {
            let env = environment(&config)?;
            env.run(file::read(env.disk())).map_err(failed)
        }
        false => Ok(Register::default()),
    }
}

fn list(config: &ConfigFile, json: bool) -> Result<(), Failure> {
    let accounts = register(config)?.accounts;
    print(&if json { as_json(&accounts) } else { as_text(&accounts) })
}

/// One change of the accounts file.
pub(super) struct Change<T> {
    config: Config,
    /// What is changed.
    what: T,
    /// Held until the change is done: two commands at once take turns.
    _lock: File,
}

impl Change<Mailbox> {
    fn begin(arguments: &WithAddress) -> Result<Change<Mailbox>, Failure> {
        Change::of(&arguments.config, |config| {
            accounts::parse_address(&arguments.address, &config.domains)
        })
    }
}

impl<T> Change<T> {
    /// Reads the configuration and what is to be changed, and takes the lock.
    pub(super) fn of(file: &ConfigFile, what: impl FnOnce(&Config) -> Result<T, String>) -> Result<Change<T>, Failure> {
        let config = load(file)?.config()?;
        let what = what(&config).map_err(|text| Failure::new(Exit::BadData, text))?;
        become_owner(&config.data_dir)?;
        let lock = lock(&config.data_dir)?;
        Ok(Change {
            config,
            what,
            _lock: lock,
        })
    }

    /// Reads, changes, writes, and tells a running server. What the closure returns is printed.
    pub(super) fn perform(
        self,
        change: impl FnOnce(&OsEnv, &mut Register, T) -> Result<String, Failure>,
    ) -> Result<(), Failure> {
        let env = environment(&self.config)?;
        let mut register = env.run(file::read(env.disk())).map_err(failed)?;
        let printed = change(&env, &mut register, self.what)?;
        env.run(file::write(env.disk(), &register)).map_err(failed)?;
        // The file comes first: a server that starts meanwhile reads it, one that runs is told.
        control::tell(&self.config.data_dir, Request::ReloadAccounts)
            .map_err(|text| Failure::new(Exit::Unavailable, format!("the change is saved, but {text}")))?;
        print(&printed)
    }
}

/// The data directory, which a running server may have.
pub(super) fn environment(config: &Config) -> Result<OsEnv, Failure> {
    OsEnv::beside(&config.data_dir).map_err(|error| Failure::new(Exit::Unavailable, format!("{error} (data_dir)")))
}

/// An exclusive lock beside the accounts file.
fn lock(data_dir: &Path) -> Result<File, Failure> {
    let failed = |error: std::io::Error| Failure::new(Exit::Unavailable, format!("{}: {error}", data_dir.display()));
    std::fs::DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(data_dir)
        .map_err(failed)?;
    let lock = File::create(data_dir.join("accounts.lock")).map_err(failed)?;
    lock.lock().map_err(failed)?;
    Ok(lock)
}

fn failed(error: AccountsError) -> Failure {
    let exit = match error {
        AccountsError::Disk { .. } => Exit::Unavailable,
        AccountsError::Line { .. } => Exit::BadData,
    };
    Failure::new(exit, error.to_string())
}

fn same(one: &Mailbox, two: &Mailbox) -> bool {
    one.host == two.host && one.local.folded() == two.local.folded()
}

fn find<'a>(accounts: &'a mut [Account], address: &Mailbox) -> Result<&'a mut Account, Failure> {
    let text = format!("there is no account {address}; `pillarbox account list` shows all");
    let found = accounts
        .iter_mut()
        .find(|account| account.active && same(&account.address, address));
    found.ok_or(Failure::new(Exit::BadData, text))
}

/// The password that was given, or a new one, and what is printed of it.
fn choose(env: &OsEnv, given: Option<Secret>) -> (Secret, String) {
    match given {
        Some(password) => (password, String::new()),
        None => {
            let password = accounts::random_password(env);
            let printed = format!("password: {}\n", password.reveal());
            (password, printed)
        }
    }
}

fn given_password(from_stdin: bool) -> Result<Option<Secret>, Failure> {
    if !from_stdin {
        return Ok(None);
    }
    let stdin = std::io::stdin();
    if stdin.is_terminal() {
        return Err(Failure::new(
            Exit::Usage,
            "--password-stdin reads a pipe, not the terminal, where the password would be seen; \
             leave it out to have one made",
        ));
    }
    let mut line = String::new();
    let read = std::io::Read::take(stdin.lock(), PASSWORD_MAX as u64 + 2).read_line(&mut line);
    let bad = |text: &str| Failure::new(Exit::BadData, text.to_string());
    read.map_err(|_| bad("the password is not UTF-8"))?;
    let password = line.trim_end_matches(['\r', '\n']);
    if password.is_empty() || password.len() > PASSWORD_MAX || password.contains('\0') {
        return Err(bad("the password is empty, longer than 1024 octets, or has a NUL"));
    }
    Ok(Some(Secret::new(password.into())))
}

fn state(account: &Account) -> &'static str {
    if account.active { "active" } else { "removed" }
}

fn as_text(accounts: &[Account]) -> String {
    let mut out = String::new();
    for account in accounts {
        let scram = if account.scram.is_some() { "" } else { "  no SCRAM keys" };
        let _ = writeln!(out, "{:<40} {}{scram}", account.address.to_string(), state(account));
    }
    if accounts.is_empty() {
        out.push_str("no accounts; `pillarbox account add ADDRESS` makes one\n");
    }
    out
}

fn as_json(accounts: &[Account]) -> String {
    let object = |account: &Account| {
        let (address, id, scram) = (json_text(&account.address.to_string()), account.id, account.scram.is_some());
        format!(
            "  {{\"address\": {address}, \"account\": \"{id}\", \"state\": \"{}\", \"scram\": {scram}}}",
            state(account)
        )
    };
    let objects: Vec<String> = accounts.iter().map(object).collect();
    if objects.is_empty() {
        "[]\n".into()
    } else {
        format!("[\n{}\n]\n", objects.join(",\n"))
    }
}

/// A JSON string (RFC 8259 §7).
pub(super) fn json_text(text: &str) -> String {
    let mut out = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => out.extend(['\\', c]),
            c if c < ' ' => {
                let _ = write!(out, "\\u{:04x}", u32::from(c));
            }
            c => out.push(c),
        }
    }
    out.push('"');
    out
}
