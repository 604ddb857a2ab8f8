//! Logins of a whole server over the simulated environment: every mechanism on SMTP and IMAP, and what a stranger learns of who
//! exists (S21).

use std::net::{IpAddr, SocketAddr};

use pillarbox::accounts::scram::Keys;
use pillarbox_core::bytes::base64;
use pillarbox_core::sasl::scram::hmac;
use pillarbox_tests::client::Lines;
use pillarbox_tests::client::smtp::Smtp;
use pillarbox_tests::sim::server::{self, PASSWORD};
use pillarbox_tests::sim::tls::Stream;
use pillarbox_tests::sim::{Nodes, SimEnv, World, passwords_verified};

fn play<F: Future<Output = ()> + Send + 'static>(story: impl FnOnce(SimEnv, Nodes, IpAddr) -> F) {
    let mut world = World::new(7);
    let ip = world.node(1, "one.test");
    server::start(&world, ip, "one.test", &["alice", "bob"]);
    let (client, nodes) = (world.client(), world.nodes());
    world.run(story(client, nodes, ip));
    assert_eq!(world.panics(ip), Vec::<String>::new());
}

async fn submission(client: &SimEnv, ip: IpAddr) -> Smtp<Stream> {
    let stream = server::connect(client, SocketAddr::new(ip, 587)).await;
    Smtp::begin(stream).await.expect("a session")
}

/// A SCRAM client: what it knows once the server has told its salt.
struct Scram {
    first: String,
    salt: [u8; 16],
    /// The last message, and the signature that the server must then show.
    last: String,
    signature: String,
}

const NONCE: &str = "fyko+d2lbbFgONRv9qkxdawL";

impl Scram {
    fn first(login: &str) -> String {
        base64::encode(format!("n,,n={login},r={NONCE}").as_bytes())
    }

    /// Reads the server's first message (base64), and makes the proof.
    fn answer(login: &str, password: &str, challenge: &str) -> Scram {
        let server_first = String::from_utf8(base64::decode(challenge.as_bytes()).expect("base64")).expect("text");
        let part = |name: &str| {
            server_first
                .split(',')
                .find_map(|part| part.strip_prefix(name))
                .expect("a part")
        };
        let (nonce, salt) = (part("r="), part("s="));
        assert!(nonce.starts_with(NONCE) && nonce.len() == NONCE.len() + 24, "{nonce}");
        assert_eq!(part("i="), "4096");
        let salt: [u8; 16] = base64::decode(salt.as_bytes())
            .expect("base64")
            .try_into()
            .expect("16 octets");
        let keys = Keys::derive(password, salt).expect("a plain password");
        let without_proof = format!("c=biws,r={nonce}");
        let message = format!("n={login},r={NONCE},{server_first},{without_proof}");
        let client_signature = hmac(&keys.stored_key, message.as_bytes());
        let mut proof = hmac(&salted(password, &salt), b"Client Key");
        proof
            .iter_mut()
            .zip(client_signature)
            .for_each(|(byte, signature)| *byte ^= signature);
        Scram {
            first: Scram::first(login),
            salt,
            last: base64::encode(format!("{without_proof},p={}", base64::encode(&proof)).as_bytes()),
            signature: base64::encode(format!("v={}", base64::encode(&hmac(&keys.server_key, message.as_bytes()))).as_bytes()),
        }
    }
}

/// `Hi(password, salt, 4096)` (RFC 5802 §2.2).
fn salted(password: &str, salt: &[u8; 16]) -> [u8; 32] {
    let mut block = hmac(password.as_bytes(), &[salt.as_slice(), &[0, 0, 0, 1]].concat());
    let mut all = block;
    for _ in 1..4096 {
        block = hmac(password.as_bytes(), &block);
        all.iter_mut().zip(block).for_each(|(byte, other)| *byte ^= other);
    }
    all
}

/// The server's answer to the first message of a login.
async fn salt_of(client: &SimEnv, ip: IpAddr, login: &str) -> [u8; 16] {
    let mut smtp = submission(client, ip).await;
    let challenge = smtp
        .command(&format!("AUTH SCRAM-SHA-256 {}", Scram::first(login)), "334")
        .await
        .expect("a reply");
    let salt = Scram::answer(login, "x", challenge[4..].trim_end()).salt;
    smtp.command("*", "501").await.expect("a reply");
    salt
}

/// Logs in by SCRAM, or is refused.
async fn scram(smtp: &mut Smtp<Stream>, login: &str, password: &str, fits: bool) {
    let challenge = smtp
        .command(&format!("AUTH SCRAM-SHA-256 {}", Scram::first(login)), "334")
        .await
        .expect("a reply");
    let scram = Scram::answer(login, password, challenge[4..].trim_end());
    assert_eq!(scram.first, Scram::first(login));
    if !fits {
        smtp.command(&scram.last, "535").await.expect("a reply");
        return;
    }
    let shown = smtp.command(&scram.last, "334").await.expect("a reply");
    assert_eq!(shown[4..].trim_end(), scram.signature, "the server knows the keys too");
    smtp.command("", "235").await.expect("a reply");
}

#[test]
fn every_mechanism_over_smtp() {
    play(|client, _, ip| async move {
        let mut smtp = submission(&client, ip).await;
        let offer = smtp.command("EHLO client.test", "250").await.expect("a reply");
        assert_eq!(offer.trim_end(), "250 AUTH PLAIN LOGIN SCRAM-SHA-256");
        scram(&mut smtp, "alice@one.test", "wrong", false).await;
        scram(&mut smtp, "alice", PASSWORD, true).await;
        // Who has logged in reaches accounts of ours and other servers at once.
        smtp.command("MAIL FROM:<alice@one.test> RET=HDRS ENVID=q1", "250")
            .await
            .expect("a reply");
        smtp.command("RCPT TO:<bob@one.test> NOTIFY=NEVER", "250")
            .await
            .expect("a reply");
        smtp.command("RCPT TO:<c@two.test> NOTIFY=SUCCESS,FAILURE", "250")
            .await
            .expect("a reply");
        smtp.command("BDAT 31\r\nFrom: alice@one.test\r\n\r\nhello", "250")
            .await
            .expect("a reply");
        let taken = smtp.command("BDAT 0 LAST", "250").await.expect("a reply");
        assert!(taken.starts_with("250 2.0.0 OK, queued as "), "{taken}");
        let mut smtp = submission(&client, ip).await;
        smtp.command("AUTH LOGIN", "334").await.expect("a reply");
        smtp.command(&base64::encode(b"Bob@One.Test"), "334").await.expect("a reply");
        smtp.command(&base64::encode(PASSWORD.as_bytes()), "235")
            .await
            .expect("a reply");
    });
}

#[test]
fn scram_over_imap() {
    play(|client, _, ip| async move {
        let stream = server::connect(&client, SocketAddr::new(ip, 143)).await;
        let mut imap = Lines::new(stream);
        let greeting = imap.line().await.expect("a greeting");
        assert!(greeting.contains(" AUTH=PLAIN AUTH=LOGIN AUTH=SCRAM-SHA-256]"), "{greeting}");
        for (password, fits) in [("wrong", false), (PASSWORD, true)] {
            let command = format!("a AUTHENTICATE SCRAM-SHA-256 {}\r\n", Scram::first("alice"));
            imap.send(command.as_bytes()).await.expect("sent");
            let challenge = imap.line().await.expect("a line");
            let scram = Scram::answer("alice", password, challenge[2..].trim_end());
            imap.send(format!("{}\r\n", scram.last).as_bytes()).await.expect("sent");
            let line = imap.line().await.expect("a line");
            if !fits {
                assert!(line.starts_with("a NO [AUTHENTICATIONFAILED]"), "{line}");
                continue;
            }
            assert_eq!(line.trim_end(), format!("+ {}", scram.signature));
            imap.send(b"\r\n").await.expect("sent");
            let line = imap.line().await.expect("a line");
            assert!(line.starts_with("a OK "), "{line}");
        }
    });
}

/// S21: who does not exist looks like who does: a salt that stays the same, over sessions, ways to write the name and restarts; the same
/// reply; and for passwords one hash each, whoever it is.
#[test]
fn s21_nobody_looks_like_somebody() {
    play(|client, nodes, ip| async move {
        let (alice, nobody) = (salt_of(&client, ip, "alice").await, salt_of(&client, ip, "nobody").await);
        assert_ne!(alice, nobody);
        assert_ne!(nobody, salt_of(&client, ip, "nobody2").await);
        nodes.power_loss(ip);
        server::start(&nodes, ip, "one.test", &["alice", "bob"]);
        for login in ["alice", "ALICE@one.test", "nobody", "Nobody", "nobody@ONE.test"] {
            let known = if login.to_lowercase().starts_with("alice") {
                alice
            } else {
                nobody
            };
            assert_eq!(salt_of(&client, ip, login).await, known, "{login}");
        }
        let mut replies = Vec::new();
        for login in ["alice", "nobody", "nobody@elsewhere.test", "x@[192.0.2.1]"] {
            let mut smtp = submission(&client, ip).await;
            scram(&mut smtp, login, "wrong", false).await;
            let before = passwords_verified();
            let plain = base64::encode(format!("\0{login}\0wrong").as_bytes());
            replies.push(smtp.command(&format!("AUTH PLAIN {plain}"), "535").await.expect("a reply"));
            assert_eq!(passwords_verified() - before, 1, "{login}");
        }
        replies.dedup();
        assert_eq!(replies.len(), 1, "{replies:?}");
    });
}
