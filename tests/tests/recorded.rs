//! Recordings of whole servers' sessions in the simulation: they replay byte for byte (law 10), and every edit is found where it is.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_core::bytes::base64;
use pillarbox_core::machine::{Input, Machine, Output, SlotId, Wait};
use pillarbox_core::record::{Reader, Record};
use pillarbox_core::smtp::server as smtp;
use pillarbox_core::time::Now;
use pillarbox_core::trace::{self, Ending, Found, Hidden, Kind, Marks, Recordable, Replayed, Said};
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::client::smtp::Smtp;
use pillarbox_tests::recording::{file, frames, recordings};
use pillarbox_tests::rng::Rng;
use pillarbox_tests::script::{self, machines};
use pillarbox_tests::sim::dns::Zone;
use pillarbox_tests::sim::server::{self, PASSWORD};
use pillarbox_tests::sim::{SimEnv, World};

const RECORD_ALL: &str = "[record]\nsessions = \"all\"\n";

/// Two servers that record everything, a submission that goes from one to the other, and IMAP.
fn sessions(seed: u64) -> Vec<(String, Vec<u8>)> {
    let mut world = World::new(seed);
    let mut zone = Zone::default();
    let mut nodes = Vec::new();
    for (number, domain) in [(1, "one.test"), (2, "two.test")] {
        let ip = world.node(number, domain);
        let host = format!("mx.{domain}");
        zone = zone.mx(domain, 10, &host).address(&host, ip);
        server::start_with(&world, ip, domain, &["alice", "bob"], RECORD_ALL);
        nodes.push(ip);
    }
    world.dns(zone);
    let (client, ips) = (world.client(), nodes.clone());
    world.run(async move {
        submit(&client, ips[0]).await.expect("submitted");
        read(&client, ips[0], "alice@one.test").await.expect("read");
        read(&client, ips[1], "bob@two.test").await.expect("read");
        nonsense(&client, ips[0]).await;
        // Recordings are written when their sessions have ended.
        client.sleep_until(client.now().instant.after(Duration::from_secs(400))).await;
    });
    let mut all = Vec::new();
    for ip in nodes {
        assert_eq!(world.panics(ip), Vec::<String>::new());
        all.extend(recordings(&world, ip));
    }
    all
}

const MESSAGE: &[u8] = b"From: <alice@one.test>\r\nTo: <bob@two.test>\r\nSubject: a word\r\n\r\n.dot\r\nand text\r\n";

async fn submit(client: &SimEnv, ip: IpAddr) -> std::io::Result<()> {
    let stream = server::connect(client, SocketAddr::new(ip, 587)).await;
    let mut smtp = Smtp::begin(stream).await?;
    smtp.command("STARTTLS", "220").await?;
    let (stream, _) = smtp.0.into_stream().connect("mx.one.test", "").await?;
    let mut smtp = Smtp::again(stream).await?;
    let wrong = base64::encode(b"\0alice@one.test\0a wrong one");
    smtp.command(&format!("AUTH PLAIN {wrong}"), "535").await?;
    let right = base64::encode(format!("\0alice@one.test\0{PASSWORD}").as_bytes());
    smtp.command(&format!("AUTH PLAIN {right}"), "235").await?;
    for _ in 0..2 {
        smtp.command("MAIL FROM:<alice@one.test>", "250").await?;
        smtp.command("RCPT TO:<bob@two.test>", "250").await?;
        smtp.command("RCPT TO:<alice@one.test>", "250").await?;
        smtp.command("RCPT TO:<nobody@one.test>", "550").await?;
        smtp.command("DATA", "354").await?;
        smtp.0.send(&pillarbox_tests::client::smtp::stuffed(MESSAGE)).await?;
        smtp.expect("250").await?;
    }
    smtp.command("QUIT", "221").await?;
    Ok(())
}

async fn read(client: &SimEnv, ip: IpAddr, user: &str) -> std::io::Result<()> {
    let patience = client.now().instant.after(Duration::from_secs(60));
    client.sleep_until(patience).await;
    let stream = server::connect(client, SocketAddr::new(ip, 143)).await;
    let mut imap = Imap::login(stream, user, PASSWORD).await?;
    imap.append("Drafts", MESSAGE).await?;
    imap.ok("LIST \"\" *").await?;
    imap.ok("SELECT INBOX").await?;
    imap.ok("FETCH 1:* (UID FLAGS ENVELOPE BODYSTRUCTURE BODY[])").await?;
    imap.ok("STORE 1 +FLAGS (\\Deleted $Seen)").await?;
    imap.ok("SEARCH TEXT word").await?;
    imap.ok("COPY 1 Archive").await?;
    imap.ok("CREATE \"more mail\"").await?;
    for name in ["work", "trips", "family"] {
        imap.ok(&format!("CREATE {name}")).await?;
    }
    imap.ok("MOVE 1 \"more mail\"").await?;
    imap.ok("LIST \"\" * RETURN (CHILDREN SUBSCRIBED)").await?;
    imap.ok("STATUS work (MESSAGES UIDNEXT)").await?;
    imap.ok("SELECT \"more mail\"").await?;
    imap.ok("FETCH 1 (INTERNALDATE FLAGS BODY.PEEK[HEADER.FIELDS (SUBJECT)] BODY.PEEK[1])")
        .await?;
    imap.ok("UNSUBSCRIBE Junk").await?;
    imap.ok("LSUB \"\" *").await?;
    imap.ok("EXPUNGE").await?;
    imap.ok("RENAME Archive \"old: \\\"mail\\\"\"").await?;
    imap.ok("LIST \"\" *").await?;
    imap.command("NONSENSE here").await?;
    imap.ok("LOGOUT").await?;
    Ok(())
}

/// A peer that breaks off within a login, and one that waits until the server hangs up.
async fn nonsense(client: &SimEnv, ip: IpAddr) {
    for port in [25, 587, 143] {
        let stream = server::connect(client, SocketAddr::new(ip, port)).await;
        let mut lines = pillarbox_tests::client::Lines::new(stream);
        lines.line().await.expect("a greeting");
        lines.send(b"a1 LOGIN alice@one.test {13}\r\ncorrect h").await.expect("sent");
        drop(lines);
        let stream = server::connect(client, SocketAddr::new(ip, port)).await;
        let mut lines = pillarbox_tests::client::Lines::new(stream);
        lines.line().await.expect("a greeting");
        while lines.line().await.is_ok_and(|line| !line.is_empty()) {}
    }
}

fn replayed(name: &str, recording: &[u8]) -> Replayed {
    trace::replay_any(recording, &Cell::new(0)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn every_session_replays() {
    for seed in [1, 2, 3] {
        let all = sessions(seed);
        let mut kinds = BTreeMap::<&str, usize>::new();
        for (name, recording) in &all {
            let replayed = replayed(name, recording);
            assert_eq!(replayed.difference, None, "seed {seed}, {name}");
            assert!(
                matches!(replayed.ending, Some(Ending::Closed(_))),
                "{name}: {:?}",
                replayed.ending
            );
            assert!(replayed.entries > 1, "{name}");
            let plain = base64::encode(format!("\0alice@one.test\0{PASSWORD}").as_bytes());
            for secret in ["correct", "a wrong", &plain] {
                assert!(!memmem(recording, secret.as_bytes()), "{name} has {secret}");
            }
            let kind = name.split_once(".").expect("a name").0.splitn(3, '-').nth(2).expect("a kind");
            *kinds.entry(kind).or_default() += 1;
        }
        assert!(
            kinds["smtp"] >= 6 && kinds["imap"] >= 4 && kinds["smtp-client"] >= 1,
            "{kinds:?}"
        );
    }
}

fn memmem(hay: &[u8], needle: &[u8]) -> bool {
    hay.windows(needle.len()).any(|window| window == needle)
}

/// What an edit changes.
#[derive(Debug, Clone, Copy)]
enum Edit {
    InputByte,
    Answer,
    Clock,
    FileByte,
}

#[test]
fn of_a_hundred_random_edits_a_hundred_are_found() {
    let all = sessions(1);
    let mut rng = Rng::new(1);
    let mut found = 0;
    while found < 100 {
        let (name, recording) = rng.pick(&all);
        let edit = *rng.pick(&[Edit::InputByte, Edit::Answer, Edit::Clock, Edit::FileByte]);
        let Some((entry, edited)) = edited(&mut rng, recording, edit) else {
            continue;
        };
        let difference = replayed(name, &edited).difference;
        let difference = difference.unwrap_or_else(|| panic!("{name}: {edit:?} of entry {entry} was not found"));
        assert_eq!(difference.entry, entry, "{name}: {edit:?}: {difference}");
        found += 1;
    }
}

/// An entry's number (the beginning is 0), and the file with that one edited; `None`: no such entry came up.
fn edited(rng: &mut Rng, recording: &[u8], edit: Edit) -> Option<(u64, Vec<u8>)> {
    let mut frames = frames(recording);
    // The header is first, the ending last.
    let entry = 1 + rng.index(frames.len() - 2);
    let input = |frame: &[u8]| frame[17];
    let at = match edit {
        Edit::Clock => 1 + rng.index(16),
        Edit::InputByte if input(&frames[entry]) == 1 => {
            let mut reader = Reader::new(&frames[entry][18..]);
            22 + rng.index(u32::decode(&mut reader).ok()? as usize)
        }
        // Behind it are the two hashes.
        Edit::Answer if input(&frames[entry]) == 6 => 18 + rng.index(frames[entry].len() - 17 - 18),
        Edit::InputByte | Edit::Answer => return None,
        Edit::FileByte => rng.index(frames[entry].len()),
    };
    let before: usize = frames[..entry].iter().map(|frame| frame.len() + 8).sum();
    let bit = 1 << rng.index(8);
    let edited = match edit {
        Edit::FileByte => {
            let mut edited = recording.to_vec();
            edited[8 + before + 4 + at] ^= bit;
            edited
        }
        Edit::InputByte | Edit::Answer | Edit::Clock => {
            frames[entry][at] ^= bit;
            file(&frames)
        }
    };
    Some((entry as u64 - 1, edited))
}

#[test]
fn another_program_differs_at_its_first_other_output() {
    let all = sessions(1);
    let mut found = 0;
    for (name, recording) in &all {
        let header = trace::Trace::open(recording).expect("a recording").header;
        if header.kind != Kind::SmtpServer {
            continue;
        }
        let replayed = trace::replay::<Altered>(recording, &Cell::new(0)).expect("a recording of this kind");
        let Some(difference) = replayed.difference else { continue };
        let Found::Output { input, now } = &difference.found else {
            panic!("{name}: {difference}");
        };
        assert_eq!(*input, "bytes from the peer");
        assert!(now.iter().any(|line| line.starts_with("S: 221 2.0.0 Bye")), "{now:?}");
        found += 1;
    }
    assert!(found >= 1, "{found}");
}

/// The same program but for one letter.
struct Altered(smtp::Session, Vec<u8>);

impl Machine for Altered {
    type Ask = smtp::ask::Ask;
    type Value = smtp::ask::Value;
    type Notice = smtp::ask::Notice;

    fn handle(&mut self, now: Now, input: Input<'_, Self::Value, Self::Notice>) {
        self.0.handle(now, input);
    }

    fn poll(&mut self) -> Output<'_, Self::Ask> {
        match self.0.poll() {
            Output::Wait(wait) => {
                self.1 = wait.send.to_vec();
                if let Some(at) = self.1.windows(9).position(|window| window == b"2.0.0 bye") {
                    self.1[at + 6] = b'B';
                }
                Output::Wait(Wait { send: &self.1, ..wait })
            }
            other => other,
        }
    }
}

impl Recordable for Altered {
    type New = smtp::trace::New;
    const KIND: Kind = Kind::SmtpServer;
    fn begin(new: Self::New) -> Altered {
        Altered(smtp::Session::begin(new), Vec::new())
    }
    fn expects(ask: &Self::Ask) -> Option<(SlotId, u8)> {
        smtp::Session::expects(ask)
    }
    fn marks(&mut self) -> &mut Marks {
        self.0.marks()
    }
    fn backlog(&self) -> usize {
        self.0.backlog()
    }
    fn unheard(bytes: &[u8]) -> Vec<u8> {
        smtp::Session::unheard(bytes)
    }
    fn said(value: &Self::Value) -> Said {
        smtp::Session::said(value)
    }
    fn hides(value: &Self::Value) -> Option<Hidden> {
        smtp::Session::hides(value)
    }
}

#[test]
fn capsules_take_the_same_path_without_the_texts() {
    for (name, recording) in sessions(4) {
        let capsule = trace::capsule::capsule_any(&recording, [7; 32]).unwrap_or_else(|error| panic!("{name}: {error}"));
        let (before, after) = (replayed(&name, &recording), replayed(&name, &capsule));
        assert_eq!(after.difference, None, "{name}");
        assert_eq!((before.entries, before.ending), (after.entries, after.ending), "{name}");
        for word in [
            "alice",
            "alic",
            "bob@",
            "a word",
            "and text",
            ".dot",
            "two.test",
            "more mail",
            "family",
        ] {
            assert!(!memmem(&capsule, word.as_bytes()), "{name} has {word}");
        }
        let again = trace::capsule::capsule_any(&recording, [7; 32]).expect("again");
        assert_eq!(capsule, again, "{name}: by one key the same");
    }
}

/// Every recording becomes a script, which plays at every split; what it says otherwise than the recording it says itself.
#[test]
fn recordings_become_scripts() {
    let mut played = BTreeMap::<&str, usize>::new();
    for (name, recording) in sessions(5) {
        let kind = trace::Trace::open(&recording).expect("a recording").header.kind;
        let text = trace::script::script_any(&recording).unwrap_or_else(|error| panic!("{name}: {error}"));
        let plays = match kind {
            Kind::SmtpServer => script::play_at_every_split(&name, &text, &machines::smtp_server),
            Kind::SmtpClient => script::play_at_every_split(&name, &text, &machines::smtp_client),
            Kind::ImapServer => script::play_at_every_split(&name, &text, &machines::imap_server),
        };
        let plays = plays.unwrap_or_else(|error| panic!("{error}\n\n{text}"));
        // A script has a clock, and so ids of messages, and a host name of its own; nothing else is lost.
        for differs in text.lines().filter(|line| line.starts_with("#   recorded")) {
            let own = ["queued as", "mx.two.test", "CommitAppend"];
            assert!(own.iter().any(|own| differs.contains(own)), "{name}: {differs}\n\n{text}");
        }
        *played.entry(kind.name()).or_default() += usize::from(plays > 10);
    }
    assert!(
        played["smtp"] >= 3 && played["smtp-client"] >= 1 && played["imap"] >= 3,
        "{played:?}"
    );
}

/// Only sessions that the rules take are kept, and no more than fit.
#[test]
fn rules_and_bounds_hold() {
    let kept = |rules: &str| {
        let mut world = World::new(6);
        let ip = world.node(1, "one.test");
        server::start_with(&world, ip, "one.test", &["alice", "bob"], rules);
        let client = world.client();
        world.run(async move {
            for number in 0..4 {
                let stream = server::connect(&client, SocketAddr::new(ip, 25)).await;
                let mut smtp = Smtp::begin(stream).await.expect("a session");
                smtp.command("MAIL FROM:<>", "250").await.expect("taken");
                let to = if number == 3 { ("nobody", "550") } else { ("alice", "250") };
                smtp.command(&format!("RCPT TO:<{}@one.test>", to.0), to.1)
                    .await
                    .expect("answered");
                if matches!(number, 1 | 2) {
                    smtp.command("DATA", "354").await.expect("taken");
                    smtp.0.send(&b"a line of a message\r\n".repeat(40_000)).await.expect("sent");
                    smtp.0.send(b".\r\n").await.expect("sent");
                    smtp.expect("250").await.expect("taken");
                }
                smtp.command("QUIT", "221").await.expect("taken");
            }
            let stream = server::connect(&client, SocketAddr::new(ip, 143)).await;
            let mut imap = Imap::login(stream, "bob@one.test", PASSWORD).await.expect("a session");
            imap.ok("LOGOUT").await.expect("taken");
            client.sleep_until(client.now().instant.after(Duration::from_secs(60))).await;
        });
        assert_eq!(world.panics(ip), Vec::<String>::new());
        recordings(&world, ip)
    };
    let count = |rules: &str| kept(&format!("[record]\n{rules}")).len();
    assert_eq!(count("sessions = \"all\"\n"), 5);
    assert_eq!(count("sessions = \"1 in 2\"\n"), 3);
    assert_eq!(count("sessions = \"all\"\nverdict = \"refused\"\n"), 1);
    assert_eq!(count("sessions = \"all\"\naccounts = [\"bob@one.test\"]\n"), 1);
    assert_eq!(count("sessions = \"all\"\npeers = [\"10.0.0.200\"]\n"), 5);
    assert_eq!(count("sessions = \"all\"\npeers = [\"192.0.2.0/24\"]\n"), 0);
    // Two messages of 760 KB do not fit: the second one stays, and what came behind it.
    let newest = kept("[record]\nsessions = \"all\"\nkeep = \"1M\"\n");
    let size: usize = newest.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(size <= 1 << 20 && newest.len() == 3, "{size} {}", newest.len());
}
