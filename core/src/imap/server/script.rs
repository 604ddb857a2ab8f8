//! How this machine's asks and answers look in a script (the grammar is in [`crate::script`]).
//!
//! ```text
//! ASK: VerifyPassword alice              ANS: granted alice@one.test | denied | busy
//! ASK: Mailboxes                         ANS: list INBOX Sent=\Sent
//! ASK: Select INBOX                      ANS: mailbox lsn=1 uidvalidity=9 next=5 recent=4 rows=1:\Seen,2,4:\Deleted/100 | none
//! ASK: Changes since=1                   ANS: changes lsn=3 next=6 rows=1,5 appended=5 expunged=2,4 flagged=1 origin=7
//! ASK: Digests 1 2                       ANS: digests (of the text given by BODYTEXT)
//! ASK: OpenBodies 1[0+10] 2[0+5]         ANS: ready | missing        then  BODYIN: bytes
//! ASK: SetFlags 1,2 +\Seen               ANS: lsn 3
//! ASK: Expunge all                       ANS: lsn 3
//! ASK: OpenMessage 10                    ANS: ready | full | failed
//! ASK: CommitAppend \Seen                ANS: appended lsn=3 uidvalidity=9 uid=5
//! ASK: Unwatch    ASK: DropMessage
//! ```
//!
//! A row is `uid[:flag…][/size]`; the size is 20 unless it is given.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use super::ask::*;
use crate::machine::{Answer, BodyError};
use crate::message::intake::Intake;
use crate::script::ScriptForm;
use crate::smtp::server::ask::{TlsEvidence, TlsOutcome};
use crate::smtp::server::{password_verdict, sink};
use crate::store::request::{FlagHow, ListedMailbox, Refused, Selected};
use crate::store::version::{Change, ChangeKind, Changes, Chunk, Fixed, FlagColumns, Version};
use crate::store::{
    AccountId, EmailId, Flags, KeywordBits, Location, Lsn, MailboxId, MailboxKey, MailboxName, ModSeq, SpecialUse, Uid,
};
use crate::time::UnixTime;

const MAILBOX: MailboxKey = MailboxKey {
    account: AccountId([1; 16]),
    mailbox: MailboxId([2; 16]),
};
/// The message that digests are computed of.
const TEXT: &[u8] = b"From: a@b\r\n\r\nhello\r\n";

impl ScriptForm for Session {
    fn ask_line(ask: &Ask) -> String {
        match ask {
            Ask::StartTls { .. } => "StartTls".into(),
            Ask::VerifyPassword { login, .. } => format!("VerifyPassword {login}"),
            Ask::Mailboxes { .. } => "Mailboxes".into(),
            Ask::Select { name, watch, .. } => format!("{} {}", if *watch { "Select" } else { "Look" }, name.0),
            Ask::Unwatch { .. } => "Unwatch".into(),
            Ask::Changes { since, .. } => format!("Changes since={since}"),
            Ask::Digests { rows, .. } => format!("Digests {}", words(rows.iter().map(|row| row.uid), " ")),
            Ask::OpenBodies { parts, .. } => {
                let ranges = parts
                    .iter()
                    .map(|part| format!("{}[{}+{}]", part.row.uid, part.start, part.len));
                format!("OpenBodies {}", words(ranges, " "))
            }
            Ask::SetFlags { uids, change, .. } => {
                let mark = match change.how {
                    FlagHow::Add => "+",
                    FlagHow::Remove => "-",
                    FlagHow::Replace => "=",
                };
                format!(
                    "SetFlags {} {mark}{}",
                    words(uids.iter(), ","),
                    flags_text(change.flags, &change.keywords)
                )
            }
            Ask::Expunge { uids, .. } => format!(
                "Expunge {}",
                uids.as_ref().map_or("all".into(), |uids| words(uids.iter(), ","))
            ),
            Ask::OpenMessage { size, .. } => format!("OpenMessage {size}"),
            Ask::DropMessage => "DropMessage".into(),
            Ask::CommitAppend { flags, keywords, .. } => {
                format!("CommitAppend {}", flags_text(*flags, keywords)).trim_end().into()
            }
        }
    }

    fn answer_line(ask: Ask, text: &str) -> Result<Option<Answer<Value>>, String> {
        let unknown = || format!("no such answer: {text}");
        let values = Values(text);
        Ok(Some(match ask {
            Ask::StartTls { then } => then.answer(match text {
                "secure" => TlsOutcome::Secure(TlsEvidence {
                    version: "TLSv1.3".into(),
                    cipher: "TLS_AES_256_GCM_SHA384".into(),
                    bits: 256,
                }),
                "failed" => TlsOutcome::Failed,
                _ => return Err(unknown()),
            }),
            Ask::VerifyPassword { then, .. } => then.answer(password_verdict(text).ok_or_else(unknown)?),
            Ask::Mailboxes { then, .. } => then.answer(MailboxList(listed(text).ok_or(Refused::NoSuchMailbox))),
            Ask::Select { then, .. } => then.answer(Opened(if text == "none" {
                Err(Refused::NoSuchMailbox)
            } else {
                let recent_from = Uid(values.number("recent").unwrap_or(u32::MAX as u64) as u32);
                Ok(Selected {
                    mailbox: MAILBOX,
                    version: Arc::new(version(&values)),
                    recent_from,
                })
            })),
            Ask::Changes { then, .. } => then.answer(Pulled(Ok(pulled(&values)))),
            Ask::Digests { rows, then, .. } => then.answer(Digests(match text {
                "digests" => rows.iter().map(|_| Some(Arc::new(digest()))).collect(),
                "lost" => rows.iter().map(|_| None).collect(),
                _ => return Err(unknown()),
            })),
            Ask::OpenBodies { then, .. } => then.answer(match text {
                "ready" => BodiesOpened::Ready,
                "missing" => BodiesOpened::Failed(BodyError::Missing),
                _ => return Err(unknown()),
            }),
            Ask::SetFlags { then, .. } => then.answer(FlagsSet(match text.strip_prefix("lsn ") {
                Some(lsn) => Ok(FlagsSetAt {
                    lsn: Lsn(lsn.parse().map_err(|_| unknown())?),
                    modified: Vec::new(),
                }),
                None => Err(Refused::Limit(text.into())),
            })),
            Ask::Expunge { then, .. } => then.answer(ExpungeDone(match text.strip_prefix("lsn ") {
                Some(lsn) => Ok(Lsn(lsn.parse().map_err(|_| unknown())?)),
                None => Err(Refused::Limit(text.into())),
            })),
            Ask::OpenMessage { then, .. } => then.answer(sink(text).ok_or_else(unknown)?),
            Ask::CommitAppend { then, .. } => then.answer(AppendDone(match values.number("uid") {
                Some(uid) => Ok(Appended {
                    lsn: Lsn(values.number("lsn").unwrap_or(1)),
                    uid_validity: values.number("uidvalidity").unwrap_or(1) as u32,
                    uid: Uid(uid as u32),
                }),
                None if text == "full" => Err(Refused::DiskFull),
                None => Err(unknown()).map_err(|_| Refused::Limit(text.into())),
            })),
            Ask::Unwatch { .. } | Ask::DropMessage => return Ok(None),
        }))
    }

    fn notice_line(text: &str) -> Result<Notice, String> {
        match (text, text.strip_prefix("Changed ")) {
            ("Shutdown", _) => Ok(Notice::Shutdown),
            ("Shed", _) => Ok(Notice::Shed),
            (_, Some(lsn)) => {
                let lsn = lsn.parse().map_err(|_| format!("no record: {lsn}"))?;
                Ok(Notice::Changed {
                    mailbox: MAILBOX,
                    lsn: Lsn(lsn),
                })
            }
            _ => Err(format!("no such notice: {text}")),
        }
    }
}

fn words(items: impl Iterator<Item = impl ToString>, between: &str) -> String {
    items.map(|item| item.to_string()).collect::<Vec<_>>().join(between)
}

const SYSTEM: [(&str, Flags); 5] = [
    ("\\Answered", Flags::ANSWERED),
    ("\\Flagged", Flags::FLAGGED),
    ("\\Deleted", Flags::DELETED),
    ("\\Seen", Flags::SEEN),
    ("\\Draft", Flags::DRAFT),
];

fn flags_text(flags: Flags, keywords: &[Arc<str>]) -> String {
    let system = SYSTEM
        .iter()
        .filter(|(_, flag)| flags.contains(*flag))
        .map(|(name, _)| (*name).into());
    system
        .chain(keywords.iter().map(|keyword| keyword.to_string()))
        .collect::<Vec<String>>()
        .join(" ")
}

/// `key=value` words of an answer.
struct Values<'a>(&'a str);

impl Values<'_> {
    fn value(&self, key: &str) -> Option<&str> {
        self.0.split(' ').find_map(|word| word.strip_prefix(key)?.strip_prefix('='))
    }

    fn number(&self, key: &str) -> Option<u64> {
        self.value(key)?.parse().ok()
    }

    fn uids(&self, key: &str) -> Vec<Uid> {
        let text = self.value(key).unwrap_or("");
        text.split(',').filter_map(|uid| uid.parse().ok()).map(Uid).collect()
    }
}

fn listed(text: &str) -> Option<Arc<[ListedMailbox]>> {
    let uses = [
        ("\\Archive", SpecialUse::Archive),
        ("\\Drafts", SpecialUse::Drafts),
        ("\\Junk", SpecialUse::Junk),
        ("\\Sent", SpecialUse::Sent),
        ("\\Trash", SpecialUse::Trash),
    ];
    let names = text.strip_prefix("list")?.split(' ').filter(|word| !word.is_empty());
    let mailboxes = names.enumerate().map(|(index, word)| {
        let (name, special) = word.split_once('=').unwrap_or((word, ""));
        ListedMailbox {
            mailbox: MailboxId([index as u8; 16]),
            name: MailboxName(name.into()),
            special_use: uses.iter().find(|(known, _)| *known == special).map(|(_, special)| *special),
            subscribed: special != "no",
        }
    });
    Some(mailboxes.collect())
}

/// `lsn= uidvalidity= next= rows=`.
fn version(values: &Values<'_>) -> Version {
    let (mut fixed, mut columns) = (Fixed::default(), FlagColumns::default());
    for row in values.value("rows").unwrap_or("").split(',').filter(|row| !row.is_empty()) {
        let (row, size) = row.split_once('/').unwrap_or((row, "20"));
        let mut words = row.split(':');
        let uid = words.next().and_then(|uid| uid.parse().ok()).unwrap_or(0);
        let flags = words.fold(Flags::default(), |flags, word| {
            SYSTEM
                .iter()
                .find(|(name, _)| *name == word)
                .map_or(flags, |(_, flag)| flags.with(*flag))
        });
        fixed.uid.push(Uid(uid));
        fixed.size.push(size.parse().unwrap_or(20));
        fixed.prefix.push(0);
        fixed.internal_date.push(UnixTime(0));
        fixed.save_date.push(UnixTime(0));
        fixed.email_id.push(EmailId([0; 16]));
        fixed.location.push(Location::Pack { pack: 0, offset: 0 });
        fixed.crc.push(0);
        columns.flags.push(flags);
        columns.keywords.push(KeywordBits(0));
        columns.mod_seq.push(ModSeq(1));
    }
    let exists = fixed.uid.len() as u32;
    let next = fixed.uid.last().map_or(1, |uid| uid.0 + 1);
    let chunks: Vec<Chunk> = if exists == 0 {
        Vec::new()
    } else {
        alloc::vec![Chunk {
            fixed: Arc::new(fixed),
            flags: Arc::new(columns)
        }]
    };
    Version {
        lsn: Lsn(values.number("lsn").unwrap_or(1)),
        uid_validity: values.number("uidvalidity").unwrap_or(1) as u32,
        uid_next: Uid(values.number("next").map_or(next, |next| next as u32)),
        highest_mod_seq: ModSeq(1),
        exists,
        keywords: Arc::new([]),
        chunks: chunks.into(),
    }
}

fn pulled(values: &Values<'_>) -> PulledChanges {
    let newest = Arc::new(version(values));
    let recent_from = Uid(values.number("recent").unwrap_or(u32::MAX as u64) as u32);
    if values.0.starts_with("diff") {
        return PulledChanges {
            changes: Changes::Diff(newest),
            recent_from,
        };
    }
    let (lsn, origin) = (newest.lsn, values.number("origin").unwrap_or(0));
    let kinds = [
        ChangeKind::Appended(values.uids("appended")),
        ChangeKind::Flagged(values.uids("flagged")),
        ChangeKind::Expunged(values.uids("expunged")),
    ];
    let changes: Vec<Change> = kinds.into_iter().map(|what| Change { lsn, origin, what }).collect();
    PulledChanges {
        changes: Changes::List {
            changes: changes.into(),
            newest,
        },
        recent_from,
    }
}

fn digest() -> crate::message::digest::Digest {
    let mut intake = Intake::new();
    intake.update(TEXT);
    intake.finish().digest
}
