//! The IMAP server session, as a machine.

pub mod ask;
