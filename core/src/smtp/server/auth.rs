//! AUTH (RFC 4954): only on submission listeners, only under TLS or from peers that may do without.

use alloc::vec::Vec;

use super::ask::{Ask, PasswordVerdict};
use super::{Pending, Session, State};
use crate::bytes::base64;
use crate::limits;
use crate::machine::{Deadline, Reason};
use crate::sasl::plain;
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn may_log_in(&self) -> bool {
        self.settings.submission && self.login.is_none() && (self.tls.is_some() || self.settings.plaintext_auth)
    }

    pub(super) fn auth(&mut self, mechanism: &str, initial: Option<Vec<u8>>) {
        if !self.settings.submission {
            return self.protocol_error(503, [5, 5, 1], "AUTH is not available here");
        }
        if self.tls.is_none() && !self.settings.plaintext_auth {
            return self.refuse(530, [5, 7, 0], "Must issue a STARTTLS command first");
        }
        if !self.hello.as_ref().is_some_and(|hello| hello.extended) || self.login.is_some() || self.envelope.is_some() {
            return self.protocol_error(503, [5, 5, 1], "AUTH comes once, after EHLO and before MAIL");
        }
        if mechanism != "PLAIN" {
            return self.refuse(504, [5, 5, 4], "this mechanism is not offered");
        }
        match initial.as_deref() {
            None => {
                if self.talks_early() {
                    return;
                }
                self.reply(Reply::bare(334, alloc::vec!["".into()]));
                self.state = State::Sasl;
            }
            Some(b"=") => self.sasl(b""),
            Some(initial) => self.sasl(initial),
        }
    }

    /// The client's line of an exchange.
    pub(super) fn sasl_line(&mut self) -> bool {
        match self.line(limits::SMTP_AUTH_LINE) {
            Ok(None) => false,
            Err(()) => {
                self.state = State::Skipping { auth: true }; // then 500, and the exchange is over (RFC 4954 §4)
                true
            }
            Ok(Some(line)) => {
                self.wait_for_command();
                match line.strip_suffix(b"\r\n") {
                    Some(b"*") => self.refuse(501, [5, 7, 0], "cancelled"),
                    Some(response) => self.sasl(response),
                    None => self.protocol_error(500, [5, 5, 2], "lines end with CR LF"),
                }
                true
            }
        }
    }

    fn sasl(&mut self, response: &[u8]) {
        let Some(message) = base64::decode(response) else {
            return self.refuse(501, [5, 5, 2], "this is not base64");
        };
        let Some(plain) = plain::parse(&message) else {
            return self.login_failed();
        };
        let then = self.slots.ask(Pending::Password);
        self.asks.push_back(Ask::VerifyPassword {
            login: plain.login,
            password: plain.password,
            then,
        });
        self.state = State::Checking;
        self.deadline = Deadline {
            at: self.now.instant.after(limits::ANSWER_TIMEOUT),
            why: "a password is checked",
        };
    }

    pub(super) fn password_known(&mut self, verdict: PasswordVerdict) {
        if self.closing.is_some() {
            return;
        }
        self.wait_for_command();
        match verdict {
            PasswordVerdict::Granted(login) => {
                self.login = Some(login);
                self.refuse(235, [2, 7, 0], "welcome");
            }
            PasswordVerdict::Denied => self.login_failed(),
            PasswordVerdict::Busy => self.refuse(454, [4, 7, 0], "too many logins at once, try again later"),
        }
    }

    fn login_failed(&mut self) {
        self.login_failures += 1;
        self.refuse(535, [5, 7, 8], "user name or password is wrong");
        if self.login_failures >= limits::LOGIN_FAILURES {
            self.refuse(421, [4, 7, 0], "too many failed logins, closing");
            self.close(Reason::TooManyLogins);
        }
    }
}
