//! Datagrams, and a DNS server over them that knows one zone file: real DNS bytes, so that a resolver meets what it will meet.

use std::collections::BTreeMap;
use std::io::Result;
use std::net::{IpAddr, SocketAddr};
use std::task::{Poll, Waker};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, MX};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use pillarbox::env::Env;

use super::SimEnv;
use super::state::Mailslot;

const TRIES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(2);

/// The records of the simulated internet; all names end in `.test`.
#[derive(Debug, Clone, Default)]
pub struct Zone {
    records: BTreeMap<(String, RecordType), Vec<RData>>,
}

impl Zone {
    /// Adds an MX record.
    #[must_use]
    pub fn mx(self, domain: &str, preference: u16, host: &str) -> Zone {
        self.with(domain, RData::MX(MX::new(preference, name(host))))
    }

    /// Adds an A or AAAA record.
    #[must_use]
    pub fn address(self, host: &str, ip: IpAddr) -> Zone {
        let data = match ip {
            IpAddr::V4(ip) => RData::A(A(ip)),
            IpAddr::V6(ip) => RData::AAAA(AAAA(ip)),
        };
        self.with(host, data)
    }

    /// Adds any record.
    #[must_use]
    pub fn with(mut self, owner: &str, data: RData) -> Zone {
        let owner = name(owner);
        assert!(name("test.").zone_of(&owner), "{owner} is not below .test");
        let key = (owner.to_lowercase().to_ascii(), data.record_type());
        self.records.entry(key).or_default().push(data);
        self
    }

    /// The answer to a query in wire form; `None` to what is no query.
    pub fn answer(&self, query: &[u8]) -> Option<Vec<u8>> {
        let query = Message::from_vec(query).ok()?;
        if query.metadata.message_type != MessageType::Query {
            return None;
        }
        let mut answer = Message::response(query.metadata.id, query.metadata.op_code);
        answer.metadata.recursion_desired = query.metadata.recursion_desired;
        answer.metadata.recursion_available = true;
        answer.metadata.authoritative = true;
        for question in &query.queries {
            answer.add_query(question.clone());
            let owner = question.name().to_lowercase().to_ascii();
            let found = self.records.get(&(owner.clone(), question.query_type()));
            for data in found.into_iter().flatten() {
                answer.add_answer(Record::from_rdata(question.name().clone(), 300, data.clone()));
            }
            if !self.records.keys().any(|(known, _)| *known == owner) {
                answer.metadata.response_code = ResponseCode::NXDomain;
            }
        }
        answer.to_vec().ok()
    }
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a test's own name");
    name.set_fqdn(true);
    name
}

/// Answers queries on port 53 of its node for ever.
pub(super) async fn serve(env: SimEnv, zone: Zone) {
    let socket = env.datagram(53);
    loop {
        let (from, query) = socket.receive().await;
        if let Some(answer) = zone.answer(&query) {
            socket.send(from, &answer);
        }
    }
}

/// Asks a server for records; what it answers, in the order of the answer.
///
/// # Errors
/// When the answer is not one to the question, or says that the name does not exist.
pub async fn look_up(env: &SimEnv, server: SocketAddr, owner: &str, kind: RecordType) -> Result<Vec<RData>> {
    let mut id = [0; 2];
    env.entropy(&mut id);
    let mut query = Message::new(u16::from_be_bytes(id), MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.add_query(Query::query(name(owner), kind));
    let socket = env.datagram(0);
    let bytes = query.to_vec().map_err(std::io::Error::other)?;
    // A datagram may be lost, or come before the server listens.
    let mut answer = None;
    for _ in 0..TRIES {
        socket.send(server, &bytes);
        let patience = env.sleep_until(env.now().instant.after(PATIENCE));
        answer = futures_lite::future::or(async { Some(socket.receive().await) }, async {
            patience.await;
            None
        })
        .await;
        if answer.is_some() {
            break;
        }
    }
    let (_, answer) = answer.ok_or(std::io::ErrorKind::TimedOut)?;
    let answer = Message::from_vec(&answer).map_err(std::io::Error::other)?;
    if answer.metadata.id != query.metadata.id || answer.queries != query.queries {
        return Err(std::io::Error::other("an answer to another question"));
    }
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(std::io::Error::other(answer.metadata.response_code.to_string()));
    }
    Ok(answer.answers.into_iter().map(|record| record.data).collect())
}

/// A datagram socket of a node. Datagrams may overtake each other.
pub struct Datagrams {
    env: SimEnv,
    address: SocketAddr,
}

impl SimEnv {
    /// Opens one; port 0 takes a free one.
    ///
    /// # Panics
    /// When the port is taken.
    pub fn datagram(&self, port: u16) -> Datagrams {
        let ip = self.ip();
        let address = self.shared.with(|state| {
            let port = match port {
                0 => u16::try_from(1024 + state.number() % 60_000).expect("below 65 536"),
                port => port,
            };
            let address = SocketAddr::new(ip, port);
            let before = state.datagrams.insert(address, Mailslot::default());
            assert!(before.is_none(), "{address} is taken");
            address
        });
        Datagrams {
            env: self.clone(),
            address,
        }
    }
}

impl Datagrams {
    /// Sends; to nobody, it is lost.
    pub fn send(&self, to: SocketAddr, bytes: &[u8]) {
        let from = self.address;
        self.env.shared.with(|state| {
            if state.is_cut(from.ip(), to.ip()) {
                return;
            }
            let range = state.network.latency.clone();
            let at = state.now + state.draw(&range);
            let number = state.number();
            state.event(format_args!("{from} sends {} bytes to {to}", bytes.len()));
            if let Some(slot) = state.datagrams.get_mut(&to) {
                slot.waiting.insert((at, number), (from, bytes.to_vec()));
                slot.waker.take().into_iter().for_each(Waker::wake);
            }
        });
    }

    /// The next one that arrives.
    pub async fn receive(&self) -> (SocketAddr, Vec<u8>) {
        let mut timer = None;
        std::future::poll_fn(|cx| {
            self.env.shared.with(|state| {
                let now = state.now;
                let Some(slot) = state.datagrams.get_mut(&self.address) else {
                    return Poll::Pending;
                };
                slot.waker = Some(cx.waker().clone());
                match slot.waiting.first_entry() {
                    Some(first) if first.key().0 <= now => Poll::Ready(first.remove()),
                    Some(first) => {
                        let at = first.key().0;
                        state.set(&mut timer, at, cx.waker());
                        Poll::Pending
                    }
                    None => Poll::Pending,
                }
            })
        })
        .await
    }
}

impl Drop for Datagrams {
    fn drop(&mut self) {
        self.env.shared.with(|state| drop(state.datagrams.remove(&self.address)));
    }
}
