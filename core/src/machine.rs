//! The contract of every Pillarbox machine: feed one input, then poll until rest.
//!
//! A *machine* is a state with two methods. It never reads a socket, a file, a clock or a random source. What it needs it
//! *asks* for ([`Output::Ask`]), and the answer comes back as an input ([`Input::Answer`]).
//!
//! # The contract, in full
//!
//! 1. Feed **one** [`Input`] with [`Machine::handle`].
//! 2. Call [`Machine::poll`] again and again until it returns [`Output::Wait`] or [`Output::Close`].
//!    [`Output::Body`] is written to the open sink before the next `poll`; [`Output::Ask`] is started before the next `poll`
//!    (its answer may come at any later time, in any order).
//! 3. At rest, do what [`Wait`] says: send `send` (and report each piece with [`Input::Sent`]), read only when `read`, feed
//!    body chunks only when `body`, and feed [`Input::Tick`] at `until`. Whatever happens first is the next input.
//! 4. After [`Output::Close`] the machine is not called again.
//!
//! Only one driver (`adapters/src/drive.rs`) and the test runners call machines, so the contract is kept in one place.
//!
//! # Promises of a machine
//!
//! * Any split of the received bytes gives the same bytes to send.
//! * After a `Tick` at `until` the next `until` is later, or `None` (a machine never spins).
//! * An idle machine owns no buffer.
//! * [`Output::Close`] comes only when nothing is left to send, or the deadline for sending has passed.
//! * An ask is documented as a *query* (may be dropped at any moment) or an *effect* (runs to its end even if the connection
//!   is lost; only its answer is forgotten).

use alloc::vec::Vec;
use core::marker::PhantomData;

use crate::record::{Malformed, Reader, Record};
use crate::time::{Instant, Now};

/// A protocol or store state machine; see the [module text](self) for the contract.
pub trait Machine {
    /// What it needs from its host.
    type Ask;
    /// The sum of all answers.
    type Value;
    /// What its host may tell it unasked.
    type Notice;

    /// Takes one input. A peer's error becomes a protocol reply or a `Close`; a host's error (an answer that fits no
    /// question) is an assertion.
    fn handle(&mut self, now: Now, input: Input<'_, Self::Value, Self::Notice>);

    /// What to do next. Call until it returns `Wait` or `Close`.
    fn poll(&mut self) -> Output<'_, Self::Ask>;
}

/// What a host feeds a machine.
#[derive(Debug)]
pub enum Input<'a, V, N> {
    /// Bytes from the peer, as many as came; never empty.
    Received(&'a [u8]),
    /// The peer will send no more.
    Eof,
    /// So many bytes of the last `Wait.send` have left.
    Sent(usize),
    /// The next chunk of the opened run of bodies, or why it ends early.
    Body(Result<&'a [u8], BodyError>),
    /// The answer to a question.
    Answer(Answer<V>),
    /// Something the host says unasked.
    Notice(N),
    /// `Wait.until` has come.
    Tick,
}

/// What a machine wants done.
#[derive(Debug)]
pub enum Output<'a, A> {
    /// Part of a message body, for the sink opened last. Write it, then poll again.
    Body(&'a [u8]),
    /// A question or an effect.
    Ask(A),
    /// Nothing to do until one of these happens.
    Wait(Wait<'a>),
    /// The end.
    Close(Close),
}

/// The state at rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait<'a> {
    /// Bytes offered to the peer; report what has left with [`Input::Sent`].
    pub send: &'a [u8],
    /// Whether bytes from the peer are wanted.
    pub read: bool,
    /// Whether a chunk of the opened bodies is wanted.
    pub body: bool,
    /// When to feed [`Input::Tick`].
    pub until: Option<Deadline>,
}

/// A moment and its reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline {
    /// When.
    pub at: Instant,
    /// Why: shown in logs and in replays.
    pub why: &'static str,
}

/// The end of a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Close {
    /// Why it ends.
    pub why: Reason,
    /// Until when the host reads and throws away what still comes, so that the kernel's RST does not destroy the last reply.
    pub linger: Option<Deadline>,
}

/// Why a session ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// QUIT or LOGOUT was said.
    Quit,
    /// The server that we speak with as a client refused us: a greeting, login or TLS that cannot be used, or 421.
    Refused,
    /// The peer closed or reset the connection.
    PeerGone,
    /// A deadline passed; the text is the deadline's own.
    Timeout(&'static str),
    /// Bytes were waiting behind STARTTLS (RFC 3207 §4.2, S04).
    StartTlsInjection,
    /// The TLS handshake failed.
    TlsFailed,
    /// Bytes came before the greeting or beyond a synchronisation point (S10).
    EarlyTalker,
    /// Too many protocol errors, or an HTTP verb (S64).
    NotOurProtocol,
    /// Too many failed logins.
    TooManyLogins,
    /// A limit of `limits.rs` was exceeded in a way that cannot be survived.
    Limit(&'static str),
    /// A body could not be read or written to its end.
    BodyFailed,
    /// The server stops or sheds load.
    Shutdown,
}

/// Why a body ends before its announced length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum BodyError {
    /// The message is no longer there.
    Missing,
    /// Its checksum does not match (S: promise R10).
    Corrupt,
    /// The disk failed to read it.
    Unreadable,
}

/// The right to answer one question, once, with a `T`. Not `Clone`.
#[derive(Debug, PartialEq, Eq)]
pub struct Slot<T> {
    id: SlotId,
    answer: PhantomData<fn() -> T>,
}

/// Names a question of one machine. A stale or foreign one is refused by assertion.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct SlotId {
    /// The machine's own number.
    pub machine: u64,
    /// Place in its table.
    pub index: u32,
    /// How often the place has been used.
    pub generation: u32,
}

/// An answer on its way back.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer<V> {
    /// Which question.
    pub id: SlotId,
    /// The answer.
    pub value: V,
}

impl<T> Slot<T> {
    /// Answers the question.
    pub fn answer<V: From<T>>(self, value: T) -> Answer<V> {
        Answer {
            id: self.id,
            value: V::from(value),
        }
    }

    /// Which question this is.
    pub fn id(&self) -> SlotId {
        self.id
    }
}

/// The sum of a machine's answers, which each of them becomes: `answers! { pub enum Value { Tls(TlsOutcome), Sink(SinkOpened) } }`.
#[macro_export]
macro_rules! answers {
    ($(#[$of_sum:meta])* pub enum $sum:ident { $($(#[$of_variant:meta])* $variant:ident($answer:ty)),* $(,)? }) => {
        $(#[$of_sum])*
        pub enum $sum {
            $($(#[$of_variant])* $variant($answer)),*
        }
        $(
            impl From<$answer> for $sum {
                fn from(answer: $answer) -> $sum {
                    $sum::$variant(answer)
                }
            }
        )*
    };
}

/// A machine's open questions: slot -> what to do with the answer.
#[derive(Debug)]
pub struct Slots<P> {
    machine: u64,
    places: Vec<Place<P>>,
    open: usize,
    generation: u32,
}

#[derive(Debug)]
struct Place<P> {
    generation: u32,
    pending: Option<P>,
}

impl<P> Slots<P> {
    /// A table for machine number `machine` (unique in its process).
    pub fn new(machine: u64) -> Self {
        Slots {
            machine,
            places: Vec::new(),
            open: 0,
            generation: 0,
        }
    }

    /// Opens a question. The caller checks [`Slots::open`] against its limit first.
    pub fn ask<T>(&mut self, pending: P) -> Slot<T> {
        self.generation = self.generation.wrapping_add(1);
        let generation = self.generation;
        let free = self.places.iter().position(|place| place.pending.is_none());
        let index = free.unwrap_or(self.places.len());
        let place = Place {
            generation,
            pending: Some(pending),
        };
        if index == self.places.len() {
            self.places.push(place);
        } else {
            self.places[index] = place;
        }
        self.open += 1;
        let index = u32::try_from(index).expect("few questions are open");
        Slot {
            id: SlotId {
                machine: self.machine,
                index,
                generation,
            },
            answer: PhantomData,
        }
    }

    /// Takes what to do with an answer.
    ///
    /// # Panics
    /// When the slot belongs to another machine, or was answered before: a host's bug.
    pub fn take(&mut self, id: SlotId) -> P {
        assert_eq!(id.machine, self.machine, "an answer for another machine");
        let place = self.places.get_mut(id.index as usize).expect("an answer to no question");
        assert_eq!(place.generation, id.generation, "an answer to an old question");
        let pending = place.pending.take().expect("a question answered twice");
        self.open -= 1;
        if self.open == 0 {
            self.places = Vec::new(); // an idle machine owns no buffer
        }
        pending
    }

    /// How many questions are open.
    pub fn open(&self) -> usize {
        self.open
    }

    /// The machine's number.
    pub fn machine(&self) -> u64 {
        self.machine
    }
}

impl<T> Record for Slot<T> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Slot {
            id: SlotId::decode(from)?,
            answer: PhantomData,
        })
    }
}

impl Record for SlotId {
    fn encode(&self, out: &mut Vec<u8>) {
        self.machine.encode(out);
        self.index.encode(out);
        self.generation.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(SlotId {
            machine: u64::decode(from)?,
            index: u32::decode(from)?,
            generation: u32::decode(from)?,
        })
    }
}

impl<V: Record> Record for Answer<V> {
    fn encode(&self, out: &mut Vec<u8>) {
        self.id.encode(out);
        self.value.encode(out);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Answer {
            id: SlotId::decode(from)?,
            value: V::decode(from)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_answers_once() {
        let mut slots: Slots<&str> = Slots::new(7);
        let one: Slot<u32> = slots.ask("one");
        let two: Slot<u32> = slots.ask("two");
        let (one, two) = (one.answer::<u32>(1), two.answer::<u32>(2));
        assert_eq!(slots.take(two.id), "two");
        assert_eq!(slots.take(one.id), "one");
        assert_eq!(slots.open(), 0);
    }

    #[test]
    #[should_panic(expected = "old question")]
    fn a_stale_slot_is_refused() {
        let mut slots: Slots<()> = Slots::new(7);
        let keep: Slot<u32> = slots.ask(());
        let stale: Slot<u32> = slots.ask(());
        let id = stale.id();
        slots.take(id);
        let _fresh: Slot<u32> = slots.ask(());
        let _ = keep;
        slots.take(id);
    }

    #[test]
    #[should_panic(expected = "another machine")]
    fn a_foreign_slot_is_refused() {
        let mut one: Slots<()> = Slots::new(1);
        let mut two: Slots<()> = Slots::new(2);
        let slot: Slot<u32> = one.ask(());
        let _mine: Slot<u32> = two.ask(());
        two.take(slot.id());
    }
}
