//! Records survive; a session is the same whatever its server does: each transaction is reported once, buffers are bounded.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use proptest::prelude::*;

use super::ask::*;
use super::reply::ours;
use super::*;
use crate::machine::{BodyError, Slot};
use crate::record::Record;
use crate::script::ScriptForm;
use crate::smtp::server::ask::TlsEvidence;
use crate::store::queue::QueueId;
use crate::time::Instant;

fn slot<T>() -> Slot<T> {
    Slots::new(3).ask(())
}

fn survives<T: Record + PartialEq + core::fmt::Debug>(value: &T) {
    let record = value.to_record();
    assert_eq!(T::from_record(&record).as_ref(), Ok(value));
    for end in 0..record.len() {
        assert!(T::from_record(&record[..end]).is_err(), "{value:?} cut at {end}");
    }
}

fn transaction(text: &str) -> Next {
    match Session::answer_line(Ask::NextTransaction { then: slot() }, text)
        .unwrap()
        .unwrap()
        .value
    {
        Value::Next(next) => next,
        other => panic!("{other:?}"),
    }
}

#[test]
fn every_ask_survives() {
    let said = ours(451, [4, 5, 0], "text");
    let by = Arc::new(Said {
        by: Some("mx.two.test".into()),
        ..(*said).clone()
    });
    for ask in [
        Ask::StartTls { then: slot() },
        Ask::NextTransaction { then: slot() },
        Ask::OpenBody {
            id: QueueId(7),
            start: 4096,
            len: u64::MAX,
            then: slot(),
        },
        Ask::Report {
            id: QueueId(7),
            results: Vec::from([
                Outcome::Relayed {
                    said: by.clone(),
                    dsn: true,
                },
                Outcome::Deferred(said.clone()),
                Outcome::Failed(by.clone()),
            ]),
            then: slot(),
        },
        Ask::Unusable { said: by, greeted: true },
    ] {
        survives(&ask);
    }
}

#[test]
fn every_answer_and_notice_survives() {
    let full = "7 <a@one.test> size=12 8bit utf8 ret=full envid=a+b to b@two.test,notify=never,orcpt=rfc822;x j\u{fc}@two.test";
    for value in [
        Value::Tls(TlsOutcome::Secure(TlsEvidence {
            version: "TLSv1.3".into(),
            cipher: "TLS_AES_128_GCM_SHA256".into(),
            bits: 128,
        })),
        Value::Tls(TlsOutcome::Failed("for another name".into())),
        Value::Next(Next(None)),
        Value::Next(transaction(full)),
        Value::Next(transaction("8 <> size=0 to b@[192.0.2.1]")),
        Value::Body(BodyOpened::Ready),
        Value::Body(BodyOpened::Failed(BodyError::Corrupt)),
        Value::Reported(Reported),
    ] {
        survives(&value);
    }
    survives(&Notice::Shutdown);
}

/// What a server, its host and time do to a session.
#[derive(Debug, Clone)]
enum Deed {
    /// All that is offered leaves, and the server replies as it should.
    Polite,
    Reply(&'static str),
    Part(Vec<u8>),
    Answer(bool),
    Body(usize),
    Sent(usize),
    Pass(u64),
    Eof,
    Shutdown,
}

const REPLIES: [&str; 18] = [
    "220 hi\r\n",
    "220-hi\r\n220 there\r\n",
    "250 OK\r\n",
    "250 OK\r\n",
    "250-mx\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-STARTTLS\r\n250-AUTH PLAIN\r\n250 SIZE 100\r\n",
    "250-mx\r\n250 LIMITS RCPTMAX=1 MAILMAX=2\r\n",
    "354 go\r\n",
    "354 go\r\n",
    "334 \r\n",
    "235 in\r\n",
    "421 bye\r\n",
    "450 later\r\n",
    "552 full\r\n",
    "550 no\r\n",
    "250-half",
    "9\r\n",
    "250 a\n",
    "250-PIPELINING\r\n",
];

fn deed() -> impl Strategy<Value = Deed> {
    prop_oneof![
        40 => Just(Deed::Polite),
        6 => (0..REPLIES.len()).prop_map(|index| Deed::Reply(REPLIES[index])),
        1 => prop::collection::vec(any::<u8>(), 1..20).prop_map(Deed::Part),
        20 => prop::bool::weighted(0.9).prop_map(Deed::Answer),
        10 => (0usize..40).prop_map(Deed::Body),
        10 => (1usize..2000).prop_map(Deed::Sent),
        1 => (1u64..700).prop_map(Deed::Pass),
        1 => Just(Deed::Eof),
        1 => Just(Deed::Shutdown),
    ]
}

/// A host that keeps the books.
struct Books {
    session: Session,
    now: Now,
    open: Vec<Ask>,
    handed: Vec<u64>,
    reported: Vec<u64>,
    unusable: usize,
    asked_next: bool,
    closed: bool,
    eof: bool,
}

impl Books {
    fn new(settings: Settings) -> Books {
        let now = Now::default();
        Books {
            session: Session::new(settings, 3, now),
            now,
            open: Vec::new(),
            handed: Vec::new(),
            reported: Vec::new(),
            unusable: 0,
            asked_next: false,
            closed: false,
            eof: false,
        }
    }

    /// Polls to rest; how much is offered, whether a read, whether a body is wanted, and until when.
    fn rest(&mut self) -> (usize, bool, bool, Option<Deadline>) {
        loop {
            match self.session.poll() {
                Output::Body(_) => panic!("a client writes no bodies"),
                Output::Ask(ask) => {
                    assert!(!self.closed);
                    match &ask {
                        Ask::Report { id, results, .. } => {
                            assert_eq!(results.len(), 2);
                            self.reported.push(id.0);
                        }
                        Ask::Unusable { .. } => self.unusable += 1,
                        Ask::NextTransaction { .. } => self.asked_next = true,
                        Ask::StartTls { .. } | Ask::OpenBody { .. } => {}
                    }
                    if !matches!(ask, Ask::Unusable { .. }) {
                        self.open.push(ask);
                    }
                }
                Output::Wait(wait) => {
                    return (wait.send.len(), wait.read, wait.body, wait.until);
                }
                Output::Close(_) => {
                    self.closed = true;
                    return (0, false, false, None);
                }
            }
        }
    }

    fn feed(&mut self, input: Input<'_, Value, Notice>) {
        self.session.handle(self.now, input);
        self.rest();
        let most = limits::CLIENT_REPLY * 2 + limits::SEND_HIGH_WATER * 4;
        assert!(self.session.buffered() <= most, "{} octets", self.session.buffered());
    }

    fn answer(&mut self, yes: bool) {
        if self.open.is_empty() {
            return;
        }
        let answer = match self.open.remove(0) {
            Ask::StartTls { then } if yes => then.answer(TlsOutcome::Secure(TlsEvidence {
                version: "TLSv1.3".into(),
                cipher: "x".into(),
                bits: 256,
            })),
            Ask::StartTls { then } => then.answer(TlsOutcome::Failed("no".into())),
            Ask::NextTransaction { then } => {
                let id = self.handed.len() as u64;
                let eight_bit = if id % 2 == 1 { " 8bit" } else { "" };
                let text = alloc::format!("{id} <a@one.test> size={}{eight_bit} to b@two.test c@two.test", id * 30);
                if yes {
                    self.handed.push(id);
                }
                then.answer(if yes { transaction(&text) } else { Next(None) })
            }
            Ask::OpenBody { then, .. } if yes => then.answer(BodyOpened::Ready),
            Ask::OpenBody { then, .. } => then.answer(BodyOpened::Failed(BodyError::Missing)),
            Ask::Report { then, .. } => then.answer(Reported),
            Ask::Unusable { .. } => panic!("it has no answer"),
        };
        self.feed(Input::Answer(answer));
    }

    fn perform(&mut self, deed: Deed) {
        let (send, read, body, until) = self.rest();
        if self.closed {
            return;
        }
        match deed {
            Deed::Polite => {
                if send > 0 {
                    self.feed(Input::Sent(send));
                }
                let reply = self.session.awaited.front().map(|awaited| match awaited.step {
                    Step::Greeting => REPLIES[0],
                    Step::Ehlo => REPLIES[4],
                    Step::Data => REPLIES[6],
                    Step::Helo | Step::StartTls | Step::Auth | Step::Mail | Step::Rcpt(_) => REPLIES[2],
                    Step::NoMessage | Step::FinalDot | Step::Rset | Step::Quit => REPLIES[2],
                });
                let (_, read, _, _) = self.rest();
                if let Some(reply) = reply.filter(|_| read && !self.eof) {
                    self.feed(Input::Received(reply.as_bytes()));
                }
            }
            Deed::Reply(reply) if read && !self.eof => self.feed(Input::Received(reply.as_bytes())),
            Deed::Part(bytes) if read && !self.eof => self.feed(Input::Received(&bytes)),
            Deed::Answer(yes) => self.answer(yes),
            Deed::Body(0) if body => self.feed(Input::Body(Err(BodyError::Corrupt))),
            Deed::Body(octets) if body => {
                let rest = match &self.session.state {
                    State::Scanning(run) | State::Message(run) => run.rest(),
                    _ => 0,
                };
                let chunk = "x\r\n.\r\n\u{e4}y".as_bytes().repeat(8);
                let octets = octets.min(usize::try_from(rest).unwrap());
                self.feed(Input::Body(Ok(&chunk[..octets])));
            }
            Deed::Sent(octets) if send > 0 => self.feed(Input::Sent(octets.min(send))),
            Deed::Pass(seconds) => {
                self.now.instant = self.now.instant.after(Duration::from_secs(seconds));
                if let Some(until) = until.filter(|until| until.at <= self.now.instant) {
                    self.feed(Input::Tick);
                    let (_, _, _, next) = self.rest();
                    assert!(next.is_none_or(|next| next.at > until.at), "it spins");
                }
            }
            Deed::Eof if read && !self.eof => {
                self.eof = true;
                self.feed(Input::Eof);
            }
            Deed::Shutdown => self.feed(Input::Notice(Notice::Shutdown)),
            Deed::Reply(_) | Deed::Part(_) | Deed::Body(_) | Deed::Sent(_) | Deed::Eof => {}
        }
    }

    /// The server is silent, the host answers: it comes to an end.
    fn run_to_the_end(&mut self) {
        for _ in 0..1000 {
            if self.closed {
                return;
            }
            self.answer(false);
            let (_, _, _, until) = self.rest();
            if let Some(until) = until {
                self.now.instant = Instant(self.now.instant.0.max(until.at.0));
                self.feed(Input::Tick);
            }
        }
        panic!("it does not end");
    }
}

fn settings(login: bool, tls: TlsUse) -> Settings {
    Settings {
        hostname: "mx.one.test".into(),
        server: "mx.two.test".into(),
        tls,
        login: login.then(|| Credentials {
            user: "tim".into(),
            password: crate::secret::Secret::new("tanstaaftanstaaf".into()),
        }),
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]
    /// Whatever happens, in whatever order: what was handed out is reported once, in order; a session either asked for a
    /// transaction or says why it is unusable, once.
    #[test]
    fn each_transaction_is_reported_once(deeds in prop::collection::vec(deed(), 0..120), login: bool, tls in 0usize..3) {
        let tls = [TlsUse::Opportunistic, TlsUse::Implicit, TlsUse::Never][tls];
        let mut books = Books::new(settings(login, tls));
        books.rest();
        for deed in deeds {
            books.perform(deed);
        }
        books.run_to_the_end();
        prop_assert_eq!(&books.handed, &books.reported);
        prop_assert_eq!(books.unusable, usize::from(!books.asked_next));
    }
}

#[test]
fn an_idle_session_owns_no_buffer() {
    let mut books = Books::new(settings(false, TlsUse::Never));
    books.rest();
    books.feed(Input::Received(b"220 hi\r\n"));
    books.feed(Input::Sent("EHLO mx.one.test\r\n".len()));
    books.feed(Input::Received(b"250 hi\r\n"));
    assert!(books.asked_next);
    assert_eq!(books.session.buffered(), 0);
}
