//! The compiled keys of a SEARCH.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::fold::folded;
use super::needle::Needle;
use crate::imap::command::{SearchKey, SequenceSet};
use crate::imap::sequence::Intervals;
use crate::limits;
use crate::message::date;
use crate::record::{Malformed, Reader, Record};
use crate::store::Flags;
use crate::store::version::Row;
use crate::time::UnixTime;

/// The keys in prefix form, as they were written; evaluated from the end, each operator's operands are on a stack when it comes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    ops: Vec<Op>,
    /// What only the message itself tells.
    texts: Vec<Sought>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Op {
    /// All of so many.
    And(u32),
    /// One of two.
    Or,
    /// Not the next.
    Not,
    /// What the row tells.
    Row(Test),
    /// An entry of `texts`.
    Text(u32),
}

/// What a row tells.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Test {
    Is(bool),
    Flag {
        flag: Flags,
        set: bool,
    },
    Keyword {
        bit: u64,
        set: bool,
    },
    Recent,
    New,
    Old,
    Numbers(Intervals),
    Uids(Intervals),
    Before(i64),
    On(i64),
    Since(i64),
    Larger(u64),
    Smaller(u64),
    /// INTERNALDATE not later than this moment.
    Until(i64),
    /// Not earlier.
    From(i64),
}

/// What only the message itself tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sought {
    /// The day of its first `Date` field lies in this range.
    Sent { from: i64, to: i64 },
    /// A field of this name in its header has the string.
    Header { name: String, needle: Needle },
    /// Its body has it.
    Body(Needle),
    /// Its body or a header of it or of its parts has it.
    Text(Needle),
}

/// A message that may fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Its row.
    pub row: Row,
    /// Its number in the session.
    pub number: u32,
    /// Whether it is `\Recent` in the session.
    pub recent: bool,
}
crate::record_struct!(Candidate { row, number, recent });

/// What the keys refer to.
#[derive(Debug)]
pub struct Context<'a> {
    /// Messages in the session's view: `*` of message numbers.
    pub exists: u32,
    /// The greatest UID: `*` of UIDs.
    pub last_uid: u32,
    /// The mailbox's keyword table.
    pub keywords: &'a [Arc<str>],
    /// `$`: UIDs.
    pub saved: &'a Intervals,
    /// For OLDER and YOUNGER.
    pub now: UnixTime,
}

/// The keys have more strings than [`limits::SEARCH_TEXTS`]: NO [LIMIT].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooMuch;

impl Program {
    /// Compiles keys in prefix form.
    pub fn compile(keys: &[SearchKey], context: &Context<'_>) -> Result<Program, TooMuch> {
        let mut program = Program {
            ops: Vec::with_capacity(keys.len()),
            texts: Vec::new(),
        };
        for key in keys {
            let op = program.op(key, context);
            program.ops.push(op);
            if program.texts.len() > limits::SEARCH_TEXTS {
                return Err(TooMuch);
            }
        }
        Ok(program)
    }

    fn op(&mut self, key: &SearchKey, context: &Context<'_>) -> Op {
        let test = match key {
            SearchKey::And(many) => return Op::And(*many),
            SearchKey::Or => return Op::Or,
            SearchKey::Not => return Op::Not,
            SearchKey::All => Test::Is(true),
            SearchKey::Flag(flag, set) => Test::Flag { flag: *flag, set: *set },
            SearchKey::Keyword(name, set) => {
                let known = context.keywords.iter().position(|known| known.eq_ignore_ascii_case(name));
                known.map_or(Test::Is(!set), |bit| Test::Keyword {
                    bit: 1 << bit,
                    set: *set,
                })
            }
            SearchKey::Recent => Test::Recent,
            SearchKey::New => Test::New,
            SearchKey::Old => Test::Old,
            SearchKey::Numbers(set) if set.is_saved() => Test::Uids(context.saved.clone()),
            SearchKey::Numbers(set) => Test::Numbers(set.resolve(context.exists)),
            SearchKey::Uids(set) => Test::Uids(uids(set, context)),
            SearchKey::Before(day) => Test::Before(*day),
            SearchKey::On(day) => Test::On(*day),
            SearchKey::Since(day) => Test::Since(*day),
            SearchKey::Larger(octets) => Test::Larger(*octets),
            SearchKey::Smaller(octets) => Test::Smaller(*octets),
            SearchKey::Older(seconds) => Test::Until(context.now.seconds() - i64::from(*seconds)),
            SearchKey::Younger(seconds) => Test::From(context.now.seconds() - i64::from(*seconds)),
            SearchKey::SentBefore(day) => return self.sent(i64::MIN, *day - 1),
            SearchKey::SentOn(day) => return self.sent(*day, *day),
            SearchKey::SentSince(day) => return self.sent(*day, i64::MAX),
            SearchKey::Header { name, text } => {
                return self.text(Sought::Header {
                    name: name.clone(),
                    needle: Needle::new(folded(text)),
                });
            }
            // Every text has the empty string.
            SearchKey::Body(text) | SearchKey::Text(text) if text.is_empty() => Test::Is(true),
            SearchKey::Body(text) => return self.text(Sought::Body(Needle::new(folded(text)))),
            SearchKey::Text(text) => return self.text(Sought::Text(Needle::new(folded(text)))),
        };
        Op::Row(test)
    }

    fn sent(&mut self, from: i64, to: i64) -> Op {
        self.text(Sought::Sent { from, to })
    }

    fn text(&mut self, text: Sought) -> Op {
        self.texts.push(text);
        Op::Text(u32::try_from(self.texts.len() - 1).expect("they are few"))
    }

    /// What it costs to judge one message by its row.
    pub fn cost(&self) -> usize {
        self.ops.len()
    }

    /// The UIDs among which all that fits is, if a key in front says so: no other messages need be looked at.
    pub fn bounds(&self) -> Option<&Intervals> {
        // The first is the group around all; keys before the next operator are its own.
        let own = self
            .ops
            .iter()
            .skip(1)
            .take_while(|op| matches!(op, Op::Row(_) | Op::Text(_)));
        own.filter_map(|op| match op {
            Op::Row(Test::Uids(uids)) => Some(uids),
            Op::And(_) | Op::Or | Op::Not | Op::Row(_) | Op::Text(_) => None,
        })
        .next()
    }

    pub(super) fn texts(&self) -> &[Sought] {
        &self.texts
    }

    /// Whether a message fits by what its row tells; `None`: it has to be read.
    pub fn judge(&self, candidate: &Candidate, stack: &mut Vec<Option<bool>>) -> Option<bool> {
        self.evaluate(candidate, |_| None, stack)
    }

    /// Whether a message fits, when `text` tells what is known of it; `None`: that is not enough. `stack` is room to work in.
    pub(super) fn evaluate(
        &self,
        candidate: &Candidate,
        text: impl Fn(usize) -> Option<bool>,
        stack: &mut Vec<Option<bool>>,
    ) -> Option<bool> {
        stack.clear();
        for op in self.ops.iter().rev() {
            let value = match op {
                Op::And(many) => {
                    let first = stack.len() - *many as usize;
                    let all = stack[first..].iter().copied().reduce(and).unwrap_or(Some(true));
                    stack.truncate(first);
                    all
                }
                Op::Or => {
                    let (one, other) = (pop(stack), pop(stack));
                    and(one.map(|one| !one), other.map(|other| !other)).map(|neither| !neither)
                }
                Op::Not => pop(stack).map(|value| !value),
                Op::Row(test) => Some(test.holds(candidate)),
                Op::Text(index) => text(*index as usize),
            };
            stack.push(value);
        }
        pop(stack)
    }
}

fn pop(stack: &mut Vec<Option<bool>>) -> Option<bool> {
    stack.pop().expect("an operator has its operands")
}

fn and(one: Option<bool>, other: Option<bool>) -> Option<bool> {
    match (one, other) {
        (Some(false), _) | (_, Some(false)) => Some(false),
        (Some(true), other) => other,
        (None, _) => None,
    }
}

fn uids(set: &SequenceSet, context: &Context<'_>) -> Intervals {
    if set.is_saved() {
        context.saved.clone()
    } else {
        set.resolve(context.last_uid)
    }
}

impl Test {
    fn holds(&self, candidate: &Candidate) -> bool {
        let Candidate { row, number, recent } = candidate;
        let day = || date::day_of(row.internal_date);
        match self {
            Test::Is(value) => *value,
            Test::Flag { flag, set } => row.flags.contains(*flag) == *set,
            Test::Keyword { bit, set } => (row.keywords.0 & bit != 0) == *set,
            Test::Recent => *recent,
            Test::New => *recent && !row.flags.contains(Flags::SEEN),
            Test::Old => !recent,
            Test::Numbers(set) => set.contains(*number),
            Test::Uids(set) => set.contains(row.uid.0),
            Test::Before(than) => day() < *than,
            Test::On(than) => day() == *than,
            Test::Since(than) => day() >= *than,
            Test::Larger(than) => u64::from(row.size) > *than,
            Test::Smaller(than) => u64::from(row.size) < *than,
            Test::Until(moment) => row.internal_date.seconds() <= *moment,
            Test::From(moment) => row.internal_date.seconds() >= *moment,
        }
    }
}

crate::record_struct!(Program { ops, texts });
crate::record_enum!(Op { 0 => And(many), 1 => Or, 2 => Not, 3 => Row(test), 4 => Text(index) });
crate::record_enum!(Test {
    0 => Is(value), 1 => Flag { flag, set }, 2 => Keyword { bit, set }, 3 => Recent, 4 => New, 5 => Old, 6 => Numbers(set), 7 => Uids(set),
    8 => Before(day), 9 => On(day), 10 => Since(day), 11 => Larger(than), 12 => Smaller(than), 13 => Until(moment),
    14 => From(moment),
});
crate::record_enum!(Sought {
    0 => Sent { from, to }, 1 => Header { name, needle }, 2 => Body(needle), 3 => Text(needle),
});

impl Record for Needle {
    fn encode(&self, out: &mut Vec<u8>) {
        self.text().to_vec().encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Vec::decode(from).map(Needle::new)
    }
}
