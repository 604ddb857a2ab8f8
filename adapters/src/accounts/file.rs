//! The accounts file, `accounts` in the data directory, mode 0600; its text is in `text.rs`.
//!
//! It is replaced whole: written beside, synced, renamed, and the directory synced.

use pillarbox_core::address::{Domain, Host, Mailbox};
use pillarbox_core::store::AccountId;
use pillarbox_core::store::disk::{DiskError, DiskOp, DiskPath, DiskValue};

use super::scram::Keys;
use super::text;
use crate::env::{Disk, Env};

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

/// An address that leads elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alias {
    /// Which address.
    pub address: AliasAddress,
    /// Where to: accounts, other aliases, addresses elsewhere. Never empty.
    pub targets: Vec<Mailbox>,
}

/// What an alias stands for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasAddress {
    /// One address.
    Mailbox(Mailbox),
    /// `@example.org`: every address of the domain that is nothing else.
    CatchAll(Domain),
}

impl AliasAddress {
    /// Reads `list@example.org` or `@example.org`.
    pub fn parse(text: &str) -> Option<AliasAddress> {
        match text.strip_prefix('@') {
            Some(domain) => Domain::parse(domain, true).ok().map(AliasAddress::CatchAll),
            None => Mailbox::parse(text, true).ok().map(AliasAddress::Mailbox),
        }
    }

    /// Its domain; `None` for an address in brackets.
    pub fn domain(&self) -> Option<&Domain> {
        match self {
            AliasAddress::Mailbox(Mailbox {
                host: Host::Domain(domain),
                ..
            })
            | AliasAddress::CatchAll(domain) => Some(domain),
            AliasAddress::Mailbox(Mailbox {
                host: Host::Literal(_), ..
            }) => None,
        }
    }

    /// Whether both are the same address, in whatever case it is written.
    pub fn is(&self, other: &AliasAddress) -> bool {
        match (self, other) {
            (AliasAddress::Mailbox(one), AliasAddress::Mailbox(two)) => {
                one.host == two.host && one.local.folded() == two.local.folded()
            }
            (AliasAddress::CatchAll(one), AliasAddress::CatchAll(two)) => one == two,
            (AliasAddress::Mailbox(_), AliasAddress::CatchAll(_)) | (AliasAddress::CatchAll(_), AliasAddress::Mailbox(_)) => {
                false
            }
        }
    }
}

impl std::fmt::Display for AliasAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            AliasAddress::Mailbox(mailbox) => mailbox.fmt(f),
            AliasAddress::CatchAll(domain) => write!(f, "@{domain}"),
        }
    }
}

/// All that the file has.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Register {
    /// Who may log in.
    pub accounts: Vec<Account>,
    /// Addresses that lead elsewhere.
    pub aliases: Vec<Alias>,
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
pub async fn read(disk: &impl Disk) -> Result<Register, AccountsError> {
    let read = DiskOp::Read {
        path: file(),
        offset: 0,
        len: SIZE_MAX,
    };
    match disk.perform(read).await {
        Ok(DiskValue::Read(bytes)) => text::parse(&bytes),
        Ok(_) | Err(DiskError::NotFound) => Ok(Register::default()),
        Err(error) => Err(AccountsError::Disk { file: "accounts", error }),
    }
}

/// Replaces the file.
///
/// # Errors
/// The disk's; the old file then stays.
pub async fn write(disk: &impl Disk, register: &Register) -> Result<(), AccountsError> {
    let written = replace(disk, new_file(), file(), text::encode(register).into_bytes()).await;
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
