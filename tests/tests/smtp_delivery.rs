//! Deliveries over the simulated network: to servers that misbehave as their script says, and to a whole Pillarbox.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::AsyncWriteExt;
use pillarbox::env::{Alpn, Env};
use pillarbox::hosts::sessions::Sessions;
use pillarbox::hosts::smtp_client::{MessageBody, Outbound, TransactionSource, deliver};
use pillarbox_core::address::{Domain, Mailbox, ReversePath};
use pillarbox_core::delivery::{Destination, Hop, Plan};
use pillarbox_core::limits;
use pillarbox_core::machine::BodyError;
use pillarbox_core::secret::Secret;
use pillarbox_core::smtp::client::ask::{Credentials, Outcome, TlsUse, Transaction};
use pillarbox_core::store::queue::{QueueId, QueuedRecipient, Said, Wishes};
use pillarbox_core::time::Instant;
use pillarbox_tests::client::Lines;
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::sim::server::{self, PASSWORD};
use pillarbox_tests::sim::tls::Certificate;
use pillarbox_tests::sim::{Nodes, SimEnv, World};

// --- what is sent -----------------------------------------------------------------------------------------------------------------

/// Messages in order, and what became of them.
#[derive(Default)]
struct Outbox {
    messages: Vec<Vec<u8>>,
    handed: Mutex<usize>,
    /// Users of ours handed them in.
    ours: bool,
    /// Reading fails from this octet on.
    unreadable_from: Option<u64>,
    reports: Mutex<Vec<String>>,
    unusable: Mutex<Option<String>>,
}

impl Outbox {
    fn of(messages: &[&[u8]]) -> Arc<Outbox> {
        Arc::new(Outbox {
            messages: messages.iter().map(|message| message.to_vec()).collect(),
            ..Outbox::default()
        })
    }

    fn reports(&self) -> Vec<String> {
        self.reports.lock().unwrap().clone()
    }

    fn unusable(&self) -> Option<String> {
        self.unusable.lock().unwrap().clone()
    }
}

/// A message in pieces whose ends are nobody else's.
struct Pieces {
    message: Vec<u8>,
    at: usize,
    chunk: Range<usize>,
    unreadable_from: u64,
    waited: bool,
}

impl MessageBody for Pieces {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        // As a disk does: later, and nothing is held meanwhile.
        self.waited = !self.waited;
        if self.waited {
            self.chunk = 0..0;
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        if self.at as u64 >= self.unreadable_from {
            return Poll::Ready(Err(BodyError::Unreadable));
        }
        assert!(self.at < self.message.len(), "no more than there is is read");
        self.chunk = self.at..(self.at + 99_999).min(self.message.len());
        self.at = self.chunk.end;
        Poll::Ready(Ok(()))
    }

    fn chunk(&self) -> &[u8] {
        &self.message[self.chunk.clone()]
    }
}

fn words(said: &Said) -> String {
    let [class, subject, detail] = said.status;
    format!("{} {class}.{subject}.{detail} {}", said.code, said.text)
}

impl TransactionSource for Outbox {
    type Body = Pieces;

    async fn next(&self) -> Option<Arc<Transaction>> {
        let mut handed = self.handed.lock().unwrap();
        let message = self.messages.get(*handed)?;
        *handed += 1;
        Some(Arc::new(Transaction {
            id: QueueId(*handed as u64),
            reverse_path: ReversePath::Mailbox(mailbox("alice@two.test")),
            wishes: Wishes {
                eight_bit: !message.is_ascii(),
                ..Wishes::default()
            },
            recipients: vec![QueuedRecipient::of(mailbox("bob@two.test"))],
            size: message.len() as u64,
            ours: self.ours,
        }))
    }

    async fn report(&self, id: QueueId, results: Vec<Outcome>) {
        assert_eq!(id.0 as usize, *self.handed.lock().unwrap());
        let word = match &results[..] {
            [Outcome::Relayed { .. }] => "relayed".into(),
            [Outcome::Deferred(said)] => format!("deferred {}", words(said)),
            [Outcome::Failed(said)] => format!("failed {}", words(said)),
            other => panic!("{other:?}"),
        };
        self.reports.lock().unwrap().push(word);
    }

    fn open(&self, id: QueueId) -> Result<Pieces, BodyError> {
        Ok(Pieces {
            message: self.messages[id.0 as usize - 1].clone(),
            at: 0,
            chunk: 0..0,
            unreadable_from: self.unreadable_from.unwrap_or(u64::MAX),
            waited: false,
        })
    }

    async fn unusable(&self, said: Arc<Said>) {
        assert_eq!(*self.handed.lock().unwrap(), 0);
        let before = self.unusable.lock().unwrap().replace(words(&said));
        assert_eq!(before, None);
    }
}

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address, false).expect("an address")
}

// --- where to ---------------------------------------------------------------------------------------------------------------------

fn hop(name: &str, addresses: &[IpAddr], tls: TlsUse, verified: bool) -> Hop {
    Hop {
        name: name.into(),
        addresses: addresses.to_vec(),
        port: if tls == TlsUse::Implicit { 465 } else { 25 },
        tls,
        verified,
        login: false,
    }
}

fn plan(hops: Vec<Hop>) -> Plan {
    Plan {
        destination: Destination::Domain(Domain::parse("two.test", false).expect("a domain")),
        hops,
    }
}

fn outbound(env: &SimEnv) -> Outbound<SimEnv> {
    Outbound {
        env: env.clone(),
        sessions: Arc::default(),
        hostname: "mx.one.test".into(),
        sources: Vec::new(),
        login: None,
        records: None,
    }
}

// --- servers that do as they are told ---------------------------------------------------------------------------------------------

/// What a server does next.
#[derive(Clone)]
enum Turn {
    /// Says a line.
    Say(&'static str),
    /// Reads a line that begins so.
    Read(&'static str),
    /// Reads a message up to its final dot.
    Message,
    /// The handshake.
    Tls(Certificate),
    /// Nothing, for ever.
    Silence,
}

use Turn::{Message, Read, Say, Silence, Tls};

/// What the server got: messages that came to their end, and lines that did not fit.
type Got = Arc<Mutex<Vec<String>>>;

/// A server on a node of its own that plays one script a connection and then closes it; it takes no other connections.
fn fake(world: &World, number: u8, sessions: Vec<Vec<Turn>>) -> (IpAddr, Got) {
    let ip = world.node(number, "fake");
    let got = Got::default();
    let log = got.clone();
    world.start(ip, move |env| async move {
        let listener = env.listen("0.0.0.0:25".parse().expect("an address")).expect("free");
        for script in sessions {
            let (stream, _) = env.accept(&listener).await.expect("it listens");
            log.lock().unwrap().push("connected".into());
            if let Err(error) = serve(&env, Lines::new(stream), script, &log).await {
                log.lock().unwrap().push(format!("{:?}", error.kind()));
            }
        }
    });
    (ip, got)
}

async fn serve(env: &SimEnv, mut lines: Lines<<SimEnv as Env>::Stream>, script: Vec<Turn>, log: &Got) -> std::io::Result<()> {
    for turn in script {
        match turn {
            Say(line) => lines.send(format!("{line}\r\n").as_bytes()).await?,
            Read(start) => {
                let line = lines.line().await?;
                assert!(line.starts_with(start), "{line} is not {start}");
            }
            Message => {
                let mut message = String::new();
                loop {
                    let line = lines.line().await?;
                    if line == ".\r\n" {
                        break;
                    }
                    message.push_str(&line);
                }
                log.lock().unwrap().push(message);
            }
            Tls(certificate) => {
                let (stream, _) = env.tls_accept(lines.into_stream(), &certificate, Alpn::Ignore).await?;
                lines = Lines::new(stream);
            }
            Silence => std::future::pending().await,
        }
    }
    lines.into_stream().close().await
}

/// From the greeting to the end of a message.
fn polite() -> Vec<Turn> {
    let mut turns = vec![Say("220 hi")];
    turns.extend(rest());
    turns
}

/// From EHLO on.
fn rest() -> Vec<Turn> {
    let mut turns = vec![Read("EHLO mx.one.test"), Say("250 hi")];
    turns.extend(transaction());
    turns.extend([Message, Say("250 2.0.0 queued"), Read("QUIT"), Say("221 bye")]);
    turns
}

fn transaction() -> Vec<Turn> {
    vec![
        Read("MAIL FROM:<alice@two.test>"),
        Say("250 OK"),
        Read("RCPT TO:<bob@two.test>"),
        Say("250 OK"),
        Read("DATA"),
        Say("354 go"),
    ]
}

const HELLO: &[u8] = b"Subject: hello\r\n\r\nhello\r\n";

/// Tells a story and says how long it took.
fn tell<F: Future<Output = ()> + Send + 'static>(mut world: World, story: impl FnOnce(SimEnv, Nodes) -> F) -> Duration {
    let (env, nodes) = (world.client(), world.nodes());
    let story = story(env.clone(), nodes);
    world.run(story);
    env.now().instant.since(Instant(0))
}

#[test]
fn the_first_server_that_can_be_reached_is_used() {
    let world = World::new(1);
    let silent = world.node(9, "nobody listens");
    let (ip, got) = fake(&world, 1, vec![polite()]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![
            hop("mx1.two.test", &[silent], TlsUse::Opportunistic, false),
            hop("mx2.two.test", &[silent, ip], TlsUse::Opportunistic, false),
        ]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.reports(), ["relayed"]);
        assert_eq!(outbox.unusable(), None);
        assert_eq!(*got.lock().unwrap(), ["connected", "Subject: hello\r\n\r\nhello\r\n"]);
    });
}

#[test]
fn no_more_than_five_addresses_are_tried() {
    let world = World::new(2);
    let silent = world.node(9, "nobody listens");
    let (ip, got) = fake(&world, 1, vec![polite()]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop(
            "mx.two.test",
            &[silent, silent, silent, silent, silent, ip],
            TlsUse::Opportunistic,
            false,
        )]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        let unusable = outbox.unusable().expect("none could be used");
        assert!(
            unusable.starts_with("451 4.4.1 no connection to mx.two.test (10.0.0.9:25)"),
            "{unusable}"
        );
        assert!(got.lock().unwrap().is_empty());
    });
}

/// RFC 5321 §5.1: another server is tried when one greets and refuses; but not many.
#[test]
fn two_servers_that_greet_are_enough() {
    let world = World::new(3);
    let refusing = || {
        vec![vec![
            Say("220 hi"),
            Read("EHLO"),
            Say("451 4.3.2 not now"),
            Read("QUIT"),
            Say("221 bye"),
        ]]
    };
    let (one, _) = fake(&world, 1, refusing());
    let (two, _) = fake(&world, 2, refusing());
    let (three, got) = fake(&world, 3, vec![polite()]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[one, two, three], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.unusable().as_deref(), Some("451 4.3.2 not now"));
        assert!(got.lock().unwrap().is_empty());
    });
}

/// A server that refuses instead of greeting costs no session: the third is tried.
#[test]
fn servers_that_refuse_at_once_do_not_count() {
    let world = World::new(4);
    let refusing = || vec![vec![Say("554 no service here"), Read("QUIT"), Say("221 bye")]];
    let (one, _) = fake(&world, 1, refusing());
    let (two, _) = fake(&world, 2, refusing());
    let (three, _) = fake(&world, 3, vec![polite()]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[one, two, three], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.reports(), ["relayed"]);
    });
}

#[test]
fn a_server_without_a_greeting_is_left_after_five_minutes() {
    let world = World::new(5);
    let (one, _) = fake(&world, 1, vec![vec![Silence]]);
    let (two, _) = fake(&world, 2, vec![polite()]);
    let took = tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[one, two], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.reports(), ["relayed"]);
    });
    assert!(took >= limits::CLIENT_GREETING_TIMEOUT && took < limits::CLIENT_GREETING_TIMEOUT * 2);
}

#[test]
fn an_address_that_does_not_answer_is_left_after_half_a_minute() {
    let world = World::new(6);
    let (one, _) = fake(&world, 1, vec![polite()]);
    let (two, _) = fake(&world, 2, vec![polite()]);
    let took = tell(world, move |env, nodes| async move {
        nodes.cut(env.ip(), one);
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[one, two], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.reports(), ["relayed"]);
    });
    assert!(took >= limits::CONNECT_TIMEOUT && took < limits::CONNECT_TIMEOUT * 2);
}

// --- TLS --------------------------------------------------------------------------------------------------------------------------

fn with_starttls(certificate: Certificate) -> Vec<Turn> {
    vec![
        Say("220 hi"),
        Read("EHLO"),
        Say("250-hi"),
        Say("250 STARTTLS"),
        Read("STARTTLS"),
        Say("220 go"),
        Tls(certificate),
    ]
}

/// RFC 7435: a handshake that fails is followed by a connection in the clear, where that is allowed.
#[test]
fn opportunistic_tls_that_fails_goes_on_in_the_clear() {
    let world = World::new(7);
    let broken = Certificate {
        broken: true,
        ..Certificate::of("mx.two.test")
    };
    let (ip, got) = fake(&world, 1, vec![with_starttls(broken), polite()]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[ip], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.reports(), ["relayed"]);
        let got = got.lock().unwrap();
        assert_eq!(got.iter().filter(|line| *line == "connected").count(), 2, "{got:?}");
    });
}

/// S63: with `verified`, a certificate that nobody vouches for, or of another name, ends it; nothing goes out.
#[test]
fn s63_required_tls_takes_no_other_certificate() {
    let untrusted = Certificate {
        untrusted: true,
        ..Certificate::of("mx.two.test")
    };
    for (seed, certificate) in [(8, untrusted), (9, Certificate::of("mx.other.test"))] {
        let world = World::new(seed);
        let (ip, got) = fake(&world, 1, vec![with_starttls(certificate), polite()]);
        tell(world, move |env, _| async move {
            let outbox = Outbox::of(&[HELLO]);
            let plan = plan(vec![hop("mx.two.test", &[ip], TlsUse::Required, true)]);
            deliver(&outbound(&env), &plan, outbox.clone()).await;
            let unusable = outbox.unusable().expect("it cannot be used");
            assert!(unusable.starts_with("451 4.7.5 the TLS handshake failed"), "{unusable}");
            let got = got.lock().unwrap();
            assert_eq!(got.iter().filter(|line| *line == "connected").count(), 1, "{got:?}");
        });
    }
}

/// The same certificates are good enough where nothing is verified.
#[test]
fn opportunistic_tls_takes_any_certificate() {
    let world = World::new(10);
    let mut script = with_starttls(Certificate {
        untrusted: true,
        ..Certificate::of("localhost")
    });
    script.extend(rest());
    let (ip, _) = fake(&world, 1, vec![script]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[ip], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.reports(), ["relayed"]);
    });
}

/// S05: a reply that was sent in the clear behind the 220 is not read inside of TLS.
#[test]
fn s05_no_reply_crosses_the_handshake() {
    let world = World::new(11);
    let script = vec![
        Say("220 hi"),
        Read("EHLO"),
        Say("250-hi"),
        Say("250 STARTTLS"),
        Read("STARTTLS"),
        Say("220 go\r\n250 injected"),
        Silence,
    ];
    let (ip, _) = fake(&world, 1, vec![script]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[ip], TlsUse::Required, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        let unusable = outbox.unusable().expect("it cannot be used");
        assert!(unusable.starts_with("451 4.7.5"), "{unusable}");
    });
}

/// RFC 6152 §3: 8-bit mail of ours goes to a server without 8BITMIME in seven bits, byte for byte the same when it is decoded; the mail of
/// others fails.
#[test]
fn eight_bit_mail_for_a_seven_bit_server() {
    for ours in [true, false] {
        let world = World::new(20 + u64::from(ours));
        let mut script = vec![Say("220 hi"), Read("EHLO"), Say("250 hi")];
        script.extend(if ours { transaction() } else { Vec::new() });
        script.extend(if ours { vec![Message, Say("250 taken")] } else { Vec::new() });
        script.extend([Read("QUIT"), Say("221 bye")]);
        let (ip, got) = fake(&world, 1, vec![script]);
        tell(world, move |env, _| async move {
            let text = ".a line of a large message, with an \u{e4}\r\n".repeat(10_000);
            let message = format!("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\n\r\n{text}");
            let outbox = Arc::new(Outbox {
                messages: vec![message.into_bytes()],
                ours,
                ..Outbox::default()
            });
            let plan = plan(vec![hop("mx.two.test", &[ip], TlsUse::Opportunistic, false)]);
            deliver(&outbound(&env), &plan, outbox.clone()).await;
            if !ours {
                let want = "failed 554 5.6.3 the message has 8-bit octets, and the server does not offer 8BITMIME";
                return assert_eq!(outbox.reports(), [want]);
            }
            assert_eq!(outbox.reports(), ["relayed"]);
            let got = got.lock().unwrap();
            let sent = got[1].replace("\r\n..", "\r\n.");
            assert!(sent.is_ascii());
            let parsed = mail_parser::MessageParser::default().parse(&sent).expect("it parses");
            assert!(parsed.body_text(0).as_deref() == Some(text.as_str()), "{}", &sent[..300]);
        });
    }
}

// --- what goes wrong with a message -----------------------------------------------------------------------------------------------

/// The window in which a message may come twice (RFC 5321 §4.5.3.2.6): it is told to those who look.
#[test]
fn a_hang_up_after_the_final_dot_is_deferred_once() {
    let world = World::new(12);
    let mut script = vec![Say("220 hi"), Read("EHLO"), Say("250 hi")];
    script.extend(transaction());
    script.push(Message);
    let (ip, got) = fake(&world, 1, vec![script]);
    tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO, HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[ip], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        let want = "deferred 451 4.4.2 the connection was lost, waiting for the reply to the final dot; the server may have taken \
                    the message";
        assert_eq!(outbox.reports(), [want]);
        assert_eq!(outbox.unusable(), None);
        assert_eq!(*got.lock().unwrap(), ["connected", "Subject: hello\r\n\r\nhello\r\n"]);
    });
}

/// A message that cannot be read to its end has no final dot: the server sees the connection end.
#[test]
fn a_message_that_cannot_be_read_has_no_end() {
    let world = World::new(13);
    let mut script = vec![Say("220 hi"), Read("EHLO"), Say("250 hi")];
    script.extend(transaction());
    script.push(Message);
    let (ip, got) = fake(&world, 1, vec![script]);
    tell(world, move |env, _| async move {
        let message = b"a line of a long message\r\n".repeat(20_000);
        let outbox = Arc::new(Outbox {
            messages: vec![message],
            unreadable_from: Some(200_000),
            ..Outbox::default()
        });
        let plan = plan(vec![hop("mx.two.test", &[ip], TlsUse::Opportunistic, false)]);
        deliver(&outbound(&env), &plan, outbox.clone()).await;
        assert_eq!(outbox.reports(), ["deferred 451 4.3.0 the message cannot be read"]);
        env.sleep_until(env.now().instant.after(Duration::from_secs(10))).await;
        assert_eq!(*got.lock().unwrap(), ["connected", "UnexpectedEof"]);
    });
}

/// Our server stops while another one keeps us waiting: no other server is tried.
#[test]
fn a_stop_ends_a_delivery() {
    let world = World::new(14);
    let (one, _) = fake(&world, 1, vec![vec![Silence]]);
    let (two, got) = fake(&world, 2, vec![polite()]);
    let took = tell(world, move |env, _| async move {
        let outbox = Outbox::of(&[HELLO]);
        let plan = plan(vec![hop("mx.two.test", &[one, two], TlsUse::Opportunistic, false)]);
        let outbound = outbound(&env);
        let sessions: Arc<Sessions> = outbound.sessions.clone();
        let (stopper, at) = (env.clone(), env.now().instant.after(Duration::from_secs(5)));
        env.spawn("stop", async move {
            stopper.sleep_until(at).await;
            sessions.shutdown();
        });
        deliver(&outbound, &plan, outbox.clone()).await;
        assert_eq!(outbox.unusable().as_deref(), Some("421 4.3.2 this server stops"));
        assert!(got.lock().unwrap().is_empty());
        assert!(outbound.sessions.is_empty());
    });
    assert!(took < Duration::from_secs(10));
}

// --- a whole Pillarbox ------------------------------------------------------------------------------------------------------------

fn letters() -> VecDeque<Vec<u8>> {
    let long = "x".repeat(5000);
    let large = ".a line, and another one, and so on\r\n..\r\n".repeat(120_000);
    [
        "From: <alice@two.test>\r\nSubject: small\r\n\r\n.\r\n..\r\nbody\r\n".to_string(),
        format!("From: <alice@two.test>\r\nSubject: long\r\n\r\n{long}\r\n\u{e4}\u{20ac}\r\n"),
        format!("From: <alice@two.test>\r\nSubject: large\r\n\r\n{large}"),
    ]
    .into_iter()
    .map(String::into_bytes)
    .collect()
}

async fn bobs(env: &SimEnv, server: IpAddr) -> Vec<Vec<u8>> {
    let stream = server::connect(env, SocketAddr::new(server, 143)).await;
    let mut imap = Imap::login(stream, "bob@two.test", PASSWORD).await.expect("a session");
    imap.messages("INBOX").await.expect("messages")
}

/// Through STARTTLS, with and without a verified certificate: all octets arrive, also of a message of several runs.
#[test]
fn our_own_server_takes_all_of_it() {
    for (seed, tls, verified) in [
        (20, TlsUse::Opportunistic, false),
        (21, TlsUse::Required, true),
        (22, TlsUse::Never, false),
    ] {
        let world = World::new(seed);
        let ip = world.node(1, "two");
        server::start(&world, ip, "two.test", &["alice", "bob"]);
        tell(world, move |env, nodes| async move {
            server::connect(&env, SocketAddr::new(ip, 25)).await; // it listens now
            let letters = letters();
            let sent: Vec<&[u8]> = letters.iter().map(Vec::as_slice).collect();
            let outbox = Outbox::of(&sent);
            let plan = plan(vec![hop("mx.two.test", &[ip], tls, verified)]);
            deliver(&outbound(&env), &plan, outbox.clone()).await;
            assert_eq!(outbox.reports(), ["relayed", "relayed", "relayed"]);
            let found = bobs(&env, ip).await;
            assert_eq!(found.len(), 3);
            for letter in &letters {
                assert_eq!(found.iter().filter(|found| found.ends_with(letter)).count(), 1);
            }
            assert_eq!(nodes.panics(ip), Vec::<String>::new());
        });
    }
}

/// A smarthost: TLS from the first byte, and a login.
#[test]
fn a_smarthost_is_logged_in_to() {
    for (seed, password, want) in [(30, PASSWORD, true), (31, "wrong", false)] {
        let world = World::new(seed);
        let ip = world.node(1, "two");
        server::start(&world, ip, "two.test", &["alice", "bob"]);
        tell(world, move |env, _| async move {
            server::connect(&env, SocketAddr::new(ip, 25)).await; // it listens now
            let letter =
                b"From: <alice@two.test>\r\nDate: Thu, 1 Jan 2026 00:00:00 +0000\r\nMessage-ID: <1@two.test>\r\n\r\nbody\r\n";
            let outbox = Outbox::of(&[letter]);
            let hop = Hop {
                login: true,
                ..hop("mx.two.test", &[ip], TlsUse::Implicit, true)
            };
            let outbound = Outbound {
                login: Some(Credentials {
                    user: "alice@two.test".into(),
                    password: Secret::new(password.into()),
                }),
                ..outbound(&env)
            };
            deliver(&outbound, &plan(vec![hop]), outbox.clone()).await;
            if want {
                assert_eq!(outbox.reports(), ["relayed"]);
                assert!(bobs(&env, ip).await[0].ends_with(letter));
            } else {
                let unusable = outbox.unusable().expect("no login");
                assert!(unusable.starts_with("451 4.7.8 the login was refused: 535"), "{unusable}");
            }
        });
    }
}
