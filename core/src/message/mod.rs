//! Messages (RFC 5322, RFC 2045-2047): headers, dates, address lists, the iterative MIME walker and the digest.
//!
//! Everything that is answered about a message without reading it comes from one pass over its bytes ([`intake`]), which decodes
//! nothing. Search and BINARY decode: transfer encodings, charsets and encoded words, each a fold. [`recode`] encodes what our own users
//! send and others could not take.

pub mod address_list;
pub mod charset;
pub mod content;
pub mod date;
pub mod digest;
pub mod encode;
pub mod encoded_word;
pub mod header;
pub mod header_filter;
pub mod id;
pub mod intake;
pub mod mime;
pub mod recode;
pub mod section;
mod structure;
#[cfg(test)]
mod tests;
mod token;
pub mod transfer;
