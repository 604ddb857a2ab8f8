//! The running hashes of a trace.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use crate::machine::{Output, Wait};
use crate::record::Record;

/// FNV-1a, 64 bits: no step loses anything, so that a single changed byte always shows. It guards against mistakes, not against
/// somebody who wants to deceive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Check(u64);

impl Default for Check {
    fn default() -> Self {
        Check(0xcbf2_9ce4_8422_2325)
    }
}

impl Check {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }

    /// What it has come to.
    pub fn value(self) -> u64 {
        self.0
    }
}

/// A secret within an output, and what a trace has in its place; of one length.
#[derive(Clone, PartialEq, Eq)]
pub struct Hidden {
    /// The secret.
    pub secret: Vec<u8>,
    /// What stands for it.
    pub shown: Vec<u8>,
}

impl core::fmt::Debug for Hidden {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Hidden(…)")
    }
}

impl Hidden {
    fn hide<'b>(&self, bytes: Cow<'b, [u8]>) -> Cow<'b, [u8]> {
        if self.secret.is_empty() {
            return bytes;
        }
        match memchr::memmem::find(&bytes, &self.secret) {
            None => bytes,
            Some(at) => {
                let mut bytes = bytes.into_owned();
                bytes[at..at + self.secret.len()].copy_from_slice(&self.shown);
                Cow::Owned(bytes)
            }
        }
    }
}

/// The running hash of a machine's outputs. Bytes to send are hashed once, when they are first offered.
#[derive(Debug, Default)]
pub struct Outputs {
    check: Check,
    /// Octets of `Wait::send` that are known.
    offered: usize,
    /// Hidden in all that is offered.
    pub secrets: Vec<Hidden>,
    /// Hidden at the next rest.
    pub next: Option<Hidden>,
}

impl Outputs {
    /// So many of the offered octets have left.
    pub fn sent(&mut self, octets: usize) {
        self.offered = self.offered.saturating_sub(octets);
    }

    /// Octets offered and not sent.
    pub fn offered(&self) -> usize {
        self.offered
    }

    /// Takes an output; gives what it newly offers to send.
    pub fn see<'o, A: Record>(&mut self, output: &Output<'o, A>) -> Cow<'o, [u8]> {
        match output {
            Output::Body(part) => {
                self.number(0, part.len());
                self.check.update(part);
            }
            Output::Ask(ask) => {
                let ask = ask.to_record();
                self.number(1, ask.len());
                self.check.update(&ask);
            }
            Output::Close(close) => {
                let text = alloc::format!("{:?}", close.why);
                self.number(2, text.len());
                self.check.update(text.as_bytes());
                let linger = close.linger.map_or(0, |linger| linger.at.0);
                self.check.update(&linger.to_le_bytes());
            }
            Output::Wait(wait) => return self.rest(wait),
        }
        Cow::Borrowed(&[])
    }

    fn rest<'o>(&mut self, wait: &Wait<'o>) -> Cow<'o, [u8]> {
        // A machine that gives up drops what it had offered.
        let known = if self.offered <= wait.send.len() { self.offered } else { 0 };
        self.offered = wait.send.len();
        let new = &wait.send[known..];
        let mut new = Cow::Borrowed(new);
        for hidden in self.secrets.iter().chain(&self.next) {
            new = hidden.hide(new);
        }
        self.next = None;
        self.number(3, wait.send.len());
        self.check.update(&new);
        self.check.update(&[u8::from(wait.read), u8::from(wait.body)]);
        if let Some(until) = wait.until {
            self.check.update(&until.at.0.to_le_bytes());
            self.check.update(until.why.as_bytes());
        }
        new
    }

    fn number(&mut self, what: u8, len: usize) {
        self.check.update(&[what]);
        self.check.update(&(len as u64).to_le_bytes());
    }

    /// What it has come to.
    pub fn value(&self) -> u64 {
        self.check.value()
    }
}
