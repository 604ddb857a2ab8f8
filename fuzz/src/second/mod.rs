//! Second parsers: what ours says of some bytes beside what the parser of somebody else says of them.
//!
//! Each module states its domain, where both must agree. Where they rightly differ, an exclusion says which sentence of an RFC
//! decides; what the other one takes beyond the grammar is excluded by what ours says of it.

mod imap;
pub mod message;
mod smtp;
mod told;
mod written;

pub use imap::imap_second;
pub use message::message_second;
pub use smtp::smtp_second;
