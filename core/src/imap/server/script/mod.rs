//! The script form of the session's asks, answers and notices.
//!
//! ```text
//! ASK: VerifyPassword fred            ANS: granted fred / denied / busy
//! ASK: ScramSalt fred                 ANS: salt [base64 iterations=4096 nonce=base64]
//! ASK: ScramProof fred n=fred,r=…     ANS: granted fred / denied
//! ASK: StartTls                       ANS: secure / failed
//! ASK: Mailboxes                      ANS: mailboxes INBOX Sent:\Sent Old:unsubscribed
//! ASK: Select INBOX watch recent      ANS: mailbox next=5 rows=1:\Seen,2,4:\Deleted+$Junk@310
//! ASK: Changes since 7 recent         ANS: list @8 own flagged 2, @9 expunged 1+3; mailbox lsn=9 next=5 rows=2:\Seen,4
//!                                     ANS: diff; mailbox lsn=9 …
//! ASK: Digests 1,2                    ANS: digests From: a@b.test\r\n\r\nhello | gone | record base64 (of a recording)
//! ASK: OpenBodies 1[0+300] 2[0+20]    ANS: ready / missing / corrupt / unreadable       then BODYIN: …
//! ASK: Match 1,2                      ANS: messages From: a@b.test\r\n\r\nhello | gone        or: matched yes no
//! ASK: SetFlags 1,2 +(\Seen)          ANS: done lsn=9
//! ASK: Expunge all                    ANS: done lsn=9
//! ASK: OpenMessage 310                ANS: ready / full / failed
//! ASK: CommitAppend (\Seen) 1996…     ANS: appended lsn=9 uidvalidity=1 uid=5
//! ASK: Create Sent [\Sent]             ANS: done lsn=9 [id=2]        the same for Delete, Rename, Subscribe, Unsubscribe
//! ASK: Copy 2:4 to Old [strict]       ANS: copied lsn=9 uidvalidity=7 from=2:4 first=10 [id=2]        the same for Move
//! NOTE: Changed lsn=9                 NOTE: Shutdown    NOTE: Shed
//! ```
//!
//! A mailbox: `mailbox [id=1] [lsn=1] [uidvalidity=1] [next=1] [recent=…] [keywords=a+b] [rows=…]`; a row:
//! `uid[-uid][:flags][@size[/prefix]][#date]`, flags joined by `+`, the date in seconds since 1970. In a list a name may stand in
//! quotes, and `:nonexistent` and `:unsubscribed` behind a use. Where the store says no: `refused missing / full / limit [text] / stopping`.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use super::ask::{
    AppendDone, Appended, Ask, BodiesOpened, Digests, ExpungeDone, FlagsSet, FlagsSetAt, MailboxList, Matched, Notice, Opened,
    Pulled, PulledChanges, TransferDone, TreeChanged, Value,
};
use crate::bytes::base64;
use crate::imap::flag;
use crate::imap::search::{Candidate, Matcher, Program};
use crate::imap::sequence::Intervals;
use crate::machine::{Answer, BodyError};
use crate::message::digest::Digest;
use crate::message::intake::Intake;
use crate::policy::access::Login;
use crate::record::Record;
use crate::sasl::ProofVerdict;
use crate::script::ScriptForm;
use crate::smtp::server::ask::{PasswordVerdict, SinkOpened, TlsEvidence, TlsOutcome};
use crate::smtp::server::script::scram_salt;
use crate::store::request::{FlagHow, ListedMailbox, Refused, Selected};
use crate::store::version::{Change, ChangeKind, Changes};
use crate::store::{AccountId, Flags, Lsn, MailboxId, MailboxKey, MailboxName, SpecialUse, Uid};

mod mailbox;
mod text;
mod tree;

/// The account that `granted` logs in as.
pub const ACCOUNT: AccountId = AccountId([0xac; 16]);

impl ScriptForm for Session {
    fn ask_line(ask: &Ask) -> String {
        match ask {
            Ask::StartTls { .. } => "StartTls".into(),
            Ask::VerifyPassword { login, .. } => format!("VerifyPassword {login}"),
            Ask::ScramSalt { login, .. } => format!("ScramSalt {login}"),
            Ask::ScramProof { login, message, .. } => format!("ScramProof {login} {message}"),
            Ask::Mailboxes { .. } => "Mailboxes".into(),
            Ask::Select {
                name,
                watch,
                take_recent,
                ..
            } => {
                let watch = if *watch { " watch" } else { "" };
                format!("Select {}{watch}{}", name.0, recent(*take_recent))
            }
            Ask::Unwatch { .. } => "Unwatch".into(),
            Ask::Changes { since, take_recent, .. } => format!("Changes since {since}{}", recent(*take_recent)),
            Ask::Digests { rows, .. } => format!("Digests {}", uids(rows.iter().map(|row| row.uid))),
            Ask::OpenBodies { parts, .. } => {
                let parts = parts
                    .iter()
                    .map(|part| format!(" {}[{}+{}]", part.row.uid, part.start, part.len));
                String::from("OpenBodies") + &parts.collect::<String>()
            }
            Ask::Match { candidates, .. } => format!("Match {}", uids(candidates.iter().map(|candidate| candidate.row.uid))),
            Ask::SetFlags { uids: set, change, .. } => {
                let how = match change.how {
                    FlagHow::Add => "+",
                    FlagHow::Remove => "-",
                    FlagHow::Replace => "",
                };
                let flags = flag_list(change.flags, &change.keywords);
                format!("SetFlags {} {how}{flags}", uids(set.iter().copied()))
            }
            Ask::Expunge { uids: None, .. } => "Expunge all".into(),
            Ask::Expunge { uids: Some(set), .. } => format!("Expunge {}", uids(set.iter().copied())),
            Ask::OpenMessage { size, .. } => format!("OpenMessage {size}"),
            Ask::DropMessage => "DropMessage".into(),
            Ask::CommitAppend {
                flags,
                keywords,
                internal_date,
                ..
            } => format!("CommitAppend {} {}", flag_list(*flags, keywords), internal_date.seconds()),
            Ask::ChangeTree { wish, .. } => tree::wish_line(wish),
            Ask::Transfer {
                to,
                uids: set,
                strict,
                moves,
                ..
            } => {
                let verb = if *moves { "Move" } else { "Copy" };
                let strict = if *strict { " strict" } else { "" };
                format!("{verb} {} to {}{strict}", uids(set.iter().copied()), to.0)
            }
        }
    }

    fn answer_line(ask: Ask, text: &str) -> Result<Option<Answer<Value>>, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        let refused = (word == "refused").then(|| parse_refused(rest)).transpose()?;
        Ok(Some(match ask {
            Ask::Unwatch { .. } | Ask::DropMessage => return Ok(None),
            Ask::StartTls { then } => then.answer(match word {
                "secure" => TlsOutcome::Secure(TlsEvidence {
                    version: "TLSv1.3".into(),
                    cipher: "TLS_AES_256_GCM_SHA384".into(),
                    bits: 256,
                }),
                "failed" => TlsOutcome::Failed,
                _ => return Err("secure or failed".into()),
            }),
            Ask::VerifyPassword { then, .. } => then.answer(match word {
                "granted" => PasswordVerdict::Granted(Login {
                    account: ACCOUNT,
                    name: rest.into(),
                }),
                "denied" => PasswordVerdict::Denied,
                "busy" => PasswordVerdict::Busy,
                _ => return Err("granted NAME, denied or busy".into()),
            }),
            Ask::ScramSalt { then, .. } => then.answer(scram_salt(text).ok_or("salt")?),
            Ask::ScramProof { then, .. } => then.answer(match word {
                "granted" => ProofVerdict::Granted {
                    login: Login {
                        account: ACCOUNT,
                        name: rest.into(),
                    },
                    signature: crate::sasl::Proof([0; 32]),
                },
                "denied" => ProofVerdict::Denied,
                _ => return Err("granted NAME or denied".into()),
            }),
            Ask::Mailboxes { then, .. } => then.answer(MailboxList(match refused {
                Some(refused) => Err(refused),
                None => Ok(parse_list(rest)?),
            })),
            Ask::Select { then, .. } => then.answer(Opened(match refused {
                Some(refused) => Err(refused),
                None => Ok(mailbox::parse(text)?),
            })),
            Ask::Changes { then, .. } => {
                let own = then.id().machine;
                then.answer(Pulled(match refused {
                    Some(refused) => Err(refused),
                    None => Ok(parse_changes(text, own)?),
                }))
            }
            Ask::Digests { then, rows, .. } => then.answer(Digests(parse_digests(text, rows.len())?)),
            Ask::OpenBodies { then, .. } => then.answer(match word {
                "ready" => BodiesOpened::Ready,
                "missing" => BodiesOpened::Failed(BodyError::Missing),
                "corrupt" => BodiesOpened::Failed(BodyError::Corrupt),
                "unreadable" => BodiesOpened::Failed(BodyError::Unreadable),
                _ => return Err("ready, missing, corrupt or unreadable".into()),
            }),
            Ask::Match {
                then,
                program,
                candidates,
                ..
            } => then.answer(Matched(match word {
                "matched" => parse_matched(rest, candidates.len())?,
                _ => match_messages(text, &program, &candidates)?,
            })),
            Ask::SetFlags { then, .. } => then.answer(FlagsSet(match refused {
                Some(refused) => Err(refused),
                None => Ok(FlagsSetAt {
                    lsn: Lsn(number(rest, "lsn")?),
                    modified: Vec::new(),
                }),
            })),
            Ask::Expunge { then, .. } => then.answer(ExpungeDone(match refused {
                Some(refused) => Err(refused),
                None => Ok(Lsn(number(rest, "lsn")?)),
            })),
            Ask::OpenMessage { then, .. } => then.answer(match word {
                "ready" => SinkOpened::Ready,
                "full" => SinkOpened::Full,
                "failed" => SinkOpened::Failed,
                _ => return Err("ready, full or failed".into()),
            }),
            Ask::ChangeTree { then, .. } => then.answer(TreeChanged(match refused {
                Some(refused) => Err(refused),
                None => Ok(tree::parse_done(rest)?),
            })),
            Ask::Transfer { then, .. } => then.answer(TransferDone(match refused {
                Some(refused) => Err(refused),
                None => Ok(tree::parse_transferred(rest)?),
            })),
            Ask::CommitAppend { then, .. } => then.answer(AppendDone(match refused {
                Some(refused) => Err(refused),
                None => Ok(Appended {
                    lsn: Lsn(number(rest, "lsn")?),
                    uid_validity: number(rest, "uidvalidity")?,
                    uid: Uid(number(rest, "uid")?),
                }),
            })),
        }))
    }

    fn notice_line(text: &str) -> Result<Notice, String> {
        match text.split_once(' ').unwrap_or((text, "")) {
            ("Shutdown", "") => Ok(Notice::Shutdown),
            ("Shed", "") => Ok(Notice::Shed),
            ("Changed", rest) => Ok(Notice::Changed {
                mailbox: key(word(rest, "id").unwrap_or("1"))?,
                lsn: Lsn(number(rest, "lsn")?),
            }),
            _ => Err("Changed lsn=N, Shutdown or Shed".into()),
        }
    }
}

fn recent(take: bool) -> &'static str {
    if take { " recent" } else { "" }
}

fn uids(uids: impl Iterator<Item = Uid>) -> String {
    let mut out = Vec::new();
    Intervals::from_sorted(uids.map(|uid| uid.0)).encode(&mut out);
    String::from_utf8_lossy(&out).into_owned()
}

fn flag_list(flags: Flags, keywords: &[Arc<str>]) -> String {
    let mut out = Vec::new();
    flag::encode_list(flags, keywords.iter().map(|keyword| &**keyword), false, &mut out);
    String::from_utf8_lossy(&out).into_owned()
}

/// The value of `name=value` among words.
fn word<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.split_whitespace()
        .find_map(|word| word.strip_prefix(name)?.strip_prefix('='))
}

fn number<T: core::str::FromStr>(text: &str, name: &str) -> Result<T, String> {
    let value = word(text, name).ok_or_else(|| format!("{name}= is missing"))?;
    parse(value)
}

fn parse<T: core::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("not a number: {text}"))
}

fn key(id: &str) -> Result<MailboxKey, String> {
    Ok(MailboxKey {
        account: ACCOUNT,
        mailbox: MailboxId([parse(id)?; 16]),
    })
}

fn parse_refused(text: &str) -> Result<Refused, String> {
    let (word, why) = text.split_once(' ').unwrap_or((text, "as the script says"));
    Ok(match word {
        "missing" => Refused::NoSuchMailbox,
        "full" => Refused::DiskFull,
        "limit" => Refused::Limit(why.into()),
        "stopping" => Refused::Stopping,
        "exists" => Refused::AlreadyExists,
        "cannot" => Refused::Cannot(why.into()),
        "children" => Refused::HasChildren,
        "use" => Refused::UseTaken,
        "destination" => Refused::NoDestination,
        "expunged" => Refused::Expunged,
        _ => return Err("refused missing, full, limit, stopping, exists, cannot, children, use, destination, expunged".into()),
    })
}

/// `mailboxes name[:use][:unsubscribed][:nonexistent]…`
fn parse_list(text: &str) -> Result<Arc<[ListedMailbox]>, String> {
    let (mut list, mut rest) = (Vec::new(), text.trim());
    while !rest.is_empty() {
        let (name, behind) = listed_name(rest)?;
        let (words, behind) = behind.split_once(' ').unwrap_or((behind, ""));
        let mut listed = ListedMailbox {
            mailbox: Some(MailboxId([list.len() as u8 + 1; 16])),
            name: MailboxName(name.as_str().into()),
            special_use: None,
            subscribed: true,
        };
        for word in words.split(':').filter(|word| !word.is_empty()) {
            match word {
                "unsubscribed" => listed.subscribed = false,
                "nonexistent" => listed.mailbox = None,
                "\\Archive" => listed.special_use = Some(SpecialUse::Archive),
                "\\Drafts" => listed.special_use = Some(SpecialUse::Drafts),
                "\\Junk" => listed.special_use = Some(SpecialUse::Junk),
                "\\Sent" => listed.special_use = Some(SpecialUse::Sent),
                "\\Trash" => listed.special_use = Some(SpecialUse::Trash),
                _ => return Err(format!("no use of a mailbox: {word}")),
            }
        }
        list.push(listed);
        rest = behind.trim_start();
    }
    list.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(list.into())
}

/// A name and what is behind it: up to a blank or a colon, or in quotes with `\"` and `\\`.
fn listed_name(text: &str) -> Result<(String, &str), String> {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ':']).unwrap_or(text.len());
        return Ok((text[..end].into(), &text[end..]));
    };
    let (mut name, mut parts) = (String::new(), quoted.char_indices());
    while let Some((at, part)) = parts.next() {
        match part {
            '"' => return Ok((name, &quoted[at + 1..])),
            '\\' => name.extend(parts.next().map(|(_, part)| part)),
            _ => name.push(part),
        }
    }
    Err(format!("a quote is missing: {text}"))
}

/// `list @lsn [own] appended|flagged|expunged uid+uid, …; mailbox …`, or `diff; mailbox …`
fn parse_changes(text: &str, own: u64) -> Result<PulledChanges, String> {
    let (changes, newest) = text.split_once("; ").ok_or("list …; mailbox …, or diff; mailbox …")?;
    let Selected {
        version, recent_from, ..
    } = mailbox::parse(newest)?;
    let changes = match changes.strip_prefix("list") {
        Some(list) => {
            let list = list.split(',').map(str::trim).filter(|change| !change.is_empty());
            let list: Vec<Change> = list.map(|change| parse_change(change, own)).collect::<Result<_, _>>()?;
            Changes::List(list.into(), version)
        }
        None => Changes::Diff(version),
    };
    Ok(PulledChanges { changes, recent_from })
}

fn parse_change(text: &str, own: u64) -> Result<Change, String> {
    let mut words = text.split_whitespace().peekable();
    let lsn = words.next().and_then(|lsn| lsn.strip_prefix('@')).ok_or("@lsn is missing")?;
    let origin = if words.next_if_eq(&"own").is_some() { own } else { 0 };
    let what = words.next().unwrap_or_default();
    let uids = words.next().unwrap_or_default().split('+');
    let uids = uids.map(|uid| parse(uid).map(Uid)).collect::<Result<Vec<Uid>, String>>()?;
    Ok(Change {
        lsn: Lsn(parse(lsn)?),
        origin,
        what: match what {
            "appended" => ChangeKind::Appended(uids),
            "flagged" => ChangeKind::Flagged(uids),
            "expunged" => ChangeKind::Expunged(uids),
            _ => return Err(format!("no kind of change: {what}")),
        },
    })
}

/// `messages message | message | gone`, each message with `\r\n` escaped: they are searched here.
fn match_messages(text: &str, program: &Arc<Program>, candidates: &[Candidate]) -> Result<Vec<bool>, String> {
    let list = text.strip_prefix("messages ").ok_or("messages message | message | gone")?;
    let list: Vec<&str> = list.split(" | ").collect();
    if list.len() != candidates.len() {
        return Err(format!("{} messages are wanted, not {}", candidates.len(), list.len()));
    }
    let matched = list.iter().zip(candidates).map(|(message, candidate)| {
        let mut matcher = Matcher::new(program.clone(), *candidate);
        matcher.update(message.replace("\\r", "\r").replace("\\n", "\n").as_bytes());
        *message != "gone" && matcher.finish()
    });
    Ok(matched.collect())
}

/// `matched yes no`: as it was recorded.
fn parse_matched(text: &str, wanted: usize) -> Result<Vec<bool>, String> {
    let matched = text.split_whitespace().map(|word| match word {
        "yes" => Ok(true),
        "no" => Ok(false),
        _ => Err(format!("yes or no, not {word}")),
    });
    let matched = matched.collect::<Result<Vec<bool>, String>>()?;
    if matched.len() == wanted {
        Ok(matched)
    } else {
        Err(format!("{wanted} messages are wanted, not {}", matched.len()))
    }
}

/// `digests message | message | gone`, each message with `\r\n` escaped, or `record` and a recorded digest.
fn parse_digests(text: &str, wanted: usize) -> Result<Vec<Option<Arc<Digest>>>, String> {
    let list = text.strip_prefix("digests ").ok_or("digests message | message | gone")?;
    let list = list.split(" | ").map(|message| {
        if message == "gone" {
            return Ok(None);
        }
        if let Some(recorded) = message.strip_prefix("record ") {
            let recorded = base64::decode(recorded.as_bytes()).ok_or("a digest is not in base64")?;
            return Digest::from_record(&recorded)
                .map(|digest| Some(Arc::new(digest)))
                .map_err(|error| String::from(error.0));
        }
        let mut intake = Intake::new();
        intake.update(message.replace("\\r", "\r").replace("\\n", "\n").as_bytes());
        Ok(Some(Arc::new(intake.finish().digest)))
    });
    let list = list.collect::<Result<Vec<Option<Arc<Digest>>>, String>>()?;
    if list.len() == wanted {
        Ok(list)
    } else {
        Err(format!("{wanted} messages are wanted, not {}", list.len()))
    }
}
