//! The scheduler's host over the simulated environment, with a made-up store and made-up servers behind it: routes, connections,
//! retries, reports, operators, a panic, the end.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use pillarbox::decide::FactSource;
use pillarbox::env::Env;
use pillarbox::hosts::scheduler::{Dispatch, Hand, Letter, Post};
use pillarbox_core::address::{Domain, Mailbox, ReversePath};
use pillarbox_core::decision::{AliasTarget, Fact, FactAnswer, Known, MxHost, Question};
use pillarbox_core::delivery::Plan;
use pillarbox_core::delivery::dsn::Ours;
use pillarbox_core::delivery::scheduler::ask::{Operation, Settings, Which};
use pillarbox_core::smtp::client::ask::Outcome;
use pillarbox_core::store::queue::{
    Enqueue, QueueId, QueueRow, QueuedMessage, QueuedRecipient, RowChange, RowState, Said, Wishes,
};
use pillarbox_core::store::{AccountId, EmailId, Location};
use pillarbox_tests::sim::{SimEnv, World};

fn mailbox(text: &str) -> Mailbox {
    Mailbox::parse(text, false).expect("an address")
}

fn domain(name: &str) -> Domain {
    Domain::parse(name, false).expect("a domain")
}

/// One line for each thing that happened.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    fn note(&self, line: String) {
        self.0.lock().expect("one thread").push(line);
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut self.0.lock().expect("one thread"))
    }
}

struct Made {
    env: SimEnv,
    journal: Journal,
}

/// one.test is ours, with alice and postmaster; every other domain has one exchanger.
struct Names;

impl FactSource for Names {
    async fn fact(&self, question: &Question) -> Fact {
        let account =
            |number, address: &Mailbox| Known::Targets(vec![AliasTarget::Account(AccountId([number; 16]), address.clone())]);
        let answer = match question {
            Question::OurDomain(asked) => (asked.as_str() == "one.test").then_some(Known::Yes),
            Question::LocalAddress(address) => match address.local.to_string().as_str() {
                "alice" => Some(account(1, address)),
                "postmaster" => Some(account(9, address)),
                _ => None,
            },
            Question::Mx(asked) => Some(Known::Mx(vec![MxHost {
                preference: 1,
                host: Some(domain(&format!("mx.{asked}"))),
            }])),
            Question::Ipv4(_) => Some(Known::Addresses(vec!["192.0.2.1".parse().expect("an address")])),
            Question::Ipv6(_) | Question::OurAddress(_) | Question::Owns(..) => None,
        };
        Fact::local(answer.map_or(FactAnswer::Absent, FactAnswer::Known))
    }
}

fn reply(code: u16, status: [u16; 3], text: &str, by: &str) -> Arc<Said> {
    Arc::new(Said {
        code,
        status,
        text: text.into(),
        by: Some(by.into()),
    })
}

impl Post for Made {
    async fn deliver(&self, plan: Arc<Plan>, hand: Hand) -> Result<(), Arc<Said>> {
        let server = plan.hops[0].name.clone();
        self.journal.note(format!("connect {} {server}", hand.number()));
        self.env
            .sleep_until(self.env.now().instant.after(Duration::from_secs(1)))
            .await;
        match &*server {
            "mx.hanging.test" => std::future::pending().await,
            "mx.dead.test" => return Err(reply(451, [4, 4, 1], "no answer", &server)),
            "mx.panic.test" => panic!("a panic in a delivery"),
            _ => {}
        }
        while let Some(handed) = hand.next().await {
            let transaction = handed.transaction;
            let results = transaction
                .recipients
                .iter()
                .map(|recipient| match recipient.address.local.to_string().as_str() {
                    "nobody" => Outcome::Failed(reply(550, [5, 1, 1], "no such user", &server)),
                    "later" => Outcome::Deferred(reply(452, [4, 2, 2], "mailbox full", &server)),
                    _ => Outcome::Relayed {
                        said: reply(250, [2, 0, 0], "taken", &server),
                        dsn: false,
                    },
                });
            let results: Vec<_> = results.collect();
            self.journal
                .note(format!("send {} to {} recipients", transaction.id.0, results.len()));
            hand.report(results).await;
        }
        Ok(())
    }

    fn commit(&self, changes: Vec<RowChange>, letter: Option<Letter>) -> impl Future<Output = bool> + Send + 'static {
        let (env, journal) = (self.env.clone(), self.journal.clone());
        let changes: Vec<_> = changes
            .iter()
            .map(|change| {
                let state = match change.state {
                    RowState::Waiting(_) => "waiting",
                    RowState::Held => "held",
                    RowState::Relayed => "relayed",
                    RowState::Failed => "failed",
                    RowState::Cancelled => "cancelled",
                    RowState::Delivered => "delivered",
                };
                format!("{}/{} {state}", change.id.0, change.recipient)
            })
            .collect();
        let letter = letter.map_or(String::new(), |letter| {
            let text = String::from_utf8_lossy(&letter.body).into_owned();
            assert!(text.contains("\r\nSubject: the original\r\n"), "{text}");
            let accounts: Vec<_> = letter.placements.iter().map(|placement| placement.account.0[0]).collect();
            let aside = if letter.set_aside { " aside" } else { "" };
            let others = letter.queued.map_or(String::new(), |queued| {
                assert_eq!(queued.reverse_path, ReversePath::Null);
                format!(" queued for {}", queued.recipients[0].address)
            });
            format!("; report to accounts {accounts:?}{aside}{others}")
        });
        async move {
            env.sleep_until(env.now().instant.after(Duration::from_millis(3))).await;
            journal.note(format!("commit {}{letter}", changes.join(", ")));
            true
        }
    }

    async fn beginning(&self, _: &QueuedMessage, _: usize) -> Vec<u8> {
        b"Subject: the original\r\n\r\nbody\r\n".to_vec()
    }

    fn facts(&self) -> impl FactSource + Send + '_ {
        Names
    }
}

fn message(env: &SimEnv, id: u64, from: &str, to: &[&str]) -> Arc<QueuedMessage> {
    let now = env.now().unix;
    Arc::new(QueuedMessage {
        id: QueueId(id),
        entered: Arc::new(Enqueue {
            message: format!("m{id}").into(),
            submitter: None,
            reverse_path: ReversePath::Mailbox(mailbox(from)),
            reportable: true,
            prefix: Arc::from(&b""[..]),
            arrived: now,
            expires: now.after(Duration::from_secs(86_400)),
            wishes: Wishes::default(),
            recipients: to.iter().map(|to| QueuedRecipient::of(mailbox(to))).collect(),
        }),
        body_len: 31,
        body_crc: 0,
        location: Location::Pack { pack: 0, offset: 0 },
        email_id: EmailId([0; 16]),
        rows: to
            .iter()
            .map(|_| QueueRow {
                state: RowState::Waiting(now),
                attempts: 0,
                delay_reported: false,
                said: None,
            })
            .collect(),
    })
}

async fn pass(env: &SimEnv, time: Duration) {
    env.sleep_until(env.now().instant.after(time)).await;
}

#[test]
fn the_host_does_what_the_machine_asks() {
    let mut world = World::new(1);
    let env = world.client();
    world.run(async move {
        let journal = Journal::default();
        let post = Arc::new(Made {
            env: env.clone(),
            journal: journal.clone(),
        });
        let ours = Ours {
            hostname: domain("mx.one.test"),
            domain: domain("one.test"),
        };
        let dispatch = Dispatch::start(&env, post, Settings::default(), ours);

        // Our own sender is told in its INBOX, a foreign one by the queue, one of ours that is gone by the postmaster.
        dispatch.entered(message(&env, 1, "alice@one.test", &["bob@two.test", "nobody@two.test"]));
        pass(&env, Duration::from_secs(5)).await;
        dispatch.entered(message(&env, 2, "carol@three.test", &["nobody@two.test"]));
        dispatch.entered(message(&env, 3, "gone@one.test", &["nobody@four.test"]));
        pass(&env, Duration::from_secs(5)).await;
        let first = journal.take();
        assert_eq!(
            first[..3],
            [
                "connect 1 mx.two.test",
                "send 1 to 2 recipients",
                "commit 1/0 relayed, 1/1 failed; report to accounts [1]"
            ]
        );
        assert!(
            first.contains(&"commit 2/0 failed; report to accounts [] queued for carol@three.test".into()),
            "{first:?}"
        );
        assert!(
            first.contains(&"commit 3/0 failed; report to accounts [9] aside".into()),
            "{first:?}"
        );

        // A dead server and a panic are tried again; a full mailbox too.
        dispatch.entered(message(
            &env,
            4,
            "alice@one.test",
            &["x@dead.test", "x@panic.test", "later@two.test"],
        ));
        pass(&env, Duration::from_secs(10)).await;
        let second = journal.take();
        for row in 0..3 {
            assert!(second.contains(&format!("commit 4/{row} waiting")), "{second:?}");
        }
        pass(&env, Duration::from_secs(7 * 60)).await;
        let third = journal.take();
        assert_eq!(
            third.iter().filter(|line| line.starts_with("connect")).count(),
            3,
            "{third:?}"
        );

        // Operators.
        assert_eq!(
            dispatch.operate(Which::Domain(domain("dead.test")), Operation::Hold).await,
            Some(1)
        );
        assert_eq!(dispatch.operate(Which::Message("m4".into()), Operation::Retry).await, Some(3));
        pass(&env, Duration::from_secs(10)).await;
        let fourth = journal.take();
        assert_eq!(
            fourth.iter().filter(|line| line.starts_with("connect")).count(),
            2,
            "{fourth:?}"
        );
        assert!(fourth.contains(&"commit 4/0 held".into()), "{fourth:?}");
        assert_eq!(dispatch.operate(Which::All, Operation::Cancel).await, Some(3));

        // The end waits for what is being sent.
        dispatch.entered(message(&env, 5, "alice@one.test", &["bob@two.test"]));
        dispatch.entered(message(&env, 6, "alice@one.test", &["x@hanging.test"]));
        pass(&env, Duration::from_millis(1001)).await;
        let begun = env.now().instant;
        dispatch.shutdown();
        dispatch.ended().await;
        assert!(
            env.now().instant.since(begun) < Duration::from_secs(1),
            "it waits for nobody who does not answer"
        );
        let last = journal.take();
        assert!(last.contains(&"commit 5/0 relayed".into()), "{last:?}");
        assert_eq!(dispatch.operate(Which::All, Operation::Cancel).await, None);
    });
}
