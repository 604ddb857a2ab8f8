//! Pillarbox's tests: the script runner, the simulated environment, foreign clients, benchmarks.

pub mod disk;
pub mod rng;
pub mod script;
