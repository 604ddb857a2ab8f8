//! Byte-level syntax: base64, CRC-32C, UTF-8 in pieces, modified UTF-7.

pub mod base64;
pub mod crc;
pub mod utf7;
pub mod utf8;
