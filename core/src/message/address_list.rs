//! Address lists as ENVELOPE shows them (RFC 5322 §3.4, RFC 9051 §7.5.2), on broken input too.
//!
//! ```text
//! address = mailbox / group        mailbox = [display-name] "<" [route] addr-spec ">" / addr-spec
//! group   = display-name ":" [mailbox-list] ";"
//! ```

use alloc::vec::Vec;

use super::token::{Tokens, is_atext};
use crate::limits;

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A mailbox.
    Mailbox {
        /// The display name (or, in the old form, the comment), unquoted; encoded words stay as they are.
        name: Option<Vec<u8>>,
        /// A source route, as written without its colon.
        route: Option<Vec<u8>>,
        /// The local part, unquoted; empty when there is none.
        local: Vec<u8>,
        /// The domain; empty when there is none.
        domain: Vec<u8>,
    },
    /// A group begins.
    GroupStart(Vec<u8>),
    /// A group ends.
    GroupEnd,
}

/// Reads an unfolded list. At most [`limits::ADDRESSES`] entries (S36); what follows is ignored.
pub fn parse(text: &[u8]) -> Vec<Entry> {
    let mut tokens = Tokens::new(text);
    let (mut entries, mut in_group) = (Vec::new(), false);
    while entries.len() < limits::ADDRESSES {
        tokens.skip_cfws();
        match tokens.peek() {
            None => break,
            Some(b',') => tokens.skip(),
            Some(b';') => {
                tokens.skip();
                if in_group {
                    entries.push(Entry::GroupEnd);
                    in_group = false;
                }
            }
            Some(_) => match address(&mut tokens, in_group) {
                Some(Entry::GroupStart(name)) => {
                    entries.push(Entry::GroupStart(name));
                    in_group = true;
                }
                Some(entry) => entries.push(entry),
                None => {}
            },
        }
    }
    if in_group {
        entries.push(Entry::GroupEnd);
    }
    entries
}

/// Reads one address, or the beginning of a group.
fn address(tokens: &mut Tokens<'_>, in_group: bool) -> Option<Entry> {
    let mut phrase = Phrase::default();
    loop {
        // White space ends a word of a name, even behind a dot.
        phrase.joins &= !matches!(tokens.peek(), Some(b' ' | b'\t' | b'('));
        if let Some(comment) = tokens.skip_cfws() {
            phrase.comment = Some(comment);
        }
        match tokens.peek() {
            None | Some(b',' | b';') => {
                // No angle brackets and no @: one word is a local part alone, several are a name alone.
                let (name, local) = match phrase.words.len() {
                    0 => return None,
                    1 => (phrase.comment.take(), phrase.joined()),
                    _ => (Some(phrase.spaced()), Vec::new()),
                };
                return Some(Entry::Mailbox {
                    name,
                    route: None,
                    local,
                    domain: Vec::new(),
                });
            }
            Some(b'<') => return Some(angle(tokens, phrase)),
            Some(b'@') => {
                tokens.skip();
                let local = phrase.joined();
                let (domain, comment) = domain(tokens);
                // Whatever stands before the next separator is nobody's.
                if tokens.peek() == Some(b'<') {
                    let mut name = local;
                    name.push(b'@');
                    name.extend(domain);
                    return Some(angle(
                        tokens,
                        Phrase {
                            words: alloc::vec![name],
                            ..Phrase::default()
                        },
                    ));
                }
                skip_to_separator(tokens);
                return Some(Entry::Mailbox {
                    name: comment.or(phrase.comment),
                    route: None,
                    local,
                    domain,
                });
            }
            Some(b':') if !in_group => {
                tokens.skip();
                return Some(Entry::GroupStart(phrase.spaced()));
            }
            Some(b'"') => phrase.words.push(tokens.quoted()),
            Some(b'.') => {
                tokens.skip();
                phrase.dot();
            }
            Some(byte) if is_atext(byte) => phrase.atom(tokens.take_while(is_atext)),
            Some(_) => tokens.skip(),
        }
    }
}

/// What stands before `<`, `@` or `:`.
#[derive(Default)]
struct Phrase {
    words: Vec<Vec<u8>>,
    comment: Option<Vec<u8>>,
    /// The last word ends with a dot that the next one follows.
    joins: bool,
}

impl Phrase {
    fn atom(&mut self, atom: &[u8]) {
        match self.words.last_mut() {
            Some(last) if self.joins => last.extend_from_slice(atom),
            _ => self.words.push(atom.to_vec()),
        }
        self.joins = false;
    }

    fn dot(&mut self) {
        match self.words.last_mut() {
            Some(last) => last.push(b'.'),
            None => self.words.push(alloc::vec![b'.']),
        }
        self.joins = true;
    }

    fn joined(&self) -> Vec<u8> {
        self.words.concat()
    }

    fn spaced(&self) -> Vec<u8> {
        self.words.join(&b' ')
    }
}

/// `"<" [route] addr-spec ">"`.
fn angle(tokens: &mut Tokens<'_>, phrase: Phrase) -> Entry {
    tokens.skip();
    let mut route = None;
    tokens.skip_cfws();
    if tokens.peek() == Some(b'@') {
        let text = tokens.take_while(|byte| byte != b':' && byte != b'>');
        if tokens.take(b':') {
            route = Some(text.to_vec());
        }
    }
    let mut local = Phrase::default();
    let mut host = Vec::new();
    loop {
        tokens.skip_cfws();
        match tokens.peek() {
            None | Some(b',' | b';') => break,
            Some(b'>') => {
                tokens.skip();
                break;
            }
            Some(b'@') => {
                tokens.skip();
                host = domain(tokens).0;
            }
            Some(b'"') => local.words.push(tokens.quoted()),
            Some(b'.') => {
                tokens.skip();
                local.dot();
            }
            Some(byte) if is_atext(byte) => local.atom(tokens.take_while(is_atext)),
            Some(_) => tokens.skip(),
        }
    }
    let comment = tokens.skip_cfws();
    skip_to_separator(tokens);
    let name = if phrase.words.is_empty() {
        phrase.comment.or(comment)
    } else {
        Some(phrase.spaced())
    };
    Entry::Mailbox {
        name: name.filter(|name| !name.is_empty()),
        route,
        local: local.joined(),
        domain: host,
    }
}

/// `domain = dot-atom / "[" *dtext "]"`, white space and comments around the dots dropped; the last comment, which behind the
/// domain is the address's old-style name.
fn domain(tokens: &mut Tokens<'_>) -> (Vec<u8>, Option<Vec<u8>>) {
    let (mut text, mut comment) = (Vec::new(), None);
    loop {
        comment = tokens.skip_cfws().or(comment);
        match tokens.peek() {
            Some(b'[') => {
                text.extend_from_slice(tokens.take_while(|byte| byte != b']' && byte != b'>' && byte != b','));
                if tokens.take(b']') {
                    text.push(b']');
                }
            }
            Some(b'.') => {
                tokens.skip();
                text.push(b'.');
            }
            Some(byte) if is_atext(byte) && (text.is_empty() || text.ends_with(b".")) => {
                text.extend_from_slice(tokens.take_while(is_atext));
            }
            _ => return (text, comment),
        }
    }
}

/// Skips what does not belong, up to a comma, a semicolon or the end; quoted strings and comments as wholes.
fn skip_to_separator(tokens: &mut Tokens<'_>) {
    loop {
        tokens.skip_cfws();
        match tokens.peek() {
            None | Some(b',' | b';') => return,
            Some(b'"') => _ = tokens.quoted(),
            Some(_) => tokens.skip(),
        }
    }
}
