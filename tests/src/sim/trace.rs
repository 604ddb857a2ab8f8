//! What happened, in order: every event with its time, in a running hash, and as text for people.

use std::collections::VecDeque;
use std::fmt::Write;

/// Events kept as text; older ones are in the hash only.
const KEPT: usize = 100_000;

/// The events of a world so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trace {
    hash: u64,
    count: u64,
    last: VecDeque<String>,
    quiet: bool,
}

impl Default for Trace {
    fn default() -> Trace {
        Trace {
            hash: FNV_OFFSET,
            count: 0,
            last: VecDeque::new(),
            quiet: false,
        }
    }
}

impl Trace {
    /// Adds an event at so many nanoseconds.
    pub(super) fn add(&mut self, at: u64, event: std::fmt::Arguments<'_>) {
        if self.quiet {
            // The times alone: most of what makes two runs differ moves something in time.
            self.hash = hash(self.hash, &at.to_le_bytes());
            self.count += 1;
            return;
        }
        if self.last.len() == KEPT {
            self.last.pop_front();
        }
        let mut line = String::new();
        let _ = write!(line, "{:>4}.{:09} {event}", at / 1_000_000_000, at % 1_000_000_000);
        self.hash = hash(self.hash, line.as_bytes());
        self.count += 1;
        self.last.push_back(line);
    }

    /// From now on no text: the hash is of the times of events alone, and costs next to nothing.
    pub(super) fn quieten(&mut self) {
        self.quiet = true;
    }

    /// One number for all that happened.
    pub fn hash(&self) -> u64 {
        self.hash
    }

    /// How many events.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// The last events, oldest first.
    pub fn lines(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.last.iter().map(String::as_str)
    }

    /// The last so many events as text.
    pub fn tail(&self, events: usize) -> String {
        let skip = self.last.len().saturating_sub(events);
        self.last.iter().skip(skip).map(|line| format!("{line}\n")).collect()
    }

    /// Where two traces part, as text: the last common events and the first that differ. `None` when they are equal.
    pub fn difference(&self, other: &Trace) -> Option<String> {
        if self == other {
            return None;
        }
        let same = self.last.iter().zip(&other.last).take_while(|(one, two)| one == two).count();
        let common: Vec<&str> = self.lines().skip(same.saturating_sub(5)).take(same.min(5)).collect();
        let (one, two) = (self.last.get(same), other.last.get(same));
        Some(format!("{}\n- {one:?}\n+ {two:?}", common.join("\n")))
    }
}

const FNV_OFFSET: u64 = 0xcbf2_9ce4_8422_2325;

/// FNV-1a: cheap, and the same everywhere.
pub(super) fn hash(from: u64, bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(from, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

/// The hash of these bytes alone.
pub(super) fn hash_of(bytes: &[u8]) -> u64 {
    hash(FNV_OFFSET, bytes)
}
