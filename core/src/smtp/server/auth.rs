//! AUTH (RFC 4954): only on submission listeners, only under TLS or from peers that may do without.

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::ask::{Ask, PasswordVerdict};
use super::{Pending, Session, State};
use crate::bytes::base64;
use crate::limits;
use crate::machine::{Deadline, Reason};
use crate::policy::access::Login;
use crate::sasl::{Exchange, Mechanism, ProofVerdict, ScramSalt, Step};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn may_log_in(&self) -> bool {
        self.settings.submission && self.login.is_none() && (self.tls.is_some() || self.settings.plaintext_auth)
    }

    /// Mechanisms that can be begun now.
    pub(super) fn mechanisms(&self) -> Vec<Mechanism> {
        if self.may_log_in() {
            Mechanism::offered(self.settings.scram)
        } else {
            Vec::new()
        }
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
        let known = Mechanism::parse(mechanism).filter(|mechanism| self.mechanisms().contains(mechanism));
        let Some(mechanism) = known else {
            return self.refuse(504, [5, 5, 4], "this mechanism is not offered");
        };
        let initial = match initial.as_deref() {
            None => None,
            Some(b"=") => Some(Vec::new()),
            Some(initial) => match base64::decode(initial) {
                Some(message) => Some(message),
                None => return self.refuse(501, [5, 5, 2], "this is not base64"),
            },
        };
        let (exchange, step) = Exchange::begin(mechanism, initial.as_deref());
        self.exchange = Some(Box::new(exchange));
        self.step(step);
    }

    /// The client's line of an exchange.
    pub(super) fn sasl_line(&mut self) -> bool {
        match self.line(limits::SMTP_AUTH_LINE) {
            Ok(None) => false,
            Err(()) => {
                self.exchange = None;
                self.state = State::Skipping { auth: true }; // then 500, and the exchange is over (RFC 4954 §4)
                true
            }
            Ok(Some(line)) => {
                self.wait_for_command();
                match line.strip_suffix(b"\r\n") {
                    Some(b"*") => self.exchange_ends(501, [5, 7, 0], "cancelled"),
                    Some(response) => self.response(response),
                    None => {
                        self.exchange = None;
                        self.protocol_error(500, [5, 5, 2], "lines end with CR LF");
                    }
                }
                true
            }
        }
    }

    fn response(&mut self, response: &[u8]) {
        match (base64::decode(response), &mut self.exchange) {
            (Some(message), Some(exchange)) => {
                let step = exchange.message(&message);
                self.step(step);
            }
            (_, _) => self.exchange_ends(501, [5, 5, 2], "this is not base64"),
        }
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Challenge(challenge) => {
                if self.talks_early() {
                    return;
                }
                self.reply(Reply::bare(334, base64::encode(&challenge)));
                self.wait_for_command();
                self.state = State::Sasl;
            }
            Step::Password { login, password } => {
                let then = self.slots.ask(Pending::Password);
                self.check(Ask::VerifyPassword { login, password, then });
            }
            Step::Salt { login } => {
                let then = self.slots.ask(Pending::Salt);
                self.check(Ask::ScramSalt { login, then });
            }
            Step::Proof { login, message, proof } => {
                let then = self.slots.ask(Pending::Proof);
                self.check(Ask::ScramProof {
                    login,
                    message,
                    proof,
                    then,
                });
            }
            Step::Done(login) => self.logged_in(login),
            Step::Denied | Step::Malformed => self.login_failed(),
        }
    }

    fn check(&mut self, ask: Ask) {
        self.asks.push_back(ask);
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
            PasswordVerdict::Granted(login) => self.logged_in(login),
            PasswordVerdict::Denied => self.login_failed(),
            PasswordVerdict::Busy => self.exchange_ends(454, [4, 7, 0], "too many logins at once, try again later"),
        }
    }

    pub(super) fn salt_known(&mut self, salt: &ScramSalt) {
        self.answered_exchange(|exchange| exchange.salted(salt));
    }

    pub(super) fn proof_known(&mut self, verdict: ProofVerdict) {
        self.answered_exchange(|exchange| exchange.proved(verdict));
    }

    fn answered_exchange(&mut self, answer: impl FnOnce(&mut Exchange) -> Step) {
        if self.closing.is_some() {
            return;
        }
        self.wait_for_command();
        if let Some(exchange) = &mut self.exchange {
            let step = answer(exchange);
            self.step(step);
        }
    }

    fn logged_in(&mut self, login: Login) {
        self.login = Some(login);
        self.exchange_ends(235, [2, 7, 0], "welcome");
    }

    fn login_failed(&mut self) {
        self.login_failures += 1;
        self.exchange_ends(535, [5, 7, 8], "user name or password is wrong");
        if self.login_failures >= limits::LOGIN_FAILURES {
            self.refuse(421, [4, 7, 0], "too many failed logins, closing");
            self.close(Reason::TooManyLogins);
        }
    }

    fn exchange_ends(&mut self, code: u16, status: [u16; 3], text: &'static str) {
        self.exchange = None;
        self.refuse(code, status, text);
    }
}
