//! The IMAP session over a mailbox in memory: exact oracle, model of the client, states and attacks.

mod binary;
mod oracle;
mod search;
mod states;
mod support;
mod view;
