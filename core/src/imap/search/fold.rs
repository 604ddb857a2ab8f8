//! Text in the form in which it is compared: without case, and each run of white space as one space.
//!
//! Case is folded as by `upper`, then `lower`, a character at a time: this makes `ß` and `ss`, `ς` and `σ` alike, as full case
//! folding does. Accents count, and so does the way they are composed. White space is folded because lines of a body, and fields,
//! are broken where it stands: a phrase is found across the break (RFC 9051 §6.4.4 allows flexible matching).

use alloc::vec::Vec;

/// The fold: characters to UTF-8 octets.
#[derive(Debug, Clone, Default)]
pub struct Folder {
    /// The last character was white space.
    blank: bool,
}

impl Folder {
    /// Takes more text and appends its folded form.
    pub fn update(&mut self, text: &str, out: &mut Vec<u8>) {
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first.is_ascii() {
                let ascii = rest.bytes().position(|byte| !byte.is_ascii()).unwrap_or(rest.len());
                let (now, behind) = rest.split_at(ascii);
                self.ascii(now.as_bytes(), out);
                rest = behind;
                continue;
            }
            rest = &rest[first.len_utf8()..];
            if first.is_whitespace() {
                self.ascii(b" ", out);
                continue;
            }
            self.blank = false;
            for folded in first.to_uppercase().flat_map(char::to_lowercase) {
                out.extend_from_slice(folded.encode_utf8(&mut [0; 4]).as_bytes());
            }
        }
    }

    fn ascii(&mut self, text: &[u8], out: &mut Vec<u8>) {
        for byte in text {
            let blank = byte.is_ascii_whitespace();
            if !blank {
                out.push(byte.to_ascii_lowercase());
            } else if !self.blank {
                out.push(b' ');
            }
            self.blank = blank;
        }
    }
}

/// A whole text, folded.
pub fn folded(text: &str) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    Folder::default().update(text, &mut out);
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn text_is_compared_without_case() {
        for (one, other) in [
            ("Hello", "hELLO"),
            ("GR\u{dc}N", "gr\u{fc}n"),
            ("stra\u{df}e", "STRASSE"),
            ("\u{3c3}\u{3bf}\u{3c6}\u{3bf}\u{3c2}", "\u{3a3}\u{39f}\u{3a6}\u{39f}\u{3a3}"),
            ("\u{43c}\u{438}\u{440}", "\u{41c}\u{418}\u{420}"),
            ("a\r\n\t b", "a b"),
            ("a\u{a0}b", "a b"),
        ] {
            assert_eq!(folded(one), folded(other), "{one} {other}");
        }
        assert_ne!(folded("cafe"), folded("caf\u{e9}"));
    }

    proptest! {
        #[test]
        fn any_split_folds_alike(text in "[aA \\t\u{df}\u{dc}\u{a0}\u{3c2}]{0,24}", piece in 1usize..4) {
            let characters: Vec<char> = text.chars().collect();
            let (mut folder, mut out) = (Folder::default(), Vec::new());
            for piece in characters.chunks(piece) {
                folder.update(&piece.iter().collect::<alloc::string::String>(), &mut out);
            }
            prop_assert_eq!(out, folded(&text));
        }
    }
}
