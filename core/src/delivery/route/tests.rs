use alloc::collections::BTreeMap;

use super::*;
use crate::decision::{Fact, Failure};
use crate::record::Record;

fn domain(name: &str) -> Domain {
    Domain::parse(name, true).unwrap()
}

/// A little internet: one line a fact.
///
/// ```text
/// two.test MX 10 mx.two.test      mx.two.test A 192.0.2.1      AAAA, FAIL MX|A|AAAA      us.test OURS     192.0.2.9 OURS
/// ```
fn facts_of(world: &str) -> impl Fn(&Question) -> FactAnswer {
    let mut known: BTreeMap<Question, FactAnswer> = BTreeMap::new();
    for line in world.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split_whitespace().collect();
        let address = |question: Question, known: &mut BTreeMap<Question, FactAnswer>| {
            let entry = known
                .entry(question)
                .or_insert(FactAnswer::Known(Known::Addresses(Vec::new())));
            let FactAnswer::Known(Known::Addresses(list)) = entry else {
                panic!("{line}")
            };
            list.push(words[2].parse().unwrap());
        };
        match words[1] {
            "MX" => {
                let entry = known
                    .entry(Question::Mx(domain(words[0])))
                    .or_insert(FactAnswer::Known(Known::Mx(Vec::new())));
                let FactAnswer::Known(Known::Mx(list)) = entry else {
                    panic!("{line}")
                };
                list.push(MxHost {
                    preference: words[2].parse().unwrap(),
                    host: (words[3] != ".").then(|| domain(words[3])),
                });
            }
            "A" => address(Question::Ipv4(domain(words[0])), &mut known),
            "AAAA" => address(Question::Ipv6(domain(words[0])), &mut known),
            "FAIL" => {
                let question = match words[2] {
                    "MX" => Question::Mx(domain(words[0])),
                    "A" => Question::Ipv4(domain(words[0])),
                    "AAAA" => Question::Ipv6(domain(words[0])),
                    other => panic!("{other}"),
                };
                known.insert(question, FactAnswer::Failed(Failure::Temporary));
            }
            "OURS" => {
                let question = words[0].parse().map(Question::OurAddress);
                let question = question.unwrap_or_else(|_| Question::OurDomain(domain(words[0])));
                known.insert(question, FactAnswer::Known(Known::Yes));
            }
            other => panic!("{other}"),
        }
    }
    move |question| known.get(question).cloned().unwrap_or(FactAnswer::Absent)
}

fn decide(matter: &RouteMatter, world: &str) -> RouteVerdict {
    let answer = facts_of(world);
    let mut facts = Facts::new();
    for _ in 0..8 {
        match route(matter, &facts) {
            Decision::Known(verdict) => {
                assert!(!verdict.because.is_empty(), "a verdict has its reasons");
                assert_eq!(RouteVerdict::from_record(&verdict.to_record()), Ok(verdict.clone()));
                return verdict;
            }
            Decision::Needs(questions) => {
                assert!(!questions.is_empty());
                for question in questions {
                    assert!(facts.look_up(&question).is_none(), "asked twice: {question:?}");
                    let fact = Fact::local(answer(&question));
                    facts.learn(question, fact);
                }
            }
        }
    }
    panic!("it never decides");
}

fn matter(to: &str, settings: RouteSettings) -> RouteMatter {
    RouteMatter {
        recipient: Mailbox::parse(to, true).unwrap(),
        settings: Arc::new(settings),
        seed: 7,
    }
}

/// The outcome on one line: `mx.two.test:25 192.0.2.1,192.0.2.2; …`, or `550 5.1.2 text`.
fn shown_outcome(verdict: &RouteVerdict) -> String {
    match &verdict.outcome {
        Route::Plan(plan) => {
            assert!(!plan.hops.is_empty());
            let hops = plan.hops.iter().map(|hop| {
                assert!(!hop.addresses.is_empty());
                format!("{}:{} {}", hop.name, hop.port, shown(&hop.addresses))
            });
            hops.collect::<Vec<_>>().join("; ")
        }
        Route::Failed(said) | Route::Deferred(said) => {
            assert_eq!(said.by, None);
            assert_eq!(said.code / 100, said.status[0]);
            assert_eq!(said.code / 100 == 4, matches!(verdict.outcome, Route::Deferred(_)));
            let [class, subject, detail] = said.status;
            format!("{} {class}.{subject}.{detail} {}", said.code, said.text)
        }
    }
}

#[test]
fn s58_the_table() {
    let table = [
        (
            "MX in order",
            "two.test MX 20 b.two.test\ntwo.test MX 10 a.two.test\na.two.test A 192.0.2.1\nb.two.test A 192.0.2.2",
            "a.two.test:25 192.0.2.1; b.two.test:25 192.0.2.2",
        ),
        ("no MX: the domain itself", "two.test A 192.0.2.1", "two.test:25 192.0.2.1"),
        (
            "an empty list of MX",
            "two.test A 192.0.2.1\ntwo.test AAAA 2001:db8::1",
            "two.test:25 192.0.2.1, 2001:db8::1",
        ),
        (
            "MX present: the domain's own address is not used",
            "two.test MX 1 mx.two.test\ntwo.test A 192.0.2.1",
            "550 5.4.4 no mail server of two.test can be used: mx.two.test has no IP address",
        ),
        (
            "nothing at all",
            "",
            "550 5.1.2 two.test does not exist, or takes no mail: it has no MX, and two.test has no IP address",
        ),
        (
            "null MX",
            "two.test MX 0 .\ntwo.test A 192.0.2.1",
            "556 5.1.10 two.test takes no mail (null MX)",
        ),
        (
            "null MX beside another is no exchanger",
            "two.test MX 0 .\ntwo.test MX 5 a.two.test\na.two.test A 192.0.2.1",
            "a.two.test:25 192.0.2.1",
        ),
        (
            "MX look-up fails",
            "two.test FAIL MX\ntwo.test A 192.0.2.1",
            "451 4.4.3 the mail servers of two.test cannot be looked up now",
        ),
        (
            "address look-up fails",
            "two.test MX 1 a.two.test\na.two.test FAIL A",
            "451 4.4.3 the addresses of a.two.test cannot be looked up now",
        ),
        (
            "one family is enough",
            "two.test MX 1 a.two.test\na.two.test A 192.0.2.1\na.two.test FAIL AAAA",
            "a.two.test:25 192.0.2.1",
        ),
        (
            "one exchanger is enough",
            "two.test MX 1 a.two.test\ntwo.test MX 2 b.two.test\na.two.test FAIL A\nb.two.test A 192.0.2.2",
            "b.two.test:25 192.0.2.2",
        ),
        (
            "unknown weighs more than nothing",
            "two.test MX 1 a.two.test\ntwo.test MX 2 b.two.test\na.two.test FAIL A",
            "451 4.4.3 the addresses of a.two.test cannot be looked up now",
        ),
        (
            "we are the best",
            "two.test MX 1 mx.one.test\ntwo.test MX 2 b.two.test\nb.two.test A 192.0.2.2\nmx.one.test OURS",
            "554 5.4.6 mail for two.test comes back to this server (its mail server is mx.one.test), which does not take it: add [[domain]] name = \"two.test\"",
        ),
        (
            "we are the second: worse ones go",
            "two.test MX 1 a.two.test\ntwo.test MX 2 mx.one.test\ntwo.test MX 3 c.two.test\na.two.test A 192.0.2.1\nc.two.test A 192.0.2.3\nmx.one.test OURS",
            "a.two.test:25 192.0.2.1",
        ),
        (
            "equals of ours go too",
            "two.test MX 2 a.two.test\ntwo.test MX 2 mx.one.test\na.two.test A 192.0.2.1\nmx.one.test OURS",
            "554 5.4.6 mail for two.test comes back to this server (its mail server is mx.one.test), which does not take it: add [[domain]] name = \"two.test\"",
        ),
        (
            "ours by address",
            "two.test MX 1 a.two.test\na.two.test A 192.0.2.9\n192.0.2.9 OURS",
            "554 5.4.6 mail for two.test comes back to this server (its mail server is a.two.test), which does not take it: add [[domain]] name = \"two.test\"",
        ),
        (
            "ours by the implicit MX",
            "two.test A 192.0.2.9\n192.0.2.9 OURS",
            "554 5.4.6 mail for two.test comes back to this server (its mail server is two.test), which does not take it: add [[domain]] name = \"two.test\"",
        ),
        (
            "a better one is unknown, we are second",
            "two.test MX 1 a.two.test\ntwo.test MX 2 mx.one.test\na.two.test FAIL A\nmx.one.test OURS",
            "451 4.4.3 the addresses of a.two.test cannot be looked up now",
        ),
        (
            "loopback",
            "two.test MX 1 a.two.test\na.two.test A 127.0.0.1",
            "550 5.4.4 no mail server of two.test can be used: the address 127.0.0.1 of a.two.test is a loopback address: mail is not sent there",
        ),
        (
            "unspecified",
            "two.test A 0.0.0.0",
            "550 5.1.2 two.test does not exist, or takes no mail: it has no MX, and the address 0.0.0.0 of two.test is no host's address: mail is not sent there",
        ),
        (
            "multicast",
            "two.test A 224.0.0.1",
            "550 5.1.2 two.test does not exist, or takes no mail: it has no MX, and the address 224.0.0.1 of two.test is a multicast address: mail is not sent there",
        ),
        (
            "mapped loopback",
            "two.test MX 1 a.two.test\na.two.test AAAA ::ffff:127.0.0.1",
            "550 5.4.4 no mail server of two.test can be used: the address ::ffff:127.0.0.1 of a.two.test is a loopback address: mail is not sent there",
        ),
        (
            "loopback beside another",
            "two.test MX 1 a.two.test\na.two.test A 127.0.0.1\na.two.test A 192.0.2.1",
            "a.two.test:25 192.0.2.1",
        ),
        (
            "five addresses, one of them of the other family",
            "two.test A 192.0.2.1\ntwo.test A 192.0.2.2\ntwo.test A 192.0.2.3\ntwo.test A 192.0.2.4\ntwo.test A 192.0.2.5\ntwo.test AAAA 2001:db8::1\ntwo.test AAAA 2001:db8::2",
            "two.test:25 192.0.2.1, 192.0.2.2, 192.0.2.3, 192.0.2.4, 2001:db8::1",
        ),
        (
            "the same exchanger twice",
            "two.test MX 2 a.two.test\ntwo.test MX 1 a.two.test\na.two.test A 192.0.2.1",
            "a.two.test:25 192.0.2.1",
        ),
    ];
    for (what, world, want) in table {
        let verdict = decide(&matter("bob@two.test", RouteSettings::default()), world);
        assert_eq!(shown_outcome(&verdict), want, "{what}");
        if let Route::Plan(plan) = &verdict.outcome {
            assert_eq!(plan.destination, Destination::Domain(domain("two.test")), "{what}");
            assert!(
                plan.hops
                    .iter()
                    .all(|hop| hop.tls == TlsUse::Opportunistic && !hop.verified && !hop.login)
            );
        }
    }
}

#[test]
fn literals() {
    let table = [
        ("bob@[192.0.2.1]", "", "[192.0.2.1]:25 192.0.2.1"),
        ("bob@[IPv6:2001:db8::1]", "", "[IPv6:2001:db8::1]:25 2001:db8::1"),
        (
            "bob@[127.0.0.1]",
            "",
            "550 5.4.4 [127.0.0.1] is a loopback address: mail is not sent there",
        ),
        (
            "bob@[IPv6:::1]",
            "",
            "550 5.4.4 [IPv6:::1] is a loopback address: mail is not sent there",
        ),
        (
            "bob@[192.0.2.9]",
            "192.0.2.9 OURS",
            "554 5.4.6 [192.0.2.9] is this server, but it takes no mail for addresses at [192.0.2.9]",
        ),
    ];
    for (to, world, want) in table {
        let verdict = decide(&matter(to, RouteSettings::default()), world);
        assert_eq!(shown_outcome(&verdict), want);
    }
    let settings = RouteSettings {
        families: Families::Ipv4,
        ..RouteSettings::default()
    };
    let verdict = decide(&matter("bob@[IPv6:2001:db8::1]", settings), "");
    assert_eq!(
        shown_outcome(&verdict),
        "550 5.4.4 [IPv6:2001:db8::1] cannot be reached: this server sends by IPv4 only"
    );
}

#[test]
fn families_and_ports() {
    let world = "two.test A 192.0.2.1\ntwo.test AAAA 2001:db8::1";
    for (families, want) in [
        (Families::Ipv4, "two.test:2525 192.0.2.1"),
        (Families::Ipv6, "two.test:2525 2001:db8::1"),
        (Families::Ipv4First, "two.test:2525 192.0.2.1, 2001:db8::1"),
        (Families::Ipv6First, "two.test:2525 2001:db8::1, 192.0.2.1"),
    ] {
        let settings = RouteSettings {
            families,
            port: 2525,
            ..RouteSettings::default()
        };
        assert_eq!(shown_outcome(&decide(&matter("bob@two.test", settings), world)), want);
    }
    let settings = RouteSettings {
        allow_loopback_targets: true,
        ..RouteSettings::default()
    };
    assert_eq!(
        shown_outcome(&decide(&matter("bob@two.test", settings), "two.test A 127.0.0.2")),
        "two.test:25 127.0.0.2"
    );
}

fn next(text: &str, port: u16) -> NextHop {
    NextHop {
        host: Host::parse(text, false).unwrap(),
        port,
        tls: TlsUse::Required,
        verified: true,
        login: true,
    }
}

#[test]
fn rules_then_smarthost() {
    let rule = |domains: &[&str], next| Rule {
        recipient_domains: domains.iter().map(|name| domain(name)).collect(),
        next,
    };
    let settings = RouteSettings {
        rules: Vec::from([
            rule(&["other.test", "relay.test"], next("[127.0.0.1]", 2526)),
            rule(&["x.relay.test"], next("inner.test", 25)),
            rule(&["relay.test"], next("never.test", 25)),
        ]),
        smarthost: Some(next("smtp.isp.test", 465)),
        ..RouteSettings::default()
    };
    let world = "inner.test A 10.0.0.1\nsmtp.isp.test A 192.0.2.5\ntwo.test MX 0 .\nxrelay.test MX 0 .";
    for (to, relay, want) in [
        ("a@relay.test", "127.0.0.1:2526", "[127.0.0.1]:2526 127.0.0.1"),
        ("a@x.relay.test", "inner.test:25", "inner.test:25 10.0.0.1"),
        ("a@xrelay.test", "smtp.isp.test:465", "smtp.isp.test:465 192.0.2.5"),
        ("a@two.test", "smtp.isp.test:465", "smtp.isp.test:465 192.0.2.5"),
        ("a@[192.0.2.1]", "smtp.isp.test:465", "smtp.isp.test:465 192.0.2.5"),
    ] {
        let matter = matter(to, settings.clone());
        let verdict = decide(&matter, world);
        assert_eq!(shown_outcome(&verdict), want);
        let Route::Plan(plan) = &verdict.outcome else {
            panic!("a plan")
        };
        assert_eq!(plan.destination, Destination::Relay(relay.into()));
        assert_eq!(destination(&matter.recipient, &settings), plan.destination);
        assert!(
            plan.hops
                .iter()
                .all(|hop| hop.tls == TlsUse::Required && hop.verified && hop.login)
        );
    }
    assert_eq!(
        shown_outcome(&decide(&matter("a@two.test", settings), "")),
        "451 4.4.4 the next hop smtp.isp.test:465 has no IP address"
    );
}

#[test]
fn equals_come_in_every_order_and_the_same_for_one_seed() {
    let world = "two.test MX 5 a.two.test\ntwo.test MX 5 b.two.test\ntwo.test MX 5 c.two.test\ntwo.test MX 9 d.two.test\na.two.test A 192.0.2.1\nb.two.test A 192.0.2.2\nc.two.test A 192.0.2.3\nd.two.test A 192.0.2.4";
    let mut orders = BTreeMap::new();
    for seed in 0..600 {
        let matter = RouteMatter {
            seed,
            ..matter("bob@two.test", RouteSettings::default())
        };
        let once = shown_outcome(&decide(&matter, world));
        assert_eq!(once, shown_outcome(&decide(&matter, world)));
        assert!(once.ends_with("d.two.test:25 192.0.2.4"), "a worse preference stays last");
        *orders.entry(once).or_insert(0) += 1;
    }
    assert_eq!(orders.len(), 6);
    assert!(orders.values().all(|count| *count > 50), "{orders:?}");
}

#[test]
fn bounds() {
    let mut world = String::new();
    for n in 0..200 {
        world += &format!("two.test MX {n} m{n}.two.test\nm{n}.two.test A 192.0.2.{n}\n");
    }
    let verdict = decide(&matter("bob@two.test", RouteSettings::default()), &world);
    let Route::Plan(plan) = verdict.outcome else {
        panic!("a plan")
    };
    assert_eq!(plan.hops.len(), limits::ROUTE_HOPS);
    assert_eq!(&*plan.hops[9].name, "m9.two.test");
}
