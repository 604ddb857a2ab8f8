//! The tree of mailboxes, copies and moves over a whole simulated server: several sessions see each other's changes, and a crash
//! takes nothing back.

mod support;

use pillarbox_tests::client::imap::Imap;
use pillarbox_tests::sim::tls::Stream;
use support::Story;

const MESSAGE: &[u8] = b"From: bob@here.test\r\nSubject: hello\r\n\r\nHello.\r\n";

/// The untagged responses as one text.
async fn say(imap: &mut Imap<Stream>, command: &str) -> String {
    let untagged = imap.ok(command).await.expect("the session lives");
    let texts: Vec<String> = untagged.into_iter().map(|response| response.text).collect();
    texts.join("\n")
}

/// The tagged reply of a command that is refused.
async fn refused(imap: &mut Imap<Stream>, command: &str) -> String {
    let (_, tagged) = imap.command(command).await.expect("the session lives");
    assert!(tagged.starts_with("NO"), "{command}: {tagged}");
    tagged
}

/// A value of STATUS.
async fn status(imap: &mut Imap<Stream>, mailbox: &str, item: &str) -> u64 {
    let said = say(imap, &format!("STATUS {mailbox} ({item})")).await;
    let value = said.rsplit(' ').next().and_then(|value| value.strip_suffix(')'));
    value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{said}"))
}

#[test]
fn sessions_see_each_others_mailboxes() {
    Story::new(81).tell(|story| async move {
        let (mut one, mut other) = (story.imap("alice").await, story.imap("alice").await);
        say(&mut one, "CREATE Work/2026").await;
        assert_eq!(
            say(&mut other, "LIST \"\" Work*").await,
            "* LIST (\\Noselect \\HasChildren) \"/\" Work\n* LIST (\\HasNoChildren) \"/\" Work/2026"
        );
        assert!(refused(&mut other, "CREATE Work/2026").await.contains("[ALREADYEXISTS]"));
        say(&mut other, "SUBSCRIBE Work/2026").await;
        say(&mut one, "RENAME Work Play").await;
        assert!(refused(&mut other, "SELECT Work/2026").await.contains("[NONEXISTENT]"));
        say(&mut other, "SELECT Play/2026").await;
        // A subscription is a name: it stays where it was.
        assert_eq!(
            say(&mut other, "LIST (SUBSCRIBED) \"\" *2026").await,
            "* LIST (\\NonExistent \\Subscribed) \"/\" Work/2026"
        );
        // A selected mailbox that is renamed stays selected.
        say(&mut one, "RENAME Play/2026 Archive/2026").await;
        assert!(
            one.append("Archive/2026", MESSAGE)
                .await
                .expect("it lives")
                .starts_with("OK [APPENDUID")
        );
        assert!(say(&mut other, "NOOP").await.contains("* 1 EXISTS"));
        // Another account has its own tree.
        let mut bob = story.imap("bob").await;
        assert_eq!(say(&mut bob, "LIST \"\" *2026").await, "");
    });
}

/// RFC 2180 §3.3: the mailbox goes, and who has it selected is told BYE.
#[test]
fn a_deleted_mailbox_ends_the_sessions_that_have_it() {
    Story::new(82).tell(|story| async move {
        let (mut one, mut idle, mut busy) = (
            story.imap("alice").await,
            story.imap("alice").await,
            story.imap("alice").await,
        );
        say(&mut one, "CREATE Old").await;
        assert!(one.append("Old", MESSAGE).await.expect("it lives").starts_with("OK"));
        let validity = status(&mut one, "Old", "UIDVALIDITY").await;
        for session in [&mut one, &mut idle, &mut busy] {
            say(session, "SELECT Old").await;
        }
        idle.start("IDLE").await.expect("sent");
        assert!(idle.response().await.expect("an answer").text.starts_with('+'));
        let deleted = say(&mut one, "DELETE Old").await;
        assert!(deleted.contains("[CLOSED]"), "{deleted}");
        assert_eq!(
            idle.response().await.expect("last words").text,
            "* BYE The selected mailbox is no longer available"
        );
        busy.start("NOOP").await.expect("sent");
        assert!(busy.response().await.expect("last words").text.starts_with("* BYE "));
        // The one that did it goes on; a new mailbox of the name is another one.
        say(&mut one, "CREATE Old").await;
        assert!(status(&mut one, "Old", "UIDVALIDITY").await > validity);
        assert_eq!(status(&mut one, "Old", "MESSAGES").await, 0);
    });
}

#[test]
fn copies_and_moves_are_seen_by_others() {
    Story::new(83).tell(|story| async move {
        let (mut one, mut source, mut destination) = (
            story.imap("alice").await,
            story.imap("alice").await,
            story.imap("alice").await,
        );
        say(&mut one, "CREATE Old").await;
        for _ in 0..4 {
            assert!(one.append("INBOX", MESSAGE).await.expect("it lives").starts_with("OK"));
        }
        say(&mut one, "SELECT INBOX").await;
        say(&mut one, "STORE 2 +FLAGS (\\Flagged $Work)").await;
        let date = say(&mut one, "FETCH 2 INTERNALDATE").await;
        say(&mut source, "SELECT INBOX").await;
        say(&mut destination, "SELECT Old").await;
        let (_, tagged) = one.command("COPY 1:2 Old").await.expect("it lives");
        assert!(tagged.contains(" 1:2 1:2] COPY completed"), "{tagged}");
        assert!(say(&mut destination, "NOOP").await.contains("* 2 EXISTS"));
        assert_eq!(say(&mut source, "NOOP").await, "");
        let moved = say(&mut one, "UID MOVE 2,4 Old").await;
        let lines: Vec<&str> = moved.lines().collect();
        assert!(
            lines[0].starts_with("* OK [COPYUID ") && lines[0].contains(" 2,4 3:4]"),
            "{moved}"
        );
        assert_eq!(lines[1..], ["* 2 EXPUNGE", "* 3 EXPUNGE"], "{moved}");
        assert_eq!(say(&mut source, "NOOP").await, "* 2 EXPUNGE\n* 3 EXPUNGE");
        assert!(say(&mut destination, "NOOP").await.contains("* 4 EXISTS"));
        let fetched = say(&mut destination, "FETCH 3 (FLAGS INTERNALDATE RFC822.SIZE)").await;
        assert!(fetched.contains("\\Flagged") && fetched.contains("$Work"), "{fetched}");
        let date = &date[date.find("INTERNALDATE").expect("a date")..date.len() - 1];
        assert!(fetched.contains(date), "{fetched}: {date}");
        assert!(refused(&mut one, "MOVE 1 Nowhere").await.contains("[TRYCREATE]"));
        // What another session has expunged is not copied by number.
        say(&mut source, "STORE 1 +FLAGS.SILENT (\\Deleted)").await;
        let tag = one.start("STORE 2 +FLAGS.SILENT (\\Seen)").await.expect("sent");
        one.finish(&tag).await.expect("stored");
        say(&mut source, "EXPUNGE").await;
        let (untagged, tagged) = one.command("COPY 1:2 Old").await.expect("it lives");
        assert!(tagged.starts_with("NO [EXPUNGEISSUED]"), "{tagged} {untagged:?}");
        assert_eq!(status(&mut one, "Old", "MESSAGES").await, 4);
        assert_eq!(
            destination.messages("Old").await.expect("messages"),
            vec![MESSAGE.to_vec(); 4]
        );
    });
}

/// RENAME of INBOX moves its messages, for all who look at it; what comes later stays in INBOX.
#[test]
fn inbox_is_emptied_by_rename() {
    Story::new(84).tell(|story| async move {
        let (mut one, mut other) = (story.imap("alice").await, story.imap("alice").await);
        for _ in 0..3 {
            assert!(one.append("INBOX", MESSAGE).await.expect("it lives").starts_with("OK"));
        }
        say(&mut one, "CREATE INBOX/below").await;
        say(&mut other, "SELECT INBOX").await;
        say(&mut one, "RENAME inbox Old").await;
        assert_eq!(say(&mut other, "NOOP").await, "* 1 EXPUNGE\n* 1 EXPUNGE\n* 1 EXPUNGE");
        assert_eq!(status(&mut one, "INBOX", "UIDNEXT").await, 4);
        assert_eq!(one.messages("Old").await.expect("messages").len(), 3);
        assert!(say(&mut one, "LIST \"\" INBOX/*").await.contains("INBOX/below"));
        assert!(refused(&mut one, "DELETE INBOX").await.contains("[CANNOT]"));
    });
}

/// A large message is one file, for all its copies; its bytes are there when the mailbox it came into is deleted.
#[test]
fn copies_share_their_bytes() {
    Story::new(85).tell(|story| async move {
        let mut one = story.imap("alice").await;
        let large = [
            MESSAGE,
            &b"0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcd\r\n".repeat(6000),
        ]
        .concat();
        say(&mut one, "CREATE first").await;
        assert!(one.append("first", &large).await.expect("it lives").starts_with("OK"));
        assert!(one.append("first", MESSAGE).await.expect("it lives").starts_with("OK"));
        say(&mut one, "SELECT first").await;
        say(&mut one, "COPY 1:2 Archive").await;
        say(&mut one, "MOVE 1 Sent").await;
        assert_eq!(story.large_files().len(), 1);
        say(&mut one, "DELETE first").await;
        assert_eq!(
            one.messages("Archive").await.expect("messages"),
            [large.clone(), MESSAGE.to_vec()]
        );
        assert_eq!(one.messages("Sent").await.expect("messages"), [large]);
    });
}

/// The depth that RENAME makes is limited.
#[test]
fn limits_are_said() {
    Story::new(86).tell(|story| async move {
        let mut one = story.imap("alice").await;
        let deep = ["a"; 20].join("/");
        say(&mut one, &format!("CREATE {deep}")).await;
        say(&mut one, &format!("CREATE {}", ["b"; 20].join("/"))).await;
        let too_deep = refused(&mut one, &format!("RENAME a {}", ["c"; 20].join("/"))).await;
        assert!(
            too_deep.starts_with("NO [LIMIT] A mailbox name would have too many levels"),
            "{too_deep}"
        );
        let below = refused(&mut one, "RENAME b b/c").await;
        assert!(below.starts_with("NO [CANNOT]"), "{below}");
    });
}
