//! Traces: a machine's inputs with their times, and a hash of what it made of each. Replayed, they reproduce every output byte.
//!
//! ```text
//! driver ──input, output──► Recorder ──masked bytes──► file ──► Trace ──► Player: the machine again, compared rest by rest
//! ```
//!
//! A file is [`MAGIC`] and frames ([`file`]). The first frame says how the machine began ([`Header`]); then comes one [`Entry`] for
//! each input, in order, with `Received` and `Sent` split as they were; the last frame says why the recording ends ([`Ending`]).
//! Each entry carries two running hashes: of all inputs up to its own, and of all outputs up to the rest behind it. So a changed
//! input, answer or clock value is found at its entry, and a changed program at the entry whose output first differs.
//!
//! **Secrets.** A machine that is recorded marks what it reads ([`marks::Marks`]); bytes it has not judged are held back. A password
//! is replaced by one of the same length that leads to the same question; its answer is recorded, so a replay never needs it.
//! What cannot be replaced that way ends the recording, never the session.
//!
//! **Big answers** are recorded whole: a mailbox version at each SELECT and each pull. [`crate::limits::TRACE_SESSION`] bounds a
//! recording; one that grows beyond ends with a mark and replays up to there.

pub mod capsule;
pub mod check;
pub mod file;
pub mod marks;
pub mod player;
pub mod recorder;
pub mod redact;
pub mod script;
pub mod show;
#[cfg(test)]
mod tests;
mod words;

use alloc::string::String;
use alloc::vec::Vec;

use crate::machine::{Close, Input, Machine, Output, SlotId};
use crate::record::Record;
use crate::time::Now;

pub use check::Hidden;
pub use file::{Ending, Entry, Header, Stored, Trace};
pub use marks::Marks;
pub use player::{Difference, Found, Player, Replayed, replay, replay_any};
pub use recorder::{Recorder, Spool};

/// The first bytes of a file; the digit is the format's version.
pub const MAGIC: &[u8; 8] = b"PBTRACE1";

/// Whose trace it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// [`crate::smtp::server::Session`].
    SmtpServer,
    /// [`crate::smtp::client::Session`].
    SmtpClient,
    /// [`crate::imap::server::Session`].
    ImapServer,
}

crate::record_enum!(Kind { 0 => SmtpServer, 1 => SmtpClient, 2 => ImapServer });

impl Kind {
    /// As it stands in file names.
    pub fn name(self) -> &'static str {
        match self {
            Kind::SmtpServer => "smtp",
            Kind::SmtpClient => "smtp-client",
            Kind::ImapServer => "imap",
        }
    }
}

/// What an answer says that a rule of recording may ask for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Said {
    /// Somebody has logged in, under this name.
    pub account: Option<String>,
    /// Something was refused, or failed.
    pub refused: bool,
}

/// What can be recorded, and shown to a person.
pub trait Shown: Record + core::fmt::Debug {}
impl<T: Record + core::fmt::Debug> Shown for T {}

/// A machine that can be recorded and replayed.
pub trait Recordable: Machine<Ask: Shown, Value: Shown, Notice: Shown> + Sized {
    /// Everything that its `new` takes.
    type New: Record;
    /// Which machine it is.
    const KIND: Kind;

    /// Begins a session.
    fn begin(new: Self::New) -> Self;
    /// The question that an ask opens, and the recorded tag of the answer that fits it.
    fn expects(ask: &Self::Ask) -> Option<(SlotId, u8)>;
    /// Where it notes what it has read.
    fn marks(&mut self) -> &mut Marks;
    /// Bytes received that it has not judged yet.
    fn backlog(&self) -> usize;
    /// Bytes that were never judged, without what may be secret in them; as long, and without effect on a session that is over.
    fn unheard(bytes: &[u8]) -> Vec<u8>;
    /// What an answer says.
    fn said(value: &Self::Value) -> Said;
    /// A secret that this answer puts into the next output.
    fn hides(value: &Self::Value) -> Option<Hidden>;
    /// Puts an answer whose names were replaced back into the order that such an answer has.
    fn arrange(_value: &mut Self::Value) {}
    /// Secrets that the machine itself says at the beginning, until [`Recordable::open`].
    fn secrets(_new: &Self::New) -> Vec<Hidden> {
        Vec::new()
    }
    /// From this ask on it says no secret of its own.
    fn open(_ask: &Self::Ask) -> bool {
        false
    }
}

/// What watches a machine at work. The driver tells it everything, in order.
pub trait Tape<M: Machine>: Send {
    /// The machine is about to be given this.
    fn input(&mut self, machine: &mut M, now: Now, input: &Input<'_, M::Value, M::Notice>);
    /// The machine has put this out.
    fn output(&mut self, output: &Output<'_, M::Ask>);
    /// The machine has closed.
    fn close(&mut self, machine: &mut M, close: &Close);
}
