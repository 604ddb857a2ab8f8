//! T3: operations that fail, once or from then on, at any point of a store's life: nothing acknowledged is lost, nothing is replied
//! after the journal failed, and when the disk is sound again the store goes on (R11).

use pillarbox_core::store::disk::{DiskError, DiskOp};
use pillarbox_core::store::queue::RowState;
use pillarbox_core::store::request::Request;
use pillarbox_tests::disk::{Fault, StrictDisk, When};
use pillarbox_tests::rng::Rng;

use super::model::Wanted;
use super::t1::{SETTINGS, number};
use super::workload;
use super::world::{Counters, State, World};

const ERRORS: [DiskError; 4] = [DiskError::Io, DiskError::Full, DiskError::TooManyFiles, DiskError::Denied];

#[test]
fn t3_any_operation_fails() {
    let seeds = number("PILLARBOX_SEED").map_or(0..number("PILLARBOX_SEEDS").unwrap_or(1000), |seed| seed..seed + 1);
    let (mut all, count) = (Counters::default(), seeds.end - seeds.start);
    for seed in seeds {
        let mut world = World::new(StrictDisk::new(), SETTINGS);
        if let Err(why) = fail_somewhere(&mut world, &mut Rng::new(seed)) {
            let mut again = World::new(StrictDisk::new(), SETTINGS);
            again.log = Some(Vec::new());
            _ = fail_somewhere(&mut again, &mut Rng::new(seed));
            panic!("seed {seed}: {why}\n\n{}", again.log.unwrap_or_default().join("\n"));
        }
        all.add(&world.counters);
    }
    println!("{all:#?}");
    if count > 100 {
        assert!(all.stops >= count / 10, "the journal hardly ever failed");
        assert!(all.refused >= count / 20, "mail was hardly ever refused");
    }
}

fn fail_somewhere(world: &mut World, rng: &mut Rng) -> Result<(), String> {
    let persistent = rng.percent(50);
    let error = *rng.pick(&ERRORS);
    if rng.percent(20) {
        // Already while the store is made or read.
        let at = rng.below(60);
        world.disk.add_fault(Fault {
            when: When::At(at),
            error,
            persistent,
        });
    }
    work(world, rng, 30)?;
    if world.state == State::Running {
        let when = match rng.below(3) {
            0 => When::At(world.disk.performed() + rng.below(100)),
            1 => When::Each(|op| matches!(op, DiskOp::Write { path, .. } if !path.0.starts_with("journal"))),
            _ => When::Each(|op| {
                matches!(
                    op,
                    DiskOp::SyncAll | DiskOp::DataSync(_) | DiskOp::MakeDir(_) | DiskOp::Unlink(_)
                )
            }),
        };
        world.disk.add_fault(Fault { when, error, persistent });
        work(world, rng, 120)?;
    }
    // The disk is sound again.
    world.disk.clear_faults();
    if matches!(world.state, State::Failed(_)) {
        let mut power = rng.fork();
        world.restart(rng.percent(50).then_some(&mut power));
        world.run_to_rest()?;
        if world.state != State::Running {
            return Err(format!("it does not start again: {:?}", world.state));
        }
        world.check_recovered_some()?;
    }
    goes_on(world)
}

/// Requests, a few at a time, so that it is known which may have been refused.
fn work(world: &mut World, rng: &mut Rng, rounds: u64) -> Result<(), String> {
    let sizes = world.sizes(1500, 0);
    world.run_to_rest()?;
    for _ in 0..rounds {
        if world.state != State::Running {
            return Ok(());
        }
        for _ in 0..rng.below(4) {
            if world.open.len() < 6 && world.state == State::Running {
                let wanted = world.draw(rng, sizes);
                world.submit(wanted)?;
            }
        }
        world.run_to_rest()?;
        if world.state == State::Running && rng.percent(50) {
            world.pass_time(true)?;
            world.run_to_rest()?;
        }
    }
    Ok(())
}

/// Without a restart: what waits is done, new mail is taken, everything is in its place, and a clean stop is clean.
fn goes_on(world: &mut World) -> Result<(), String> {
    for _ in 0..20 {
        world.pass_time(true)?;
        world.run_to_rest()?;
    }
    if !world.open.is_empty() {
        return Err(format!("{} requests are never answered", world.open.len()));
    }
    let account = workload::account(0);
    world.submit(Wanted {
        request: workload::create(account),
        big: None,
    })?;
    world.run_to_rest()?;
    world.submit(workload::simple(account, b"From: a@one.test\r\n\r\nafter the fault\r\n"))?;
    let refused = world.counters.refused;
    world.run_to_rest()?;
    if !world.open.is_empty() || world.counters.refused > refused {
        return Err("new mail is refused although the disk is sound".into());
    }
    world.check_recovered()?;
    world.shutdown()?;
    world.run_to_rest()?;
    if world.state != State::Closed {
        return Err(format!("it does not stop: {:?}", world.state));
    }
    let replayed = world.counters.replayed;
    world.restart(Some(&mut Rng::new(0)));
    world.run_to_rest()?;
    if world.counters.replayed != replayed {
        return Err("after a clean stop something was replayed".into());
    }
    world.check_recovered()
}

/// T9 on the simulated disk: the disk fills up; mail is refused, flags and expunges go on, and when there is room mail is taken.
#[test]
fn t9_a_full_disk() {
    for seed in 0..50 {
        let (mut world, mut rng) = (World::new(StrictDisk::new(), SETTINGS), Rng::new(seed));
        let outcome = fill(&mut world, &mut rng);
        outcome.unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

fn fill(world: &mut World, rng: &mut Rng) -> Result<(), String> {
    work(world, rng, 10)?;
    world.submit(Wanted {
        request: workload::create(workload::account(0)),
        big: None,
    })?;
    world.run_to_rest()?;
    world.submit(workload::queued(b"queued before", Vec::new()))?;
    world.run_to_rest()?;
    world.disk.set_capacity(world.disk.used() + 5000);
    let mut tries = 0;
    while world.counters.refused == 0 {
        tries += 1;
        if tries > 300 {
            return Err("mail was never refused".into());
        }
        world.submit(workload::simple(workload::account(0), &[b'x'; 700]))?;
        world.run_to_rest()?;
        world.pass_time(true)?;
        world.run_to_rest()?;
    }
    // The ring has room: what makes room is still done.
    let acknowledged = world.counters.acknowledged;
    for request in workload::delete_all(workload::account(0)) {
        world.submit(Wanted { request, big: None })?;
    }
    world.run_to_rest()?;
    if world.counters.acknowledged != acknowledged + 2 {
        return Err("flags and expunges wait for a full disk".into());
    }
    // So is what the queue does: a row ends, and a report leaves with the failure that it reports. New mail for it is refused.
    let id = world.open_row().ok_or("nothing is queued")?;
    let (acknowledged, refused, reports) = (world.counters.acknowledged, world.counters.refused, world.counters.reports);
    world.submit(workload::queued(b"new mail", Vec::new()))?;
    world.submit(workload::queued(b"a report", vec![workload::change(id, 0, RowState::Failed)]))?;
    world.submit(Wanted {
        request: Request::ChangeQueue(vec![workload::change(id, 1, RowState::Relayed)]),
        big: None,
    })?;
    world.run_to_rest()?;
    let done = (world.counters.refused - refused, world.counters.acknowledged - acknowledged);
    if done != (1, 2) || world.counters.reports != reports + 1 {
        return Err(format!("on a full disk {done:?} were refused and done, must be (1, 2)"));
    }
    world.look_at_queue()?;
    let mut power = rng.fork();
    if rng.percent(30) {
        world.disk.set_capacity(1 << 40);
        world.restart(Some(&mut power));
        world.run_to_rest()?;
        world.check_recovered()?;
    }
    world.disk.set_capacity(1 << 40);
    goes_on(world)
}

/// A store that stops while it cannot settle leaves the journal as it is; the next start settles it.
#[test]
fn a_stop_with_a_full_disk() {
    let (mut world, mut rng) = (World::new(StrictDisk::new(), SETTINGS), Rng::new(3));
    work(&mut world, &mut rng, 10).expect("a sound disk");
    world.disk.add_fault(Fault {
        when: When::Each(|op| matches!(op, DiskOp::Write { path, .. } if path.0.ends_with(".pack"))),
        error: DiskError::Full,
        persistent: true,
    });
    work(&mut world, &mut rng, 5).expect("a disk that takes no frames");
    world.shutdown().expect("a stop");
    world.run_to_rest().expect("a stop");
    assert_eq!(world.state, State::Closed);
    assert!(world.open.is_empty(), "everyone was answered");
    world.restart(Some(&mut Rng::new(9)));
    world.run_to_rest().expect("a start");
    world.check_recovered().expect("everything acknowledged");
}

/// Queries that come before recovery has ended wait for it: what has not been read is not empty.
#[test]
fn queries_wait_for_recovery() {
    let (mut world, mut rng) = (World::new(StrictDisk::new(), SETTINGS), Rng::new(4));
    work(&mut world, &mut rng, 20).expect("a sound disk");
    let request = workload::create(workload::account(0));
    world.submit(Wanted { request, big: None }).expect("a submission");
    world.run_to_rest().expect("a sound disk");
    world.restart(None);
    world.settle().expect("it begins");
    assert_eq!(world.state, State::Starting);
    let early = world.ask(Request::Mailboxes(workload::account(0)));
    assert_eq!(early, Err("a query was not answered at once".into()));
    world.run_to_rest().expect("it starts");
    assert!(matches!(
        world.last_answer(),
        Some(pillarbox_core::store::request::Reply::Mailboxes(_))
    ));
}
