//! Undoing a part's transfer encoding (RFC 2045 §6): a fold from encoded octets to decoded ones, lenient as real mail needs it.

use alloc::vec::Vec;

use super::content::parse_token;
use crate::bytes::base64;
use crate::limits;

/// How a part is encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Encoding {
    /// `7bit`, `8bit`, `binary`: as it stands.
    #[default]
    Identity,
    /// `base64`.
    Base64,
    /// `quoted-printable`.
    QuotedPrintable,
}
crate::record_enum!(Encoding { 0 => Identity, 1 => Base64, 2 => QuotedPrintable });

impl Encoding {
    /// Of a `Content-Transfer-Encoding` field's value; without one it is `7bit` (RFC 2045 §6.1). `None`: an unknown one.
    pub fn of(field: Option<&[u8]>) -> Option<Encoding> {
        let Some(token) = field.and_then(parse_token) else {
            return Some(Encoding::Identity);
        };
        Some(match token.to_ascii_lowercase().as_slice() {
            b"7bit" | b"8bit" | b"binary" => Encoding::Identity,
            b"base64" => Encoding::Base64,
            b"quoted-printable" => Encoding::QuotedPrintable,
            _ => return None,
        })
    }

    /// A decoder of it.
    pub fn decoder(self) -> Decoder {
        match self {
            Encoding::Identity => Decoder::Identity,
            Encoding::Base64 => Decoder::Base64 { word: 0, digits: 0 },
            Encoding::QuotedPrintable => Decoder::Quoted {
                blanks: Vec::new(),
                escape: Escape::None,
            },
        }
    }
}

/// The fold.
#[derive(Debug, Clone)]
pub enum Decoder {
    /// As it stands.
    Identity,
    /// What is no digit is skipped (RFC 2045 §6.8); padding ends a group, and another may follow.
    Base64 {
        /// The digits of the group so far, six bits each.
        word: u32,
        /// How many.
        digits: u8,
    },
    /// An escape that is none stays as it is (RFC 2045 §6.7).
    Quoted {
        /// White space that may stand before a line end, where it does not count.
        blanks: Vec<u8>,
        /// What has come of an escape.
        escape: Escape,
    },
}

/// What has come of `=XY` or `=` CRLF.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Escape {
    /// Nothing.
    None,
    /// `=`, and white space behind it when `blanks` holds some.
    Sign,
    /// `=X`.
    Digit(u8),
    /// `=` and a CR.
    Cr,
}

impl Decoder {
    /// Takes more octets and appends what they are.
    pub fn update(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        match self {
            Decoder::Identity => out.extend_from_slice(octets),
            Decoder::Base64 { word, digits } => {
                for octet in octets {
                    base64_digit(*octet, word, digits, out);
                }
            }
            Decoder::Quoted { blanks, escape } => {
                for octet in octets {
                    quoted_octet(*octet, blanks, escape, out);
                }
            }
        }
    }

    /// The end: appends what was held back.
    pub fn finish(&mut self, out: &mut Vec<u8>) {
        match self {
            Decoder::Identity => {}
            Decoder::Base64 { word, digits } => base64_flush(word, digits, out),
            // White space at the very end is before a line end that was cut off.
            Decoder::Quoted { escape, .. } => match escape {
                Escape::None | Escape::Sign | Escape::Cr => {}
                Escape::Digit(digit) => out.extend_from_slice(&[b'=', *digit]),
            },
        }
    }
}

/// The fold that gives text its line ends: an LF without its CR gets one (RFC 9051 §7.5.2, BINARY).
#[derive(Debug, Clone, Default)]
pub struct LineEnds {
    cr: bool,
}

impl LineEnds {
    /// Takes more octets and appends them with their line ends.
    pub fn update(&mut self, octets: &[u8], out: &mut Vec<u8>) {
        for octet in octets {
            if *octet == b'\n' && !self.cr {
                out.push(b'\r');
            }
            out.push(*octet);
            self.cr = *octet == b'\r';
        }
    }
}

fn base64_digit(octet: u8, word: &mut u32, digits: &mut u8, out: &mut Vec<u8>) {
    if octet == b'=' {
        return base64_flush(word, digits, out);
    }
    let Some(value) = base64::value(octet) else { return };
    *word = *word << 6 | u32::from(value);
    *digits += 1;
    if *digits == 4 {
        out.extend_from_slice(&word.to_be_bytes()[1..]);
        (*word, *digits) = (0, 0);
    }
}

/// The octets of an unfinished group: 2 digits have one, 3 have two.
fn base64_flush(word: &mut u32, digits: &mut u8, out: &mut Vec<u8>) {
    let octets = usize::from(digits.saturating_sub(1));
    let bits = *word << (6 * (4 - u32::from(*digits)) % 24);
    out.extend_from_slice(&bits.to_be_bytes()[1..1 + octets]);
    (*word, *digits) = (0, 0);
}

fn quoted_octet(octet: u8, blanks: &mut Vec<u8>, escape: &mut Escape, out: &mut Vec<u8>) {
    match (*escape, octet) {
        (Escape::None, b'=') => {
            out.append(blanks);
            *escape = Escape::Sign;
        }
        (Escape::None, b' ' | b'\t') => hold_blank(octet, blanks, out),
        (Escape::None, b'\r' | b'\n') => {
            blanks.clear();
            out.push(octet);
        }
        (Escape::None, _) => {
            out.append(blanks);
            out.push(octet);
        }
        // A soft line break, with white space that a gateway added.
        (Escape::Sign, b'\r') => *escape = Escape::Cr,
        (Escape::Sign | Escape::Cr, b'\n') => {
            blanks.clear();
            *escape = Escape::None;
        }
        (Escape::Sign, b' ' | b'\t') => {
            // Nobody adds so many: it is no line break.
            if blanks.len() == limits::FIELD_NAME {
                out.push(b'=');
                *escape = Escape::None;
            }
            hold_blank(octet, blanks, out);
        }
        (Escape::Sign, _) if blanks.is_empty() && octet.is_ascii_hexdigit() => *escape = Escape::Digit(octet),
        (Escape::Digit(first), _) if octet.is_ascii_hexdigit() => {
            out.push(hex(first) << 4 | hex(octet));
            *escape = Escape::None;
        }
        (Escape::Sign, _) => {
            out.push(b'=');
            out.append(blanks);
            *escape = Escape::None;
            quoted_plain(octet, blanks, escape, out);
        }
        (Escape::Digit(first), _) => {
            out.extend_from_slice(&[b'=', first]);
            *escape = Escape::None;
            quoted_plain(octet, blanks, escape, out);
        }
        (Escape::Cr, _) => {
            blanks.clear();
            *escape = Escape::None;
            quoted_plain(octet, blanks, escape, out);
        }
    }
}

/// An octet outside any escape.
fn quoted_plain(octet: u8, blanks: &mut Vec<u8>, escape: &mut Escape, out: &mut Vec<u8>) {
    match octet {
        b'=' => *escape = Escape::Sign,
        b' ' | b'\t' => hold_blank(octet, blanks, out),
        _ => out.push(octet),
    }
}

/// Holds white space back, but not without end: a line has 76 characters.
fn hold_blank(octet: u8, blanks: &mut Vec<u8>, out: &mut Vec<u8>) {
    if blanks.len() == limits::FIELD_NAME {
        out.append(blanks);
    }
    blanks.push(octet);
}

/// The value of a hexadecimal digit.
pub(super) fn hex(digit: u8) -> u8 {
    match digit {
        b'0'..=b'9' => digit - b'0',
        b'a'..=b'f' => digit - b'a' + 10,
        b'A'..=b'F' => digit - b'A' + 10,
        _ => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn decoded(encoding: Encoding, text: &[u8], piece: usize) -> Vec<u8> {
        let (mut decoder, mut out) = (encoding.decoder(), Vec::new());
        text.chunks(piece).for_each(|piece| decoder.update(piece, &mut out));
        decoder.finish(&mut out);
        out
    }

    #[test]
    fn quoted_printable() {
        for (text, plain) in [
            ("a=3Db", "a=b"),
            ("soft=\r\nbreak", "softbreak"),
            ("soft= \t\r\nbreak", "softbreak"),
            ("lf=\nonly", "lfonly"),
            ("trailing \t\r\nblank", "trailing\r\nblank"),
            ("in the end  ", "in the end"),
            ("in the end=", "in the end"),
            ("=e4=FC", "\u{e4}\u{fc}"),
            ("100=% =x =4", "100=% =x =4"),
            ("==41", "=A"),
            ("= x", "= x"),
            ("a = b", "a = b"),
        ] {
            let plain: Vec<u8> = plain.chars().map(|c| c as u32 as u8).collect();
            for piece in [1, 2, 100] {
                assert_eq!(decoded(Encoding::QuotedPrintable, text.as_bytes(), piece), plain, "{text}");
            }
        }
        // Blanks behind a sign, as many as are held, and one more.
        for (blanks, plain) in [
            (limits::FIELD_NAME, "ab".into()),
            (limits::FIELD_NAME + 1, alloc::format!("a={:998}\r\nb", "")),
        ] {
            let text = alloc::format!("a={:blanks$}\r\nb", "");
            for piece in [1, 7, 2000] {
                assert_eq!(
                    decoded(Encoding::QuotedPrintable, text.as_bytes(), piece),
                    plain.as_bytes(),
                    "{blanks}"
                );
            }
        }
    }

    #[test]
    fn base64_as_it_comes() {
        for (text, plain) in [
            ("Zm9v\r\nYmFy", "foobar"),
            ("Zm9vYg==", "foob"),
            ("Zm9vYg", "foob"),
            ("Zm9vYmE", "fooba"),
            ("Zg==Zg==", "ff"),
            ("Z", ""),
            ("!Z*m 9v", "foo"),
            ("====", ""),
        ] {
            assert_eq!(decoded(Encoding::Base64, text.as_bytes(), 1), plain.as_bytes(), "{text}");
        }
    }

    #[test]
    fn lines_end_in_crlf() {
        for piece in [1, 2, 20] {
            let (mut ends, mut out) = (LineEnds::default(), Vec::new());
            b"a\nb\r\nc\rd\n\n"
                .chunks(piece)
                .for_each(|piece| ends.update(piece, &mut out));
            assert_eq!(out, b"a\r\nb\r\nc\rd\r\n\r\n");
        }
    }

    #[test]
    fn encodings_have_names() {
        assert_eq!(Encoding::of(None), Some(Encoding::Identity));
        assert_eq!(Encoding::of(Some(b" BASE64 (so)")), Some(Encoding::Base64));
        assert_eq!(Encoding::of(Some(b"Quoted-Printable")), Some(Encoding::QuotedPrintable));
        assert_eq!(Encoding::of(Some(b"x-uuencode")), None);
    }

    proptest! {
        #[test]
        fn any_split_decodes_alike(text in "[=A-F0-9a-z \t\r\n+/]{0,80}", piece in 1usize..9) {
            for encoding in [Encoding::Base64, Encoding::QuotedPrintable] {
                prop_assert_eq!(decoded(encoding, text.as_bytes(), piece), decoded(encoding, text.as_bytes(), 1000));
            }
        }
        #[test]
        fn decode_of_encode(bytes: Vec<u8>, piece in 1usize..9) {
            prop_assert_eq!(decoded(Encoding::Base64, base64::encode(&bytes).as_bytes(), piece), bytes);
        }
    }
}
