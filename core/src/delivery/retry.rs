//! When a recipient is tried again (RFC 5321 §4.5.4.1), and when its sender is told that it takes long.

use alloc::vec::Vec;
use core::time::Duration;

use crate::limits;
use crate::store::queue::{Enqueue, Notify, Said};
use crate::time::UnixTime;

/// The settings of retries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RetrySettings {
    /// The waits after the first, second, ... attempt; the last repeats. Never empty.
    pub waits: Vec<Duration>,
    /// Hundredths by which a wait is lengthened or shortened at random; at most 100.
    pub jitter: u64,
    /// When a delay is reported.
    pub delay_notice: Duration,
}

crate::record_struct!(RetrySettings {
    waits,
    jitter,
    delay_notice
});

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            waits: limits::RETRY.into(),
            jitter: limits::RETRY_JITTER,
            delay_notice: limits::DELAY_NOTICE,
        }
    }
}

/// How long to wait for the next attempt. `attempts` counts those that were made; `said` is why the last did not succeed. The seed
/// makes the jitter.
pub fn wait(settings: &RetrySettings, attempts: u32, said: &Said, seed: u64) -> Duration {
    let place = (attempts.max(1) as usize - 1).min(settings.waits.len() - 1);
    let wait = settings.waits[place];
    // Never sooner than such lists ask for: coming too early begins the wait anew. An operator who wants shorter waits gets them.
    if attempts <= 1 && looks_like_greylisting(said) && wait >= limits::RETRY[0] {
        return limits::RETRY_GREYLIST.max(wait);
    }
    let hundredth = wait / 100;
    let range = u32::try_from(settings.jitter.min(100)).expect("at most 100");
    let jitter = u32::try_from(super::mixed(seed, u64::from(attempts)) % (2 * u64::from(range) + 1)).expect("at most 200");
    (wait - hundredth * range).saturating_add(hundredth * jitter)
}

/// A server's temporary refusal on policy grounds (RFC 6647 §2.1: 450 or 451, X.7.1 or no better code).
fn looks_like_greylisting(said: &Said) -> bool {
    said.by.is_some() && matches!(said.code, 450 | 451) && matches!(said.status, [4, 7, _] | [4, 2, 0] | [4, 0, 0] | [4, 5, 1])
}

/// The longest wait there is: what lies further ahead in a row that is loaded was made by another clock.
pub fn longest_wait(settings: &RetrySettings) -> Duration {
    let longest = settings
        .waits
        .iter()
        .max()
        .copied()
        .unwrap_or_default()
        .max(limits::RETRY_GREYLIST);
    longest.saturating_add(longest / 100 * settings.jitter.min(100) as u32)
}

/// When the sender is told of a delay, if it is.
pub fn notice_due(settings: &RetrySettings, entered: &Enqueue, notify: Notify) -> Option<UnixTime> {
    let wanted =
        entered.reportable && entered.reverse_path != crate::address::ReversePath::Null && notify.contains(Notify::DELAY);
    let at = UnixTime(entered.arrived.0.saturating_add(millis(settings.delay_notice)));
    (wanted && at < entered.expires).then_some(at)
}

fn millis(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use alloc::sync::Arc;

    use super::*;

    fn said(code: u16, status: [u16; 3], by: Option<&str>) -> Said {
        Said {
            code,
            status,
            text: "later".into(),
            by: by.map(Arc::from),
        }
    }

    const MINUTE: Duration = Duration::from_secs(60);

    #[test]
    fn waits_grow_with_jitter_and_the_last_repeats() {
        let settings = RetrySettings::default();
        let refused = said(421, [4, 3, 2], Some("mx"));
        for (attempts, minutes) in [
            (1, 5),
            (2, 10),
            (3, 20),
            (4, 40),
            (5, 90),
            (6, 180),
            (7, 240),
            (8, 240),
            (900, 240),
        ] {
            let range = (MINUTE * minutes * 80 / 100, MINUTE * minutes * 120 / 100);
            let mut seen = (Duration::MAX, Duration::ZERO);
            for seed in 0..500 {
                let wait = wait(&settings, attempts, &refused, seed);
                assert!((range.0..=range.1).contains(&wait), "{attempts}: {wait:?}");
                assert!(wait <= longest_wait(&settings));
                seen = (seen.0.min(wait), seen.1.max(wait));
            }
            assert_eq!(seen, range, "the whole range is used");
        }
    }

    #[test]
    fn a_greylist_is_given_its_time_once() {
        let settings = RetrySettings::default();
        let grey = said(451, [4, 7, 1], Some("mx"));
        for seed in 0..100 {
            assert_eq!(wait(&settings, 1, &grey, seed), MINUTE * 6);
            assert!(wait(&settings, 2, &grey, seed) >= MINUTE * 8);
        }
        let hasty = RetrySettings {
            waits: alloc::vec![Duration::from_secs(1)],
            ..RetrySettings::default()
        };
        assert!(wait(&hasty, 1, &grey, 1) < MINUTE);
        let ours = said(451, [4, 7, 1], None);
        assert!((0..100).any(|seed| wait(&settings, 1, &ours, seed) < MINUTE * 5));
    }
}
