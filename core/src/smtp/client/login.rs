//! AUTH (RFC 4954): only under TLS. PLAIN where it is offered, else LOGIN.

use alloc::collections::VecDeque;
use alloc::format;
use alloc::string::String;

use super::reply::{Class, Reply, ours, prefixed};
use super::{Session, Step};
use crate::bytes::base64;
use crate::limits;
use crate::secret::Secret;
use crate::store::queue::Said;

impl Session {
    pub(super) fn log_in(&mut self) {
        let Some(credentials) = &self.settings.login else {
            return self.ready();
        };
        if !self.secured {
            return self.unusable(ours(451, [4, 7, 11], "no login without TLS"));
        }
        let encode = |text: &str| Secret::new(base64::encode(text.as_bytes()));
        let (user, password) = (&credentials.user, credentials.password.reveal());
        let (mechanism, responses) = if self.offer.plain {
            let message = Secret::new(format!("\0{user}\0{password}"));
            ("PLAIN", VecDeque::from([encode(message.reveal())]))
        } else if self.offer.login {
            ("LOGIN", VecDeque::from([encode(user), encode(password)]))
        } else {
            return self.unusable(ours(
                451,
                [4, 7, 4],
                "the server offers no way to log in that we know (PLAIN, LOGIN)",
            ));
        };
        self.responses = responses;
        let mut line = format!("AUTH {mechanism}");
        if mechanism == "PLAIN"
            && let Some(initial) = self.responses.front()
            && line.len() + 1 + initial.reveal().len() <= limits::CLIENT_AUTH_LINE
            && let Some(initial) = self.responses.pop_front()
        {
            line.push(' ');
            line.push_str(initial.reveal());
        }
        self.secret_command(line);
    }

    fn secret_command(&mut self, line: String) {
        let line = Secret::new(line); // wiped when it has been queued
        // A buffer that grows leaves a copy behind.
        self.send.reserve(line.reveal().len() + 2);
        self.secret = true;
        self.command(Step::Auth, line.reveal());
    }

    pub(super) fn auth(&mut self, reply: &Reply, said: &Said) {
        match reply.class() {
            Class::Done => {
                self.responses = VecDeque::new();
                self.ready();
            }
            Class::GoOn => {
                // A challenge too many is cancelled (RFC 4954 §4): then 501.
                let response = self.responses.pop_front();
                let line = response.map_or_else(|| String::from("*"), |response| String::from(response.reveal()));
                self.secret_command(line);
            }
            Class::NotNow | Class::Never => {
                self.responses = VecDeque::new();
                self.unusable(prefixed(451, [4, 7, 8], "the login was refused", said));
            }
        }
    }
}
