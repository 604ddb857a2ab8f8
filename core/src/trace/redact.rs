//! Words for words: what a capsule has in place of names and texts.
//!
//! A word (`[A-Za-z0-9]+`) becomes another of the same length and the same pattern of capitals, small letters and digits, by a key
//! that nobody keeps; the same word always becomes the same other one, in any case. Words of the protocols stay. Outside ASCII a
//! character becomes another of as many octets.

use alloc::collections::{BTreeMap, BTreeSet};
use alloc::vec::Vec;

use super::words;
use crate::bytes::{base64, utf7};

/// What a piece of text is, and so which of its words stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Class {
    /// Commands and replies: words of the protocols and numbers stay.
    Protocol,
    /// The same with words of a login in base64 among them.
    Login,
    /// Names and texts in answers: the words of our own replies stay too.
    Answer,
    /// A message: only names of header fields stay, and what `Content-` fields say of its form.
    Message,
}

/// The substitution of one capsule.
pub struct Redactor {
    key: [u8; 32],
    words: BTreeMap<Vec<u8>, Vec<u8>>,
    used: BTreeSet<Vec<u8>>,
}

/// How often another word is looked for when one is taken.
const TRIES: u32 = 64;

impl Redactor {
    /// By this key: unpredictable, and forgotten afterwards.
    pub fn new(key: [u8; 32]) -> Redactor {
        Redactor {
            key,
            words: BTreeMap::new(),
            used: BTreeSet::new(),
        }
    }

    /// Replaces what is to be replaced; the length stays.
    pub fn redact(&mut self, bytes: &mut [u8], class: Class) {
        match class {
            Class::Protocol => self.plain(bytes, &words::PROTOCOL, true),
            Class::Answer => self.plain(bytes, &words::ANSWER, true),
            Class::Login => self.login(bytes),
            Class::Message => self.message(bytes),
        }
    }

    /// Field names at line starts stay, and the words of fields that describe the message's form.
    fn message(&mut self, bytes: &mut [u8]) {
        let mut form = false;
        for line in bytes.split_inclusive_mut(|byte| *byte == b'\n') {
            let name = line.iter().position(|byte| !(byte.is_ascii_alphanumeric() || *byte == b'-'));
            let name = name.filter(|end| *end > 0 && line[*end] == b':').unwrap_or(0);
            if !line.starts_with(b" ") && !line.starts_with(b"\t") {
                let starts = |prefix: &[u8]| line.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix));
                form = name > 0 && (starts(b"Content-") || starts(b"MIME-"));
            }
            let (name, rest) = line.split_at_mut(name);
            self.plain(name, &words::PROTOCOL, true);
            if form {
                self.plain(rest, &words::PROTOCOL, true);
            } else {
                self.plain(rest, &[], false);
            }
        }
    }

    /// Base64 of a name and a password is opened, redacted and closed again.
    fn login(&mut self, bytes: &mut [u8]) {
        for token in bytes.split_mut(|byte| matches!(byte, b' ' | b'\r' | b'\n')) {
            let opened = base64::decode(token).filter(|opened| {
                let text = core::str::from_utf8(opened);
                text.is_ok_and(|text| !text.is_empty() && text.chars().all(|c| c == '\0' || !c.is_control()))
            });
            let Some(mut opened) = opened.filter(|_| !words::stays(token, &words::PROTOCOL)) else {
                self.plain(token, &words::PROTOCOL, true);
                continue;
            };
            match opened.iter().position(|byte| *byte == b',') {
                // SCRAM: only the name; everything else is of nonces, and signed.
                Some(1) if opened.starts_with(b"n,,n=") || opened.starts_with(b"y,,n=") => {
                    let end = opened[5..]
                        .iter()
                        .position(|byte| *byte == b',')
                        .map_or(opened.len(), |end| 5 + end);
                    self.plain(&mut opened[5..end], &words::ANSWER, true);
                }
                Some(_) if opened.starts_with(b"c=") => {}
                Some(_) | None => self.plain(&mut opened, &words::ANSWER, true),
            }
            token.copy_from_slice(base64::encode(&opened).as_bytes());
        }
    }

    fn plain(&mut self, bytes: &mut [u8], kept: &[&[u8]], numbers: bool) {
        let mut at = 0;
        let mut bracket = false;
        while at < bytes.len() {
            let byte = bytes[at];
            bracket = byte == b'[' || bracket && byte != b']' && byte != b' ';
            if byte == b'&' && numbers {
                at += self.utf7(&mut bytes[at..]);
                continue;
            }
            if byte >= 0x80 {
                at += self.character(&mut bytes[at..]);
                continue;
            }
            let len = bytes[at..]
                .iter()
                .position(|byte| !byte.is_ascii_alphanumeric())
                .unwrap_or(bytes.len() - at);
            if len == 0 {
                at += 1;
                continue;
            }
            let (mut from, end) = (at, at + len);
            // The octet that xtext (RFC 3461 §4) or a quoted-printable text (RFC 2045 §6.7) has here.
            let escapes = at > 0 && bytes[at - 1] == if numbers { b'+' } else { b'=' };
            if escapes && len >= 2 && bytes[at..at + 2].iter().all(is_upper_hex) {
                if !numbers {
                    self.hex(&mut bytes[at..at + 2], true);
                }
                from += 2;
            }
            let word = &mut bytes[from..end];
            let all_digits = word.iter().all(u8::is_ascii_digit);
            let stays = words::stays(word, kept) || numbers && all_digits;
            // Groups of an IPv6 address stay such.
            if !stays && bracket && word.len() <= 4 && word.iter().all(u8::is_ascii_hexdigit) {
                self.hex(word, false);
            } else if !stays {
                self.word(word);
            }
            // The last digit before padding holds fewer bits (RFC 4648 §4).
            if !numbers && bytes.get(end) == Some(&b'=') && len > 1 {
                bytes[end - 1] = b'A';
            }
            at = end;
        }
    }

    /// Another word, for always the same.
    fn word(&mut self, word: &mut [u8]) {
        let small = word.to_ascii_lowercase();
        let other = match self.words.get(&small) {
            Some(other) => other.clone(),
            None => {
                let other = self.invent(&small);
                self.used.insert(other.clone());
                self.words.insert(small, other.clone());
                other
            }
        };
        for (byte, other) in word.iter_mut().zip(other) {
            *byte = if byte.is_ascii_uppercase() {
                other.to_ascii_uppercase()
            } else {
                other
            };
        }
    }

    fn invent(&self, small: &[u8]) -> Vec<u8> {
        let attempt = |number: u32| {
            let mut random = self.random(small, number);
            let mut next = || {
                let mut octet = [0];
                random.fill(&mut octet);
                octet[0]
            };
            small
                .iter()
                .map(|byte| match byte {
                    b'0'..=b'9' => b'0' + next() % 10,
                    _ => b'a' + next() % 26,
                })
                .collect::<Vec<u8>>()
        };
        let fits = |other: &Vec<u8>| !self.used.contains(other) && other != small && !words::stays(other, &words::PROTOCOL);
        (0..TRIES).map(attempt).find(fits).unwrap_or_else(|| attempt(TRIES))
    }

    fn random(&self, of: &[u8], number: u32) -> blake3::OutputReader {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(&number.to_le_bytes());
        hasher.update(of);
        hasher.finalize_xof()
    }

    fn hex(&self, digits: &mut [u8], upper: bool) {
        let mut fresh = alloc::vec![0; digits.len()];
        self.random(&digits.to_ascii_lowercase(), 1).fill(&mut fresh);
        for (digit, fresh) in digits.iter_mut().zip(fresh) {
            // A digit stays a digit, and none becomes a zero at the front.
            *digit = match *digit {
                b'0' => b'0',
                b'1'..=b'9' => b'1' + fresh % 9,
                b'A'..=b'F' => b'A' + fresh % 6,
                _ if upper => b'A' + fresh % 6,
                _ => b'a' + fresh % 6,
            };
        }
    }

    /// A character above ASCII, or an octet that is none; gives its length.
    fn character(&self, bytes: &mut [u8]) -> usize {
        let valid = (2..=4).find_map(|len| core::str::from_utf8(bytes.get(..len)?).ok());
        let Some(character) = valid.and_then(|text| text.chars().next()) else {
            bytes[0] = 0xff; // no character either
            return 1;
        };
        let len = character.len_utf8();
        self.other_character(character).encode_utf8(&mut bytes[..len]);
        len
    }

    /// Another character with as many octets in UTF-8 and in UTF-16.
    fn other_character(&self, character: char) -> char {
        let mut random = [0; 4];
        self.random(&u32::from(character).to_le_bytes(), 0).fill(&mut random);
        let random = u32::from_le_bytes(random);
        let number = match character.len_utf8() {
            2 => 0xe0 + random % 0x17, // à to ö
            3 => 0x4e00 + random % 0x4000,
            _ => 0x2_0000 + random % 0x8000,
        };
        char::from_u32(number).unwrap_or('\u{fc}')
    }

    /// `&…-` in a mailbox name (RFC 3501 §5.1.3); gives how many octets are done with.
    fn utf7(&self, bytes: &mut [u8]) -> usize {
        let Some(end) = bytes.iter().position(|byte| *byte == b'-') else {
            return 1;
        };
        let Some(text) = utf7::decode(&bytes[..=end]) else {
            return 1;
        };
        let other: alloc::string::String = text
            .chars()
            .map(|c| if c.is_ascii() { c } else { self.other_character(c) })
            .collect();
        let encoded = utf7::encode(&other);
        if encoded.len() == end + 1 {
            bytes[..=end].copy_from_slice(encoded.as_bytes());
        }
        end + 1
    }
}

fn is_upper_hex(byte: &u8) -> bool {
    matches!(byte, b'0'..=b'9' | b'A'..=b'F')
}
