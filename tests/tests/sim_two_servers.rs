//! Two complete servers, a fake DNS and a client over the simulated environment in one thread, with crashes of the receiver between its
//! batch and the next checkpoint. The same seed gives the same trace.

use std::net::{IpAddr, SocketAddr};

use hickory_proto::rr::{RData, RecordType};
use pillarbox_core::store::disk::DiskOp;
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::client::smtp::Smtp;
use pillarbox_tests::sim::dns::{self, Zone};
use pillarbox_tests::sim::server::{self, PASSWORD};
use pillarbox_tests::sim::trace::Trace;
use pillarbox_tests::sim::{Ended, Nodes, SimEnv, World};

const DOMAINS: [&str; 2] = ["one.test", "two.test"];
const MESSAGES: usize = 12;

/// What the client sent, and whether that was acknowledged.
struct Sent {
    message: Vec<u8>,
    acknowledged: bool,
}

#[test]
fn two_servers_and_a_crash_twice() {
    for seed in [1, 2, 3] {
        let (one, two) = (story(seed), story(seed));
        assert_eq!(one.difference(&two), None, "seed {seed}");
        assert_eq!((one.hash(), one.count()), (two.hash(), two.count()), "seed {seed}");
        println!("seed {seed}: {} events, hash {:016x}", one.count(), one.hash());
    }
}

fn story(seed: u64) -> Trace {
    let mut world = World::new(seed);
    let nodes: Vec<IpAddr> = (1..=2)
        .map(|number| world.node(number, DOMAINS[usize::from(number) - 1]))
        .collect();
    let mut zone = Zone::default();
    for (domain, ip) in DOMAINS.iter().zip(&nodes) {
        let host = format!("mx.{domain}");
        zone = zone.mx(domain, 10, &host).address(&host, *ip);
        server::start(&world, *ip, domain, &["alice", "bob"]);
    }
    let dns = world.dns(zone);
    let (client, hands) = (world.client(), world.nodes());
    let receiver = nodes[1];
    world.run(async move { tell(client, hands, dns, receiver).await });
    for ip in nodes {
        assert_eq!(world.panics(ip), Vec::<String>::new(), "seed {seed}");
    }
    world.trace()
}

async fn tell(client: SimEnv, world: Nodes, dns: SocketAddr, receiver: IpAddr) {
    let mut sent: [Vec<Sent>; 2] = Default::default();
    // The power goes behind the n-th journal sync of the receiver: its batch is durable, its reply has not left, and no checkpoint came.
    let mut crashes = 0;
    for turn in 0..MESSAGES {
        for (index, domain) in DOMAINS.iter().enumerate() {
            if index == 1 && turn % 4 == 2 {
                world.power_loss_after(receiver, is_journal_sync);
            }
            let message = message(domain, turn);
            let acknowledged = deliver(&client, dns, domain, &message).await;
            sent[index].push(Sent { message, acknowledged });
            if world.ended(receiver) == Some(Ended::PowerLoss) {
                assert!(!acknowledged, "the reply left although the power had gone");
                crashes += 1;
                server::start(&world, receiver, DOMAINS[1], &["alice", "bob"]);
            }
            if index == 1 && turn % 4 == 0 {
                // Acknowledged a moment ago, so long before any checkpoint: it must be there afterwards.
                assert!(acknowledged);
                world.power_loss(receiver);
                crashes += 1;
                server::start(&world, receiver, DOMAINS[1], &["alice", "bob"]);
            }
        }
    }
    assert!(crashes >= 6, "{crashes}");
    for (domain, sent) in DOMAINS.iter().zip(&sent) {
        let found = read(&client, dns, domain).await;
        judge(&found, sent);
    }
}

fn is_journal_sync(op: &DiskOp) -> bool {
    matches!(op, DiskOp::DataSync(path) if path.0.starts_with("journal/") && !path.0.ends_with("checkpoint"))
}

fn message(domain: &str, turn: usize) -> Vec<u8> {
    let filler = ".dots and text\r\n".repeat(turn * 300);
    format!("From: <sender@elsewhere.test>\r\nTo: <alice@{domain}>\r\nSubject: message {turn}\r\n\r\n{filler}.\r\n..\r\nend of {turn}\r\n")
        .into_bytes()
}

/// The host that the domain's best MX names.
async fn exchange(client: &SimEnv, dns: SocketAddr, domain: &str) -> IpAddr {
    let found = dns::look_up(client, dns, domain, RecordType::MX)
        .await
        .expect("the domain has an MX");
    let best = found
        .iter()
        .filter_map(|data| match data {
            RData::MX(mx) => Some((mx.preference, mx.exchange.to_ascii())),
            _ => None,
        })
        .min()
        .expect("an MX");
    let found = dns::look_up(client, dns, &best.1, RecordType::A)
        .await
        .expect("its host has an address");
    match found.as_slice() {
        [RData::A(address)] => address.0.into(),
        other => panic!("{other:?}"),
    }
}

/// Whether the message was acknowledged.
async fn deliver(client: &SimEnv, dns: SocketAddr, domain: &str, message: &[u8]) -> bool {
    let ip = exchange(client, dns, domain).await;
    let stream = server::connect(client, SocketAddr::new(ip, 25)).await;
    let outcome = async {
        let mut smtp = Smtp::begin(stream).await?;
        smtp.command("STARTTLS", "220").await?;
        let (stream, name) = smtp.0.into_stream().connect(&format!("mx.{domain}"), "").await?;
        assert_eq!(name, format!("mx.{domain}"));
        let mut smtp = Smtp::again(stream).await?;
        smtp.deliver(&format!("alice@{domain}"), message).await?;
        std::io::Result::Ok(smtp)
    };
    match outcome.await {
        Ok(mut smtp) => {
            let _ = smtp.command("QUIT", "221").await;
            true
        }
        Err(_) => false,
    }
}

async fn read(client: &SimEnv, dns: SocketAddr, domain: &str) -> Vec<Vec<u8>> {
    let ip = exchange(client, dns, domain).await;
    let stream = server::connect(client, SocketAddr::new(ip, 993)).await;
    let (stream, _) = stream.connect(&format!("mx.{domain}"), "imap").await.expect("a handshake");
    let mut imap = Imap::login(stream, &format!("alice@{domain}"), PASSWORD)
        .await
        .expect("a session");
    let messages = imap.messages("INBOX").await.expect("messages");
    imap.ok("LOGOUT").await.expect("logged out");
    messages
}

/// Every acknowledged message once, byte-identical below its trace fields; every other at most once and whole.
fn judge(found: &[Vec<u8>], sent: &[Sent]) {
    for (number, sent) in sent.iter().enumerate() {
        let times = found.iter().filter(|found| found.ends_with(&sent.message)).count();
        match sent.acknowledged {
            true => assert_eq!(times, 1, "message {number} was acknowledged"),
            false => assert!(times <= 1, "message {number} is there {times} times"),
        }
    }
    let known = |found: &&Vec<u8>| sent.iter().any(|sent| found.ends_with(&sent.message));
    assert_eq!(
        found.iter().filter(known).count(),
        found.len(),
        "a message is there that nobody sent"
    );
}
