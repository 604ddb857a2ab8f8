//! # Pillarbox core
//!
//! A mail server's protocol core that does no IO: bytes in, events out. No sockets, files, clocks, threads, logs or random
//! sources; `no_std` + `alloc`, no unsafe code. The same bytes, answers and clock give the same output, every time: in the
//! server, in a test, in a replay.
//!
//! Reading order:
//!
//! 1. [`machine`]: the contract that every state machine keeps. [`decision`]: the shape of every decision.
//!    [`record`], [`script`]: how both are written down.
//! 2. [`limits`]: every bound, with its reason.
//! 3. [`bytes`], [`address`], [`message`]: syntax and folds.
//! 4. [`smtp`], [`sasl`], [`imap`]: the protocols. Each has syntax, and a `server` machine.
//! 5. [`policy`][]: decisions. [`dns`]: how names are asked for. [`setup`]: what mail programs are told.
//! 6. [`store`]: the journal, the committer (a machine too) and the mailbox model.
//! 7. [`delivery`], [`dns`]: where mail goes and when, the scheduler (a machine), reports; whom to ask of names, and what to believe.
//! 8. [`trace`]: how a session is recorded, and replayed byte for byte.
//!
//! A runnable example: `cargo run -p pillarbox-core --example smtp_stdio`.
#![no_std]
#![forbid(unsafe_code)]

extern crate alloc;

pub mod decision;
pub mod limits;
pub mod machine;
pub mod record;
pub mod script;
pub mod secret;
pub mod time;

pub mod address;
pub mod bytes;
pub mod message;

pub mod imap;
pub mod sasl;
pub mod smtp;

pub mod delivery;
pub mod dns;
pub mod policy;
pub mod setup;
pub mod store;

pub mod trace;
