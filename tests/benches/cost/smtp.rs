//! SMTP sessions, with a host that answers at once and keeps nothing.

use std::sync::Arc;

use pillarbox_core::machine::{Input, Machine, Output};
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{Peer, Settings};
use pillarbox_core::time::Now;
use pillarbox_tests::host::evidence;
use pillarbox_tests::host::smtp::yes;

use super::Run;

/// A session, and the octets that went through it.
pub(crate) struct Host {
    pub(crate) session: Session,
    pub(crate) sent: usize,
    body: usize,
    commits: usize,
    pub(crate) closed: bool,
    /// The most that the session says it held.
    pub(crate) buffered: usize,
}

impl Host {
    pub(crate) fn new(submission: bool) -> Host {
        let settings = Settings {
            hostname: "mx.one.test".into(),
            submission,
            starttls: false,
            plaintext_auth: false,
            scram: true,
            message_max: 4 << 30,
        };
        let peer = Peer {
            ip: [192, 0, 2, 7].into(),
            port: 1,
        };
        let session = Session::new(Arc::new(settings), peer, Some(evidence()), 1, [7; 16], Now::default());
        let mut host = Host {
            session,
            sent: 0,
            body: 0,
            commits: 0,
            closed: false,
            buffered: 0,
        };
        host.settle();
        host
    }

    /// Greeted, and logged in where it is for submission.
    pub(crate) fn ready(submission: bool) -> Host {
        let mut host = Host::new(submission);
        host.say(b"EHLO client.test\r\n");
        if submission {
            host.say(b"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm\r\n");
        }
        host
    }

    pub(crate) fn say(&mut self, bytes: &[u8]) {
        if !self.closed {
            self.session.handle(Now::default(), Input::Received(bytes));
            self.settle();
        }
    }

    fn settle(&mut self) {
        loop {
            let sent = match self.session.poll() {
                Output::Body(part) => {
                    self.body += part.len();
                    continue;
                }
                Output::Ask(ask) => {
                    let (answer, committed) = yes(ask);
                    self.commits += usize::from(committed.is_some());
                    if let Some(answer) = answer {
                        self.session.handle(Now::default(), Input::Answer(answer));
                    }
                    continue;
                }
                Output::Close(_) => {
                    self.closed = true;
                    return;
                }
                Output::Wait(wait) => wait.send.len(),
            };
            self.buffered = self.buffered.max(self.session.buffered());
            if sent == 0 {
                return;
            }
            self.sent += sent;
            self.session.handle(Now::default(), Input::Sent(sent));
        }
    }
}

/// Says the pieces; so many messages must be committed.
fn saying(mut host: Host, pieces: Vec<Vec<u8>>, commits: usize) -> Run {
    Box::new(move || {
        pieces.iter().for_each(|piece| host.say(piece));
        assert_eq!(host.commits, commits, "what is measured is what was meant");
    })
}

fn octets(text: &[u8]) -> Vec<Vec<u8>> {
    text.iter().map(|octet| vec![*octet]).collect()
}

const ENVELOPE: &[u8] = b"MAIL FROM:<a@two.test>\r\nRCPT TO:<bob@one.test>\r\nDATA\r\n";
const MESSAGE: &[u8] = b"From: a@two.test\r\nSubject: x\r\nDate: Wed, 17 Jul 1996 02:23:25 -0700\r\n\r\nHello.\r\n.\r\n";

/// What one transaction says.
pub(crate) fn transaction() -> Vec<Vec<u8>> {
    vec![ENVELOPE.to_vec(), MESSAGE.to_vec()]
}

pub(super) fn transactions(n: usize) -> Run {
    saying(Host::ready(false), (0..n).flat_map(|_| transaction()).collect(), n)
}

pub(super) fn data(n: usize) -> Run {
    let text = [
        b"Subject: x\r\n\r\n",
        &b"a line of sixty-four octets, with its end, as mail often has it\r\n".repeat(n / 66)[..],
        b".\r\n",
    ];
    let text = text.concat();
    let pieces = std::iter::once(ENVELOPE).chain(text.chunks(16_384)).map(<[u8]>::to_vec);
    saying(Host::ready(false), pieces.collect(), 1)
}

pub(super) fn data_octets(n: usize) -> Run {
    let text = [b"Subject: x\r\n\r\n", &b"..\r\n".repeat(n / 4)[..], b".\r\n"].concat();
    saying(Host::ready(false), [vec![ENVELOPE.to_vec()], octets(&text)].concat(), 1)
}

pub(super) fn data_lines(n: usize) -> Run {
    let text = [b"\r\n".repeat(n), b".\r\n".to_vec()].concat();
    saying(Host::ready(false), vec![ENVELOPE.to_vec(), text], 1)
}

pub(super) fn recipients(n: usize) -> Run {
    let mut text = b"MAIL FROM:<a@two.test>\r\n".to_vec();
    for number in 0..n {
        text.extend_from_slice(format!("RCPT TO:<bob{number}@one.test>\r\n").as_bytes());
    }
    text.extend_from_slice(b"DATA\r\n");
    saying(Host::ready(false), vec![text, MESSAGE.to_vec()], 1)
}

pub(super) fn noops(n: usize) -> Run {
    saying(Host::ready(false), vec![b"NOOP\r\n".repeat(n)], 0)
}

pub(super) fn noops_in_octets(n: usize) -> Run {
    saying(Host::ready(false), octets(&b"NOOP\r\n".repeat(n)), 0)
}

pub(super) fn chunks(n: usize) -> Run {
    let envelope = ENVELOPE.strip_suffix(b"DATA\r\n").expect("DATA");
    let text = [envelope, &b"BDAT 1\r\nx".repeat(n)[..], b"BDAT 0 LAST\r\n"].concat();
    saying(Host::ready(false), vec![text], 1)
}

pub(super) fn submission_header(n: usize) -> Run {
    let text = [
        &b"From: tim@one.test\r\n"[..],
        &b"X: y\r\n\tz\r\n".repeat(n),
        b"\r\nx\r\n.\r\n",
    ]
    .concat();
    saying(Host::ready(true), vec![ENVELOPE.to_vec(), text], 1)
}

pub(super) fn endless_line(n: usize) -> Run {
    saying(Host::ready(false), octets(&vec![b'x'; n]), 0)
}
