//! A string that is searched for in octets that come in pieces: Knuth, Morris and Pratt's automaton. Each octet is looked at at
//! most twice, whatever the string and the text are (S38).

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The string, folded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Needle {
    text: Box<[u8]>,
    /// For each prefix of `text`: its longest proper prefix that also ends it.
    back: Box<[u32]>,
}

/// How many octets of the string the text before this place ends with.
pub(super) type Reached = u32;

impl Needle {
    pub(super) fn new(text: Vec<u8>) -> Needle {
        let mut back = alloc::vec![0u32; text.len()];
        let mut len = 0usize;
        for at in 1..text.len() {
            while len > 0 && text[at] != text[len] {
                len = back[len - 1] as usize;
            }
            len += usize::from(text[at] == text[len]);
            back[at] = u32::try_from(len).expect("a command is short");
        }
        Needle {
            text: text.into(),
            back: back.into(),
        }
    }

    pub(super) fn text(&self) -> &[u8] {
        &self.text
    }

    /// Takes more of the text: whether the string has come.
    pub(super) fn feed(&self, reached: &mut Reached, octets: &[u8]) -> bool {
        let Some(first) = self.text.first() else { return true };
        let (mut len, mut at) = (*reached as usize, 0);
        while at < octets.len() {
            if len == 0 {
                match memchr::memchr(*first, &octets[at..]) {
                    Some(skip) => at += skip,
                    None => break,
                }
            }
            while len > 0 && octets[at] != self.text[len] {
                len = self.back[len - 1] as usize;
            }
            len += usize::from(octets[at] == self.text[len]);
            at += 1;
            if len == self.text.len() {
                return true;
            }
        }
        *reached = u32::try_from(len).expect("shorter than the string");
        false
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_finds_what_the_naive_search_finds(needle in "[ab]{0,6}", text in "[abc]{0,40}", piece in 1usize..5) {
            let automaton = Needle::new(needle.clone().into_bytes());
            let mut reached = 0;
            let found = needle.is_empty() || text.as_bytes().chunks(piece).any(|piece| automaton.feed(&mut reached, piece));
            prop_assert_eq!(found, text.contains(&needle));
        }
    }
}
