//! IMAP commands as values (RFC 9051 §9, `command`). One parser a family beside this file.
//!
//! No parser here recurses: what nests in these commands nests twice at most, and a third `(` is an error (S31).

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::imap::mailbox_name::Names;
use crate::secret::Secret;
use crate::store::request::FlagChange;
use crate::store::{Flags, MailboxName, SpecialUse};
use crate::time::UnixTime;

use super::frame::Framed;
use cursor::{Cursor, Wrong};
pub use search::{SearchKey, SearchReturn};

pub mod append;
pub(super) mod cursor;
pub mod encode;
mod fetch;
mod list;
mod mailbox;
mod search;
mod session;
mod store;
#[cfg(test)]
pub(crate) mod tests;
mod tree;

/// Reads a framed command: `command = tag SP (command-any / command-auth / command-nonauth / command-select)`.
pub fn parse(framed: &Framed<'_>) -> Result<(Tag, Command), Bad> {
    parse_with(framed, Names::Utf7)
}

/// The same, with the form that mailbox names have in this session.
pub fn parse_with(framed: &Framed<'_>, names: Names) -> Result<(Tag, Command), Bad> {
    let mut cursor = Cursor::with(framed, names);
    let tag = cursor.tag().map_err(|text| Bad { tag: None, text })?;
    match command(&mut cursor) {
        Ok(command) => Ok((tag, command)),
        Err(text) => Err(Bad { tag: Some(tag), text }),
    }
}

/// Where the password of a LOGIN begins, in its text; `None`: it is none.
pub(in crate::imap) fn login_password_at(framed: &Framed<'_>) -> Option<usize> {
    let mut cursor = Cursor::new(framed);
    cursor.tag().ok()?;
    cursor.space().ok()?;
    if cursor.keyword() != b"LOGIN" {
        return None;
    }
    session::login_password_at(&mut cursor).ok()
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
        b"LIST" => list::list(cursor)?,
        b"LSUB" => list::lsub(cursor)?,
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
        b"CREATE" => tree::create(cursor)?,
        b"DELETE" => Command::Delete(tree::one(cursor, "DELETE: a mailbox is expected")?),
        b"RENAME" => tree::rename(cursor)?,
        b"SUBSCRIBE" => Command::Subscribe {
            mailbox: tree::one(cursor, "SUBSCRIBE: a mailbox is expected")?,
            on: true,
        },
        b"UNSUBSCRIBE" => Command::Subscribe {
            mailbox: tree::one(cursor, "UNSUBSCRIBE: a mailbox is expected")?,
            on: false,
        },
        b"COPY" => tree::transfer(cursor, false, false)?,
        b"MOVE" => tree::transfer(cursor, true, false)?,
        b"NAMESPACE" => Command::Namespace,
        b"ID" => session::id(cursor)?,
        b"ENABLE" => session::enable(cursor)?,
        b"UID" => uid(cursor)?,
        b"APPEND" => return Err(append::why_not(cursor)),
        _ => return Err("unknown command"),
    };
    cursor.end()?;
    Ok(parsed)
}

const UID_WHAT: Wrong = "UID: FETCH, SEARCH, STORE, COPY, MOVE or EXPUNGE is expected";

/// `uid = "UID" SP (copy / move / fetch / search / store / "EXPUNGE" SP sequence-set)`
fn uid(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| UID_WHAT)?;
    match cursor.keyword().as_slice() {
        b"FETCH" => fetch::fetch(cursor, true),
        b"SEARCH" => search::search(cursor, true),
        b"STORE" => store::store(cursor, true),
        b"COPY" => tree::transfer(cursor, false, true),
        b"MOVE" => tree::transfer(cursor, true, true),
        b"EXPUNGE" => {
            cursor.space().map_err(|_| "UID EXPUNGE: a set of UIDs is expected")?;
            Ok(Command::UidExpunge(cursor.sequence_set()?))
        }
        _ => Err(UID_WHAT),
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
    List(List),
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
    /// CREATE.
    Create {
        /// Which.
        mailbox: MailboxName,
        /// USE (RFC 6154 §3).
        special_use: Option<CreateUse>,
    },
    /// DELETE.
    Delete(MailboxName),
    /// RENAME.
    Rename {
        /// From here.
        from: MailboxName,
        /// To there.
        to: MailboxName,
    },
    /// SUBSCRIBE, UNSUBSCRIBE.
    Subscribe {
        /// Which.
        mailbox: MailboxName,
        /// SUBSCRIBE.
        on: bool,
    },
    /// COPY, MOVE (RFC 6851), UID COPY, UID MOVE.
    Transfer {
        /// Which.
        set: SequenceSet,
        /// Where to.
        mailbox: MailboxName,
        /// MOVE.
        moves: bool,
        /// The UID form.
        uid: bool,
    },
    /// NAMESPACE (RFC 2342).
    Namespace,
    /// ID (RFC 2971); what the client tells is read, and forgotten.
    Id,
    /// ENABLE (RFC 5161): names of extensions, in upper case.
    Enable(Vec<String>),
}

/// What USE of CREATE asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CreateUse {
    /// This one.
    One(SpecialUse),
    /// None of ours, or several: no mailbox of this server can have that.
    Other,
}

/// LIST, basic or extended (RFC 5258), and LSUB.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// The reference name, as UTF-8.
    pub reference: String,
    /// Patterns with `*` and `%`, as UTF-8.
    pub patterns: Vec<String>,
    /// Which form it has.
    pub form: ListForm,
}

/// The form of a LIST.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ListForm {
    /// RFC 3501 §6.3.8.
    Basic,
    /// LSUB: only subscribed ones, answered as LSUB.
    Lsub,
    /// Options, or patterns in parentheses.
    Extended(ListOptions),
}

/// Selection and return options.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ListOptions {
    /// Selects subscribed names.
    pub subscribed: bool,
    /// Selects mailboxes with a special use.
    pub special_use: bool,
    /// Mailboxes of other servers too; there are none.
    pub remote: bool,
    /// Levels above what is selected too.
    pub recursive: bool,
    /// Returns `\Subscribed`.
    pub return_subscribed: bool,
    /// Returns `\HasChildren`, `\HasNoChildren`.
    pub return_children: bool,
    /// Returns special uses (which is done anyway).
    pub return_special_use: bool,
    /// Returns STATUS (RFC 5819); empty: not asked for.
    pub status: Vec<StatusItem>,
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
    /// DELETED (RFC 9051 §6.3.11).
    Deleted,
    /// SIZE (RFC 8438).
    Size,
}

/// What FETCH tells (RFC 3501 §6.4.5).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
    /// `BINARY[part]<partial>`, `BINARY.PEEK[part]<partial>` (RFC 3516): without its transfer encoding.
    Binary {
        /// Part numbers; empty: the message, as it is.
        part: Vec<u32>,
        /// First octet and greatest length, decoded.
        partial: Option<(u32, u32)>,
        /// BINARY.PEEK: does not set `\Seen`.
        peek: bool,
    },
    /// `BINARY.SIZE[part]`.
    BinarySize {
        /// Part numbers.
        part: Vec<u32>,
    },
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
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Section {
    /// Part numbers; empty: the message.
    pub part: Vec<u32>,
    /// What of it.
    pub text: SectionText,
}

/// What of a part is wanted.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
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
