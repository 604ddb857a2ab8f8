//! The octets of BDAT (RFC 3030): a fold that gives slices of its input back, counted, with nothing taken out.
//!
//! A bare CR or LF, or a NUL, is remembered as it is by [`super::dot`]: the two ways to send a message take the same messages. A CR
//! at the end of a chunk may have its LF in the next.

use memchr::memchr3;

use super::dot::Step;

/// Takes a message in chunks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChunkDecoder {
    left: u64,
    last: bool,
    cr: bool,
    bare: bool,
    nul: bool,
}

impl ChunkDecoder {
    /// Behind the CRLF of the first BDAT command.
    pub fn new(size: u64, last: bool) -> ChunkDecoder {
        ChunkDecoder {
            left: size,
            last,
            cr: false,
            bare: false,
            nul: false,
        }
    }

    /// Behind the CRLF of the next one.
    pub fn next(&mut self, size: u64, last: bool) {
        assert!(self.left == 0 && !self.last, "a chunk within a chunk");
        self.left = size;
        self.last = last;
    }

    /// Whether the message ends with this chunk.
    pub fn last(&self) -> bool {
        self.last
    }

    /// Whether a CR or LF stood alone, as far as is known: a CR that has come last counts when no more can come.
    pub fn bare(&self) -> bool {
        self.bare || (self.cr && self.last && self.left == 0)
    }

    /// Whether there was a NUL.
    pub fn nul(&self) -> bool {
        self.nul
    }

    /// Takes octets up to the end of the chunk or of the input.
    pub fn step(&mut self, input: &[u8]) -> Step {
        let taken = usize::try_from(self.left).map_or(input.len(), |left| left.min(input.len()));
        self.left -= taken as u64;
        self.look_at(&input[..taken]);
        Step {
            taken,
            body: 0..taken,
            end: self.left == 0,
        }
    }

    fn look_at(&mut self, bytes: &[u8]) {
        let mut at = 0;
        if let (true, Some(first)) = (self.cr, bytes.first()) {
            self.cr = false;
            match first {
                b'\n' => at = 1,
                _ => self.bare = true,
            }
        }
        while let Some(found) = memchr3(b'\r', b'\n', 0, &bytes[at..]) {
            at += found + 1;
            match (bytes[at - 1], bytes.get(at)) {
                (b'\r', Some(b'\n')) => at += 1,
                (b'\r', None) => self.cr = true,
                (b'\r' | b'\n', _) => self.bare = true,
                _ => self.nul = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    #[test]
    fn counted_and_nothing_taken_out() {
        let mut decoder = ChunkDecoder::new(5, false);
        assert_eq!(
            decoder.step(b".\r\n"),
            Step {
                taken: 3,
                body: 0..3,
                end: false
            }
        );
        assert_eq!(
            decoder.step(b".\rMORE"),
            Step {
                taken: 2,
                body: 0..2,
                end: true
            }
        );
        assert!(!decoder.bare(), "its LF may come");
        decoder.next(0, false);
        assert_eq!(
            decoder.step(b"x"),
            Step {
                taken: 0,
                body: 0..0,
                end: true
            }
        );
        assert!(!decoder.bare());
        let mut other = decoder.clone();
        decoder.next(1, true);
        decoder.step(b"\n");
        assert!(!decoder.bare());
        other.next(0, true);
        other.step(b"");
        assert!(other.bare(), "it cannot come any more");
    }

    proptest! {
        /// However it is cut, in chunks and in pieces: as if CRLF were taken out and the rest looked at.
        #[test]
        fn equals_the_naive_look(
            pieces in prop::collection::vec(prop::sample::select(alloc::vec!["\r\n", "\r", "\n", "a", "\0", ".", "\r\n.\r\n"]), 0..20),
            cuts in prop::collection::vec((0usize..40, any::<bool>()), 0..6),
        ) {
            let input = pieces.concat().into_bytes();
            let mut cuts: Vec<(usize, bool)> = cuts.into_iter().map(|(at, chunk)| (at.min(input.len()), chunk)).collect();
            cuts.sort_unstable();
            cuts.push((input.len(), true));
            // A cut ends a piece; some also end a chunk.
            let ends: Vec<usize> = cuts.iter().filter(|(_, chunk)| *chunk).map(|(at, _)| *at).collect();
            let mut decoder = ChunkDecoder::new(ends[0] as u64, ends.len() == 1);
            let (mut from, mut chunk) = (0, 0);
            for (at, ends_chunk) in cuts {
                let step = decoder.step(&input[from..at]);
                prop_assert_eq!(step.taken, at - from);
                from = at;
                if ends_chunk {
                    chunk += 1;
                    if chunk < ends.len() {
                        decoder.next((ends[chunk] - at) as u64, chunk + 1 == ends.len());
                    }
                }
            }
            let rest = pieces.concat().replace("\r\n", "x");
            prop_assert_eq!(decoder.bare(), rest.contains(['\r', '\n']));
            prop_assert_eq!(decoder.nul(), rest.contains('\0'));
        }
    }
}
