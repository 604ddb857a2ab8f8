//! T12: the oracle notices. Each lie of a disk or a host breaks a promise; a test that does not see it is worth nothing.

use std::sync::Arc;

use pillarbox_core::store::Flags;
use pillarbox_core::store::queue::RowState;
use pillarbox_tests::disk::StrictDisk;
use pillarbox_tests::rng::Rng;

use super::model::{Model, Wanted};
use super::t1;
use super::workload::{self, Sizes};
use super::world::{LIES, Lie};

/// Seeds after which a lie that nobody noticed is a failure.
const SEEDS: u64 = 4000;

#[test]
fn t12_every_lie_is_noticed() {
    for lie in LIES {
        // This one needs a kill, a start that is cut off at the right moment, and a power loss: about one seed in 1500.
        let first = if lie == Lie::NoFirmEnd { 1400 } else { 0 };
        let (counters, caught) = t1::run_all(first..first + SEEDS, lie);
        let Some((seed, why)) = caught else {
            panic!("{lie:?} was not noticed in {SEEDS} seeds");
        };
        println!(
            "{lie:?}: noticed with seed {seed}, after {} others: {}",
            counters.seeds,
            first_line(&why)
        );
    }
}

fn first_line(text: &str) -> String {
    text.chars().take(200).collect::<String>().replace('\n', " ")
}

/// Each promise is broken by hand in a state that is otherwise right.
#[test]
fn t12_every_broken_promise_is_noticed() {
    let must = some_state().visible();
    assert!(must.difference(&must).is_empty());
    let breaks: [(&str, fn(&mut Model)); 17] = [
        ("R1: a message is lost", |model| _ = rows(model).pop_first()),
        ("R1: a byte is changed", |model| {
            let row = rows(model).values_mut().next().expect("there are rows");
            let mut content = row.content.to_vec();
            content[3] ^= 1;
            row.content = content.into();
        }),
        ("R1: a message is there twice", |model| {
            let twice = rows(model).values().next().expect("there are rows").clone();
            rows(model).insert(9999, twice);
        }),
        ("R2: a UID is used again", |model| {
            let newest = rows(model).values().next_back().expect("there are rows").clone();
            let row = rows(model).values_mut().next().expect("there are rows");
            *row = newest;
        }),
        ("R2: UIDNEXT falls", |model| mailbox(model).uid_next -= 1),
        ("R2: UIDVALIDITY changes", |model| mailbox(model).uid_validity += 1),
        ("R3: HIGHESTMODSEQ falls", |model| mailbox(model).highest_mod_seq -= 1),
        ("R5: a flag reverts", |model| {
            let row = rows(model).values_mut().next().expect("there are rows");
            row.flags = Flags(row.flags.0 ^ Flags::SEEN.0);
        }),
        ("R5: a deleted mailbox comes back", |model| {
            let twin = mailbox(model).clone();
            let account = model.accounts.values_mut().next().expect("there are accounts");
            account.mailboxes.insert(pillarbox_core::store::MailboxId([0xee; 16]), twin);
        }),
        ("R5: a rename reverts", |model| {
            mailbox(model).name = pillarbox_core::store::MailboxName("as it was".into());
        }),
        ("R5: a subscription is lost", |model| {
            for account in model.accounts.values_mut() {
                account.subscriptions.pop_first();
            }
        }),
        ("R5: an account is lost", |model| _ = model.accounts.pop_first()),
        ("R7: a queued message is lost", |model| _ = model.queue.messages.pop_first()),
        ("R7: a queued byte is changed", |model| {
            let message = queued(model);
            let mut content = message.content.to_vec();
            content[3] ^= 1;
            message.content = content.into();
        }),
        ("R7: a row is relayed that nobody relayed", |model| {
            queued(model).rows[0].state = RowState::Relayed;
        }),
        ("R7: an attempt is forgotten", |model| queued(model).rows[0].attempts += 1),
        ("R7: a recipient is lost", |model| _ = queued(model).rows.pop()),
    ];
    for (promise, broken) in breaks {
        let mut real = must.clone();
        broken(&mut real);
        assert!(!must.difference(&real).is_empty(), "{promise}: not noticed");
    }
}

fn queued(model: &mut Model) -> &mut super::queue::Entered {
    model.queue.messages.values_mut().next().expect("there are queued messages")
}

fn mailbox(model: &mut Model) -> &mut super::model::MailboxModel {
    let mailboxes = model.accounts.values_mut().flat_map(|account| account.mailboxes.values_mut());
    mailboxes
        .max_by_key(|mailbox| mailbox.rows.len())
        .expect("there is a mailbox")
}

fn rows(model: &mut Model) -> &mut std::collections::BTreeMap<u32, super::model::Message> {
    &mut mailbox(model).rows
}

fn some_state() -> Model {
    let sizes = Sizes {
        small_max: 300,
        inline_max: 4096,
        big_percent: 0,
    };
    let (mut rng, mut model, mut disk) = (Rng::new(1), Model::default(), StrictDisk::new());
    for number in 0..workload::ACCOUNTS {
        let request = workload::create(workload::account(number));
        model.apply(&Wanted { request, big: None });
    }
    for _ in 0..200 {
        let wanted = workload::draw(&mut rng, &model, &model, sizes, &mut disk);
        model.apply(&wanted);
    }
    let long: Arc<[u8]> = Arc::from([0; 8]);
    assert!(rows(&mut model).values().all(|row| row.content.len() > long.len()));
    model
}
