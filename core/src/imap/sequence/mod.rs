//! Sets of message numbers and UIDs: parsed into ranges, merged, never expanded (S33).

use alloc::format;
use alloc::vec::Vec;
use core::ops::Range;

use super::command::{SequenceNumber, SequenceSet};
use crate::limits;

#[cfg(test)]
mod tests;

crate::record_struct_tuple!(Intervals);

impl SequenceSet {
    /// `$`: what the last SEARCH with SAVE found (RFC 5182). It stands alone in its set.
    pub fn saved() -> SequenceSet {
        SequenceSet([(SequenceNumber::Saved, SequenceNumber::Saved)].into())
    }

    /// Whether it is `$`.
    pub fn is_saved(&self) -> bool {
        matches!(*self.0, [(SequenceNumber::Saved, _)])
    }

    /// Reads `sequence-set = (seq-number / seq-range) ["," sequence-set]`, `seq-range = seq-number ":" seq-number`,
    /// `seq-number = nz-number / "*"` (RFC 9051 §9).
    ///
    /// `sequence-set =/ seq-last-command`, `seq-last-command = "$"` (RFC 5182 §3)
    pub fn parse(text: &[u8]) -> Result<SequenceSet, &'static str> {
        if text == b"$" {
            return Ok(SequenceSet::saved());
        }
        let mut ranges = Vec::new();
        for range in text.split(|byte| *byte == b',') {
            if ranges.len() == limits::IMAP_SET_RANGES {
                return Err("sequence set has too many ranges");
            }
            let range = match memchr::memchr(b':', range) {
                Some(colon) => (seq_number(&range[..colon])?, seq_number(&range[colon + 1..])?),
                None => {
                    let number = seq_number(range)?;
                    (number, number)
                }
            };
            ranges.push(range);
        }
        Ok(SequenceSet(ranges.into()))
    }

    /// Writes the set as [`SequenceSet::parse`] reads it.
    pub fn encode(&self, out: &mut Vec<u8>) {
        for (index, (first, last)) in self.0.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            encode_number(*first, out);
            if first != last {
                out.push(b':');
                encode_number(*last, out);
            }
        }
    }

    /// The numbers it means when `*` is `max`; 0: there is no message, and `*` alone means none. `$` is the view's to resolve.
    pub fn resolve(&self, max: u32) -> Intervals {
        let number = |number: SequenceNumber| match number {
            SequenceNumber::Number(number) => number,
            SequenceNumber::Last => max,
            SequenceNumber::Saved => unreachable!("$ is no number"),
        };
        let ordered = self.0.iter().map(|(one, other)| {
            let (one, other) = (number(*one), number(*other));
            (one.min(other).max(1), one.max(other)) // a range may be written backwards
        });
        Intervals::merge(ordered.filter(|(first, last)| first <= last).collect())
    }
}

/// `seq-number`
fn seq_number(text: &[u8]) -> Result<SequenceNumber, &'static str> {
    const WRONG: &str = "a sequence set is expected: numbers from 1, `*`, `a:b`, joined by `,`";
    match text {
        b"*" => Ok(SequenceNumber::Last),
        [b'1'..=b'9', ..] => text
            .iter()
            .try_fold(0u32, |value, digit| {
                let digit = digit.is_ascii_digit().then(|| u32::from(digit - b'0'))?;
                value.checked_mul(10)?.checked_add(digit)
            })
            .map(SequenceNumber::Number)
            .ok_or(WRONG),
        _ => Err(WRONG),
    }
}

fn encode_number(number: SequenceNumber, out: &mut Vec<u8>) {
    match number {
        SequenceNumber::Number(number) => out.extend_from_slice(format!("{number}").as_bytes()),
        SequenceNumber::Last => out.push(b'*'),
        SequenceNumber::Saved => out.push(b'$'),
    }
}

/// Numbers as intervals with both ends: ascending, apart from each other.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Intervals(Vec<(u32, u32)>);

impl Intervals {
    /// Of intervals in any order, overlapping or not.
    fn merge(mut intervals: Vec<(u32, u32)>) -> Intervals {
        intervals.sort_unstable();
        let mut merged: Vec<(u32, u32)> = Vec::new();
        for (first, last) in intervals {
            match merged.last_mut() {
                Some(before) if first <= before.1.saturating_add(1) => before.1 = before.1.max(last),
                Some(_) | None => merged.push((first, last)),
            }
        }
        Intervals(merged)
    }

    /// Of ascending numbers.
    pub fn from_sorted(numbers: impl IntoIterator<Item = u32>) -> Intervals {
        let mut intervals = Intervals::default();
        for number in numbers {
            intervals.push(number);
        }
        intervals
    }

    /// All numbers from `first` to `last`; none if that is less.
    pub fn range(first: u32, last: u32) -> Intervals {
        Intervals((first <= last).then_some((first, last)).into_iter().collect())
    }

    /// Takes a number that is not less than those it has.
    pub fn push(&mut self, number: u32) {
        match self.0.last_mut() {
            Some(before) if number <= before.1.saturating_add(1) => before.1 = before.1.max(number),
            Some(_) | None => self.0.push((number, number)),
        }
    }

    /// Of ascending ranges that do not touch.
    pub fn from_ranges(ranges: impl IntoIterator<Item = (u32, u32)>) -> Intervals {
        Intervals(ranges.into_iter().collect())
    }

    /// The intervals: first and last number of each.
    pub fn as_slice(&self) -> &[(u32, u32)] {
        &self.0
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The greatest number.
    pub fn max(&self) -> Option<u32> {
        self.0.last().map(|(_, last)| *last)
    }

    /// Whether this number is among them.
    pub fn contains(&self, number: u32) -> bool {
        let behind = self.0.partition_point(|(first, _)| *first <= number);
        behind > 0 && self.0[behind - 1].1 >= number
    }

    /// As a set, the shortest that means the same.
    pub fn to_set(&self) -> SequenceSet {
        let number = SequenceNumber::Number;
        SequenceSet(self.0.iter().map(|(first, last)| (number(*first), number(*last))).collect())
    }

    /// Writes them as `uid-set` or `sequence-set`.
    pub fn encode(&self, out: &mut Vec<u8>) {
        self.to_set().encode(out);
    }

    /// Where entries of `list` are among the numbers, as runs of places, ascending. `list` ascends by `number`.
    ///
    /// Costs O(intervals x log of the gap between two runs), whatever the numbers are (S33).
    pub fn places<'a, T>(&'a self, list: &'a [T], number: impl Fn(&T) -> u32 + 'a) -> impl Iterator<Item = Range<usize>> + 'a {
        let mut at = 0;
        self.0.iter().filter_map(move |(first, last)| {
            let start = gallop(list, at, |entry| number(entry) < *first);
            let end = gallop(list, start, |entry| number(entry) <= *last);
            at = end;
            (start < end).then_some(start..end)
        })
    }

    /// The places of message numbers in a mailbox of `exists` messages: number 1 is place 0.
    pub fn places_of_numbers(&self, exists: u32) -> impl Iterator<Item = Range<usize>> + '_ {
        self.0.iter().filter_map(move |(first, last)| {
            let end = (*last).min(exists) as usize;
            let start = *first as usize - 1;
            (start < end).then_some(start..end)
        })
    }
}

/// The first place from `from` on that is not `before`: steps double, then halve.
fn gallop<T>(list: &[T], from: usize, before: impl Fn(&T) -> bool) -> usize {
    let (mut low, mut step) = (from, 1);
    while low + step <= list.len() && before(&list[low + step - 1]) {
        low += step;
        step *= 2;
    }
    let high = (low + step).min(list.len());
    low + list[low..high].partition_point(before)
}
