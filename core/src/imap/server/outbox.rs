//! What waits to be sent.

use alloc::vec::Vec;

/// Bytes that wait to be sent; holds no memory when there are none.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    bytes: Vec<u8>,
    /// So many of them have left.
    sent: usize,
}

impl Outbox {
    /// What has not left.
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes[self.sent..]
    }

    /// Its length.
    pub(super) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Where to append.
    pub(super) fn end(&mut self) -> &mut Vec<u8> {
        if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent); // moves less than it drops: linear in all
            self.sent = 0;
        }
        &mut self.bytes
    }

    /// Appends octets of a body in a literal.
    pub(super) fn literal(&mut self, octets: &[u8]) {
        push_literal(octets, self.end());
    }

    /// So many octets have left.
    ///
    /// # Panics
    /// When there were not so many: the host's bug.
    pub(super) fn sent(&mut self, octets: usize) {
        self.sent += octets;
        assert!(self.sent <= self.bytes.len(), "sent more than there was");
        if self.sent == self.bytes.len() {
            *self = Outbox::default(); // an idle session owns no buffer
        }
    }

    /// Octets of memory held.
    pub(super) fn memory(&self) -> usize {
        self.bytes.capacity()
    }
}

/// Appends octets of a literal, which holds no NUL: each goes as 0x80 (`rules.md`, BINARYMIME and NUL).
pub(super) fn push_literal(octets: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(octets);
    let mut rest = &mut out[start..];
    while let Some(nul) = memchr::memchr(0, rest) {
        rest[nul] = 0x80;
        rest = &mut rest[nul + 1..];
    }
}
