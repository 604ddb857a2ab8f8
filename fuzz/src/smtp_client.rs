//! The SMTP client session against any server.

use std::sync::Arc;

use pillarbox_core::address::{Mailbox, ReversePath};
use pillarbox_core::limits;
use pillarbox_core::machine::{BodyError, Input, Output};
use pillarbox_core::secret::Secret;
use pillarbox_core::smtp::client::Session;
use pillarbox_core::smtp::client::trace::New;
use pillarbox_core::smtp::client::ask::{
    Ask, BodyOpened, Credentials, Next, Outcome, Reported, Settings, TlsOutcome, TlsUse, Transaction,
};
use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::store::queue::{Notify, QueueId, QueuedRecipient, Ret, Wishes};
use pillarbox_core::time::Now;

use crate::recorded::Recorded;
use crate::{pieces, steered};

/// With a line that is a dot, one that begins with one, octets above 127, and no end of its last line.
const MESSAGE: &[u8] = b"Subject: x\r\n\r\n.\r\n..\r\n.a\r\n\xc3\xa4\r\nb";

/// Whatever a server says, in whatever pieces: buffers stay bounded, the session ends, each transaction that was handed out is
/// reported once, nothing is relayed unless all of it and its final dot have left, no message has two ends, and the recording
/// replays.
pub fn smtp_client(bytes: &[u8]) {
    let (steer, said) = steered(bytes);
    let mut host = Host::new(steer);
    for piece in pieces(said, steer) {
        host.receive(piece);
    }
    host.hang_up();
    assert_eq!(host.reported, (0..host.handed).collect::<Vec<u64>>());
    planted!(host.relayed == 2 && host.reported.len() == 3);
    assert_eq!(host.unusable, usize::from(!host.asked));
    let ends = host.sent.windows(5).filter(|window| window == b"\r\n.\r\n").count();
    assert!(ends as u64 <= host.handed, "{}", String::from_utf8_lossy(&host.sent));
    assert!(host.relayed <= ends, "{}", String::from_utf8_lossy(&host.sent));
}

struct Host {
    steer: u8,
    now: Now,
    session: Recorded<Session>,
    handed: u64,
    reported: Vec<u64>,
    relayed: usize,
    asked: bool,
    unusable: usize,
    /// What is still to come of the open run.
    rest: &'static [u8],
    sent: Vec<u8>,
    reads: bool,
    /// Questions, answered when the session rests.
    open: Vec<Ask>,
    closed: bool,
}

impl Host {
    fn new(steer: u8) -> Host {
        let login = Credentials {
            user: "tim".into(),
            password: Secret::new("tanstaaftanstaaf".into()),
        };
        let settings = Settings {
            hostname: "mx.one.test".into(),
            server: "mx.two.test".into(),
            tls: match steer & 3 {
                0 => TlsUse::Never,
                1 => TlsUse::Opportunistic,
                2 => TlsUse::Required,
                _ => TlsUse::Implicit,
            },
            login: (steer & 4 != 0).then_some(login),
        };
        let now = Now::default();
        let mut host = Host {
            steer,
            now,
            session: Recorded::begin(New { settings, machine: 1, now }, now, true),
            handed: 0,
            reported: Vec::new(),
            relayed: 0,
            asked: false,
            unusable: 0,
            rest: &[],
            sent: Vec::new(),
            reads: false,
            open: Vec::new(),
            closed: false,
        };
        host.reads = host.rest();
        host
    }

    /// Does all there is to do without the server; whether the session reads.
    fn rest(&mut self) -> bool {
        loop {
            let few = if self.steer & 8 == 0 { usize::MAX } else { 3 };
            let (octets, read, body) = match self.session.poll() {
                Output::Body(_) => panic!("a client writes no bodies"),
                Output::Ask(Ask::Unusable { .. }) => {
                    self.unusable += 1;
                    continue;
                }
                Output::Ask(ask) => {
                    self.open.push(ask);
                    continue;
                }
                Output::Close(close) => {
                    self.session.close(&close);
                    self.closed = true;
                    return false;
                }
                Output::Wait(wait) => {
                    let octets = wait.send.len().min(few);
                    self.sent.extend_from_slice(&wait.send[..octets]);
                    (octets, wait.read, wait.body)
                }
            };
            let bound = 2 * limits::CLIENT_REPLY + limits::SMTP_COMMAND + 4 * MESSAGE.len();
            assert!(self.session.buffered() <= bound, "{} octets", self.session.buffered());
            if octets > 0 {
                self.session.handle(self.now, Input::Sent(octets));
            } else if !self.open.is_empty() {
                let ask = self.open.remove(0);
                self.answer(ask);
            } else if body && self.steer & 16 != 0 && self.rest.len() < MESSAGE.len() {
                self.session.handle(self.now, Input::Body(Err(BodyError::Unreadable)));
            } else if body {
                let (piece, rest) = self.rest.split_at(self.rest.len().min(5));
                self.rest = rest;
                self.session.handle(self.now, Input::Body(Ok(piece)));
            } else {
                return read;
            }
        }
    }

    fn answer(&mut self, ask: Ask) {
        let answer = match ask {
            Ask::StartTls { then } if self.steer & 32 != 0 => then.answer(TlsOutcome::Failed("\r\nno".into())),
            Ask::StartTls { then } => then.answer(TlsOutcome::Secure(TlsEvidence {
                version: "TLSv1.3".into(),
                cipher: "x".into(),
                bits: 256,
            })),
            Ask::NextTransaction { then } => {
                self.asked = true;
                let next = (self.handed < 3).then(|| Arc::new(self.transaction()));
                self.handed += u64::from(next.is_some());
                then.answer(Next(next))
            }
            Ask::OpenBody { start, len, then, .. } => {
                self.rest = &MESSAGE[start as usize..(start + len) as usize];
                then.answer(BodyOpened::Ready)
            }
            Ask::Report { id, results, then } => {
                assert_eq!(results.len(), 2);
                self.relayed += usize::from(results.iter().any(|outcome| matches!(outcome, Outcome::Relayed { .. })));
                for outcome in results {
                    let (said, class) = match outcome {
                        Outcome::Relayed { said, .. } => (said, 2),
                        Outcome::Deferred(said) => (said, 4),
                        Outcome::Failed(said) => (said, 5),
                    };
                    assert_eq!((said.code / 100, said.status[0]), (class, class), "{said:?}");
                    assert!(said.text.len() <= limits::SAID_TEXT);
                    assert!(said.text.bytes().all(|byte| (b' '..=b'~').contains(&byte)), "{said:?}");
                }
                self.reported.push(id.0);
                then.answer(Reported)
            }
            Ask::Unusable { .. } => unreachable!("it has no answer"),
        };
        self.session.handle(self.now, Input::Answer(answer));
    }

    fn transaction(&self) -> Transaction {
        let recipient = |address: &str| QueuedRecipient {
            original: Some("rfc822;x+y@two.test".into()),
            notify: Some(Notify::SUCCESS),
            ..QueuedRecipient::of(Mailbox::parse(address, true).expect("an address"))
        };
        Transaction {
            id: QueueId(self.handed),
            reverse_path: ReversePath::Null,
            wishes: Wishes {
                ret: Some(Ret::Full),
                envelope_id: Some("a=b".into()),
                eight_bit: self.steer & 64 != 0,
                utf8: false,
            },
            recipients: vec![recipient("bob@two.test"), recipient("j\u{fc}rgen@two.test")],
            size: MESSAGE.len() as u64,
            ours: self.steer & 32 != 0,
        }
    }

    fn receive(&mut self, piece: &[u8]) {
        if self.reads {
            self.session.handle(self.now, Input::Received(piece));
            self.reads = self.rest();
        }
    }

    fn hang_up(&mut self) {
        if self.reads {
            self.session.handle(self.now, Input::Eof);
            self.reads = self.rest();
        }
        assert!(self.closed, "a session without a server ends");
    }
}
