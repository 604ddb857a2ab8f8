//! Before login: greeting, CAPABILITY, STARTTLS, LOGIN, AUTHENTICATE; and LOGOUT.

use alloc::boxed::Box;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use zeroize::Zeroizing;

use super::ask::Ask;
use super::trace::Shown;
use super::{Doing, Session, Step, Wanted};
use crate::bytes::base64;
use crate::imap::command::Tag;
use crate::imap::frame::{Event, Framer};
use crate::imap::response::{self, Code, Condition};
use crate::limits;
use crate::machine::Reason;
use crate::sasl::{self, Exchange, Mechanism, ProofVerdict, ScramSalt};
use crate::secret::Secret;
use crate::smtp::server::ask::{PasswordVerdict, TlsOutcome};

/// AUTHENTICATE on its way.
#[derive(Debug)]
pub(super) struct Authenticating {
    tag: Tag,
    mechanism: Mechanism,
    exchange: Exchange,
}

impl Session {
    pub(super) fn greet(&mut self) {
        let hostname = &self.settings.hostname;
        // The name comes from the configuration; a reply's text is ASCII.
        let hostname: String = hostname.chars().map(|c| if c.is_ascii_graphic() { c } else { '?' }).collect();
        let text = hostname + " Pillarbox ready";
        let names = self.capabilities();
        response::status(None, Condition::Ok, Some(&Code::Capability(&names)), &text, self.out.end());
    }

    /// What works in this state (RFC 3501 §6.1.1).
    fn capabilities(&self) -> Vec<&'static str> {
        let mut names = Vec::from(["IMAP4rev1", "IMAP4rev2"]);
        if self.account.is_some() {
            names.extend(["LITERAL+", "IDLE", "UNSELECT", "UIDPLUS", "CHILDREN", "SPECIAL-USE"]);
            names.extend(["ESEARCH", "SEARCHRES", "WITHIN", "BINARY"]);
            names.extend(super::tree::CAPABILITIES);
            return names;
        }
        names.extend(["LITERAL-", "SASL-IR", "ID"]);
        if self.settings.starttls && !self.secure {
            names.push("STARTTLS");
        }
        if !self.may_log_in() {
            names.push("LOGINDISABLED");
            return names;
        }
        names.extend(
            Mechanism::offered(self.settings.scram)
                .into_iter()
                .map(|mechanism| match mechanism {
                    Mechanism::Plain => "AUTH=PLAIN",
                    Mechanism::Login => "AUTH=LOGIN",
                    Mechanism::ScramSha256 => "AUTH=SCRAM-SHA-256",
                }),
        );
        names
    }

    /// Credentials never go in the clear, unless the listener is told so (S07).
    fn may_log_in(&self) -> bool {
        self.secure || self.settings.plaintext_auth
    }

    pub(super) fn capability(&mut self, tag: Tag) {
        let names = self.capabilities();
        response::capability(&names, self.out.end());
        self.finish_ok(tag, "CAPABILITY completed");
    }

    pub(super) fn logout(&mut self, tag: &Tag) {
        response::status(None, Condition::Bye, None, "Logging out", self.out.end());
        self.reply(tag, Condition::Ok, None, "LOGOUT completed");
        self.deselect();
        self.close(Reason::Quit);
    }

    /// RFC 3501 §6.2.1. Bytes behind the command would be taken as if they came encrypted: they end the session (S04).
    pub(super) fn start_tls(&mut self, tag: Tag) {
        if self.secure || !self.settings.starttls {
            return self.bad(Some(&tag), "STARTTLS is not offered");
        }
        if self.framer.buffered() > 0 {
            self.reply(&tag, Condition::Bad, None, "Nothing may follow STARTTLS before its reply");
            return self.close(Reason::StartTlsInjection);
        }
        self.reply(&tag, Condition::Ok, None, "Begin TLS negotiation now");
        self.doing = Doing::StartTls;
    }

    pub(super) fn step_start_tls(&mut self) -> Step {
        self.doing = Doing::StartTls;
        if !self.out.is_empty() {
            return Step::Rest;
        }
        if self.framer.buffered() > 0 {
            self.close(Reason::StartTlsInjection);
            return Step::Again;
        }
        self.ask = Some(Ask::StartTls {
            then: self.slots.ask(Wanted::Tls),
        });
        Step::Again
    }

    /// All that was said before is forgotten (RFC 3501 §6.2.1).
    pub(super) fn tls(&mut self, outcome: TlsOutcome) {
        match outcome {
            TlsOutcome::Secure(_) => {
                self.secure = true;
                self.framer = Framer::new();
                self.errors = 0;
                self.heard = self.now.instant;
            }
            TlsOutcome::Failed => self.close(Reason::TlsFailed),
        }
    }

    pub(super) fn log_in(&mut self, tag: Tag, login: String, password: Secret) {
        if !self.may_log_in() {
            return self.reply(
                &tag,
                Condition::No,
                Some(&Code::PrivacyRequired),
                "A password is taken only under TLS",
            );
        }
        self.ask = Some(Ask::VerifyPassword {
            login,
            password,
            then: self.slots.ask(Wanted::Password),
        });
        self.doing = Doing::Login { tag };
    }

    /// RFC 3501 §6.2.2; the initial response is RFC 4959's, where `=` alone is the empty one (§3).
    pub(super) fn authenticate(&mut self, tag: Tag, mechanism: &str, initial: Option<&Secret>) {
        let offered = Mechanism::offered(self.settings.scram);
        let known = Mechanism::parse(mechanism).filter(|mechanism| offered.contains(mechanism));
        let Some(mechanism) = known else {
            return self.reply(&tag, Condition::No, Some(&Code::Cannot), "No such mechanism");
        };
        if !self.may_log_in() {
            return self.reply(
                &tag,
                Condition::No,
                Some(&Code::PrivacyRequired),
                "A password is taken only under TLS",
            );
        }
        if mechanism == Mechanism::Login && initial.is_some() {
            // RFC 9051 §6.2.2: here the server speaks first.
            return self.bad(Some(&tag), "AUTHENTICATE LOGIN takes no initial response");
        }
        let initial = match initial.map(|initial| initial.reveal().as_bytes()) {
            None => None,
            Some(b"=") => Some(Zeroizing::new(Vec::new())),
            Some(initial) => match base64::decode(initial) {
                Some(message) => Some(Zeroizing::new(message)),
                None => return self.no_response(&tag, mechanism),
            },
        };
        let (exchange, next) = Exchange::begin(mechanism, initial.as_ref().map(|initial| initial.as_slice()));
        let authenticating = Authenticating {
            tag,
            mechanism,
            exchange,
        };
        self.go_on(Box::new(authenticating), next);
    }

    pub(super) fn step_authenticate(&mut self, mut authenticating: Box<Authenticating>) -> Step {
        let line = match self.framer.poll() {
            None => {
                if self.framer.refuses() {
                    self.mark_refused();
                }
                self.doing = Doing::Authenticate(authenticating);
                return Step::Rest;
            }
            Some(Event::Line(line)) => Ok(Zeroizing::new(Vec::from(line))),
            Some(Event::Refused(bad)) => Err(bad.text),
            Some(Event::Command(_) | Event::Continue | Event::Message { .. } | Event::MessageEnd) => {
                unreachable!("a line was asked for")
            }
        };
        match &line {
            Ok(line) if self.marks.is_on() => self.mark_command(Shown::Instead(authenticating.exchange.shown(line))),
            Ok(_) => {}
            Err(_) => self.mark_refused(),
        }
        let tag = &authenticating.tag;
        match line {
            Ok(line) if line.as_slice() == b"*" => self.bad(Some(tag), "AUTHENTICATE cancelled"),
            Ok(line) => match base64::decode(&line).map(Zeroizing::new) {
                Some(message) => {
                    let next = authenticating.exchange.message(&message);
                    self.go_on(authenticating, next);
                }
                None => self.no_response(tag, authenticating.mechanism),
            },
            Err(text) => self.bad(Some(tag), text),
        }
        Step::Again
    }

    fn no_response(&mut self, tag: &Tag, mechanism: Mechanism) {
        let text = format!("That is no response of {}", mechanism.name());
        self.bad(Some(tag), &text);
    }

    fn go_on(&mut self, authenticating: Box<Authenticating>, next: sasl::Step) {
        match next {
            sasl::Step::Challenge(challenge) => {
                response::continuation(&base64::encode(&challenge), self.out.end());
                self.framer.expect_line();
                self.doing = Doing::Authenticate(authenticating);
            }
            sasl::Step::Password { login, password } => self.log_in(authenticating.tag, login, password),
            sasl::Step::Salt { login } => {
                let then = self.slots.ask(Wanted::Salt);
                self.ask = Some(Ask::ScramSalt { login, then });
                self.doing = Doing::Authenticating(authenticating);
            }
            sasl::Step::Proof { login, message, proof } => {
                let then = self.slots.ask(Wanted::Proof);
                self.ask = Some(Ask::ScramProof {
                    login,
                    message,
                    proof,
                    then,
                });
                self.doing = Doing::Authenticating(authenticating);
            }
            sasl::Step::Done(login) => self.verified(authenticating.tag, PasswordVerdict::Granted(login)),
            sasl::Step::Denied => self.verified(authenticating.tag, PasswordVerdict::Denied),
            sasl::Step::Malformed => self.no_response(&authenticating.tag, authenticating.mechanism),
        }
    }

    pub(super) fn salted(&mut self, mut authenticating: Box<Authenticating>, salt: &ScramSalt) {
        let next = authenticating.exchange.salted(salt);
        self.go_on(authenticating, next);
    }

    pub(super) fn proved(&mut self, mut authenticating: Box<Authenticating>, verdict: ProofVerdict) {
        let next = authenticating.exchange.proved(verdict);
        self.go_on(authenticating, next);
    }

    pub(super) fn verified(&mut self, tag: Tag, verdict: PasswordVerdict) {
        match verdict {
            PasswordVerdict::Granted(login) => {
                self.account = Some(login.account);
                self.framer.log_in();
                self.login_failures = 0;
                self.heard = self.now.instant;
                let names = self.capabilities();
                self.reply(&tag, Condition::Ok, Some(&Code::Capability(&names)), "Logged in");
            }
            PasswordVerdict::Denied => {
                let code = Code::AuthenticationFailed;
                self.reply(&tag, Condition::No, Some(&code), "Login name or password is wrong");
                self.login_failures += 1;
                if self.login_failures >= limits::LOGIN_FAILURES {
                    self.bye(Reason::TooManyLogins, "Too many failed logins");
                }
            }
            PasswordVerdict::Busy => {
                self.reply(&tag, Condition::No, Some(&Code::Unavailable), "Try again later");
            }
        }
    }
}
