//! The store on a simulated disk that keeps no more than it must: T1 (random crashes), T2 (every short sequence), T3 (failing operations), T4 (crashes during
//! recovery), T5 (bit rot), T12 (the oracle notices every lie).
//!
//! `PILLARBOX_SEEDS=20000 cargo test -p pillarbox-tests --test store t1` runs many; `PILLARBOX_SEED=n` runs one and tells its story.

mod model;
mod mutants;
mod queue;
mod session;
mod speed;
mod t1;
mod t2;
mod t3;
mod t5;
mod tree;
mod workload;
mod world;
