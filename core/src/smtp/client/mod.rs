//! The SMTP client: one machine a connection (RFC 5321 §3, §4.5.4).

pub mod ask;
