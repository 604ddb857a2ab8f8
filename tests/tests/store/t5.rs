//! T5: bits that rot while the server is down. The next start either finds everything, or refuses loudly; it never loses silently.

use pillarbox_core::store::disk::DiskPath;
use pillarbox_tests::disk::StrictDisk;
use pillarbox_tests::rng::Rng;

use super::t1::SETTINGS;
use super::world::{State, World};

/// What became of one rotten byte.
#[derive(PartialEq, Eq)]
enum Outcome {
    Whole,
    Refused(String),
}

/// A store that worked for a while, and was stopped cleanly or killed at rest.
fn used(rng: &mut Rng, clean: bool) -> World {
    let mut world = World::new(StrictDisk::new(), SETTINGS);
    let sizes = world.sizes(800, 0);
    world.run_to_rest().expect("a sound disk");
    for _ in 0..60 {
        let wanted = world.draw(rng, sizes);
        world.submit(wanted).expect("a submission");
        world.run_to_rest().expect("a sound disk");
    }
    if clean {
        world.shutdown().expect("a stop");
        world.run_to_rest().expect("a stop");
    }
    world
}

fn start(world: &mut World) -> Result<Outcome, String> {
    world.restart(None);
    world.run_to_rest()?;
    match &world.state {
        State::Running => world.check_recovered().map(|()| Outcome::Whole),
        State::Failed(why) => Ok(Outcome::Refused(why.clone())),
        State::Starting | State::Closed => Err("it neither starts nor refuses".into()),
    }
}

fn rot(world: &mut World, path: &DiskPath, rng: &mut Rng) {
    world.disk.rot(path, |bytes| {
        let at = rng.index(bytes.len());
        bytes[at] ^= 1 << rng.below(8);
    });
}

fn some(world: &World, rng: &mut Rng, of: impl Fn(&str) -> bool) -> Option<DiskPath> {
    let paths: Vec<DiskPath> = world.disk.paths().into_iter().filter(|path| of(&path.0)).collect();
    (!paths.is_empty()).then(|| rng.pick(&paths).clone())
}

#[test]
fn t5_an_index_rots() {
    let mut refused = 0;
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let clean = rng.percent(50);
        let mut world = used(&mut rng, clean);
        let Some(path) = some(&world, &mut rng, |path| path.contains("index.")) else {
            continue;
        };
        rot(&mut world, &path, &mut rng);
        match start(&mut world).unwrap_or_else(|why| panic!("seed {seed}, {path}: {why}")) {
            Outcome::Whole => {}
            Outcome::Refused(why) => {
                assert!(why.contains("index"), "{why}");
                refused += 1;
            }
        }
    }
    assert!(refused > 15, "only {refused} of 300 were refused");
}

/// Behind the checkpoint the journal is the only copy. Every record but those of the last batch is missed when it rots.
#[test]
fn t5_the_committed_middle_of_the_journal_rots() {
    let mut refused = 0;
    for seed in 0..300 {
        let mut rng = Rng::new(seed);
        let mut world = used(&mut rng, false);
        let last = world.last_ring_write().clone();
        let Some(path) = some(&world, &mut rng, |path| path.ends_with(".j")) else {
            continue;
        };
        world.disk.rot(&path, |bytes| {
            let end = if path == last.0 { last.1 as usize } else { bytes.len() };
            if end > 0 {
                let at = rng.index(end);
                bytes[at] ^= 1 << rng.below(8);
            }
        });
        match start(&mut world).unwrap_or_else(|why| panic!("seed {seed}, {path}: {why}")) {
            Outcome::Whole => {}
            Outcome::Refused(why) => {
                assert!(why.contains("journal is corrupt"), "{why}");
                refused += 1;
            }
        }
    }
    assert!(refused > 3, "only {refused} of 300 were refused");
}

#[test]
fn t5_a_checkpoint_slot_rots() {
    for seed in 0..100 {
        let mut rng = Rng::new(seed);
        let clean = rng.percent(50);
        let mut world = used(&mut rng, clean);
        let path = pillarbox_core::store::layout::checkpoint();
        rot(&mut world, &path, &mut rng);
        start(&mut world).unwrap_or_else(|why| panic!("seed {seed}: {why}"));
    }
}

#[test]
fn t5_a_store_of_another_version_is_refused() {
    let mut world = used(&mut Rng::new(1), true);
    world.disk.rot(&pillarbox_core::store::layout::version(), |bytes| {
        bytes.clear();
        bytes.extend(b"pillarbox store 2\n");
    });
    match start(&mut world) {
        Ok(Outcome::Refused(why)) => assert!(why.contains("not a store of this version"), "{why}"),
        Ok(Outcome::Whole) => panic!("it started"),
        Err(why) => panic!("{why}"),
    }
}
