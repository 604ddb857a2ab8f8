//! Both clocks.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use pillarbox_core::time::{Instant, Now, UnixTime};

pub(super) struct Clock {
    start: std::time::Instant,
}

impl Clock {
    pub(super) fn start() -> Clock {
        Clock {
            start: std::time::Instant::now(),
        }
    }

    pub(super) fn now(&self) -> Now {
        let nanos = u64::try_from(self.start.elapsed().as_nanos()).unwrap_or(u64::MAX);
        Now {
            instant: Instant(nanos),
            unix: UnixTime(unix_ms()),
        }
    }

    /// The system's own form; `None` is beyond the end of its time.
    pub(super) fn at(&self, at: Instant) -> Option<std::time::Instant> {
        self.start.checked_add(Duration::from_nanos(at.0))
    }
}

/// A clock set before 1970 counts backwards.
fn unix_ms() -> i64 {
    let now = SystemTime::now();
    match now.duration_since(UNIX_EPOCH) {
        Ok(since) => i64::try_from(since.as_millis()).unwrap_or(i64::MAX),
        Err(error) => i64::try_from(error.duration().as_millis()).map_or(i64::MIN, |before| -before),
    }
}
