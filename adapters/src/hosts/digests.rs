//! The digests of messages read lately: bounded by octets, the least recently used leaves first.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use pillarbox_core::message::digest::Digest;
use pillarbox_core::store::{AccountId, EmailId};

/// Names a body in an account.
pub type Key = (AccountId, EmailId);

/// The cache.
#[derive(Debug)]
pub struct Digests {
    octets_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    octets: usize,
    clock: u64,
    entries: BTreeMap<Key, (Arc<Digest>, u64)>,
    by_age: BTreeMap<u64, Key>,
}

impl Digests {
    /// An empty cache of so many octets.
    pub fn new(octets_max: usize) -> Digests {
        Digests {
            octets_max,
            state: Mutex::default(),
        }
    }

    /// A digest, if it is there.
    pub fn find(&self, key: Key) -> Option<Arc<Digest>> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.clock += 1;
        let State {
            clock, entries, by_age, ..
        } = &mut *state;
        let (digest, age) = entries.get_mut(&key)?;
        by_age.remove(age);
        by_age.insert(*clock, key);
        *age = *clock;
        Some(digest.clone())
    }

    /// Keeps a digest, unless it alone is too large.
    pub fn insert(&self, key: Key, digest: Arc<Digest>) {
        let weight = digest.weight();
        if weight > self.octets_max / 16 {
            return;
        }
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.remove(key);
        state.clock += 1;
        let clock = state.clock;
        state.octets += weight;
        state.entries.insert(key, (digest, clock));
        state.by_age.insert(clock, key);
        while state.octets > self.octets_max {
            let Some((_, oldest)) = state.by_age.first_key_value() else {
                return;
            };
            let oldest = *oldest;
            state.remove(oldest);
        }
    }
}

impl State {
    fn remove(&mut self, key: Key) {
        if let Some((digest, age)) = self.entries.remove(&key) {
            self.octets -= digest.weight();
            self.by_age.remove(&age);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pillarbox_core::message::mime::Walker;

    #[test]
    fn the_least_recently_used_leaves() {
        let digest = Arc::new(Digest::of(Walker::new(), 0));
        let key = |n: u8| (AccountId([0; 16]), EmailId([n; 16]));
        let cache = Digests::new(digest.weight() * 20);
        (0..20).for_each(|n| cache.insert(key(n), digest.clone()));
        assert!(cache.find(key(0)).is_some());
        cache.insert(key(20), digest.clone());
        assert!(cache.find(key(0)).is_some() && cache.find(key(1)).is_none() && cache.find(key(20)).is_some());
        cache.insert(key(20), digest);
        assert!(cache.find(key(2)).is_some(), "an entry that is replaced is counted once");
    }
}
