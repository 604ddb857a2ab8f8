//! Every message of the test data goes in by APPEND and comes out by FETCH, byte for byte, whole and in sections.

use pillarbox_tests::host::inbox::Inbox;

use super::support::{Client, corpus, literals};
use pillarbox_core::store::{Flags, Uid};
use pillarbox_tests::rng::Rng;

#[test]
fn what_is_appended_is_fetched() {
    let corpus: Vec<Vec<u8>> = corpus().into_iter().filter(|message| !message.is_empty()).collect();
    let mut store = Inbox::new();
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let mut random = Rng::new(1);
    for (index, message) in corpus.iter().enumerate() {
        client.chunk = 1 + random.below(if index % 50 == 0 { 7 } else { 9000 }) as usize;
        let mut append = format!("a{index} APPEND INBOX {{{}+}}\r\n", message.len()).into_bytes();
        append.extend_from_slice(message);
        append.extend_from_slice(b"\r\n");
        let reply = String::from_utf8(client.say(&mut store, &append)).unwrap();
        let n = index + 1;
        assert!(
            reply.ends_with(&format!("a{index} OK [APPENDUID 7 {n}] APPEND completed\r\n")),
            "{reply}"
        );
        assert!(reply.starts_with(&format!("* {n} EXISTS\r\n* {n} RECENT\r\n")), "{reply}");
    }
    assert!(store.messages().eq(corpus.iter().map(Vec::as_slice)), "what came in");

    client.chunk = 30_011;
    let all = client.say(&mut store, b"f FETCH 1:* BODY.PEEK[]\r\n");
    if !corpus.is_empty() {
        assert!(literals(&all) == corpus, "what comes out whole");
        assert!(all.ends_with(b"f OK FETCH completed\r\n"));
    }

    for (index, message) in corpus.iter().enumerate() {
        client.chunk = 1 + random.below(5000) as usize;
        sections(&mut store, &mut client, index + 1, message, &mut random);
    }
    println!(
        "{} messages, {} octets",
        corpus.len(),
        corpus.iter().map(Vec::len).sum::<usize>()
    );
}

/// HEADER ++ TEXT is the message; HEADER.FIELDS.NOT of nothing is the header; partials are its slices.
fn sections(store: &mut Inbox, client: &mut Client, number: usize, message: &[u8], random: &mut Rng) {
    let first = random.below(message.len() as u64 + 10) as usize;
    let count = 1 + random.below(message.len() as u64) as usize;
    let command = format!(
        "f FETCH {number} (BODY.PEEK[HEADER] BODY.PEEK[TEXT] RFC822.HEADER BODY.PEEK[]<{first}.{count}> \
         BODY.PEEK[HEADER.FIELDS.NOT (X-No-Such-Field)] BODY.PEEK[HEADER.FIELDS (X-No-Such-Field)])\r\n"
    );
    let reply = client.say(store, command.as_bytes());
    assert!(
        reply.ends_with(b"f OK FETCH completed\r\n"),
        "{number}: {}",
        String::from_utf8_lossy(&reply)
    );
    let found = literals(&reply);
    let [header, text, old_header, part, fields_not, fields] = found.as_slice() else {
        panic!("{number}: {} literals", found.len())
    };
    assert!([header.as_slice(), text].concat() == message, "{number}: HEADER ++ TEXT");
    assert_eq!(header, old_header, "{number}: RFC822.HEADER");
    let end = (first + count).min(message.len());
    assert!(part == &message[first.min(end)..end], "{number}: BODY[]<{first}.{count}>");
    // RFC 9051 §6.4.5.1: the empty line is always there, unless the message has none.
    let blank = header.as_slice() == b"\r\n" || header.ends_with(b"\n\r\n") || header.ends_with(b"\n\n");
    assert_eq!(fields.is_empty(), !blank, "{number}: no field: {fields:?}");
    // A header that ends as headers do is kept whole.
    if header.ends_with(b"\r\n\r\n")
        && !header.starts_with(b"\r\n")
        && !header.starts_with(b" ")
        && !header[..header.len() - 2].ends_with(b"\r\n\r\n")
    {
        let (all, kept) = (String::from_utf8_lossy(header), String::from_utf8_lossy(fields_not));
        assert_eq!(all, kept, "{number}: HEADER.FIELDS.NOT");
    }
}

/// The trace fields that the server put in front belong to the header.
#[test]
fn prefix_and_body_are_one_message() {
    let mut store = Inbox::new();
    let body = b"Subject: hi\r\nFrom: a@one.test\r\n\r\nhello\r\n";
    store.append(0, b"Received: by mx.one.test\r\n", body, Flags::default(), &[]);
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let reply = client.say(
        &mut store,
        b"f FETCH 1 (RFC822.SIZE BODY.PEEK[HEADER] BODY.PEEK[1] BODY.PEEK[TEXT] BODY.PEEK[HEADER.FIELDS (received SUBJECT)] BODY.PEEK[2])\r\n",
    );
    let whole = "* 1 FETCH (RFC822.SIZE 66 BODY[HEADER] {59}\r\nReceived: by mx.one.test\r\nSubject: hi\r\nFrom: a@one.test\r\n\r\n \
                 BODY[1] {7}\r\nhello\r\n BODY[TEXT] {7}\r\nhello\r\n BODY[HEADER.FIELDS (received SUBJECT)] {41}\r\n\
                 Received: by mx.one.test\r\nSubject: hi\r\n\r\n BODY[2] NIL)\r\nf OK FETCH completed\r\n";
    assert_eq!(String::from_utf8(reply).unwrap(), whole);
}

/// S34: a reader that takes little at a time makes the server hold little.
#[test]
fn s34_a_slow_reader_costs_little() {
    let mut store = Inbox::new();
    let body = [b"Subject: x\r\n\r\n".as_slice(), &[b'x'; 20_000]].concat();
    for _ in 0..300 {
        store.append(0, b"", &body, Flags::default(), &[]);
    }
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    client.chunk = 16 * 1024;
    client.lazy = true;
    let reply = client.say(&mut store, b"f FETCH 1:* BODY[]\r\n");
    assert_eq!(literals(&reply).len(), 300);
    let high = pillarbox_core::limits::SEND_HIGH_WATER + client.chunk + 1024;
    assert!(client.waiting_max <= high, "{} octets waited", client.waiting_max);
    assert_eq!(client.session.memory(), 0, "an idle session owns no buffer");
    // \Seen was set in runs, and told with the bodies.
    assert!(reply.starts_with(b"* 1 FETCH (FLAGS (\\Seen \\Recent) BODY[] {20014}\r\n"));
    let sets = client.asked.iter().filter(|ask| ask.starts_with("SetFlags")).count();
    assert_eq!(sets, 300usize.div_ceil(pillarbox_core::limits::FETCH_BATCH));
}

/// One message that cannot be read is left out; the others come; the reply says so.
#[test]
fn a_broken_message_is_left_out() {
    let mut store = Inbox::new();
    for n in 0..5 {
        let body = format!("Subject: {n}\r\n\r\nbody {n}\r\n");
        store.append(0, b"", body.as_bytes(), Flags::SEEN, &[]);
    }
    store.broken.push(Uid(3));
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let reply = client.say(&mut store, b"f FETCH 1:* (UID BODY.PEEK[TEXT])\r\n");
    assert_eq!(literals(&reply).len(), 4);
    assert!(reply.ends_with(b"f NO [CONTACTADMIN] Some messages could not be read\r\n"));
    assert!(client.closed.is_none());
    let reply = client.say(&mut store, b"f FETCH 4 BODY.PEEK[TEXT]\r\n");
    assert!(reply.ends_with(b"f OK FETCH completed\r\n"));
}

/// Half a literal cannot be taken back.
#[test]
fn a_message_that_breaks_in_its_literal_ends_the_session() {
    let mut store = Inbox::new();
    store.append(0, b"", b"Subject: x\r\n\r\nbody\r\n", Flags::SEEN, &[]);
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    store.broken.push(Uid(1));
    let reply = client.say(&mut store, b"f FETCH 1 (BODY.PEEK[] BODY.PEEK[HEADER])\r\n");
    assert_eq!(
        reply, b"f NO [CONTACTADMIN] Some messages could not be read\r\n",
        "nothing had begun"
    );
    assert!(client.closed.is_none());
}

/// RFC 2180 §4.1: a message that another session removed is served until EXPUNGE is told.
#[test]
fn an_expunged_message_is_served_until_told() {
    let mut store = Inbox::new();
    for n in 0..3 {
        store.append(0, b"", format!("Subject: {n}\r\n\r\nbody\r\n").as_bytes(), Flags::SEEN, &[]);
    }
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let deleted = pillarbox_core::store::request::FlagChange {
        how: pillarbox_core::store::request::FlagHow::Add,
        flags: Flags::DELETED,
        keywords: Vec::new(),
    };
    store.flag(9, &[Uid(2)], &deleted);
    store.expunge(9, None);
    client.notice(&mut store);
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    let reply = text(client.say(&mut store, b"f FETCH 2:3 (UID BODY.PEEK[HEADER])\r\n"));
    assert_eq!(
        reply,
        "* 2 FETCH (UID 2 BODY[HEADER] {14}\r\nSubject: 1\r\n\r\n)\r\n\
         * 3 FETCH (UID 3 BODY[HEADER] {14}\r\nSubject: 2\r\n\r\n)\r\nf OK FETCH completed\r\n"
    );
    // The pull has come; the number stands, for the client does not know.
    let reply = text(client.say(&mut store, b"g FETCH 2:3 (UID BODY.PEEK[HEADER])\r\n"));
    assert!(
        reply.contains("* 2 FETCH (UID 2") && reply.contains("* 3 FETCH (UID 3"),
        "{reply}"
    );
    assert_eq!(
        text(client.say(&mut store, b"h NOOP\r\n")),
        "* 2 EXPUNGE\r\nh OK NOOP completed\r\n"
    );
    let reply = text(client.say(&mut store, b"i FETCH 2 UID\r\n"));
    assert_eq!(reply, "* 2 FETCH (UID 3)\r\ni OK FETCH completed\r\n");
}
