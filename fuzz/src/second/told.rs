//! What `imap-codec` read, in our terms.

use std::sync::Arc;

use imap_codec::imap_types::command::CommandBody;
use imap_codec::imap_types::core::{AString, Atom, Charset, IString, NString};
use imap_codec::imap_types::datetime::NaiveDate;
use imap_codec::imap_types::fetch::{MacroOrMessageDataItemNames, MessageDataItemName, Part, Section as TheirSection};
use imap_codec::imap_types::flag::{Flag, StoreResponse, StoreType};
use imap_codec::imap_types::mailbox::{ListMailbox, Mailbox};
use imap_codec::imap_types::search::SearchKey as TheirKey;
use imap_codec::imap_types::sequence::{SeqOrUid, Sequence, SequenceSet as TheirSet};
use imap_codec::imap_types::status::StatusDataItemName;
use pillarbox_core::bytes::base64;
use pillarbox_core::imap::command::{
    Command, FetchItem, List, ListForm, SearchKey, Section, SectionText, SequenceNumber, SequenceSet, StatusItem,
};
use pillarbox_core::imap::mailbox_name::{self, Names};
use pillarbox_core::limits;
use pillarbox_core::secret::Secret;
use pillarbox_core::store::request::{FlagChange, FlagHow};
use pillarbox_core::store::{Flags, MailboxName};
use pillarbox_core::time::UnixTime;

/// Why something cannot be told in our terms.
pub(super) type Outside = &'static str;

/// Strings in another charset than ours can compare.
pub(super) const CHARSET: Outside = "a charset with shifts, or none";

/// What the other read, in our terms.
pub(super) fn told(theirs: &CommandBody<'_>) -> Result<Command, Outside> {
    Ok(match theirs {
        CommandBody::Capability => Command::Capability,
        CommandBody::Noop | CommandBody::Check => Command::Noop,
        CommandBody::Logout => Command::Logout,
        CommandBody::StartTLS => Command::StartTls,
        CommandBody::Authenticate {
            mechanism,
            initial_response,
        } => Command::Authenticate {
            mechanism: mechanism.as_ref().to_ascii_uppercase(),
            initial: initial_response.as_ref().map(|response| {
                let response = response.declassify();
                Secret::new(if response.is_empty() { "=".into() } else { base64::encode(response) })
            }),
        },
        CommandBody::Login { username, password } => Command::Login {
            login: text(username),
            password: Secret::new(text(password.declassify())),
        },
        CommandBody::Select { mailbox } => Command::Select {
            mailbox: name(mailbox)?,
            read_only: false,
        },
        CommandBody::Examine { mailbox } => Command::Select {
            mailbox: name(mailbox)?,
            read_only: true,
        },
        CommandBody::Unselect => Command::Close { expunge: false },
        CommandBody::Close => Command::Close { expunge: true },
        CommandBody::Create { mailbox } => Command::Create {
            mailbox: new_name(mailbox)?,
            special_use: None,
        },
        CommandBody::Delete { mailbox } => Command::Delete(name(mailbox)?),
        CommandBody::Rename { from, to } => Command::Rename {
            from: name(from)?,
            to: new_name(to)?,
        },
        CommandBody::Subscribe { mailbox } => Command::Subscribe {
            mailbox: name(mailbox)?,
            on: true,
        },
        CommandBody::Unsubscribe { mailbox } => Command::Subscribe {
            mailbox: name(mailbox)?,
            on: false,
        },
        CommandBody::List {
            reference,
            mailbox_wildcard,
        } => Command::List(list(reference, mailbox_wildcard, ListForm::Basic)?),
        CommandBody::Lsub {
            reference,
            mailbox_wildcard,
        } => Command::List(list(reference, mailbox_wildcard, ListForm::Lsub)?),
        CommandBody::Status { mailbox, item_names } => Command::Status {
            mailbox: name(mailbox)?,
            items: status(item_names)?,
        },
        CommandBody::Append {
            mailbox, flags: all, date, ..
        } => {
            let (flags, keywords) = flags(all)?;
            Command::Append {
                mailbox: name(mailbox)?,
                flags,
                keywords,
                date: date.as_ref().map(|date| UnixTime::from_seconds(date.as_ref().timestamp())),
            }
        }
        CommandBody::Expunge => Command::Expunge,
        CommandBody::ExpungeUid { sequence_set } => Command::UidExpunge(set(sequence_set)),
        CommandBody::Search { charset, criteria, uid } => {
            // The text is ASCII, but these charsets have shifts.
            let plain = |charset: &Charset<'_>| ["UTF-8", "US-ASCII"].iter().any(|name| charset.as_ref().eq_ignore_ascii_case(name));
            if charset.as_ref().is_some_and(|charset| !plain(charset)) {
                return Err(CHARSET);
            }
            let criteria = criteria.as_ref();
            let mut keys = vec![SearchKey::And(criteria.len() as u32)];
            for key in criteria {
                search(key, &mut keys)?;
            }
            Command::Search {
                uid: *uid,
                returns: None,
                keys: Some(keys.into()),
            }
        }
        CommandBody::Fetch {
            sequence_set,
            macro_or_item_names,
            uid,
        } => Command::Fetch {
            set: set(sequence_set),
            items: items(macro_or_item_names)?,
            uid: *uid,
        },
        CommandBody::Store {
            sequence_set,
            kind,
            response,
            flags: all,
            uid,
        } => {
            let (flags, keywords) = flags(all)?;
            let how = match kind {
                StoreType::Replace => FlagHow::Replace,
                StoreType::Add => FlagHow::Add,
                StoreType::Remove => FlagHow::Remove,
            };
            Command::Store {
                set: set(sequence_set),
                change: FlagChange { how, flags, keywords },
                silent: *response == StoreResponse::Silent,
                uid: *uid,
            }
        }
        CommandBody::Copy {
            sequence_set,
            mailbox,
            uid,
        }
        | CommandBody::Move {
            sequence_set,
            mailbox,
            uid,
        } => Command::Transfer {
            set: set(sequence_set),
            mailbox: name(mailbox)?,
            moves: matches!(theirs, CommandBody::Move { .. }),
            uid: *uid,
        },
        CommandBody::Idle => Command::Idle,
        CommandBody::Enable { capabilities } => Command::Enable(
            capabilities
                .as_ref()
                .iter()
                .map(|capability| capability.to_string().to_ascii_uppercase())
                .collect(),
        ),
        CommandBody::Id { parameters } => {
            let long = |(name, value): &(_, NString<'_>)| {
                let name: &IString<'_> = name;
                // RFC 2971 §3.3
                name.as_ref().len() > 30 || value.0.as_ref().is_some_and(|value| value.as_ref().len() > 1024)
            };
            if parameters.as_ref().is_some_and(|all| all.iter().any(long)) {
                return Err("ID has limits");
            }
            Command::Id
        }
        CommandBody::Namespace => Command::Namespace,
        CommandBody::Sort { .. }
        | CommandBody::Thread { .. }
        | CommandBody::Compress { .. }
        | CommandBody::GetQuota { .. }
        | CommandBody::GetQuotaRoot { .. }
        | CommandBody::SetQuota { .. } => return Err("not a command of ours"),
    })
}

fn text(string: &AString<'_>) -> String {
    String::from_utf8_lossy(string.as_ref()).into_owned()
}

fn bytes_of<'a>(mailbox: &'a Mailbox<'_>) -> &'a [u8] {
    match mailbox {
        Mailbox::Inbox => b"INBOX",
        Mailbox::Other(other) => other.as_ref(),
    }
}

/// Names that no mailbox can have are refused by ours (RFC 9051 §5.1), which knows what its octets mean.
fn name(mailbox: &Mailbox<'_>) -> Result<MailboxName, Outside> {
    mailbox_name::parse(bytes_of(mailbox), Names::Utf7)
}

fn new_name(mailbox: &Mailbox<'_>) -> Result<MailboxName, Outside> {
    let name = bytes_of(mailbox);
    mailbox_name::parse(name.strip_suffix(b"/").unwrap_or(name), Names::Utf7)
}

fn list(reference: &Mailbox<'_>, pattern: &ListMailbox<'_>, form: ListForm) -> Result<List, Outside> {
    let pattern = match pattern {
        ListMailbox::Token(token) => token.as_ref(),
        ListMailbox::String(string) => string.as_ref(),
    };
    Ok(List {
        reference: mailbox_name::decode(bytes_of(reference), Names::Utf7)?,
        patterns: vec![mailbox_name::decode(pattern, Names::Utf7)?],
        form,
    })
}

fn status(names: &[StatusDataItemName]) -> Result<Vec<StatusItem>, Outside> {
    let mut items = Vec::new();
    for name in names {
        let item = match name {
            StatusDataItemName::Messages => StatusItem::Messages,
            StatusDataItemName::Recent => StatusItem::Recent,
            StatusDataItemName::UidNext => StatusItem::UidNext,
            StatusDataItemName::UidValidity => StatusItem::UidValidity,
            StatusDataItemName::Unseen => StatusItem::Unseen,
            StatusDataItemName::Deleted => StatusItem::Deleted,
            StatusDataItemName::Size => StatusItem::Size,
            StatusDataItemName::DeletedStorage => return Err("RFC 9208 is not ours"),
        };
        if !items.contains(&item) {
            items.push(item);
        }
    }
    if items.is_empty() {
        return Err("RFC 9051 §9: status-att stands at least once");
    }
    Ok(items)
}

fn flags(all: &[Flag<'_>]) -> Result<(Flags, Vec<Arc<str>>), Outside> {
    let (mut flags, mut keywords) = (Flags::default(), Vec::<Arc<str>>::new());
    for flag in all {
        match flag {
            Flag::Answered => flags = flags.with(Flags::ANSWERED),
            Flag::Deleted => flags = flags.with(Flags::DELETED),
            Flag::Draft => flags = flags.with(Flags::DRAFT),
            Flag::Flagged => flags = flags.with(Flags::FLAGGED),
            Flag::Seen => flags = flags.with(Flags::SEEN),
            Flag::Extension(_) => return Err("RFC 9051 §2.3.2: a server need not have other system flags"),
            Flag::Keyword(atom) => {
                let keyword = keyword(atom)?;
                if !keywords.iter().any(|known| known.eq_ignore_ascii_case(&keyword)) {
                    keywords.push(keyword);
                }
            }
        }
    }
    if keywords.len() > limits::KEYWORDS {
        return Err("too many keywords");
    }
    Ok((flags, keywords))
}

fn keyword(atom: &Atom<'_>) -> Result<Arc<str>, Outside> {
    let keyword = atom.as_ref();
    if keyword.len() > limits::IMAP_KEYWORD {
        return Err("a long keyword");
    }
    Ok(keyword.into())
}

fn set(theirs: &TheirSet) -> SequenceSet {
    let number = |number: &SeqOrUid| match number {
        SeqOrUid::Value(value) => SequenceNumber::Number(value.get()),
        SeqOrUid::Asterisk => SequenceNumber::Last,
    };
    let ranges = theirs.0.as_ref().iter().map(|sequence| match sequence {
        Sequence::Single(one) => (number(one), number(one)),
        Sequence::Range(one, other) => (number(one), number(other)),
    });
    SequenceSet(ranges.collect())
}

fn search(theirs: &TheirKey<'_>, keys: &mut Vec<SearchKey>) -> Result<(), Outside> {
    let header = |name: &str, value: &AString<'_>| SearchKey::Header {
        name: name.into(),
        text: text(value),
    };
    let key = match theirs {
        TheirKey::And(all) => {
            keys.push(SearchKey::And(all.as_ref().len() as u32));
            return all.as_ref().iter().try_for_each(|key| search(key, keys));
        }
        TheirKey::Not(one) => {
            keys.push(SearchKey::Not);
            return search(one, keys);
        }
        TheirKey::Or(one, other) => {
            keys.push(SearchKey::Or);
            search(one, keys)?;
            return search(other, keys);
        }
        TheirKey::SequenceSet(numbers) => SearchKey::Numbers(set(numbers)),
        TheirKey::Uid(uids) => SearchKey::Uids(set(uids)),
        TheirKey::All => SearchKey::All,
        TheirKey::Answered => SearchKey::Flag(Flags::ANSWERED, true),
        TheirKey::Unanswered => SearchKey::Flag(Flags::ANSWERED, false),
        TheirKey::Deleted => SearchKey::Flag(Flags::DELETED, true),
        TheirKey::Undeleted => SearchKey::Flag(Flags::DELETED, false),
        TheirKey::Draft => SearchKey::Flag(Flags::DRAFT, true),
        TheirKey::Undraft => SearchKey::Flag(Flags::DRAFT, false),
        TheirKey::Flagged => SearchKey::Flag(Flags::FLAGGED, true),
        TheirKey::Unflagged => SearchKey::Flag(Flags::FLAGGED, false),
        TheirKey::Seen => SearchKey::Flag(Flags::SEEN, true),
        TheirKey::Unseen => SearchKey::Flag(Flags::SEEN, false),
        TheirKey::Keyword(atom) => SearchKey::Keyword(keyword(atom)?, true),
        TheirKey::Unkeyword(atom) => SearchKey::Keyword(keyword(atom)?, false),
        TheirKey::New => SearchKey::New,
        TheirKey::Old => SearchKey::Old,
        TheirKey::Recent => SearchKey::Recent,
        TheirKey::Before(date) => SearchKey::Before(day(date)),
        TheirKey::On(date) => SearchKey::On(day(date)),
        TheirKey::Since(date) => SearchKey::Since(day(date)),
        TheirKey::SentBefore(date) => SearchKey::SentBefore(day(date)),
        TheirKey::SentOn(date) => SearchKey::SentOn(day(date)),
        TheirKey::SentSince(date) => SearchKey::SentSince(day(date)),
        TheirKey::Larger(octets) => SearchKey::Larger(u64::from(*octets)),
        TheirKey::Smaller(octets) => SearchKey::Smaller(u64::from(*octets)),
        TheirKey::Older(seconds) => SearchKey::Older(seconds.get()),
        TheirKey::Younger(seconds) => SearchKey::Younger(seconds.get()),
        TheirKey::Bcc(value) => header("Bcc", value),
        TheirKey::Cc(value) => header("Cc", value),
        TheirKey::From(value) => header("From", value),
        TheirKey::Subject(value) => header("Subject", value),
        TheirKey::To(value) => header("To", value),
        TheirKey::Header(name, value) => header(&text(name), value),
        TheirKey::Body(value) => SearchKey::Body(text(value)),
        TheirKey::Text(value) => SearchKey::Text(text(value)),
    };
    keys.push(key);
    Ok(())
}

/// Days since 1970-01-01.
fn day(date: &NaiveDate) -> i64 {
    let midnight = date.as_ref().and_hms_opt(0, 0, 0).expect("a midnight");
    midnight.and_utc().timestamp().div_euclid(86_400)
}

fn items(theirs: &MacroOrMessageDataItemNames<'_>) -> Result<Vec<FetchItem>, Outside> {
    let expanded;
    let names = match theirs {
        MacroOrMessageDataItemNames::Macro(one) => {
            expanded = one.expand();
            &expanded
        }
        MacroOrMessageDataItemNames::MessageDataItemNames(names) => names,
    };
    let mut items = Vec::new();
    for name in names {
        let item = item(name)?;
        if !items.contains(&item) {
            items.push(item);
        }
    }
    if items.is_empty() {
        return Err("RFC 9051 §9: fetch-att stands at least once");
    }
    Ok(items)
}

fn item(name: &MessageDataItemName<'_>) -> Result<FetchItem, Outside> {
    let numbers = |part: &[std::num::NonZeroU32]| part.iter().map(|number| number.get()).collect::<Vec<u32>>();
    let span = |partial: &Option<(u32, std::num::NonZeroU32)>| partial.map(|(first, count)| (first, count.get()));
    Ok(match name {
        MessageDataItemName::Body => FetchItem::Body,
        MessageDataItemName::BodyStructure => FetchItem::BodyStructure,
        MessageDataItemName::Envelope => FetchItem::Envelope,
        MessageDataItemName::Flags => FetchItem::Flags,
        MessageDataItemName::InternalDate => FetchItem::InternalDate,
        MessageDataItemName::Rfc822 => FetchItem::Rfc822,
        MessageDataItemName::Rfc822Header => FetchItem::Rfc822Header,
        MessageDataItemName::Rfc822Size => FetchItem::Rfc822Size,
        MessageDataItemName::Rfc822Text => FetchItem::Rfc822Text,
        MessageDataItemName::Uid => FetchItem::Uid,
        MessageDataItemName::Binary { section, partial, peek } => FetchItem::Binary {
            part: numbers(section),
            partial: span(partial),
            peek: *peek,
        },
        MessageDataItemName::BinarySize { section } => FetchItem::BinarySize { part: numbers(section) },
        MessageDataItemName::BodyExt { section, partial, peek } => FetchItem::Section {
            section: of_section(section.as_ref())?,
            partial: span(partial),
            peek: *peek,
        },
    })
}

fn of_section(theirs: Option<&TheirSection<'_>>) -> Result<Section, Outside> {
    let (part, text) = match theirs {
        None => (None, SectionText::Whole),
        Some(TheirSection::Part(part)) => (Some(part), SectionText::Whole),
        Some(TheirSection::Header(part)) => (part.as_ref(), SectionText::Header),
        Some(TheirSection::HeaderFields(part, fields)) => (part.as_ref(), SectionText::HeaderFields(names(fields.as_ref())?)),
        Some(TheirSection::HeaderFieldsNot(part, fields)) => {
            (part.as_ref(), SectionText::HeaderFieldsNot(names(fields.as_ref())?))
        }
        Some(TheirSection::Text(part)) => (part.as_ref(), SectionText::Text),
        Some(TheirSection::Mime(part)) => (Some(part), SectionText::Mime),
    };
    let numbers = |part: &Part| part.0.as_ref().iter().map(|number| number.get()).collect::<Vec<u32>>();
    let part = part.map(numbers).unwrap_or_default();
    if part.len() > limits::MIME_DEPTH {
        return Err("many part numbers");
    }
    Ok(Section { part, text })
}

/// RFC 5322 §2.2: a field's name is printable and has no colon.
fn names(fields: &[AString<'_>]) -> Result<Vec<String>, Outside> {
    let is_name = |name: &[u8]| !name.is_empty() && name.iter().all(|byte| byte.is_ascii_graphic() && *byte != b':');
    match fields.iter().all(|field| is_name(field.as_ref())) {
        true => Ok(fields.iter().map(text).collect()),
        false => Err("not a field's name"),
    }
}
