//! What the framer hands out.

#[cfg(doc)]
use super::Framer;
use crate::imap::command::{Bad, Command, Tag};

/// What the framer has found.
#[derive(Debug, PartialEq, Eq)]
pub enum Event<'a> {
    /// A whole command.
    Command(Framed<'a>),
    /// A synchronising literal is accepted: send `+ `, then poll on.
    Continue,
    /// APPEND up to its message. Decide with [`Framer::accept_message`] or [`Framer::drop_message`]; nothing is polled before.
    Message {
        /// The command's tag.
        tag: Tag,
        /// [`Command::Append`].
        command: Command,
        /// The message's octets.
        size: u64,
        /// The client waits for `+ `.
        synchronising: bool,
        /// It may have NULs (RFC 3516).
        literal8: bool,
    },
    /// The APPEND whose message was taken or dropped is over: send its tagged reply.
    MessageEnd,
    /// The line asked for with [`Framer::expect_line`], without CRLF.
    Line(&'a [u8]),
    /// A command is over and was refused: send BAD. After `Message` it takes the place of `MessageEnd`.
    Refused(Bad),
}

/// One command as it came: lines and literals, without the last CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Framed<'a> {
    /// The bytes, literals with their `{n}` CRLF among them.
    pub text: &'a [u8],
    /// Where the literals are, in order.
    pub literals: &'a [Literal],
}

/// Where a literal lies in a command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Literal {
    /// Of the `{`.
    pub brace: usize,
    /// Of its first octet.
    pub start: usize,
    /// Behind its last octet.
    pub end: usize,
}
