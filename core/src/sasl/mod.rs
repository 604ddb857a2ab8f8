//! SASL mechanisms (RFC 4422); framing stays with the protocol.

pub mod plain;
