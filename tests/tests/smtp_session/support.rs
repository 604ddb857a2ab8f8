//! A host for the session under test.

use std::sync::Arc;

use pillarbox_core::machine::{Input, Machine, Output, Reason};
use pillarbox_core::record::Record;
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{Ask, Incoming, Peer, Settings};
use pillarbox_core::time::{Instant, Now, UnixTime};
use pillarbox_tests::host::evidence;
use pillarbox_tests::host::smtp::yes;

/// A host that answers at once, and says yes.
pub(crate) struct Host {
    pub(crate) session: Session,
    sent: Vec<u8>,
    pub(crate) body: u64,
    pub(crate) commits: Vec<Incoming>,
    pub(crate) handshakes: usize,
    pub(crate) reads: bool,
    pub(crate) closed: Option<Reason>,
    /// The most that the session held at rest.
    pub(crate) most: usize,
}

pub(crate) fn now() -> Now {
    Now {
        instant: Instant(0),
        unix: UnixTime(1_795_510_800_000),
    }
}

impl Host {
    pub(crate) fn new(submission: bool, tls: bool) -> Host {
        let settings = Settings {
            hostname: "mx.one.test".into(),
            submission,
            starttls: !tls,
            plaintext_auth: false,
            scram: true,
            message_max: 4 << 30,
        };
        let peer = Peer {
            ip: "2001:db8::7".parse().expect("an address"),
            port: 1,
        };
        let session = Session::new(Arc::new(settings), peer, tls.then(evidence), 1, [7; 16], now());
        let mut host = Host {
            session,
            sent: Vec::new(),
            body: 0,
            commits: Vec::new(),
            handshakes: 0,
            reads: false,
            closed: None,
            most: 0,
        };
        host.settle();
        host
    }

    /// Polls, sends and answers until the session rests with nothing to send.
    fn settle(&mut self) {
        while self.closed.is_none() {
            let sent = match self.session.poll() {
                Output::Body(part) => {
                    self.body += part.len() as u64;
                    continue;
                }
                Output::Ask(ask) => {
                    self.perform(ask);
                    continue;
                }
                Output::Close(close) => {
                    self.closed = Some(close.why);
                    return;
                }
                Output::Wait(wait) => {
                    self.reads = wait.read;
                    self.sent.extend_from_slice(wait.send);
                    wait.send.len()
                }
            };
            self.most = self.most.max(self.session.buffered());
            if sent == 0 {
                return;
            }
            self.session.handle(now(), Input::Sent(sent));
        }
    }

    fn perform(&mut self, ask: Ask) {
        // Every ask can be recorded. (A secret reads back empty, so only the bytes are compared.)
        let record = ask.to_record();
        let again = Ask::from_record(&record).expect("an ask that was recorded");
        assert_eq!(again.to_record(), record);
        self.handshakes += usize::from(matches!(ask, Ask::StartTls { .. }));
        let (answer, committed) = yes(ask);
        self.commits.extend(committed);
        let Some(answer) = answer else { return };
        self.session.handle(now(), Input::Answer(answer));
    }

    /// Hands bytes over while the session reads; what it sent since.
    pub(crate) fn say(&mut self, bytes: &[u8]) -> String {
        self.sent.clear();
        if self.reads && self.closed.is_none() && !bytes.is_empty() {
            self.session.handle(now(), Input::Received(bytes));
            self.settle();
        }
        String::from_utf8(self.sent.clone()).expect("replies are ASCII")
    }

    pub(crate) fn all(&mut self, lines: &[&str]) -> String {
        lines.iter().map(|line| self.say(format!("{line}\r\n").as_bytes())).collect()
    }
}

pub(crate) const ENVELOPE: [&str; 3] = ["EHLO client.test", "MAIL FROM:<tim@one.test>", "RCPT TO:<bob@one.test>"];
pub(crate) const LOGIN: &str = "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm";
