//! MIME's structured fields: Content-Type, Content-Disposition, Content-Language (RFC 2045, 2183, 2231, 3282).

use alloc::vec::Vec;

use super::token::{Tokens, is_token};
use crate::limits;

/// A value with parameters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Content {
    /// `text` of `text/plain`, or the disposition; as written.
    pub main: Vec<u8>,
    /// `plain` of `text/plain`; empty for a disposition.
    pub sub: Vec<u8>,
    /// Parameters in order: name and value.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
}

impl Content {
    /// A parameter's value.
    pub fn parameter(&self, name: &str) -> Option<&[u8]> {
        self.parameters
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name.as_bytes()))
            .map(|(_, value)| value.as_slice())
    }

    /// Whether it is this media type; `sub` may be `*`.
    pub fn is(&self, main: &str, sub: &str) -> bool {
        self.main.eq_ignore_ascii_case(main.as_bytes()) && (sub == "*" || self.sub.eq_ignore_ascii_case(sub.as_bytes()))
    }

    /// Whether it is an embedded message (RFC 2046 §5.2.1, RFC 6532 §3.7).
    pub fn is_message(&self) -> bool {
        self.is("message", "rfc822") || self.is("message", "global")
    }

    /// `type "/" subtype *(";" parameter)`; `None` when there is no type with a subtype.
    pub fn parse_type(text: &[u8]) -> Option<Content> {
        let mut tokens = Tokens::new(text);
        tokens.skip_cfws();
        let main = tokens.take_while(is_token).to_vec();
        tokens.skip_cfws();
        if !tokens.take(b'/') {
            return None;
        }
        tokens.skip_cfws();
        let sub = tokens.take_while(is_token).to_vec();
        let whole = !main.is_empty() && !sub.is_empty();
        whole.then(|| Content {
            main,
            sub,
            parameters: parameters(&mut tokens),
        })
    }

    /// `disposition *(";" parameter)`.
    pub fn parse_disposition(text: &[u8]) -> Option<Content> {
        let mut tokens = Tokens::new(text);
        tokens.skip_cfws();
        let main = tokens.take_while(is_token).to_vec();
        let whole = !main.is_empty();
        whole.then(|| Content {
            main,
            sub: Vec::new(),
            parameters: parameters(&mut tokens),
        })
    }
}

/// One token alone: Content-Transfer-Encoding.
pub fn parse_token(text: &[u8]) -> Option<Vec<u8>> {
    let mut tokens = Tokens::new(text);
    tokens.skip_cfws();
    let token = tokens.take_while(is_token);
    (!token.is_empty()).then(|| token.to_vec())
}

/// Tags between commas: Content-Language.
pub fn parse_languages(text: &[u8]) -> Vec<Vec<u8>> {
    let mut tokens = Tokens::new(text);
    let mut tags = Vec::new();
    while !tokens.is_empty() && tags.len() < limits::PARAMETERS {
        tokens.skip_cfws();
        let tag = tokens.take_while(is_token);
        if !tag.is_empty() {
            tags.push(tag.to_vec());
        } else {
            tokens.skip();
        }
    }
    tags
}

/// `*(";" attribute "=" value)`, at most [`limits::PARAMETERS`] (S36); RFC 2231 continuations are joined under their name, with a
/// `*` behind it when the value is still percent-encoded.
fn parameters(tokens: &mut Tokens<'_>) -> Vec<(Vec<u8>, Vec<u8>)> {
    let mut plain: Vec<(Vec<u8>, Vec<u8>)> = Vec::new();
    let mut pieces: Vec<Piece> = Vec::new();
    while plain.len() + pieces.len() < limits::PARAMETERS {
        tokens.skip_cfws();
        if tokens.is_empty() {
            break;
        }
        if !tokens.take(b';') {
            tokens.skip();
            continue;
        }
        tokens.skip_cfws();
        let name = tokens.take_while(is_token).to_vec();
        tokens.skip_cfws();
        if name.is_empty() || !tokens.take(b'=') {
            continue;
        }
        tokens.skip_cfws();
        let value = match tokens.peek() {
            Some(b'"') => tokens.quoted(),
            // Many write values that would need quotes without them.
            _ => tokens
                .take_while(|byte| !matches!(byte, b';' | b' ' | b'\t' | b'(' | b'"'))
                .to_vec(),
        };
        match Piece::of(&name, &value) {
            Some(piece) => pieces.push(piece),
            None => plain.push((name, value)),
        }
    }
    join(&mut plain, pieces);
    plain
}

/// `name*0`, `name*1*`: a piece of a longer value (RFC 2231 §3).
struct Piece {
    name: Vec<u8>,
    number: usize,
    encoded: bool,
    value: Vec<u8>,
}

impl Piece {
    /// Splits `name*N` and `name*N*`; `name*` alone is a name of its own, which the client decodes.
    fn of(name: &[u8], value: &[u8]) -> Option<Piece> {
        let star = name.iter().position(|byte| *byte == b'*')?;
        let (base, rest) = (&name[..star], &name[star + 1..]);
        let digits = rest.strip_suffix(b"*").unwrap_or(rest);
        let canonical = digits == b"0" || (digits.len() <= 4 && digits.first().is_some_and(|first| *first != b'0'));
        if base.is_empty() || !canonical || !digits.iter().all(u8::is_ascii_digit) {
            return None;
        }
        Some(Piece {
            name: base.to_vec(),
            number: core::str::from_utf8(digits).ok()?.parse().ok()?,
            encoded: rest.ends_with(b"*"),
            value: value.to_vec(),
        })
    }
}

/// Joins pieces 0, 1, 2 … of each name: under `name` when all are plain, else under `name*` with the plain ones percent-encoded.
/// Pieces that do not follow on are answered as they came.
fn join(plain: &mut Vec<(Vec<u8>, Vec<u8>)>, mut pieces: Vec<Piece>) {
    pieces.sort_by_cached_key(|piece| (piece.name.to_ascii_lowercase(), piece.number));
    for group in pieces.chunk_by(|one, two| one.name.eq_ignore_ascii_case(&two.name)) {
        let follows = group.iter().enumerate().take_while(|(place, piece)| piece.number == *place);
        let (whole, loose) = group.split_at(follows.count());
        if let Some(first) = whole.first() {
            plain.push(joined(first, whole));
        }
        for piece in loose {
            let star = if piece.encoded { "*" } else { "" };
            let mut name = piece.name.clone();
            name.extend_from_slice(alloc::format!("*{}{star}", piece.number).as_bytes());
            plain.push((name, piece.value.clone()));
        }
    }
}

fn joined(first: &Piece, whole: &[Piece]) -> (Vec<u8>, Vec<u8>) {
    let (mut name, mut value) = (first.name.clone(), Vec::new());
    let encoded = whole.iter().any(|piece| piece.encoded);
    if encoded {
        name.push(b'*');
        if !first.encoded {
            value.extend_from_slice(b"''");
        }
    }
    for piece in whole {
        if encoded && !piece.encoded {
            percent_encode(&piece.value, &mut value);
        } else {
            value.extend_from_slice(&piece.value);
        }
    }
    (name, value)
}

/// `ext-octet = "%" 2(DIGIT / "A" / … / "F")` for everything but `attribute-char` (RFC 2231 §7).
fn percent_encode(plain: &[u8], out: &mut Vec<u8>) {
    for byte in plain {
        if is_token(*byte) && byte.is_ascii() && !b"*'%".contains(byte) {
            out.push(*byte);
        } else {
            let digit = |value: u8| b"0123456789ABCDEF"[usize::from(value)];
            out.extend_from_slice(&[b'%', digit(byte >> 4), digit(byte & 15)]);
        }
    }
}
