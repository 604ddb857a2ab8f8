//! The store: one journal for every durable change, the committer that writes it, and the mailbox model.
//!
//! Promises R1-R12, formats and the commit protocol are in `core/DESIGN.md`.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::record::{Malformed, Reader, Record};

pub mod account;
pub mod committer;
pub mod disk;
pub mod frame;
pub mod journal;
pub mod layout;
pub mod mailbox;
pub mod operation;
pub mod queue;
pub mod ranges;
pub mod request;
pub mod tree;
pub mod version;

#[cfg(test)]
mod tests;

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
            }
        }

        impl core::fmt::Debug for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }

        impl $name {
            /// Reads the 32 hexadecimal digits that `Display` writes.
            pub fn from_hex(text: &str) -> Option<Self> {
                let text = text.as_bytes();
                if text.len() != 32 {
                    return None;
                }
                let digit = |byte: u8| char::from(byte).to_digit(16).map(|digit| digit as u8);
                let mut id = [0; 16];
                for (byte, pair) in id.iter_mut().zip(text.chunks(2)) {
                    *byte = digit(pair[0])? << 4 | digit(pair[1])?;
                }
                Some($name(id))
            }
        }

        impl Record for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                <[u8; 16]>::decode(from).map($name)
            }
        }
    )*};
}

ids! {
    /// An account: random, never reused.
    AccountId,
    /// A mailbox (MAILBOXID, RFC 8474): random; names never become paths.
    MailboxId,
    /// A message's content (EMAILID, RFC 8474): 128 bits of BLAKE3, keyed per account.
    EmailId,
}

macro_rules! numbers {
    ($($(#[$doc:meta])* $name:ident($inner:ty)),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        pub struct $name(pub $inner);

        impl core::fmt::Display for $name {
            fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
                self.0.fmt(f)
            }
        }

        impl Record for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                self.0.encode(out);
            }
            fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
                <$inner>::decode(from).map($name)
            }
        }
    )*};
}

numbers! {
    /// The journal's own order of all changes; opaque outside the store.
    Lsn(u64),
    /// A mailbox's number of a message (RFC 9051 §2.3.1.1): from 1, never reused.
    Uid(u32),
    /// An account's counter of changes (RFC 7162): 63 bits.
    ModSeq(u64),
    /// The system flags, as bits.
    Flags(u16),
    /// A mailbox's keywords, as bits into its keyword table.
    KeywordBits(u64),
}

impl Flags {
    /// `\Seen`.
    pub const SEEN: Flags = Flags(1);
    /// `\Answered`.
    pub const ANSWERED: Flags = Flags(2);
    /// `\Flagged`.
    pub const FLAGGED: Flags = Flags(4);
    /// `\Deleted`.
    pub const DELETED: Flags = Flags(8);
    /// `\Draft`.
    pub const DRAFT: Flags = Flags(16);

    /// Whether all of `other` are set.
    #[must_use]
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// Both.
    #[must_use]
    pub fn with(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }

    /// Without those.
    #[must_use]
    pub fn without(self, other: Flags) -> Flags {
        Flags(self.0 & !other.0)
    }
}

/// Names a mailbox to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxKey {
    /// Whose.
    pub account: AccountId,
    /// Which.
    pub mailbox: MailboxId,
}
crate::record_struct!(MailboxKey { account, mailbox });

/// Where a message's bytes lie. The message = prefix ++ body; both lie side by side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Location {
    /// In pack number `pack` of the account: the prefix begins at `offset`, the body follows it.
    Pack {
        /// Which pack.
        pack: u32,
        /// Where the prefix begins.
        offset: u64,
    },
    /// The prefix lies in the stub frame at `offset` of `pack`; the body is the file `big/<dd>/<email id>.eml`.
    Big {
        /// Which pack holds the stub frame.
        pack: u32,
        /// Where the prefix begins.
        offset: u64,
    },
}
crate::record_enum!(Location { 0 => Pack { pack, offset }, 1 => Big { pack, offset } });

/// What a mailbox is for (RFC 6154).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecialUse {
    /// `\Archive`.
    Archive,
    /// `\Drafts`.
    Drafts,
    /// `\Junk`.
    Junk,
    /// `\Sent`.
    Sent,
    /// `\Trash`.
    Trash,
}
crate::record_enum!(SpecialUse { 0 => Archive, 1 => Drafts, 2 => Junk, 3 => Sent, 4 => Trash });

/// A mailbox's name in UTF-8, hierarchy separated by `/`; INBOX is `INBOX`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MailboxName(pub Arc<str>);

impl Record for MailboxName {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        String::decode(from).map(|name| MailboxName(name.into()))
    }
}
