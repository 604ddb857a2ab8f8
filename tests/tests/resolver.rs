//! The resolver over the simulated network: faults, forgeries, caching in virtual time.

use std::future::Future;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_proto::op::{Message, ResponseCode};
use pillarbox::config::Dns;
use pillarbox::decide::FactSource;
use pillarbox::env::Env;
use pillarbox::resolver::Resolver;
use pillarbox_core::address::Domain;
use pillarbox_core::decision::{Fact, FactAnswer, Failure, Known, Question};
use pillarbox_core::limits;
use pillarbox_tests::sim::dns::Zone;
use pillarbox_tests::sim::dns::server::{Asked, DnsServer, Reply};
use pillarbox_tests::sim::{Network, SimEnv, World};

const MX: &str = "10.9.9.9";

fn zone() -> Zone {
    Zone::default()
        .mx("one.test", 10, "mx.one.test")
        .mx("one.test", 20, "www.one.test")
        .address("mx.one.test", MX.parse().unwrap())
        .alias("www.one.test", "mx.one.test")
        .alias("a.test", "b.test")
        .alias("b.test", "a.test")
}

fn domain(name: &str) -> Domain {
    Domain::parse(name, true).expect("a domain")
}

fn mx(name: &str) -> Question {
    Question::Mx(domain(name))
}

fn ipv4(name: &str) -> Question {
    Question::Ipv4(domain(name))
}

/// An honest server.
fn honest(zone: Zone) -> impl FnMut(&Asked) -> Vec<Reply> + Send + 'static {
    move |asked| zone.reply(asked).into_iter().collect()
}

/// A server that changes what an honest one would say.
fn changed(change: impl Fn(&mut Message) + Send + 'static) -> impl FnMut(&Asked) -> Vec<Reply> + Send + 'static {
    let zone = zone();
    move |asked| {
        let mut message = Message::from_vec(&zone.answer(&asked.bytes).expect("a question")).expect("a message");
        change(&mut message);
        vec![Reply::of(message.to_vec().expect("it encodes"))]
    }
}

/// What the attacker would have us believe.
fn forged(asked: &Asked) -> Message {
    let lie = Zone::default()
        .mx("one.test", 1, "mx.evil.test")
        .address("mx.one.test", "10.6.6.6".parse().unwrap());
    Message::from_vec(&lie.answer(&asked.bytes).expect("a question")).expect("a message")
}

fn resolver(env: &SimEnv, servers: &[&DnsServer]) -> Resolver<SimEnv> {
    let servers = servers.iter().map(|server| server.address).collect();
    Resolver::new(
        env.clone(),
        &Dns {
            servers,
            trust_ad: false,
        },
    )
}

/// Runs a test as a client of the world.
fn run<F: Future<Output = ()> + Send + 'static>(world: &mut World, test: impl FnOnce(SimEnv) -> F) {
    let client = world.client();
    world.run(test(client));
}

fn addresses(fact: &Fact) -> Vec<IpAddr> {
    match &fact.answer {
        FactAnswer::Known(Known::Addresses(ips)) => ips.clone(),
        other => panic!("{other:?}"),
    }
}

fn exchangers(fact: &Fact) -> Vec<(u16, String)> {
    match &fact.answer {
        FactAnswer::Known(Known::Mx(hosts)) => hosts
            .iter()
            .map(|mx| (mx.preference, mx.host.as_ref().map_or("", |host| host.as_str()).to_owned()))
            .collect(),
        other => panic!("{other:?}"),
    }
}

fn is_mx(fact: &Fact) {
    assert_eq!(addresses(fact), [MX.parse::<IpAddr>().unwrap()]);
}

const FAILED: FactAnswer = FactAnswer::Failed(Failure::Temporary);

async fn pass(env: &SimEnv, seconds: u64) {
    env.sleep_until(env.now().instant.after(Duration::from_secs(seconds))).await;
}

#[test]
fn mx_and_addresses_are_found_by_the_servers_of_resolv_conf() {
    let mut world = World::new(1);
    world.dns(zone());
    run(&mut world, |env| async move {
        let resolver = Resolver::new(env, &Dns::default());
        let fact = resolver.fact(&mx("ONE.test")).await;
        assert_eq!(
            exchangers(&fact),
            [(10, "mx.one.test".to_owned()), (20, "www.one.test".to_owned())]
        );
        assert!(!fact.secure);
        is_mx(&resolver.fact(&ipv4("mx.one.test")).await);
        is_mx(&resolver.fact(&ipv4("www.one.test")).await);
        assert_eq!(
            resolver.fact(&Question::Ipv6(domain("mx.one.test"))).await.answer,
            FactAnswer::Absent
        );
        assert_eq!(resolver.fact(&mx("nowhere.test")).await.answer, FactAnswer::Absent);
        assert_eq!(resolver.fact(&ipv4("bücher.test")).await.answer, FactAnswer::Absent);
        assert_eq!(resolver.fact(&ipv4("a.test")).await.answer, FAILED, "aliases in a circle");
    });
}

#[test]
fn every_question_has_a_port_an_id_and_a_spelling_of_its_own() {
    let mut world = World::new(2);
    let server = world.dns_server(53, honest(zone()));
    run(&mut world, |env| async move {
        let resolver = resolver(&env, &[&server]);
        for number in 0..40 {
            resolver.fact(&mx(&format!("name-number-{number}.one.test"))).await;
        }
        let asked = server.asked();
        let distinct = |key: &dyn Fn(&Asked) -> u64| {
            let mut keys: Vec<u64> = asked.iter().map(key).collect();
            keys.sort_unstable();
            keys.dedup();
            keys.len()
        };
        assert!(distinct(&|asked| u64::from(asked.by.port())) >= 39, "ports");
        assert!(distinct(&|asked| u64::from(asked.message.metadata.id)) >= 39, "ids");
        let mixed = asked.iter().filter(|asked| {
            let name = asked.message.queries[0].name().to_ascii();
            name.bytes().any(|letter| letter.is_ascii_uppercase()) && name.bytes().any(|letter| letter.is_ascii_lowercase())
        });
        assert_eq!(mixed.count(), 40);
        let edns = asked[0].message.edns.as_ref().expect("EDNS is used");
        assert_eq!(edns.max_payload(), limits::DNS_PAYLOAD);
    });
}

/// S54: a spoofing responder that is quicker than the server, and wrong in one thing.
#[test]
fn s54_forged_answers_are_not_believed() {
    type Forge = fn(&Asked) -> Reply;
    let forgeries: [(&str, Forge); 5] = [
        ("id", |asked| {
            let mut message = forged(asked);
            message.metadata.id ^= 0x0100;
            Reply::of(message.to_vec().unwrap())
        }),
        ("address", |asked| Reply {
            from: Some("10.0.0.66:53".parse().unwrap()),
            ..Reply::of(forged(asked).to_vec().unwrap())
        }),
        ("port", |asked| Reply {
            from: Some("10.0.0.53:5353".parse().unwrap()),
            ..Reply::of(forged(asked).to_vec().unwrap())
        }),
        ("name", |asked| {
            let mut message = forged(asked);
            let name = hickory_proto::rr::Name::from_ascii("two.test.").unwrap();
            message.queries[0].set_name(name);
            Reply::of(message.to_vec().unwrap())
        }),
        ("garbage", |_| Reply::of(vec![0xff; 40])),
    ];
    for (what, forge) in forgeries {
        let mut world = World::new(3);
        let honest = zone();
        let server = world.dns_server(53, move |asked| {
            let truth = honest.reply(asked).expect("a question");
            let later = Reply {
                after: Duration::from_millis(500),
                ..truth
            };
            vec![forge(asked), forge(asked), later]
        });
        run(&mut world, move |env| async move {
            let resolver = resolver(&env, &[&server]);
            is_mx(&resolver.fact(&ipv4("mx.one.test")).await);
            assert_eq!(
                exchangers(&resolver.fact(&mx("one.test")).await)[0].1,
                "mx.one.test",
                "{what}"
            );
            assert_eq!(server.count(), 2, "{what}: each was asked once");
        });
    }
}

/// S54: who does not know the spelling is heard no further; TCP tells.
#[test]
fn s54_a_misspelled_answer_leads_to_tcp() {
    let mut world = World::new(4);
    let honest = zone();
    let server = world.dns_server(53, move |asked| {
        if asked.tcp {
            return honest.reply(asked).into_iter().collect();
        }
        let mut lie = forged(asked);
        let lower = lie.queries[0].name().to_lowercase();
        lie.queries[0].set_name(lower);
        vec![Reply::of(lie.to_vec().unwrap())]
    });
    run(&mut world, move |env| async move {
        is_mx(&resolver(&env, &[&server]).fact(&ipv4("mx.one.test")).await);
        let asked = server.asked();
        assert_eq!(asked.iter().map(|asked| asked.tcp).collect::<Vec<_>>(), [false, true]);
        assert_ne!(asked[0].message.metadata.id, asked[1].message.metadata.id);
    });
}

#[test]
fn s54_a_flood_of_guesses_leads_to_tcp() {
    let mut world = World::new(5);
    let honest = zone();
    let server = world.dns_server(53, move |asked| {
        if asked.tcp {
            return honest.reply(asked).into_iter().collect();
        }
        let guess = |number: u16| {
            let mut lie = forged(asked);
            lie.metadata.id = asked.message.metadata.id.wrapping_add(number);
            Reply::of(lie.to_vec().unwrap())
        };
        (1..=500).map(guess).collect()
    });
    run(&mut world, move |env| async move {
        is_mx(&resolver(&env, &[&server]).fact(&ipv4("mx.one.test")).await);
        assert!(server.asked()[1].tcp);
    });
}

#[test]
fn what_an_answer_says_of_other_names_is_not_kept() {
    let mut world = World::new(6);
    let server = world.dns_server(
        53,
        changed(|message| {
            let lie = Zone::default().address("bank.test", "10.6.6.6".parse().unwrap());
            let mut question = message.clone();
            question.queries[0].set_name(hickory_proto::rr::Name::from_ascii("bank.test.").unwrap());
            question.metadata.message_type = hickory_proto::op::MessageType::Query;
            let lie = Message::from_vec(&lie.answer(&question.to_vec().unwrap()).unwrap()).unwrap();
            message.answers.extend(lie.answers.clone());
            message.additionals.extend(lie.answers);
        }),
    );
    run(&mut world, move |env| async move {
        let resolver = resolver(&env, &[&server]);
        is_mx(&resolver.fact(&ipv4("mx.one.test")).await);
        let before = server.count();
        resolver.fact(&ipv4("bank.test")).await;
        assert_eq!(server.count(), before + 1, "it is asked for, not remembered");
    });
}

#[test]
fn lost_datagrams_are_asked_for_again() {
    let mut lost = 0;
    for seed in 0..20 {
        let mut world = World::new(100 + seed);
        world.set_network(Network {
            datagrams_lost_percent: 20,
            ..Network::default()
        });
        let servers = [53, 54, 55].map(|number| world.dns_server(number, honest(zone())));
        let asked = servers.clone();
        run(&mut world, move |env| async move {
            is_mx(
                &resolver(&env, &[&servers[0], &servers[1], &servers[2]])
                    .fact(&ipv4("mx.one.test"))
                    .await,
            );
        });
        lost += asked.iter().map(DnsServer::count).sum::<usize>() - 1;
    }
    assert!(lost > 0, "some answers were lost on the way");
}

#[test]
fn a_cut_off_answer_is_fetched_by_tcp_and_a_huge_one_is_bounded() {
    let mut world = World::new(7);
    let mut large = zone();
    for number in 0..2000 {
        large = large.mx("large.test", number, &format!("mx{number}.large.test"));
    }
    let server = world.dns_server(53, honest(large));
    run(&mut world, move |env| async move {
        let fact = resolver(&env, &[&server]).fact(&mx("large.test")).await;
        let exchangers = exchangers(&fact);
        assert_eq!(exchangers.len(), limits::DNS_RECORDS);
        assert_eq!((exchangers[0].0, exchangers[99].0), (0, 99));
        assert_eq!(
            server.asked().iter().map(|asked| asked.tcp).collect::<Vec<_>>(),
            [false, true]
        );
    });
}

#[test]
fn a_server_that_says_nothing_useful_is_passed_over() {
    type Change = fn(&mut Message);
    let changes: [(&str, Change); 6] = [
        ("SERVFAIL", |message| message.metadata.response_code = ResponseCode::ServFail),
        ("REFUSED", |message| message.metadata.response_code = ResponseCode::Refused),
        ("lame", |message| {
            message.answers.clear();
            message.metadata.authoritative = false;
            message.metadata.recursion_available = false;
        }),
        ("FORMERR", |message| message.metadata.response_code = ResponseCode::FormErr),
        ("circle", |message| {
            let circle = Zone::default().alias("mx.one.test", "mx.one.test");
            message.metadata.message_type = hickory_proto::op::MessageType::Query;
            let question = message.to_vec().unwrap();
            *message = Message::from_vec(&circle.answer(&question).unwrap()).unwrap();
        }),
        ("cut off, without TCP", |message| message.metadata.truncation = true),
    ];
    for (what, change) in changes {
        let mut world = World::new(8);
        let bad = world.dns_server(53, {
            let mut manner = changed(change);
            move |asked| if asked.tcp { Vec::new() } else { manner(asked) }
        });
        let good = world.dns_server(54, honest(zone()));
        run(&mut world, move |env| async move {
            let began = env.now().instant;
            is_mx(&resolver(&env, &[&bad, &good]).fact(&ipv4("mx.one.test")).await);
            assert!(bad.count() >= 1 && good.count() == 1, "{what}");
            assert!(env.now().instant.since(began) < Duration::from_secs(1), "{what}: at once");
        });
    }
}

#[test]
fn a_slow_server_is_passed_over_and_asked_last_for_a_while() {
    let mut world = World::new(9);
    let honest_zone = zone();
    let slow = world.dns_server(53, move |asked| {
        let reply = honest_zone.reply(asked).expect("a question");
        vec![Reply {
            after: Duration::from_secs(30),
            ..reply
        }]
    });
    let good = world.dns_server(54, honest(zone()));
    run(&mut world, move |env| async move {
        let resolver = resolver(&env, &[&slow, &good]);
        let began = env.now().instant;
        is_mx(&resolver.fact(&ipv4("mx.one.test")).await);
        let took = env.now().instant.since(began);
        assert!(took >= limits::DNS_PATIENCE[0] && took < Duration::from_secs(3), "{took:?}");
        let began = env.now().instant;
        resolver.fact(&mx("one.test")).await;
        assert!(env.now().instant.since(began) < Duration::from_secs(1));
        assert_eq!((slow.count(), good.count()), (1, 2));
        pass(&env, limits::DNS_SILENT.as_secs()).await;
        resolver.fact(&mx("two.test")).await;
        assert_eq!(slow.count(), 2, "it has another chance");
    });
}

#[test]
fn silence_everywhere_is_a_temporary_failure_within_its_time_and_is_not_asked_for_at_once_again() {
    let mut world = World::new(10);
    let servers = [53, 54, 55, 56].map(|number| world.dns_server(number, |_| Vec::new()));
    run(&mut world, move |env| async move {
        let [one, two, three, four] = &servers;
        let resolver = resolver(&env, &[one, two, three, four]);
        let began = env.now().instant;
        assert_eq!(resolver.fact(&mx("one.test")).await.answer, FAILED);
        let took = env.now().instant.since(began);
        assert!(took <= limits::DNS_TIME && took < limits::DECISION_TIME, "{took:?}");
        let asked: usize = servers.iter().map(DnsServer::count).sum();
        assert_eq!(resolver.fact(&mx("one.test")).await.answer, FAILED);
        assert_eq!(
            servers.iter().map(DnsServer::count).sum::<usize>(),
            asked,
            "RFC 9520: a failure is kept"
        );
        pass(&env, u64::from(limits::DNS_FAILURE_TTL)).await;
        resolver.fact(&mx("one.test")).await;
        assert!(servers.iter().map(DnsServer::count).sum::<usize>() > asked);
    });
}

#[test]
fn a_server_without_edns_is_asked_without() {
    let mut world = World::new(11);
    let honest_zone = zone();
    let server = world.dns_server(53, move |asked| {
        let mut message = Message::from_vec(&honest_zone.answer(&asked.bytes).unwrap()).unwrap();
        if asked.message.edns.is_some() {
            message.metadata.response_code = ResponseCode::FormErr;
            message.answers.clear();
        }
        vec![Reply::of(message.to_vec().unwrap())]
    });
    run(&mut world, move |env| async move {
        is_mx(&resolver(&env, &[&server]).fact(&ipv4("mx.one.test")).await);
        assert_eq!(server.count(), 2);
    });
}

#[test]
fn answers_are_kept_for_their_time_and_so_is_that_there_is_none() {
    let mut world = World::new(12);
    let server = world.dns_server(53, honest(zone().with_ttl(300)));
    run(&mut world, move |env| async move {
        let resolver = resolver(&env, &[&server]);
        let first = resolver.fact(&mx("one.test")).await;
        assert_eq!(first.ttl_s, 300);
        pass(&env, 200).await;
        let second = resolver.fact(&mx("one.test")).await;
        assert!(
            (second.ttl_s, server.count()) == (100, 1) && second.answer == first.answer,
            "{second:?}"
        );
        pass(&env, 101).await;
        assert_eq!((resolver.fact(&mx("one.test")).await.ttl_s, server.count()), (300, 2));
        // RFC 2308: the SOA says 60.
        assert_eq!(resolver.fact(&mx("nowhere.test")).await.ttl_s, 60);
        pass(&env, 59).await;
        assert_eq!(resolver.fact(&mx("nowhere.test")).await.answer, FactAnswer::Absent);
        assert_eq!(server.count(), 3);
        pass(&env, 2).await;
        resolver.fact(&mx("nowhere.test")).await;
        assert_eq!(server.count(), 4);
    });
}

#[test]
fn equal_questions_at_one_time_are_asked_once_and_survive_who_asked_first() {
    let mut world = World::new(13);
    let server = world.dns_server(53, honest(zone()));
    run(&mut world, move |env| async move {
        let resolver = resolver(&env, &[&server]);
        let (told, heard) = std::sync::mpsc::channel();
        for number in 0..200 {
            let (resolver, told) = (resolver.clone(), told.clone());
            env.spawn("asks", async move {
                let name = if number % 2 == 0 { "mx.one.test" } else { "MX.one.test" };
                let fact = resolver.fact(&ipv4(name)).await;
                told.send(fact).expect("the test waits");
            });
        }
        drop(told);
        // Who gives up takes nothing from the others.
        let question = ipv4("mx.one.test");
        let gone = resolver.fact(&question);
        assert!(futures_lite::future::poll_once(gone).await.is_none());
        pass(&env, 5).await;
        let facts: Vec<Fact> = heard.try_iter().collect();
        assert_eq!(facts.len(), 200);
        facts.iter().for_each(is_mx);
        assert_eq!(server.count(), 1);
    });
}

#[test]
fn s55_the_ad_bit_counts_only_where_the_operator_says_so() {
    for trust_ad in [false, true] {
        let mut world = World::new(14);
        let server = world.dns_server(53, changed(|message| message.metadata.authentic_data = true));
        run(&mut world, move |env| async move {
            let servers: Vec<SocketAddr> = vec![server.address];
            let resolver = Resolver::new(env, &Dns { servers, trust_ad });
            let fact = resolver.fact(&ipv4("mx.one.test")).await;
            is_mx(&fact);
            assert_eq!(fact.secure, trust_ad);
            assert_eq!(server.asked()[0].message.metadata.authentic_data, trust_ad);
        });
    }
}

#[test]
fn equal_seeds_ask_equally() {
    let trace = |seed| {
        let mut world = World::new(seed);
        let server = world.dns_server(53, honest(zone()));
        run(&mut world, move |env| async move {
            is_mx(&resolver(&env, &[&server]).fact(&ipv4("www.one.test")).await);
        });
        world.trace()
    };
    assert_eq!(trace(15).difference(&trace(15)), None);
}
