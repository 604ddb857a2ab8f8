//! Messages (RFC 5322, RFC 2045-2049): headers, dates, address lists, the iterative MIME walker and the digest.

pub mod digest;
