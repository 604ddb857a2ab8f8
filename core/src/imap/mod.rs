//! IMAP (RFC 3501, RFC 9051): framing, commands, responses, a session's view of its mailbox, and the server session.

pub mod command;
pub mod flag;
pub mod frame;
pub mod mailbox_name;
pub mod response;
pub mod search;
pub mod sequence;
pub mod server;
pub mod view;
