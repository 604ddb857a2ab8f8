//! SEARCH: which messages fit some keys (RFC 9051 §6.4.4).
//!
//! ```text
//!   command::search ──keys──► Program ──what a row tells──► yes / no / the message has to be read
//!                                                                           │
//!                                    Matcher (fold over its octets) ◄───────┘
//! ```
//!
//! A program is compiled once a command and shared; nothing here recurses (S31, S35). Text is compared folded: see [`fold`].

pub mod fold;
mod matcher;
mod needle;
mod program;
#[cfg(test)]
mod tests;

pub use matcher::Matcher;
pub use program::{Candidate, Context, Program, TooMuch};
