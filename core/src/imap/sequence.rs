//! Sequence sets (RFC 9051 §9, `sequence-set`): ranges, never expanded (S33).

use alloc::vec::Vec;

use super::command::{SequenceNumber, SequenceSet};
use crate::limits;

impl SequenceSet {
    /// Reads a set.
    ///
    /// ```text
    /// sequence-set = (seq-number / seq-range) ["," sequence-set]      seq-number = nz-number / "*"
    /// ```
    pub fn parse(text: &[u8]) -> Option<SequenceSet> {
        let mut ranges = Vec::new();
        for range in text.split(|byte| *byte == b',') {
            if ranges.len() >= limits::SEQUENCE_RANGES {
                return None;
            }
            let mut ends = range.splitn(2, |byte| *byte == b':');
            let first = number(ends.next()?)?;
            let last = ends.next().map_or(Some(first), number)?;
            ranges.push((first, last));
        }
        Some(SequenceSet(ranges.into()))
    }

    /// The set as merged, ascending intervals, when `*` is `last` (0: there is none, and only plain numbers count).
    pub fn intervals(&self, last: u32) -> Vec<(u32, u32)> {
        let value = |number: SequenceNumber| match number {
            SequenceNumber::Number(number) => number,
            SequenceNumber::Last => last,
        };
        let mut intervals: Vec<(u32, u32)> = self
            .0
            .iter()
            .map(|(a, b)| (value(*a).min(value(*b)), value(*a).max(value(*b))))
            .collect();
        intervals.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::with_capacity(intervals.len());
        for (first, end) in intervals {
            match merged.last_mut() {
                Some((_, before)) if first <= before.saturating_add(1) => *before = end.max(*before),
                _ => merged.push((first, end)),
            }
        }
        merged
    }
}

impl core::fmt::Display for SequenceSet {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        for (index, (first, last)) in self.0.iter().enumerate() {
            let comma = if index > 0 { "," } else { "" };
            if first == last {
                write!(f, "{comma}{first}")?
            } else {
                write!(f, "{comma}{first}:{last}")?
            }
        }
        Ok(())
    }
}

impl core::fmt::Display for SequenceNumber {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            SequenceNumber::Number(number) => write!(f, "{number}"),
            SequenceNumber::Last => f.write_str("*"),
        }
    }
}

fn number(text: &[u8]) -> Option<SequenceNumber> {
    if text == b"*" {
        return Some(SequenceNumber::Last);
    }
    let digits = !text.is_empty() && text.iter().all(u8::is_ascii_digit) && text[0] != b'0';
    digits.then(|| core::str::from_utf8(text).ok()?.parse().ok().map(SequenceNumber::Number))?
}
