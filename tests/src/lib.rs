//! Pillarbox's tests: the script runner, the simulated environment, foreign clients, benchmarks.

pub mod script;
