//! The contract is tried, over whole simulated servers: what SMTP clients and disks do at the worst moment.

mod support;

use std::time::Duration;

use futures_lite::AsyncWriteExt;
use pillarbox_core::store::disk::DiskOp;
use pillarbox_tests::client::smtp::{Smtp, stuffed};
use pillarbox_tests::sim::{DiskSpeed, server};
use support::{Story, inbox};

/// 30 MB through a disk that takes up to a second for each operation, from a peer that stalls for minutes in between.
#[test]
fn a_large_message_a_slow_disk_and_a_peer_that_stalls() {
    Story::new(11).tell(|story| async move {
        let slow = DiskSpeed {
            sync: Duration::from_millis(200)..Duration::from_secs(2),
            other: Duration::from_millis(5)..Duration::from_millis(400),
            cached: 10,
        };
        story.world.set_speed(story.server, slow);
        let line = "0123456789abcdefghijklmnopqrstuvwxyz, again and again until the line is long enough.\r\n";
        let message = format!(
            "From: <a@elsewhere.test>\r\nSubject: large\r\n\r\n{}",
            line.repeat(30_000_000 / line.len())
        )
        .into_bytes();
        let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
        smtp.command(&format!("MAIL FROM:<a@elsewhere.test> SIZE={}", message.len()), "250")
            .await
            .expect("taken");
        smtp.command("RCPT TO:<alice@here.test>", "250").await.expect("taken");
        smtp.command("DATA", "354").await.expect("taken");
        for part in stuffed(&message).chunks(4_000_000) {
            smtp.0.send(part).await.expect("it reads on");
            story.sleep(Duration::from_secs(100)).await;
        }
        smtp.expect("250").await.expect("committed");
        let found = inbox(&story, "alice").await;
        assert_eq!(found.len(), 1);
        assert!(found[0].ends_with(&message));
    });
}

/// The peer hangs up between the final dot and the 250: the message is committed, once.
#[test]
fn a_hang_up_after_the_final_dot() {
    for seed in 20..30 {
        Story::new(seed).tell(move |story| async move {
            let message = b"From: <a@elsewhere.test>\r\nSubject: gone\r\n\r\nbody\r\n";
            let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
            smtp.send_message("alice@here.test", message).await.expect("sent");
            // Wait until the dot has been read: the commit has begun when its record is written.
            let before = story.world.disk(story.server, |disk| disk.performed());
            while story.world.disk(story.server, |disk| disk.performed()) == before {
                story.sleep(Duration::from_micros(20)).await;
            }
            drop(smtp);
            story.sleep(Duration::from_secs(5)).await;
            let found = inbox(&story, "alice").await;
            assert_eq!(found.len(), 1, "seed {seed}");
            assert!(found[0].ends_with(message));
        });
    }
}

/// A hang-up in the middle of a message leaves nothing.
#[test]
fn a_hang_up_before_the_final_dot() {
    Story::new(31).tell(|story| async move {
        for large in [false, true] {
            let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
            smtp.command("MAIL FROM:<a@elsewhere.test>", "250").await.expect("taken");
            smtp.command("RCPT TO:<alice@here.test>", "250").await.expect("taken");
            smtp.command("DATA", "354").await.expect("taken");
            let half = "half a line, many times\r\n".repeat(if large { 100_000 } else { 10 });
            smtp.0.send(half.as_bytes()).await.expect("it reads");
            assert_eq!(story.large_files().is_empty(), !large, "a large message goes to a file");
            drop(smtp);
            story.sleep(Duration::from_secs(5)).await;
            assert_eq!(story.large_files(), Vec::<String>::new(), "a file is left");
        }
        assert!(inbox(&story, "alice").await.is_empty());
    });
}

/// Bytes that come behind STARTTLS in the clear are never read as if they had come under TLS (S04).
#[test]
fn bytes_behind_starttls() {
    Story::new(41).tell(|story| async move {
        let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
        smtp.0
            .send(b"STARTTLS\r\nMAIL FROM:<injected@elsewhere.test>\r\n")
            .await
            .expect("sent");
        let mut lines = Vec::new();
        while let Ok(line) = smtp.0.line().await {
            lines.push(line);
        }
        assert!(
            lines.len() <= 1 && lines.iter().all(|line| line.starts_with("220") || line.starts_with('5')),
            "{lines:?}"
        );

        // The same with the rest a moment later, in place of the handshake: no session comes of it.
        let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
        smtp.command("STARTTLS", "220").await.expect("offered");
        smtp.0.send(b"MAIL FROM:<injected@elsewhere.test>\r\n").await.expect("sent");
        assert!(smtp.0.line().await.is_err(), "{}", smtp.0.dialogue());

        // And a proper one works.
        let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
        smtp.command("STARTTLS", "220").await.expect("offered");
        let (stream, _) = smtp.0.into_stream().connect("mx.here.test", "").await.expect("a handshake");
        let mut smtp = Smtp::again(stream).await.expect("a session");
        smtp.deliver("alice@here.test", b"Subject: secret\r\n\r\nbody\r\n")
            .await
            .expect("delivered");
        assert_eq!(inbox(&story, "alice").await.len(), 1);
    });
}

/// A client that shuts its side down after the final dot still gets its 250.
#[test]
fn a_half_closed_connection_is_answered() {
    Story::new(51).tell(|story| async move {
        let mut stream = story.connect(25).await;
        let mut smtp = Smtp::begin(&mut stream).await.expect("a session");
        smtp.send_message("alice@here.test", b"Subject: last\r\n\r\nbody\r\n")
            .await
            .expect("sent");
        drop(smtp);
        stream.close().await.expect("half-closed");
        let mut lines = pillarbox_tests::client::Lines::new(stream);
        assert!(lines.line().await.expect("a reply").starts_with("250"));
        assert_eq!(inbox(&story, "alice").await.len(), 1);
    });
}

/// The disk fails while a batch is made durable: the server ends with 70, and after a restart nothing that was acknowledged is lost.
#[test]
fn a_sync_that_fails_ends_the_server() {
    Story::new(61).tell(|story| async move {
        let mut smtp = Smtp::begin(story.connect(25).await).await.expect("a session");
        smtp.deliver("alice@here.test", b"Subject: kept\r\n\r\nbody\r\n")
            .await
            .expect("acknowledged");
        story.world.disk(story.server, |disk| {
            disk.add_fault(pillarbox_tests::disk::Fault {
                when: pillarbox_tests::disk::When::Each(|op| matches!(op, DiskOp::DataSync(_))),
                error: pillarbox_core::store::disk::DiskError::Io,
                persistent: true,
            });
        });
        let refused = smtp.deliver("alice@here.test", b"Subject: lost\r\n\r\nbody\r\n").await;
        assert!(refused.is_err(), "{}", smtp.0.dialogue());
        let ended = story.world.ended(story.server);
        assert!(matches!(ended, Some(pillarbox_tests::sim::Ended::Exit(70, _))), "{ended:?}");
        story.world.power_loss(story.server);
        story.world.disk(story.server, |disk| disk.clear_faults());
        server::start(&story.world, story.server, "here.test", &["alice"]);
        let found = inbox(&story, "alice").await;
        assert!(
            found
                .iter()
                .any(|message| message.ends_with(b"Subject: kept\r\n\r\nbody\r\n"))
        );
    });
}
