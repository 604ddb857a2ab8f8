//! A host for the session under test.

use std::sync::Arc;

use pillarbox_core::address::Mailbox;
use pillarbox_core::machine::{Input, Machine, Output, Reason};
use pillarbox_core::policy::access::{AuthorVerdict, Login, RecipientVerdict, Target};
use pillarbox_core::record::Record;
use pillarbox_core::sasl::{ProofVerdict, ScramSalt};
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{
    Ask, Committed, Incoming, PasswordVerdict, Peer, Settings, SinkOpened, TlsEvidence, TlsOutcome,
};
use pillarbox_core::store::AccountId;
use pillarbox_core::time::{Instant, Now, UnixTime};

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

pub(crate) fn evidence() -> TlsEvidence {
    TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
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
        let answer = match ask {
            Ask::StartTls { then } => {
                self.handshakes += 1;
                then.answer(TlsOutcome::Secure(evidence()))
            }
            Ask::VerifyPassword { then, .. } => then.answer(PasswordVerdict::Granted(Login {
                account: AccountId([1; 16]),
                name: "tim@one.test".into(),
            })),
            Ask::ScramSalt { then, .. } => then.answer(ScramSalt {
                salt: [1; 16],
                iterations: 4096,
                nonce: [2; 18],
            }),
            Ask::ScramProof { then, .. } => then.answer(ProofVerdict::Denied),
            Ask::ResolveRecipient { matter, then } => then.answer(RecipientVerdict {
                outcome: Ok(vec![if matter.recipient.to_string().contains("other") {
                    remote()
                } else {
                    target()
                }]),
                because: Vec::new(),
            }),
            Ask::JudgeAuthor { then, .. } => then.answer(AuthorVerdict {
                outcome: Ok(()),
                because: Vec::new(),
            }),
            Ask::OpenMessage { then, .. } => then.answer(SinkOpened::Ready),
            Ask::CommitMessage { message, then } => {
                self.commits.push(message);
                then.answer(Committed::Done)
            }
            Ask::DropMessage => return,
        };
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

pub(crate) fn target() -> Target {
    Target::Local {
        account: AccountId([1; 16]),
        address: Mailbox::parse("bob@one.test", false).expect("an address"),
    }
}

pub(crate) fn remote() -> Target {
    Target::Remote {
        address: Mailbox::parse("x@other.test", false).expect("an address"),
    }
}

pub(crate) const ENVELOPE: [&str; 3] = ["EHLO client.test", "MAIL FROM:<tim@one.test>", "RCPT TO:<bob@one.test>"];
pub(crate) const LOGIN: &str = "AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm";
