//! Which names lead where.

use std::collections::BTreeSet;

use pillarbox_core::address::{Domain, Mailbox};
use pillarbox_core::store::AccountId;

use super::{Account, Names, Table, parse_address, table};

fn names(domains: &[&str]) -> Names {
    let domain = |name: &&str| Domain::parse(name, true).expect("a domain");
    Names {
        hostname: domain(&"mx.one.test"),
        domains: domains.iter().map(domain).collect(),
        postmaster: Mailbox::parse("bob@one.test", true).ok(),
        literals: BTreeSet::from(["192.0.2.1".parse().expect("an address")]),
    }
}

fn accounts() -> Table {
    let account = |id: u8, address: &str, active| Account {
        id: AccountId([id; 16]),
        address: Mailbox::parse(address, true).expect("an address"),
        active,
        password: "$hash".into(),
        scram: None,
    };
    Table::new(vec![
        account(1, "Alice@one.test", true),
        account(2, "bob@one.test", true),
        account(3, "carol@one.test", false),
    ])
}

#[test]
fn addresses_lead_to_accounts() {
    let (names, table) = (names(&["one.test", "two.test"]), accounts());
    for (address, id) in [
        ("alice@one.test", Some(1)),
        ("ALICE@One.Test", Some(1)),
        ("alice+lists@one.test", Some(1)),
        ("alice@two.test", None),
        ("alice@three.test", None),
        ("carol@one.test", None),
        ("postmaster@one.test", Some(2)),
        ("Abuse@two.test", Some(2)),
        ("root@one.test", None),
        ("root@mx.one.test", Some(2)),
        ("MAILER-DAEMON@localhost", Some(2)),
        ("alice@mx.one.test", None),
        ("postmaster@[192.0.2.1]", Some(2)),
        ("postmaster@[192.0.2.2]", None),
    ] {
        let mailbox = Mailbox::parse(address, true).expect("an address");
        assert_eq!(table.resolve(&names, &mailbox), id.map(|id| AccountId([id; 16])), "{address}");
    }
    let ours = |name: &str| table::is_ours(&names, &Domain::parse(name, true).expect("a domain"));
    assert!(ours("one.test") && ours("mx.one.test") && ours("localhost") && !ours("three.test"));
}

#[test]
fn logins_are_full_addresses_or_bare_names_of_the_one_domain() {
    let table = accounts();
    let login = |names: &Names, login: &str| table.login(names, login).map(|account| account.id.0[0]);
    let one = names(&["one.test"]);
    assert_eq!(login(&one, "aLICE@one.test"), Some(1));
    assert_eq!(login(&one, "Alice"), Some(1));
    assert_eq!(login(&one, "alice+x@one.test"), None);
    assert_eq!(login(&one, "carol@one.test"), None, "disabled");
    assert_eq!(login(&one, "postmaster@one.test"), None, "roles do not log in");
    assert_eq!(login(&one, ""), None);
    assert_eq!(login(&names(&["one.test", "two.test"]), "alice"), None);
}

#[test]
fn accounts_have_plain_names_in_our_domains() {
    let domains = names(&["one.test"]).domains;
    assert!(parse_address("alice@one.test", &domains).is_ok());
    for wrong in [
        "alice",
        "alice@two.test",
        "\"a b\"@one.test",
        "a+b@one.test",
        "a@[192.0.2.1]",
        "a\n@one.test",
    ] {
        assert!(parse_address(wrong, &domains).is_err(), "{wrong:?}");
    }
}
