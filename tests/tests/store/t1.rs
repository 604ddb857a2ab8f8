//! T1 and T4: random requests, random crashes (in recovery too), and after each the promises R1-R6.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use pillarbox_core::store::committer::Settings;
use pillarbox_core::store::committer::ask::Lane;
use pillarbox_tests::disk::StrictDisk;
use pillarbox_tests::rng::Rng;

use super::workload::Sizes;
use super::world::{Counters, Lie, State, World};

/// The smallest of everything, so that laps, checkpoints, new packs and compactions are many.
pub(super) const SETTINGS: Settings = Settings {
    ring_bytes: 8 * 32 * 1024,
    free_bytes_min: 0,
    free_percent_min: 0,
    unsettled_bytes: 48 * 1024,
    pack_bytes: 40 * 1024,
    index_log_bytes: 4 * 1024,
};

/// Seeds that found a fault; what each found is in the history of this line.
const ONCE_FAILED: [u64; 1] = [6789];

#[test]
fn t1_crash_anywhere() {
    if let Some(seed) = number("PILLARBOX_SEED") {
        if let Err(why) = run(seed, Lie::None) {
            panic!("{}", story(seed, Lie::None, &why));
        }
        return;
    }
    for seed in ONCE_FAILED {
        if let Err(why) = run(seed, Lie::None) {
            panic!("{}", story(seed, Lie::None, &why));
        }
    }
    let seeds = number("PILLARBOX_SEEDS").unwrap_or(1000);
    let (counters, failed) = run_all(0..seeds, Lie::None);
    println!("{counters:#?}");
    if let Some((seed, why)) = failed {
        panic!("{}", story(seed, Lie::None, &why));
    }
    // A test that never got there proves nothing.
    for (count, what) in [
        (counters.between_write_and_sync, "crashes between write and sync"),
        (counters.between_sync_and_reply, "crashes between sync and reply"),
        (counters.in_recovery, "crashes in recovery"),
        (counters.in_checkpoint, "crashes in a checkpoint"),
        (counters.torn, "torn batches"),
        (counters.unacknowledged_kept, "unacknowledged requests kept"),
        (counters.laps, "laps of the ring"),
        (counters.clean_stops, "clean stops"),
        (counters.compactions, "compactions of an index"),
        (counters.packs, "packs begun"),
        (counters.queued_alone, "messages for the queue alone"),
        (counters.queued_with_copies, "messages for the queue and mailboxes"),
        (counters.queued_big, "large messages for the queue"),
        (counters.row_changes, "changes of the queue's rows"),
        (counters.reports, "reports with the failures they report"),
        (counters.queue_unacknowledged, "unacknowledged entries kept"),
        (counters.packs_removed, "packs of the queue removed"),
        (counters.bigs_removed, "large bodies of the queue removed"),
        (counters.frames_spared, "frames that ended before they were written"),
        (counters.space_checks, "looks at the queue's space"),
    ] {
        assert!(count >= seeds / 100, "only {count} {what} in {seeds} seeds");
    }
}

pub(super) fn number(name: &str) -> Option<u64> {
    std::env::var(name)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number")))
}

/// Runs seeds on all cores until one fails.
pub(super) fn run_all(seeds: std::ops::Range<u64>, lie: Lie) -> (Counters, Option<(u64, String)>) {
    let next = AtomicU64::new(seeds.start);
    let outcome = Mutex::new((Counters::default(), None::<(u64, String)>));
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                loop {
                    let seed = next.fetch_add(1, Ordering::Relaxed);
                    if seed >= seeds.end || outcome.lock().expect("no thread panics").1.is_some() {
                        return;
                    }
                    if seed > 0 && seed.is_multiple_of(1000) {
                        println!("at seed {seed}");
                    }
                    let result = run(seed, lie);
                    let mut outcome = outcome.lock().expect("no thread panics");
                    match result {
                        Ok(counters) => outcome.0.add(&counters),
                        Err(why) => _ = outcome.1.get_or_insert((seed, why)),
                    }
                }
            });
        }
    });
    outcome.into_inner().expect("no thread panics")
}

/// One seed. A panic of the machine is a failure like any other.
pub(super) fn run(seed: u64, lie: Lie) -> Result<Counters, String> {
    let mut world = World::new(StrictDisk::new(), SETTINGS);
    world.lie = lie;
    attempt(&mut world, seed)
}

fn attempt(world: &mut World, seed: u64) -> Result<Counters, String> {
    let result = catch_unwind(AssertUnwindSafe(|| live(world, &mut Rng::new(seed))));
    match result {
        Ok(result) => result.map(|()| world.counters),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().cloned();
            let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| text.to_string()));
            Err(format!("panic: {}", text.unwrap_or_default()))
        }
    }
}

/// Runs the seed once more and writes down what happens.
pub(super) fn story(seed: u64, lie: Lie, why: &str) -> String {
    let mut world = World::new(StrictDisk::new(), SETTINGS);
    world.lie = lie;
    world.log = Some(Vec::new());
    _ = attempt(&mut world, seed);
    let log = world.log.unwrap_or_default();
    let last = log.len().saturating_sub(3000);
    format!(
        "seed {seed}: {why}\n\n{}\n\nPILLARBOX_SEED={seed} reproduces it",
        log[last..].join("\n")
    )
}

fn live(world: &mut World, rng: &mut Rng) -> Result<(), String> {
    world.counters.seeds = 1;
    let (small_max, steps) = *rng.pick(&[(300, 400), (1000, 600), (4000, 1500)]);
    let sizes = world.sizes(small_max, *rng.pick(&[0, 2, 10]));
    let lives = 2 + rng.below(4);
    for _ in 0..lives {
        start(world, rng)?;
        let steps = rng.below(steps);
        let crashes = rng.percent(85);
        for _ in 0..steps {
            step(world, rng, sizes)?;
        }
        if rng.percent(30) {
            rest(world)?;
        }
        if crashes {
            crash(world, rng);
        } else {
            stop(world, rng)?;
        }
    }
    start(world, rng)
}

/// Everything is done, a checkpoint covers it, and what the queue does not need is gone.
fn rest(world: &mut World) -> Result<(), String> {
    for _ in 0..4 {
        world.run_to_rest()?;
        world.pass_time(true)?;
    }
    world.run_to_rest()?;
    if world.lie != Lie::None {
        return Ok(());
    }
    world.look_at_queue()?;
    world.check_queue_space()
}

/// Starts, perhaps crashing several times on the way, and checks what is there.
fn start(world: &mut World, rng: &mut Rng) -> Result<(), String> {
    let mut crashes = if rng.percent(40) { rng.below(4) } else { 0 };
    let mut steps = rng.below(120);
    world.settle()?;
    while world.state == State::Starting {
        if crashes > 0 && steps == 0 {
            crashes -= 1;
            steps = rng.below(120);
            crash(world, rng);
            world.settle()?;
        }
        steps = steps.saturating_sub(1);
        work(world, rng)?;
    }
    match &world.state {
        State::Running => world.check_recovered(),
        other => Err(format!("it does not start: {other:?}")),
    }
}

fn crash(world: &mut World, rng: &mut Rng) {
    if rng.percent(75) {
        let mut power = rng.fork();
        world.restart(Some(&mut power));
    } else {
        world.restart(None);
    }
}

/// A clean stop: everything open is done, and the next start has nothing to replay.
fn stop(world: &mut World, rng: &mut Rng) -> Result<(), String> {
    world.shutdown()?;
    while world.state == State::Running {
        work(world, rng)?;
    }
    if world.state != State::Closed {
        return Err(format!("it does not stop cleanly: {:?}", world.state));
    }
    if !world.open.is_empty() {
        return Err(format!("it stopped with {} requests open", world.open.len()));
    }
    let replayed = world.counters.replayed;
    world.counters.clean_stops += 1;
    crash(world, rng);
    world.run_to_rest()?;
    match world.counters.replayed - replayed {
        0 if world.state == State::Running => {
            world.check_recovered()?;
            world.check_queue_space()
        }
        records => Err(format!("after a clean stop: {:?}, {records} records replayed", world.state)),
    }
}

fn step(world: &mut World, rng: &mut Rng, sizes: Sizes) -> Result<(), String> {
    match rng.below(20) {
        0..=6 if world.open.len() < 12 => {
            let wanted = world.draw(rng, sizes);
            world.submit(wanted)
        }
        7 => world.open_session(rng),
        8 => world.pull(rng),
        9 => world.pass_time(rng.percent(30)),
        10 => world.look_at_queue(),
        _ => work(world, rng),
    }?;
    match &world.state {
        State::Running => Ok(()),
        other => Err(format!("it stopped: {other:?}")),
    }
}

/// The disk does something, or an answer arrives; if there is neither, time passes.
fn work(world: &mut World, rng: &mut Rng) -> Result<(), String> {
    let lanes: Vec<Lane> = world.busy_lanes();
    let answers = world.undelivered();
    match (lanes.is_empty(), answers) {
        (true, 0) => world.pass_time(true),
        (false, 0) => {
            world.perform(*rng.pick(&lanes));
            Ok(())
        }
        (true, _) => world.deliver(rng.index(answers)),
        (false, _) if rng.percent(50) => {
            world.perform(*rng.pick(&lanes));
            Ok(())
        }
        (false, _) => world.deliver(rng.index(answers)),
    }
}
