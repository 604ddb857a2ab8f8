//! DNS answers: what a look-up believes of any bytes, against a naive reader of the wire format.

use std::net::IpAddr;

use pillarbox::resolver::codec;
use pillarbox_core::decision::{FactAnswer, Known};
use pillarbox_core::dns::{Event, Kind, Lookup, Name, Outgoing, Progress, Query, Step};
use pillarbox_core::limits;
use pillarbox_core::time::Instant;

use crate::steered;

const NAME: &str = "mx.one.test";
const RANDOM: [u8; limits::DNS_RANDOMNESS] = [0x5a; limits::DNS_RANDOMNESS];

/// What is believed was asked for: id, question and spelling are those sent, and every address or exchanger stands in a record that the
/// name leads to. What is not believed was not the answer.
pub fn dns_answer(input: &[u8]) {
    let (steer, rest) = steered(input);
    let kind = [Kind::Mx, Kind::Ipv4, Kind::Ipv6][usize::from(steer % 3)];
    let query = Query {
        name: Name::parse(NAME).expect("a name"),
        kind,
    };
    let server = "192.0.2.53:53".parse().expect("an address");
    let mut lookup = Lookup::new(Instant(0), query, vec![server], true);
    let Step::Udp(asked) = lookup.next(Instant(0), &RANDOM) else {
        panic!("it asks")
    };
    // Most inputs get the right beginning: nobody guesses 32 bits.
    let bytes = match steer & 0x80 {
        0 => with_question(&asked, rest),
        _ => rest.to_vec(),
    };
    let message = codec::decode(&bytes);
    let decoded = message.is_some();
    let naive = Naive::read(&bytes);
    let progress = lookup.handle(Event::Datagram(server, message));
    let Some(naive) = naive.filter(|naive| naive.answers(&asked)) else {
        // A beginning that a naive reader takes for no answer.
        assert_eq!(progress, Progress::Wait);
        return;
    };
    assert_eq!(progress == Progress::Next, decoded);
    if !decoded {
        return;
    }
    let misspelled = naive.question.text() != asked.name;
    match lookup.next(Instant(1), &RANDOM) {
        Step::Done(fact) => {
            assert!(!misspelled && !naive.truncated() && fact.ttl_s <= limits::DNS_TTL_MAX);
            assert!(!fact.secure || naive.flags & 0x0020 != 0, "AD");
            let code = naive.flags & 15;
            assert!(code == 0 || code == 3, "{code}");
            planted!(fact.secure && kind == Kind::Mx);
            naive.check(kind, &fact.answer);
        }
        Step::Udp(next) => {
            assert!(!misspelled && !naive.truncated());
            let name = next.name.to_ascii_lowercase();
            assert!(
                naive.chain().iter().any(|passed| passed.lower() == name),
                "{name} was not led to"
            );
        }
        Step::Tcp(next) => {
            assert!(misspelled || naive.truncated());
            assert_eq!(next.name, NAME);
        }
    }
}

/// Id, the fuzzer's flags, one question, its counts; the question; its records.
fn with_question(asked: &Outgoing, rest: &[u8]) -> Vec<u8> {
    let question = codec::encode(&Outgoing {
        edns: false,
        ..asked.clone()
    });
    let question = question.expect("it encodes");
    let (head, records) = rest.split_at(rest.len().min(8));
    let mut bytes = question.clone();
    for (place, octet) in [2, 3, 6, 7, 8, 9, 10, 11].into_iter().zip(head) {
        bytes[place] = *octet;
    }
    bytes.extend_from_slice(records);
    bytes
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Labels(Vec<Vec<u8>>);

impl Labels {
    fn text(&self) -> String {
        let labels: Vec<String> = self
            .0
            .iter()
            .map(|label| String::from_utf8_lossy(label).into_owned())
            .collect();
        labels.join(".")
    }

    fn lower(&self) -> String {
        self.text().to_ascii_lowercase()
    }
}

struct Record {
    owner: Labels,
    kind: u16,
    class: u16,
    /// Where the data lies.
    data: (usize, usize),
}

/// A message read in the simplest way.
struct Naive<'a> {
    bytes: &'a [u8],
    id: u16,
    flags: u16,
    questions: u16,
    question: Labels,
    question_kind: (u16, u16),
    records: Vec<Record>,
}

impl<'a> Naive<'a> {
    /// As far as the records go on well; `None` without a header and a question.
    fn read(bytes: &'a [u8]) -> Option<Naive<'a>> {
        let (question, at) = name(bytes, 12)?;
        let mut naive = Naive {
            bytes,
            id: number(bytes, 0)?,
            flags: number(bytes, 2)?,
            questions: number(bytes, 4)?,
            question,
            question_kind: (number(bytes, at)?, number(bytes, at + 2)?),
            records: Vec::new(),
        };
        let mut at = at + 4;
        for _ in 0..number(bytes, 6)? {
            let Some((record, end)) = record(bytes, at) else { break };
            naive.records.push(record);
            at = end;
        }
        Some(naive)
    }

    fn truncated(&self) -> bool {
        self.flags & 0x0200 != 0
    }

    /// Whether it is an answer to the question, whatever its spelling.
    fn answers(&self, asked: &Outgoing) -> bool {
        let kind = match asked.kind {
            Kind::Mx => 15,
            Kind::Ipv4 => 1,
            Kind::Ipv6 => 28,
        };
        self.id == asked.id
            && self.flags & 0xf800 == 0x8000
            && self.questions == 1
            && self.question_kind == (kind, 1)
            && self.question.lower() == asked.name.to_ascii_lowercase()
    }

    /// The names that the question's leads to, itself included.
    fn chain(&self) -> Vec<Labels> {
        let mut chain = vec![self.question.clone()];
        while chain.len() <= limits::DNS_ALIASES {
            let last = chain.last().expect("it begins with the question").lower();
            let alias = self
                .records
                .iter()
                .find(|record| record.kind == 5 && record.class == 1 && record.owner.lower() == last);
            let Some((target, _)) = alias.and_then(|alias| name(self.bytes, alias.data.0)) else {
                break;
            };
            chain.push(target);
        }
        chain
    }

    fn check(&self, kind: Kind, answer: &FactAnswer) {
        let chain: Vec<String> = self.chain().iter().map(Labels::lower).collect();
        let led_to = |wanted: u16| {
            let here = move |record: &&Record| record.kind == wanted && record.class == 1;
            self.records
                .iter()
                .filter(here)
                .filter(|record| chain.contains(&record.owner.lower()))
        };
        match answer {
            FactAnswer::Known(Known::Addresses(ips)) => {
                assert!(!ips.is_empty());
                for ip in ips {
                    let (wanted, octets) = match ip {
                        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
                        IpAddr::V6(ip) => (28, ip.octets().to_vec()),
                    };
                    assert_eq!(wanted == 1, kind == Kind::Ipv4);
                    let told = led_to(wanted).any(|record| self.bytes[record.data.0..record.data.1] == octets);
                    assert!(told, "{ip} stands nowhere");
                }
            }
            FactAnswer::Known(Known::Mx(hosts)) => {
                assert!(!hosts.is_empty() && kind == Kind::Mx);
                for host in hosts {
                    let wanted = host.host.as_ref().map_or("", |host| host.as_str());
                    let told = led_to(15).any(|record| {
                        let exchange = name(self.bytes, record.data.0 + 2).map(|(name, _)| name.lower());
                        number(self.bytes, record.data.0) == Some(host.preference) && exchange.as_deref() == Some(wanted)
                    });
                    assert!(told, "{host:?} stands nowhere");
                }
            }
            FactAnswer::Absent => {
                let wanted = match kind {
                    Kind::Mx => 15,
                    Kind::Ipv4 => 1,
                    Kind::Ipv6 => 28,
                };
                assert_eq!(led_to(wanted).count(), 0, "there is something");
            }
            FactAnswer::Known(other) => panic!("{other:?}"),
            FactAnswer::Failed(failure) => panic!("{failure:?} of one answer"),
        }
    }
}

fn number(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_be_bytes([*bytes.get(at)?, *bytes.get(at + 1)?]))
}

/// A name, its pointers followed, and where it ends.
fn name(bytes: &[u8], at: usize) -> Option<(Labels, usize)> {
    let (mut labels, mut here, mut end) = (Vec::new(), at, None);
    for _ in 0..bytes.len() {
        let length = usize::from(*bytes.get(here)?);
        match length {
            0 => return Some((Labels(labels), end.unwrap_or(here + 1))),
            0xc0.. => {
                end = end.or(Some(here + 2));
                here = usize::from(number(bytes, here)? & 0x3fff);
            }
            64.. => return None,
            _ => {
                labels.push(bytes.get(here + 1..here + 1 + length)?.to_vec());
                here += 1 + length;
            }
        }
    }
    None
}

fn record(bytes: &[u8], at: usize) -> Option<(Record, usize)> {
    let (owner, at) = name(bytes, at)?;
    let begin = at + 10;
    let end = begin + usize::from(number(bytes, at + 8)?);
    bytes.get(begin..end)?;
    let record = Record {
        owner,
        kind: number(bytes, at)?,
        class: number(bytes, at + 2)?,
        data: (begin, end),
    };
    Some((record, end))
}
