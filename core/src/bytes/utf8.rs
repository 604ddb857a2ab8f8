//! Whether bytes that come in pieces are UTF-8.

/// The fold. A character that is cut at the end of the last piece is no fault: more may come.
#[derive(Debug, Clone, Default)]
pub struct Utf8Check {
    /// The beginning of a character.
    begun: [u8; 4],
    len: usize,
    broken: bool,
}

impl Utf8Check {
    /// Takes more bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        let mut rest = bytes;
        while self.len > 0 && !self.broken {
            let Some((byte, tail)) = rest.split_first() else { return };
            rest = tail;
            self.begun[self.len] = *byte;
            self.len += 1;
            match core::str::from_utf8(&self.begun[..self.len]) {
                Ok(_) => self.len = 0,
                Err(error) => self.broken = error.error_len().is_some(),
            }
        }
        if let Err(error) = core::str::from_utf8(rest) {
            let begun = &rest[error.valid_up_to()..];
            self.broken |= error.error_len().is_some();
            if !self.broken {
                self.begun[..begun.len()].copy_from_slice(begun);
                self.len = begun.len();
            }
        }
    }

    /// Whether all of it was UTF-8 so far.
    pub fn holds(&self) -> bool {
        !self.broken
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::String;
    use alloc::vec::Vec;
    use proptest::prelude::*;

    fn check(bytes: &[u8], piece: usize) -> bool {
        let mut check = Utf8Check::default();
        bytes.chunks(piece).for_each(|piece| check.update(piece));
        check.holds() && check.len == 0
    }

    proptest! {
        #[test]
        fn any_split_gives_what_the_whole_gives(bytes: Vec<u8>, text: String, piece in 1usize..7) {
            for bytes in [bytes, text.into_bytes()] {
                prop_assert_eq!(check(&bytes, piece), core::str::from_utf8(&bytes).is_ok());
            }
        }
    }
}
