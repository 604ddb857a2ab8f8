//! IMAP commands as values (RFC 9051 §9, `command`). One parser a family beside this file.
//!
//! No parser here recurses: what nests in these commands nests twice at most, and a third `(` is an error (S31).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::secret::Secret;
use crate::store::request::FlagChange;
use crate::store::{Flags, MailboxName};
use crate::time::UnixTime;

use super::frame::Framed;
use cursor::{Cursor, Wrong};
pub use search::{SearchKey, SearchReturn};

pub mod append;
pub(super) mod cursor;
pub mod encode;
mod fetch;
mod mailbox;
mod search;
mod session;
mod store;
#[cfg(test)]
pub(crate) mod tests;

/// Reads a framed command: `command = tag SP (command-any / command-auth / command-nonauth / command-select)`.
pub fn parse(framed: &Framed<'_>) -> Result<(Tag, Command), Bad> {
    let mut cursor = Cursor::new(framed);
    let tag = cursor.tag().map_err(|text| Bad { tag: None, text })?;
    match command(&mut cursor) {
        Ok(command) => Ok((tag, command)),
        Err(text) => Err(Bad { tag: Some(tag), text }),
    }
}

/// The tag in front of a command that is not worth parsing: a whole tag with its space.
pub fn tag_of(text: &[u8]) -> Option<Tag> {
    let mut cursor = Cursor::new(&Framed { text, literals: &[] });
    let tag = cursor.tag().ok()?;
    cursor.space().ok()?;
    Some(tag)
}

/// Why a command is BAD.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Its tag, if it could be read; else the reply is untagged.
    pub tag: Option<Tag>,
    /// What is wrong, for the reply's text.
    pub text: &'static str,
}

fn command(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "a command is expected behind the tag")?;
    let parsed = match cursor.keyword().as_slice() {
        b"CAPABILITY" => Command::Capability,
        b"NOOP" | b"CHECK" => Command::Noop,
        b"LOGOUT" => Command::Logout,
        b"STARTTLS" => Command::StartTls,
        b"LOGIN" => session::login(cursor)?,
        b"AUTHENTICATE" => session::authenticate(cursor)?,
        b"LIST" => mailbox::list(cursor, false)?,
        b"LSUB" => mailbox::list(cursor, true)?,
        b"SELECT" => mailbox::select(cursor, false)?,
        b"EXAMINE" => mailbox::select(cursor, true)?,
        b"STATUS" => mailbox::status(cursor)?,
        b"CLOSE" => Command::Close { expunge: true },
        b"UNSELECT" => Command::Close { expunge: false },
        b"FETCH" => fetch::fetch(cursor, false)?,
        b"SEARCH" => search::search(cursor, false)?,
        b"STORE" => store::store(cursor, false)?,
        b"EXPUNGE" => Command::Expunge,
        b"IDLE" => Command::Idle,
        b"UID" => uid(cursor)?,
        b"APPEND" => return Err(append::why_not(cursor)),
        _ => return Err("unknown command"),
    };
    cursor.end()?;
    Ok(parsed)
}

/// `uid = "UID" SP (fetch / search / store / "EXPUNGE" SP sequence-set)`
fn uid(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor
        .space()
        .map_err(|_| "UID: FETCH, SEARCH, STORE or EXPUNGE is expected")?;
    match cursor.keyword().as_slice() {
        b"FETCH" => fetch::fetch(cursor, true),
        b"SEARCH" => search::search(cursor, true),
        b"STORE" => store::store(cursor, true),
        b"EXPUNGE" => {
            cursor.space().map_err(|_| "UID EXPUNGE: a set of UIDs is expected")?;
            Ok(Command::UidExpunge(cursor.sequence_set()?))
        }
        _ => Err("UID: FETCH, SEARCH, STORE or EXPUNGE is expected"),
    }
}

/// A command's tag, as the client chose it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tag(pub String);

/// A command without its tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Command {
    /// CAPABILITY.
    Capability,
    /// NOOP, and CHECK.
    Noop,
    /// LOGOUT.
    Logout,
    /// STARTTLS.
    StartTls,
    /// LOGIN.
    Login {
        /// The user name.
        login: String,
        /// The password.
        password: Secret,
    },
    /// AUTHENTICATE; the client's responses follow as lines of their own.
    Authenticate {
        /// The mechanism, as written.
        mechanism: String,
        /// The initial response as sent, in base64 or `=` (RFC 4959).
        initial: Option<Secret>,
    },
    /// LIST, and LSUB.
    List {
        /// The reference name, as UTF-8.
        reference: String,
        /// The pattern with `*` and `%`, as UTF-8.
        pattern: String,
        /// LSUB: only subscribed ones, answered as LSUB.
        lsub: bool,
    },
    /// SELECT, EXAMINE.
    Select {
        /// Which.
        mailbox: MailboxName,
        /// EXAMINE.
        read_only: bool,
    },
    /// CLOSE (expunges silently) and UNSELECT (does not).
    Close {
        /// CLOSE.
        expunge: bool,
    },
    /// FETCH, UID FETCH.
    Fetch {
        /// Which.
        set: SequenceSet,
        /// What: macros are expanded, duplicates removed.
        items: Vec<FetchItem>,
        /// UID FETCH.
        uid: bool,
    },
    /// SEARCH, UID SEARCH.
    Search {
        /// UID SEARCH.
        uid: bool,
        /// RETURN (RFC 4731), if given.
        returns: Option<SearchReturn>,
        /// The keys in prefix form; the first is the [`SearchKey::And`] around them. `None`: the charset is unknown, or a string
        /// is not in it.
        keys: Option<Arc<[SearchKey]>>,
    },
    /// STORE, UID STORE.
    Store {
        /// Which.
        set: SequenceSet,
        /// How, and what.
        change: FlagChange,
        /// `.SILENT`.
        silent: bool,
        /// UID STORE.
        uid: bool,
    },
    /// EXPUNGE.
    Expunge,
    /// UID EXPUNGE (RFC 4315).
    UidExpunge(SequenceSet),
    /// APPEND up to its message literal, which is streamed.
    Append {
        /// Where to.
        mailbox: MailboxName,
        /// First system flags.
        flags: Flags,
        /// First keywords.
        keywords: Vec<Arc<str>>,
        /// INTERNALDATE, if given.
        date: Option<UnixTime>,
    },
    /// IDLE (RFC 2177).
    Idle,
    /// STATUS.
    Status {
        /// Which.
        mailbox: MailboxName,
        /// What.
        items: Vec<StatusItem>,
    },
}

/// What STATUS tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum StatusItem {
    /// MESSAGES.
    Messages,
    /// RECENT.
    Recent,
    /// UIDNEXT.
    UidNext,
    /// UIDVALIDITY.
    UidValidity,
    /// UNSEEN.
    Unseen,
}

/// What FETCH tells (RFC 3501 §6.4.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FetchItem {
    /// BODY (structure without extension data).
    Body,
    /// BODYSTRUCTURE.
    BodyStructure,
    /// ENVELOPE.
    Envelope,
    /// FLAGS.
    Flags,
    /// INTERNALDATE.
    InternalDate,
    /// RFC822: `BODY[]` under its old name.
    Rfc822,
    /// RFC822.HEADER: `BODY.PEEK[HEADER]` under its old name.
    Rfc822Header,
    /// RFC822.SIZE.
    Rfc822Size,
    /// RFC822.TEXT: `BODY[TEXT]` under its old name.
    Rfc822Text,
    /// UID.
    Uid,
    /// `BODY[section]<partial>`, `BODY.PEEK[section]<partial>`.
    Section {
        /// Which part of the message.
        section: Section,
        /// First octet and greatest length.
        partial: Option<(u32, u32)>,
        /// BODY.PEEK: does not set `\Seen`.
        peek: bool,
    },
}

/// `section-spec`: part numbers, and what of that part.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Section {
    /// Part numbers; empty: the message.
    pub part: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part is wanted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SectionText {
    /// All of it: `BODY[]`, `BODY[1]`.
    Whole,
    /// `HEADER`.
    Header,
    /// `HEADER.FIELDS (…)`, names as written.
    HeaderFields(Vec<String>),
    /// `HEADER.FIELDS.NOT (…)`.
    HeaderFieldsNot(Vec<String>),
    /// `TEXT`.
    Text,
    /// `MIME`: only behind part numbers.
    Mime,
}

/// `sequence-set`: ranges as written; `*` is [`SequenceNumber::Last`]. Never expanded (S33).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequenceSet(pub Arc<[(SequenceNumber, SequenceNumber)]>);

/// A message number or UID in a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SequenceNumber {
    /// From 1.
    Number(u32),
    /// `*`.
    Last,
    /// `$`: only as [`SequenceSet::saved`].
    Saved,
}
