//! S03: BDAT beside everything that can come between chunks.

use proptest::prelude::*;

use super::support::{ENVELOPE, Host};

/// What a client does next.
#[derive(Debug, Clone)]
enum Step {
    Bdat { octets: usize, last: bool },
    Say(&'static str),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0usize..40, any::<bool>()).prop_map(|(octets, last)| Step::Bdat { octets, last }),
        prop::sample::select(vec![
            "RSET",
            "NOOP",
            "STARTTLS",
            "EHLO client.test",
            "MAIL FROM:<tim@one.test>",
            "RCPT TO:<bob@one.test>",
            "DATA",
            "VRFY x",
        ])
        .prop_map(Step::Say),
    ]
}

/// Commands hide in every chunk: whoever lost count of its octets would execute them.
const HIDDEN: &[u8] = b"QUIT\r\nQUIT\r\nQUIT\r\nQUIT\r\nQUIT\r\nQUIT\r\nQUIT\r\n";

proptest! {
    /// Chunks, commands and handshakes in any order, then a hang-up, at any split: a chunk's octets are text, whatever came before; a
    /// message is committed by a last chunk alone, with the octets of its chunks alone.
    #[test]
    fn s03_chunks_commands_and_hang_ups_in_any_order(steps in prop::collection::vec(step(), 1..12), split in 1usize..60) {
        let mut host = Host::new(false, false);
        host.all(&ENVELOPE);
        // What the client may know: octets of the message that has begun, and whether there is an envelope with a recipient.
        let (mut octets, mut envelope, mut recipient, mut commits) = (0, true, true, 0);
        for step in steps {
            match step {
                Step::Bdat { octets: size, last } => {
                    let end = if last { " LAST" } else { "" };
                    let wire = [format!("BDAT {size}{end}\r\n").as_bytes(), &HIDDEN[..size]].concat();
                    let reply: String = wire.chunks(split).map(|piece| host.say(piece)).collect();
                    prop_assert_eq!(host.closed, None);
                    prop_assert_eq!(reply.lines().count(), 1, "one reply a chunk: {}", reply);
                    if !recipient {
                        prop_assert!(reply.starts_with('5'), "{}", reply);
                        continue;
                    }
                    octets += size;
                    if last {
                        // The chunk may have cut a line: then the message has a bare CR, and is refused.
                        let taken = reply.starts_with("250");
                        commits += usize::from(taken);
                        prop_assert_eq!(host.commits.len(), commits, "{}", reply);
                        if taken {
                            prop_assert_eq!(host.commits[commits - 1].size, octets as u64);
                        }
                        (octets, envelope, recipient) = (0, false, false);
                    } else if reply.starts_with('5') {
                        prop_assert!(reply.contains("5.5.2") || reply.contains("5.6.0"), "only for what it is: {}", reply);
                        // Refused on the way: the client starts again.
                        host.all(&["RSET"]);
                        (octets, envelope, recipient) = (0, false, false);
                    }
                }
                Step::Say(command) => {
                    let reply = host.all(&[command]);
                    if host.closed.is_some() {
                        break; // too many errors
                    }
                    let done = reply.lines().last().is_some_and(|line| line.starts_with('2'));
                    match command {
                        "RSET" | "EHLO client.test" => (octets, envelope, recipient) = (0, false, false),
                        "STARTTLS" if done => {
                            (octets, envelope, recipient) = (0, false, false);
                            host.all(&["EHLO client.test"]);
                        }
                        "MAIL FROM:<tim@one.test>" if done => {
                            prop_assert!(!envelope && octets == 0);
                            envelope = true;
                        }
                        "RCPT TO:<bob@one.test>" if done => recipient = true,
                        "DATA" if reply.starts_with("354") => {
                            host.say(b".\r\n");
                            commits = host.commits.len();
                            (octets, envelope, recipient) = (0, false, false);
                        }
                        _ => {}
                    }
                }
            }
        }
        prop_assert_eq!(host.commits.len(), commits, "nothing is committed on the way");
    }
}
