//! The contract is tried: a hundred pipelined RCPTs whose look-ups are answered in reverse.

use std::sync::Arc;

use pillarbox_core::limits;
use pillarbox_core::machine::{Input, Machine, Output, Slot};
use pillarbox_core::policy::access::{RecipientVerdict, Refusal};
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{Ask, Peer, Settings, Value};
use pillarbox_core::time::Now;

/// What a session has said, and what it has asked and not been answered.
#[derive(Default)]
struct Host {
    said: Vec<u8>,
    open: Vec<(String, Slot<RecipientVerdict>)>,
    most_open: usize,
    reads: bool,
}

impl Host {
    /// Polls to rest.
    fn settle(&mut self, session: &mut Session) {
        loop {
            let sent = match session.poll() {
                Output::Ask(Ask::ResolveRecipient { matter, then }) => {
                    self.open.push((format!("{:?}", matter.recipient), then));
                    continue;
                }
                Output::Ask(ask) => panic!("{ask:?}"),
                Output::Body(_) | Output::Close(_) => panic!("neither a body nor the end"),
                Output::Wait(wait) => {
                    self.reads = wait.read;
                    self.said.extend_from_slice(wait.send);
                    wait.send.len()
                }
            };
            self.most_open = self.most_open.max(self.open.len());
            if sent == 0 {
                return;
            }
            session.handle(Now::default(), Input::Sent(sent));
        }
    }
}

#[test]
fn a_hundred_recipients_answered_in_reverse() {
    let settings = Settings {
        hostname: "mx.test".into(),
        submission: false,
        starttls: true,
        plaintext_auth: false,
        scram: false,
        message_max: 1 << 20,
    };
    let peer = Peer {
        ip: [10, 0, 0, 9].into(),
        port: 4000,
    };
    let mut session = Session::new(Arc::new(settings), peer, None, 1, [7; 16], Now::default());
    let mut host = Host::default();
    host.settle(&mut session);
    session.handle(Now::default(), Input::Received(b"EHLO client.test\r\n"));
    host.settle(&mut session);
    host.said.clear();

    let mut commands = String::from("MAIL FROM:<sender@elsewhere.test>\r\n");
    for number in 0..100 {
        commands.push_str(&format!("RCPT TO:<user{number}@mx.test>\r\n"));
    }
    commands.push_str("NOOP\r\n");
    let mut rest = commands.as_bytes();
    // The host reads whenever the session wants it, and answers the newest question first when it does not.
    while !rest.is_empty() || !host.open.is_empty() {
        if host.reads && !rest.is_empty() {
            let (piece, later) = rest.split_at(rest.len().min(700));
            rest = later;
            session.handle(Now::default(), Input::Received(piece));
        } else {
            let (recipient, then) = host.open.pop().expect("a session that does not read has asked");
            let answer = then.answer::<Value>(refused(&recipient));
            session.handle(Now::default(), Input::Answer(answer));
        }
        host.settle(&mut session);
    }

    let said = String::from_utf8(host.said).expect("replies are text");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines.len(), 102, "{said}");
    for (number, line) in lines[1..101].iter().enumerate() {
        assert!(line.starts_with("550 5.1.1 "), "{line}");
        assert!(line.contains(&format!("user{number}\"")), "reply {number} is {line}");
    }
    assert!(lines[0].starts_with("250") && lines[101].starts_with("250"), "{said}");
    assert_eq!(
        host.most_open,
        limits::SMTP_ASKS,
        "look-ups run side by side, up to the limit"
    );
}

/// A refusal that names the recipient, so that its reply can be told from the others.
fn refused(recipient: &str) -> RecipientVerdict {
    let name = recipient
        .split('"')
        .find(|part| part.starts_with("user"))
        .expect("the local part");
    RecipientVerdict {
        outcome: Err(Refusal {
            code: 550,
            status: [5, 1, 1],
            text: format!("no \"{name}\""),
        }),
        because: Vec::new(),
    }
}
