//! How this machine's asks and answers look in a script (the grammar is in [`crate::script`]).
//!
//! ```text
//! ASK: StartTls                          ANS: secure | failed
//! ASK: VerifyPassword alice              ANS: granted alice@one.test | denied | busy
//! ASK: ScramSalt alice                   ANS: salt [base64 iterations=4096 nonce=base64]
//! ASK: ScramProof alice n=alice,r=…      ANS: granted alice@one.test | denied
//! ASK: ResolveRecipient <b@one.test>     ANS: local b@one.test | remote c@two.test | refuse 550 5.1.1 text
//!                                        (an alias: several of the first two, with `, ` between them)
//! ASK: JudgeAuthor from=a@one.test sender=-    ANS: yes | refuse 550 5.7.1 text
//! ASK: OpenMessage 0                     ANS: ready | full | failed
//! ASK: CommitMessage <a@b> to b@one.test remote c@two.test size=12    ANS: done | full | failed
//! ASK: DropMessage
//! ```

use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use super::ask::*;
use super::trace::New;
use crate::address::Mailbox;
use crate::bytes::base64;
use crate::limits;
use crate::machine::Answer;
use crate::policy::access::{AuthorVerdict, Login, RecipientVerdict, Refusal, Target};
use crate::sasl::{ProofVerdict, ScramSalt};
use crate::script::ScriptForm;
use crate::store::AccountId;
use crate::store::queue::{QueuedRecipient, Ret, Task};
use crate::trace::script::{self, Scripted};

impl ScriptForm for Session {
    fn ask_line(ask: &Ask) -> String {
        match ask {
            Ask::StartTls { .. } => "StartTls".into(),
            Ask::VerifyPassword { login, .. } => format!("VerifyPassword {login}"),
            Ask::ScramSalt { login, .. } => format!("ScramSalt {login}"),
            Ask::ScramProof { login, message, .. } => format!("ScramProof {login} {message}"),
            Ask::ResolveRecipient { matter, .. } => format!("ResolveRecipient {}", matter.recipient),
            Ask::JudgeAuthor { matter, .. } => {
                let from: Vec<String> = matter.from.iter().map(ToString::to_string).collect();
                let sender = matter.sender.as_ref().map_or_else(|| "-".into(), ToString::to_string);
                format!("JudgeAuthor from={} sender={sender}", from.join(","))
            }
            Ask::OpenMessage { size, .. } => format!("OpenMessage {size}"),
            Ask::DropMessage => "DropMessage".into(),
            Ask::CommitMessage { message, .. } => commit_line(message),
        }
    }

    fn answer_line(ask: Ask, text: &str) -> Result<Option<Answer<Value>>, String> {
        let unknown = || format!("no such answer: {text}");
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
            Ask::ScramSalt { then, .. } => then.answer(scram_salt(text).ok_or_else(unknown)?),
            Ask::ScramProof { then, .. } => then.answer(proof_verdict(text).ok_or_else(unknown)?),
            Ask::ResolveRecipient { then, .. } => {
                let outcome = match refusal(text) {
                    Some(refusal) => Err(refusal),
                    None => Ok(text.split(", ").map(target).collect::<Result<_, _>>()?),
                };
                then.answer(RecipientVerdict {
                    outcome,
                    because: Vec::new(),
                })
            }
            Ask::JudgeAuthor { then, .. } => {
                let outcome = if text == "yes" {
                    Ok(())
                } else {
                    Err(refusal(text).ok_or_else(unknown)?)
                };
                then.answer(AuthorVerdict {
                    outcome,
                    because: Vec::new(),
                })
            }
            Ask::OpenMessage { then, .. } => then.answer(sink(text).ok_or_else(unknown)?),
            Ask::CommitMessage { then, .. } => then.answer(match text {
                "done" => Committed::Done,
                "full" => Committed::Full,
                "failed" => Committed::Failed,
                _ => return Err(unknown()),
            }),
            Ask::DropMessage => return Ok(None),
        }))
    }

    fn notice_line(text: &str) -> Result<Notice, String> {
        match text {
            "Shutdown" => Ok(Notice::Shutdown),
            "Shed" => Ok(Notice::Shed),
            _ => Err(format!("no such notice: {text}")),
        }
    }
}

impl Scripted for Session {
    type Names = ();

    fn settings(new: &New) -> Result<(Vec<String>, New, ()), String> {
        let settings = &new.settings;
        let mut lines = Vec::new();
        for (name, given) in [
            ("submission", settings.submission),
            ("tls", new.tls.is_some()),
            ("plain", new.tls.is_none() && !settings.starttls),
            ("plaintext_auth", settings.plaintext_auth),
            ("scram", settings.scram),
        ] {
            if given {
                lines.push(name.into());
            }
        }
        if settings.message_max != limits::MESSAGE {
            lines.push(format!("max {}", settings.message_max));
        }
        let made = New {
            settings: Arc::new(Settings {
                hostname: "mx.one.test".into(),
                starttls: new.tls.is_none() && settings.starttls,
                ..(**settings).clone()
            }),
            peer: Peer {
                ip: [192, 0, 2, 7].into(),
                port: 49_152,
            },
            tls: new.tls.is_some().then(|| TlsEvidence {
                version: "TLSv1.3".into(),
                cipher: "TLS_AES_256_GCM_SHA384".into(),
                bits: 256,
            }),
            machine: 1,
            seed: [7; 16],
            now: script::BEGIN,
        };
        Ok((lines, made, ()))
    }

    fn answer_text((): &mut (), value: &Value) -> Result<String, String> {
        let refuse = |refusal: &Refusal| {
            let [class, subject, detail] = refusal.status;
            format!("refuse {} {class}.{subject}.{detail} {}", refusal.code, refusal.text)
        };
        Ok(match value {
            Value::Tls(outcome) => tls_text(outcome).into(),
            Value::Password(verdict) => password_text(verdict),
            Value::Proof(verdict) => proof_text(verdict),
            Value::Salt(salt) => salt_text(salt),
            Value::Recipient(verdict) => match &verdict.outcome {
                Err(refusal) => refuse(refusal),
                Ok(targets) => {
                    let targets: Vec<String> = targets
                        .iter()
                        .map(|target| match target {
                            Target::Local { address, .. } => format!("local {address}"),
                            Target::Remote { address } => format!("remote {address}"),
                        })
                        .collect();
                    targets.join(", ")
                }
            },
            Value::Author(verdict) => verdict.outcome.as_ref().map_or_else(refuse, |()| "yes".into()),
            Value::Sink(opened) => sink_text(*opened).into(),
            Value::Committed(Committed::Done) => "done".into(),
            Value::Committed(Committed::Full) => "full".into(),
            Value::Committed(Committed::Failed) => "failed".into(),
        })
    }

    fn notice_text((): &mut (), notice: &Notice) -> Result<String, String> {
        Ok(match notice {
            Notice::Shutdown => "Shutdown".into(),
            Notice::Shed => "Shed".into(),
        })
    }
}

pub(crate) fn tls_text(outcome: &TlsOutcome) -> &'static str {
    match outcome {
        TlsOutcome::Secure(_) => "secure",
        TlsOutcome::Failed => "failed",
    }
}

pub(crate) fn password_text(verdict: &PasswordVerdict) -> String {
    match verdict {
        PasswordVerdict::Granted(login) => format!("granted {}", login.name),
        PasswordVerdict::Denied => "denied".into(),
        PasswordVerdict::Busy => "busy".into(),
    }
}

pub(crate) fn proof_text(verdict: &ProofVerdict) -> String {
    match verdict {
        ProofVerdict::Granted { login, .. } => format!("granted {}", login.name),
        ProofVerdict::Denied => "denied".into(),
    }
}

pub(crate) fn salt_text(salt: &ScramSalt) -> String {
    let (octets, nonce) = (base64::encode(&salt.salt), base64::encode(&salt.nonce));
    format!("salt {octets} iterations={} nonce={nonce}", salt.iterations)
}

pub(crate) fn sink_text(opened: SinkOpened) -> &'static str {
    match opened {
        SinkOpened::Ready => "ready",
        SinkOpened::Full => "full",
        SinkOpened::Failed => "failed",
    }
}

/// `CommitMessage <reverse path> to <local>,<local> remote <remote>,<remote> tells-of <told>,<told> size=<octets> <wishes>`; what there
/// is none of is left out.
fn commit_line(message: &Incoming) -> String {
    let mut line = format!("CommitMessage {}", message.reverse_path);
    let local: Vec<String> = message.local.iter().map(|copy| recipient(&copy.recipient)).collect();
    let remote: Vec<String> = message.remote.iter().map(recipient).collect();
    let told: Vec<String> = message.told.iter().map(recipient).collect();
    for (word, list) in [("to", local), ("remote", remote), ("tells-of", told)] {
        if !list.is_empty() {
            line += &format!(" {word} {}", list.join(","));
        }
    }
    line += &format!(" size={}", message.size);
    let wishes = &message.wishes;
    if let Some(id) = &wishes.envelope_id {
        line += &format!(" envid={id}");
    }
    for (word, wished) in [
        ("ret=full", wishes.ret == Some(Ret::Full)),
        ("ret=hdrs", wishes.ret == Some(Ret::Headers)),
        ("8bit", wishes.eight_bit),
        ("utf8", wishes.utf8),
    ] {
        if wished {
            line += &format!(" {word}");
        }
    }
    line
}

/// `b@two.test`, or with wishes of its own `b@two.test(notify=3 orcpt=rfc822;b@two.test)`; of an alias whose sender is told
/// `friends@one.test(expanded notify=1)`.
fn recipient(recipient: &QueuedRecipient) -> String {
    let mut wishes = Vec::new();
    if recipient.task == Task::TellExpanded {
        wishes.push("expanded".to_string());
    }
    if let Some(notify) = recipient.notify {
        wishes.push(format!("notify={}", notify.0));
    }
    if let Some(original) = &recipient.original {
        wishes.push(format!("orcpt={original}"));
    }
    match wishes.is_empty() {
        true => recipient.address.to_string(),
        false => format!("{}({})", recipient.address, wishes.join(" ")),
    }
}

/// `local b@one.test`, `remote c@two.test`.
fn target(text: &str) -> Result<Target, String> {
    let (kind, address) = text.split_once(' ').unwrap_or((text, ""));
    let address = Mailbox::parse(address, true).map_err(|error| format!("{address}: {error}"))?;
    match kind {
        "local" => Ok(Target::Local {
            account: AccountId([1; 16]),
            address,
        }),
        "remote" => Ok(Target::Remote { address }),
        _ => Err(format!("no such answer: {text}")),
    }
}

/// `granted alice@one.test`, `denied`, `busy`.
fn password_verdict(text: &str) -> Option<PasswordVerdict> {
    match (text, text.strip_prefix("granted ")) {
        (_, Some(name)) => Some(PasswordVerdict::Granted(Login {
            account: AccountId([1; 16]),
            name: name.into(),
        })),
        ("denied", None) => Some(PasswordVerdict::Denied),
        ("busy", None) => Some(PasswordVerdict::Busy),
        _ => None,
    }
}

/// `salt`: the salt of RFC 7677 §3, 4096 rounds, and a nonce of zeros; or `salt base64 iterations=N nonce=base64`.
pub(crate) fn scram_salt(text: &str) -> Option<ScramSalt> {
    let mut words = text.split(' ');
    (words.next()? == "salt").then_some(())?;
    let salt = words.next().unwrap_or("W22ZaJ0SNY7soEsUEjb6gQ==");
    let mut made = ScramSalt {
        salt: base64::decode(salt.as_bytes())?.try_into().ok()?,
        iterations: 4096,
        nonce: [0; 18],
    };
    for word in words {
        match word.split_once('=')? {
            ("iterations", value) => made.iterations = value.parse().ok()?,
            ("nonce", value) => made.nonce = base64::decode(value.as_bytes())?.try_into().ok()?,
            _ => return None,
        }
    }
    Some(made)
}

/// `granted alice@one.test`, with a signature of zeros; `denied`.
fn proof_verdict(text: &str) -> Option<ProofVerdict> {
    match password_verdict(text)? {
        PasswordVerdict::Granted(login) => Some(ProofVerdict::Granted {
            login,
            signature: crate::sasl::Proof([0; 32]),
        }),
        PasswordVerdict::Denied => Some(ProofVerdict::Denied),
        PasswordVerdict::Busy => None,
    }
}

/// `ready`, `full`, `failed`.
fn sink(text: &str) -> Option<SinkOpened> {
    match text {
        "ready" => Some(SinkOpened::Ready),
        "full" => Some(SinkOpened::Full),
        "failed" => Some(SinkOpened::Failed),
        _ => None,
    }
}

/// `refuse 550 5.1.1 text`.
fn refusal(text: &str) -> Option<Refusal> {
    let mut words = text.strip_prefix("refuse ")?.splitn(3, ' ');
    let code = words.next()?.parse().ok()?;
    let mut digits = words.next()?.split('.').map(|digit| digit.parse().ok());
    let status = [digits.next()??, digits.next()??, digits.next()??];
    Some(Refusal {
        code,
        status,
        text: words.next()?.into(),
    })
}
