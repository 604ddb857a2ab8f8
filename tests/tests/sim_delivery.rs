//! Mail out and reports back: two complete servers, a fake DNS and a user over the simulated environment, in virtual time. The same seed
//! gives the same trace.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::mpsc;
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_core::bytes::base64;
use pillarbox_core::store::disk::DiskOp;
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::client::smtp::{Smtp, stuffed};
use pillarbox_tests::sim::dns::Zone;
use pillarbox_tests::sim::server::{self, PASSWORD};
use pillarbox_tests::sim::trace::Trace;
use pillarbox_tests::sim::{Nodes, SimEnv, World};

const ONE: &str = "one.test";
const TWO: &str = "two.test";

/// Two servers, and what the test does with them.
fn story<T: Future<Output = ()> + Send + 'static>(seed: u64, tell: impl FnOnce(Internet) -> T) -> Trace {
    let mut world = World::new(seed);
    let nodes = [(1, ONE), (2, TWO)].map(|(number, domain)| world.node(number, domain));
    let mut zone = Zone::default();
    for (domain, ip) in [ONE, TWO].iter().zip(nodes) {
        let host = format!("mx.{domain}");
        zone = zone.mx(domain, 10, &host).address(&host, ip);
    }
    zone = zone
        .mx("loop.test", 10, "mx.one.test")
        .mx("silent.test", 10, "mx.silent.test");
    zone = zone.address("mx.silent.test", IpAddr::from([10, 0, 0, 99]));
    zone = zone.address("inner.test", IpAddr::from([127, 0, 0, 1]));
    world.dns(zone);
    start_one(&world, nodes[0]);
    server::start(&world, nodes[1], TWO, &["carol", "dave"]);
    let internet = Internet {
        client: world.client(),
        world: world.nodes(),
        nodes,
    };
    world.run(tell(internet));
    for ip in nodes {
        assert_eq!(world.panics(ip), Vec::<String>::new(), "seed {seed}");
    }
    world.trace()
}

/// The first server: two accounts, an alias of two targets, and one that leads elsewhere.
fn start_one(nodes: &Nodes, ip: IpAddr) {
    let aliases: [(&str, &[&str]); 2] = [
        ("friends@one.test", &["bob@one.test", "carol@two.test"]),
        ("away@one.test", &["dave@two.test"]),
    ];
    server::start_with_aliases(nodes, ip, ONE, &["alice", "bob"], &aliases);
}

#[derive(Clone)]
struct Internet {
    client: SimEnv,
    world: Nodes,
    nodes: [IpAddr; 2],
}

impl Internet {
    async fn pass(&self, time: Duration) {
        self.client.sleep_until(self.client.now().instant.after(time)).await;
    }

    /// Hands a message in as alice@one.test.
    async fn submit(&self, to: &[&str], subject: &str) {
        self.submit_from("alice@one.test", to, subject).await;
    }

    async fn submit_from(&self, from: &str, to: &[&str], subject: &str) {
        self.try_submit(from, to, subject).await.expect("taken");
    }

    async fn try_submit(&self, from: &str, to: &[&str], subject: &str) -> io::Result<()> {
        self.try_submit_bytes(from, to, &message(subject)).await
    }

    async fn try_submit_bytes(&self, from: &str, to: &[&str], message: &[u8]) -> io::Result<()> {
        let stream = server::connect(&self.client, SocketAddr::new(self.nodes[0], 587)).await;
        let mut smtp = Smtp::begin(stream).await?;
        let login = base64::encode(format!("\0alice@one.test\0{PASSWORD}").as_bytes());
        smtp.command(&format!("AUTH PLAIN {login}"), "235").await?;
        smtp.command(&format!("MAIL FROM:<{from}>"), "250").await?;
        for to in to {
            // What follows the address are its parameters.
            let (to, parameters) = to.split_once(' ').unwrap_or((to, ""));
            let rcpt = format!("RCPT TO:<{to}> {parameters}");
            smtp.command(rcpt.trim_end(), "250").await?;
        }
        smtp.command("DATA", "354").await?;
        smtp.0.send(&stuffed(message)).await?;
        smtp.expect("250").await?;
        // It has been taken, whatever becomes of the connection.
        drop(smtp.command("QUIT", "221").await);
        Ok(())
    }

    /// The INBOX of a user, whole messages as text.
    async fn inbox(&self, address: &str) -> Vec<String> {
        self.mailbox(address, "INBOX").await
    }

    /// What FETCH says of a message.
    async fn fetch(&self, address: &str, number: usize, what: &str) -> String {
        let ip = if address.ends_with(ONE) {
            self.nodes[0]
        } else {
            self.nodes[1]
        };
        let stream = server::connect(&self.client, SocketAddr::new(ip, 143)).await;
        let mut imap = Imap::login(stream, address, PASSWORD).await.expect("a session");
        imap.ok("EXAMINE INBOX").await.expect("a mailbox");
        let fetched = imap.ok(&format!("FETCH {number} {what}")).await.expect("fetched");
        fetched.iter().map(|response| response.text.as_str()).collect()
    }

    async fn mailbox(&self, address: &str, name: &str) -> Vec<String> {
        let ip = if address.ends_with(ONE) {
            self.nodes[0]
        } else {
            self.nodes[1]
        };
        let stream = server::connect(&self.client, SocketAddr::new(ip, 143)).await;
        let mut imap = Imap::login(stream, address, PASSWORD).await.expect("a session");
        let messages = imap.messages(name).await.expect("messages");
        imap.ok("LOGOUT").await.expect("logged out");
        messages
            .into_iter()
            .map(|bytes| String::from_utf8(bytes).expect("text"))
            .collect()
    }
}

fn message(subject: &str) -> Vec<u8> {
    format!(
        "From: <alice@one.test>\r\nTo: <someone@two.test>\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <{subject}@one.test>\r\n\
         Subject: {subject}\r\n\r\nThe text of {subject}.\r\n.A line with a dot.\r\n"
    )
    .into_bytes()
}

fn count(messages: &[String], subject: &str) -> usize {
    messages
        .iter()
        .filter(|message| message.contains(&format!("\r\nThe text of {subject}.\r\n")))
        .count()
}

/// Out, whole and once; a wrong address comes back in the sender's INBOX, and only that.
#[test]
fn mail_out_and_a_report_back() {
    let tell = async |net: Internet| {
        net.submit(&["carol@two.test", "nobody@two.test", "bob@one.test"], "first")
            .await;
        net.pass(Duration::from_secs(30)).await;
        let carol = net.inbox("carol@two.test").await;
        assert_eq!((carol.len(), count(&carol, "first")), (1, 1), "{carol:?}");
        assert!(
            carol[0].ends_with(std::str::from_utf8(&message("first")).expect("text")),
            "{}",
            carol[0]
        );
        assert!(carol[0].starts_with("Return-Path: <alice@one.test>\r\n"), "{}", carol[0]);
        assert_eq!(carol[0].matches("Received: ").count(), 2, "{}", carol[0]);
        assert_eq!(count(&net.inbox("bob@one.test").await, "first"), 1);
        let alice = net.inbox("alice@one.test").await;
        assert_eq!(alice.len(), 1, "{alice:?}");
        let report = &alice[0];
        for part in [
            "Return-Path: <>\r\nDelivered-To: alice@one.test\r\n",
            "From: \"Mail Delivery System\" <MAILER-DAEMON@one.test>\r\n",
            "References: <first@one.test>\r\n",
            "Auto-Submitted: auto-replied\r\n",
            "Reporting-MTA: dns; mx.one.test\r\n",
            "Final-Recipient: rfc822; nobody@two.test\r\nAction: failed\r\nStatus: 5.1.1\r\nRemote-MTA: dns; mx.two.test\r\n",
            "Diagnostic-Code: smtp; 550 5.1.1 ",
            "Content-Type: text/rfc822-headers\r\n",
            "Subject: first\r\n",
        ] {
            assert!(report.contains(part), "{part} in\n{report}");
        }
        assert!(!report.contains("carol@two.test"), "who got it is not reported: {report}");
        assert!(!report.contains("The text of first."), "the body stays here: {report}");
        net.pass(Duration::from_secs(86_400)).await;
        assert_eq!(net.inbox("alice@one.test").await.len(), 1);
        assert_eq!(net.inbox("carol@two.test").await.len(), 1);
    };
    let (one, two) = (story(1, tell), story(1, tell));
    assert_eq!(one.difference(&two), None);
}

/// RFC 3461: who asks for it is told of every success: of mailboxes here and there, of an alias as a whole, and by the other server of what
/// was handed to it. Nobody else is told, and nothing that goes to nobody.
#[test]
fn success_is_reported_where_it_is_wished_for() {
    story(6, async |net: Internet| {
        let to = [
            "bob@one.test NOTIFY=SUCCESS ORCPT=rfc822;Bob@One.Test",
            "friends@one.test NOTIFY=SUCCESS,FAILURE",
            "away@one.test NOTIFY=SUCCESS",
            "alice@one.test",
        ];
        net.submit(&to, "first").await;
        net.pass(Duration::from_secs(30)).await;
        for user in ["bob@one.test", "carol@two.test", "dave@two.test"] {
            assert_eq!(count(&net.inbox(user).await, "first"), 1, "{user}");
        }
        let inbox = net.inbox("alice@one.test").await;
        assert_eq!((inbox.len(), count(&inbox, "first")), (3, 1), "{inbox:#?}");
        let report = |what: &str| inbox.iter().filter(|message| message.contains(what)).collect::<Vec<_>>();
        // two.test offers DSN to nobody that has not logged in: one.test says that it handed the message on.
        let relayed = report("Action: relayed\r\n");
        let [relayed] = relayed[..] else { panic!("{relayed:?}") };
        assert!(
            relayed.contains("\r\n\r\nFinal-Recipient: rfc822; dave@two.test\r\nAction: relayed\r\nStatus: 2.0.0\r\n"),
            "{relayed}"
        );
        assert!(
            !relayed.contains("carol"),
            "who is behind an alias is no success of its own: {relayed}"
        );
        let here = report("Action: delivered\r\n");
        let [here] = here[..] else { panic!("{here:?}") };
        for part in [
            "Return-Path: <>\r\nDelivered-To: alice@one.test\r\n",
            "\r\n\r\nOriginal-Recipient: rfc822; Bob@One.Test\r\nFinal-Recipient: rfc822; bob@one.test\r\nAction: \
             delivered\r\nStatus: 2.0.0\r\n",
            "\r\n\r\nFinal-Recipient: rfc822; friends@one.test\r\nAction: expanded\r\nStatus: 2.0.0\r\n",
            "Content-Type: text/rfc822-headers\r\n",
            "Subject: first\r\n",
        ] {
            assert!(here.contains(part), "{part} in\n{here}");
        }
        assert!(!here.contains("The text of first."), "{here}");
        net.submit_from(
            "",
            &["bob@one.test NOTIFY=SUCCESS", "friends@one.test NOTIFY=SUCCESS"],
            "second",
        )
        .await;
        net.pass(Duration::from_secs(86_400)).await;
        assert_eq!(count(&net.inbox("bob@one.test").await, "second"), 1);
        assert_eq!(
            net.inbox("alice@one.test").await.len(),
            3,
            "nobody is told of what comes from nobody"
        );
    });
}

/// Holds at the journal sync of this number.
fn journal_sync(number: u64) -> impl FnMut(&DiskOp) -> bool {
    let mut left = number;
    move |op| {
        let journal = matches!(op, DiskOp::DataSync(path) if path.0.starts_with("journal/") && !path.0.ends_with("checkpoint"));
        left = left.saturating_sub(u64::from(journal));
        journal && left == 0
    }
}

/// The server loses its power at every journal sync of a local delivery whose success is to be reported, before and behind its 250: there
/// are as many reports as deliveries, and one of each when the message was acknowledged.
#[test]
fn success_is_reported_once_at_every_sync() {
    let (mut lost, mut owed) = (0, 0);
    for sync in 1..8 {
        let (tell, told) = mpsc::channel();
        story(200 + sync, async move |net: Internet| {
            net.submit(&["bob@one.test"], "before").await;
            net.pass(Duration::from_secs(60)).await;
            net.world.power_loss_after(net.nodes[0], journal_sync(sync));
            let to = ["bob@one.test NOTIFY=SUCCESS"];
            let taken = net.try_submit("alice@one.test", &to, "first").await.is_ok();
            net.pass(Duration::from_secs(60)).await;
            let crashed = net.world.ended(net.nodes[0]).is_some();
            if crashed {
                start_one(&net.world, net.nodes[0]);
            }
            net.pass(Duration::from_secs(3600)).await;
            let delivered = count(&net.inbox("bob@one.test").await, "first");
            let reports = net.inbox("alice@one.test").await;
            assert_eq!(reports.len(), delivered, "sync {sync}: {reports:?}");
            assert!(delivered == 1 || !taken, "sync {sync}: it was acknowledged");
            assert!(
                reports.iter().all(|report| report.contains("Action: delivered\r\n")),
                "{reports:?}"
            );
            tell.send((crashed && !taken, crashed && taken)).expect("the test listens");
        });
        let (unacknowledged, acknowledged) = told.recv().expect("the story has ended");
        lost += u32::from(unacknowledged);
        owed += u32::from(acknowledged);
    }
    assert!(lost > 0 && owed > 0, "crashes on both sides of the 250: {lost}, {owed}");
}

/// RFC 5321 §4.5.3.1.6: what a user hands in with a line over 998 octets is encoded before anybody gets it, held in memory or in a file; the
/// content, the digest and the attachment are those of the message that is there.
#[test]
fn long_lines_are_encoded_before_anybody_gets_them() {
    story(7, async |net: Internet| {
        let long = "A paragraph that is a line = \u{e4} ".repeat(60);
        for lines in [3, 400] {
            let text = format!("{long}\r\n.short\r\n").repeat(lines);
            let header = "From: <alice@one.test>\r\nDate: Tue, 24 Nov 2026 09:00:00 +0000\r\nMessage-ID: <1@one.test>\r\n";
            let data = format!(
                "{header}MIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain; \
                 charset=utf-8\r\n\r\n{text}\r\n--b\r\nContent-Type: application/x\r\nContent-Disposition: \
                 attachment\r\n\r\n{text}\r\n--b--\r\n"
            );
            let to = ["bob@one.test", "carol@two.test"];
            net.try_submit_bytes("alice@one.test", &to, data.as_bytes())
                .await
                .expect("taken");
            net.pass(Duration::from_secs(60)).await;
            for user in to {
                let inbox = net.inbox(user).await;
                let got = inbox.last().expect("a message");
                assert!(got.lines().all(|line| line.len() <= 998), "{user}, {lines}");
                let parsed = mail_parser::MessageParser::default().parse(got).expect("it parses");
                assert_eq!(parsed.body_text(0).as_deref(), Some(text.as_str()), "{user}, {lines}");
                let attachment = parsed.attachment(0).expect("an attachment").contents();
                assert!(attachment == text.as_bytes(), "{user}, {lines}");
                let sizes = net.fetch(user, inbox.len(), "(RFC822.SIZE BODYSTRUCTURE)").await;
                assert!(sizes.contains(&format!("RFC822.SIZE {} ", got.len())), "{sizes}");
                let encodings = ["\"quoted-printable\"", "\"base64\""];
                assert!(encodings.iter().all(|encoding| sizes.contains(encoding)), "{sizes}");
            }
        }
        let line = "x".repeat(998);
        let data = format!("From: <alice@one.test>\r\nDate: x\r\nMessage-ID: <2@one.test>\r\n\r\n{line}\r\n");
        let to = ["bob@one.test"];
        net.try_submit_bytes("alice@one.test", &to, data.as_bytes())
            .await
            .expect("taken");
        let inbox = net.inbox("bob@one.test").await;
        assert!(
            inbox.last().expect("a message").ends_with(&data),
            "what need not be encoded is not"
        );
    });
}

/// What no route leads to fails at once, each with its rule.
#[test]
fn nowhere() {
    story(2, async |net: Internet| {
        net.submit(&["x@nowhere.test", "x@loop.test", "x@inner.test"], "nowhere")
            .await;
        net.pass(Duration::from_secs(30)).await;
        let reports = net.inbox("alice@one.test").await;
        assert_eq!(reports.len(), 3, "one destination each: {reports:?}");
        for (address, status, words) in [
            ("x@nowhere.test", "5.1.2", "does not exist"),
            ("x@loop.test", "5.4.6", "add [[domain]] name"),
            ("x@inner.test", "5.1.2", "loopback"),
        ] {
            let recipient = format!("Final-Recipient: rfc822; {address}\r\nAction: failed\r\nStatus: {status}\r\n");
            let report = reports.iter().find(|report| report.contains(&recipient));
            let report = report.unwrap_or_else(|| panic!("{recipient} in {reports:?}"));
            assert!(report.replace("\r\n ", " ").contains(words), "{words} in {report}");
        }
    });
}

/// What fails without a reverse path is set aside for the postmaster (alice), in a mailbox that is made for it; nobody else is told.
#[test]
fn undeliverable() {
    story(5, async |net: Internet| {
        for subject in ["first", "second"] {
            net.submit_from("", &["nobody@two.test"], subject).await;
            net.pass(Duration::from_secs(30)).await;
        }
        assert_eq!(net.inbox("alice@one.test").await.len(), 0);
        let copies = net.mailbox("alice@one.test", "Undeliverable").await;
        assert_eq!(copies.len(), 2, "{copies:?}");
        assert!(
            copies[0].contains("Final-Recipient: rfc822; nobody@two.test\r\nAction: failed\r\n"),
            "{}",
            copies[0]
        );
        assert!(copies[1].contains("\r\nTo: <postmaster@one.test>\r\n"), "{}", copies[1]);
    });
}

/// The other server is away: it is tried again and again, and gets the message once when it is back. The sender's server may lose its
/// power meanwhile.
#[test]
fn the_other_server_is_away() {
    for power_loss in [false, true] {
        story(3, async move |net: Internet| {
            net.world.kill(net.nodes[1]);
            net.submit(&["carol@two.test"], "patience").await;
            net.pass(Duration::from_secs(10 * 60)).await;
            if power_loss {
                net.world.power_loss(net.nodes[0]);
                start_one(&net.world, net.nodes[0]);
            }
            net.pass(Duration::from_secs(20 * 60)).await;
            server::start(&net.world, net.nodes[1], TWO, &["carol", "dave"]);
            net.pass(Duration::from_secs(3600)).await;
            assert_eq!(count(&net.inbox("carol@two.test").await, "patience"), 1);
            assert_eq!(net.inbox("alice@one.test").await.len(), 0);
        });
    }
}

/// Nobody ever answers: after four hours the sender is told that it takes long, after five days that it failed; nothing in between.
#[test]
fn silence() {
    story(4, async |net: Internet| {
        net.submit(&["x@silent.test"], "silence").await;
        let hours = |hours: u64| Duration::from_secs(hours * 3600);
        net.pass(hours(3)).await;
        assert_eq!(net.inbox("alice@one.test").await.len(), 0);
        net.pass(hours(2)).await;
        let reports = net.inbox("alice@one.test").await;
        assert_eq!(reports.len(), 1, "{reports:?}");
        assert!(reports[0].contains("Action: delayed\r\nStatus: 4."), "{}", reports[0]);
        assert!(
            reports[0].contains("\r\nWill-Retry-Until: Tue, 06 Jan 2026 00:00:0"),
            "{}",
            reports[0]
        );
        net.pass(hours(5 * 24 - 6)).await;
        assert_eq!(net.inbox("alice@one.test").await.len(), 1);
        net.pass(hours(2)).await;
        let reports = net.inbox("alice@one.test").await;
        assert_eq!(reports.len(), 2, "{reports:?}");
        assert!(reports[1].contains("Action: failed\r\nStatus: 5.4.7\r\n"), "{}", reports[1]);
        net.pass(hours(24)).await;
        assert_eq!(net.inbox("alice@one.test").await.len(), 2);
    });
}

/// The sender's server loses its power at every journal sync of a delivery in turn: the recipient gets the message (twice at most, when
/// the result was not written yet), and the failure is reported exactly once.
#[test]
fn law_6_at_every_sync() {
    for sync in 0..12 {
        story(100 + sync, async move |net: Internet| {
            // The account's own records are over.
            net.submit(&["bob@one.test"], "before").await;
            net.pass(Duration::from_secs(60)).await;
            net.submit(&["carol@two.test", "nobody@two.test"], "first").await;
            net.world.power_loss_after(net.nodes[0], journal_sync(sync));
            net.pass(Duration::from_secs(60)).await;
            if net.world.ended(net.nodes[0]).is_some() {
                start_one(&net.world, net.nodes[0]);
            }
            net.pass(Duration::from_secs(3600)).await;
            let carol = count(&net.inbox("carol@two.test").await, "first");
            assert!((1..=2).contains(&carol), "sync {sync}: {carol} times");
            let reports = net.inbox("alice@one.test").await;
            assert_eq!(reports.len(), 1, "sync {sync}: {reports:?}");
        });
    }
}
