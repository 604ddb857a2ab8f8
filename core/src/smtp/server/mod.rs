//! The SMTP server session, as a machine.

pub mod ask;
