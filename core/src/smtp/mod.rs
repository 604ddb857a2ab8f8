//! SMTP (RFC 5321): commands, replies, dot-stuffing, and the server session.

pub mod server;
