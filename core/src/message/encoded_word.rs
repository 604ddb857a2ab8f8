//! Encoded words in header fields (RFC 2047), and the text of a field.
//!
//! `encoded-word = "=?" charset ["*" language] "?" encoding "?" encoded-text "?="` (RFC 2231 §5 adds the language)

use alloc::string::String;
use alloc::vec::Vec;

use super::charset::{Charset, Decoder};
use super::token::is_token;
use super::transfer::{self, Encoding};

/// The text of an unfolded field value: encoded words are decoded wherever they stand (real mail puts them in quoted strings and
/// without white space around), white space between two of them is dropped (RFC 2047 §6.2), the rest is UTF-8 or what is left
/// of it. A word in an unknown charset stays as it is.
pub fn decode(value: &[u8]) -> String {
    let mut text = Text::default();
    let (mut at, mut plain) = (0, 0);
    while let Some(found) = memchr::memmem::find(&value[at..], b"=?") {
        let start = at + found;
        let Some(word) = Word::at(&value[start..]) else {
            at = start + 2;
            continue;
        };
        text.plain(&value[plain..start]);
        text.word(&word);
        at = start + word.len;
        plain = at;
    }
    text.plain(&value[plain..]);
    text.end_word();
    text.out
}

/// One encoded word.
struct Word<'a> {
    charset: Charset,
    quoted: bool,
    text: &'a [u8],
    len: usize,
}

impl<'a> Word<'a> {
    /// The one that begins here, if there is one. What it looks at holds no `=?`, so that no octet is looked at many times.
    fn at(from: &'a [u8]) -> Option<Word<'a>> {
        let rest = &from[2..];
        let name = rest.iter().take_while(|octet| is_token(**octet)).count();
        let (name, rest) = rest.split_at(name);
        let [b'?', encoding, b'?', rest @ ..] = rest else {
            return None;
        };
        let quoted = match encoding {
            b'Q' | b'q' => true,
            b'B' | b'b' => false,
            _ => return None,
        };
        let text = memchr::memchr(b'?', rest)?;
        if rest.get(text + 1) != Some(&b'=') {
            return None;
        }
        let name = name.split(|octet| *octet == b'*').next().unwrap_or_default();
        Some(Word {
            charset: Charset::of(name)?,
            quoted,
            text: &rest[..text],
            len: from.len() - rest.len() + text + 2,
        })
    }

    fn octets(&self) -> Vec<u8> {
        let mut octets = Vec::new();
        if !self.quoted {
            let mut decoder = Encoding::Base64.decoder();
            decoder.update(self.text, &mut octets);
            decoder.finish(&mut octets);
            return octets;
        }
        let mut rest = self.text;
        while let Some((octet, behind)) = rest.split_first() {
            rest = behind;
            octets.push(match (octet, behind) {
                (b'_', _) => b' ',
                (b'=', [high, low, behind @ ..]) if high.is_ascii_hexdigit() && low.is_ascii_hexdigit() => {
                    rest = behind;
                    transfer::hex(*high) << 4 | transfer::hex(*low)
                }
                (octet, _) => *octet,
            });
        }
        octets
    }
}

/// The text so far. A character may be cut in two by its words (RFC 2047 §5 forbids it, and it is done): words of one charset
/// that follow each other are decoded as one.
#[derive(Default)]
struct Text {
    out: String,
    open: Option<Decoder>,
}

impl Text {
    /// Octets outside words.
    fn plain(&mut self, octets: &[u8]) {
        if octets.is_empty() || (self.open.is_some() && octets.trim_ascii().is_empty()) {
            return;
        }
        self.end_word();
        self.out.push_str(&String::from_utf8_lossy(octets));
    }

    fn word(&mut self, word: &Word<'_>) {
        let octets = word.octets();
        // A word that shifts first begins anew: the shift back that ends the one before it stands between no characters then, and
        // a decoder takes two shifts in a row for an error.
        let anew = word.charset.has_shifts() && octets.starts_with(b"\x1b");
        if anew || self.open.as_ref().is_none_or(|open| open.charset() != word.charset) {
            self.end_word();
        }
        let decoder = self.open.get_or_insert_with(|| word.charset.decoder());
        decoder.update(&octets, &mut self.out);
    }

    fn end_word(&mut self) {
        if let Some(mut decoder) = self.open.take() {
            decoder.finish(&mut self.out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_become_text() {
        for (value, text) in [
            // RFC 2047 §8
            (
                "=?US-ASCII?Q?Keith_Moore?= <moore@cs.utk.edu>",
                "Keith Moore <moore@cs.utk.edu>",
            ),
            ("=?ISO-8859-1?Q?Patrik_F=E4ltstr=F6m?=", "Patrik F\u{e4}ltstr\u{f6}m"),
            ("=?ISO-8859-1?B?SWYgeW91IGNhbiByZWFkIHRoaXMgeW8=?=", "If you can read this yo"),
            ("(=?ISO-8859-1?Q?a?=)", "(a)"),
            ("(=?ISO-8859-1?Q?a?= b)", "(a b)"),
            ("(=?ISO-8859-1?Q?a?= =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a?=   \t  =?ISO-8859-1?Q?b?=)", "(ab)"),
            ("(=?ISO-8859-1?Q?a_b?=)", "(a b)"),
            ("=?utf-8*en?q?colo=75r?=", "colour"),
            ("\"=?utf-8?b?w7w=?=\" <a@b.test>", "\"\u{fc}\" <a@b.test>"),
            // A character in two words.
            ("=?utf-8?q?=C3?= =?utf-8?q?=BC?=", "\u{fc}"),
            // Words that shift, each by itself and together.
            (
                "=?iso-2022-jp?B?GyRCNEEbKEI=?= =?ISO-2022-JP?B?GyRCNEEbKEI=?=",
                "\u{6f22}\u{6f22}",
            ),
            ("=?iso-2022-jp?B?GyRCNEE=?= =?iso-2022-jp?B?NEEbKEI=?=", "\u{6f22}\u{6f22}"),
            // What is none.
            ("=?x-unknown?q?a?=", "=?x-unknown?q?a?="),
            ("=?utf-8?x?a?=", "=?utf-8?x?a?="),
            ("=?utf-8?q?a", "=?utf-8?q?a"),
            ("=?utf-8?q?a?b?=", "=?utf-8?q?a?b?="),
            ("a =?= b", "a =?= b"),
            ("gr\u{fc}n", "gr\u{fc}n"),
        ] {
            assert_eq!(decode(value.as_bytes()), text, "{value}");
        }
        assert_eq!(decode(b"gr\xfcn"), "gr\u{fffd}n");
    }
}
