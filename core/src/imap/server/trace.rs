//! Recording: what the session takes, and what a recording shows of the commands that hold a password, or might.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::Session;
use super::ask::{Ask, MailboxList, Settings, Value};
use crate::imap::command::{self, Command};
use crate::imap::frame::Framed;
use crate::imap::mailbox_name::Names;
use crate::machine::SlotId;
use crate::sasl::{Exchange, Mechanism, ProofVerdict};
use crate::smtp::server::ask::{PasswordVerdict, SinkOpened, TlsEvidence, TlsOutcome};
use crate::smtp::server::trace::server_final;
use crate::time::Now;
use crate::trace::marks::What;
use crate::trace::{Hidden, Kind, Marks, Recordable, Said};

/// Everything that [`Session::new`] takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The listener's settings.
    pub settings: Arc<Settings>,
    /// Known of an encrypted stream.
    pub tls: Option<TlsEvidence>,
    /// Unique in its process.
    pub machine: u64,
    /// When.
    pub now: Now,
}

crate::record_struct!(New {
    settings,
    tls,
    machine,
    now
});
crate::record_struct!(Settings {
    hostname,
    starttls,
    plaintext_auth,
    scram,
    message_max
});

impl Recordable for Session {
    type New = New;
    const KIND: Kind = Kind::ImapServer;

    fn begin(new: New) -> Session {
        Session::new(new.settings, new.tls, new.machine, new.now)
    }

    fn expects(ask: &Ask) -> Option<(SlotId, u8)> {
        match ask {
            Ask::StartTls { then } => Some((then.id(), 0)),
            Ask::VerifyPassword { then, .. } => Some((then.id(), 1)),
            Ask::Mailboxes { then, .. } => Some((then.id(), 2)),
            Ask::Select { then, .. } => Some((then.id(), 3)),
            Ask::Changes { then, .. } => Some((then.id(), 4)),
            Ask::Digests { then, .. } => Some((then.id(), 5)),
            Ask::OpenBodies { then, .. } => Some((then.id(), 6)),
            Ask::SetFlags { then, .. } => Some((then.id(), 7)),
            Ask::Expunge { then, .. } => Some((then.id(), 8)),
            Ask::OpenMessage { then, .. } => Some((then.id(), 9)),
            Ask::CommitAppend { then, .. } => Some((then.id(), 10)),
            Ask::Match { then, .. } => Some((then.id(), 11)),
            Ask::ChangeTree { then, .. } => Some((then.id(), 16)),
            Ask::Transfer { then, .. } => Some((then.id(), 17)),
            Ask::ScramSalt { then, .. } => Some((then.id(), 40)),
            Ask::ScramProof { then, .. } => Some((then.id(), 41)),
            Ask::Unwatch { .. } | Ask::DropMessage => None,
        }
    }

    fn marks(&mut self) -> &mut Marks {
        &mut self.marks
    }

    fn backlog(&self) -> usize {
        self.framer.buffered()
    }

    /// Ends of lines stay, and what announces a literal.
    fn unheard(bytes: &[u8]) -> Vec<u8> {
        bytes.split_inclusive(|byte| *byte == b'\n').flat_map(unheard_line).collect()
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
            Value::Tls(outcome) => said.refused = *outcome == TlsOutcome::Failed,
            Value::Mailboxes(list) => said.refused = list.0.is_err(),
            Value::Opened(opened) => said.refused = opened.0.is_err(),
            Value::Pulled(pulled) => said.refused = pulled.0.is_err(),
            Value::Digests(digests) => said.refused = digests.0.iter().any(Option::is_none),
            Value::Bodies(opened) => said.refused = *opened != super::ask::BodiesOpened::Ready,
            Value::Flags(set) => said.refused = set.0.is_err(),
            Value::Expunged(done) => said.refused = done.0.is_err(),
            Value::Sink(opened) => said.refused = *opened != SinkOpened::Ready,
            Value::Appended(done) => said.refused = done.0.is_err(),
            Value::Tree(done) => said.refused = done.0.is_err(),
            Value::Transferred(done) => said.refused = done.0.is_err(),
            Value::Matched(_) | Value::Salt(_) => {}
        }
        said
    }

    /// Mailboxes are listed by name.
    fn arrange(value: &mut Value) {
        if let Value::Mailboxes(MailboxList(Ok(list))) = value {
            let mut mailboxes = list.to_vec();
            mailboxes.sort_by(|one, other| one.name.cmp(&other.name));
            *list = mailboxes.into();
        }
    }

    fn hides(value: &Value) -> Option<Hidden> {
        match value {
            Value::Proof(verdict) => server_final(verdict),
            Value::Tls(_)
            | Value::Password(_)
            | Value::Salt(_)
            | Value::Mailboxes(_)
            | Value::Opened(_)
            | Value::Pulled(_)
            | Value::Digests(_)
            | Value::Bodies(_)
            | Value::Matched(_)
            | Value::Flags(_)
            | Value::Expunged(_)
            | Value::Sink(_)
            | Value::Appended(_)
            | Value::Tree(_)
            | Value::Transferred(_) => None,
        }
    }
}

fn unheard_line(line: &[u8]) -> Vec<u8> {
    let mut shown = masked(line);
    let end = line.strip_suffix(b"\r\n").map_or(line.len(), <[u8]>::len);
    let brace = line[..end].iter().rposition(|byte| *byte == b'{').unwrap_or(end);
    let announces = line[brace..end]
        .iter()
        .all(|byte| matches!(byte, b'{' | b'}' | b'+' | b'0'..=b'9'));
    if announces {
        shown[brace..end].copy_from_slice(&line[brace..end]);
    }
    shown
}

/// Everything but what ends a line.
fn masked(bytes: &[u8]) -> Vec<u8> {
    let keep = |byte: &u8| if matches!(byte, b'\r' | b'\n') { *byte } else { b'x' };
    bytes.iter().map(keep).collect()
}

/// What is shown of a command.
pub(super) enum Shown {
    AsItIs,
    Instead(Vec<u8>),
    Nothing,
}

impl Session {
    /// Notes what is shown of a command that was just read; it ended in CRLF.
    pub(super) fn mark_command(&mut self, shown: Shown) {
        let what = match shown {
            Shown::AsItIs => return,
            Shown::Instead(mut shown) => {
                shown.extend_from_slice(b"\r\n");
                What::Shown(shown)
            }
            Shown::Nothing => What::Cut("a refused command may hold a password"),
        };
        let behind = self.framer.buffered();
        self.marks.note(behind, what);
    }

    /// A client that is not logged in says what is too long, or no line: that may be a password too.
    pub(super) fn mark_refused(&mut self) {
        if self.account.is_none() {
            self.mark_command(Shown::Nothing);
        }
    }
}

/// What is shown of a command that was read whole.
pub(super) fn shown_command(framed: &Framed<'_>, names: Names, logged_in: bool) -> Shown {
    let text = framed.text;
    let mut words = text.split(|byte| *byte == b' ');
    let (tag, name) = (words.next().unwrap_or_default(), words.next());
    let logs_in = name.is_some_and(|name| name.eq_ignore_ascii_case(b"LOGIN") || name.eq_ignore_ascii_case(b"AUTHENTICATE"));
    let arguments = name.map(|name| tag.len() + 1 + name.len());
    match (command::parse_with(framed, names), arguments) {
        (Ok((_, Command::Login { .. })), _) => match command::login_password_at(framed) {
            Some(at) => Shown::Instead([&text[..at], &shown_password(framed, at)].concat()),
            None => Shown::Nothing,
        },
        (Ok((_, Command::Authenticate { mechanism, initial })), _) => {
            let Some(initial) = initial else {
                return Shown::AsItIs;
            };
            let initial = initial.reveal().as_bytes();
            let shown = match Mechanism::parse(&mechanism) {
                Some(known) => Exchange::begin(known, None).0.shown(initial),
                None => masked(initial),
            };
            Shown::Instead([&text[..text.len() - initial.len()], &shown].concat())
        }
        (Ok(_), _) => Shown::AsItIs,
        (Err(_), Some(_)) if logged_in && !logs_in => Shown::AsItIs,
        (Err(_), None) if text.is_empty() => Shown::AsItIs,
        (Err(_), None) => Shown::Nothing,
        // The base64 of something is no tag.
        (Err(_), Some(_)) if tag.len() > 16 || !framed.literals.is_empty() => Shown::Nothing,
        (Err(bad), Some(at)) => {
            // Refused in the same words, without its arguments.
            let masked = [tag.len(), at].map(|kept| [&text[..kept], &masked_arguments(&text[kept..])].concat());
            let same = masked.into_iter().find(|shown| {
                let again = Framed {
                    text: shown,
                    literals: &[],
                };
                command::parse_with(&again, names) == Err(bad.clone())
            });
            same.map_or(Shown::Nothing, Shown::Instead)
        }
    }
}

fn masked_arguments(bytes: &[u8]) -> Vec<u8> {
    let keep = |byte: &u8| {
        if matches!(byte, b' ' | b'"' | b'\\' | b'(' | b')') {
            *byte
        } else {
            b'x'
        }
    };
    bytes.iter().map(keep).collect()
}

/// LOGIN's password, from here to the command's end: an atom, a quoted string or a literal.
fn shown_password(framed: &Framed<'_>, at: usize) -> Vec<u8> {
    let mut shown = framed.text[at..].to_vec();
    let inner = match framed.literals.iter().find(|literal| literal.brace == at) {
        Some(literal) => literal.start - at..literal.end - at,
        None if shown.starts_with(b"\"") && shown.len() >= 2 => 1..shown.len() - 1,
        None => 0..shown.len(),
    };
    shown[inner].fill(b'x');
    shown
}
