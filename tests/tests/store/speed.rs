//! How fast the committer alone is: a disk that takes everything at once, 64 clients, a thousand accounts, bodies of 8 KiB.
//! `cargo test --release -p pillarbox-tests --test store speed -- --ignored --nocapture`

use std::time::Instant as Clock;

use pillarbox_core::machine::{Input, Machine, Output};
use pillarbox_core::store::committer::ask::{Ask, DiskReply, Notice, Value};
use pillarbox_core::store::committer::{Committer, Settings};
use pillarbox_core::store::disk::{DiskOp, DiskValue};
use pillarbox_core::store::request::{Reply, Request, Submission};
use pillarbox_core::store::{AccountId, MailboxId};
use pillarbox_core::time::Now;
use pillarbox_tests::disk::StrictDisk;

use super::workload;

const CLIENTS: u64 = 64;
const ACCOUNTS: u64 = 1000;
const MESSAGES: u64 = 100_000;

fn account(number: u64) -> AccountId {
    let mut id = [0; 16];
    id[..8].copy_from_slice(&(number + 1).to_be_bytes()); // zeros are the queue
    id[0] = (number % 256) as u8;
    AccountId(id)
}

/// Polls to rest, answering the disk at once; how many replies came.
fn settle(committer: &mut Committer, disk: &mut StrictDisk, running: &mut bool) -> u64 {
    let mut replies = 0;
    loop {
        match committer.poll() {
            Output::Ask(Ask::Disk { op, then, .. }) => {
                let writes = matches!(op, DiskOp::Write { .. } | DiskOp::DataSync(_) | DiskOp::SyncAll);
                let done = if *running && writes {
                    Ok(DiskValue::Done)
                } else {
                    disk.perform(&op)
                };
                let answer = then.answer::<Value>(DiskReply(done));
                committer.handle(Now::default(), Input::Answer(answer));
            }
            Output::Ask(Ask::Reply { reply, .. }) => {
                assert!(!matches!(reply, Reply::Refused(_)), "{reply:?}");
                replies += 1;
            }
            Output::Ask(Ask::Ready(_)) => *running = true,
            Output::Ask(Ask::Stop(why)) => panic!("{why}"),
            Output::Ask(Ask::Notify { .. } | Ask::Queue(_) | Ask::Hold { .. } | Ask::Release { .. }) => {}
            Output::Wait(_) => return replies,
            Output::Body(_) | Output::Close(_) => panic!("it works on"),
        }
    }
}

#[test]
#[ignore = "a measurement, not a test"]
fn speed_of_the_committer() {
    let settings = Settings {
        free_bytes_min: 0,
        free_percent_min: 0,
        ..Settings::default()
    };
    let (mut disk, mut running) = (StrictDisk::new(), false);
    let mut committer = Committer::new(settings, 0, Now::default());
    settle(&mut committer, &mut disk, &mut running);
    let mut ticket = 0;
    let mut submit = |committer: &mut Committer, request: Request| {
        ticket += 1;
        committer.handle(Now::default(), Input::Notice(Notice::Submit(Submission { ticket, request })));
    };
    for number in 0..ACCOUNTS {
        let mut request = workload::create(account(number));
        if let Request::CreateAccount { mailboxes, .. } = &mut request {
            for (index, new) in mailboxes.iter_mut().enumerate() {
                new.mailbox = MailboxId(account(number * 2 + index as u64).0);
            }
        }
        submit(&mut committer, request);
        settle(&mut committer, &mut disk, &mut running);
    }
    let body = vec![b'x'; 8192];
    let requests: Vec<Request> = (0..MESSAGES)
        .map(|number| workload::simple(account(number * 7919 % ACCOUNTS), &body).request)
        .collect();
    let clock = Clock::now();
    let (mut sent, mut done) = (0, 0);
    for request in requests {
        submit(&mut committer, request);
        sent += 1;
        if sent - done == CLIENTS {
            done += settle(&mut committer, &mut disk, &mut running);
        }
    }
    done += settle(&mut committer, &mut disk, &mut running);
    assert_eq!(done, MESSAGES);
    let seconds = clock.elapsed().as_secs_f64();
    println!("{MESSAGES} messages in {seconds:.2} s: {:.0}/s", MESSAGES as f64 / seconds);
}
