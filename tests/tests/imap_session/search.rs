//! SEARCH over a session: what is asked, what `$` means, and that expunges wait.

use pillarbox_core::limits;
use pillarbox_core::store::request::{FlagChange, FlagHow};
use pillarbox_core::store::{Flags, Uid};

use pillarbox_tests::host::inbox::Inbox;

use super::support::Client;

/// So many messages, `Subject: number n`; every tenth is flagged.
fn store(many: usize) -> Inbox {
    let mut store = Inbox::new();
    for n in 0..many {
        let flags = if n % 10 == 0 { Flags::FLAGGED } else { Flags::default() };
        store.append(
            0,
            b"",
            format!("Subject: number {n}\r\n\r\nbody {}\r\n", n % 7).as_bytes(),
            flags,
            &[],
        );
    }
    store
}

fn client(store: &mut Inbox) -> Client {
    let mut client = Client::new(store, 7);
    client.say(store, b"s SELECT INBOX\r\n");
    client.asked.clear();
    client
}

fn say(client: &mut Client, store: &mut Inbox, command: &str) -> String {
    let reply = client.say(store, format!("{command}\r\n").as_bytes());
    String::from_utf8(reply).expect("ASCII")
}

fn delete(store: &mut Inbox, uids: &[Uid]) {
    let change = FlagChange {
        how: FlagHow::Add,
        flags: Flags::DELETED,
        keywords: Vec::new(),
    };
    store.flag(9, uids, &change);
    store.expunge(9, None);
}

/// S38: a search costs what has to be read, and no more: counted in runs and in messages.
#[test]
fn s38_only_what_has_to_be_read_is_read() {
    let mut store = store(1000);
    let mut client = client(&mut store);
    for (query, runs) in [
        ("UNSEEN NOT DELETED SINCE 1-Jan-1970", 0),
        ("SEEN BODY nothing", 0),
        ("OR ALL BODY nothing", 0),
        ("FLAGGED BODY nothing", 1),
        ("UID 17,400:401 BODY nothing", 1),
        ("BODY nothing", 1000usize.div_ceil(limits::RUN_PARTS)),
        ("RETURN (MIN) SUBJECT number", 1),
    ] {
        client.asked.clear();
        let reply = say(&mut client, &mut store, &format!("x SEARCH {query}"));
        assert!(reply.ends_with("x OK SEARCH completed\r\n"), "{reply}");
        let matches: Vec<&String> = client.asked.iter().filter(|ask| ask.starts_with("Match")).collect();
        assert_eq!(matches.len(), runs, "{query}: {matches:?}");
        if query.starts_with("UID") {
            assert_eq!(matches[0], "Match 17,400:401");
        }
    }
}

/// S38: many keys over many messages leave the thread again and again, though nothing has to be read.
#[test]
fn s38_a_search_lets_others_run() {
    let mut store = store(1500);
    let mut client = client(&mut store);
    let keys = "NOT SEEN ".repeat(1000);
    let reply = say(
        &mut client,
        &mut store,
        &format!("x SEARCH RETURN (COUNT) {}", keys.trim_end()),
    );
    assert!(reply.starts_with("* ESEARCH (TAG \"x\") COUNT 1500\r\n"), "{reply}");
    let breaths = client.asked.iter().filter(|ask| *ask == "Match ").count();
    assert_eq!(breaths, 1500 * 2001 / limits::SEARCH_SLICE);
}

/// S33: sets in keys are never expanded.
#[test]
fn s33_great_sets_in_keys() {
    let mut store = store(50);
    let mut client = client(&mut store);
    let many: Vec<String> = (0..50_000).map(|n| format!("{}:{}", n * 3 + 1, n * 3 + 2)).collect();
    for (query, found) in [
        ("UID 1:4294967295".to_string(), 50),
        ("1:4294967295".to_string(), 50),
        ("NOT UID 1:4294967295".to_string(), 0),
        (format!("UID {}", many.join(",")), 34),
        (format!("NOT {}", many.join(",")), 16),
    ] {
        let reply = say(&mut client, &mut store, &format!("x SEARCH RETURN (COUNT) {query}"));
        assert!(reply.contains(&format!(" COUNT {found}\r\n")), "{reply}");
    }
}

/// S34: an answer to a reader that takes little at a time is held in little.
#[test]
fn s34_a_long_answer_is_written_in_pieces() {
    let mut store = Inbox::new();
    for n in 0..60_000 {
        let flags = if n % 2 == 0 { Flags::FLAGGED } else { Flags::default() };
        store.append(0, b"", b"a: b\r\n\r\n", flags, &[]);
    }
    let mut client = client(&mut store);
    client.chunk = 1024;
    let high = limits::SEND_HIGH_WATER + 16 * 1024;
    let numbers: Vec<String> = (0..30_000).map(|n| (2 * n + 1).to_string()).collect();
    let reply = say(&mut client, &mut store, "x SEARCH FLAGGED");
    assert!(reply == format!("* SEARCH {}\r\nx OK SEARCH completed\r\n", numbers.join(" ")));
    let reply = say(&mut client, &mut store, "y UID SEARCH RETURN () FLAGGED");
    assert!(
        reply
            == format!(
                "* ESEARCH (TAG \"y\") UID ALL {}\r\ny OK SEARCH completed\r\n",
                numbers.join(",")
            )
    );
    let reply = say(&mut client, &mut store, "z SEARCH ALL");
    assert_eq!(
        reply.len(),
        "* SEARCH\r\nz OK SEARCH completed\r\n".len() + (1..=60_000).map(|n: u32| n.to_string().len() + 1).sum::<usize>()
    );
    assert!(client.waiting_max <= high, "{} octets waited", client.waiting_max);
    assert_eq!(client.session.memory(), 0, "an idle session owns no buffer");
}

/// RFC 5182 §2.1: what is expunged leaves `$`; in numbers and in UIDs it means the same messages.
#[test]
fn saved_results_follow_their_messages() {
    let mut store = store(40);
    let mut client = client(&mut store);
    assert_eq!(
        say(&mut client, &mut store, "a SEARCH RETURN (SAVE) FLAGGED"),
        "a OK SEARCH completed\r\n"
    );
    let fetched = "* 1 FETCH (UID 1)\r\n* 11 FETCH (UID 11)\r\n* 21 FETCH (UID 21)\r\n* 31 FETCH (UID 31)\r\n";
    assert_eq!(
        say(&mut client, &mut store, "b FETCH $ UID"),
        format!("{fetched}b OK FETCH completed\r\n")
    );
    assert_eq!(
        say(&mut client, &mut store, "b UID FETCH $ UID"),
        format!("{fetched}b OK FETCH completed\r\n")
    );
    delete(&mut store, &[Uid(5), Uid(11)]);
    client.notice(&mut store);
    // Numbers stand until EXPUNGE is told; the message of 11 is still known to the client.
    assert_eq!(
        say(&mut client, &mut store, "c SEARCH $"),
        "* SEARCH 1 11 21 31\r\nc OK SEARCH completed\r\n"
    );
    assert_eq!(
        say(&mut client, &mut store, "d UID SEARCH $"),
        "* SEARCH 1 11 21 31\r\n* 5 EXPUNGE\r\n* 10 EXPUNGE\r\nd OK SEARCH completed\r\n"
    );
    assert_eq!(
        say(&mut client, &mut store, "e SEARCH $"),
        "* SEARCH 1 19 29\r\ne OK SEARCH completed\r\n"
    );
    assert_eq!(
        say(&mut client, &mut store, "f SEARCH UID $ NOT 1"),
        "* SEARCH 19 29\r\nf OK SEARCH completed\r\n"
    );
    // STORE takes it too; and a new SELECT forgets it.
    let stored = say(&mut client, &mut store, "g STORE $ +FLAGS.SILENT (\\Seen)");
    assert_eq!(stored, "g OK STORE completed\r\n");
    assert_eq!(
        say(&mut client, &mut store, "h SEARCH SEEN"),
        "* SEARCH 1 19 29\r\nh OK SEARCH completed\r\n"
    );
    say(&mut client, &mut store, "i SELECT INBOX");
    assert_eq!(
        say(&mut client, &mut store, "j SEARCH $"),
        "* SEARCH\r\nj OK SEARCH completed\r\n"
    );
    assert_eq!(say(&mut client, &mut store, "k FETCH $ UID"), "k OK FETCH completed\r\n");
}

/// RFC 5182 §2.1, §2.4: what is saved, and what is not.
#[test]
fn what_is_saved() {
    let mut store = store(40);
    let mut client = client(&mut store);
    for (command, saved) in [
        ("SEARCH RETURN (SAVE) FLAGGED", "1,11,21,31"),
        ("SEARCH RETURN (ALL) SUBJECT \"number 3\"", "1,11,21,31"),
        ("SEARCH RETURN (SAVE) NONSENSE", "1,11,21,31"),
        ("SEARCH RETURN (SAVE MIN) FLAGGED", "1"),
        ("SEARCH RETURN (MAX SAVE) FLAGGED", "31"),
        ("SEARCH RETURN (MAX SAVE MIN) FLAGGED", "1,31"),
        ("SEARCH RETURN (SAVE MIN COUNT) FLAGGED", "1,11,21,31"),
        ("UID SEARCH RETURN (SAVE MIN ALL) FLAGGED", "1,11,21,31"),
        ("SEARCH CHARSET X-NONE FLAGGED", "1,11,21,31"),
        ("SEARCH RETURN (SAVE) CHARSET X-NONE FLAGGED", ""),
        ("SEARCH RETURN (SAVE MIN) SUBJECT \"number 3\"", "4"),
        ("SEARCH RETURN (SAVE) SUBJECT nothing", ""),
    ] {
        say(&mut client, &mut store, &format!("x {command}"));
        let reply = say(&mut client, &mut store, "y SEARCH RETURN (ALL) $");
        let all = if saved.is_empty() {
            String::new()
        } else {
            format!(" ALL {saved}")
        };
        assert_eq!(
            reply,
            format!("* ESEARCH (TAG \"y\"){all}\r\ny OK SEARCH completed\r\n"),
            "{command}"
        );
    }
}

/// While SEARCH runs no EXPUNGE is told (RFC 9051 §7.5.1); a message that cannot be read does not fit.
#[test]
fn a_message_that_is_gone_or_broken() {
    let mut store = store(20);
    let mut client = client(&mut store);
    store.broken.push(Uid(3));
    delete(&mut store, &[Uid(2)]);
    client.notice(&mut store);
    let reply = say(&mut client, &mut store, "x SEARCH 1:4 BODY body");
    assert_eq!(reply, "* SEARCH 1 2 4\r\nx OK SEARCH completed\r\n");
    let reply = say(&mut client, &mut store, "y UID SEARCH UID 1:4 BODY body");
    assert_eq!(reply, "* SEARCH 1 2 4\r\n* 2 EXPUNGE\r\ny OK SEARCH completed\r\n");
    let reply = say(&mut client, &mut store, "z SEARCH 1:3 BODY body");
    assert_eq!(reply, "* SEARCH 1 3\r\nz OK SEARCH completed\r\n");
}
