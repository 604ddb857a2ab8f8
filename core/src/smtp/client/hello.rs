//! Greeting, EHLO or HELO, STARTTLS.

use alloc::format;
use alloc::sync::Arc;
use core::str::FromStr;

use super::ask::{Ask, TlsOutcome, TlsUse};
use super::reply::{Class, Reader, Reply, ours, prefixed};
use super::{Pending, Session, State, Step};
use crate::machine::Reason;
use crate::store::queue::Said;

/// What the server's last EHLO offered (RFC 5321 §4.1.1.1), as far as we make use of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Offer {
    /// RFC 2920.
    pub(super) pipelining: bool,
    /// RFC 1870; the largest message in octets, 0 where it is not named.
    pub(super) size: Option<u64>,
    /// RFC 6152.
    pub(super) eight_bit: bool,
    /// RFC 6531.
    pub(super) utf8: bool,
    /// RFC 3207.
    pub(super) start_tls: bool,
    /// RFC 3461.
    pub(super) dsn: bool,
    /// RFC 4954, RFC 4616.
    pub(super) plain: bool,
    /// Never standardised, and all that some servers offer.
    pub(super) login: bool,
    /// RFC 9422: recipients of a transaction.
    pub(super) recipients_max: Option<u64>,
    /// RFC 9422: transactions of a session.
    pub(super) transactions_max: Option<u64>,
}

impl Offer {
    /// `ehlo-line = ehlo-keyword *( SP ehlo-param )`, in every line but the first. What is malformed was not offered.
    fn read(reply: &Reply) -> Offer {
        let mut offer = Offer::default();
        for line in reply.lines().skip(1) {
            let Ok(line) = core::str::from_utf8(line) else { continue };
            let line = line.to_ascii_uppercase();
            let mut words = line.split_ascii_whitespace();
            let Some(keyword) = words.next() else { continue };
            match keyword {
                "PIPELINING" => offer.pipelining = true,
                "SIZE" => offer.size = Some(words.next().and_then(|size| u64::from_str(size).ok()).unwrap_or(0)),
                "8BITMIME" => offer.eight_bit = true,
                "SMTPUTF8" => offer.utf8 = true,
                "STARTTLS" => offer.start_tls = true,
                "DSN" => offer.dsn = true,
                "AUTH" => words.for_each(|mechanism| offer.mechanism(mechanism)),
                "LIMITS" => words.for_each(|limit| offer.limit(limit)),
                _ => {
                    // `AUTH=LOGIN`, as servers said before RFC 2554.
                    if let Some(first) = keyword.strip_prefix("AUTH=") {
                        [first]
                            .into_iter()
                            .chain(words)
                            .for_each(|mechanism| offer.mechanism(mechanism));
                    }
                }
            }
        }
        offer
    }

    fn mechanism(&mut self, name: &str) {
        self.plain |= name == "PLAIN";
        self.login |= name == "LOGIN";
    }

    /// `limit-name-value = limit-name ["=" limit-value]`, of 1 to 6 digits and not 0 (RFC 9422 §4).
    fn limit(&mut self, limit: &str) {
        let Some((name, value)) = limit.split_once('=') else { return };
        let value = u64::from_str(value).ok().filter(|value| (1..=999_999).contains(value));
        match name {
            "RCPTMAX" => self.recipients_max = value,
            "MAILMAX" => self.transactions_max = value,
            _ => {}
        }
    }
}

impl Session {
    pub(super) fn greeting(&mut self, reply: &Reply, said: Said) {
        match reply.class() {
            Class::Done => {
                self.greeted = true;
                self.say_hello();
            }
            // RFC 5321 §3.1: QUIT is still said.
            Class::NotNow | Class::Never => self.unusable(Arc::new(said)),
            Class::GoOn => self.out_of_step(&said),
        }
    }

    fn say_hello(&mut self) {
        self.offer = Offer::default();
        let line = format!("EHLO {}", self.settings.hostname);
        self.command(Step::Ehlo, &line);
    }

    pub(super) fn ehlo(&mut self, reply: &Reply, said: Said) {
        match reply.class() {
            Class::Done => {
                self.offer = Offer::read(reply);
                self.secure();
            }
            // RFC 5321 §3.2: an old server.
            Class::Never => {
                let line = format!("HELO {}", self.settings.hostname);
                self.command(Step::Helo, &line);
            }
            Class::NotNow => self.unusable(Arc::new(said)),
            Class::GoOn => self.out_of_step(&said),
        }
    }

    pub(super) fn helo(&mut self, reply: &Reply, said: Said) {
        match reply.class() {
            Class::Done => self.secure(),
            Class::NotNow | Class::Never => self.unusable(Arc::new(said)),
            Class::GoOn => self.out_of_step(&said),
        }
    }

    /// Begins TLS, where that is wished and possible.
    fn secure(&mut self) {
        match self.settings.tls {
            TlsUse::Implicit | TlsUse::Never => self.log_in(),
            TlsUse::Opportunistic | TlsUse::Required if self.secured => self.log_in(),
            TlsUse::Opportunistic | TlsUse::Required if self.offer.start_tls => self.command(Step::StartTls, "STARTTLS"),
            TlsUse::Opportunistic => self.log_in(),
            TlsUse::Required => self.unusable(ours(451, [4, 7, 10], "the server does not offer STARTTLS, which is required")),
        }
    }

    pub(super) fn start_tls(&mut self, reply: &Reply, said: Said, more: bool) {
        match reply.class() {
            // What was sent in the clear must not be read as if it had been encrypted (S04, S05).
            Class::Done if more => self.fail(
                Reason::StartTlsInjection,
                ours(451, [4, 7, 5], "the server sent more than its reply to STARTTLS"),
            ),
            Class::Done => {
                self.state = State::Tls;
                let then = self.slots.ask(Pending::Tls);
                self.asks.push_back(Ask::StartTls { then });
            }
            // RFC 3207 §4: it is up to the client whether it goes on.
            Class::NotNow | Class::Never if self.settings.tls == TlsUse::Opportunistic => self.log_in(),
            Class::NotNow | Class::Never => {
                self.unusable(prefixed(451, [4, 7, 10], "STARTTLS is required and was refused", &said))
            }
            Class::GoOn => self.out_of_step(&said),
        }
    }

    /// RFC 3207 §4.2: everything that was said before is forgotten.
    pub(super) fn tls_known(&mut self, outcome: TlsOutcome) {
        self.state = State::Commands;
        match outcome {
            TlsOutcome::Secure(_) if self.stopping => self.stop(),
            TlsOutcome::Secure(_) => {
                self.secured = true;
                self.reader = Reader::new();
                self.say_hello();
            }
            TlsOutcome::Failed(why) => {
                let text = super::reply::printable(&format!("the TLS handshake failed: {why}"));
                self.fail(Reason::TlsFailed, ours(451, [4, 7, 5], &text));
            }
        }
    }

    /// The session can send now: it asks what.
    pub(super) fn ready(&mut self) {
        let all = self.offer.transactions_max.is_some_and(|max| self.transactions >= max);
        if self.stopping || all {
            return self.quit(if self.stopping { Reason::Shutdown } else { Reason::Quit });
        }
        self.used = true;
        self.state = State::Choosing;
        let then = self.slots.ask(Pending::Next);
        self.asks.push_back(Ask::NextTransaction { then });
    }
}
