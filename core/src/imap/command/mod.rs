//! IMAP commands as values (RFC 9051 §9, `command`). One parser a family beside this file.

pub mod append;
mod fetch;
mod parser;
#[cfg(test)]
mod tests;

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use self::parser::{Parser, Wrong, gather};

use crate::limits;
use crate::secret::Secret;
use crate::store::MailboxName;
use crate::store::request::{FlagChange, FlagHow};

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
    /// AUTHENTICATE, with its initial response (RFC 4959) still in base64.
    Authenticate {
        /// The mechanism's name, in upper case.
        mechanism: String,
        /// The initial response; `=` for an empty one.
        initial: Option<Vec<u8>>,
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
    /// RFC822: BODY[] under its old name.
    Rfc822,
    /// RFC822.HEADER: BODY.PEEK[HEADER] under its old name.
    Rfc822Header,
    /// RFC822.SIZE.
    Rfc822Size,
    /// RFC822.TEXT: BODY[TEXT] under its old name.
    Rfc822Text,
    /// UID.
    Uid,
    /// BODY[section]<partial>, BODY.PEEK[section]<partial>.
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
}

/// A command that cannot be carried out as it is written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bad {
    /// Its tag, if it had one.
    pub tag: Option<String>,
    /// What is wrong.
    pub why: &'static str,
}

/// `tag = 1*<any ASTRING-CHAR except "+">`, and what follows its space.
pub fn parse_tag(text: &[u8]) -> Option<(String, &[u8])> {
    let end = text.iter().position(|byte| *byte == b' ')?;
    let tag = &text[..end];
    let allowed = |byte: &u8| (parser::is_atom(*byte) || *byte == b']') && *byte != b'+';
    let whole = (1..=limits::TAG).contains(&end) && tag.iter().all(allowed);
    whole.then(|| (tag.iter().map(|byte| char::from(*byte)).collect(), &text[end + 1..]))
}

/// Reads a framed command.
///
/// # Errors
/// The tag, if there was one, and what is wrong.
pub fn parse(text: &[u8]) -> Result<(String, Command), Bad> {
    let Some((tag, rest)) = parse_tag(text) else {
        return Err(Bad {
            tag: None,
            why: "a command begins with a tag",
        });
    };
    let mut parser = Parser::new(rest);
    match command(&mut parser) {
        Ok(command) => Ok((tag, command)),
        Err(why) => Err(Bad { tag: Some(tag), why }),
    }
}

fn command(parser: &mut Parser<'_>) -> Result<Command, Wrong> {
    let name = parser.atom()?;
    let (name, uid) = match name.as_str() {
        "UID" => {
            parser.space()?;
            (parser.atom()?, true)
        }
        _ => (name, false),
    };
    let command = match (name.as_str(), uid) {
        ("CAPABILITY", false) => Command::Capability,
        ("NOOP" | "CHECK", false) => Command::Noop,
        ("LOGOUT", false) => Command::Logout,
        ("STARTTLS", false) => Command::StartTls,
        ("EXPUNGE", false) => Command::Expunge,
        ("IDLE", false) => Command::Idle,
        ("CLOSE", false) => Command::Close { expunge: true },
        ("UNSELECT", false) => Command::Close { expunge: false },
        ("LOGIN", false) => login(parser)?,
        ("AUTHENTICATE", false) => authenticate(parser)?,
        ("LIST" | "LSUB", false) => list(parser, name == "LSUB")?,
        ("SELECT" | "EXAMINE", false) => {
            parser.space()?;
            Command::Select {
                mailbox: parser.mailbox()?,
                read_only: name == "EXAMINE",
            }
        }
        ("STATUS", false) => status(parser)?,
        ("FETCH", uid) => {
            let set = set(parser)?;
            Command::Fetch {
                set,
                items: fetch::items(parser)?,
                uid,
            }
        }
        ("STORE", uid) => store(parser, uid)?,
        ("EXPUNGE", true) => {
            parser.space()?;
            let text = parser.take_while(|byte| byte > b' ');
            Command::UidExpunge(SequenceSet::parse(text).ok_or("a set of messages is malformed")?)
        }
        ("APPEND", false) => return Err("APPEND needs a mailbox and a message as a literal"),
        _ => return Err("unknown command, or one that this version does not have"),
    };
    parser.end()?;
    Ok(command)
}

fn set(parser: &mut Parser<'_>) -> Result<SequenceSet, Wrong> {
    parser.space()?;
    let text = parser.take_while(|byte| byte > b' ');
    let set = SequenceSet::parse(text).ok_or("a set of messages is malformed")?;
    parser.space()?;
    Ok(set)
}

/// `login = "LOGIN" SP userid SP password`.
fn login(parser: &mut Parser<'_>) -> Result<Command, Wrong> {
    parser.space()?;
    let login = parser.utf8()?;
    parser.space()?;
    Ok(Command::Login {
        login,
        password: Secret::new(parser.utf8()?),
    })
}

/// `authenticate = "AUTHENTICATE" SP auth-type [SP initial-resp]`.
fn authenticate(parser: &mut Parser<'_>) -> Result<Command, Wrong> {
    parser.space()?;
    let mechanism = parser.atom()?;
    let initial = if parser.take(b' ') {
        Some(parser.take_while(|byte| byte > b' ').to_vec())
    } else {
        None
    };
    Ok(Command::Authenticate { mechanism, initial })
}

/// `list = "LIST" SP mailbox SP list-mailbox`.
fn list(parser: &mut Parser<'_>, lsub: bool) -> Result<Command, Wrong> {
    parser.space()?;
    let reference = parser.list_mailbox()?;
    parser.space()?;
    Ok(Command::List {
        reference,
        pattern: parser.list_mailbox()?,
        lsub,
    })
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"`.
fn status(parser: &mut Parser<'_>) -> Result<Command, Wrong> {
    parser.space()?;
    let mailbox = parser.mailbox()?;
    parser.space()?;
    let items = parser.list(|parser| match parser.atom()?.as_str() {
        "MESSAGES" => Ok(StatusItem::Messages),
        "RECENT" => Ok(StatusItem::Recent),
        "UIDNEXT" => Ok(StatusItem::UidNext),
        "UIDVALIDITY" => Ok(StatusItem::UidValidity),
        "UNSEEN" => Ok(StatusItem::Unseen),
        _ => Err("no such STATUS item"),
    })?;
    if items.is_empty() {
        Err("STATUS asks for nothing")
    } else {
        Ok(Command::Status { mailbox, items })
    }
}

/// `store = "STORE" SP sequence-set SP store-att-flags`.
fn store(parser: &mut Parser<'_>, uid: bool) -> Result<Command, Wrong> {
    let set = set(parser)?;
    let how = if parser.take(b'+') {
        FlagHow::Add
    } else if parser.take(b'-') {
        FlagHow::Remove
    } else {
        FlagHow::Replace
    };
    if !parser.word("FLAGS") {
        return Err("STORE changes FLAGS");
    }
    let silent = parser.word(".SILENT");
    parser.space()?;
    let (flags, keywords) = if parser.peek() == Some(b'(') {
        parser.flags()?
    } else {
        let mut list = alloc::vec![parser.flag()?];
        while parser.take(b' ') {
            if list.len() >= limits::LIST_ITEMS {
                return Err("the list is too long");
            }
            list.push(parser.flag()?);
        }
        gather(list)
    };
    Ok(Command::Store {
        set,
        change: FlagChange { how, flags, keywords },
        silent,
        uid,
    })
}
