//! SMTP (RFC 5321): commands, replies, dot-stuffing, chunks, and the sessions of either side.

pub mod chunk;
pub mod client;
pub mod command;
pub mod dot;
pub mod extension;
pub mod parameter;
pub mod reply;
pub mod server;
