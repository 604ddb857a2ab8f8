//! The wire format of DNS (RFC 1035 §4), as hickory-proto has it (formerly trust-dns-proto). Nothing else names that crate.

use hickory_proto::op::{Edns, Message as Wire, MessageType, OpCode, Query as Question, ResponseCode};
use hickory_proto::rr::{DNSClass, Name as WireName, RData, Record as WireRecord, RecordType};
use pillarbox_core::address::Domain;
use pillarbox_core::dns::{Code, Data, Kind, Message, Name, Outgoing, Record};
use pillarbox_core::limits;

/// The name that a domain has in DNS: beyond ASCII its A-label form (RFC 5890 §2.3.2.1). `None` when DNS can have no such name.
pub fn name_of(domain: &Domain) -> Option<Name> {
    match domain.as_str() {
        ascii if ascii.is_ascii() => Name::parse(ascii),
        other => name(&WireName::from_utf8(other).ok()?),
    }
}

/// A question in wire form; `None` when its name does not fit there.
pub fn encode(asked: &Outgoing) -> Option<Vec<u8>> {
    let mut query = Wire::new(asked.id, MessageType::Query, OpCode::Query);
    query.metadata.recursion_desired = true;
    query.metadata.authentic_data = asked.authentic;
    // By labels: the spelling stays as it is.
    let labels = asked.name.split('.').filter(|label| !label.is_empty()).map(str::as_bytes);
    query.add_query(Question::query(WireName::from_labels(labels).ok()?, record_type(asked.kind)));
    if asked.edns {
        let mut edns = Edns::new();
        edns.set_max_payload(limits::DNS_PAYLOAD).set_version(0);
        query.set_edns(edns);
    }
    query.to_vec().ok()
}

/// What a server sent; `None` when it is no DNS message.
pub fn decode(bytes: &[u8]) -> Option<Message> {
    let wire = Wire::from_vec(bytes).ok()?;
    let header = &wire.metadata;
    let question = match wire.queries.as_slice() {
        [question] => Some(question),
        _ => None,
    };
    let kind = question.filter(|question| question.query_class() == DNSClass::IN);
    Some(Message {
        id: header.id,
        answers: question.is_some() && header.message_type == MessageType::Response && header.op_code == OpCode::Query,
        name: question.and_then(|question| spelled(question.name())),
        kind: kind.and_then(|question| kind_of(question.query_type())),
        truncated: header.truncation,
        competent: header.authoritative || header.recursion_available,
        authentic: header.authentic_data,
        code: match header.response_code {
            ResponseCode::NoError => Code::Fine,
            ResponseCode::NXDomain => Code::NoSuchName,
            ResponseCode::FormErr | ResponseCode::NotImp | ResponseCode::BADVERS => Code::NotUnderstood,
            _ => Code::Refused,
        },
        records: wire.answers.iter().filter_map(record).collect(),
        negative_ttl: wire.authorities.iter().find_map(|record| match &record.data {
            RData::SOA(soa) if record.dns_class == DNSClass::IN => Some(record.ttl.min(soa.minimum)),
            _ => None,
        }),
    })
}

fn record(wire: &WireRecord) -> Option<Record> {
    let data = match &wire.data {
        RData::A(ip) => Data::Address(ip.0.into()),
        RData::AAAA(ip) => Data::Address(ip.0.into()),
        RData::MX(mx) => Data::Mx {
            preference: mx.preference,
            exchange: name(&mx.exchange),
        },
        RData::CNAME(target) => Data::Alias(name(&target.0)),
        _ => Data::Other,
    };
    (wire.dns_class == DNSClass::IN).then(|| Record {
        owner: name(&wire.name),
        ttl: wire.ttl,
        data,
    })
}

fn name(wire: &WireName) -> Option<Name> {
    Name::parse(&spelled(wire)?)
}

/// The labels as they came; `None` when one has a dot or what is not ASCII in it.
fn spelled(wire: &WireName) -> Option<String> {
    let mut text = String::new();
    for label in wire.iter() {
        if !text.is_empty() {
            text.push('.');
        }
        let label = std::str::from_utf8(label).ok()?;
        if !label.bytes().all(|octet| octet.is_ascii_graphic() && octet != b'.') {
            return None;
        }
        text.push_str(label);
    }
    Some(text)
}

fn record_type(kind: Kind) -> RecordType {
    match kind {
        Kind::Mx => RecordType::MX,
        Kind::Ipv4 => RecordType::A,
        Kind::Ipv6 => RecordType::AAAA,
    }
}

fn kind_of(wire: RecordType) -> Option<Kind> {
    match wire {
        RecordType::MX => Some(Kind::Mx),
        RecordType::A => Some(Kind::Ipv4),
        RecordType::AAAA => Some(Kind::Ipv6),
        _ => None,
    }
}
