//! Domain names.

use alloc::string::String;
use alloc::vec::Vec;

use super::AddressError;
use crate::limits;
use crate::record::{Malformed, Reader, Record};

/// A domain name, lower case, without a final dot; at most 255 octets, labels of 1 to 63.
///
/// ```text
/// Domain = sub-domain *("." sub-domain)      sub-domain = Let-dig [Ldh-str] / U-label
/// ```
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Domain(String);

impl Domain {
    /// Reads a name; a final dot is not taken (RFC 5321 §2.3.5), an underscore is (many hosts have one).
    ///
    /// # Errors
    /// `Domain`, `TooLong`, or `NotAscii` when `utf8` is false.
    pub fn parse(text: &str, utf8: bool) -> Result<Domain, AddressError> {
        if !utf8 && !text.is_ascii() {
            return Err(AddressError::NotAscii);
        }
        if text.len() > limits::DOMAIN {
            return Err(AddressError::TooLong);
        }
        // Lower case first: it can lengthen a name, and what is kept must be readable again.
        let name = text.to_lowercase();
        if name.len() > limits::DOMAIN {
            return Err(AddressError::TooLong);
        }
        // Beyond ASCII, marks belong to a name as letters do (Devanagari); spaces, controls and other scripts' dots do not.
        let outside = |c: char| c.is_control() || c.is_whitespace() || matches!(c, '\u{3002}' | '\u{ff0e}' | '\u{ff61}');
        let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_') || (!c.is_ascii() && !outside(c));
        let label = |label: &str| {
            (1..=limits::LABEL).contains(&label.len())
                && !label.starts_with('-')
                && !label.ends_with('-')
                && label.chars().all(allowed)
        };
        if name.split('.').all(label) {
            Ok(Domain(name))
        } else {
            Err(AddressError::Domain)
        }
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl core::fmt::Display for Domain {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

impl Record for Domain {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Domain::parse(&String::decode(from)?, true).map_err(|_| Malformed("not a domain"))
    }
}
