//! The digest of a message: what IMAP answers without reading it again.

use alloc::vec::Vec;

use super::mime::Walker;
use super::structure;
use super::transfer::Encoding;
use crate::limits;

/// Envelope, structure and part table of one message, computed in one pass over its bytes.
///
/// Offsets count from the start of the bytes that were digested: the *body* as received, without the prefix that the server
/// puts in front (trace fields). A reader adds the prefix's length.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Digest {
    /// Octets digested.
    pub size: u64,
    /// ENVELOPE's value, IMAP-encoded with its parentheses (RFC 9051 §7.5.2).
    pub envelope: Vec<u8>,
    /// BODY's value, IMAP-encoded (without extension data).
    pub body: Vec<u8>,
    /// BODYSTRUCTURE's value, IMAP-encoded.
    pub body_structure: Vec<u8>,
    /// The parts, in pre-order; entry 0 is the message itself.
    pub parts: Vec<Part>,
}

impl Digest {
    /// The digest of a walked message.
    pub fn of(walker: Walker, size: u64) -> Digest {
        let walked = walker.finish();
        let mut envelope = Vec::new();
        let mut addresses_left = limits::ADDRESSES;
        structure::envelope(&mut envelope, &walked[0], &mut addresses_left);
        Digest {
            size,
            envelope,
            body: structure::structure(&walked, false),
            body_structure: structure::structure(&walked, true),
            parts: walked.into_iter().map(|walked| walked.part).collect(),
        }
    }

    /// Octets that it takes in memory.
    pub fn weight(&self) -> usize {
        let parts = self.parts.len() * core::mem::size_of::<Part>();
        self.envelope.len() + self.body.len() + self.body_structure.len() + parts + core::mem::size_of::<Digest>()
    }
}

crate::record_struct!(Digest {
    size,
    envelope,
    body,
    body_structure,
    parts
});
crate::record_struct!(Part {
    parent,
    number,
    kind,
    header_start,
    body_start,
    body_end,
    lines,
    encoding,
    text
});
crate::record_enum!(PartKind { 0 => Leaf, 1 => Multipart, 2 => Message });

/// One MIME part and where it lies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Index of the part around it; entry 0 names itself.
    pub parent: u32,
    /// Its number among its siblings, from 1 (the part number of BODY[n]); 1 for entry 0 and for the message inside a
    /// message/rfc822 part.
    pub number: u32,
    /// What it is.
    pub kind: PartKind,
    /// Where its header block (MIME header, or the message header) begins.
    pub header_start: u64,
    /// Where its body begins, behind the empty line; equal to the header's end.
    pub body_start: u64,
    /// Where its body ends (before the CRLF of the boundary line).
    pub body_end: u64,
    /// Lines of its body.
    pub lines: u64,
    /// How its body is encoded; `None`: in a way that we do not know. What has parts of its own is not encoded.
    pub encoding: Option<Encoding>,
    /// Whether its body is text, in lines.
    pub text: bool,
}

/// What a part is, as far as addressing goes (RFC 9051 §6.4.5.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PartKind {
    /// Neither multipart nor an embedded message.
    Leaf,
    /// multipart/*: its children are the entries whose `parent` it is.
    Multipart,
    /// message/rfc822 or message/global: its one child is the embedded message, whose header and body it gives.
    Message,
}
