//! Byte-level syntax: base64, CRC-32C, modified UTF-7.

pub mod base64;
pub mod crc;
pub mod utf7;
