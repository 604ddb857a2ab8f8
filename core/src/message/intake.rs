//! Everything that is to be known of an arriving message, in one pass over its bytes: for SMTP, APPEND and import alike.

use super::digest::Digest;
use super::header::HeaderEnd;
use super::mime::Walker;
use crate::bytes::crc::Crc32c;
use crate::limits;

/// The fold.
pub struct Intake {
    size: u64,
    crc: Crc32c,
    hash: blake3::Hasher,
    walker: Walker,
    eight_bit: bool,
}

/// What is known of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Taken {
    /// Octets.
    pub size: u64,
    /// CRC-32C.
    pub crc: u32,
    /// BLAKE3.
    pub hash: [u8; 32],
    /// Whether there are octets above 127.
    pub eight_bit: bool,
    /// Envelope, structure, parts.
    pub digest: Digest,
}

impl Default for Intake {
    fn default() -> Self {
        Intake::new()
    }
}

impl Intake {
    /// Of nothing.
    pub fn new() -> Intake {
        Intake {
            size: 0,
            crc: Crc32c::new(),
            hash: blake3::Hasher::new(),
            walker: Walker::new(),
            eight_bit: false,
        }
    }

    /// Whether a line is longer than others take (RFC 5321 §4.5.3.1.6), the one that has not ended yet aside.
    pub fn has_long_line(&self) -> bool {
        self.walker.longest_line() > limits::TEXT_LINE
    }

    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        self.size += bytes.len() as u64;
        self.crc.update(bytes);
        self.hash.update(bytes);
        self.eight_bit = self.eight_bit || !bytes.is_ascii();
        self.walker.update(bytes);
    }

    /// What is known.
    pub fn finish(self) -> Taken {
        Taken {
            size: self.size,
            crc: self.crc.finish(),
            hash: *self.hash.finalize().as_bytes(),
            eight_bit: self.eight_bit,
            digest: Digest::of(self.walker, self.size),
        }
    }
}

/// Finds the end of a header that comes in pieces, and counts its fields by which loops are seen: Received and Delivered-To.
#[derive(Debug, Clone, Default)]
pub struct LoopWatch {
    end: HeaderEnd,
    line: alloc::vec::Vec<u8>,
    skipping: bool,
    /// Received fields so far.
    pub received: u32,
    /// Values of Delivered-To so far, at most so many as recipients may loop through.
    pub delivered_to: alloc::vec::Vec<alloc::vec::Vec<u8>>,
}

impl LoopWatch {
    /// Whether the header is over.
    pub fn ended(&self) -> bool {
        self.end.found()
    }

    /// Takes more of the message: how many of its octets belong to the header.
    pub fn update(&mut self, bytes: &[u8]) -> usize {
        if self.end.found() {
            return 0;
        }
        let block = self.end.update(bytes);
        for line in bytes[..block].split_inclusive(|byte| *byte == b'\n') {
            if !self.skipping {
                let room = 1024usize.saturating_sub(self.line.len());
                self.line.extend_from_slice(&line[..line.len().min(room)]);
            }
            if !line.ends_with(b"\n") {
                self.skipping |= self.line.len() >= 1024;
                continue;
            }
            let starts = |name: &[u8]| {
                self.line
                    .get(..name.len())
                    .is_some_and(|start| start.eq_ignore_ascii_case(name))
            };
            if starts(b"Received:") {
                self.received += 1;
            } else if starts(b"Delivered-To:") && self.delivered_to.len() < 100 {
                self.delivered_to.push(self.line[13..].trim_ascii().to_vec());
            }
            self.line.clear();
            self.skipping = false;
        }
        if self.end.found() {
            self.line = alloc::vec::Vec::new();
        }
        block
    }
}
