//! `* SEARCH` (RFC 3501 §7.2.5) and `* ESEARCH` (RFC 4731 §3.2, RFC 9051 §7.3.4), written in pieces: a reader that is slow holds
//! little (S34).

use alloc::format;
use alloc::vec::Vec;

use super::quoted;
use crate::imap::command::Tag;
use crate::imap::sequence::Intervals;

/// Numbers or intervals in a piece.
const PIECE: u32 = 1024;

/// What ESEARCH tells; MIN, MAX and ALL are left out when nothing was found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Found {
    /// The least.
    pub min: Option<u32>,
    /// The greatest.
    pub max: Option<u32>,
    /// How many.
    pub count: Option<u32>,
    /// All of them.
    pub all: Option<Intervals>,
}

/// A response that is being written.
#[derive(Debug)]
pub struct Answer {
    /// What stands before the numbers.
    head: Vec<u8>,
    numbers: Intervals,
    /// As ranges; else one by one.
    ranges: bool,
    /// The interval that comes next, and where in it.
    at: usize,
    next: u32,
    done: bool,
}

impl Answer {
    /// `mailbox-data =/ "SEARCH" *(SP nz-number)`
    pub fn search(numbers: Intervals) -> Answer {
        Answer::new(b"* SEARCH".to_vec(), numbers, false)
    }

    /// `esearch-response = "ESEARCH" [search-correlator] [SP "UID"] *(SP search-return-data)`
    pub fn esearch(tag: &Tag, uid: bool, found: Found) -> Answer {
        let mut head = b"* ESEARCH (TAG ".to_vec();
        quoted(tag.0.as_bytes(), &mut head);
        head.push(b')');
        if uid {
            head.extend_from_slice(b" UID");
        }
        for (name, value) in [(" MIN ", found.min), (" MAX ", found.max), (" COUNT ", found.count)] {
            if let Some(value) = value {
                head.extend_from_slice(format!("{name}{value}").as_bytes());
            }
        }
        let all = found.all.unwrap_or_default();
        if !all.is_empty() {
            head.extend_from_slice(b" ALL ");
        }
        Answer::new(head, all, true)
    }

    fn new(head: Vec<u8>, numbers: Intervals, ranges: bool) -> Answer {
        Answer {
            head,
            numbers,
            ranges,
            at: 0,
            next: 0,
            done: false,
        }
    }

    /// Writes the next piece; `false`: all is written.
    pub fn next(&mut self, out: &mut Vec<u8>) -> bool {
        if self.done {
            return false;
        }
        out.append(&mut self.head);
        for _ in 0..PIECE {
            let Some((first, last)) = self.numbers.as_slice().get(self.at).copied() else {
                out.extend_from_slice(b"\r\n");
                self.done = true;
                return true;
            };
            if self.ranges {
                let comma = if self.at > 0 { "," } else { "" };
                let range = if first == last {
                    format!("{comma}{first}")
                } else {
                    format!("{comma}{first}:{last}")
                };
                out.extend_from_slice(range.as_bytes());
                self.at += 1;
                continue;
            }
            let number = self.next.max(first);
            out.extend_from_slice(format!(" {number}").as_bytes());
            self.next = number.saturating_add(1);
            self.at += usize::from(number == last);
        }
        true
    }
}
