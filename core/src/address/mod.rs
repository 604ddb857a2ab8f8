//! Addresses: parsed, not validated: a value of these types is well-formed (RFC 5321 §4.1.2, RFC 6531 §3.3).
//!
//! ```text
//! Path       = "<" [ A-d-l ":" ] Mailbox ">"        a source route is read and dropped (RFC 5321 appendix C)
//! Mailbox    = Local-part "@" ( Domain / address-literal )
//! Local-part = Dot-string / Quoted-string
//! ```
//!
//! Octets above 127 (UTF-8, RFC 6531) are taken only where the caller allows them.

mod domain;
mod local_part;
mod mailbox;
mod path;
#[cfg(test)]
mod tests;

pub use domain::Domain;
pub use local_part::LocalPart;
pub use mailbox::{Host, Mailbox};
pub use path::{ForwardPath, ReversePath};

/// Why an address is none.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddressError {
    /// Angle brackets are missing or do not match.
    Brackets,
    /// The local part is empty, has a character that needs quotes, or broken quotes.
    LocalPart,
    /// No `@`.
    NoDomain,
    /// The domain is empty, has an empty or over-long label, or a character that no host name has.
    Domain,
    /// `[…]` holds no IP address.
    Literal,
    /// A part is longer than RFC 5321 §4.5.3.1 allows.
    TooLong,
    /// Octets above 127 without SMTPUTF8, or no UTF-8.
    NotAscii,
}

impl core::fmt::Display for AddressError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            AddressError::Brackets => "an address stands between < and >",
            AddressError::LocalPart => "the local part is malformed",
            AddressError::NoDomain => "a domain is missing",
            AddressError::Domain => "the domain is malformed",
            AddressError::Literal => "the address literal is malformed",
            AddressError::TooLong => "the address is too long",
            AddressError::NotAscii => "only ASCII is allowed here",
        })
    }
}
