//! Greeting, EHLO, STARTTLS.

use alloc::format;
use alloc::string::{String, ToString};

use super::ask::{Ask, TlsOutcome};
use super::{Hello, Pending, Session, State};
use crate::machine::Reason;
use crate::smtp::extension::{self, Situation};
use crate::smtp::reply::Reply;

impl Session {
    pub(super) fn greet(&mut self) {
        let name = &self.settings.hostname;
        let greeting = format!("{name} ESMTP Pillarbox");
        self.reply(Reply::bare(220, greeting));
    }

    pub(super) fn hello(&mut self, extended: bool, name: String) {
        if self.talks_early() {
            return;
        }
        self.abandon();
        self.hello = Some(Hello { extended, name });
        let mut lines = alloc::vec![self.settings.hostname.clone()];
        if extended {
            lines.extend(extension::offered(self.situation()).iter().map(ToString::to_string));
        }
        self.reply(Reply::bare_lines(250, lines));
    }

    fn situation(&self) -> Situation {
        Situation {
            message_max: self.settings.message_max,
            may_start_tls: self.may_start_tls(),
            mechanisms: self.mechanisms(),
            logged_in: self.login.is_some(),
        }
    }

    fn may_start_tls(&self) -> bool {
        self.settings.starttls && self.tls.is_none() && self.login.is_none()
    }

    pub(super) fn start_tls(&mut self) {
        if !self.may_start_tls() {
            return self.protocol_error(503, [5, 5, 1], "STARTTLS is not available");
        }
        if self.taken < self.input.len() {
            // Bytes sent in the clear must not be read as if they had been encrypted (S04).
            self.refuse(554, [5, 5, 0], "nothing may follow STARTTLS before the handshake");
            return self.close(Reason::StartTlsInjection);
        }
        self.refuse(220, [2, 0, 0], "go ahead");
        self.state = State::Tls;
    }

    /// The reply to STARTTLS has left: now the handshake may begin, unless something came in between.
    pub(super) fn tls_may_begin(&mut self) {
        let asked = self.slots.open() > 0;
        if matches!(self.state, State::Tls)
            && self.send.is_empty()
            && self.replies.is_empty()
            && !asked
            && self.closing.is_none()
        {
            let then = self.slots.ask(Pending::Tls);
            self.asks.push_back(Ask::StartTls { then });
        }
    }

    /// RFC 3207 §4.2: everything that was said before is forgotten.
    pub(super) fn tls_known(&mut self, outcome: TlsOutcome) {
        if self.closing.is_some() {
            return;
        }
        match outcome {
            TlsOutcome::Secure(evidence) => {
                self.tls = Some(evidence);
                self.hello = None;
                self.login = None;
                self.abandon();
                self.forget_input();
                self.wait_for_command();
            }
            TlsOutcome::Failed => {
                self.wait_for_command();
                self.close(Reason::TlsFailed);
            }
        }
    }
}
