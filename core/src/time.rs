//! Time is an argument: a machine is told what time it is with every input.

use core::time::Duration;

/// A moment on the monotonic clock: nanoseconds since the process (or the simulation) started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct Instant(pub u64);

impl Instant {
    /// This moment plus `after`, or the end of time.
    #[must_use]
    pub fn after(self, after: Duration) -> Instant {
        let nanos = u64::try_from(after.as_nanos()).unwrap_or(u64::MAX);
        Instant(self.0.saturating_add(nanos))
    }

    /// How long after `earlier`, or zero.
    #[must_use]
    pub fn since(self, earlier: Instant) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// A moment on the wall clock: milliseconds since 1970-01-01T00:00Z. Only shown and stored, never used for scheduling.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default, Hash)]
pub struct UnixTime(pub i64);

impl UnixTime {
    /// Whole seconds since 1970.
    #[must_use]
    pub fn seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// This moment plus `after`, or the end of time.
    #[must_use]
    pub fn after(self, after: Duration) -> UnixTime {
        let millis = i64::try_from(after.as_millis()).unwrap_or(i64::MAX);
        UnixTime(self.0.saturating_add(millis))
    }

    /// From whole seconds since 1970.
    #[must_use]
    pub fn from_seconds(seconds: i64) -> UnixTime {
        UnixTime(seconds.saturating_mul(1000))
    }
}

/// Both clocks, as read by the host just before the input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Now {
    /// For deadlines.
    pub instant: Instant,
    /// For dates.
    pub unix: UnixTime,
}

use crate::record::{Malformed, Reader, Record};
use alloc::vec::Vec;

impl Record for UnixTime {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        i64::decode(from).map(UnixTime)
    }
}

crate::record_struct!(Now { instant, unix });

impl Record for Instant {
    fn encode(&self, out: &mut Vec<u8>) {
        self.0.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        u64::decode(from).map(Instant)
    }
}
