//! Charsets: their names as mail writes them (IANA's, as the Encoding Standard maps them), and decoding to UTF-8.
//!
//! The tables are `encoding_rs`'s. There is no UTF-7: it is not in the standard, and RFC 2152's escapes are as good as never seen.

use alloc::string::String;

/// A charset that can be decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Charset(&'static encoding_rs::Encoding);

impl Charset {
    /// UTF-8; US-ASCII is a part of it.
    pub const UTF_8: Charset = Charset(encoding_rs::UTF_8);

    /// Of a name, in any case. US-ASCII is read as UTF-8, which it often is in truth.
    pub fn of(name: &[u8]) -> Option<Charset> {
        let ascii = [&b"us-ascii"[..], b"ascii", b"ansi_x3.4-1968", b"unknown-8bit"];
        let name = name.trim_ascii();
        if ascii.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            return Some(Charset::UTF_8);
        }
        encoding_rs::Encoding::for_label_no_replacement(name).map(Charset)
    }

    /// Whether the strings of a command can be in it: its ASCII octets are ASCII characters, or shift by escapes (ISO-2022-JP).
    pub fn is_for_commands(self) -> bool {
        self.0.is_ascii_compatible() || self.has_shifts()
    }

    /// Whether its texts shift by escapes, and end as ASCII.
    pub fn has_shifts(self) -> bool {
        self.0 == encoding_rs::ISO_2022_JP
    }

    /// A whole text, strictly: `None` when it is not in this charset.
    pub fn decode(self, text: &[u8]) -> Option<String> {
        let decoded = self.0.decode_without_bom_handling_and_without_replacement(text)?;
        Some(decoded.into_owned())
    }

    /// A fold that decodes.
    pub fn decoder(self) -> Decoder {
        Decoder(self.0.new_decoder_without_bom_handling())
    }
}

/// The fold: octets to UTF-8; what is malformed becomes U+FFFD.
pub struct Decoder(encoding_rs::Decoder);

impl core::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_tuple("Decoder").field(&self.0.encoding().name()).finish()
    }
}

impl Decoder {
    /// Takes more octets and appends their characters.
    pub fn update(&mut self, octets: &[u8], out: &mut String) {
        self.decode(octets, false, out);
    }

    /// The end: appends what an unfinished character stands for. Nothing may follow.
    pub fn finish(&mut self, out: &mut String) {
        self.decode(&[], true, out);
    }

    /// Which charset it decodes.
    pub fn charset(&self) -> Charset {
        Charset(self.0.encoding())
    }

    fn decode(&mut self, mut octets: &[u8], last: bool, out: &mut String) {
        loop {
            let room = self.0.max_utf8_buffer_length(octets.len()).unwrap_or(octets.len());
            out.reserve(room);
            let (outcome, read, _) = self.0.decode_to_string(octets, out, last);
            octets = &octets[read..];
            if outcome == encoding_rs::CoderResult::InputEmpty {
                return;
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
    fn names_as_mail_writes_them() {
        for (name, octets, text) in [
            ("UTF-8", &b"gr\xc3\xbcn"[..], "gr\u{fc}n"),
            ("us-ascii", b"gr\xc3\xbcn", "gr\u{fc}n"),
            ("ISO-8859-1", b"gr\xfcn", "gr\u{fc}n"),
            ("latin1", b"gr\xfcn", "gr\u{fc}n"),
            ("iso-8859-15", b"\xa4", "\u{20ac}"),
            ("windows-1252", b"\x80", "\u{20ac}"),
            ("KOI8-R", b"\xcd\xc9\xd2", "\u{43c}\u{438}\u{440}"),
            ("iso-2022-jp", b"\x1b$B4A\x1b(B", "\u{6f22}"),
            ("gb2312", b"\xba\xba", "\u{6c49}"),
            ("Big5", b"\xba\x7e", "\u{6f22}"),
            ("EUC-KR", b"\xc7\xd1", "\u{d55c}"),
            ("Shift_JIS", b"\x8a\xbf", "\u{6f22}"),
        ] {
            let charset = Charset::of(name.as_bytes()).expect(name);
            assert_eq!(charset.decode(octets).as_deref(), Some(text), "{name}");
        }
        for unknown in ["x-unknown", "UTF-7", "iso-2022-kr", ""] {
            assert_eq!(Charset::of(unknown.as_bytes()), None, "{unknown}");
        }
        assert_eq!(Charset::UTF_8.decode(b"\xff"), None);
    }

    #[test]
    fn what_a_command_can_be_written_in() {
        let usable = |name: &[u8]| Charset::of(name).is_some_and(Charset::is_for_commands);
        assert!(usable(b"UTF-8") && usable(b"iso-2022-jp") && usable(b"koi8-r") && !usable(b"UTF-16"));
    }

    proptest! {
        #[test]
        fn any_split_decodes_alike(octets: Vec<u8>, piece in 1usize..5, which in 0usize..5) {
            let name = ["utf-8", "iso-2022-jp", "gb18030", "windows-1252", "utf-16"][which];
            let charset = Charset::of(name.as_bytes()).unwrap();
            let decoded = |piece: usize| {
                let (mut decoder, mut out) = (charset.decoder(), String::new());
                octets.chunks(piece).for_each(|octets| decoder.update(octets, &mut out));
                decoder.finish(&mut out);
                out
            };
            prop_assert_eq!(decoded(piece), decoded(octets.len().max(1)));
        }
    }
}
