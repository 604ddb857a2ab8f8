//! Whole worlds, a few of them; `cargo run --release -p pillarbox-tests --bin world` runs as many as one likes.

use std::path::Path;

use pillarbox_tests::world::transition::list;
use pillarbox_tests::world::{self, chosen};

/// Seeds that failed once.
const ONCE_FAILED: [u64; 0] = [];

#[test]
fn worlds() {
    for seed in (0..30).chain(ONCE_FAILED) {
        if let Err(failed) = world::run(seed, None, false) {
            let least = world::shrink::shrink(failed, 100);
            panic!(
                "{}\nworld --seed {} --transitions {}",
                least.why,
                least.seed,
                list(&least.transitions)
            );
        }
    }
}

#[test]
fn a_seed_is_one_world() {
    let counters = |loud| world::run(7, None, loud).unwrap_or_else(|failed| panic!("{}", failed.why));
    let one = counters(false);
    assert_eq!(one, counters(false));
    assert_eq!(one, counters(true), "writing the story down changes nothing");
}

/// The worlds that the fuzzer begins with (`fuzz/world`).
#[test]
fn chosen_worlds() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/world/seeds");
    let seeds: Vec<_> = std::fs::read_dir(folder)
        .expect("seeds")
        .map(|entry| entry.expect("a seed").path())
        .collect();
    assert!(!seeds.is_empty());
    for seed in seeds {
        if let Err(failed) = chosen::run(&std::fs::read(&seed).expect("a seed")) {
            panic!("{}: {}", seed.display(), failed.why);
        }
    }
}
