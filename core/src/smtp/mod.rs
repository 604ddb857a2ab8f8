//! SMTP (RFC 5321): commands, replies, dot-stuffing, the server session and the client session.

pub mod client;
pub mod command;
pub mod dot;
pub mod extension;
pub mod reply;
pub mod server;
