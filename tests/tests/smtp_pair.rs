//! Our SMTP client and our SMTP server, machine against machine: what goes in comes out, octet by octet, whatever the message, however
//! the bytes are cut up, with PIPELINING or without.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use pillarbox_core::address::{Mailbox, ReversePath};
use pillarbox_core::limits;
use pillarbox_core::machine::{Input, Machine, Output};
use pillarbox_core::policy::access::{RecipientVerdict, Refusal, Target};
use pillarbox_core::smtp::{client, server};
use pillarbox_core::store::AccountId;
use pillarbox_core::store::queue::{QueueId, QueuedRecipient, Wishes};
use pillarbox_core::time::Now;
use pillarbox_tests::rng::Rng;
use proptest::prelude::*;

/// A stream between the two, and how it is cut up.
struct Wire {
    up: VecDeque<u8>,
    down: VecDeque<u8>,
    rng: Rng,
    /// The longest piece.
    most: u64,
    /// PIPELINING is taken out of the server's offer.
    one_by_one: bool,
}

impl Wire {
    fn piece(&mut self, len: usize) -> usize {
        let most = self.most.min(len as u64);
        (1 + self.rng.below(most.max(1))) as usize
    }
}

struct Pair {
    now: Now,
    client: client::Session,
    server: server::Session,
    wire: Wire,
    /// What is to be sent: each to bob and, refused, to eve.
    messages: Vec<Vec<u8>>,
    handed: usize,
    /// The run that is open: of the message handed out last.
    run: std::ops::Range<usize>,
    reports: Vec<String>,
    sink: Vec<u8>,
    arrived: Vec<Vec<u8>>,
    client_closed: bool,
    server_closed: bool,
}

impl Pair {
    fn new(messages: Vec<Vec<u8>>, seed: u64, most: u64, one_by_one: bool) -> Pair {
        let now = Now::default();
        let settings = client::ask::Settings {
            hostname: "mx.one.test".into(),
            server: "mx.two.test".into(),
            tls: client::ask::TlsUse::Never,
            login: None,
        };
        let listener = server::ask::Settings {
            hostname: "mx.two.test".into(),
            submission: false,
            starttls: false,
            plaintext_auth: false,
            scram: false,
            message_max: limits::MESSAGE,
        };
        let peer = server::ask::Peer {
            ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
            port: 49_152,
        };
        Pair {
            now,
            client: client::Session::new(settings, 1, now),
            server: server::Session::new(Arc::new(listener), peer, None, 2, [7; 16], now),
            wire: Wire {
                up: VecDeque::new(),
                down: VecDeque::new(),
                rng: Rng::new(seed),
                most,
                one_by_one,
            },
            messages,
            handed: 0,
            run: 0..0,
            reports: Vec::new(),
            sink: Vec::new(),
            arrived: Vec::new(),
            client_closed: false,
            server_closed: false,
        }
    }

    fn run(&mut self) {
        while !self.client_closed || !self.server_closed {
            let client = !self.client_closed && self.client_turn();
            let server = !self.server_closed && self.server_turn();
            assert!(client || server, "both wait");
        }
    }

    /// One input for the client; `false`: there is none.
    fn client_turn(&mut self) -> bool {
        let (send, read, body) = match self.client.poll() {
            Output::Ask(ask) => {
                self.client_asks(ask);
                return true;
            }
            Output::Close(close) => {
                assert_eq!(close.why, pillarbox_core::machine::Reason::Quit);
                self.client_closed = true;
                return true;
            }
            Output::Body(_) => panic!("a client writes no bodies"),
            Output::Wait(wait) => (wait.send.to_vec(), wait.read, wait.body),
        };
        if !send.is_empty() {
            let piece = self.wire.piece(send.len());
            self.wire.up.extend(&send[..piece]);
            self.client.handle(self.now, Input::Sent(piece));
        } else if body {
            let piece = self.wire.piece(self.run.len());
            let message = &self.messages[self.handed - 1];
            self.client
                .handle(self.now, Input::Body(Ok(&message[self.run.start..self.run.start + piece])));
            self.run.start += piece;
        } else if read && !self.wire.down.is_empty() {
            let piece = self.wire.piece(self.wire.down.len());
            let bytes: Vec<u8> = self.wire.down.drain(..piece).collect();
            self.client.handle(self.now, Input::Received(&bytes));
        } else {
            return false;
        }
        true
    }

    fn client_asks(&mut self, ask: client::ask::Ask) {
        use client::ask::{Ask, BodyOpened, Next, Outcome, Reported, Transaction};
        let answer = match ask {
            Ask::NextTransaction { then } => {
                let next = self.messages.get(self.handed).map(|message| {
                    let recipient = |address: &str| QueuedRecipient::of(Mailbox::parse(address, false).expect("an address"));
                    Arc::new(Transaction {
                        id: QueueId(self.handed as u64),
                        reverse_path: ReversePath::Null,
                        wishes: Wishes {
                            eight_bit: !message.is_ascii(),
                            ..Wishes::default()
                        },
                        recipients: vec![recipient("bob@two.test"), recipient("eve@two.test")],
                        size: message.len() as u64,
                        ours: false,
                    })
                });
                self.handed += 1;
                then.answer(Next(next))
            }
            Ask::OpenBody { id, start, len, then } => {
                assert_eq!(id.0 as usize + 1, self.handed);
                assert!(len > 0 && len <= limits::RUN_BYTES);
                self.run = start as usize..(start + len) as usize;
                then.answer(BodyOpened::Ready)
            }
            Ask::Report { results, then, .. } => {
                let word = |outcome: &Outcome| match outcome {
                    Outcome::Relayed { .. } => "relayed".to_string(),
                    Outcome::Deferred(said) | Outcome::Failed(said) => format!("{} {:?}", said.code, said.status),
                };
                self.reports.push(results.iter().map(word).collect::<Vec<_>>().join(", "));
                then.answer(Reported)
            }
            Ask::StartTls { .. } | Ask::Unusable { .. } => panic!("{ask:?}"),
        };
        self.client.handle(self.now, Input::Answer(answer));
    }

    fn server_turn(&mut self) -> bool {
        let (send, read) = match self.server.poll() {
            Output::Ask(ask) => {
                self.server_asks(ask);
                return true;
            }
            Output::Body(part) => {
                self.sink.extend_from_slice(part);
                return true;
            }
            Output::Close(_) => {
                self.server_closed = true;
                return true;
            }
            Output::Wait(wait) => (wait.send.to_vec(), wait.read),
        };
        if !send.is_empty() {
            let text = String::from_utf8(send.clone()).expect("replies are ASCII");
            let text = if self.wire.one_by_one {
                text.replace("250-PIPELINING\r\n", "")
            } else {
                text
            };
            self.wire.down.extend(text.as_bytes());
            self.server.handle(self.now, Input::Sent(send.len()));
        } else if read && !self.wire.up.is_empty() {
            let piece = self.wire.piece(self.wire.up.len());
            let bytes: Vec<u8> = self.wire.up.drain(..piece).collect();
            self.server.handle(self.now, Input::Received(&bytes));
        } else {
            return false;
        }
        true
    }

    fn server_asks(&mut self, ask: server::ask::Ask) {
        use server::ask::{Ask, Committed, SinkOpened};
        let answer = match ask {
            Ask::ResolveRecipient { matter, then } => {
                let address = Mailbox::parse("bob@two.test", false).expect("an address");
                let account = AccountId([1; 16]);
                let outcome = match matter.recipient.to_string().as_str() {
                    "<bob@two.test>" => Ok(vec![Target::Local { account, address }]),
                    _ => Err(Refusal {
                        code: 550,
                        status: [5, 1, 1],
                        text: "unknown".into(),
                    }),
                };
                let because = Vec::new();
                then.answer(RecipientVerdict { outcome, because })
            }
            Ask::OpenMessage { then, .. } => {
                self.sink = Vec::new();
                then.answer(SinkOpened::Ready)
            }
            Ask::CommitMessage { message, then } => {
                assert_eq!(message.size as usize, self.sink.len());
                self.arrived.push(std::mem::take(&mut self.sink));
                then.answer(Committed::Done)
            }
            Ask::StartTls { .. }
            | Ask::VerifyPassword { .. }
            | Ask::ScramSalt { .. }
            | Ask::ScramProof { .. }
            | Ask::JudgeAuthor { .. }
            | Ask::DropMessage => panic!("{ask:?}"),
        };
        self.server.handle(self.now, Input::Answer(answer));
    }
}

/// A message with proper lines.
fn message() -> impl Strategy<Value = Vec<u8>> {
    let line = prop_oneof![
        Just(".".to_string()),
        Just("..".to_string()),
        Just(String::new()),
        "\\.?[ -~]{0,80}",
        "[a-z.\u{e4}\u{20ac}]{0,20}",
        (1usize..6000).prop_map(|len| ".".repeat(len)),
    ];
    prop::collection::vec(line, 0..30).prop_map(|lines| {
        let lines = lines.into_iter().map(|line| line + "\r\n");
        lines.collect::<String>().into_bytes()
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn what_goes_in_comes_out(
        messages in prop::collection::vec(message(), 0..4),
        seed: u64,
        most in prop::sample::select(vec![1u64, 2, 7, 100, 10_000]),
        one_by_one: bool,
    ) {
        let mut pair = Pair::new(messages.clone(), seed, most, one_by_one);
        pair.run();
        prop_assert_eq!(&pair.arrived, &messages);
        prop_assert_eq!(pair.reports, vec!["relayed, 550 [5, 1, 1]"; messages.len()]);
    }
}

/// More than one run, and more than is ever kept: the client reads on as the server takes.
#[test]
fn a_large_message() {
    let line = b"0123456789 and so on\r\n..\r\n";
    let message = line.repeat(9_000_000 / line.len());
    let mut pair = Pair::new(vec![message.clone()], 1, 100_000, false);
    pair.run();
    assert!(pair.arrived == [message]);
}
