use alloc::string::ToString;
use alloc::vec;

use super::*;
use crate::address::Domain;
use crate::decision::Fact;

const ALICE: AccountId = AccountId([1; 16]);
const BOB: AccountId = AccountId([2; 16]);

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text, true).unwrap()
}

/// A world with one.test (alice, bob, postmaster) where alice owns alice@ and alice+x@.
fn answer(question: &Question) -> FactAnswer {
    let yes = |yes| {
        if yes {
            FactAnswer::Known(Known::Yes)
        } else {
            FactAnswer::Absent
        }
    };
    match question {
        Question::OurDomain(domain) => yes(matches!(domain.as_str(), "one.test" | "localhost")),
        Question::LocalAddress(address) => match address.local.folded().split('+').next() {
            Some("alice") => targets([AliasTarget::Account(ALICE, address.clone())]),
            Some("bob" | "postmaster") => targets([AliasTarget::Account(BOB, address.clone())]),
            Some("friends") => targets([
                AliasTarget::Account(ALICE, mailbox("alice@one.test")),
                AliasTarget::Remote(mailbox("x@other.test")),
            ]),
            _ => FactAnswer::Absent,
        },
        Question::Owns(account, address) => {
            yes(*account == ALICE && address.to_string().starts_with("alice") && address.to_string().ends_with("@one.test"))
        }
        Question::OurAddress(ip) => yes(ip.to_string() == "192.0.2.1"),
        Question::Mx(_) | Question::Ipv4(_) | Question::Ipv6(_) => FactAnswer::Absent,
    }
}

fn targets<const N: usize>(targets: [AliasTarget; N]) -> FactAnswer {
    FactAnswer::Known(Known::Targets(targets.into()))
}

fn decide<T>(decision: impl Fn(&Facts) -> Decision<T>) -> T {
    let mut facts = Facts::new();
    for _ in 0..8 {
        match decision(&facts) {
            Decision::Known(verdict) => return verdict,
            Decision::Needs(questions) => {
                assert!(!questions.is_empty());
                for question in questions {
                    assert!(facts.look_up(&question).is_none(), "asked twice");
                    let fact = Fact::local(answer(&question));
                    facts.learn(question, fact);
                }
            }
        }
    }
    panic!("it never decides");
}

fn login() -> Login {
    Login {
        account: ALICE,
        name: "alice@one.test".into(),
    }
}

fn code(login: Option<Login>, submission: bool, from: &str, to: &str) -> u16 {
    outcome(login, submission, from, to).map_or_else(|refused| refused.code, |_| 250)
}

fn outcome(login: Option<Login>, submission: bool, from: &str, to: &str) -> Result<Vec<Target>, Refusal> {
    let reverse_path = if from.is_empty() {
        ReversePath::Null
    } else {
        ReversePath::Mailbox(mailbox(from))
    };
    let recipient = if to == "postmaster" {
        ForwardPath::Postmaster
    } else {
        ForwardPath::Mailbox(mailbox(to))
    };
    let matter = RecipientMatter {
        login,
        submission,
        reverse_path,
        recipient,
    };
    let verdict = decide(|facts| super::recipient(&matter, facts));
    assert!(!verdict.because.is_empty(), "a verdict has its reasons");
    verdict.outcome
}

/// S13: every sender, recipient, login and listener; strangers reach only our own users, and whom our aliases name.
#[test]
fn s13_relay_matrix() {
    let senders = ["", "x@other.test", "alice@one.test", "bob@one.test"];
    let recipients = [
        ("alice@one.test", 250, 250),
        ("ALICE+tag@ONE.test", 250, 250),
        ("postmaster", 250, 250),
        ("nobody@one.test", 550, 550),
        ("friends@one.test", 250, 250),
        ("x@other.test", 554, 250),
        ("X@sub.one.test", 554, 250),
        ("x%other.test@one.test", 550, 550),
        ("\"x@other.test\"@one.test", 550, 550),
        ("x!other@one.test", 550, 550),
        ("bob@[192.0.2.1]", 250, 250),
        ("x@[192.0.2.1]", 550, 550),
        ("x@[192.0.2.2]", 554, 250),
        ("x@[IPv6:2001:db8::1]", 554, 250),
        ("x@[127.0.0.1]", 550, 550),
        ("x@[0.0.0.0]", 550, 550),
        ("x@[255.255.255.255]", 550, 550),
        ("x@[IPv6:::1]", 550, 550),
        ("x@[IPv6:::ffff:127.0.0.1]", 550, 550),
        ("x@[IPv6:ff02::1]", 550, 550),
    ];
    for from in senders {
        for (to, stranger, alice) in recipients {
            assert_eq!(code(None, false, from, to), stranger, "stranger: {from} -> {to}");
            assert_eq!(code(None, true, from, to), 530, "submission without login: {from} -> {to}");
            let owned = from.is_empty() || from == "alice@one.test";
            let want = if owned { alice } else { 550 };
            assert_eq!(code(Some(login()), true, from, to), want, "alice: {from} -> {to}");
        }
    }
}

/// Where an accepted recipient's copies go.
#[test]
fn targets_of_recipients() {
    let local = |account, address: &str| Target::Local {
        account,
        address: mailbox(address),
    };
    let remote = |address: &str| Target::Remote {
        address: mailbox(address),
    };
    let alice = |to: &str| outcome(Some(login()), true, "alice@one.test", to);
    assert_eq!(alice("bob+x@one.test"), Ok(vec![local(BOB, "bob+x@one.test")]));
    assert_eq!(
        alice("Bob@Other.test"),
        Ok(vec![remote("Bob@other.test")]),
        "foreign local parts are never folded"
    );
    let friends = Ok(vec![local(ALICE, "alice@one.test"), remote("x@other.test")]);
    assert_eq!(alice("friends@one.test"), friends);
    assert_eq!(
        outcome(None, false, "y@three.test", "friends@one.test"),
        friends,
        "an alias relays for strangers"
    );
    assert_eq!(alice("postmaster"), Ok(vec![local(BOB, "postmaster@localhost")]));
}

/// S14: nobody submits as another.
#[test]
fn s14_author_fields() {
    let judge = |from: &[&str], sender: Option<&str>| {
        let from = from.iter().map(|from| mailbox(from)).collect();
        let matter = AuthorMatter {
            login: login(),
            from,
            sender: sender.map(mailbox),
        };
        decide(|facts| super::author(&matter, facts)).outcome.is_ok()
    };
    assert!(judge(&["alice@one.test"], None));
    assert!(judge(&["alice+list@one.test"], None));
    assert!(judge(&["bob@one.test"], Some("alice@one.test")));
    assert!(judge(&["alice@one.test", "bob@one.test"], Some("alice@one.test")));
    assert!(!judge(&["bob@one.test"], None));
    assert!(!judge(&["alice@one.test", "bob@one.test"], None));
    assert!(!judge(&["bob@one.test"], Some("bob@one.test")));
    assert!(!judge(&[], None));
    assert!(judge(&[], Some("alice@one.test")));
}

#[test]
fn a_failed_look_up_is_temporary() {
    let matter = RecipientMatter {
        login: None,
        submission: false,
        reverse_path: ReversePath::Null,
        recipient: ForwardPath::Mailbox(mailbox("alice@one.test")),
    };
    let mut facts = Facts::new();
    let question = Question::OurDomain(Domain::parse("one.test", false).unwrap());
    facts.learn(question, Fact::local(FactAnswer::Failed(crate::decision::Failure::Temporary)));
    let Decision::Known(verdict) = super::recipient(&matter, &facts) else {
        panic!("undecided")
    };
    assert_eq!(
        verdict.outcome,
        Err(refusal(
            451,
            [4, 3, 0],
            "the recipient cannot be looked up now, try again later"
        ))
    );
}
