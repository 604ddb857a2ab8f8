//! Replay: the machine again, with the inputs of a trace.

use alloc::borrow::Cow;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::Cell;

use super::check::{Check, Outputs};
use super::file::{Ending, Entry, Frame, Stored, Trace};
use super::recorder::reason;
use super::{Kind, Recordable};
use crate::machine::{Close, Input, Output, SlotId};
use crate::record::{Malformed, Record};
use crate::time::Now;

/// A machine that is given the inputs of a trace.
pub struct Player<M: Recordable> {
    machine: M,
    inputs: Check,
    outputs: Outputs,
    /// Questions that are open, and what answers them.
    open: BTreeMap<SlotId, u8>,
    reads: bool,
    wants_body: bool,
    closed: Option<Close>,
}

/// What a player puts out until it rests.
pub enum Seen<'o, A> {
    /// Bytes newly offered to the peer.
    Send(Cow<'o, [u8]>),
    /// A part of a body.
    Body(&'o [u8]),
    /// An ask.
    Ask(A),
    /// The rest: how many octets are offered, whether bytes and bodies are wanted, until when.
    Rest(crate::machine::Wait<'o>),
    /// The end.
    Close(Close),
}

/// How a replay differs, at its first difference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The number of the entry, from 0 (the beginning).
    pub entry: u64,
    /// Its time; none: it cannot be read.
    pub now: Option<Now>,
    /// What differs.
    pub found: Found,
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The file cannot be read from here on.
    Damaged(&'static str),
    /// The input is not the one that was recorded.
    Input(&'static str),
    /// The machine cannot be given such an input now.
    Misfit(&'static str),
    /// The machine makes something else of this input.
    Output {
        /// Which input it was.
        input: &'static str,
        /// What the machine now says, asks or does.
        now: Vec<String>,
    },
    /// The recorded machine never came to rest behind this input (it panicked); this one does.
    Rests,
    /// The recorded session ended otherwise.
    Ending {
        /// As it was recorded.
        recorded: String,
        /// As it ends now.
        now: String,
    },
}

/// What a replay came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replayed {
    /// Entries read.
    pub entries: u64,
    /// The first difference; none: every output byte is the same.
    pub difference: Option<Difference>,
    /// Where the outputs begin to differ, when the first difference is one of the inputs.
    pub outputs_differ: Option<u64>,
    /// How the recording ends; none: it breaks off.
    pub ending: Option<Ending>,
}

impl<M: Recordable> Player<M> {
    /// Begins a machine as a header says; `marked`: it notes what it reads.
    ///
    /// # Errors
    /// The header is not of this machine.
    pub fn begin(new: &[u8], marked: bool) -> Result<Player<M>, Malformed> {
        let mut inputs = Check::default();
        inputs.update(new);
        let mut machine = M::begin(M::New::from_record(new)?);
        if marked {
            machine.marks().switch_on();
        }
        Ok(Player {
            machine,
            inputs,
            outputs: Outputs::default(),
            open: BTreeMap::new(),
            reads: false,
            wants_body: false,
            closed: None,
        })
    }

    /// The machine.
    pub fn machine(&mut self) -> &mut M {
        &mut self.machine
    }

    /// The hash of the inputs, when these bytes are the next one's.
    pub fn count(&mut self, covered: &[u8]) -> u64 {
        self.inputs.update(covered);
        self.inputs.value()
    }

    /// Feeds one input.
    ///
    /// # Errors
    /// No driver would do that now.
    pub fn feed(&mut self, now: Now, input: Stored<M::Value, M::Notice>) -> Result<(), &'static str> {
        if self.closed.is_some() {
            return Err("the session is over");
        }
        match input {
            Stored::Begin => {}
            Stored::Received(_) if !self.reads => return Err("nothing is read now"),
            Stored::Received(bytes) if bytes.is_empty() => return Err("no bytes"),
            Stored::Received(bytes) => self.machine.handle(now, Input::Received(&bytes)),
            Stored::Eof => self.machine.handle(now, Input::Eof),
            Stored::Sent(octets) if octets == 0 || octets > self.outputs.offered() => {
                return Err("more is sent than offered");
            }
            Stored::Sent(octets) => {
                self.outputs.sent(octets);
                self.machine.handle(now, Input::Sent(octets));
            }
            Stored::Body(_) if !self.wants_body => return Err("no body is wanted now"),
            Stored::Body(chunk) => {
                let chunk = chunk.as_deref().map_err(|error| *error);
                self.machine.handle(now, Input::Body(chunk));
            }
            Stored::Answer(answer) => {
                let tag = answer.value.to_record().first().copied();
                match self.open.remove(&answer.id) {
                    None => return Err("the answer to no question"),
                    Some(expected) if Some(expected) != tag => return Err("an answer of another kind than the question"),
                    Some(_) => self.machine.handle(now, Input::Answer(answer)),
                }
            }
            Stored::Notice(notice) => self.machine.handle(now, Input::Notice(notice)),
            Stored::Tick => self.machine.handle(now, Input::Tick),
        }
        Ok(())
    }

    /// Polls until the machine rests; gives the hash of all outputs so far.
    pub fn rest(&mut self, mut see: impl FnMut(Seen<'_, M::Ask>)) -> u64 {
        loop {
            let output = self.machine.poll();
            let new = self.outputs.see(&output);
            match output {
                Output::Body(part) => see(Seen::Body(part)),
                Output::Ask(ask) => {
                    if let Some((slot, tag)) = M::expects(&ask) {
                        self.open.insert(slot, tag);
                    }
                    see(Seen::Ask(ask));
                }
                Output::Close(close) => {
                    self.closed = Some(close);
                    see(Seen::Close(close));
                    return self.outputs.value();
                }
                Output::Wait(wait) => {
                    self.reads = wait.read;
                    self.wants_body = wait.body;
                    if !new.is_empty() {
                        see(Seen::Send(new));
                    }
                    see(Seen::Rest(wait));
                    return self.outputs.value();
                }
            }
        }
    }

    /// Why the session is over.
    pub fn closed(&self) -> Option<Close> {
        self.closed
    }
}

/// Replays a file of any machine; `at` follows the entry that is being replayed, for a caller that survives a panic.
///
/// # Errors
/// The header cannot be read.
pub fn replay_any(file: &[u8], at: &Cell<u64>) -> Result<Replayed, Malformed> {
    match Trace::open(file)?.header.kind {
        Kind::SmtpServer => replay::<crate::smtp::server::Session>(file, at),
        Kind::SmtpClient => replay::<crate::smtp::client::Session>(file, at),
        Kind::ImapServer => replay::<crate::imap::server::Session>(file, at),
    }
}

/// Replays a file and looks for its first difference.
///
/// # Errors
/// The header cannot be read, or is of another machine.
pub fn replay<M: Recordable>(file: &[u8], at: &Cell<u64>) -> Result<Replayed, Malformed> {
    let mut replayed = attempt::<M>(file, None, at)?;
    let differs = replayed.difference.as_ref().map(|difference| difference.entry);
    if let Some(Difference {
        found: Found::Output { .. },
        ..
    }) = &replayed.difference
    {
        // Only now it is known whose words are of interest.
        replayed = attempt::<M>(file, differs, at)?;
    }
    Ok(replayed)
}

fn attempt<M: Recordable>(file: &[u8], listen: Option<u64>, at: &Cell<u64>) -> Result<Replayed, Malformed> {
    let mut trace = Trace::open(file)?;
    let mut player = Player::<M>::begin(&trace.header.new, false)?;
    let mut replayed = Replayed {
        entries: 0,
        difference: None,
        outputs_differ: None,
        ending: None,
    };
    loop {
        let frame = match trace.next_frame() {
            Ok(frame) => frame,
            Err(Malformed(why)) => {
                replayed.differs(None, Found::Damaged(why));
                return Ok(replayed);
            }
        };
        match frame {
            None => return Ok(replayed),
            Some(Frame::Ending(ending)) => {
                let now = player.closed().map_or("goes on".to_string(), |close| reason(close.why));
                if let Ending::Closed(recorded) = &ending
                    && *recorded != now
                {
                    let recorded = recorded.clone();
                    replayed.differs(None, Found::Ending { recorded, now });
                }
                replayed.ending = Some(ending);
                return Ok(replayed);
            }
            Some(Frame::Entry(payload)) => {
                at.set(replayed.entries);
                if !replayed.entry(&mut player, payload, listen) {
                    return Ok(replayed);
                }
                replayed.entries += 1;
            }
        }
    }
}

impl Replayed {
    fn differs(&mut self, now: Option<Now>, found: Found) {
        let entry = self.entries;
        self.difference.get_or_insert(Difference { entry, now, found });
    }

    /// Whether to go on.
    fn entry<M: Recordable>(&mut self, player: &mut Player<M>, payload: &[u8], listen: Option<u64>) -> bool {
        let (entry, covered) = match Entry::<M::Value, M::Notice>::read(payload) {
            Ok(read) => read,
            Err(Malformed(why)) => {
                self.differs(None, Found::Damaged(why));
                return false;
            }
        };
        let (now, name) = (entry.now, entry.input.name());
        if player.count(covered) != entry.inputs {
            self.differs(Some(now), Found::Input(name));
        }
        if let Err(why) = player.feed(now, entry.input) {
            self.differs(Some(now), Found::Misfit(why));
            return false;
        }
        let mut said = Vec::new();
        let listening = listen == Some(self.entries);
        let outputs = player.rest(|seen| {
            if listening {
                said.extend(seen.line());
            }
        });
        match entry.outputs {
            Some(recorded) if recorded == outputs => true,
            Some(_) => {
                self.outputs_differ = Some(self.entries);
                self.differs(Some(now), Found::Output { input: name, now: said });
                false
            }
            None => {
                self.differs(Some(now), Found::Rests);
                false
            }
        }
    }
}

impl<A: core::fmt::Debug> Seen<'_, A> {
    /// One line for a person, if it says something.
    pub fn line(&self) -> Option<String> {
        match self {
            Seen::Send(bytes) => Some(alloc::format!("S: {}", bytes.escape_ascii())),
            Seen::Body(part) => Some(alloc::format!("BODY: {} octets", part.len())),
            Seen::Ask(ask) => Some(alloc::format!("ASK: {ask:?}")),
            Seen::Rest(_) => None,
            Seen::Close(close) => Some(alloc::format!("CLOSE: {:?}", close.why)),
        }
    }
}

impl core::fmt::Display for Difference {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        write!(f, "entry {}: ", self.entry)?;
        match &self.found {
            Found::Damaged(why) => write!(f, "the file is damaged: {why}"),
            Found::Input(name) => write!(f, "the input ({name}) is not the one that was recorded"),
            Found::Misfit(why) => write!(f, "the machine cannot be given this input: {why}"),
            Found::Output { input, .. } => write!(f, "the output behind {input} differs"),
            Found::Rests => write!(f, "the recorded machine never came to rest here (it panicked); this one does"),
            Found::Ending { recorded, now } => write!(f, "the recorded session ended with {recorded}; now: {now}"),
        }
    }
}
