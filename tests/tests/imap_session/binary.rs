//! BINARY over a session: long parts in two passes, NULs, sizes.

use pillarbox_core::bytes::base64;
use pillarbox_core::limits;
use pillarbox_core::store::Flags;

use pillarbox_tests::host::inbox::Inbox;

use super::support::{Client, literals};

/// A message with one part of these octets, in base64.
fn encoded(octets: &[u8]) -> Vec<u8> {
    let lines: Vec<Vec<u8>> = base64::encode(octets).as_bytes().chunks(76).map(<[u8]>::to_vec).collect();
    let head = b"Content-Type: application/octet-stream\r\nContent-Transfer-Encoding: base64\r\n\r\n";
    [&head[..], &lines.join(&b"\r\n"[..])].concat()
}

#[test]
fn octets_come_back_whatever_they_are_and_however_many() {
    let all: Vec<u8> = (0..=255).collect();
    let without_nul: Vec<u8> = (1..=255).collect();
    let long = limits::FILTERED as usize;
    for octets in [
        all.clone(),
        without_nul.clone(),
        Vec::new(),
        all.iter().copied().cycle().take(3 * long).collect(),
        without_nul.iter().copied().cycle().take(3 * long).collect(),
        [without_nul.repeat(long / 100), vec![0]].concat(),
    ] {
        let mut store = Inbox::new();
        store.append(0, b"Received: x\r\n", &encoded(&octets), Flags::SEEN, &[]);
        store.append(0, b"", &encoded(b"second"), Flags::SEEN, &[]);
        let mut client = Client::new(&mut store, 7);
        client.say(&mut store, b"s SELECT INBOX\r\n");
        client.chunk = 1000;
        let nul = octets.contains(&0);
        let reply = client.say(&mut store, b"x FETCH 1:2 (BINARY.SIZE[1] BINARY[1] BINARY[1]<10.7> UID)\r\n");
        let found = literals(&reply);
        assert!(found[0] == octets && found[2] == b"second");
        assert_eq!(found[1], octets.get(10..17).unwrap_or_default());
        let size = format!(
            "* 1 FETCH (BINARY.SIZE[1] {} BINARY[1] {}{{",
            octets.len(),
            if nul { "~" } else { "" }
        );
        assert!(
            reply.starts_with(size.as_bytes()),
            "{}",
            String::from_utf8_lossy(&reply[..80])
        );
        assert!(reply.ends_with(b" UID 2)\r\nx OK FETCH completed\r\n"));
        assert_eq!(client.session.memory(), 0, "an idle session owns no buffer");
    }
}

/// NULs that were appended by a literal8 come back by BINARY, and as 0x80 by BODY, of the same length.
#[test]
fn a_message_with_nuls_goes_in_and_out() {
    let mut store = Inbox::new();
    let mut client = Client::new(&mut store, 7);
    client.say(&mut store, b"s SELECT INBOX\r\n");
    let message = b"Content-Transfer-Encoding: binary\r\nContent-Type: image/x\r\n\r\na\0\n\0b";
    let mut append = format!("a APPEND INBOX ~{{{}+}}\r\n", message.len()).into_bytes();
    append.extend_from_slice(message);
    append.extend_from_slice(b"\r\n");
    let reply = client.say(&mut store, &append);
    assert!(
        reply.ends_with(b"APPEND completed\r\n"),
        "{}",
        String::from_utf8_lossy(&reply)
    );
    let reply = client.say(&mut store, b"x FETCH 1 (BINARY.PEEK[1] BINARY.PEEK[] BODY.PEEK[1])\r\n");
    assert_eq!(literals(&reply), [&b"a\0\n\0b"[..], message, b"a\x80\n\x80b"]);
}
