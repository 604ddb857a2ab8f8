//! What happens in a world, as values: drawn from the seed before anything runs, so that any of them can be left out.

use std::time::Duration;

use crate::rng::Rng;

/// Pillarbox servers.
pub const SERVERS: usize = 3;
/// Clients, each with an account: client `n` at server `n % SERVERS`.
pub const CLIENTS: usize = 4;
/// Servers that are not ours.
pub const FOREIGN: usize = 2;
/// Transitions of a seed.
pub const TRANSITIONS: usize = 200;

/// One transition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// Its number in its seed.
    pub number: usize,
    /// How long after the one before.
    pub after: Duration,
    /// What happens.
    pub what: What,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A client hands in a message.
    Submit {
        /// Who.
        client: usize,
        /// To whom.
        to: Vec<To>,
        /// With an empty reverse path.
        null: bool,
        /// What, and how.
        text: Text,
    },
    /// Somebody outside brings a message for accounts of one server.
    Arrive {
        /// For these clients; all of one server.
        to: Vec<usize>,
        /// What, and how.
        text: Text,
        /// An end of message within the message that is none: how it is written.
        smuggled: Option<&'static str>,
    },
    /// A client does something with its mailboxes.
    Read {
        /// Who.
        client: usize,
        /// What.
        act: Act,
    },
    /// A client idles in its INBOX, and fetches what comes as soon as it is told.
    Idle {
        /// Who.
        client: usize,
        /// How long.
        time: Duration,
    },
    /// Something breaks.
    Fault(Fault),
}

/// A recipient.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum To {
    /// A client's account.
    Client(usize),
    /// Nobody, at one of our servers.
    Nobody(usize),
    /// Somebody at a foreign server.
    Foreign(usize),
    /// Somebody else there.
    ForeignOther(usize),
    /// Somebody whom a foreign server does not know.
    ForeignNobody(usize),
    /// Somebody at a host where nothing listens.
    Dead,
    /// Somebody in a domain that does not exist.
    NoDomain,
}

/// A message's text, and how it is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Text {
    /// Lines.
    pub lines: u32,
    /// Some of them begin with dots.
    pub dots: bool,
    /// By BDAT.
    pub chunks: bool,
    /// Behind STARTTLS.
    pub tls: bool,
    /// The client goes away in the midst of it.
    pub hangs_up: bool,
}

/// What a client does with its mailboxes. What is picked depends on what is there then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Looks at everything.
    Look,
    /// STORE.
    Flag {
        /// Adds, removes or replaces.
        how: How,
        /// Flags, as bits.
        flags: u8,
        /// Picks the mailbox and the messages.
        pick: u64,
    },
    /// COPY into a mailbox.
    Copy {
        /// Its number.
        to: usize,
        /// Picks the mailbox and the messages.
        pick: u64,
    },
    /// MOVE into a mailbox.
    Move {
        /// Its number.
        to: usize,
        /// Picks the mailbox and the messages.
        pick: u64,
    },
    /// Flags messages as deleted, and expunges them.
    Expunge {
        /// Picks the mailbox and the messages.
        pick: u64,
    },
    /// APPEND.
    Append {
        /// The mailbox's number.
        to: usize,
        /// What.
        text: Text,
    },
    /// CREATE.
    Create(usize),
    /// DELETE.
    Delete(usize),
    /// RENAME.
    Rename(usize, usize),
}

/// The three forms of STORE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// `+FLAGS`.
    Add,
    /// `-FLAGS`.
    Remove,
    /// `FLAGS`.
    Replace,
}

/// A node, as faults name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// One of our servers.
    Server(usize),
    /// A foreign server.
    Foreign(usize),
    /// A client.
    Client(usize),
    /// The DNS.
    Dns,
}

/// Something that breaks. What lasts mends itself after its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// A server is killed; it starts again so much later.
    Kill(usize, Duration),
    /// The power of a server goes; it starts again so much later.
    PowerLoss(usize, Duration),
    /// The power of a server goes behind a disk request, and comes back so much later.
    PowerLossAt(usize, Moment, Duration),
    /// Nothing gets from one node to the other.
    Cut(Place, Place, Duration),
    /// The network is slow.
    Delay(Duration),
    /// Of a million pieces, so many are lost for good.
    Resets(u64, Duration),
    /// Of a hundred datagrams, so many are lost.
    Loss(u64, Duration),
    /// A disk request of a server fails.
    Eio(usize, Request),
    /// A server's disk has no room.
    Full(usize, Duration),
    /// A server's disk is slow.
    Slow(usize, Duration),
    /// A server's wall clock jumps by so many seconds.
    ClockJump(usize, i64),
    /// The queue of a server's committer has no room half of the time.
    QueueFull(usize, Duration),
    /// The DNS fails.
    Dns(DnsMood, Duration),
}

/// A moment in the life of a disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Moment {
    /// Behind the n-th request from now.
    Any(u64),
    /// Behind the n-th write of a batch from now: its sync has not begun.
    Written(u64),
    /// In place of the n-th sync of a batch from now, on a disk that takes its time for it: whoever was told of the batch was told too
    /// early.
    Unsynced(u64),
    /// Behind the n-th sync of a batch from now: no reply has left.
    Synced(u64),
    /// The power goes now, and again behind the n-th request of the start that follows.
    InRecovery(u64),
}

/// Which request fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Request {
    /// The n-th from now.
    Any(u64),
    /// The next write or sync of the journal.
    Journal,
    /// The next read.
    Read,
}

/// How the DNS behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DnsMood {
    /// As it should.
    Sound,
    /// It does not answer.
    Silent,
    /// It says SERVFAIL.
    Failing,
}

/// All transitions of a seed.
pub fn draw(seed: u64) -> Vec<Transition> {
    // Not the world's own numbers: a transition that is left out must not move the others.
    let mut rng = Rng::new(seed ^ 0x7065_6e64_756c_756d);
    (0..TRANSITIONS).map(|number| one(number, &mut rng)).collect()
}

/// One transition, from numbers of its own.
pub fn chosen(number: usize, bits: u64) -> Transition {
    one(number, &mut Rng::new(bits))
}

fn one(number: usize, rng: &mut Rng) -> Transition {
    Transition {
        number,
        after: pause(rng),
        what: what(rng),
    }
}

fn pause(rng: &mut Rng) -> Duration {
    match rng.below(100) {
        0..=29 => Duration::ZERO,
        30..=79 => Duration::from_millis(rng.below(2_000)),
        80..=96 => Duration::from_millis(rng.below(30_000)),
        _ => Duration::from_secs(60 + rng.below(600)),
    }
}

fn what(rng: &mut Rng) -> What {
    let client = rng.index(CLIENTS);
    match rng.below(100) {
        0..=23 => What::Submit {
            client,
            to: recipients(rng),
            null: rng.percent(4),
            text: text(rng),
        },
        24..=31 => {
            let mut to = vec![client];
            // Clients of one server only: clients 0 and 3.
            if client.is_multiple_of(SERVERS) && rng.percent(50) {
                to = vec![0, 3];
            }
            let ends = ["\n.\r\n", "\r\n.\n", "\n.\n", "\r.\r", "\r\n.\r"];
            let smuggled = rng.percent(15).then(|| *rng.pick(&ends));
            let mut text = text(rng);
            text.dots &= smuggled.is_none(); // such a message is sent without dot-stuffing
            What::Arrive { to, text, smuggled }
        }
        32..=69 => What::Read { client, act: act(rng) },
        70..=74 => What::Idle {
            client,
            time: Duration::from_millis(1000 + rng.below(60_000)),
        },
        _ => What::Fault(fault(rng)),
    }
}

fn recipients(rng: &mut Rng) -> Vec<To> {
    let count = if rng.percent(60) { 1 } else { 2 + rng.index(3) };
    let mut to: Vec<To> = (0..count)
        .map(|_| match rng.below(100) {
            0..=54 => To::Client(rng.index(CLIENTS)),
            55..=62 => To::Nobody(rng.index(SERVERS)),
            63..=74 => To::Foreign(rng.index(FOREIGN)),
            75..=86 => To::ForeignOther(rng.index(FOREIGN)),
            87..=92 => To::ForeignNobody(rng.index(FOREIGN)),
            93..=96 => To::Dead,
            _ => To::NoDomain,
        })
        .collect();
    to.sort_unstable();
    to.dedup();
    to
}

fn text(rng: &mut Rng) -> Text {
    Text {
        lines: match rng.below(20) {
            0..=13 => 1 + rng.below(8) as u32,
            14..=18 => rng.below(80) as u32,
            _ => 200 + rng.below(200) as u32,
        },
        dots: rng.percent(30),
        chunks: rng.percent(20),
        tls: rng.percent(20),
        hangs_up: rng.percent(3),
    }
}

fn act(rng: &mut Rng) -> Act {
    let pick = rng.bits();
    let mailbox = rng.index(super::mailbox::OWN.len());
    match rng.below(100) {
        0..=11 => Act::Look,
        12..=35 => Act::Flag {
            how: *rng.pick(&[How::Add, How::Add, How::Remove, How::Replace]),
            flags: 1 + rng.below(63) as u8,
            pick,
        },
        36..=49 => Act::Copy { to: mailbox, pick },
        50..=59 => Act::Move { to: mailbox, pick },
        60..=71 => Act::Expunge { pick },
        72..=83 => Act::Append {
            to: mailbox,
            text: text(rng),
        },
        84..=91 => Act::Create(mailbox),
        92..=95 => Act::Delete(mailbox),
        _ => Act::Rename(mailbox, rng.index(super::mailbox::OWN.len())),
    }
}

fn fault(rng: &mut Rng) -> Fault {
    let server = rng.index(SERVERS);
    let most = *rng.pick(&[500, 5_000, 90_000]);
    let down = Duration::from_millis(rng.below(most));
    let time = Duration::from_millis(1000 + rng.below(60_000));
    match rng.below(100) {
        0..=9 => Fault::Kill(server, down),
        10..=19 => Fault::PowerLoss(server, down),
        20..=43 => {
            let moment = match rng.below(10) {
                0..=2 => Moment::Any(rng.below(60)),
                3 => Moment::Written(rng.below(3)),
                4..=5 => Moment::Unsynced(rng.below(3)),
                6..=7 => Moment::Synced(rng.below(3)),
                _ => Moment::InRecovery(rng.below(50)),
            };
            Fault::PowerLossAt(server, moment, down)
        }
        44..=53 => {
            let (one, other) = (place(rng), place(rng));
            match one == other {
                true => Fault::Cut(Place::Server(0), Place::Server(1), time),
                false => Fault::Cut(one, other, time),
            }
        }
        54..=58 => Fault::Delay(time),
        59..=64 => Fault::Resets(1000 + rng.below(30_000), time),
        65..=69 => Fault::Loss(10 + rng.below(70), time),
        70..=77 => {
            let request = match rng.below(4) {
                0 => Request::Journal,
                1 => Request::Read,
                _ => Request::Any(rng.below(40)),
            };
            Fault::Eio(server, request)
        }
        78..=83 => Fault::Full(server, time),
        84..=88 => Fault::Slow(server, time),
        89..=92 => {
            let far = *rng.pick(&[100, 10_000, 200_000]);
            Fault::ClockJump(server, rng.below(2 * far) as i64 - far as i64)
        }
        93..=96 => Fault::QueueFull(server, time),
        _ => Fault::Dns(*rng.pick(&[DnsMood::Silent, DnsMood::Failing]), time),
    }
}

fn place(rng: &mut Rng) -> Place {
    match rng.below(10) {
        0..=5 => Place::Server(rng.index(SERVERS)),
        6..=7 => Place::Foreign(rng.index(FOREIGN)),
        8 => Place::Client(rng.index(CLIENTS)),
        _ => Place::Dns,
    }
}

/// The numbers of transitions as a list of ranges, `0-3,7`, or `none`.
pub fn list(numbers: &[usize]) -> String {
    let mut parts: Vec<String> = Vec::new();
    let mut rest = numbers;
    while let Some(first) = rest.first() {
        let run = rest.iter().zip(*first..).take_while(|(one, two)| **one == *two).count();
        let last = rest[run - 1];
        parts.push(if run == 1 {
            first.to_string()
        } else {
            format!("{first}-{last}")
        });
        rest = &rest[run..];
    }
    match parts.is_empty() {
        true => "none".into(),
        false => parts.join(","),
    }
}

/// What [`list`] wrote; `None` when it is no list.
pub fn parse_list(text: &str) -> Option<Vec<usize>> {
    if text == "none" {
        return Some(Vec::new());
    }
    let mut numbers = Vec::new();
    for part in text.split(',') {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        numbers.extend(first.parse::<usize>().ok()?..=last.parse::<usize>().ok()?);
    }
    Some(numbers)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists() {
        for numbers in [vec![], vec![3], vec![0, 1, 2, 7, 9, 10]] {
            assert_eq!(parse_list(&list(&numbers)), Some(numbers));
        }
        assert_eq!(list(&[0, 1, 2, 7, 9, 10]), "0-2,7,9-10");
        assert_eq!(parse_list("x"), None);
    }

    #[test]
    fn a_seed_draws_the_same_again() {
        assert_eq!(draw(5), draw(5));
        assert_ne!(draw(5), draw(6));
    }
}
