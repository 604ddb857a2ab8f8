//! SEARCH over a whole simulated server: small messages and large ones, a disk that fails, clients that hang up.

mod support;

use std::time::Duration;

use pillarbox_core::store::disk::{DiskError, DiskOp};
use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::disk::{Fault, When};
use pillarbox_tests::sim::tls::Stream;
use support::Story;

/// Appends 600 small messages and a large one, whose last line is `the needle`.
async fn fill(imap: &mut Imap<Stream>) {
    for number in 0..600 {
        let message = format!("Subject: number {number}\r\n\r\nbody of {}\r\n", number % 100);
        append(imap, &message).await;
    }
    append(
        imap,
        &format!("Subject: large\r\n\r\n{}the needle\r\n", "text of it\r\n".repeat(200_000)),
    )
    .await;
}

async fn append(imap: &mut Imap<Stream>, message: &str) {
    let answer = imap.append("INBOX", message.as_bytes()).await.expect("answered");
    assert!(answer.starts_with("OK"), "{answer}");
}

async fn found(imap: &mut Imap<Stream>, query: &str) -> String {
    let responses = imap.ok(query).await.expect("answered");
    let texts: Vec<String> = responses.into_iter().map(|response| response.text).collect();
    texts.join("\n")
}

#[test]
fn messages_are_found_in_packs_and_in_files() {
    Story::new(81).tell(|story| async move {
        fill(&mut story.imap("alice").await).await;
        let mut imap = story.imap("alice").await;
        imap.ok("SELECT INBOX").await.expect("selected");
        // Once from the journal's memory, once from the disk.
        for _ in 0..2 {
            assert_eq!(
                found(&mut imap, "SEARCH BODY \"of 42\"").await,
                "* SEARCH 43 143 243 343 443 543"
            );
            assert_eq!(found(&mut imap, "SEARCH SUBJECT \"number 599\"").await, "* SEARCH 600");
            assert_eq!(found(&mut imap, "SEARCH BODY needle").await, "* SEARCH 601");
            let count = found(&mut imap, "UID SEARCH RETURN (COUNT) NOT TEXT needle").await;
            assert!(count.ends_with(") UID COUNT 600"), "{count}");
            story.sleep(Duration::from_secs(60)).await;
        }
    });
}

/// A message that cannot be read does not fit; the others are searched, and the session lives.
#[test]
fn a_disk_that_fails_in_a_search() {
    Story::new(82).tell(|story| async move {
        fill(&mut story.imap("alice").await).await;
        story.sleep(Duration::from_secs(60)).await;
        let mut imap = story.imap("alice").await;
        imap.ok("SELECT INBOX").await.expect("selected");
        story.world.disk(story.server, |disk| {
            disk.add_fault(Fault {
                when: When::Each(
                    |op| matches!(op, DiskOp::Read { path, offset, .. } if path.0.contains("/big/") && *offset > 1_000_000),
                ),
                error: DiskError::Io,
                persistent: true,
            });
        });
        assert_eq!(
            found(&mut imap, "SEARCH OR BODY needle BODY \"of 99\"").await,
            "* SEARCH 100 200 300 400 500 600"
        );
        assert_eq!(
            found(&mut imap, "SEARCH SUBJECT large").await,
            "* SEARCH 601",
            "its header can be read"
        );
        story.world.disk(story.server, |disk| disk.clear_faults());
        assert_eq!(found(&mut imap, "SEARCH BODY needle").await, "* SEARCH 601");
    });
}

/// Many sessions search at once, and some hang up: each of the others has its answer, and the server goes on.
#[test]
fn many_search_and_some_hang_up() {
    Story::new(83).tell(|story| async move {
        fill(&mut story.imap("alice").await).await;
        let mut sessions = Vec::new();
        for number in 0..20 {
            let mut imap = story.imap("alice").await;
            imap.ok("EXAMINE INBOX").await.expect("selected");
            let tag = imap.start("SEARCH BODY needle").await.expect("sent");
            if number % 2 == 0 {
                sessions.push((imap, tag));
            }
        }
        for (mut imap, tag) in sessions {
            let (untagged, tagged) = imap.finish(&tag).await.expect("answered");
            assert_eq!(untagged[0].text, "* SEARCH 601");
            assert!(tagged.starts_with("OK"), "{tagged}");
        }
        let mut imap = story.imap("alice").await;
        imap.ok("EXAMINE INBOX").await.expect("selected");
        assert_eq!(
            found(&mut imap, "SEARCH SUBJECT \"number 7\"").await.split(' ').count(),
            2 + 11
        );
    });
}
