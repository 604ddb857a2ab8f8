//! Messages (RFC 5322, RFC 2045-2047): headers, dates, address lists, the iterative MIME walker and the digest.
//!
//! Nothing here decodes a body; everything that is answered about a message comes from one pass over its bytes ([`intake`]).

pub mod address_list;
pub mod content;
pub mod date;
pub mod digest;
pub mod header;
pub mod header_filter;
pub mod id;
pub mod intake;
pub mod mime;
pub mod section;
mod structure;
#[cfg(test)]
mod tests;
mod token;
