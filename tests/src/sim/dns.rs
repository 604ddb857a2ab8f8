//! A DNS server that knows one zone file: real DNS bytes, so that a resolver meets what it will meet.

pub mod server;

use std::collections::BTreeMap;
use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::rdata::{A, AAAA, CNAME, MX, SOA};
use hickory_proto::rr::{Name, RData, Record, RecordType};

use pillarbox::env::{Datagram, Env};

use super::SimEnv;

const TRIES: usize = 5;
const PATIENCE: Duration = Duration::from_secs(2);

/// Seconds that it holds that there is nothing.
const NEGATIVE_TTL: u32 = 60;
/// Aliases that are followed for one answer.
const ALIASES: usize = 8;

/// The records of the simulated internet; all names end in `.test`.
#[derive(Debug, Clone)]
pub struct Zone {
    records: BTreeMap<(String, RecordType), Vec<RData>>,
    ttl: u32,
}

impl Default for Zone {
    fn default() -> Zone {
        Zone {
            records: BTreeMap::new(),
            ttl: 300,
        }
    }
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

    /// Adds an alias.
    #[must_use]
    pub fn alias(self, owner: &str, target: &str) -> Zone {
        self.with(owner, RData::CNAME(CNAME(name(target))))
    }

    /// Gives all records this TTL, in seconds.
    #[must_use]
    pub fn with_ttl(self, ttl: u32) -> Zone {
        Zone { ttl, ..self }
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
            let mut owner = question.name().clone();
            for _ in 0..ALIASES {
                let key = owner.to_lowercase().to_ascii();
                for data in self.records.get(&(key.clone(), question.query_type())).into_iter().flatten() {
                    answer.add_answer(Record::from_rdata(owner.clone(), self.ttl, data.clone()));
                }
                match self.records.get(&(key.clone(), RecordType::CNAME)).map(Vec::as_slice) {
                    Some([RData::CNAME(target)]) => {
                        let alias = RData::CNAME(target.clone());
                        answer.add_answer(Record::from_rdata(owner, self.ttl, alias));
                        owner = target.0.clone();
                    }
                    _ => {
                        if !self.records.keys().any(|(known, _)| *known == key) {
                            answer.metadata.response_code = ResponseCode::NXDomain;
                        }
                        break;
                    }
                }
            }
            if !answer
                .answers
                .iter()
                .any(|record| record.record_type() == question.query_type())
            {
                let soa = SOA::new(name("ns.test"), name("root.test"), 1, 2, 3, 4, NEGATIVE_TTL);
                answer.add_authority(Record::from_rdata(name("test"), self.ttl, RData::SOA(soa)));
            }
        }
        answer.to_vec().ok()
    }
}

fn port(port: u16) -> SocketAddr {
    SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), port)
}

fn name(text: &str) -> Name {
    let mut name = Name::from_ascii(text).expect("a test's own name");
    name.set_fqdn(true);
    name
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
    let socket = env.bind_datagram(port(0))?;
    let bytes = query.to_vec().map_err(std::io::Error::other)?;
    // A datagram may be lost, or come before the server listens.
    let mut buffer = [0; 4096];
    let mut answer = None;
    for _ in 0..TRIES {
        socket.send_to(&bytes, server).await?;
        let patience = env.sleep_until(env.now().instant.after(PATIENCE));
        answer = futures_lite::future::or(async { Some(socket.receive_from(&mut buffer).await) }, async {
            patience.await;
            None
        })
        .await;
        if answer.is_some() {
            break;
        }
    }
    let (len, _) = answer.ok_or(std::io::ErrorKind::TimedOut)??;
    let answer = Message::from_vec(&buffer[..len]).map_err(std::io::Error::other)?;
    if answer.metadata.id != query.metadata.id || answer.queries != query.queries {
        return Err(std::io::Error::other("an answer to another question"));
    }
    if answer.metadata.response_code != ResponseCode::NoError {
        return Err(std::io::Error::other(answer.metadata.response_code.to_string()));
    }
    Ok(answer.answers.into_iter().map(|record| record.data).collect())
}
