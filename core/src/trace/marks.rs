//! What a machine notes about the bytes it has received while it is recorded: which are secret, and which belong to a message.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// A machine's notes; nothing at all unless it is recorded.
#[derive(Debug, Default)]
pub struct Marks(Option<Box<Noted>>);

#[derive(Debug, Default)]
struct Noted {
    /// Octets received, over all.
    received: u64,
    marks: Vec<Mark>,
}

/// One note about a run of the received bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mark {
    /// The number of its first octet, counted from the session's start.
    pub at: u64,
    /// What of it.
    pub what: What,
}

/// What is noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// A recording shows this instead: as many octets, which lead to the same.
    Shown(Vec<u8>),
    /// So many octets were thrown away unread.
    Unheard(u64),
    /// So many octets are a message's.
    Message(u64),
    /// What came from here on cannot be shown.
    Cut(&'static str),
}

impl Marks {
    /// From now on notes are taken.
    pub fn switch_on(&mut self) {
        self.0.get_or_insert_default();
    }

    /// Whether notes are taken.
    pub fn is_on(&self) -> bool {
        self.0.is_some()
    }

    /// So many octets have come.
    pub fn received(&mut self, octets: usize) {
        if let Some(noted) = &mut self.0 {
            noted.received += octets as u64;
        }
    }

    /// Notes something about octets that have `behind` octets behind them.
    pub fn note(&mut self, behind: usize, what: What) {
        if let Some(noted) = &mut self.0 {
            let len = match &what {
                What::Shown(shown) => shown.len() as u64,
                What::Unheard(len) | What::Message(len) => *len,
                What::Cut(_) => 0,
            };
            let at = (noted.received - behind as u64).saturating_sub(len);
            noted.marks.push(Mark { at, what });
        }
    }

    /// Takes the notes.
    pub fn take(&mut self) -> Vec<Mark> {
        self.0
            .as_mut()
            .map(|noted| core::mem::take(&mut noted.marks))
            .unwrap_or_default()
    }
}
