//! T2: every sequence of a few operations, cut off at every operation of the disk.
//!
//! Each operation waits for its reply, as one client's do; [`Op::Settle`] lets time pass, so that frames and indexes are written, or
//! a checkpoint is done. A sequence is cut off from its last operation on, until a checkpoint covers it: the cuts before that are
//! those of the shorter sequences. `PILLARBOX_DEPTH=4` tries all sequences of four (ten seconds of one core); the default is three (one second).

use pillarbox_core::store::Flags;
use pillarbox_core::store::MailboxKey;
use pillarbox_core::store::queue::{QueueId, RowState};
use pillarbox_core::store::request::{FlagChange, FlagHow, Request};
use pillarbox_tests::disk::StrictDisk;
use pillarbox_tests::rng::Rng;

use super::model::{Model, Wanted};
use super::t1::{SETTINGS, number};
use super::workload;
use super::world::{Lie, State, World};

/// What a sequence is made of. One more is a variant, its place in [`OPS`], and its requests in [`Op::requests`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Op {
    /// A message comes into INBOX.
    Deliver,
    /// Every message in INBOX gets `\Deleted`.
    Flag,
    /// Those that have it go.
    Expunge,
    /// A message comes into INBOX and the queue.
    Queue,
    /// The oldest open row of the queue ends.
    Done,
    /// The oldest open row fails, and the report is queued.
    Report,
    /// Time passes until something is due.
    Settle,
}

const OPS: [Op; 7] = [
    Op::Deliver,
    Op::Flag,
    Op::Expunge,
    Op::Queue,
    Op::Done,
    Op::Report,
    Op::Settle,
];

impl Op {
    fn requests(self, world: &World, place: usize) -> Vec<Wanted> {
        let account = workload::account(0);
        let mailbox = MailboxKey {
            account,
            mailbox: workload::mailbox(account, 0),
        };
        let plain = |request| vec![Wanted { request, big: None }];
        let text = format!("Subject: {self:?} at {place}\r\n\r\n");
        match self {
            Op::Deliver => vec![workload::simple(account, text.as_bytes())],
            Op::Flag => plain(Request::SetFlags {
                mailbox,
                uids: (1..10).map(pillarbox_core::store::Uid).collect(),
                change: FlagChange {
                    how: FlagHow::Add,
                    flags: Flags::DELETED,
                    keywords: Vec::new(),
                },
                unchanged_since: None,
                origin: 0,
            }),
            Op::Expunge => plain(Request::Expunge {
                mailbox,
                uids: None,
                origin: 0,
            }),
            Op::Queue => {
                let mut wanted = workload::queued(text.as_bytes(), Vec::new());
                let local = workload::simple(account, text.as_bytes());
                if let (Request::Place { placements, .. }, Request::Place { placements: to, .. }) =
                    (&mut wanted.request, local.request)
                {
                    *placements = to;
                }
                vec![wanted]
            }
            Op::Done => oldest(&world.acknowledged).map_or_else(Vec::new, |(id, row)| {
                plain(Request::ChangeQueue(vec![workload::change(id, row, RowState::Relayed)]))
            }),
            Op::Report => oldest(&world.acknowledged).map_or_else(Vec::new, |(id, row)| {
                let failed = workload::change(id, row, RowState::Failed);
                vec![workload::queued(text.as_bytes(), vec![failed])]
            }),
            Op::Settle => Vec::new(),
        }
    }
}

fn oldest(model: &Model) -> Option<(QueueId, u32)> {
    let messages = model.queue.messages.values().filter(|message| message.is_open());
    let oldest = messages.min_by_key(|message| message.id)?;
    let row = oldest.rows.iter().position(|row| !row.state.is_over())?;
    Some((oldest.id?, row as u32))
}

#[derive(Debug, Default)]
struct Count {
    sequences: u64,
    cuts: u64,
    kept: u64,
    checkpoints: u64,
}

#[test]
fn t2_every_sequence_cut_everywhere() {
    let depth = number("PILLARBOX_DEPTH").unwrap_or(3) as u32;
    let base = made();
    let mut count = Count::default();
    for sequence in sequences(depth) {
        if let Err(why) = run(&base, &sequence, Lie::None, &mut count) {
            panic!("{sequence:?}: {why}");
        }
    }
    println!("depth {depth}: {count:?}");
    let all: u64 = (1..=depth).map(|length| (OPS.len() as u64).pow(length)).sum();
    assert_eq!(count.sequences, all);
    assert!(count.cuts >= 8 * count.sequences, "hardly any cuts: {count:?}");
    assert!(
        count.kept >= count.sequences / 4,
        "hardly ever was an unacknowledged request kept: {count:?}"
    );
    assert!(
        count.checkpoints >= count.sequences,
        "hardly any checkpoint was cut off: {count:?}"
    );
}

fn sequences(depth: u32) -> impl Iterator<Item = Vec<Op>> {
    let of = |length| {
        (0..OPS.len().pow(length)).map(move |which| {
            let places = 0..length;
            places.map(|place| OPS[which / OPS.len().pow(place) % OPS.len()]).collect()
        })
    };
    (1..=depth).flat_map(of)
}

/// A disk that lies is noticed by some sequence of two.
#[test]
fn t2_notices_lies() {
    let base = made();
    for lie in [Lie::NoRingSync, Lie::NoSyncAll] {
        let noticed = sequences(2).find_map(|sequence| run(&base, &sequence, lie, &mut Count::default()).err());
        assert!(noticed.is_some(), "{lie:?} was not noticed");
    }
}

/// A store with one account, at rest.
fn made() -> (StrictDisk, Model) {
    let mut world = World::new(StrictDisk::new(), SETTINGS);
    let request = workload::create(workload::account(0));
    let make = |world: &mut World| {
        world.run_to_rest()?;
        world.submit(Wanted { request, big: None })?;
        world.run_to_rest()?;
        world.shutdown()?;
        world.run_to_rest()
    };
    make(&mut world).expect("a sound disk");
    assert_eq!(world.state, State::Closed);
    (world.disk, world.acknowledged)
}

fn resumed(disk: &StrictDisk, acknowledged: &Model) -> World {
    let mut world = World::new(disk.clone(), SETTINGS);
    (world.acknowledged, world.pending) = (acknowledged.clone(), acknowledged.clone());
    world
}

fn run(base: &(StrictDisk, Model), sequence: &[Op], lie: Lie, count: &mut Count) -> Result<(), String> {
    let mut world = resumed(&base.0, &base.1);
    world.lie = lie;
    world.run_to_rest()?;
    count.sequences += 1;
    let (last, before) = sequence.split_last().expect("a sequence has an operation");
    for (place, op) in before.iter().enumerate() {
        begin(&mut world, *op, place)?;
        world.run_to_rest()?;
    }
    begin(&mut world, *last, before.len())?;
    cut_on_the_way(&mut world, count)?;
    // Behind every sequence what was gathered goes to its place, then a checkpoint is done.
    for _ in 0..2 {
        world.pass_time(true)?;
        cut_on_the_way(&mut world, count)?;
    }
    match world.open.len() {
        0 => world.check_recovered(),
        open => Err(format!("{open} requests are never answered")),
    }
}

/// Works until nothing is left to do, and cuts before each step.
fn cut_on_the_way(world: &mut World, count: &mut Count) -> Result<(), String> {
    loop {
        if !matches!(world.state, State::Running) {
            return Err(format!("it stopped: {:?}", world.state));
        }
        cut(world, count)?;
        if world.undelivered() > 0 {
            world.deliver(0)?;
        } else if let Some(lane) = world.busy_lanes().first() {
            world.perform(*lane);
        } else {
            return Ok(());
        }
    }
}

/// The requests of an operation, or time until something is due: first what was gathered goes to its place, then a checkpoint.
fn begin(world: &mut World, op: Op, place: usize) -> Result<(), String> {
    if op == Op::Settle {
        return world.pass_time(true);
    }
    for wanted in op.requests(world, place) {
        world.submit(wanted)?;
    }
    Ok(())
}

/// The process is killed, or the power goes with nothing, some or all of what is pending kept: each time everything acknowledged is
/// there, and what was not is there whole or not at all.
fn cut(world: &World, count: &mut Count) -> Result<(), String> {
    count.cuts += 1;
    count.checkpoints += u64::from(world.in_checkpoint());
    for seed in 0..3 {
        let mut after = resumed(&world.disk, &world.acknowledged);
        after.open = world.open.clone();
        (after.ids, after.ticket) = (world.ids.clone(), world.ticket);
        let mut power = Rng::new(seed);
        after.restart((seed > 0).then_some(&mut power));
        after.run_to_rest()?;
        if after.state != State::Running {
            return Err(format!(
                "cut {}, crash {seed}: it does not start: {:?}",
                count.cuts, after.state
            ));
        }
        let checked = after.check_recovered();
        checked.map_err(|why| format!("cut {}, crash {seed}: {why}", count.cuts))?;
        count.kept += after.counters.unacknowledged_kept;
    }
    Ok(())
}
