//! Dot-stuffing, dot-unstuffing and the end of DATA (RFC 5321 §4.5.2): folds over a message.
//!
//! # Taking apart
//!
//! The decoder gives slices of its input back.
//! Only `CRLF . CRLF` ends a message (S01). A bare CR or LF, or a NUL, does not end anything: it is remembered, and the message
//! is refused after its real end.
//!
//! ```text
//!            CR            LF                '.'            CR              LF
//! InLine ---------> Cr ---------> LineStart ------> Dot ---------> DotCr ---------> end
//!    ^               |                |              |                |
//!    +---------------+----------------+-- any other -+----------------+
//! ```

use alloc::vec::Vec;
use core::ops::Range;

use memchr::{memchr2, memchr3};

/// Puts a message together for DATA. Lines end with CR LF whatever stood there: a bare CR or LF, which no mail that was taken by
/// SMTP has, would let another reader see two messages (S02).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DotEncoder {
    place: Place,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    LineStart,
    InLine,
    /// Behind a CR, for which CR LF was written: an LF that follows belongs to it.
    Cr,
}

impl Default for DotEncoder {
    fn default() -> Self {
        DotEncoder::new()
    }
}

impl DotEncoder {
    /// At the start of a message.
    pub fn new() -> DotEncoder {
        DotEncoder { place: Place::LineStart }
    }

    /// Appends the next piece of the message.
    pub fn encode(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        let mut rest = piece;
        while let Some(&first) = rest.first() {
            match (self.place, first) {
                (Place::Cr, b'\n') => {
                    rest = &rest[1..];
                    self.place = Place::LineStart;
                    continue;
                }
                (Place::LineStart | Place::Cr, b'.') => out.push(b'.'),
                (Place::LineStart | Place::Cr | Place::InLine, _) => {}
            }
            let Some(end) = memchr2(b'\r', b'\n', rest) else {
                out.extend_from_slice(rest);
                self.place = Place::InLine;
                return;
            };
            out.extend_from_slice(&rest[..end]);
            out.extend_from_slice(b"\r\n");
            self.place = if rest[end] == b'\r' { Place::Cr } else { Place::LineStart };
            rest = &rest[end + 1..];
        }
    }

    /// Appends the end of the message: of its last line, where that is missing, and the dot.
    pub fn finish(self, out: &mut Vec<u8>) {
        match self.place {
            Place::InLine => out.extend_from_slice(b"\r\n.\r\n"),
            Place::LineStart | Place::Cr => out.extend_from_slice(b".\r\n"),
        }
    }
}

/// Takes a message apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DotDecoder {
    state: State,
    bare: bool,
    nul: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    LineStart,
    InLine,
    Cr,
    Dot,
    DotCr,
}

/// One step: so much was taken, this range of it is body, and whether that was the end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Octets taken from the input.
    pub taken: usize,
    /// Octets of the body among them.
    pub body: Range<usize>,
    /// The final dot was among them.
    pub end: bool,
}

impl Default for DotDecoder {
    fn default() -> Self {
        DotDecoder::new()
    }
}

impl DotDecoder {
    /// Behind the CRLF of the DATA command.
    pub fn new() -> DotDecoder {
        DotDecoder {
            state: State::LineStart,
            bare: false,
            nul: false,
        }
    }

    /// Whether a CR or LF stood alone.
    pub fn bare(&self) -> bool {
        self.bare
    }

    /// Whether there was a NUL.
    pub fn nul(&self) -> bool {
        self.nul
    }

    /// Takes octets up to the next one that is left out (a stuffed dot), the end of the message, or the end of the input.
    pub fn step(&mut self, input: &[u8]) -> Step {
        let mut at = 0;
        let mut begin = 0;
        while let Some(&byte) = input.get(at) {
            match (self.state, byte) {
                (State::LineStart, b'.') => {
                    self.state = State::Dot;
                    return Step {
                        taken: at + 1,
                        body: begin..at,
                        end: false,
                    };
                }
                (State::Dot, b'\r') => {
                    self.state = State::DotCr;
                    at += 1;
                    begin = at;
                }
                (State::DotCr, b'\n') => {
                    return Step {
                        taken: at + 1,
                        body: at..at,
                        end: true,
                    };
                }
                (State::DotCr, _) => {
                    self.bare = true; // the CR behind the dot
                    self.state = State::InLine;
                }
                (State::Cr, b'\n') => {
                    self.state = State::LineStart;
                    at += 1;
                }
                (State::Cr, _) => {
                    self.bare = true;
                    self.state = State::InLine;
                }
                (State::LineStart | State::InLine | State::Dot, _) => {
                    self.state = State::InLine;
                    match memchr3(b'\r', b'\n', 0, &input[at..]) {
                        None => at = input.len(),
                        Some(found) => {
                            at += found;
                            match input[at] {
                                b'\r' => self.state = State::Cr,
                                b'\n' => self.bare = true,
                                _ => self.nul = true,
                            }
                            at += 1;
                        }
                    }
                }
            }
        }
        Step {
            taken: at,
            body: begin..at,
            end: false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Body, whether something stood bare, whether there was a NUL, and how many octets lie behind the end; `None` without an end.
    type Decoded = Option<(Vec<u8>, bool, bool, usize)>;

    fn decode(input: &[u8], cuts: &[usize]) -> Decoded {
        let mut decoder = DotDecoder::new();
        let (mut body, mut from) = (Vec::new(), 0);
        for cut in cuts.iter().copied().chain([input.len()]) {
            while from < cut {
                let step = decoder.step(&input[from..cut]);
                body.extend_from_slice(&input[from..cut][step.body]);
                from += step.taken;
                if step.end {
                    return Some((body, decoder.bare(), decoder.nul(), input.len() - from));
                }
            }
        }
        None
    }

    /// The same by the book: split at CRLF, line by line.
    fn naive(input: &[u8]) -> Decoded {
        let mut body = Vec::new();
        let mut rest = input;
        loop {
            let end = rest.windows(2).position(|pair| pair == b"\r\n")?;
            let (line, tail) = (&rest[..end], &rest[end + 2..]);
            if line == b"." {
                let without_crlf: Vec<u8> = {
                    let mut bytes = input[..input.len() - rest.len()].to_vec();
                    while let Some(at) = bytes.windows(2).position(|pair| pair == b"\r\n") {
                        bytes.splice(at..at + 2, [b'x']);
                    }
                    bytes
                };
                let bare = without_crlf.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
                return Some((body, bare, without_crlf.contains(&0), tail.len()));
            }
            body.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
            body.extend_from_slice(b"\r\n");
            rest = tail;
        }
    }

    fn encode(body: &[u8], cuts: &[usize]) -> Vec<u8> {
        let (mut encoder, mut out, mut from) = (DotEncoder::new(), Vec::new(), 0);
        for cut in cuts.iter().copied().chain([body.len()]) {
            encoder.encode(&body[from..cut], &mut out);
            from = cut;
        }
        encoder.finish(&mut out);
        out
    }

    #[test]
    fn stuffed() {
        assert_eq!(encode(b"", &[]), b".\r\n");
        assert_eq!(encode(b".", &[]), b"..\r\n.\r\n");
        assert_eq!(encode(b"a\r\n.\r\n..b\r\n.c.\r\n", &[]), b"a\r\n..\r\n...b\r\n..c.\r\n.\r\n");
    }

    /// Ends of data as lax readers see them: any of CR LF, LF, CR before and behind the dot.
    fn lax_ends(sent: &[u8]) -> usize {
        let text: Vec<u8> = {
            let mut out = Vec::new();
            let mut at = 0;
            while at < sent.len() {
                let pair = sent[at..].starts_with(b"\r\n");
                out.push(if pair || matches!(sent[at], b'\r' | b'\n') {
                    b'\n'
                } else {
                    sent[at]
                });
                at += if pair { 2 } else { 1 };
            }
            out
        };
        let first = usize::from(text.starts_with(b".\n"));
        first + text.windows(3).filter(|window| window == b"\n.\n").count()
    }

    #[test]
    fn dots() {
        assert_eq!(decode(b".\r\n", &[]), Some((b"".to_vec(), false, false, 0)));
        assert_eq!(
            decode(b"a\r\n..\r\n.b\r\n.\r\nrest", &[]),
            Some((b"a\r\n.\r\nb\r\n".to_vec(), false, false, 4))
        );
    }

    /// S01: every way to write an end of data that is none.
    #[test]
    fn s01_only_crlf_dot_crlf_ends() {
        let marks: [&[u8]; 5] = [b"\r", b"\n", b"\r\n", b"\0", b"."];
        for one in marks {
            for two in marks {
                for three in marks {
                    let mut input = b"line".to_vec();
                    [one, two, three].into_iter().for_each(|mark| input.extend_from_slice(mark));
                    input.extend_from_slice(b"smuggled\r\n.\r\n");
                    let got = decode(&input, &[]).unwrap();
                    let honest = one == b"\r\n" && two == b"." && three == b"\r\n";
                    assert_eq!(got.3, if honest { b"smuggled\r\n.\r\n".len() } else { 0 }, "{input:?}");
                }
            }
        }
    }

    proptest! {
        /// S02: whatever is sent, even a lax reader sees one message; a message with proper lines comes out as it went in.
        #[test]
        fn s02_one_message_at_any_split(
            pieces in prop::collection::vec(prop::sample::select(alloc::vec!["\r\n", ".", "..", "\r", "\n", "a", "text", "\0", ".\r\n", "\r\n.\r\n"]), 0..30),
            cuts in prop::collection::vec(0usize..80, 0..5),
        ) {
            let body = pieces.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(body.len())).collect();
            cuts.sort_unstable();
            let sent = encode(&body, &cuts);
            prop_assert_eq!(&sent, &encode(&body, &[]));
            prop_assert_eq!(lax_ends(&sent), 1);
            let (got, bare, _, rest) = decode(&sent, &[]).unwrap();
            prop_assert_eq!((bare, rest), (false, 0));
            let mut lines = body.clone();
            while let Some(at) = lines.windows(2).position(|pair| pair == b"\r\n") {
                lines.splice(at..at + 2, [b'x']);
            }
            let strict = !lines.iter().any(|byte| matches!(byte, b'\r' | b'\n'));
            if strict && (body.is_empty() || body.ends_with(b"\r\n")) {
                prop_assert_eq!(got, body);
            }
        }

        #[test]
        fn equals_the_naive_decoder_at_any_split(
            pieces in prop::collection::vec(prop::sample::select(alloc::vec!["\r\n", ".", "..", "\r", "\n", "a", "text", "\0", ".\r\n", "\r\n.\r\n"]), 0..30),
            cuts in prop::collection::vec(0usize..80, 0..5),
        ) {
            let input = pieces.concat().into_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(input.len())).collect();
            cuts.sort_unstable();
            let got = decode(&input, &cuts);
            prop_assert_eq!(&got, &decode(&input, &[]));
            match (got, naive(&input)) {
                (Some((body, bare, nul, rest)), Some((naive_body, naive_bare, naive_nul, naive_rest))) => {
                    prop_assert_eq!((bare, nul, rest), (naive_bare, naive_nul, naive_rest));
                    if !bare {
                        prop_assert_eq!(body, naive_body);
                    }
                }
                (got, naive) => prop_assert_eq!(got.is_none(), naive.is_none()),
            }
        }
    }
}
