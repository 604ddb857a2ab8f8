//! Recording: what the session takes, and its own password, which stands in what it sends.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::Session;
use super::ask::{Ask, BodyOpened, Credentials, Settings, TlsOutcome, Value};
use crate::bytes::base64;
use crate::machine::SlotId;
use crate::record::{Malformed, Reader, Record};
use crate::secret::Secret;
use crate::time::Now;
use crate::trace::{Hidden, Kind, Marks, Recordable, Said};

/// Everything that [`Session::new`] takes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct New {
    /// The connection's settings.
    pub settings: Settings,
    /// Unique in its process.
    pub machine: u64,
    /// When.
    pub now: Now,
}

crate::record_struct!(New { settings, machine, now });
crate::record_struct!(Settings {
    hostname,
    server,
    tls,
    login
});

/// The password's length alone: it is read as so many `x`.
impl Record for Credentials {
    fn encode(&self, out: &mut Vec<u8>) {
        self.user.encode(out);
        (self.password.reveal().len() as u64).encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        let user = String::decode(from)?;
        let len = u64::decode(from)?;
        if len > 65_536 {
            return Err(Malformed("a password of more than 64 KiB"));
        }
        Ok(Credentials {
            user,
            password: Secret::new("x".repeat(len as usize)),
        })
    }
}

impl Recordable for Session {
    type New = New;
    const KIND: Kind = Kind::SmtpClient;

    fn begin(new: New) -> Session {
        Session::new(new.settings, new.machine, new.now)
    }

    fn expects(ask: &Ask) -> Option<(SlotId, u8)> {
        match ask {
            Ask::StartTls { then } => Some((then.id(), 0)),
            Ask::NextTransaction { then } => Some((then.id(), 1)),
            Ask::OpenBody { then, .. } => Some((then.id(), 2)),
            Ask::Report { then, .. } => Some((then.id(), 3)),
            Ask::Unusable { .. } => None,
        }
    }

    fn marks(&mut self) -> &mut Marks {
        &mut self.marks
    }

    /// A server says no secrets.
    fn backlog(&self) -> usize {
        0
    }

    fn unheard(bytes: &[u8]) -> Vec<u8> {
        bytes.to_vec()
    }

    fn said(value: &Value) -> Said {
        let refused = match value {
            Value::Tls(outcome) => matches!(outcome, TlsOutcome::Failed(_)),
            Value::Body(opened) => *opened != BodyOpened::Ready,
            Value::Next(_) | Value::Reported(_) => false,
        };
        Said { account: None, refused }
    }

    fn hides(_: &Value) -> Option<Hidden> {
        None
    }

    fn secrets(new: &New) -> Vec<Hidden> {
        let Some(Credentials { user, password }) = &new.settings.login else {
            return Vec::new();
        };
        let masked = "x".repeat(password.reveal().len());
        let plain = |password: &str| base64::encode(format!("\0{user}\0{password}").as_bytes()).into_bytes();
        let login = |password: &str| base64::encode(password.as_bytes()).into_bytes();
        Vec::from([
            Hidden {
                secret: plain(password.reveal()),
                shown: plain(&masked),
            },
            Hidden {
                secret: login(password.reveal()),
                shown: login(&masked),
            },
        ])
    }

    /// The login is over.
    fn open(ask: &Ask) -> bool {
        match ask {
            Ask::NextTransaction { .. } => true,
            Ask::StartTls { .. } | Ask::OpenBody { .. } | Ask::Report { .. } | Ask::Unusable { .. } => false,
        }
    }
}
