//! Decisions: pure functions of what is known so far, which answer or say what they still need.
//!
//! ```text
//! loop { match decide(&matter, &facts) { Known(verdict) => break verdict, Needs(questions) => fetch all, side by side } }
//! ```
//!
//! The function starts over each time, which is cheap and buys natural parallel look-ups, table tests without a network, exact
//! replay, and `explain`: the same function with the facts printed. A failure is a fact too, so the loop always ends. The one
//! loop is `adapters/src/decide.rs`; its bounds are in [`crate::limits`].

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::String;
use alloc::vec::Vec;
use core::net::IpAddr;

use crate::record::{Malformed, Reader, Record};

mod words;

use crate::address::{Domain, Mailbox};
use crate::store::AccountId;

/// A verdict, or the questions whose answers are missing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision<T> {
    /// Decided.
    Known(T),
    /// Undecided: fetch these, then call again. Never empty, never a question that `Facts` already answers.
    Needs(Vec<Question>),
}

/// Something a decision may want to know.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Question {
    /// Is this domain (or our host name, or `localhost`) ours?
    OurDomain(Domain),
    /// Who takes mail for this address of ours? Answer: [`Known::Targets`].
    LocalAddress(Mailbox),
    /// May this account send as this address? Answer: [`Known::Yes`] or `Absent`.
    Owns(AccountId, Mailbox),
    /// The mail exchangers of a domain (RFC 5321 §5.1). Answer: [`Known::Mx`]; `Absent`: the domain is there and has none, or there is
    /// no such domain, which its addresses then tell.
    Mx(Domain),
    /// The IPv4 addresses of a name. Answer: [`Known::Addresses`].
    Ipv4(Domain),
    /// The IPv6 addresses of a name. Answer: [`Known::Addresses`].
    Ipv6(Domain),
    /// Is this address one of ours, so that a message sent there would come back?
    OurAddress(IpAddr),
}

/// The answer to a question, or why there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// The answer.
    pub answer: FactAnswer,
    /// How long it may be kept, in seconds; 0 = do not keep.
    pub ttl_s: u32,
    /// Whether it was authenticated (DNSSEC).
    pub secure: bool,
}

/// What came back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum FactAnswer {
    /// There is one.
    Known(Known),
    /// There surely is none.
    Absent,
    /// It could not be found out.
    Failed(Failure),
}

/// A positive answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Known {
    /// Yes.
    Yes,
    /// Where an address of ours leads: never empty; several for an alias.
    Targets(Vec<AliasTarget>),
    /// Mail exchangers, as they came.
    Mx(Vec<MxHost>),
    /// Addresses, as they came.
    Addresses(Vec<IpAddr>),
}

/// Where an address of ours leads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AliasTarget {
    /// This account, with the address that its copy is delivered as (`Delivered-To`).
    Account(AccountId, Mailbox),
    /// An address of another server.
    Remote(Mailbox),
}

/// One MX record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MxHost {
    /// Lower is tried first.
    pub preference: u16,
    /// The exchanger; `None`: the root, which alone with preference 0 means that the domain takes no mail (RFC 7505).
    pub host: Option<Domain>,
}

/// Why a fact is missing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Failure {
    /// Try again later.
    Temporary,
    /// The answer is forged or broken.
    Bogus,
}

impl Fact {
    /// A local fact: known now, not to be kept.
    pub fn local(answer: FactAnswer) -> Fact {
        Fact {
            answer,
            ttl_s: 0,
            secure: true,
        }
    }
}

/// What is known so far.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Facts {
    known: BTreeMap<Question, Fact>,
}

impl Facts {
    /// Nothing known.
    pub fn new() -> Self {
        Facts::default()
    }

    /// Adds a fact.
    pub fn learn(&mut self, question: Question, fact: Fact) {
        self.known.insert(question, fact);
    }

    /// What is known of a question; `None`: ask it.
    pub fn look_up(&self, question: &Question) -> Option<&FactAnswer> {
        self.known.get(question).map(|fact| &fact.answer)
    }

    /// All facts, in order: for the ledger and `explain`.
    pub fn iter(&self) -> impl Iterator<Item = (&Question, &Fact)> {
        self.known.iter()
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.known.len()
    }

    /// Whether nothing is known.
    pub fn is_empty(&self) -> bool {
        self.known.is_empty()
    }
}

/// Why a verdict is as it is: what was looked at, and which RFC section or setting says so.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Because {
    /// What was seen.
    pub saw: String,
    /// The rule: `RFC 5321 §3.6.1` or a setting's name.
    pub rule: Cow<'static, str>,
}

impl Record for Because {
    fn encode(&self, out: &mut Vec<u8>) {
        self.saw.encode(out);
        String::from(self.rule.as_ref()).encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Because {
            saw: String::decode(from)?,
            rule: Cow::Owned(String::decode(from)?),
        })
    }
}
