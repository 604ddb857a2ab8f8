//! Pack frames: text that people can read, and that an index can be rebuilt from.
//!
//! ```text
//! @M1 <len> <prefix-len> <uid> <mailbox-id> <email-id> <internal-date> <flags> <crc32c> CRLF
//! prefix body CRLF
//! ```
//!
//! `len` counts the body; a big body's frame is a *stub*: `big:<len>` in its place, and no body follows. `internal-date` is in
//! seconds since 1970, `flags` a number, `crc32c` the message's ([`checksum`]), in hexadecimal.
//!
//! A message of the queue that ended before it was settled leaves a gap in its pack (zeros; after a power loss perhaps anything), so a
//! frame there need not begin behind CRLF. Those frames say what was sent, not to whom: the queue's rows cannot be rebuilt from them.

use alloc::format;
use alloc::string::String;

use super::MailboxId;
use super::operation::{Copied, Place, Queued};
use crate::bytes::crc::crc32c;

/// The checksum of a message: CRC-32C of its body, exclusive or that of its prefix. So a body's is computed once, wherever it goes,
/// and neither part can change unnoticed.
#[must_use]
pub fn checksum(prefix: &[u8], body_crc: u32) -> u32 {
    body_crc ^ crc32c(prefix)
}

/// The text line of a copy's frame, with its CRLF.
pub fn line(place: &Place, copy: &Copied) -> String {
    let big = if place.big { "big:" } else { "" };
    format!(
        "@M1 {big}{} {} {} {} {} {} {} {:08x}\r\n",
        place.body_len,
        copy.prefix.len(),
        copy.uid,
        copy.mailbox.mailbox,
        copy.email_id,
        copy.internal_date.seconds(),
        copy.flags,
        checksum(&copy.prefix, place.body_crc)
    )
}

/// The text line of a queued message's frame, with its CRLF: UID 0, and the queue's id in place of a mailbox's.
pub fn queued_line(place: &Place, queued: &Queued) -> String {
    let big = if place.big { "big:" } else { "" };
    format!(
        "@M1 {big}{} {} 0 {} {} {} 0 {:08x}\r\n",
        place.body_len,
        queued.entered.prefix.len(),
        MailboxId(u128::from(queued.id.0).to_be_bytes()),
        queued.email_id,
        queued.entered.arrived.seconds(),
        checksum(&queued.entered.prefix, place.body_crc)
    )
}

/// What a frame's line says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FrameLine {
    /// Octets of the body.
    pub body_len: u64,
    /// Whether the body is a file of its own.
    pub big: bool,
    /// Octets of the prefix.
    pub prefix_len: usize,
    /// UID at the time of writing.
    pub uid: u32,
    /// The body's CRC-32C.
    pub crc: u32,
}

/// Reads a frame's line (without CRLF); `None` when it is none.
pub fn parse_line(line: &[u8]) -> Option<FrameLine> {
    let mut words = core::str::from_utf8(line).ok()?.split(' ');
    if words.next()? != "@M1" {
        return None;
    }
    let len = words.next()?;
    let big = len.strip_prefix("big:");
    let frame = FrameLine {
        body_len: big.unwrap_or(len).parse().ok()?,
        big: big.is_some(),
        prefix_len: words.next()?.parse().ok()?,
        uid: words.next()?.parse().ok()?,
        crc: u32::from_str_radix(words.nth(4)?, 16).ok()?,
    };
    words.next().is_none().then_some(frame)
}
