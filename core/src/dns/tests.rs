//! The rules of a look-up, without a network: what is believed, who is asked next, what is kept and for how long.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;
use core::net::{IpAddr, SocketAddr};
use core::time::Duration;

use super::*;
use crate::decision::{Fact, FactAnswer, Failure, Known};
use crate::limits;
use crate::time::Instant;

fn name(text: &str) -> Name {
    Name::parse(text).unwrap()
}

fn query(text: &str, kind: Kind) -> Query {
    Query { name: name(text), kind }
}

fn server(number: u8) -> SocketAddr {
    SocketAddr::new(IpAddr::from([192, 0, 2, number]), 53)
}

fn record(owner: &str, ttl: u32, data: Data) -> Record {
    Record {
        owner: Some(name(owner)),
        ttl,
        data,
    }
}

fn address(text: &str) -> Data {
    Data::Address(text.parse().unwrap())
}

fn alias(target: &str) -> Data {
    Data::Alias(Some(name(target)))
}

fn mx(preference: u16, exchange: &str) -> Data {
    Data::Mx {
        preference,
        exchange: Name::parse(exchange),
    }
}

/// A good answer to a question, with these records.
fn answer(asked: &Outgoing, records: Vec<Record>) -> Message {
    Message {
        id: asked.id,
        answers: true,
        name: Some(asked.name.clone()),
        kind: Some(asked.kind),
        truncated: false,
        competent: true,
        authentic: false,
        code: Code::Fine,
        records,
        negative_ttl: None,
    }
}

/// A look-up by hand.
struct Hand {
    lookup: Lookup,
    now: Instant,
    drawn: u8,
}

impl Hand {
    fn new(query: Query, servers: u8) -> Hand {
        Hand::with(query, servers, false)
    }

    fn with(query: Query, servers: u8, trust_ad: bool) -> Hand {
        let now = Instant(5);
        let servers = (1..=servers).map(server).collect();
        Hand {
            lookup: Lookup::new(now, query, servers, trust_ad),
            now,
            drawn: 0,
        }
    }

    fn step(&mut self) -> Step {
        self.drawn += 1;
        let random = core::array::from_fn(|index| self.drawn.wrapping_mul(89).wrapping_add((index as u8).wrapping_mul(57)));
        self.lookup.next(self.now, &random)
    }

    fn udp(&mut self) -> Outgoing {
        match self.step() {
            Step::Udp(outgoing) => outgoing,
            other => panic!("{other:?}"),
        }
    }

    fn tcp(&mut self) -> Outgoing {
        match self.step() {
            Step::Tcp(outgoing) => outgoing,
            other => panic!("{other:?}"),
        }
    }

    fn done(&mut self) -> Fact {
        match self.step() {
            Step::Done(fact) => fact,
            other => panic!("{other:?}"),
        }
    }

    fn datagram(&mut self, asked: &Outgoing, message: Message) -> Progress {
        self.lookup.handle(Event::Datagram(asked.server, Some(message)))
    }

    fn silence(&mut self, asked: &Outgoing) {
        self.now = asked.until;
        assert_eq!(self.lookup.handle(Event::Silence), Progress::Next);
    }
}

fn addresses(fact: &Fact) -> Vec<String> {
    match &fact.answer {
        FactAnswer::Known(Known::Addresses(ips)) => ips.iter().map(|ip| format!("{ip}")).collect(),
        other => panic!("{other:?}"),
    }
}

fn failed() -> FactAnswer {
    FactAnswer::Failed(Failure::Temporary)
}

#[test]
fn names_are_labels_of_printable_octets() {
    for good in [
        "",
        "a",
        "a.b",
        "_dmarc.one.test",
        "0/25.2.0.192.test",
        &"a.".repeat(126),
        &"x".repeat(63),
    ] {
        let good = good.strip_suffix('.').unwrap_or(good);
        assert_eq!(Name::parse(&good.to_ascii_uppercase()).unwrap().as_str(), good);
    }
    for bad in [
        ".",
        "a.",
        ".a",
        "a..b",
        "a b",
        "ä.test",
        "a\u{0}",
        &"x".repeat(64),
        &format!("{}bb", "a.".repeat(126)),
    ] {
        assert_eq!(Name::parse(bad), None, "{bad:?}");
    }
}

#[test]
fn the_answer_to_the_question_is_the_fact() {
    let mut hand = Hand::new(query("MX.one.test", Kind::Ipv4), 1);
    let asked = hand.udp();
    assert!(asked.edns && !asked.authentic && asked.port >= limits::DNS_PORT_MIN);
    let records = vec![
        record("mx.one.test", 300, address("192.0.2.7")),
        record("mx.one.test", 200, address("192.0.2.8")),
        record("mx.one.test", 300, address("192.0.2.7")),
        record("mx.one.test", 100, address("2001:db8::1")),
        record("evil.test", 1, address("192.0.2.66")),
    ];
    let message = answer(&asked, records);
    assert_eq!(hand.datagram(&asked, message), Progress::Next);
    let fact = hand.done();
    assert_eq!(addresses(&fact), ["192.0.2.7", "192.0.2.8"]);
    assert_eq!((fact.ttl_s, fact.secure), (200, false));
}

/// S54: each of these is an answer that somebody could forge; none ends the question.
#[test]
fn s54_nothing_but_the_answer_is_believed() {
    let mut hand = Hand::new(query("mx.one.test", Kind::Ipv4), 1);
    let asked = hand.udp();
    let good = answer(&asked, vec![record("mx.one.test", 300, address("192.0.2.66"))]);
    let forged = [
        (server(9), good.clone()),
        (SocketAddr::new(asked.server.ip(), 54), good.clone()),
        (
            asked.server,
            Message {
                id: asked.id ^ 1,
                ..good.clone()
            },
        ),
        (
            asked.server,
            Message {
                answers: false,
                ..good.clone()
            },
        ),
        (
            asked.server,
            Message {
                name: Some("mx.two.test".into()),
                ..good.clone()
            },
        ),
        (
            asked.server,
            Message {
                name: None,
                ..good.clone()
            },
        ),
        (
            asked.server,
            Message {
                kind: Some(Kind::Ipv6),
                ..good.clone()
            },
        ),
        (
            asked.server,
            Message {
                kind: None,
                ..good.clone()
            },
        ),
    ];
    for (from, message) in forged {
        let shown = format!("{from} {message:?}");
        assert_eq!(
            hand.lookup.handle(Event::Datagram(from, Some(message))),
            Progress::Wait,
            "{shown}"
        );
    }
    assert_eq!(hand.lookup.handle(Event::Datagram(asked.server, None)), Progress::Wait);
    assert_eq!(hand.datagram(&asked, good), Progress::Next);
    assert_eq!(addresses(&hand.done()), ["192.0.2.66"]);
}

#[test]
fn s54_a_name_spelled_otherwise_is_asked_for_by_tcp() {
    let mut hand = Hand::new(query("mx.one.test", Kind::Ipv4), 2);
    let asked = hand.udp();
    assert_ne!(asked.name, "mx.one.test");
    assert!(asked.name.eq_ignore_ascii_case("mx.one.test"));
    let lower = Message {
        name: Some("mx.one.test".into()),
        ..answer(&asked, vec![record("mx.one.test", 300, address("192.0.2.66"))])
    };
    assert_eq!(hand.datagram(&asked, lower), Progress::Next);
    let again = hand.tcp();
    assert_eq!(again.server, asked.server);
    assert_ne!(again.id, asked.id);
    let message = answer(&again, vec![record("mx.one.test", 300, address("192.0.2.7"))]);
    assert_eq!(hand.lookup.handle(Event::Stream(Some(message))), Progress::Next);
    assert_eq!(addresses(&hand.done()), ["192.0.2.7"]);
}

#[test]
fn s54_who_guesses_often_ends_at_tcp() {
    let mut hand = Hand::new(query("mx.one.test", Kind::Ipv4), 1);
    let asked = hand.udp();
    for guess in 1..=limits::DNS_WRONG {
        let wrong = Message {
            id: asked.id.wrapping_add(guess as u16),
            ..answer(&asked, Vec::new())
        };
        let wanted = if guess == limits::DNS_WRONG {
            Progress::Next
        } else {
            Progress::Wait
        };
        assert_eq!(hand.datagram(&asked, wrong), wanted);
    }
    hand.tcp();
}

#[test]
fn s54_each_question_has_an_id_a_port_and_a_spelling_of_its_own() {
    let mut hand = Hand::new(query("a-long-name.one.test", Kind::Mx), 4);
    let mut seen: Vec<(u16, u16, String)> = Vec::new();
    loop {
        let asked = match hand.step() {
            Step::Udp(asked) => asked,
            Step::Done(fact) => break assert_eq!(fact.answer, failed()),
            other @ Step::Tcp(_) => panic!("{other:?}"),
        };
        let mine = (asked.id, asked.port, asked.name.clone());
        assert!(
            seen.iter()
                .all(|other| other.0 != mine.0 && other.1 != mine.1 && other.2 != mine.2)
        );
        seen.push(mine);
        hand.silence(&asked);
    }
    assert_eq!(seen.len(), 6, "four of the first round; the time is over in the second");
    // Every port above those of services comes up at one end or the other.
    let ports = [[0; limits::DNS_RANDOMNESS], [0xff; limits::DNS_RANDOMNESS]].map(|random| {
        let mut lookup = Lookup::new(Instant(0), query("a.test", Kind::Mx), vec![server(1)], false);
        match lookup.next(Instant(0), &random) {
            Step::Udp(asked) => asked.port,
            other => panic!("{other:?}"),
        }
    });
    assert!(ports.iter().all(|port| *port >= limits::DNS_PORT_MIN));
}

#[test]
fn servers_are_asked_in_turn_and_twice() {
    let mut hand = Hand::new(query("one.test", Kind::Mx), 2);
    let mut order = Vec::new();
    for patience in [2, 2, 4, 4] {
        let asked = hand.udp();
        assert_eq!(asked.until.since(hand.now), Duration::from_secs(patience));
        order.push(asked.server);
        hand.silence(&asked);
        assert_eq!(hand.lookup.take_heard(), Some((asked.server, Health::Silent)));
    }
    assert_eq!(order, [server(1), server(2), server(1), server(2)]);
    let fact = hand.done();
    assert_eq!((fact.answer, fact.ttl_s), (failed(), limits::DNS_FAILURE_TTL));
    let mut nobody = Hand::new(query("one.test", Kind::Mx), 0);
    assert_eq!(nobody.done().answer, failed());
}

#[test]
fn who_refuses_or_does_not_know_is_passed_over_at_once() {
    type Change = fn(&mut Message);
    let changes: [Change; 4] = [
        |message| message.code = Code::Refused,
        // A referral: nothing here, and no claim to know (lame).
        |message| message.competent = false,
        |message| message.records = vec![record("one.test", 1, Data::Alias(None))],
        |message| {
            let unusable = Data::Mx {
                preference: 1,
                exchange: None,
            };
            message.records = vec![record("one.test", 1, unusable)];
        },
    ];
    for (index, change) in changes.into_iter().enumerate() {
        let mut hand = Hand::new(query("one.test", Kind::Mx), 2);
        let asked = hand.udp();
        let mut message = answer(&asked, Vec::new());
        change(&mut message);
        assert_eq!(hand.datagram(&asked, message), Progress::Next);
        let asked = hand.udp();
        assert_eq!(asked.server, server(2), "{index}");
        let message = answer(&asked, vec![record("one.test", 60, mx(10, "mx.one.test"))]);
        hand.datagram(&asked, message);
        assert!(matches!(hand.done().answer, FactAnswer::Known(Known::Mx(hosts)) if hosts.len() == 1));
    }
}

#[test]
fn what_is_cut_off_is_asked_for_by_tcp_and_a_broken_connection_passes_on() {
    let mut hand = Hand::new(query("one.test", Kind::Mx), 2);
    let asked = hand.udp();
    let cut = Message {
        truncated: true,
        ..answer(&asked, Vec::new())
    };
    hand.datagram(&asked, cut);
    let asked = hand.tcp();
    assert_eq!(asked.server, server(1));
    assert_eq!(hand.lookup.handle(Event::Broken), Progress::Next);
    assert_eq!(hand.udp().server, server(2));
}

#[test]
fn who_does_not_know_edns_is_asked_without() {
    let mut hand = Hand::new(query("one.test", Kind::Mx), 2);
    let asked = hand.udp();
    let formerr = Message {
        code: Code::NotUnderstood,
        ..answer(&asked, Vec::new())
    };
    hand.datagram(&asked, formerr.clone());
    let asked = hand.udp();
    assert_eq!((asked.server, asked.edns), (server(1), false));
    let formerr = Message {
        id: asked.id,
        name: Some(asked.name.clone()),
        ..formerr
    };
    hand.datagram(&asked, formerr);
    let asked = hand.udp();
    assert_eq!((asked.server, asked.edns), (server(2), true));
}

#[test]
fn aliases_are_followed_in_the_answer_and_beyond_it() {
    let mut hand = Hand::new(query("www.one.test", Kind::Ipv6), 2);
    let asked = hand.udp();
    // Out of order; the last target is not in the answer.
    let records = vec![
        record("b.test", 70, alias("c.test")),
        record("www.one.test", 90, alias("b.test")),
    ];
    let message = answer(&asked, records);
    hand.datagram(&asked, message);
    let asked = hand.udp();
    assert!(asked.name.eq_ignore_ascii_case("c.test") && asked.server == server(1));
    let message = answer(&asked, vec![record("c.test", 80, address("2001:db8::1"))]);
    hand.datagram(&asked, message);
    let fact = hand.done();
    assert_eq!((addresses(&fact), fact.ttl_s), (vec!["2001:db8::1".into()], 70));
}

#[test]
fn aliases_in_a_circle_or_without_end_are_a_failure() {
    let circle = vec![record("a.test", 9, alias("b.test")), record("b.test", 9, alias("a.test"))];
    let long: Vec<Record> = (0..=limits::DNS_ALIASES)
        .map(|number| record(&format!("{number}.test"), 9, alias(&format!("{}.test", number + 1))))
        .collect();
    for (first, records) in [("a.test", circle), ("0.test", long)] {
        let mut hand = Hand::new(query(first, Kind::Ipv4), 1);
        for _ in 0..2 {
            let asked = hand.udp();
            let message = answer(&asked, records.clone());
            hand.datagram(&asked, message);
        }
        assert_eq!(hand.done().answer, failed());
    }
    // One alias an answer: bounded as well.
    let mut hand = Hand::new(query("0.test", Kind::Ipv4), 1);
    let mut asks = 0;
    let fact = loop {
        let asked = match hand.step() {
            Step::Udp(asked) => asked,
            Step::Done(fact) => break fact,
            other @ Step::Tcp(_) => panic!("{other:?}"),
        };
        let number: usize = asked.name.split('.').next().unwrap().parse().unwrap();
        let message = answer(&asked, vec![record(&asked.name, 9, alias(&format!("{}.test", number + 1)))]);
        hand.datagram(&asked, message);
        asks += 1;
    };
    assert_eq!((fact.answer, asks), (failed(), limits::DNS_ALIASES + 2));
}

#[test]
fn nothing_there_is_kept_as_the_soa_says() {
    let rows = [
        (Code::NoSuchName, Some(600), 600),
        (Code::NoSuchName, None, 0),
        (Code::Fine, Some(600), 600),
        (Code::Fine, Some(1_000_000), limits::DNS_NEGATIVE_TTL_MAX),
        (Code::Fine, Some(0x8000_0000), 0),
        (Code::Fine, None, 0),
    ];
    for (code, negative_ttl, kept) in rows {
        let mut hand = Hand::new(query("one.test", Kind::Mx), 1);
        let asked = hand.udp();
        let message = Message {
            code,
            negative_ttl,
            ..answer(&asked, Vec::new())
        };
        hand.datagram(&asked, message);
        let fact = hand.done();
        assert_eq!(
            (fact.answer, fact.ttl_s),
            (FactAnswer::Absent, kept),
            "{code:?} {negative_ttl:?}"
        );
    }
}

#[test]
fn ttls_are_bounded_and_negative_ones_are_zero() {
    for (ttl, kept) in [(0, 0), (5, 5), (u32::MAX, 0), (0x7fff_ffff, limits::DNS_TTL_MAX)] {
        let mut hand = Hand::new(query("one.test", Kind::Ipv4), 1);
        let asked = hand.udp();
        let message = answer(&asked, vec![record("one.test", ttl, address("192.0.2.7"))]);
        hand.datagram(&asked, message);
        assert_eq!(hand.done().ttl_s, kept, "{ttl}");
    }
}

#[test]
fn a_huge_answer_is_cut_to_the_best_exchangers() {
    let mut hand = Hand::new(query("one.test", Kind::Mx), 1);
    let asked = hand.udp();
    let records = (0..3000)
        .map(|number| record("one.test", 9, mx(3000 - number, "mx.one.test")))
        .collect();
    let message = answer(&asked, records);
    hand.datagram(&asked, message);
    let FactAnswer::Known(Known::Mx(hosts)) = hand.done().answer else {
        panic!("exchangers are known")
    };
    assert_eq!(
        (hosts.len(), hosts[0].preference, hosts[99].preference),
        (limits::DNS_RECORDS, 1, 100)
    );
}

#[test]
fn a_null_mx_is_told_and_odd_exchangers_are_passed_over() {
    let mut hand = Hand::new(query("one.test", Kind::Mx), 1);
    let asked = hand.udp();
    let records = vec![
        record("one.test", 9, mx(0, "")),
        record("one.test", 9, mx(5, "odd/name.test")),
    ];
    let message = answer(&asked, records);
    hand.datagram(&asked, message);
    let FactAnswer::Known(Known::Mx(hosts)) = hand.done().answer else {
        panic!("exchangers are known")
    };
    assert!(hosts.len() == 1 && hosts[0].host.is_none() && hosts[0].preference == 0);
}

#[test]
fn s55_only_a_trusted_server_makes_a_fact_secure_and_only_a_whole_chain() {
    for (trust_ad, first, second, secure) in [
        (true, true, true, true),
        (true, false, true, false),
        (true, true, false, false),
        (false, true, true, false),
    ] {
        let mut hand = Hand::with(query("a.test", Kind::Ipv4), 1, trust_ad);
        let asked = hand.udp();
        assert_eq!(asked.authentic, trust_ad);
        let mut message = answer(&asked, vec![record("a.test", 9, alias("b.test"))]);
        message.authentic = first;
        hand.datagram(&asked, message);
        let asked = hand.udp();
        let mut message = answer(&asked, vec![record("b.test", 9, address("192.0.2.1"))]);
        message.authentic = second;
        hand.datagram(&asked, message);
        assert_eq!(hand.done().secure, secure);
    }
}

#[test]
fn the_cache_keeps_facts_for_their_time_and_not_too_many() {
    let second = |number: u64| Instant(number * 1_000_000_000);
    let fact = |ttl_s| Fact {
        answer: FactAnswer::Absent,
        ttl_s,
        secure: false,
    };
    let mut cache = Cache::default();
    let one = query("one.test", Kind::Mx);
    cache.keep(second(1), one.clone(), fact(10));
    cache.keep(second(1), query("zero.test", Kind::Mx), fact(0));
    assert_eq!(cache.find(second(1), &one).unwrap().ttl_s, 10);
    assert_eq!(cache.find(Instant(second(4).0 + 1), &one).unwrap().ttl_s, 7);
    assert_eq!(cache.find(second(11), &one), None);
    assert_eq!(cache.find(second(1), &query("one.test", Kind::Ipv4)), None);
    cache.keep(second(2), one.clone(), fact(100));
    assert_eq!((cache.len(), cache.find(second(50), &one).unwrap().ttl_s), (1, 52));
    for number in 0..limits::DNS_CACHE + 5 {
        let ttl = 1000 + u32::try_from(number).unwrap();
        cache.keep(second(3), query(&format!("{number}.test"), Kind::Mx), fact(ttl));
    }
    assert_eq!(cache.len(), limits::DNS_CACHE);
    assert_eq!(cache.find(second(3), &one), None, "it would have gone first");
    assert_eq!(cache.find(second(3), &query("4.test", Kind::Mx)), None);
    assert!(cache.find(second(3), &query("5.test", Kind::Mx)).is_some());
    // What is over goes when something new comes.
    cache.keep(second(100_000), one, fact(9));
    assert_eq!(cache.len(), 1);
}

#[test]
fn a_silent_server_is_asked_last_for_a_while() {
    let mut servers = Servers::new((1..=9).map(server));
    let now = Instant(1);
    assert_eq!(servers.order(now), [1, 2, 3, 4].map(server));
    servers.note(now, server(1), Health::Silent);
    servers.note(now, server(3), Health::Silent);
    assert_eq!(servers.order(now), [2, 4, 1, 3].map(server));
    servers.note(now, server(3), Health::Answers);
    assert_eq!(servers.order(now), [2, 3, 4, 1].map(server));
    assert_eq!(servers.order(now.after(limits::DNS_SILENT)), [1, 2, 3, 4].map(server));
}
