//! Patterns of LIST.

use alloc::vec::Vec;

use crate::imap::mailbox_name::DELIMITER;

/// `list-mailbox` with wildcards, ready to match: octets times pattern at most (S38).
#[derive(Debug)]
pub(in crate::imap::server) struct Pattern(Vec<Token>);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Token {
    Octet(u8),
    /// `*`: anything.
    Any,
    /// `%`: anything but the delimiter.
    Level,
}

impl Pattern {
    pub(in crate::imap::server) fn new(text: &str) -> Pattern {
        let mut tokens: Vec<Token> = Vec::new();
        // INBOX is matched in any case.
        let first = text.split(DELIMITER).next().unwrap_or_default();
        let inbox = first.eq_ignore_ascii_case("INBOX");
        for (index, octet) in text.bytes().enumerate() {
            match (octet, tokens.last()) {
                (b'*', Some(Token::Level)) => {
                    tokens.pop();
                    if tokens.last() != Some(&Token::Any) {
                        tokens.push(Token::Any);
                    }
                }
                (b'*' | b'%', Some(Token::Any)) | (b'%', Some(Token::Level)) => {}
                (b'*', _) => tokens.push(Token::Any),
                (b'%', _) => tokens.push(Token::Level),
                (octet, _) if inbox && index < first.len() => tokens.push(Token::Octet(octet.to_ascii_uppercase())),
                (octet, _) => tokens.push(Token::Octet(octet)),
            }
        }
        Pattern(tokens)
    }

    /// Its octets and wildcards.
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn ends_in_level(&self) -> bool {
        self.0.last() == Some(&Token::Level)
    }

    /// Whether a name matches: all places of the pattern that can be reached are followed side by side.
    pub(in crate::imap::server) fn matches(&self, name: &str) -> bool {
        let tokens = &self.0;
        let mut reached = alloc::vec![false; tokens.len() + 1];
        reached[0] = true;
        skip_wildcards(tokens, &mut reached);
        for octet in name.bytes() {
            // Backwards, so that a step does not feed the next one of the same octet.
            for place in (0..=tokens.len()).rev() {
                let from_before = place > 0 && reached[place - 1] && tokens[place - 1] == Token::Octet(octet);
                let stays = reached[place]
                    && match tokens.get(place) {
                        Some(Token::Any) => true,
                        Some(Token::Level) => octet != DELIMITER as u8,
                        Some(Token::Octet(_)) | None => false,
                    };
                reached[place] = from_before || stays;
            }
            skip_wildcards(tokens, &mut reached);
        }
        reached[tokens.len()]
    }
}

/// A wildcard may match nothing.
fn skip_wildcards(tokens: &[Token], reached: &mut [bool]) {
    for (place, token) in tokens.iter().enumerate() {
        if reached[place] && matches!(token, Token::Any | Token::Level) {
            reached[place + 1] = true;
        }
    }
}
