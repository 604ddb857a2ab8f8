//! The record codec.
//!
//! ```text
//! 0   magic u32        4   len u32 (all of it, padding too)
//! 8   lsn u64          16  batch u64 (lsn of the batch's first record)
//! 24  epoch u32        28  version u8, 3 zero bytes
//! 32  payload u32      36  body u32
//! 40  body crc u32     44  crc u32 (of bytes 0..44 and the payload)
//! 48  payload, body, zeros up to a multiple of 8
//! ```
//!
//! Little endian. The body is a part of its own, so that it is never copied; its CRC is computed by the session that brought it.
//! The epoch changes with every segment and every start, so that a record left over from before is never taken for a new one.

use alloc::sync::Arc;
use alloc::vec::Vec;

use super::super::Lsn;
use crate::bytes::crc::{Crc32c, crc32c};

/// Octets before the payload.
pub const HEADER: usize = 48;
const MAGIC: u32 = 0x314a_4250; // "PBJ1"
const VERSION: u8 = 1;

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// Its number.
    pub lsn: Lsn,
    /// The number of its batch's first record.
    pub batch: Lsn,
    /// The segment's epoch.
    pub epoch: u32,
}

/// Octets of a record with this payload and body.
pub fn size(payload: usize, body: usize) -> usize {
    (HEADER + payload + body).next_multiple_of(8)
}

/// A record in parts to be written one behind the other.
pub fn encode(place: Place, payload: &[u8], body: Option<(&Arc<[u8]>, u32)>) -> Vec<Arc<[u8]>> {
    let (body_len, body_crc) = body.map_or((0, crc32c(b"")), |(body, crc)| (body.len(), crc));
    let whole = size(payload.len(), body_len);
    let mut head = Vec::with_capacity(HEADER + payload.len() + 8);
    let number = |n: usize| u32::try_from(n).expect("a record is below 4 GiB").to_le_bytes();
    head.extend_from_slice(&MAGIC.to_le_bytes());
    head.extend_from_slice(&number(whole));
    head.extend_from_slice(&place.lsn.0.to_le_bytes());
    head.extend_from_slice(&place.batch.0.to_le_bytes());
    head.extend_from_slice(&place.epoch.to_le_bytes());
    head.extend_from_slice(&[VERSION, 0, 0, 0]);
    head.extend_from_slice(&number(payload.len()));
    head.extend_from_slice(&number(body_len));
    head.extend_from_slice(&body_crc.to_le_bytes());
    let mut crc = Crc32c::new();
    crc.update(&head);
    crc.update(payload);
    head.extend_from_slice(&crc.finish().to_le_bytes());
    head.extend_from_slice(payload);
    let padding = whole - HEADER - payload.len() - body_len;
    match body {
        None => {
            head.resize(whole, 0);
            alloc::vec![head.into()]
        }
        Some((body, _)) => {
            let mut parts = alloc::vec![head.into(), body.clone()];
            if padding > 0 {
                parts.push(alloc::vec![0; padding].into());
            }
            parts
        }
    }
}

/// A record as read back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Read<'a> {
    /// Where it stands.
    pub place: Place,
    /// Octets of it.
    pub len: usize,
    /// Its payload.
    pub payload: &'a [u8],
    /// Its body.
    pub body: &'a [u8],
}

/// Reads the record at the start of `bytes`; `None` when there is no whole, unbroken one.
pub fn decode(bytes: &[u8]) -> Option<Read<'_>> {
    let word = |at: usize| Some(u32::from_le_bytes(bytes.get(at..at + 4)?.try_into().ok()?));
    let long = |at: usize| Some(u64::from_le_bytes(bytes.get(at..at + 8)?.try_into().ok()?));
    if word(0)? != MAGIC || *bytes.get(28)? != VERSION {
        return None;
    }
    let (len, payload, body) = (word(4)? as usize, word(32)? as usize, word(36)? as usize);
    let end = HEADER.checked_add(payload)?.checked_add(body)?;
    if len != end.next_multiple_of(8) || len > bytes.len() {
        return None;
    }
    let (payload, body) = (&bytes[HEADER..HEADER + payload], &bytes[HEADER + payload..end]);
    let mut crc = Crc32c::new();
    crc.update(&bytes[..44]);
    crc.update(payload);
    if crc.finish() != word(44)? || crc32c(body) != word(40)? || bytes[end..len].iter().any(|byte| *byte != 0) {
        return None;
    }
    let place = Place {
        lsn: Lsn(long(8)?),
        batch: Lsn(long(16)?),
        epoch: word(24)?,
    };
    Some(Read {
        place,
        len,
        payload,
        body,
    })
}

/// Where the record at the start of `bytes` says it stands, whether or not it is whole.
pub fn peek(bytes: &[u8]) -> Option<Place> {
    let header = bytes.get(..HEADER)?;
    let long = |at: usize| Some(u64::from_le_bytes(header.get(at..at + 8)?.try_into().ok()?));
    let word = |at: usize| Some(u32::from_le_bytes(header.get(at..at + 4)?.try_into().ok()?));
    (word(0)? == MAGIC && header[28] == VERSION).then_some(Place {
        lsn: Lsn(long(8)?),
        batch: Lsn(long(16)?),
        epoch: word(24)?,
    })
}

/// Offsets, 8-aligned, at which a record may begin.
pub fn candidates(bytes: &[u8]) -> impl Iterator<Item = usize> + '_ {
    let finder = memchr::memmem::find_iter(bytes, b"PBJ1");
    finder.filter(|at| at % 8 == 0)
}
