//! The fewest transitions with which a seed still fails.

use super::{Failed, run};

/// Leaves out what can be left out: halves, quarters, ... single ones, until no single one can go. Any failure counts. At most so many
/// runs.
pub fn shrink(failed: Failed, mut runs: usize) -> Failed {
    let mut best = failed;
    let mut size = best.transitions.len().div_ceil(2).max(1);
    loop {
        let mut shorter = false;
        let mut from = 0;
        while from < best.transitions.len() {
            if runs == 0 {
                return best;
            }
            runs -= 1;
            let mut rest = best.transitions.clone();
            rest.drain(from..(from + size).min(rest.len()));
            match run(best.seed, Some(&rest), false) {
                Err(failed) => {
                    best = failed;
                    shorter = true;
                }
                Ok(_) => from += size,
            }
        }
        if size == 1 && !shorter {
            return best;
        }
        size = (size / 2).max(1);
    }
}
