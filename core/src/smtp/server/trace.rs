//! Recording: what the session takes, and what a recording shows of the lines that hold a password, or might.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, Committed, PasswordVerdict, Peer, Settings, SinkOpened, TlsEvidence, TlsOutcome, Value};
use super::{Session, State};
use crate::bytes::base64;
use crate::machine::SlotId;
use crate::sasl::{Exchange, Mechanism, ProofVerdict};
use crate::smtp::command::{self, Command, Syntax};
use crate::time::Now;
use crate::trace::marks::What;
use crate::trace::{Hidden, Kind, Marks, Recordable, Said};

/// Everything that [`Session::new`] takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The listener's settings.
    pub settings: Arc<Settings>,
    /// Who is served.
    pub peer: Peer,
    /// Known of an encrypted stream.
    pub tls: Option<TlsEvidence>,
    /// Unique in its process.
    pub machine: u64,
    /// Unpredictable.
    pub seed: [u8; 16],
    /// When.
    pub now: Now,
}

crate::record_struct!(New {
    settings,
    peer,
    tls,
    machine,
    seed,
    now
});
crate::record_struct!(Settings {
    hostname,
    submission,
    starttls,
    plaintext_auth,
    scram,
    message_max
});

impl Recordable for Session {
    type New = New;
    const KIND: Kind = Kind::SmtpServer;

    fn begin(new: New) -> Session {
        Session::new(new.settings, new.peer, new.tls, new.machine, new.seed, new.now)
    }

    fn expects(ask: &Ask) -> Option<(SlotId, u8)> {
        match ask {
            Ask::StartTls { then } => Some((then.id(), 0)),
            Ask::VerifyPassword { then, .. } => Some((then.id(), 1)),
            Ask::ResolveRecipient { then, .. } => Some((then.id(), 2)),
            Ask::JudgeAuthor { then, .. } => Some((then.id(), 3)),
            Ask::OpenMessage { then, .. } => Some((then.id(), 4)),
            Ask::CommitMessage { then, .. } => Some((then.id(), 5)),
            Ask::ScramSalt { then, .. } => Some((then.id(), 6)),
            Ask::ScramProof { then, .. } => Some((then.id(), 7)),
            Ask::DropMessage => None,
        }
    }

    fn marks(&mut self) -> &mut Marks {
        &mut self.marks
    }

    fn backlog(&self) -> usize {
        self.input.len() - self.taken
    }

    /// Ends of lines stay, and the verbs that the length of a line hangs on.
    fn unheard(bytes: &[u8]) -> Vec<u8> {
        bytes
            .split_inclusive(|byte| *byte == b'\n')
            .flat_map(|line| {
                let verb = line.first_chunk::<5>().filter(|verb| {
                    let verb = verb.to_ascii_uppercase();
                    verb == b"AUTH " || verb == b"RCPT "
                });
                let kept = verb.map_or(0, |verb| verb.len());
                [&line[..kept], &masked(&line[kept..])].concat()
            })
            .collect()
    }

    fn said(value: &Value) -> Said {
        let mut said = Said::default();
        match value {
            Value::Password(PasswordVerdict::Granted(login)) | Value::Proof(ProofVerdict::Granted { login, .. }) => {
                said.account = Some(login.name.clone());
            }
            Value::Password(PasswordVerdict::Denied | PasswordVerdict::Busy) | Value::Proof(ProofVerdict::Denied) => {
                said.refused = true;
            }
            Value::Recipient(verdict) => said.refused = verdict.outcome.is_err(),
            Value::Author(verdict) => said.refused = verdict.outcome.is_err(),
            Value::Sink(opened) => said.refused = *opened != SinkOpened::Ready,
            Value::Committed(committed) => said.refused = *committed != Committed::Done,
            Value::Tls(outcome) => said.refused = *outcome == TlsOutcome::Failed,
            Value::Salt(_) => {}
        }
        said
    }

    fn hides(value: &Value) -> Option<Hidden> {
        match value {
            Value::Proof(verdict) => server_final(verdict),
            Value::Tls(_)
            | Value::Password(_)
            | Value::Salt(_)
            | Value::Recipient(_)
            | Value::Author(_)
            | Value::Sink(_)
            | Value::Committed(_) => None,
        }
    }
}

/// The message that proves to a client that we know its keys, and what a recording shows of it.
pub fn server_final(verdict: &ProofVerdict) -> Option<Hidden> {
    let say = |signature: &[u8; 32]| {
        let message = alloc::format!("v={}", base64::encode(signature));
        base64::encode(message.as_bytes()).into_bytes()
    };
    match verdict {
        ProofVerdict::Granted { signature, .. } => Some(Hidden {
            secret: say(&signature.0),
            shown: say(&[0; 32]),
        }),
        ProofVerdict::Denied => None,
    }
}

/// Everything but what ends a line.
fn masked(bytes: &[u8]) -> Vec<u8> {
    let keep = |byte: &u8| if matches!(byte, b'\r' | b'\n' | 0) { *byte } else { b'x' };
    bytes.iter().map(keep).collect()
}

impl Session {
    /// A line has been taken from the input.
    pub(super) fn mark_line(&mut self, line: &[u8]) {
        if !self.marks.is_on() {
            return;
        }
        let shown = match self.state {
            State::Sasl => Some(self.shown_response(line)),
            State::Command => shown_command(line),
            State::Skipping { .. }
            | State::Checking
            | State::Opening(_)
            | State::Message
            | State::Discarding { .. }
            | State::Committing
            | State::Tls => None,
        };
        if let Some(shown) = shown {
            let behind = self.backlog();
            self.marks.note(behind, What::Shown(shown));
        }
    }

    fn shown_response(&self, line: &[u8]) -> Vec<u8> {
        match (line.strip_suffix(b"\r\n"), &self.exchange) {
            (Some(response), Some(exchange)) => [&exchange.shown(response), &b"\r\n"[..]].concat(),
            (Some(_) | None, _) => masked(line),
        }
    }

    /// Octets of an over-long line were thrown away.
    pub(super) fn mark_skipped(&mut self, from: usize) {
        if self.marks.is_on() {
            let shown = Session::unheard(&self.input[from..self.taken]);
            let behind = self.backlog();
            self.marks.note(behind, What::Shown(shown));
        }
    }

    /// Octets of a message were taken.
    pub(super) fn mark_message(&mut self, octets: usize) {
        if octets > 0 {
            let behind = self.backlog();
            self.marks.note(behind, What::Message(octets as u64));
        }
    }
}

/// What is shown of a command that holds a password, or of what is no command: that may be a password said at the wrong time.
fn shown_command(line: &[u8]) -> Option<Vec<u8>> {
    let text = line
        .strip_suffix(b"\r\n")
        .filter(|text| !text.contains(&b'\r') && !text.contains(&0));
    let Some(text) = text else {
        return Some(Session::unheard(line));
    };
    let is_auth = text.get(..4).is_some_and(|verb| verb.eq_ignore_ascii_case(b"AUTH"));
    match command::parse(text) {
        Ok(Command::Auth { mechanism, initial }) => {
            let Some(known) = Mechanism::parse(&mechanism) else {
                let rest = text[4..].trim_ascii_start();
                let name = if FOREIGN.contains(&mechanism.as_str()) {
                    mechanism.len()
                } else {
                    0
                };
                let kept = text.len() - rest.len() + name;
                return Some([&line[..kept], &masked_words(&line[kept..])].concat());
            };
            let initial = initial?;
            let shown = Exchange::begin(known, None).0.shown(&initial);
            let end = text.trim_ascii_end().len();
            Some([&line[..end - initial.len()], &shown, &line[end..]].concat())
        }
        Err(Syntax::Unknown) => Some(masked(line)),
        // A mechanism that is no UTF-8 stays none.
        Err(Syntax::Argument(_)) if is_auth => {
            let mask = |byte: &u8| if byte.is_ascii() { masked_word(*byte) } else { 0xff };
            Some(line[..4].iter().copied().chain(line[4..].iter().map(mask)).collect())
        }
        Ok(_)
        | Err(
            Syntax::NotImplemented
            | Syntax::Http
            | Syntax::Argument(_)
            | Syntax::Address(_)
            | Syntax::Chunk
            | Syntax::Parameter(_),
        ) => None,
    }
}

/// Mechanisms of others, whose names may be shown; any other word may be a response that came too early.
const FOREIGN: [&str; 8] = [
    "CRAM-MD5",
    "DIGEST-MD5",
    "EXTERNAL",
    "GSSAPI",
    "NTLM",
    "OAUTHBEARER",
    "SCRAM-SHA-1",
    "XOAUTH2",
];

/// Keeps spaces too.
fn masked_words(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().map(masked_word).collect()
}

fn masked_word(byte: u8) -> u8 {
    if byte.is_ascii_whitespace() { byte } else { b'x' }
}
