//! How this machine's asks and answers look in a script (the grammar is in [`crate::script`]).
//!
//! ```text
//! ASK: StartTls                             ANS: secure | failed why
//! ASK: NextTransaction                      ANS: none | 7 <a@one.test> size=12 to b@two.test c@two.test
//! ASK: OpenBody 7 0+12                      ANS: ready | missing | corrupt | unreadable         then BODYIN: …
//! ASK: Report 7 relayed by mx.two.test: 250 2.0.0 OK | failed: 550 5.6.7 text               ANS: done
//! ASK: Unusable by mx.two.test: 554 5.0.0 no (greeted)
//! NOTE: Shutdown
//! ```
//!
//! A transaction: `id <reverse path> size=N [8bit] [utf8] [ret=full] [envid=text] to recipient…`; a recipient:
//! `address[,notify=never|success+failure+delay][,orcpt=type;address]`.

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use super::ask::*;
use super::trace::New;
use crate::address::{Mailbox, ReversePath};
use crate::machine::{Answer, BodyError};
use crate::script::ScriptForm;
use crate::smtp::server::ask::TlsEvidence;
use crate::store::queue::{Notify, QueueId, QueuedRecipient, Ret, Said, Wishes};
use crate::trace::script::{self, Scripted};

impl ScriptForm for Session {
    fn ask_line(ask: &Ask) -> String {
        match ask {
            Ask::StartTls { .. } => "StartTls".into(),
            Ask::NextTransaction { .. } => "NextTransaction".into(),
            Ask::OpenBody { id, start, len, .. } => format!("OpenBody {} {start}+{len}", id.0),
            Ask::Report { id, results, .. } => {
                let results: Vec<String> = results.iter().map(outcome).collect();
                format!("Report {} {}", id.0, results.join(" | "))
            }
            Ask::Unusable { said: words, greeted } => {
                let greeted = if *greeted { " (greeted)" } else { "" };
                format!("Unusable{}{greeted}", said(words))
            }
        }
    }

    fn answer_line(ask: Ask, text: &str) -> Result<Option<Answer<Value>>, String> {
        let (word, rest) = text.split_once(' ').unwrap_or((text, ""));
        Ok(Some(match ask {
            Ask::Unusable { .. } => return Ok(None),
            Ask::StartTls { then } => then.answer(match word {
                "secure" => TlsOutcome::Secure(TlsEvidence {
                    version: "TLSv1.3".into(),
                    cipher: "TLS_AES_256_GCM_SHA384".into(),
                    bits: 256,
                }),
                "failed" => TlsOutcome::Failed(rest.into()),
                _ => return Err("secure, or failed and why".into()),
            }),
            Ask::NextTransaction { then } => then.answer(Next(match word {
                "none" => None,
                _ => Some(Arc::new(transaction(text)?)),
            })),
            Ask::OpenBody { then, .. } => then.answer(match word {
                "ready" => BodyOpened::Ready,
                "missing" => BodyOpened::Failed(BodyError::Missing),
                "corrupt" => BodyOpened::Failed(BodyError::Corrupt),
                "unreadable" => BodyOpened::Failed(BodyError::Unreadable),
                _ => return Err("ready, missing, corrupt or unreadable".into()),
            }),
            Ask::Report { then, .. } => then.answer(match word {
                "done" => Reported,
                _ => return Err("done".into()),
            }),
        }))
    }

    fn notice_line(text: &str) -> Result<Notice, String> {
        match text {
            "Shutdown" => Ok(Notice::Shutdown),
            _ => Err(format!("no such notice: {text}")),
        }
    }
}

impl Scripted for Session {
    type Names = ();

    fn settings(new: &New) -> Result<(Vec<String>, New, ()), String> {
        let settings = &new.settings;
        let mut lines = Vec::new();
        match settings.tls {
            TlsUse::Opportunistic => {}
            TlsUse::Never => lines.push("tls never".into()),
            TlsUse::Required => lines.push("tls required".into()),
            TlsUse::Implicit => lines.push("tls implicit".into()),
        }
        if let Some(Credentials { user, password }) = &settings.login {
            lines.push(format!("login {} {}", plain(user)?, plain(password.reveal())?));
        }
        let made = New {
            settings: Settings {
                hostname: "mx.one.test".into(),
                server: "mx.two.test".into(),
                ..settings.clone()
            },
            machine: 1,
            now: script::BEGIN,
        };
        Ok((lines, made, ()))
    }

    fn answer_text((): &mut (), value: &Value) -> Result<String, String> {
        Ok(match value {
            Value::Tls(TlsOutcome::Secure(_)) => "secure".into(),
            Value::Tls(TlsOutcome::Failed(why)) => format!("failed {why}"),
            Value::Next(Next(None)) => "none".into(),
            Value::Next(Next(Some(transaction))) => transaction_text(transaction)?,
            Value::Body(BodyOpened::Ready) => "ready".into(),
            Value::Body(BodyOpened::Failed(BodyError::Missing)) => "missing".into(),
            Value::Body(BodyOpened::Failed(BodyError::Corrupt)) => "corrupt".into(),
            Value::Body(BodyOpened::Failed(BodyError::Unreadable)) => "unreadable".into(),
            Value::Reported(Reported) => "done".into(),
        })
    }

    fn notice_text((): &mut (), notice: &Notice) -> Result<String, String> {
        match notice {
            Notice::Shutdown => Ok("Shutdown".into()),
        }
    }
}

/// A word of a line, which has to stay one.
fn plain(word: &str) -> Result<&str, String> {
    match word.contains(|part: char| part.is_whitespace() || part.is_control() || part == ',') || word.is_empty() {
        true => Err(format!("a script has no words for {word:?}")),
        false => Ok(word),
    }
}

fn transaction_text(transaction: &Transaction) -> Result<String, String> {
    let mut text = format!("{} {}", transaction.id.0, plain(&transaction.reverse_path.to_string())?);
    text += &format!(" size={}", transaction.size);
    let wishes = &transaction.wishes;
    for (word, wished) in [
        ("ours", transaction.ours),
        ("8bit", wishes.eight_bit),
        ("utf8", wishes.utf8),
        ("ret=full", wishes.ret == Some(Ret::Full)),
        ("ret=hdrs", wishes.ret == Some(Ret::Headers)),
    ] {
        if wished {
            text += &format!(" {word}");
        }
    }
    if let Some(id) = &wishes.envelope_id {
        text += &format!(" envid={}", plain(id)?);
    }
    text += " to";
    for recipient in &transaction.recipients {
        text += &format!(" {}", plain(&recipient.address.to_string())?);
        if let Some(notify) = recipient.notify {
            let names = [
                ("never", Notify::NEVER),
                ("success", Notify::SUCCESS),
                ("failure", Notify::FAILURE),
                ("delay", Notify::DELAY),
            ];
            let names: Vec<&str> = names
                .iter()
                .filter(|(_, one)| notify.0 & one.0 != 0)
                .map(|(name, _)| *name)
                .collect();
            text += &format!(",notify={}", plain(&names.join("+"))?);
        }
        if let Some(original) = &recipient.original {
            text += &format!(",orcpt={}", plain(original)?);
        }
    }
    Ok(text)
}

fn outcome(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Relayed { said: words, dsn: false } => format!("relayed{}", said(words)),
        Outcome::Relayed { said: words, dsn: true } => format!("relayed (dsn){}", said(words)),
        Outcome::Deferred(words) => format!("deferred{}", said(words)),
        Outcome::Failed(words) => format!("failed{}", said(words)),
    }
}

fn said(said: &Said) -> String {
    let by = said.by.as_ref().map_or(String::new(), |by| format!(" by {by}"));
    let [class, subject, detail] = said.status;
    let line = format!("{by}: {} {class}.{subject}.{detail} {}", said.code, said.text);
    line.trim_end().into()
}

fn transaction(text: &str) -> Result<Transaction, String> {
    let (head, recipients) = text.split_once(" to ").ok_or("id <reverse path> size=N to recipients")?;
    let mut words = head.split_whitespace();
    let id = words.next().and_then(|id| id.parse().ok()).ok_or("an id is missing")?;
    let path = words.next().ok_or("a reverse path is missing")?;
    let (reverse_path, _) = ReversePath::parse_prefix(path.as_bytes(), true).map_err(|error| format!("{path}: {error}"))?;
    let mut wishes = Wishes::default();
    let (mut size, mut ours) = (None, false);
    for word in words {
        match word.split_once('=') {
            Some(("size", value)) => size = value.parse().ok(),
            Some(("ret", "full")) => wishes.ret = Some(Ret::Full),
            Some(("ret", "hdrs")) => wishes.ret = Some(Ret::Headers),
            Some(("envid", value)) => wishes.envelope_id = Some(value.into()),
            None if word == "ours" => ours = true,
            None if word == "8bit" => wishes.eight_bit = true,
            None if word == "utf8" => wishes.utf8 = true,
            _ => return Err(format!("no such wish: {word}")),
        }
    }
    Ok(Transaction {
        id: QueueId(id),
        reverse_path,
        wishes,
        recipients: recipients.split_whitespace().map(recipient).collect::<Result<_, _>>()?,
        size: size.ok_or("size= is missing")?,
        ours,
    })
}

fn recipient(text: &str) -> Result<QueuedRecipient, String> {
    let mut parts = text.split(',');
    let address = parts.next().unwrap_or_default();
    let address = Mailbox::parse(address, true).map_err(|error| format!("{address}: {error}"))?;
    let mut recipient = QueuedRecipient::of(address);
    for part in parts {
        match part.split_once('=') {
            Some(("orcpt", original)) => recipient.original = Some(original.into()),
            Some(("notify", names)) => {
                let mut bits = 0;
                for name in names.split('+') {
                    bits |= match name {
                        "never" => Notify::NEVER.0,
                        "success" => Notify::SUCCESS.0,
                        "failure" => Notify::FAILURE.0,
                        "delay" => Notify::DELAY.0,
                        _ => return Err(format!("no such report: {name}")),
                    };
                }
                recipient.notify = Some(Notify(bits));
            }
            _ => return Err(format!("no such parameter: {part}")),
        }
    }
    Ok(recipient)
}
