use alloc::string::ToString;

use super::*;
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
            Some("alice") => FactAnswer::Known(Known::Account(ALICE)),
            Some("bob" | "postmaster") => FactAnswer::Known(Known::Account(BOB)),
            _ => FactAnswer::Absent,
        },
        Question::Owns(account, address) => {
            yes(*account == ALICE && address.to_string().starts_with("alice") && address.to_string().ends_with("@one.test"))
        }
        Question::Mx(_) | Question::Ipv4(_) | Question::Ipv6(_) | Question::OurAddress(_) => FactAnswer::Absent,
    }
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
    verdict.outcome.map_or_else(|refused| refused.code, |_| 250)
}

/// S13: every sender, recipient, login and listener; strangers reach only our own users.
#[test]
fn s13_relay_matrix() {
    let senders = ["", "x@other.test", "alice@one.test", "bob@one.test"];
    let recipients = [
        ("alice@one.test", 250, 250),
        ("ALICE+tag@ONE.test", 250, 250),
        ("postmaster", 250, 250),
        ("nobody@one.test", 550, 550),
        ("x@other.test", 554, 550),
        ("x%other.test@one.test", 550, 550),
        ("\"x@other.test\"@one.test", 550, 550),
        ("x!other@one.test", 550, 550),
        ("bob@[192.0.2.1]", 250, 250),
        ("x@[192.0.2.1]", 554, 550),
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
