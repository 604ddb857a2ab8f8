//! The accounts file, `accounts` in the data directory, mode 0600:
//!
//! ```text
//! pillarbox accounts 1
//! account <id> <address> active|disabled <password hash> <SCRAM keys or ->
//! ```
//!
//! It is replaced whole: written beside, synced, renamed, and the directory synced.

use pillarbox_core::address::Mailbox;
use pillarbox_core::store::AccountId;
use pillarbox_core::store::disk::{DiskError, DiskOp, DiskPath, DiskValue};

use super::scram::Keys;
use crate::env::{Disk, Env};

const FIRST_LINE: &str = "pillarbox accounts 1";
/// Octets of the file that are read: 100 000 accounts of 400 octets and room to spare.
const SIZE_MAX: usize = 64 << 20;

/// One account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// Names it in the store; never changes.
    pub id: AccountId,
    /// Its address.
    pub address: Mailbox,
    /// Whether it may log in and get mail.
    pub active: bool,
    /// The password's hash, PHC form.
    pub password: String,
    /// SCRAM keys of the same password.
    pub scram: Option<Keys>,
}

/// Why accounts cannot be had.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AccountsError {
    /// The disk says no.
    #[error("{file}: {error}")]
    Disk {
        /// Which file.
        file: &'static str,
        /// What it says.
        error: DiskError,
    },
    /// A line is not what this version writes.
    #[error("accounts, line {line}: {what}; restore the file from a backup, or correct the line")]
    Line {
        /// Which, from 1.
        line: usize,
        /// What is wrong.
        what: &'static str,
    },
}

fn file() -> DiskPath {
    DiskPath::new("accounts")
}

fn new_file() -> DiskPath {
    DiskPath::new("accounts.new")
}

/// The server's secret, 32 random bytes in `server.secret`: made when there is none, and kept, so that what is derived from it
/// stays the same over restarts.
///
/// # Errors
/// The disk's.
pub async fn secret<E: Env>(env: &E) -> Result<[u8; 32], AccountsError> {
    let file = "server.secret";
    let failed = |error| AccountsError::Disk { file, error };
    let (path, new) = (DiskPath::new(file), DiskPath::new("server.secret.new"));
    let read = DiskOp::Read {
        path: path.clone(),
        offset: 0,
        len: 32,
    };
    match env.disk().perform(read).await {
        Ok(DiskValue::Read(bytes)) => {
            if let Ok(secret) = <[u8; 32]>::try_from(&*bytes) {
                return Ok(secret);
            }
        }
        Ok(_) | Err(DiskError::NotFound) => {}
        Err(error) => return Err(failed(error)),
    }
    let mut secret = [0; 32];
    env.entropy(&mut secret);
    replace(env.disk(), new, path, secret.to_vec()).await.map_err(failed)?;
    Ok(secret)
}

/// Reads the file; an absent one has no accounts.
///
/// # Errors
/// As [`AccountsError`].
pub async fn read(disk: &impl Disk) -> Result<Vec<Account>, AccountsError> {
    let read = DiskOp::Read {
        path: file(),
        offset: 0,
        len: SIZE_MAX,
    };
    match disk.perform(read).await {
        Ok(DiskValue::Read(bytes)) => parse(&bytes),
        Ok(_) | Err(DiskError::NotFound) => Ok(Vec::new()),
        Err(error) => Err(AccountsError::Disk { file: "accounts", error }),
    }
}

/// Replaces the file.
///
/// # Errors
/// The disk's; the old file then stays.
pub async fn write(disk: &impl Disk, accounts: &[Account]) -> Result<(), AccountsError> {
    let written = replace(disk, new_file(), file(), encode(accounts).into_bytes()).await;
    written.map_err(|error| AccountsError::Disk {
        file: "accounts.new",
        error,
    })
}

/// Written beside, synced, renamed, and the directory synced: what was there stays whole until then.
async fn replace(disk: &impl Disk, new: DiskPath, file: DiskPath, bytes: Vec<u8>) -> Result<(), DiskError> {
    let len = bytes.len() as u64;
    let steps = [
        DiskOp::Write {
            path: new.clone(),
            offset: 0,
            parts: vec![bytes.into()],
        },
        DiskOp::Truncate { path: new.clone(), len },
        DiskOp::Sync(new.clone()),
        DiskOp::Rename { from: new, to: file },
        DiskOp::SyncDir(DiskPath::new("")),
    ];
    for step in steps {
        disk.perform(step).await?;
    }
    Ok(())
}

fn encode(accounts: &[Account]) -> String {
    let mut text = format!("{FIRST_LINE}\n");
    for account in accounts {
        let state = if account.active { "active" } else { "disabled" };
        let scram = account.scram.as_ref().map_or_else(|| "-".into(), Keys::to_string);
        let (id, address, password) = (account.id, &account.address, &account.password);
        text.push_str(&format!("account {id} {address} {state} {password} {scram}\n"));
    }
    text
}

fn parse(bytes: &[u8]) -> Result<Vec<Account>, AccountsError> {
    let wrong = |line: usize, what: &'static str| AccountsError::Line { line, what };
    let text = std::str::from_utf8(bytes).map_err(|_| wrong(1, "not UTF-8"))?;
    let mut lines = text.lines().enumerate();
    if lines.next().map(|(_, line)| line) != Some(FIRST_LINE) {
        return Err(wrong(1, "not an accounts file of this version"));
    }
    let mut accounts: Vec<Account> = Vec::new();
    for (index, line) in lines {
        let number = index + 1;
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        accounts.push(parse_account(line).ok_or(wrong(number, "not an account"))?);
    }
    Ok(accounts)
}

fn parse_account(line: &str) -> Option<Account> {
    let mut words = line.split(' ');
    let mut next = || words.next();
    if next()? != "account" {
        return None;
    }
    let account = Account {
        id: AccountId::from_hex(next()?)?,
        address: Mailbox::parse(next()?, true).ok()?,
        active: match next()? {
            "active" => true,
            "disabled" => false,
            _ => return None,
        },
        password: next().filter(|hash| hash.starts_with('$'))?.into(),
        scram: match next()? {
            "-" => None,
            keys => Some(Keys::parse(keys)?),
        },
    };
    next().is_none().then_some(account)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let account = |id: u8, address: &str, active| Account {
            id: AccountId([id; 16]),
            address: Mailbox::parse(address, true).expect("an address"),
            active,
            password: "$argon2id$v=19$m=19456,t=2,p=1$c2FsdA$aGFzaA".into(),
            scram: Keys::derive("secret", [id; 16]),
        };
        let accounts = vec![account(1, "alice@example.org", true), account(2, "bøb@example.org", false)];
        assert_eq!(parse(encode(&accounts).as_bytes()), Ok(accounts));
    }

    #[test]
    fn a_damaged_file_is_never_taken_for_an_empty_one() {
        for (text, line) in [
            ("", 1),
            ("accounts\n", 1),
            ("pillarbox accounts 1\naccount x\n", 2),
            ("pillarbox accounts 1\n\naccount 00 a@b active $x -\n", 3),
        ] {
            assert!(
                matches!(parse(text.as_bytes()), Err(AccountsError::Line { line: l, .. }) if l == line),
                "{text:?}"
            );
        }
    }
}
