//! Giving a part a transfer encoding (RFC 2045 §6.7, §6.8): a fold from octets to lines of at most 76 that decode to just them.

use alloc::vec::Vec;

use crate::bytes::base64;

/// Characters of an encoded line.
const LINE: usize = 76;
/// Octets of a line of base64.
const GROUP: usize = LINE / 4 * 3;

/// The fold.
#[derive(Debug, Clone)]
pub enum Encoder {
    /// Lines stay lines; what is no text of a line is escaped.
    Quoted(Quoted),
    /// Octets, line ends among them.
    Base64 {
        /// What does not fill a line yet.
        held: Vec<u8>,
        /// Whether a line stands before.
        begun: bool,
    },
}

/// Where quoted-printable stands.
#[derive(Debug, Clone, Default)]
pub struct Quoted {
    /// Characters of the line.
    column: usize,
    /// The line is one that we broke off.
    soft: bool,
    /// White space: escaped if the line ends behind it.
    blank: Option<u8>,
    /// A CR: a line end, or escaped.
    cr: bool,
}

impl Encoder {
    /// Of text.
    pub fn quoted() -> Encoder {
        Encoder::Quoted(Quoted::default())
    }

    /// Of anything.
    pub fn base64() -> Encoder {
        Encoder::Base64 {
            held: Vec::new(),
            begun: false,
        }
    }

    /// Takes more octets and appends their form.
    pub fn update(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self {
            Encoder::Quoted(quoted) => octets.iter().for_each(|octet| quoted.octet(*octet, out)),
            Encoder::Base64 { held, begun } => {
                let mut rest = octets;
                while !rest.is_empty() {
                    let (piece, behind) = rest.split_at(rest.len().min(GROUP - held.len()));
                    held.extend_from_slice(piece);
                    rest = behind;
                    if held.len() == GROUP {
                        line(held, begun, out);
                    }
                }
            }
        }
    }

    /// The end: appends what was held back. No line end follows the last line.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Encoder::Quoted(quoted) => quoted.finish(out),
            Encoder::Base64 { held, begun } => {
                if !held.is_empty() {
                    line(held, begun, out);
                }
            }
        }
    }
}

fn line(held: &mut Vec<u8>, begun: &mut bool, out: &mut Vec<u8>) {
    if core::mem::replace(begun, true) {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(base64::encode(held).as_bytes());
    held.clear();
}

impl Quoted {
    fn octet(&mut self, octet: u8, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.cr) {
            if octet == b'\n' {
                if let Some(blank) = self.blank.take() {
                    self.escape(blank, out);
                }
                out.extend_from_slice(b"\r\n");
                (self.column, self.soft) = (0, false);
                return;
            }
            self.settle_blank(out);
            self.escape(b'\r', out);
        }
        match octet {
            b'\r' => self.cr = true,
            b' ' | b'\t' => {
                self.settle_blank(out);
                self.blank = Some(octet);
            }
            _ => {
                self.settle_blank(out);
                // A line that begins here must not look like a boundary's.
                let dash = octet == b'-' && self.column == 0 && self.soft;
                match octet {
                    b'!'..=b'~' if octet != b'=' && !dash => self.write(&[octet], out),
                    _ => self.escape(octet, out),
                }
            }
        }
    }

    fn finish(&mut self, out: &mut Vec<u8>) {
        if core::mem::take(&mut self.cr) {
            self.settle_blank(out);
            self.escape(b'\r', out);
        }
        if let Some(blank) = self.blank.take() {
            self.escape(blank, out);
        }
    }

    fn settle_blank(&mut self, out: &mut Vec<u8>) {
        if let Some(blank) = self.blank.take() {
            self.write(&[blank], out);
        }
    }

    fn escape(&mut self, octet: u8, out: &mut Vec<u8>) {
        let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
        self.write(&[b'=', digit(octet >> 4), digit(octet & 15)], out);
    }

    /// Writes a character, behind a soft line break when the line has no room for both.
    fn write(&mut self, character: &[u8], out: &mut Vec<u8>) {
        if self.column + character.len() >= LINE {
            out.extend_from_slice(b"=\r\n");
            (self.column, self.soft) = (0, true);
            if character == b"-" {
                return self.escape(b'-', out);
            }
        }
        out.extend_from_slice(character);
        self.column += character.len();
    }
}

#[cfg(test)]
mod tests {
    use super::super::transfer::Encoding;
    use super::*;
    use alloc::string::String;
    use proptest::prelude::*;

    fn encoded(mut encoder: Encoder, octets: &[u8], piece: usize) -> Vec<u8> {
        let mut out = Vec::new();
        octets.chunks(piece).for_each(|piece| encoder.update(piece, &mut out));
        encoder.finish(&mut out);
        out
    }

    fn decoded(encoding: Encoding, text: &[u8]) -> Vec<u8> {
        let (mut decoder, mut out) = (encoding.decoder(), Vec::new());
        decoder.update(text, &mut out);
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn quoted_printable() {
        for (text, want) in [
            ("plain\r\n-- \r\ntext\r\n", "plain\r\n--=20\r\ntext\r\n"),
            ("a=b\tc\t\r\n", "a=3Db\tc=09\r\n"),
            ("caf\u{e9}", "caf=C3=A9"),
            ("bare\rcr \r and\nlf", "bare=0Dcr =0D and=0Alf"),
            ("at the end ", "at the end=20"),
            ("\r\n\r\n", "\r\n\r\n"),
        ] {
            let got = encoded(Encoder::quoted(), text.as_bytes(), 100);
            assert_eq!(String::from_utf8(got).unwrap(), want);
        }
        let dashes = encoded(Encoder::quoted(), &[b'-'; 160], 7);
        let text = String::from_utf8(dashes).unwrap();
        assert!(text.lines().skip(1).all(|line| line.starts_with("=2D")), "{text}");
    }

    proptest! {
        #[test]
        fn it_decodes_to_the_same(octets in prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..400),
            "[a-z= \t\r\n-]{0,400}".prop_map(String::into_bytes),
        ], piece in 1usize..90) {
            for (encoder, encoding) in [(Encoder::quoted(), Encoding::QuotedPrintable), (Encoder::base64(), Encoding::Base64)] {
                let text = encoded(encoder.clone(), &octets, piece);
                prop_assert_eq!(&text, &encoded(encoder, &octets, 1000), "any split gives the same");
                prop_assert!(text.is_ascii());
                prop_assert!(text.split(|byte| *byte == b'\n').all(|line| line.trim_ascii_end().len() <= LINE));
                prop_assert!(!text.split(|byte| *byte == b'\n').any(|line| line.strip_suffix(b"\r").is_some_and(|line| line.ends_with(b" "))));
                prop_assert_eq!(decoded(encoding, &text), octets.clone());
            }
        }
    }
}
