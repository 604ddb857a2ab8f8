//! Facts from DNS, for as long as they hold.

use alloc::collections::{BTreeMap, BTreeSet};
use core::time::Duration;

use super::Query;
use crate::decision::Fact;
use crate::limits;
use crate::time::Instant;

/// At most [`limits::DNS_CACHE`] facts; when it is full, the one that would go soonest goes.
#[derive(Debug, Clone, Default)]
pub struct Cache {
    facts: BTreeMap<Query, (Fact, Instant)>,
    by_end: BTreeSet<(Instant, Query)>,
}

impl Cache {
    /// What is known, with the seconds that it still holds.
    pub fn find(&self, now: Instant, query: &Query) -> Option<Fact> {
        let (fact, until) = self.facts.get(query)?;
        if *until <= now {
            return None;
        }
        // Rounded up: what is in here may be kept for some time yet.
        let left = until.since(now).as_nanos().div_ceil(1_000_000_000);
        Some(Fact {
            ttl_s: u32::try_from(left).unwrap_or(u32::MAX),
            ..fact.clone()
        })
    }

    /// Keeps a fact for its TTL.
    pub fn keep(&mut self, now: Instant, query: Query, fact: Fact) {
        if fact.ttl_s == 0 {
            return;
        }
        let until = now.after(Duration::from_secs(u64::from(fact.ttl_s)));
        if let Some((_, before)) = self.facts.insert(query.clone(), (fact, until)) {
            self.by_end.remove(&(before, query.clone()));
        }
        self.by_end.insert((until, query));
        while self.by_end.len() > limits::DNS_CACHE || self.by_end.first().is_some_and(|(until, _)| *until <= now) {
            if let Some((_, query)) = self.by_end.pop_first() {
                self.facts.remove(&query);
            }
        }
    }

    /// How many facts are held.
    pub fn len(&self) -> usize {
        self.facts.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.facts.is_empty()
    }
}
