//! Pillarbox's tests: the script runner, the simulated environment, foreign clients, benchmarks.

pub mod client;
pub mod data;
pub mod disk;
#[cfg(feature = "server")]
pub mod double;
pub mod host;
#[cfg(feature = "server")]
pub mod recording;
pub mod rng;
pub mod script;
#[cfg(feature = "server")]
pub mod sim;
pub mod sources;
#[cfg(feature = "server")]
pub mod world;
