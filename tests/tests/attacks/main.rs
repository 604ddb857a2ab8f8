//! Attacks that go through a whole session (ids: `core/SECURITY.md`).

#[path = "../smtp_session/support.rs"]
#[allow(dead_code, unused_imports)]
mod support;

mod accounts;
mod chunks;
mod foreign;
