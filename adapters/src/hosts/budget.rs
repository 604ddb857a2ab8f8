//! The server's budget of memory for messages that are coming in.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Octets that may still be taken; shared by all sinks.
#[derive(Debug, Clone)]
pub struct Budget(Arc<AtomicUsize>);

impl Budget {
    /// So many octets.
    pub fn new(octets: usize) -> Budget {
        Budget(Arc::new(AtomicUsize::new(octets)))
    }

    /// A share of nothing, to be grown.
    pub fn share(&self) -> Share {
        Share {
            budget: self.clone(),
            octets: 0,
        }
    }
}

/// Octets taken from a budget; given back when dropped.
#[derive(Debug)]
pub struct Share {
    budget: Budget,
    octets: usize,
}

impl Share {
    /// Takes more; `false`: there are not so many left.
    pub fn grow(&mut self, octets: usize) -> bool {
        let left = &self.budget.0;
        let taken = left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(octets));
        self.octets += if taken.is_ok() { octets } else { 0 };
        taken.is_ok()
    }

    /// Gives all back.
    pub fn release(&mut self) {
        self.budget.0.fetch_add(std::mem::take(&mut self.octets), Ordering::Relaxed);
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        self.release();
    }
}
