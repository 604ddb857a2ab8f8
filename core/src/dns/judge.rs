//! What an answer says.

use alloc::vec::Vec;

use super::{Code, Data, Kind, Message, Name, Query, host};
use crate::decision::{FactAnswer, Known, MxHost};
use crate::limits;

/// What an answer that is to be believed says of its question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judged {
    /// The answer, and how long it holds (seconds); never `Failed`.
    Answer(FactAnswer, u32),
    /// The name is an alias, and the server did not follow it to its end: ask for this name. How many aliases were passed, and how long
    /// they hold.
    Follow(Name, usize, u32),
    /// It says nothing: broken, circular, or of a server that does not know.
    Nothing,
}

/// Reads an answer; `aliases`: how many have been passed before. Each record is looked at once for each alias, of which there are few.
pub fn judge(query: &Query, aliases: usize, message: &Message) -> Judged {
    match message.code {
        Code::Fine | Code::NoSuchName => {}
        Code::NotUnderstood | Code::Refused => return Judged::Nothing,
    }
    let (mut name, mut passed, mut ttl) = (query.name.clone(), 0, limits::DNS_TTL_MAX);
    loop {
        let found = Found::at(&name, query.kind, message);
        if let Some(answer) = found.answer {
            return match answer {
                Ok(known) => Judged::Answer(FactAnswer::Known(known), ttl.min(found.ttl)),
                Err(Unusable) => Judged::Nothing,
            };
        }
        let Some(target) = found.alias else { break };
        passed += 1;
        // A circle ends here as well.
        let Some(target) = target.filter(|_| aliases + passed <= limits::DNS_ALIASES) else {
            return Judged::Nothing;
        };
        (name, ttl) = (target, ttl.min(found.ttl));
    }
    let incompetent = !message.competent && message.negative_ttl.is_none();
    match (message.code, message.negative_ttl) {
        (Code::NoSuchName, negative) => Judged::Answer(FactAnswer::Absent, absent_for(ttl, negative)),
        (_, Some(negative)) => Judged::Answer(FactAnswer::Absent, absent_for(ttl, Some(negative))),
        (_, None) if passed > 0 => Judged::Follow(name, passed, ttl),
        (_, None) if incompetent => Judged::Nothing,
        (_, None) => Judged::Answer(FactAnswer::Absent, absent_for(ttl, None)),
    }
}

/// Without an SOA, that there is nothing is not kept (RFC 2308 §5).
fn absent_for(ttl: u32, negative: Option<u32>) -> u32 {
    ttl.min(negative.map_or(0, seconds)).min(limits::DNS_NEGATIVE_TTL_MAX)
}

/// A TTL with its highest bit set is 0 (RFC 2181 §8).
fn seconds(ttl: u32) -> u32 {
    if ttl > i32::MAX as u32 { 0 } else { ttl }
}

/// There are records, and not one can be used.
struct Unusable;

/// What an answer section has at one name.
struct Found {
    answer: Option<Result<Known, Unusable>>,
    alias: Option<Option<Name>>,
    ttl: u32,
}

impl Found {
    fn at(name: &Name, kind: Kind, message: &Message) -> Found {
        let (mut addresses, mut hosts, mut alias) = (Vec::new(), Vec::new(), None);
        let (mut ttl, mut asked_for) = (limits::DNS_TTL_MAX, false);
        for record in message.records.iter().filter(|record| record.owner.as_ref() == Some(name)) {
            match (&record.data, kind) {
                (Data::Address(ip), Kind::Ipv4 | Kind::Ipv6) if ip.is_ipv4() == (kind == Kind::Ipv4) => {
                    asked_for = true;
                    if addresses.len() < limits::DNS_RECORDS && !addresses.contains(ip) {
                        addresses.push(*ip);
                    }
                }
                (Data::Mx { preference, exchange }, Kind::Mx) => {
                    asked_for = true;
                    let root = exchange.as_ref().is_some_and(|name| name.as_str().is_empty());
                    let usable = exchange.as_ref().and_then(host);
                    if root || usable.is_some() {
                        hosts.push(MxHost {
                            preference: *preference,
                            host: usable,
                        });
                    }
                }
                (Data::Alias(target), _) if alias.is_none() => alias = Some(target.clone()),
                (Data::Alias(_) | Data::Address(_) | Data::Mx { .. } | Data::Other, _) => continue,
            }
            ttl = ttl.min(seconds(record.ttl));
        }
        if hosts.len() > limits::DNS_RECORDS {
            // The best ones.
            hosts.sort_by_key(|host| host.preference);
            hosts.truncate(limits::DNS_RECORDS);
        }
        let known = match kind {
            Kind::Mx if !hosts.is_empty() => Ok(Known::Mx(hosts)),
            Kind::Ipv4 | Kind::Ipv6 if !addresses.is_empty() => Ok(Known::Addresses(addresses)),
            Kind::Mx | Kind::Ipv4 | Kind::Ipv6 => Err(Unusable),
        };
        Found {
            answer: asked_for.then_some(known),
            alias,
            ttl,
        }
    }
}
