//! SMTP (RFC 5321): commands, replies, dot-stuffing, and the server session.

pub mod client;
pub mod command;
pub mod dot;
pub mod extension;
pub mod reply;
pub mod server;
