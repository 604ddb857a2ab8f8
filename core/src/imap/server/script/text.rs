//! A recording's answers and notices in the words of scripts.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::ask::{BodiesOpened, Notice, PulledChanges, Settings, Value};
use super::super::trace::New;
use super::{Session, mailbox};
use crate::bytes::base64;
use crate::imap::response::special_use;
use crate::machine::BodyError;
use crate::record::Record;
use crate::smtp::server::ask::TlsEvidence;
use crate::smtp::server::script::{password_text, proof_text, salt_text, sink_text, tls_text};
use crate::store::ranges::UidRanges;
use crate::store::request::{ListedMailbox, Refused};
use crate::store::version::{Change, ChangeKind, Changes};
use crate::store::{MailboxId, MailboxKey};
use crate::trace::script::{self, Scripted};

/// The largest message, unless a script says otherwise.
const MESSAGE_MAX: u64 = 50_000_000;

/// The numbers that mailboxes have in the script, in the order of their coming up, and which changes are the session's own.
#[derive(Debug, Default)]
pub struct Names {
    mailboxes: Vec<MailboxId>,
    own: u64,
}

impl Names {
    /// Nothing for the first mailbox, ` id=2` for the second.
    fn id(&mut self, key: MailboxKey) -> Result<String, String> {
        Ok(match self.number(key)? {
            1 => String::new(),
            number => format!(" id={number}"),
        })
    }

    fn number(&mut self, key: MailboxKey) -> Result<u8, String> {
        let known = self.mailboxes.iter().position(|known| *known == key.mailbox);
        let place = known.unwrap_or_else(|| {
            self.mailboxes.push(key.mailbox);
            self.mailboxes.len() - 1
        });
        u8::try_from(place + 1).map_err(|_| "a script has numbers for 255 mailboxes only".into())
    }
}

impl Scripted for Session {
    type Names = Names;

    fn settings(new: &New) -> Result<(Vec<String>, New, Names), String> {
        let settings = &new.settings;
        let mut lines = Vec::new();
        for (name, given) in [
            ("tls", new.tls.is_some()),
            ("starttls", settings.starttls),
            ("plaintext", settings.plaintext_auth),
            ("scram", settings.scram),
        ] {
            if given {
                lines.push(name.into());
            }
        }
        if settings.message_max != MESSAGE_MAX {
            lines.push(format!("max {}", settings.message_max));
        }
        let made = New {
            settings: Arc::new(Settings {
                hostname: "mx.one.test".into(),
                ..(**settings).clone()
            }),
            tls: new.tls.is_some().then(|| TlsEvidence {
                version: "TLSv1.3".into(),
                cipher: "TLS_AES_256_GCM_SHA384".into(),
                bits: 256,
            }),
            machine: 7,
            now: script::BEGIN,
        };
        let names = Names {
            mailboxes: Vec::new(),
            own: new.machine,
        };
        Ok((lines, made, names))
    }

    fn answer_text(names: &mut Names, value: &Value) -> Result<String, String> {
        let or_refused = |done: Result<String, &Refused>| done.unwrap_or_else(refused_text);
        Ok(match value {
            Value::Tls(outcome) => tls_text(outcome).into(),
            Value::Password(verdict) => password_text(verdict),
            Value::Salt(salt) => salt_text(salt),
            Value::Proof(verdict) => proof_text(verdict),
            Value::Mailboxes(list) => match &list.0 {
                Err(refused) => refused_text(refused),
                Ok(list) => String::from("mailboxes") + &list.iter().map(listed_text).collect::<String>(),
            },
            Value::Opened(opened) => match &opened.0 {
                Err(refused) => refused_text(refused),
                Ok(selected) => {
                    let id = names.id(selected.mailbox)?;
                    format!("mailbox{id}{}", mailbox::text(&selected.version, selected.recent_from)?)
                }
            },
            Value::Pulled(pulled) => match &pulled.0 {
                Err(refused) => refused_text(refused),
                Ok(pulled) => changes_text(pulled, names.own)?,
            },
            Value::Digests(digests) => {
                let one = |digest: &Option<_>| match digest {
                    Some(digest) => format!("record {}", base64::encode(&Record::to_record(digest))),
                    None => "gone".into(),
                };
                let digests: Vec<String> = digests.0.iter().map(one).collect();
                format!("digests {}", digests.join(" | "))
            }
            Value::Bodies(BodiesOpened::Ready) => "ready".into(),
            Value::Bodies(BodiesOpened::Failed(error)) => match error {
                BodyError::Missing => "missing".into(),
                BodyError::Corrupt => "corrupt".into(),
                BodyError::Unreadable => "unreadable".into(),
            },
            Value::Matched(matched) => {
                let words = matched.0.iter().map(|matched| if *matched { " yes" } else { " no" });
                String::from("matched") + &words.collect::<String>()
            }
            Value::Flags(set) => match &set.0 {
                Ok(set) if !set.modified.is_empty() => return Err("a script has no words for UNCHANGEDSINCE".into()),
                set => or_refused(set.as_ref().map(|set| format!("done lsn={}", set.lsn))),
            },
            Value::Expunged(done) => or_refused(done.0.as_ref().map(|lsn| format!("done lsn={lsn}"))),
            Value::Sink(opened) => sink_text(*opened).into(),
            Value::Appended(done) => or_refused(done.0.as_ref().map(|done| {
                let (lsn, uid_validity, uid) = (done.lsn, done.uid_validity, done.uid.0);
                format!("appended lsn={lsn} uidvalidity={uid_validity} uid={uid}")
            })),
            Value::Tree(done) => match &done.0 {
                Err(refused) => refused_text(refused),
                Ok(done) => {
                    let id = done.mailbox.map(|key| names.number(key)).transpose()?;
                    let id = id.map_or_else(String::new, |id| format!(" id={id}"));
                    format!("done lsn={}{id}", done.lsn)
                }
            },
            Value::Transferred(done) => match &done.0 {
                Err(refused) => refused_text(refused),
                Ok(done) => {
                    let from = match done.from.0.is_empty() {
                        true => String::new(),
                        false => format!(" from={}", ranges_text(&done.from)),
                    };
                    let (lsn, uid_validity, first) = (done.lsn, done.uid_validity, done.first.0);
                    let id = names.number(done.to)?;
                    format!("copied lsn={lsn} uidvalidity={uid_validity}{from} first={first} id={id}")
                }
            },
        })
    }

    fn notice_text(names: &mut Names, notice: &Notice) -> Result<String, String> {
        Ok(match notice {
            Notice::Changed { mailbox, lsn } => format!("Changed{} lsn={lsn}", names.id(*mailbox)?),
            Notice::Shutdown => "Shutdown".into(),
            Notice::Shed => "Shed".into(),
        })
    }
}

fn refused_text(refused: &Refused) -> String {
    let word = match refused {
        Refused::NoSuchMailbox => "missing",
        Refused::DiskFull => "full",
        Refused::Limit(text) => return format!("refused limit {text}"),
        Refused::Stopping => "stopping",
        Refused::AlreadyExists => "exists",
        Refused::Cannot(text) => return format!("refused cannot {text}"),
        Refused::HasChildren => "children",
        Refused::UseTaken => "use",
        Refused::NoDestination => "destination",
        Refused::Expunged => "expunged",
    };
    format!("refused {word}")
}

/// ` name[:\Use][:unsubscribed][:nonexistent]`, the name in quotes where it has to be.
fn listed_text(listed: &ListedMailbox) -> String {
    let name = &listed.name.0;
    let plain = !name.contains(|part: char| part.is_whitespace() || matches!(part, '"' | ':' | '\\'));
    let mut text = match plain {
        true => format!(" {name}"),
        false => format!(" \"{}\"", name.replace('\\', "\\\\").replace('"', "\\\"")),
    };
    if let Some(wanted) = listed.special_use {
        text += &format!(":{}", special_use(wanted));
    }
    if !listed.subscribed {
        text += ":unsubscribed";
    }
    if listed.mailbox.is_none() {
        text += ":nonexistent";
    }
    text
}

fn changes_text(pulled: &PulledChanges, own: u64) -> Result<String, String> {
    let change = |change: &Change| {
        let own = if change.origin == own { " own" } else { "" };
        let (what, uids) = match &change.what {
            ChangeKind::Appended(uids) => ("appended", uids),
            ChangeKind::Flagged(uids) => ("flagged", uids),
            ChangeKind::Expunged(uids) => ("expunged", uids),
        };
        let uids: Vec<String> = uids.iter().map(|uid| uid.0.to_string()).collect();
        format!(" @{}{own} {what} {}", change.lsn, uids.join("+"))
    };
    let (changes, version) = match &pulled.changes {
        Changes::List(list, version) => {
            let list: Vec<String> = list.iter().map(change).collect();
            (format!("list{}", list.join(",")), version)
        }
        Changes::Diff(version) => ("diff".into(), version),
    };
    Ok(format!("{changes}; mailbox{}", mailbox::text(version, pulled.recent_from)?))
}

fn ranges_text(ranges: &UidRanges) -> String {
    let one = |(first, last): &(crate::store::Uid, crate::store::Uid)| match first == last {
        true => first.0.to_string(),
        false => format!("{}:{}", first.0, last.0),
    };
    ranges.0.iter().map(one).collect::<Vec<_>>().join(",")
}
