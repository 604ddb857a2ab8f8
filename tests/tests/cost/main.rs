//! What things cost, in operations that can be counted without a clock: allocations, octets held, stack. (Instructions:
//! `tests/benches/cost.py`.)

mod allocator;
#[path = "../../benches/cost/cases.rs"]
mod cases;
mod held;
mod pinned;

use std::thread;

use allocator::{Counted, counted};
use cases::{CASES, Case};

/// Octets of stack for every parser and session: what is deep is not on it.
const STACK: usize = 64 * 1024;

/// Law 3: twice as much input costs less than 2.5 times the allocations, and less than 2.5 times the octets allocated, of every parser
/// and command. What is constant does not count.
#[test]
fn s36_twice_as_much_allocates_twice() {
    for Case { name, size, prepare } in CASES {
        let cost = |size: usize| {
            let mut run = prepare(size);
            counted(&mut *run)
        };
        let (once, twice) = (cost(*size), cost(2 * size));
        let within = |once: usize, twice: usize, constant: usize| 2 * twice < 5 * once + 2 * constant;
        let Counted { allocations, octets, .. } = twice;
        assert!(
            within(once.allocations, allocations, 64),
            "{name}: {} and {allocations} allocations",
            once.allocations
        );
        // A buffer that doubles may have been doubled once more.
        assert!(
            within(2 * once.octets, octets, 64 * 1024),
            "{name}: {} and {octets} octets",
            once.octets
        );
    }
}

/// Each on a stack of 64 KiB, twice as large as the instructions are counted.
#[test]
fn s35_every_parser_on_64_kib_of_stack() {
    for Case { name, size, prepare } in CASES {
        let (name, size, prepare) = (*name, *size, *prepare);
        // Prepared with all the room that there is; only what is counted has to be small.
        let run = thread::Builder::new()
            .stack_size(STACK)
            .name(name.into())
            .spawn(move || prepare(2 * size)());
        run.expect("a thread").join().unwrap_or_else(|_| panic!("{name} fails"));
    }
}
