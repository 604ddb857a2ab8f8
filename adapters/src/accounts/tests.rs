//! Which names lead where.

use std::collections::{BTreeMap, BTreeSet};

use pillarbox_core::address::{Domain, Mailbox};
use pillarbox_core::store::AccountId;

use pillarbox_core::decision::AliasTarget;

use crate::config::DomainRules;

use super::{Account, Alias, AliasAddress, Names, Register, Table, parse_address, table};

fn names(domains: &[&str]) -> Names {
    let domain = |name: &&str| Domain::parse(name, true).expect("a domain");
    Names {
        hostname: domain(&"mx.one.test"),
        domains: domains.iter().map(domain).collect(),
        postmaster: Mailbox::parse("bob@one.test", true).ok(),
        literals: BTreeSet::from(["192.0.2.1".parse().expect("an address")]),
        rules: BTreeMap::new(),
    }
}

fn accounts() -> Table {
    with_aliases(&[])
}

fn mailbox(address: &str) -> Mailbox {
    Mailbox::parse(address, true).expect("an address")
}

fn with_aliases(aliases: &[(&str, &[&str])]) -> Table {
    let alias = |(address, targets): &(&str, &[&str])| Alias {
        address: AliasAddress::parse(address).expect("an address"),
        targets: targets.iter().map(|target| mailbox(target)).collect(),
    };
    let account = |id: u8, address: &str, active| Account {
        id: AccountId([id; 16]),
        address: Mailbox::parse(address, true).expect("an address"),
        active,
        password: "$hash".into(),
        scram: None,
    };
    Table::new(Register {
        accounts: vec![
            account(1, "Alice@one.test", true),
            account(2, "bob@one.test", true),
            account(3, "carol@one.test", false),
        ],
        aliases: aliases.iter().map(alias).collect(),
    })
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
        let mailbox = mailbox(address);
        let targets = id.map(|id| AliasTarget::Account(AccountId([id; 16]), mailbox.clone()));
        assert_eq!(table.resolve(&names, &mailbox), Vec::from_iter(targets), "{address}");
    }
    let ours = |name: &str| table::is_ours(&names, &Domain::parse(name, true).expect("a domain"));
    assert!(ours("one.test") && ours("mx.one.test") && ours("localhost") && !ours("three.test"));
}

/// Where an address leads, as `1` for an account or an address elsewhere.
fn led(names: &Names, table: &Table, address: &str) -> Vec<String> {
    let shown = |target: AliasTarget| match target {
        AliasTarget::Account(id, address) => format!("{}:{address}", id.0[0]),
        AliasTarget::Remote(address) => address.to_string(),
    };
    table.resolve(names, &mailbox(address)).into_iter().map(shown).collect()
}

#[test]
fn aliases_lead_on() {
    let names = names(&["one.test"]);
    let table = with_aliases(&[
        (
            "team@one.test",
            &["alice@one.test", "Bob@one.test", "X@else.test", "x@else.test"],
        ),
        ("all@one.test", &["team@one.test", "bob+all@one.test", "root@else.test"]),
        ("alice@one.test", &["alice@one.test", "alice@else.test"]),
        ("a@one.test", &["b@one.test"]),
        ("b@one.test", &["a@one.test"]),
        ("gone@one.test", &["carol@one.test", "nobody@one.test"]),
        ("alice+special@one.test", &["bob@one.test"]),
        ("abuse@one.test", &["alice@one.test"]),
        ("root@mx.one.test", &["x@else.test"]),
    ]);
    let led = |address| led(&names, &table, address);
    let team = [
        "1:alice@one.test",
        "alice@else.test",
        "2:Bob@one.test",
        "X@else.test",
        "x@else.test",
    ];
    assert_eq!(
        led("Team@one.test"),
        team,
        "in the order of the file, each once; foreign names are not folded"
    );
    assert_eq!(led("team+x@one.test"), team);
    let all: Vec<&str> = team.iter().copied().chain(["root@else.test"]).collect();
    assert_eq!(led("all@one.test"), all);
    assert_eq!(led("a@one.test"), [""; 0], "a circle leads nowhere, and ends");
    assert_eq!(led("gone@one.test"), [""; 0]);
    assert_eq!(
        led("alice+special@one.test"),
        ["2:bob@one.test"],
        "the whole name comes before the one without its subaddress"
    );
    assert_eq!(led("abuse@one.test"), ["1:alice@one.test", "alice@else.test"]);
    assert_eq!(led("root@mx.one.test"), ["x@else.test"]);
    let owns = |id: u8, address: &str| table.owns(&names, AccountId([id; 16]), &mailbox(address));
    assert!(owns(1, "team@one.test") && owns(2, "team@one.test") && owns(1, "alice+x@one.test"));
    assert!(!owns(2, "alice@one.test") && !owns(1, "x@else.test"));
    let login = |login: &str| table.login(&names, login).map(|account| account.id.0[0]);
    assert_eq!((login("team@one.test"), login("gone@one.test")), (None, None));
    let sole = with_aliases(&[("al@one.test", &["alice@one.test"])]);
    assert_eq!(sole.login(&names, "AL@one.test").map(|account| account.id.0[0]), Some(1));
}

#[test]
fn domains_have_rules() {
    let mut names = names(&["one.test", "two.test", "three.test"]);
    let domain = |name: &str| Domain::parse(name, true).expect("a domain");
    names.rules.insert(
        domain("two.test"),
        DomainRules {
            alias_of: Some(domain("one.test")),
            subaddress: Some('+'),
            catch_all: None,
        },
    );
    names.rules.insert(
        domain("three.test"),
        DomainRules {
            subaddress: Some('-'),
            catch_all: Some(mailbox("alice@one.test")),
            alias_of: None,
        },
    );
    let table = with_aliases(&[("bob@three.test", &["bob@one.test"])]);
    let led = |table: &Table, address| led(&names, table, address);
    assert_eq!(led(&table, "alice@two.test"), ["1:alice@two.test"]);
    assert_eq!(led(&table, "bob-x@three.test"), ["2:bob@one.test"]);
    assert_eq!(led(&table, "bob+x@three.test"), ["1:alice@one.test"]);
    assert_eq!(led(&table, "any@three.test"), ["1:alice@one.test"]);
    let other = with_aliases(&[("@three.test", &["x@else.test"])]);
    assert_eq!(
        led(&other, "any@three.test"),
        ["x@else.test"],
        "what the command line says comes first"
    );
    let owns = |id: u8, address: &str| table.owns(&names, AccountId([id; 16]), &mailbox(address));
    assert!(owns(1, "alice@two.test") && owns(2, "bob@three.test"));
    assert!(!owns(1, "any@three.test"), "a catch-all owns nothing");
    assert_eq!(table.login(&names, "alice@two.test").map(|account| account.id.0[0]), Some(1));
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

/// S24: what queries and patterns are elsewhere is part of a name here.
#[test]
fn s24_a_login_is_a_name_and_no_query() {
    let (names, table) = (names(&["one.test"]), accounts());
    let login = |login: &str| table.login(&names, login).map(|account| account.id.0[0]);
    let tricks = [
        "' OR '1'='1",
        "alice'--",
        "alice\" OR \"\"=\"",
        "*",
        "al*",
        "alice@*",
        "*)(uid=*",
        "alice)(|(a=*",
        "%",
        "alice%",
        "_lice",
        "alice;",
        "alice\\",
        "alice\0",
        "alice\0@one.test",
        "alice\n",
        " alice",
        "alice ",
        "alice@one.test@one.test",
        "\"alice\"",
        "(alice)",
        "|alice",
        "${alice}",
        "$(alice)",
        "../alice",
        "alice@one.test,bob@one.test",
    ];
    for trick in tricks {
        assert_eq!(login(trick).filter(|_| trick != "\"alice\""), None, "{trick:?}");
    }
    assert_eq!(login("alice"), Some(1));
}

/// S23: nothing that is known of one login is taken for another.
#[test]
fn s23_each_account_has_a_key_of_its_own() {
    let (names, table) = (names(&["one.test"]), accounts());
    let logins = [
        "alice",
        "Alice@one.test",
        "bob",
        "bob@ONE.test",
        "carol",
        "alice@two.test",
        "alice+x@one.test",
        "nobody",
    ];
    for one in logins {
        for two in logins {
            let account = |login| table.login(&names, login).map(|account| account.id);
            if table::login_key(&names, one) == table::login_key(&names, two) {
                assert_eq!(account(one), account(two), "{one} and {two}");
            }
        }
    }
    assert_eq!(table::login_key(&names, "ALICE"), table::login_key(&names, "alice@One.test"));
}
