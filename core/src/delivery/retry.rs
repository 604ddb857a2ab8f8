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
    /// When a delay is reported.
    pub delay_notice: Duration,
}

impl Default for RetrySettings {
    fn default() -> Self {
        RetrySettings {
            waits: limits::RETRY.into(),
            delay_notice: limits::DELAY_NOTICE,
        }
    }
}

/// When the attempt after this one is made. `attempts` counts this one; `said` is why it did not succeed. The seed makes the
/// jitter. Never later than `expires`: then the row fails.
pub fn next_due(settings: &RetrySettings, attempts: u32, said: &Said, now: UnixTime, expires: UnixTime, seed: u64) -> UnixTime {
    let place = (attempts.max(1) as usize - 1).min(settings.waits.len() - 1);
    let wait = millis(settings.waits[place]);
    let jitter = i64::try_from(super::mixed(seed, u64::from(attempts)) % (2 * limits::RETRY_JITTER + 1)).expect("below 100");
    let hundredth = wait / 100;
    let wait = if attempts <= 1 && looks_like_greylisting(said) {
        // Never sooner than the list asks for: coming too early begins the wait anew.
        millis(limits::RETRY_GREYLIST).max(wait)
    } else {
        wait - hundredth * limits::RETRY_JITTER as i64 + hundredth * jitter
    };
    UnixTime(now.0.saturating_add(wait).min(expires.0))
}

/// A server's temporary refusal on policy grounds (RFC 6647 §2.1: 450 or 451, X.7.1 or no better code).
fn looks_like_greylisting(said: &Said) -> bool {
    said.by.is_some() && matches!(said.code, 450 | 451) && matches!(said.status, [4, 7, _] | [4, 2, 0] | [4, 0, 0] | [4, 5, 1])
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

    const MINUTE: i64 = 60_000;
    const NEVER: UnixTime = UnixTime(i64::MAX);

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
            let mut seen = (i64::MAX, 0);
            for seed in 0..500 {
                let wait = next_due(&settings, attempts, &refused, UnixTime(0), NEVER, seed).0;
                assert!(
                    (minutes * MINUTE * 80 / 100..=minutes * MINUTE * 120 / 100).contains(&wait),
                    "{attempts}: {wait}"
                );
                seen = (seen.0.min(wait), seen.1.max(wait));
            }
            assert_eq!(
                seen,
                (minutes * MINUTE * 80 / 100, minutes * MINUTE * 120 / 100),
                "the whole range is used"
            );
        }
    }

    #[test]
    fn a_greylist_is_given_its_time_once() {
        let settings = RetrySettings::default();
        let grey = said(451, [4, 7, 1], Some("mx"));
        for seed in 0..100 {
            assert_eq!(
                next_due(&settings, 1, &grey, UnixTime(7), NEVER, seed),
                UnixTime(7 + 6 * MINUTE)
            );
            assert!(next_due(&settings, 2, &grey, UnixTime(0), NEVER, seed).0 >= 8 * MINUTE);
        }
        let ours = said(451, [4, 7, 1], None);
        assert!((0..100).any(|seed| next_due(&settings, 1, &ours, UnixTime(0), NEVER, seed).0 < 5 * MINUTE));
    }

    #[test]
    fn nothing_is_due_after_its_expiry() {
        let settings = RetrySettings::default();
        let refused = said(421, [4, 3, 2], None);
        assert_eq!(
            next_due(&settings, 9, &refused, UnixTime(100), UnixTime(200), 1),
            UnixTime(200)
        );
    }
}
