//! Where things lie below the store's root.
//!
//! ```text
//! VERSION                                   "pillarbox store 1"
//! journal/0.j … 7.j  journal/checkpoint     the ring, and how far it has been settled
//! acct/<hh>/<account>/pack/<n>.pack         bodies up to 256 KiB as text frames
//! acct/<hh>/<account>/big/<dd>/<email>.eml  larger bodies, pure RFC 5322 bytes
//! acct/<hh>/<account>/index.<generation>    mailboxes, rows, flags: a log that begins with a snapshot
//! acct/00/00000000000000000000000000000000  the queue: the same, for mail to other servers
//! tmp/                                      spools; emptied at start
//! ```

use alloc::format;

use super::disk::DiskPath;
use super::{AccountId, EmailId};

/// The text of `VERSION`.
pub const VERSION_TEXT: &[u8] = b"pillarbox store 1\n";

/// `VERSION`.
pub fn version() -> DiskPath {
    DiskPath::new("VERSION")
}

/// `journal`.
pub fn journal() -> DiskPath {
    DiskPath::new("journal")
}

/// A segment of the ring.
pub fn segment(number: u32) -> DiskPath {
    DiskPath(format!("journal/{number}.j"))
}

/// The checkpoint file.
pub fn checkpoint() -> DiskPath {
    DiskPath::new("journal/checkpoint")
}

/// Where spools lie.
pub fn spools() -> DiskPath {
    DiskPath::new("tmp")
}

/// A spool, by a random number.
pub fn spool(number: u128) -> DiskPath {
    DiskPath(format!("tmp/{number:032x}"))
}

/// `acct`.
pub fn accounts() -> DiskPath {
    DiskPath::new("acct")
}

/// An account's directory.
pub fn account(account: AccountId) -> DiskPath {
    DiskPath(format!("acct/{:02x}/{account}", account.0[0]))
}

/// An account's index of a generation.
pub fn index(id: AccountId, generation: u32) -> DiskPath {
    DiskPath(format!("{}/index.{generation}", account(id)))
}

/// An account's packs.
pub fn packs(id: AccountId) -> DiskPath {
    DiskPath(format!("{}/pack", account(id)))
}

/// A pack.
pub fn pack(id: AccountId, number: u32) -> DiskPath {
    DiskPath(format!("{}/pack/{number}.pack", account(id)))
}

/// Where an account's big bodies are.
pub fn bigs(id: AccountId) -> DiskPath {
    DiskPath(format!("{}/big", account(id)))
}

/// The directory of a big body.
pub fn big_directory(id: AccountId, email: EmailId) -> DiskPath {
    DiskPath(format!("{}/big/{:02x}", account(id), email.0[0]))
}

/// The directories whose entries lead to a big body, from the file upwards: to make a new one durable, sync the file, put it in
/// its place, then sync each of these (`DiskOp::SyncDir`). All of them: the account's own directory may be no more than a
/// few seconds old, and no checkpoint may have made it durable.
pub fn big_directories(id: AccountId, email: EmailId) -> [DiskPath; 5] {
    [
        big_directory(id, email),
        DiskPath(format!("{}/big", account(id))),
        account(id),
        DiskPath(format!("acct/{:02x}", id.0[0])),
        accounts(),
    ]
}

/// A big body.
pub fn big(id: AccountId, email: EmailId) -> DiskPath {
    DiskPath(format!("{}/big/{:02x}/{email}.eml", account(id), email.0[0]))
}

/// A queued body's id: of the message as well, so that its file can go with it, whatever else has the same content.
pub fn queued_id(message: &str, body_hash: &[u8; 32]) -> EmailId {
    let key = blake3::derive_key("pillarbox 2026 id of a queued body", body_hash);
    let hash = blake3::keyed_hash(&key, message.as_bytes());
    EmailId(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes"))
}

/// A body's id in an account: 128 bits of BLAKE3 over the body's hash, under a key of the account's own, so that equal bodies of
/// two accounts have different ids (S45).
pub fn email_id(account: AccountId, body_hash: &[u8; 32]) -> EmailId {
    let key = blake3::derive_key("pillarbox 2026 email id of an account", &account.0);
    let hash = blake3::keyed_hash(&key, body_hash);
    EmailId(hash.as_bytes()[..16].try_into().expect("a hash has 32 bytes"))
}
