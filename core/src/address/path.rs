//! Paths: addresses between angle brackets, as MAIL and RCPT carry them.

use super::{AddressError, Domain, Host, LocalPart, Mailbox};
use crate::limits;

/// Where failures are reported to: `<>` or an address (RFC 5321 §4.1.1.2).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ReversePath {
    /// `<>`.
    Null,
    /// An address; a source route was dropped.
    Mailbox(Mailbox),
}

/// Where a message goes: an address, or `<postmaster>` alone (RFC 5321 §4.1.1.3).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum ForwardPath {
    /// `<postmaster>` without a domain, in any case.
    Postmaster,
    /// An address; a source route was dropped.
    Mailbox(Mailbox),
}

impl ReversePath {
    /// Whether it has ASCII characters only.
    pub fn is_ascii(&self) -> bool {
        match self {
            ReversePath::Null => true,
            ReversePath::Mailbox(mailbox) => mailbox.is_ascii(),
        }
    }

    /// Reads a path at the start of `text`; what follows it.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse_prefix(text: &[u8], utf8: bool) -> Result<(ReversePath, &[u8]), AddressError> {
        let (inner, rest) = between_brackets(text)?;
        let path = if inner.is_empty() {
            ReversePath::Null
        } else {
            ReversePath::Mailbox(mailbox(inner, utf8)?)
        };
        Ok((path, rest))
    }
}

impl ForwardPath {
    /// Whose it is; `postmaster@localhost` for `<postmaster>`, which is always taken (RFC 5321 §4.5.1).
    pub fn mailbox(&self) -> Mailbox {
        match self {
            ForwardPath::Mailbox(mailbox) => mailbox.clone(),
            ForwardPath::Postmaster => Mailbox {
                local: LocalPart::new("postmaster", false).expect("a well-formed name"),
                host: Host::Domain(Domain::parse("localhost", false).expect("a well-formed name")),
            },
        }
    }

    /// Whether it has ASCII characters only.
    pub fn is_ascii(&self) -> bool {
        match self {
            ForwardPath::Postmaster => true,
            ForwardPath::Mailbox(mailbox) => mailbox.is_ascii(),
        }
    }

    /// Reads a path at the start of `text`; what follows it.
    ///
    /// # Errors
    /// Which part is wrong.
    pub fn parse_prefix(text: &[u8], utf8: bool) -> Result<(ForwardPath, &[u8]), AddressError> {
        let (inner, rest) = between_brackets(text)?;
        let postmaster = inner.eq_ignore_ascii_case("postmaster");
        let path = if postmaster {
            ForwardPath::Postmaster
        } else {
            ForwardPath::Mailbox(mailbox(inner, utf8)?)
        };
        Ok((path, rest))
    }
}

/// What stands between `<` and the `>` that ends it (not one within quotes), and what follows.
fn between_brackets(text: &[u8]) -> Result<(&str, &[u8]), AddressError> {
    let inner = text.strip_prefix(b"<").ok_or(AddressError::Brackets)?;
    let (mut quoted, mut escaped) = (false, false);
    for (index, byte) in inner.iter().enumerate() {
        if index > limits::PATH - 2 && !quoted {
            return Err(AddressError::TooLong);
        }
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            b'>' if !quoted => {
                let path = core::str::from_utf8(&inner[..index]).map_err(|_| AddressError::NotAscii)?;
                return Ok((path, &inner[index + 1..]));
            }
            _ => {}
        }
    }
    Err(AddressError::Brackets)
}

/// An address behind a source route, which is read strictly and dropped: `@a,@b:user@host`.
fn mailbox(text: &str, utf8: bool) -> Result<Mailbox, AddressError> {
    if !text.starts_with('@') {
        return Mailbox::parse(text, utf8);
    }
    let (route, address) = text.split_once(':').ok_or(AddressError::LocalPart)?;
    for hop in route.split(',') {
        Domain::parse(hop.strip_prefix('@').ok_or(AddressError::Domain)?, utf8)?;
    }
    Mailbox::parse(address, utf8)
}

/// With its angle brackets.
impl core::fmt::Display for ReversePath {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ReversePath::Null => f.write_str("<>"),
            ReversePath::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

/// With its angle brackets.
impl core::fmt::Display for ForwardPath {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            ForwardPath::Postmaster => f.write_str("<postmaster>"),
            ForwardPath::Mailbox(mailbox) => write!(f, "<{mailbox}>"),
        }
    }
}

crate::record_enum!(ReversePath { 0 => Null, 1 => Mailbox(mailbox) });
crate::record_enum!(ForwardPath { 0 => Postmaster, 1 => Mailbox(mailbox) });
