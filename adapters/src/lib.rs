//! Pillarbox's adapters: they bind the sans-IO core to a runtime, sockets, DNS and disks.
//!
//! Two layers. `os` names the operating system and smol; nothing else does. Everything else is wiring over the [`env::Env`]
//! that `os` implements, and runs as well over the simulated one in the `tests` package. The command line stands above both.

pub mod accounts;
pub mod cli;
pub mod config;
pub mod control;
pub mod decide;
pub mod drive;
pub mod env;
pub mod explain;
pub mod facts;
pub mod hosts;
pub mod http;
pub mod listen;
pub mod os;
pub mod proxy;
pub mod resolver;
pub mod server;
pub mod setup;
pub mod trace;
