//! Which extension is offered where (`rules.md`, the table of listeners), as far as it is built. Nothing else is advertised, and
//! a parameter of an extension that was not offered is refused with 555 5.5.4.
//!
//! | extension | 25 | 587, 465 before AUTH | after AUTH |
//! |---|---|---|---|
//! | PIPELINING SIZE 8BITMIME ENHANCEDSTATUSCODES | yes | yes | yes |
//! | STARTTLS | until TLS | until TLS (587) | - |
//! | AUTH PLAIN | never | under TLS, or from a peer with `plaintext_auth` | - |

use alloc::vec::Vec;

/// An extension as EHLO shows it (RFC 5321 §4.1.1.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870, with the largest message in octets.
    Size(u64),
    /// RFC 6152.
    EightBitMime,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 3207.
    StartTls,
    /// RFC 4954, with its one mechanism.
    AuthPlain,
}

/// What decides about the offer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Situation {
    /// The largest message in octets.
    pub message_max: u64,
    /// STARTTLS could be given now: it is set for the listener, and the stream is not encrypted yet.
    pub may_start_tls: bool,
    /// AUTH could be given now.
    pub may_log_in: bool,
}

/// The column of the table.
pub fn offered(situation: Situation) -> Vec<Extension> {
    let mut offered = alloc::vec![
        Extension::Pipelining,
        Extension::Size(situation.message_max),
        Extension::EightBitMime,
        Extension::EnhancedStatusCodes,
    ];
    if situation.may_start_tls {
        offered.push(Extension::StartTls);
    }
    if situation.may_log_in {
        offered.push(Extension::AuthPlain);
    }
    offered
}

/// `ehlo-line = ehlo-keyword *( SP ehlo-param )` (RFC 5321 §4.1.1.1).
impl core::fmt::Display for Extension {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            Extension::Pipelining => f.write_str("PIPELINING"),
            Extension::Size(octets) => write!(f, "SIZE {octets}"),
            Extension::EightBitMime => f.write_str("8BITMIME"),
            Extension::EnhancedStatusCodes => f.write_str("ENHANCEDSTATUSCODES"),
            Extension::StartTls => f.write_str("STARTTLS"),
            Extension::AuthPlain => f.write_str("AUTH PLAIN"),
        }
    }
}
