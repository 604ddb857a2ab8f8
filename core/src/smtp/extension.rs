//! Which extension is offered where (`rules.md`, the table of listeners), as far as it is built. Nothing else is advertised, and
//! a parameter of an extension that was not offered is refused with 555 5.5.4.
//!
//! | extension | 25 | 587, 465 before AUTH | after AUTH |
//! |---|---|---|---|
//! | PIPELINING SIZE 8BITMIME SMTPUTF8 CHUNKING HELP ENHANCEDSTATUSCODES LIMITS | yes | yes | yes |
//! | STARTTLS | until TLS | until TLS (587) | - |
//! | AUTH | never | under TLS, or from a peer with `plaintext_auth` | - |
//! | DSN | no | no | yes |

use alloc::vec::Vec;

use crate::limits;
use crate::sasl::Mechanism;

/// An extension as EHLO shows it (RFC 5321 §4.1.1.1).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extension {
    /// RFC 2920.
    Pipelining,
    /// RFC 1870, with the largest message in octets.
    Size(u64),
    /// RFC 6152.
    EightBitMime,
    /// RFC 3030.
    Chunking,
    /// RFC 6531.
    SmtpUtf8,
    /// RFC 9422, with the recipients that one transaction may have.
    Limits(usize),
    /// A command that RFC 5321 §4.5.1 does not require is listed (§4.1.1.1).
    Help,
    /// RFC 2034.
    EnhancedStatusCodes,
    /// RFC 3461.
    Dsn,
    /// RFC 3207.
    StartTls,
    /// RFC 4954, with its mechanisms.
    Auth(Vec<Mechanism>),
}

/// What decides about the offer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Situation {
    /// The largest message in octets.
    pub message_max: u64,
    /// STARTTLS could be given now: it is set for the listener, and the stream is not encrypted yet.
    pub may_start_tls: bool,
    /// Mechanisms that AUTH could be given with now; empty: AUTH could not be given.
    pub mechanisms: Vec<Mechanism>,
    /// The client has logged in: its reports have somewhere to go.
    pub logged_in: bool,
}

/// The column of the table.
pub fn offered(situation: Situation) -> Vec<Extension> {
    let mut offered = alloc::vec![
        Extension::Pipelining,
        Extension::Size(situation.message_max),
        Extension::EightBitMime,
        Extension::Chunking,
        Extension::SmtpUtf8,
        Extension::Limits(limits::SMTP_RECIPIENTS),
        Extension::Help,
        Extension::EnhancedStatusCodes,
    ];
    if situation.logged_in {
        offered.push(Extension::Dsn);
    }
    if situation.may_start_tls {
        offered.push(Extension::StartTls);
    }
    if !situation.mechanisms.is_empty() {
        offered.push(Extension::Auth(situation.mechanisms));
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
            Extension::Chunking => f.write_str("CHUNKING"),
            Extension::SmtpUtf8 => f.write_str("SMTPUTF8"),
            Extension::Limits(recipients) => write!(f, "LIMITS RCPTMAX={recipients}"),
            Extension::Help => f.write_str("HELP"),
            Extension::EnhancedStatusCodes => f.write_str("ENHANCEDSTATUSCODES"),
            Extension::Dsn => f.write_str("DSN"),
            Extension::StartTls => f.write_str("STARTTLS"),
            Extension::Auth(mechanisms) => {
                f.write_str("AUTH")?;
                mechanisms.iter().try_for_each(|mechanism| write!(f, " {}", mechanism.name()))
            }
        }
    }
}
