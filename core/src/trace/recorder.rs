//! The recorder: a machine's tape.

use alloc::boxed::Box;
use alloc::collections::VecDeque;
use alloc::string::{String, ToString};
use alloc::vec::Vec;

use super::check::{Check, Outputs};
use super::file::{self, Ending, Header};
use super::marks::{Mark, What};
use super::{Recordable, Said, Tape};
use crate::limits;
use crate::machine::{Close, Input, Output, Reason};
use crate::record::Record;
use crate::time::Now;

/// Where a recording goes. Nothing here waits: what cannot be taken now is refused.
pub trait Spool: Send {
    /// More of the file. `false`: no more is taken, and the recording is of no use.
    fn write(&mut self, bytes: Vec<u8>) -> bool;
    /// Nothing more comes.
    fn end(&mut self, told: Told);
}

/// What is known of a session at the end of its recording.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Told {
    /// What its answers said: the last account, and whether anything was refused.
    pub said: Said,
    /// Why the session ended; `None`: the recording ended earlier.
    pub why: Option<Reason>,
}

/// Records one session.
pub struct Recorder<M: Recordable> {
    spool: Box<dyn Spool>,
    out: Vec<u8>,
    /// Octets of the file, and of what is held.
    size: usize,
    inputs: Check,
    outputs: Outputs,
    /// Inputs that cannot be written yet: something in them has not been judged.
    held: VecDeque<Held>,
    /// Octets received over all, and how many of them are judged.
    received: u64,
    judged: u64,
    said: Said,
    over: bool,
    machine: core::marker::PhantomData<fn() -> M>,
}

/// An input as [`file::put_input`] writes it.
struct Held {
    input: Vec<u8>,
    outputs: Option<u64>,
    /// The number of the first of its received octets, and of those behind its last.
    from: u64,
    until: u64,
}

/// Octets handed to the spool at once.
const PIECE: usize = 64 * 1024;

impl<M: Recordable> Recorder<M> {
    /// Begins a machine and its recording. `program`: the one that records.
    pub fn begin(program: &str, now: Now, new: M::New, spool: Box<dyn Spool>) -> (M, Recorder<M>) {
        let header = Header {
            program: program.to_string(),
            capsule: false,
            kind: M::KIND,
            now,
            new: new.to_record(),
        };
        Recorder::with(&header, new, spool)
    }

    /// The same with a header of one's own.
    pub fn with(header: &Header, new: M::New, spool: Box<dyn Spool>) -> (M, Recorder<M>) {
        let mut recorder = Recorder {
            spool,
            out: Vec::new(),
            size: 0,
            inputs: Check::default(),
            outputs: Outputs::default(),
            held: VecDeque::new(),
            received: 0,
            judged: 0,
            said: Said::default(),
            over: false,
            machine: core::marker::PhantomData,
        };
        header.write(&mut recorder.out);
        recorder.inputs.update(&header.new);
        recorder.outputs.secrets = M::secrets(&new);
        let mut input = Vec::new();
        file::put_begin(header.now, &mut input);
        recorder.hold(input, 0);
        let mut machine = M::begin(new);
        machine.marks().switch_on();
        (machine, recorder)
    }

    fn hold(&mut self, input: Vec<u8>, octets: usize) {
        self.size += input.len() + 26;
        let from = self.received;
        self.received += octets as u64;
        self.held.push_back(Held {
            input,
            outputs: None,
            from,
            until: self.received,
        });
        if self.size > limits::TRACE_SESSION {
            self.held.pop_back();
            self.cut("it has grown too large");
        }
    }

    /// The machine rests: what it has judged until now can be written.
    fn settle(&mut self, machine: &mut M) {
        for mark in machine.marks().take() {
            if let Err(why) = self.apply::<M>(&mark) {
                return self.cut(why);
            }
        }
        self.judged = self.received - machine.backlog() as u64;
        while self.held.front().is_some_and(|held| held.until <= self.judged) {
            self.write_first();
        }
    }

    fn apply<R: Recordable>(&mut self, mark: &Mark) -> Result<(), &'static str> {
        match &mark.what {
            What::Shown(shown) => self.replace(mark.at, shown.len() as u64, |run, range| run.copy_from_slice(&shown[range])),
            What::Unheard(len) => {
                let unheard = R::unheard(&self.gather(mark.at, *len));
                self.replace(mark.at, *len, |run, range| run.copy_from_slice(&unheard[range]));
            }
            What::Message(_) => {}
            What::Cut(why) => return Err(why),
        }
        Ok(())
    }

    /// Changes a run of the held octets.
    fn replace(&mut self, at: u64, len: u64, mut change: impl FnMut(&mut [u8], core::ops::Range<usize>)) {
        for held in &mut self.held {
            let (from, until) = (held.from.max(at), held.until.min(at + len));
            if from < until {
                let inner = |number: u64| file::RECEIVED_AT + (number - held.from) as usize;
                change(
                    &mut held.input[inner(from)..inner(until)],
                    (from - at) as usize..(until - at) as usize,
                );
            }
        }
    }

    /// A run of the held octets.
    fn gather(&mut self, at: u64, len: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        self.replace(at, len, |run, _| bytes.extend_from_slice(run));
        bytes
    }

    fn write_first(&mut self) {
        let Some(held) = self.held.pop_front() else { return };
        self.inputs.update(&held.input);
        file::put_entry(&held.input, self.inputs.value(), held.outputs, &mut self.out);
        if self.out.len() >= PIECE {
            self.hand_over();
        }
    }

    fn hand_over(&mut self) {
        let bytes = core::mem::take(&mut self.out);
        if !self.spool.write(bytes) {
            self.over = true;
            self.held = VecDeque::new();
            self.spool.end(Told::default());
        }
    }

    /// The session goes on; its recording ends before what is held.
    fn cut(&mut self, why: &str) {
        // What came before the first octet that is not judged is as good as written.
        while self
            .held
            .front()
            .is_some_and(|held| held.until <= self.judged && held.outputs.is_some())
        {
            self.write_first();
        }
        self.held = VecDeque::new();
        self.end(&Ending::Cut(why.to_string()), None);
    }

    fn end(&mut self, ending: &Ending, why: Option<Reason>) {
        if self.over {
            return;
        }
        ending.write(&mut self.out);
        self.hand_over();
        if !self.over {
            self.over = true;
            let said = core::mem::take(&mut self.said);
            self.spool.end(Told { said, why });
        }
    }

    /// What is held and was never judged is written without what may be secret in it.
    fn flush_unheard(&mut self) {
        let len = self.received - self.judged;
        let unheard = M::unheard(&self.gather(self.judged, len));
        self.replace(self.judged, len, |run, range| run.copy_from_slice(&unheard[range]));
        while !self.held.is_empty() {
            self.write_first();
        }
    }
}

impl<M: Recordable> Tape<M> for Recorder<M> {
    fn input(&mut self, machine: &mut M, now: Now, input: &Input<'_, M::Value, M::Notice>) {
        if self.over {
            return;
        }
        self.settle(machine);
        if self.over {
            return;
        }
        let mut octets = 0;
        match input {
            Input::Received(bytes) => octets = bytes.len(),
            Input::Sent(octets) => self.outputs.sent(*octets),
            Input::Answer(answer) => {
                let Said { account, refused } = M::said(&answer.value);
                self.said.account = account.or(self.said.account.take());
                self.said.refused |= refused;
                self.outputs.next = M::hides(&answer.value);
            }
            Input::Eof | Input::Body(_) | Input::Notice(_) | Input::Tick => {}
        }
        let mut encoded = Vec::new();
        file::put_input(now, input, &mut encoded);
        self.hold(encoded, octets);
    }

    fn output(&mut self, output: &Output<'_, M::Ask>) {
        if self.over {
            return;
        }
        self.outputs.see(output);
        match output {
            Output::Ask(ask) if M::open(ask) => self.outputs.secrets = Vec::new(),
            Output::Ask(_) | Output::Body(_) => {}
            Output::Wait(_) | Output::Close(_) => {
                let value = self.outputs.value();
                if let Some(last) = self.held.back_mut() {
                    last.outputs = Some(value);
                }
            }
        }
    }

    fn close(&mut self, machine: &mut M, close: &Close) {
        if self.over {
            return;
        }
        self.settle(machine);
        if self.over {
            return;
        }
        self.flush_unheard();
        self.end(&Ending::Closed(reason(close.why)), Some(close.why));
    }
}

/// A session that is dropped, or whose machine panicked: then its last input has come to no rest.
impl<M: Recordable> Drop for Recorder<M> {
    fn drop(&mut self) {
        if !self.over {
            self.flush_unheard();
            self.end(&Ending::Cut("the session was dropped".to_string()), None);
        }
    }
}

/// Why a session ended, in words.
pub fn reason(why: Reason) -> String {
    alloc::format!("{why:?}")
}
