//! Greeting, CAPABILITY, STARTTLS, LOGIN, AUTHENTICATE.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use super::ask::Ask;
use super::{Job, Pending, Session};
use crate::bytes::base64;
use crate::limits;
use crate::machine::Reason;
use crate::sasl::plain;
use crate::secret::Secret;
use crate::smtp::server::ask::{PasswordVerdict, TlsOutcome};

impl Session {
    pub(super) fn greet(&mut self) {
        let (capabilities, name) = (self.capabilities(), self.settings.hostname.clone());
        self.untagged(&format!("OK [CAPABILITY {capabilities}] {name} Pillarbox is ready"));
    }

    /// What works here and now, and nothing else.
    pub(super) fn capabilities(&self) -> String {
        let mut words = alloc::vec!["IMAP4rev1"];
        match self.login {
            None => {
                words.extend(["LITERAL-", "SASL-IR"]);
                if self.settings.starttls && self.tls.is_none() {
                    words.push("STARTTLS");
                }
                words.push(if self.may_log_in() { "AUTH=PLAIN" } else { "LOGINDISABLED" });
            }
            Some(_) => words.extend(["LITERAL+", "CHILDREN", "IDLE", "SPECIAL-USE", "UNSELECT"]),
        }
        words.join(" ")
    }

    fn may_log_in(&self) -> bool {
        self.tls.is_some() || self.settings.plaintext_auth
    }

    pub(super) fn start_tls(&mut self, tag: &str) {
        if !self.settings.starttls || self.tls.is_some() || self.login.is_some() {
            return self.bad(Some(tag), "STARTTLS is not available");
        }
        if self.framer.buffered() > 0 {
            // Bytes sent in the clear must not be read as if they had been encrypted (S04).
            self.tagged(tag, "BAD nothing may follow STARTTLS before the handshake");
            return self.bye("protocol violation", Reason::StartTlsInjection);
        }
        self.tagged(tag, "OK go ahead");
        self.job = Job::Tls;
    }

    /// The reply to STARTTLS has left: now the handshake may begin.
    pub(super) fn tls_may_begin(&mut self) {
        if matches!(self.job, Job::Tls) && self.send.is_empty() && self.slots.open() == 0 && self.closing.is_none() {
            let then = self.wait(Pending::Tls);
            self.asks.push_back(Ask::StartTls { then });
        }
    }

    pub(super) fn tls_known(&mut self, outcome: TlsOutcome) {
        self.patience = None;
        match outcome {
            TlsOutcome::Secure(evidence) => {
                self.tls = Some(evidence);
                self.framer.clear();
                self.job = Job::None;
            }
            TlsOutcome::Failed => self.close(Reason::TlsFailed),
        }
    }

    pub(super) fn log_in(&mut self, tag: String, login: String, password: Secret) {
        if self.login.is_some() {
            return self.bad(Some(&tag), "you are logged in");
        }
        if !self.may_log_in() {
            return self.tagged(&tag, "NO [PRIVACYREQUIRED] use TLS first");
        }
        let then = self.wait(Pending::Password(tag));
        self.asks.push_back(Ask::VerifyPassword { login, password, then });
        self.job = Job::Waiting;
    }

    pub(super) fn authenticate(&mut self, tag: String, mechanism: &str, initial: Option<Vec<u8>>) {
        if self.login.is_some() {
            return self.bad(Some(&tag), "you are logged in");
        }
        if !self.may_log_in() {
            return self.tagged(&tag, "NO [PRIVACYREQUIRED] use TLS first");
        }
        if mechanism != "PLAIN" {
            return self.tagged(&tag, "NO this mechanism is not offered");
        }
        match initial.as_deref() {
            None => {
                self.out().extend_from_slice(b"+ \r\n");
                self.job = Job::Sasl(tag);
            }
            Some(b"=") => self.sasl(tag, b""),
            Some(initial) => self.sasl(tag, initial),
        }
    }

    /// The client's line of an exchange.
    pub(super) fn sasl_line(&mut self) -> bool {
        let line = match self.framer.raw_line(limits::IMAP_COMMAND_BEFORE_LOGIN) {
            Ok(None) => return false,
            Ok(Some(line)) => Ok(line),
            Err(()) => Err(()),
        };
        let Job::Sasl(tag) = core::mem::replace(&mut self.job, Job::None) else {
            return false;
        };
        match line.as_deref() {
            Ok(b"*") => self.bad(Some(&tag), "cancelled"),
            Ok(line) => self.sasl(tag, line),
            Err(()) => self.bye("the line is too long", Reason::Limit("an authentication line")),
        }
        true
    }

    fn sasl(&mut self, tag: String, response: &[u8]) {
        let Some(message) = base64::decode(response) else {
            return self.bad(Some(&tag), "this is not base64");
        };
        match plain::parse(&message) {
            Some(plain) => self.log_in(tag, plain.login, plain.password),
            None => self.login_failed(&tag),
        }
    }

    pub(super) fn password_known(&mut self, tag: &str, verdict: PasswordVerdict) {
        self.job = Job::None;
        self.patience = None;
        match verdict {
            PasswordVerdict::Granted(login) => {
                self.login = Some(login);
                self.silence = self.now.instant.after(limits::IMAP_AUTOLOGOUT);
                let capabilities = self.capabilities();
                self.tagged(tag, &format!("OK [CAPABILITY {capabilities}] welcome"));
            }
            PasswordVerdict::Denied => self.login_failed(tag),
            PasswordVerdict::Busy => self.tagged(tag, "NO [UNAVAILABLE] too many logins at once, try again later"),
        }
    }

    fn login_failed(&mut self, tag: &str) {
        self.login_failures += 1;
        self.tagged(tag, "NO [AUTHENTICATIONFAILED] user name or password is wrong");
        if self.login_failures >= limits::LOGIN_FAILURES {
            self.bye("too many failed logins", Reason::TooManyLogins);
        }
    }
}
