//! R10: of a message of which any octet has rotted on the disk, trace fields and all, nobody is shown the whole.

use std::io::Result;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_core::store::disk::DiskPath;
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::client::smtp::Smtp;
use pillarbox_tests::sim::server::{self, PASSWORD};
use pillarbox_tests::sim::{Nodes, SimEnv, World};

#[test]
fn a_rotten_message_is_not_shown() {
    for lines in [3, 8_000] {
        let mut world = World::new(1);
        let ip = world.node(1, "one.test");
        start(&world, ip);
        let (nodes, env) = (world.nodes(), world.client());
        world.run(async move { story(&nodes, &env, ip, lines).await.expect("a session") });
        assert_eq!(world.panics(ip), Vec::<String>::new());
    }
}

fn start(nodes: &Nodes, ip: IpAddr) {
    server::start(nodes, ip, "one.test", &["alice"]);
}

async fn story(nodes: &Nodes, env: &SimEnv, ip: IpAddr, lines: usize) -> Result<()> {
    deliver(env, ip, lines).await?;
    // Beyond a checkpoint: what is read is the pack.
    env.sleep_until(env.now().instant.after(Duration::from_secs(60))).await;
    assert!(fetch(env, ip).await.is_some(), "it is sound");
    let (pack, prefix) = nodes.disk(ip, |disk| {
        let find = |bytes: &[u8], text: &[u8]| bytes.windows(text.len()).position(|here| here == text);
        let packs = disk.paths().into_iter().filter(|path| path.0.ends_with(".pack"));
        let mut found = packs.filter_map(|path| {
            let bytes = disk.bytes(&path)?;
            let (from, to) = (find(bytes, b"Return-Path:")?, find(bytes, b"id ")?);
            Some((path, from..to))
        });
        found.next_back().expect("a pack has the message")
    });
    let places = [prefix.start, prefix.start + 20, prefix.end - 1];
    for at in places {
        flip(nodes, ip, &pack, at);
        assert_eq!(fetch(env, ip).await, None, "{lines} lines, octet {at}");
        flip(nodes, ip, &pack, at);
    }
    assert!(fetch(env, ip).await.is_some(), "it is sound again");
    Ok(())
}

/// Changes an octet on the disk while the server is down.
fn flip(nodes: &Nodes, ip: IpAddr, pack: &DiskPath, at: usize) {
    nodes.kill(ip);
    nodes.disk(ip, |disk| disk.rot(pack, |bytes| bytes[at] ^= 1));
    start(nodes, ip);
}

async fn deliver(env: &SimEnv, ip: IpAddr, lines: usize) -> Result<()> {
    let mut smtp = Smtp::begin(server::connect(env, SocketAddr::new(ip, 25)).await).await?;
    smtp.command("MAIL FROM:<a@else.test>", "250").await?;
    smtp.command("RCPT TO:<alice@one.test>", "250").await?;
    smtp.command("DATA", "354").await?;
    let text = "a line that is long enough to make a large message of many\r\n".repeat(lines);
    let message = format!("From: <a@else.test>\r\nSubject: rot\r\n\r\n{text}.\r\n");
    smtp.0.send(message.as_bytes()).await?;
    smtp.expect("250").await?;
    Ok(())
}

/// The whole message, if it is shown.
async fn fetch(env: &SimEnv, ip: IpAddr) -> Option<Vec<u8>> {
    let stream = server::connect(env, SocketAddr::new(ip, 143)).await;
    let mut imap = Imap::login(stream, "alice@one.test", PASSWORD).await.expect("a login");
    imap.ok("SELECT INBOX").await.expect("a mailbox");
    // Of a large one the last piece is held back, and the connection ends.
    let (shown, tagged) = imap.command("FETCH 1 BODY.PEEK[]").await.ok()?;
    let body = shown.into_iter().find_map(|response| response.literals.into_iter().next());
    assert_eq!(body.is_some(), tagged.starts_with("OK"), "{tagged}");
    assert!(body.is_some() || tagged.starts_with("NO [CONTACTADMIN]"), "{tagged}");
    body
}
