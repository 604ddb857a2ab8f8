//! SEARCH: its return options, its charset and its keys, which nest (RFC 9051 §6.4.4, RFC 4731, RFC 5182, RFC 5032).

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::cursor::{Cursor, Wrong, ascii};
use super::{Command, SequenceSet};
use crate::limits;
use crate::message::charset::Charset;
use crate::message::date;
use crate::store::Flags;

/// A key, or an operator that stands before its keys.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SearchKey {
    /// Parentheses: all of the next so many.
    And(u32),
    /// One of the next two.
    Or,
    /// Not the next one.
    Not,
    /// ALL.
    All,
    /// SEEN and the like; `false`: UNSEEN and the like.
    Flag(Flags, bool),
    /// KEYWORD; `false`: UNKEYWORD.
    Keyword(Arc<str>, bool),
    /// RECENT.
    Recent,
    /// NEW: recent and unseen.
    New,
    /// OLD: not recent.
    Old,
    /// Message numbers.
    Numbers(SequenceSet),
    /// UID.
    Uids(SequenceSet),
    /// BEFORE; days since 1970-01-01 here and below.
    Before(i64),
    /// ON.
    On(i64),
    /// SINCE.
    Since(i64),
    /// SENTBEFORE.
    SentBefore(i64),
    /// SENTON.
    SentOn(i64),
    /// SENTSINCE.
    SentSince(i64),
    /// LARGER.
    Larger(u64),
    /// SMALLER.
    Smaller(u64),
    /// OLDER, in seconds.
    Older(u32),
    /// YOUNGER, in seconds.
    Younger(u32),
    /// HEADER, and FROM, TO, CC, BCC, SUBJECT.
    Header {
        /// The field's name.
        name: String,
        /// What its text has; empty: it is there.
        text: String,
    },
    /// BODY.
    Body(String),
    /// TEXT.
    Text(String),
}

/// What RETURN asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct SearchReturn {
    /// MIN.
    pub min: bool,
    /// MAX.
    pub max: bool,
    /// ALL, and RETURN ().
    pub all: bool,
    /// COUNT.
    pub count: bool,
    /// SAVE (RFC 5182).
    pub save: bool,
}

const SYSTEM: [(&str, &str, Flags); 5] = [
    ("ANSWERED", "UNANSWERED", Flags::ANSWERED),
    ("DELETED", "UNDELETED", Flags::DELETED),
    ("DRAFT", "UNDRAFT", Flags::DRAFT),
    ("FLAGGED", "UNFLAGGED", Flags::FLAGGED),
    ("SEEN", "UNSEEN", Flags::SEEN),
];
const FIELDS: [(&[u8], &str); 5] = [
    (b"BCC", "Bcc"),
    (b"CC", "Cc"),
    (b"FROM", "From"),
    (b"SUBJECT", "Subject"),
    (b"TO", "To"),
];

/// `search = "SEARCH" [search-return-opts] SP search-program`,
/// `search-program = ["CHARSET" SP charset SP] search-key *(SP search-key)`
pub(super) fn search(cursor: &mut Cursor<'_>, uid: bool) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "SEARCH: a search key is expected")?;
    let mut returns = None;
    let mut charset = Some(Charset::UTF_8);
    let mut word = first_word(cursor);
    if word == b"RETURN" {
        cursor.space()?;
        returns = Some(return_options(cursor)?);
        cursor.space()?;
        word = first_word(cursor);
    }
    if word == b"CHARSET" {
        cursor.space()?;
        charset = Charset::of(&cursor.astring()?).filter(|charset| charset.is_for_commands());
        cursor.space()?;
        word = first_word(cursor);
    }
    let mut keys = Keys {
        charset,
        list: Vec::new(),
    };
    keys.read(cursor, word)?;
    Ok(Command::Search {
        uid,
        returns,
        keys: keys.charset.map(|_| keys.list.into()),
    })
}

/// The word that begins a key; empty before a parenthesis or a set.
fn first_word(cursor: &mut Cursor<'_>) -> Vec<u8> {
    match cursor.peek() {
        Some(byte) if byte.is_ascii_alphabetic() => match cursor.keyword() {
            long if long.is_empty() => b"?".to_vec(),
            word => word,
        },
        Some(_) | None => Vec::new(),
    }
}

/// `search-return-opts = SP "RETURN" SP "(" [search-return-opt *(SP search-return-opt)] ")"`
fn return_options(cursor: &mut Cursor<'_>) -> Result<SearchReturn, Wrong> {
    const EXPECTED: Wrong = "SEARCH RETURN: MIN, MAX, ALL, COUNT and SAVE in parentheses are expected";
    let mut returns = SearchReturn::default();
    cursor.expect(b'(', EXPECTED)?;
    if cursor.eat(b')') {
        returns.all = true; // RFC 4731 §3.1
        return Ok(returns);
    }
    loop {
        match cursor.keyword().as_slice() {
            b"MIN" => returns.min = true,
            b"MAX" => returns.max = true,
            b"ALL" => returns.all = true,
            b"COUNT" => returns.count = true,
            b"SAVE" => returns.save = true,
            _ => return Err(EXPECTED),
        }
        if cursor.eat(b')') {
            return Ok(returns);
        }
        cursor.expect(b' ', EXPECTED)?;
    }
}

struct Keys {
    /// `None`: a string cannot be read.
    charset: Option<Charset>,
    list: Vec<SearchKey>,
}

/// What a key that has been read belongs to.
enum Open {
    /// An [`SearchKey::And`] at this place, with so many keys.
    Group(usize, u32),
    Not,
    /// So many are still to come.
    Or(u8),
}

impl Keys {
    /// `search-key *(SP search-key)`: what is open is on a list, not on the stack (S31).
    fn read(&mut self, cursor: &mut Cursor<'_>, mut word: Vec<u8>) -> Result<(), Wrong> {
        let mut open = Vec::new();
        self.open_group(&mut open);
        loop {
            if open.len() > limits::SEARCH_DEPTH {
                return Err("SEARCH: keys are nested too deeply");
            }
            if self.list.len() >= limits::SEARCH_KEYS {
                return Err("SEARCH: too many keys");
            }
            match word.as_slice() {
                b"" if cursor.eat(b'(') => {
                    self.open_group(&mut open);
                    word = first_word(cursor);
                    continue;
                }
                b"NOT" => {
                    self.list.push(SearchKey::Not);
                    open.push(Open::Not);
                }
                b"OR" => {
                    self.list.push(SearchKey::Or);
                    open.push(Open::Or(2));
                }
                leaf => {
                    let key = self.leaf(leaf, cursor)?;
                    self.list.push(key);
                    if self.close(&mut open, cursor)? {
                        return Ok(());
                    }
                }
            }
            cursor.space().map_err(|_| "SEARCH: a space and a key are expected")?;
            word = first_word(cursor);
        }
    }

    fn open_group(&mut self, open: &mut Vec<Open>) {
        open.push(Open::Group(self.list.len(), 0));
        self.list.push(SearchKey::And(0));
    }

    /// A key is whole, and so may be what it belongs to; whether that is everything.
    fn close(&mut self, open: &mut Vec<Open>, cursor: &mut Cursor<'_>) -> Result<bool, Wrong> {
        loop {
            match open.last_mut().expect("the outermost group is open") {
                Open::Not | Open::Or(1) => {
                    open.pop();
                }
                Open::Or(left) => {
                    *left -= 1;
                    return Ok(false);
                }
                Open::Group(at, keys) => {
                    *keys += 1;
                    let (at, keys) = (*at, *keys);
                    let outermost = open.len() == 1;
                    if cursor.peek() == Some(b' ') {
                        return Ok(false);
                    }
                    if !outermost {
                        cursor.expect(b')', "SEARCH: `)` or a space and a key are expected")?;
                    }
                    self.list[at] = SearchKey::And(keys);
                    open.pop();
                    if outermost {
                        return Ok(true);
                    }
                }
            }
        }
    }

    fn leaf(&mut self, word: &[u8], cursor: &mut Cursor<'_>) -> Result<SearchKey, Wrong> {
        for (set, unset, flag) in SYSTEM {
            if word == set.as_bytes() || word == unset.as_bytes() {
                return Ok(SearchKey::Flag(flag, word == set.as_bytes()));
            }
        }
        if let Some((_, name)) = FIELDS.iter().find(|(known, _)| *known == word) {
            return Ok(SearchKey::Header {
                name: (*name).into(),
                text: self.string(cursor)?,
            });
        }
        Ok(match word {
            b"" => SearchKey::Numbers(set(cursor)?),
            b"ALL" => SearchKey::All,
            b"NEW" => SearchKey::New,
            b"OLD" => SearchKey::Old,
            b"RECENT" => SearchKey::Recent,
            b"KEYWORD" => SearchKey::Keyword(keyword(cursor)?, true),
            b"UNKEYWORD" => SearchKey::Keyword(keyword(cursor)?, false),
            b"UID" => {
                cursor.space()?;
                SearchKey::Uids(cursor.sequence_set()?)
            }
            b"BEFORE" => SearchKey::Before(day(cursor)?),
            b"ON" => SearchKey::On(day(cursor)?),
            b"SINCE" => SearchKey::Since(day(cursor)?),
            b"SENTBEFORE" => SearchKey::SentBefore(day(cursor)?),
            b"SENTON" => SearchKey::SentOn(day(cursor)?),
            b"SENTSINCE" => SearchKey::SentSince(day(cursor)?),
            b"LARGER" => SearchKey::Larger(octets(cursor)?),
            b"SMALLER" => SearchKey::Smaller(octets(cursor)?),
            b"OLDER" => SearchKey::Older(interval(cursor)?),
            b"YOUNGER" => SearchKey::Younger(interval(cursor)?),
            b"BODY" => SearchKey::Body(self.string(cursor)?),
            b"TEXT" => SearchKey::Text(self.string(cursor)?),
            b"HEADER" => SearchKey::Header {
                name: field_name(cursor)?,
                text: self.string(cursor)?,
            },
            _ => return Err("SEARCH: unknown search key"),
        })
    }

    /// `SP astring`, in the command's charset.
    fn string(&mut self, cursor: &mut Cursor<'_>) -> Result<String, Wrong> {
        cursor.space()?;
        let string = cursor.astring()?;
        let text = self.charset.and_then(|charset| charset.decode(&string));
        if text.is_none() {
            self.charset = None;
        }
        Ok(text.unwrap_or_default())
    }
}

fn set(cursor: &mut Cursor<'_>) -> Result<SequenceSet, Wrong> {
    cursor.sequence_set().map_err(|_| "SEARCH: a search key is expected")
}

/// `flag-keyword = atom`
fn keyword(cursor: &mut Cursor<'_>) -> Result<Arc<str>, Wrong> {
    cursor.space()?;
    let name = ascii(cursor.atom());
    let is_keyword = !name.is_empty() && name.len() <= limits::IMAP_KEYWORD;
    is_keyword.then(|| name.into()).ok_or("SEARCH: a keyword is expected")
}

/// `date = date-text / DQUOTE date-text DQUOTE`
fn day(cursor: &mut Cursor<'_>) -> Result<i64, Wrong> {
    cursor.space()?;
    date::parse_imap_day(&cursor.astring()?).ok_or("SEARCH: a date like 1-Feb-1994 is expected")
}

fn octets(cursor: &mut Cursor<'_>) -> Result<u64, Wrong> {
    cursor.space()?;
    cursor.number64()
}

/// RFC 5032 §3
fn interval(cursor: &mut Cursor<'_>) -> Result<u32, Wrong> {
    cursor.space()?;
    cursor.nz_number()
}

/// `header-fld-name = astring`
fn field_name(cursor: &mut Cursor<'_>) -> Result<String, Wrong> {
    cursor.space()?;
    let name = cursor.astring()?;
    if name.is_ascii() && name.len() <= limits::FIELD_NAME {
        Ok(ascii(&name))
    } else {
        Err("SEARCH HEADER: a field's name is expected")
    }
}

/// Writes what follows `SEARCH`, as [`search`] reads it.
pub(super) fn encode(
    returns: Option<SearchReturn>,
    keys: Option<&[SearchKey]>,
    string: impl Fn(&[u8], &mut Vec<u8>),
    out: &mut Vec<u8>,
) {
    if let Some(returns) = returns {
        out.extend_from_slice(b" RETURN ");
        returns.encode(out);
    }
    let Some(keys) = keys else {
        out.extend_from_slice(b" CHARSET X-UNKNOWN ALL");
        return;
    };
    if keys.iter().any(|key| !key.is_ascii()) {
        out.extend_from_slice(b" CHARSET UTF-8");
    }
    // What is open: how many keys are to come, and whether a parenthesis follows them.
    let mut open: Vec<(u32, bool)> = Vec::new();
    let mut space = false;
    out.push(b' ');
    for (place, key) in keys.iter().enumerate() {
        if core::mem::replace(&mut space, true) {
            out.push(b' ');
        }
        match key {
            SearchKey::And(many) if place == 0 => {
                space = false;
                open.push((*many, false));
                continue;
            }
            SearchKey::And(many) => {
                out.push(b'(');
                space = false;
                open.push((*many, true));
                continue;
            }
            SearchKey::Or => {
                out.extend_from_slice(b"OR");
                open.push((2, false));
                continue;
            }
            SearchKey::Not => {
                out.extend_from_slice(b"NOT");
                open.push((1, false));
                continue;
            }
            leaf => leaf.encode(&string, out),
        }
        while let Some((left, parenthesis)) = open.last_mut() {
            *left -= 1;
            if *left > 0 {
                break;
            }
            if *parenthesis {
                out.push(b')');
            }
            open.pop();
        }
    }
}

impl SearchReturn {
    fn encode(self, out: &mut Vec<u8>) {
        let names = [
            (self.min, "MIN"),
            (self.max, "MAX"),
            (self.all, "ALL"),
            (self.count, "COUNT"),
            (self.save, "SAVE"),
        ];
        let names: Vec<&str> = names.iter().filter(|(asked, _)| *asked).map(|(_, name)| *name).collect();
        out.extend_from_slice(format!("({})", names.join(" ")).as_bytes());
    }
}

impl SearchKey {
    /// Whether its strings are ASCII.
    fn is_ascii(&self) -> bool {
        let (SearchKey::Header { text, .. } | SearchKey::Body(text) | SearchKey::Text(text)) = self else {
            return true;
        };
        text.is_ascii()
    }

    /// Writes a key that is no operator.
    fn encode(&self, string: impl Fn(&[u8], &mut Vec<u8>), out: &mut Vec<u8>) {
        let mut text = |text: &str| out.extend_from_slice(text.as_bytes());
        match self {
            SearchKey::And(_) | SearchKey::Or | SearchKey::Not => unreachable!("an operator is no leaf"),
            SearchKey::All => text("ALL"),
            SearchKey::Recent => text("RECENT"),
            SearchKey::New => text("NEW"),
            SearchKey::Old => text("OLD"),
            SearchKey::Flag(flag, set) => {
                let (is, not, _) = SYSTEM.iter().find(|(_, _, known)| known == flag).expect("a system flag");
                text(if *set { is } else { not });
            }
            SearchKey::Keyword(name, true) => text(&format!("KEYWORD {name}")),
            SearchKey::Keyword(name, false) => text(&format!("UNKEYWORD {name}")),
            SearchKey::Numbers(set) => set.encode(out),
            SearchKey::Uids(set) => {
                text("UID ");
                set.encode(out);
            }
            SearchKey::Before(day) => text(&dated("BEFORE", *day)),
            SearchKey::On(day) => text(&dated("ON", *day)),
            SearchKey::Since(day) => text(&dated("SINCE", *day)),
            SearchKey::SentBefore(day) => text(&dated("SENTBEFORE", *day)),
            SearchKey::SentOn(day) => text(&dated("SENTON", *day)),
            SearchKey::SentSince(day) => text(&dated("SENTSINCE", *day)),
            SearchKey::Larger(octets) => text(&format!("LARGER {octets}")),
            SearchKey::Smaller(octets) => text(&format!("SMALLER {octets}")),
            SearchKey::Older(seconds) => text(&format!("OLDER {seconds}")),
            SearchKey::Younger(seconds) => text(&format!("YOUNGER {seconds}")),
            SearchKey::Header { name, text: value } => {
                text("HEADER ");
                string(name.as_bytes(), out);
                out.push(b' ');
                string(value.as_bytes(), out);
            }
            SearchKey::Body(value) => {
                text("BODY ");
                string(value.as_bytes(), out);
            }
            SearchKey::Text(value) => {
                text("TEXT ");
                string(value.as_bytes(), out);
            }
        }
    }
}

fn dated(key: &str, day: i64) -> String {
    format!("{key} {}", date::format_imap_day(day))
}
