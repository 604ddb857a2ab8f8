//! The contract is tried, over whole simulated servers: many messages, many sessions, half an APPEND, a disk that fails in a body.

mod support;

use std::time::Duration;

use pillarbox_core::store::disk::{DiskError, DiskOp};
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::client::smtp::Smtp;
use pillarbox_tests::disk::{Fault, When};
use support::{Story, inbox};

const MANY: usize = 10_000;

/// `FETCH 1:* BODY[]` of ten thousand messages to a reader that is slow, while another session expunges and a third appends.
#[test]
fn ten_thousand_bodies_for_a_slow_reader() {
    Story::new(71).tell(|story| async move {
        let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
        for number in 0..MANY {
            smtp.deliver("alice@here.test", small(number).as_bytes())
                .await
                .expect("delivered");
        }
        let (mut reader, mut remover, mut writer) = (
            story.imap("alice").await,
            story.imap("alice").await,
            story.imap("alice").await,
        );
        reader.ok("SELECT INBOX").await.expect("selected");
        remover.ok("SELECT INBOX").await.expect("selected");
        let tag = reader.start("FETCH 1:* (UID BODY.PEEK[])").await.expect("sent");
        let mut next = 0;
        let mut expunged = false;
        loop {
            let response = reader.response().await.expect("it goes on");
            if let Some(rest) = response.text.strip_prefix(&format!("{tag} ")) {
                assert!(rest.starts_with("OK"), "{rest}");
                break;
            }
            // No EXPUNGE may come during FETCH (RFC 9051 §7.5.1), so numbers stay what they were.
            assert!(!response.text.contains("EXPUNGE"), "{}", response.text);
            if response.text.contains("EXISTS") || response.text.contains("RECENT") {
                continue;
            }
            let Some(body) = response.literals.first() else { continue };
            assert!(
                response.text.starts_with(&format!("* {} FETCH", next + 1)),
                "{}",
                response.text
            );
            assert!(body.ends_with(small(next).as_bytes()), "message {next}");
            next += 1;
            if next % 1000 == 0 {
                story.sleep(Duration::from_secs(20)).await;
            }
            if next == 2000 {
                remover.ok("STORE 1:5000 +FLAGS.SILENT (\\Deleted)").await.expect("stored");
                remover.ok("EXPUNGE").await.expect("expunged");
                expunged = true;
            }
            if next % 1500 == 0 {
                let answer = writer.append("INBOX", small(MANY + next).as_bytes()).await.expect("answered");
                assert!(answer.starts_with("OK"), "{answer}");
            }
        }
        assert!(expunged);
        assert_eq!(next, MANY, "expunged messages of an open view are still readable");
        let told = reader.ok("NOOP").await.expect("answered");
        let gone = told.iter().filter(|response| response.text.contains("EXPUNGE")).count();
        assert_eq!(gone, 5000);
        let left = inbox(&story, "alice").await.len();
        assert_eq!(left, MANY - 5000 + 6);
    });
}

fn small(number: usize) -> String {
    format!("From: <a@elsewhere.test>\r\nSubject: number {number}\r\n\r\nbody of {number}\r\n")
}

/// A thousand sessions in IDLE: one delivery, and each of them hears of it.
#[test]
fn a_thousand_idle_sessions() {
    Story::new(72).tell(|story| async move {
        let mut idle = Vec::new();
        for _ in 0..1000 {
            let mut imap = story.imap("alice").await;
            imap.ok("SELECT INBOX").await.expect("selected");
            let tag = imap.start("IDLE").await.expect("sent");
            assert!(imap.response().await.expect("answered").text.starts_with('+'));
            idle.push((imap, tag));
        }
        let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
        smtp.deliver("alice@here.test", small(1).as_bytes()).await.expect("delivered");
        for (imap, tag) in &mut idle {
            hears(imap, "* 1 EXISTS").await;
            imap.lines.send(b"DONE\r\n").await.expect("sent");
            let (_, tagged) = imap.finish(tag).await.expect("answered");
            assert!(tagged.starts_with("OK"), "{tagged}");
        }
    });
}

async fn hears<S: futures_lite::AsyncRead + futures_lite::AsyncWrite + Unpin>(imap: &mut Imap<S>, what: &str) {
    loop {
        let response = imap.response().await.expect("it is told");
        if response.text == what {
            return;
        }
        assert!(response.text.starts_with("* "), "{}", response.text);
    }
}

/// An APPEND of 50 MB that is cut off half-way leaves no message and no file.
#[test]
fn half_an_append_leaves_nothing() {
    Story::new(73).tell(|story| async move {
        let mut imap = story.imap("alice").await;
        imap.start("APPEND INBOX {50000000}").await.expect("sent");
        assert!(imap.response().await.expect("answered").text.starts_with('+'));
        let half = vec![b'x'; 25_000_000];
        imap.lines.send(&half).await.expect("it reads");
        assert_ne!(story.large_files(), Vec::<String>::new(), "so much does not stay in memory");
        drop(imap);
        story.sleep(Duration::from_secs(10)).await;
        assert_eq!(story.large_files(), Vec::<String>::new(), "a file is left");
        assert!(inbox(&story, "alice").await.is_empty());
    });
}

/// The disk fails in the middle of a body: what was announced is never filled with something else. The session ends, or the command is
/// refused; other messages are still served.
#[test]
fn a_disk_that_fails_in_a_body() {
    Story::new(74).tell(|story| async move {
        let mut imap = story.imap("alice").await;
        let large = format!("Subject: large\r\n\r\n{}", "text of it\r\n".repeat(400_000));
        for message in [small(1), large.clone(), small(2)] {
            let answer = imap.append("INBOX", message.as_bytes()).await.expect("answered");
            assert!(answer.starts_with("OK"), "{answer}");
        }
        // Beyond a checkpoint, so that nothing is served from the journal's memory.
        story.sleep(Duration::from_secs(60)).await;
        let mut imap = story.imap("alice").await;
        imap.ok("SELECT INBOX").await.expect("selected");
        story.world.disk(story.server, |disk| {
            disk.add_fault(Fault {
                when: When::Each(
                    |op| matches!(op, DiskOp::Read { path, offset, .. } if path.0.contains("/big/") && *offset > 2_000_000),
                ),
                error: DiskError::Io,
                persistent: true,
            });
        });
        match imap.command("FETCH 2 BODY.PEEK[]").await {
            Ok((untagged, tagged)) => {
                assert!(tagged.starts_with("NO"), "{tagged}");
                assert!(
                    untagged.iter().all(|response| response.literals.is_empty()),
                    "a body that could not be read"
                );
            }
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::UnexpectedEof),
        }
        let mut imap = story.imap("alice").await;
        imap.ok("SELECT INBOX").await.expect("selected");
        let small_ones = imap.ok("FETCH 1,3 BODY.PEEK[]").await.expect("served");
        let bodies: Vec<&Vec<u8>> = small_ones.iter().flat_map(|response| &response.literals).collect();
        assert_eq!(bodies, [small(1).as_bytes(), small(2).as_bytes()]);
        story.world.disk(story.server, |disk| disk.clear_faults());
        let healed = imap.ok("FETCH 2 BODY.PEEK[]").await.expect("served");
        assert!(
            healed
                .iter()
                .any(|response| response.literals.first().is_some_and(|body| body == large.as_bytes()))
        );
    });
}
