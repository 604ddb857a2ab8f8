//! One look-up: whom to ask, how, and whether to believe what comes back.

use alloc::string::String;
use alloc::vec::Vec;
use core::net::SocketAddr;
use core::time::Duration;

use super::judge::{Judged, judge};
use super::{Code, Kind, Message, Query};
use crate::decision::{Fact, FactAnswer, Failure};
use crate::limits;
use crate::time::Instant;

/// Unpredictable octets for one question: id, port, spelling.
pub type Randomness = [u8; limits::DNS_RANDOMNESS];

/// What is to be done next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Ask by UDP, from a new socket; feed each datagram that comes to it until [`Progress::Next`].
    Udp(Outgoing),
    /// Ask by TCP, over a new connection; feed the first message that comes.
    Tcp(Outgoing),
    /// It is over.
    Done(Fact),
}

/// One question to one server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outgoing {
    /// Whom to ask.
    pub server: SocketAddr,
    /// The id.
    pub id: u16,
    /// The port to ask from by UDP; when it is taken, any other that nobody can guess.
    pub port: u16,
    /// The name as it is to be spelled.
    pub name: String,
    /// What is asked for.
    pub kind: Kind,
    /// Whether to say that we take datagrams of [`limits::DNS_PAYLOAD`] octets (RFC 6891).
    pub edns: bool,
    /// Whether to ask what was validated (AD, RFC 6840 §5.7).
    pub authentic: bool,
    /// Until when to wait for the answer; then feed [`Event::Silence`].
    pub until: Instant,
}

/// What came of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A datagram; `None` when it is no DNS message.
    Datagram(SocketAddr, Option<Message>),
    /// A message over the TCP connection; `None` when it is none.
    Stream(Option<Message>),
    /// Nothing in time.
    Silence,
    /// The socket failed.
    Broken,
}

/// Whether the question is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Not yet: wait on.
    Wait,
    /// It is: close the socket, and call [`Lookup::next`].
    Next,
}

/// Whether a server is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It answers, whatever it says.
    Answers,
    /// It does not, or cannot be reached.
    Silent,
}

/// A look-up under way.
///
/// ```text
///          +-- silence, refusal: next server, two rounds of all --+
///          v                                                      |
///   next: Udp --> Wait .. --> believed: judged --> Done           |
///          ^       |  |                       \-> alias: new name, from the first server
///          |       |  +-- cut off, misspelled, too many wrong ones: Tcp, same server
///          +-- FORMERR: same server, without EDNS
/// ```
#[derive(Debug, Clone)]
pub struct Lookup {
    query: Query,
    servers: Vec<SocketAddr>,
    trust_ad: bool,
    ends: Instant,
    /// Which server of which round: counts over all rounds.
    turn: usize,
    transport: Transport,
    edns: bool,
    open: Option<Outgoing>,
    wrong: usize,
    aliases: usize,
    ttl: u32,
    secure: bool,
    heard: Option<(SocketAddr, Health)>,
    done: Option<FactAnswer>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transport {
    Udp,
    Tcp,
}

impl Lookup {
    /// A look-up that asks these servers in this order. `trust_ad`: their AD bit counts.
    pub fn new(now: Instant, query: Query, servers: Vec<SocketAddr>, trust_ad: bool) -> Lookup {
        Lookup {
            query,
            servers,
            trust_ad,
            ends: now.after(limits::DNS_TIME),
            turn: 0,
            transport: Transport::Udp,
            edns: true,
            open: None,
            wrong: 0,
            aliases: 0,
            ttl: limits::DNS_TTL_MAX,
            secure: trust_ad,
            heard: None,
            done: None,
        }
    }

    /// What to do now. Called at the start and after each [`Progress::Next`].
    ///
    /// # Panics
    /// When a question is still open.
    pub fn next(&mut self, now: Instant, random: &Randomness) -> Step {
        assert!(self.open.is_none(), "a question is open");
        if let Some(answer) = self.done.take() {
            return Step::Done(Fact {
                answer,
                ttl_s: self.ttl,
                secure: self.secure,
            });
        }
        let round = self.turn.checked_div(self.servers.len());
        let patience = round.and_then(|round| limits::DNS_PATIENCE.get(round));
        let (Some(patience), true) = (patience, now < self.ends) else {
            return Step::Done(Fact {
                answer: FactAnswer::Failed(Failure::Temporary),
                ttl_s: limits::DNS_FAILURE_TTL,
                secure: false,
            });
        };
        let outgoing = self.outgoing(now, random, *patience);
        self.open = Some(outgoing.clone());
        self.wrong = 0;
        match self.transport {
            Transport::Udp => Step::Udp(outgoing),
            Transport::Tcp => Step::Tcp(outgoing),
        }
    }

    fn outgoing(&self, now: Instant, random: &Randomness, patience: Duration) -> Outgoing {
        let [id0, id1, port0, port1, port2, port3, spelling @ ..] = random;
        let port = u32::from_be_bytes([*port0, *port1, *port2, *port3]) % u32::from(u16::MAX - limits::DNS_PORT_MIN);
        let name = match self.transport {
            Transport::Udp => self.query.name.spelled(spelling),
            // Nobody can put an answer into a connection.
            Transport::Tcp => self.query.name.as_str().into(),
        };
        Outgoing {
            server: self.servers[self.turn % self.servers.len()],
            id: u16::from_be_bytes([*id0, *id1]),
            port: limits::DNS_PORT_MIN + u16::try_from(port).unwrap_or_default(),
            name,
            kind: self.query.kind,
            edns: self.edns,
            authentic: self.trust_ad,
            until: now.after(patience).min(self.ends),
        }
    }

    /// What came of the open question.
    ///
    /// # Panics
    /// When none is open.
    pub fn handle(&mut self, event: Event) -> Progress {
        let asked = self.open.take().expect("a question is open");
        let message = match event {
            Event::Datagram(from, message) => match message.filter(|_| from == asked.server) {
                Some(message) if fits(&asked, &message) && spelled(&asked, &message) => message,
                // Whoever spells names in a way of its own is asked by TCP, where spelling protects nothing.
                Some(message) if fits(&asked, &message) => return self.by_tcp(),
                Some(_) | None => {
                    self.wrong += 1;
                    if self.wrong >= limits::DNS_WRONG {
                        return self.by_tcp();
                    }
                    self.open = Some(asked);
                    return Progress::Wait;
                }
            },
            Event::Stream(Some(message)) if fits(&asked, &message) => message,
            // That TCP fails says nothing of UDP.
            Event::Stream(_) | Event::Broken if self.transport == Transport::Tcp => return self.next_server(),
            Event::Stream(_) | Event::Broken | Event::Silence => {
                self.heard = Some((asked.server, Health::Silent));
                return self.next_server();
            }
        };
        self.heard = Some((asked.server, Health::Answers));
        if message.truncated && self.transport == Transport::Udp {
            return self.by_tcp();
        }
        if message.code == Code::NotUnderstood && self.edns {
            self.edns = false;
            return Progress::Next;
        }
        match judge(&self.query, self.aliases, &message) {
            Judged::Answer(answer, ttl) => {
                self.believe(&message, ttl);
                self.done = Some(answer);
                Progress::Next
            }
            Judged::Follow(name, passed, ttl) => {
                self.believe(&message, ttl);
                self.query.name = name;
                self.aliases += passed;
                self.turn = 0;
                self.transport = Transport::Udp;
                Progress::Next
            }
            Judged::Nothing => self.next_server(),
        }
    }

    /// What the last question says of the server that was asked, for [`Servers::note`](super::Servers::note).
    pub fn take_heard(&mut self) -> Option<(SocketAddr, Health)> {
        self.heard.take()
    }

    /// A chain is as secure, and lives as long, as its weakest link.
    fn believe(&mut self, message: &Message, ttl: u32) {
        self.secure &= message.authentic;
        self.ttl = self.ttl.min(ttl);
    }

    fn by_tcp(&mut self) -> Progress {
        self.transport = Transport::Tcp;
        Progress::Next
    }

    fn next_server(&mut self) -> Progress {
        self.turn += 1;
        self.transport = Transport::Udp;
        self.edns = true;
        Progress::Next
    }
}

/// Whether this is an answer to that question, whatever its spelling.
fn fits(asked: &Outgoing, message: &Message) -> bool {
    let name = message
        .name
        .as_ref()
        .is_some_and(|name| name.eq_ignore_ascii_case(&asked.name));
    message.answers && message.id == asked.id && message.kind == Some(asked.kind) && name
}

fn spelled(asked: &Outgoing, message: &Message) -> bool {
    message.name.as_ref() == Some(&asked.name)
}
