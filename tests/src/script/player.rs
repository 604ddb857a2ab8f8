//! Playing a script against a machine: the driver's part, over virtual time.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use pillarbox_core::machine::{Deadline, Input, Output};
use pillarbox_core::script::ScriptForm;
use pillarbox_core::time::{Instant, Now, UnixTime};

use super::grammar::{Action, Script, Settings};

/// When every script begins: 24 November 2026, 09:00 UTC.
const BEGIN: UnixTime = UnixTime(1_795_510_800_000);

/// How the peer's bytes are cut up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Split {
    /// Each group of C lines in one piece.
    Whole,
    /// One cut, so many bytes into everything the peer sends.
    At(usize),
    /// Byte by byte, and sent byte by byte.
    Bytes,
}

impl Split {
    /// Every split of so many bytes: at most 1 000 cuts, evenly spread.
    pub fn all(bytes: usize) -> Vec<Split> {
        let step = (bytes / 1000).max(1);
        let cuts = (1..bytes).step_by(step).map(Split::At);
        [Split::Whole, Split::Bytes].into_iter().chain(cuts).collect()
    }
}

/// Plays a script once.
///
/// # Errors
/// Where it failed, the transcript so far, and the difference.
pub fn play<M: ScriptForm>(script: &Script, split: Split, make: &impl Fn(Now, &Settings) -> M) -> Result<(), String> {
    let now = Now {
        instant: Instant(0),
        unix: BEGIN,
    };
    let mut player = Player {
        machine: make(now, &script.settings),
        now,
        split,
        inbound: VecDeque::new(),
        delivered: 0,
        sent: Vec::new(),
        body: Vec::new(),
        asks: VecDeque::new(),
        open: VecDeque::new(),
        stalled: script.lines.first().is_some_and(|line| line.action == Action::Stall),
        rest: Rest::default(),
        closed: None,
        transcript: String::new(),
    };
    let fail = |player: &Player<M>, number: usize, what: String| {
        let (name, transcript) = (&script.name, &player.transcript);
        format!("{name}:{number} ({split:?}): {what}\n--- the transcript so far ---\n{transcript}---")
    };
    player.pump();
    for line in &script.lines {
        player.line(&line.action).map_err(|what| fail(&player, line.number, what))?;
    }
    player
        .nothing_overlooked()
        .map_err(|what| fail(&player, script.lines.last().map_or(0, |line| line.number), what))
}

struct Player<M: ScriptForm> {
    machine: M,
    now: Now,
    split: Split,
    /// From the peer, not yet read.
    inbound: VecDeque<u8>,
    /// How much was read, over all.
    delivered: usize,
    sent: Vec<u8>,
    body: Vec<u8>,
    /// Asked, not yet named by an ASK line.
    asks: VecDeque<String>,
    /// Asked, not yet answered.
    open: VecDeque<(String, M::Ask)>,
    stalled: bool,
    rest: Rest,
    closed: Option<String>,
    transcript: String,
}

/// The last `Wait`, without what it lends.
#[derive(Default)]
struct Rest {
    send: usize,
    read: bool,
    body: bool,
    until: Option<Deadline>,
}

impl<M: ScriptForm> Player<M> {
    fn line(&mut self, action: &Action) -> Result<(), String> {
        match action {
            Action::Sent(want) => take_front(&mut self.sent, want).map_err(|got| difference("sent", &show(want), &show(&got))),
            Action::Body(want) => take_front(&mut self.body, want).map_err(|got| difference("body", &show(want), &show(&got))),
            Action::AnyBody => {
                self.body.clear();
                Ok(())
            }
            Action::Ask(want) => match self.asks.pop_front() {
                Some(got) if got == *want => Ok(()),
                got => Err(difference("asked", want, got.as_deref().unwrap_or("nothing"))),
            },
            Action::Close(want) => match &self.closed {
                Some(got) if got == want => Ok(()),
                got => Err(difference("closed", want, got.as_deref().unwrap_or("still open"))),
            },
            Action::Want { read, body } => {
                let got = (self.rest.read, self.rest.body, self.closed.is_none());
                let want = (*read, *body, true);
                same("(read, body, open)", want, got)
            }
            Action::Until(want) => {
                let got = self
                    .rest
                    .until
                    .map(|until| (until.at.since(self.now.instant), until.why.to_string()));
                same("until", want, &got)
            }
            Action::Receive(bytes) => {
                self.begin_feeding()?;
                self.inbound.extend(bytes);
                self.pump();
                Ok(())
            }
            Action::Answer { name, text } => {
                self.begin_feeding()?;
                let matches = |line: &str| name.as_ref().is_none_or(|name| line.contains(name.as_str()));
                let place = self
                    .open
                    .iter()
                    .position(|(line, _)| matches(line))
                    .ok_or("no such ask is open")?;
                let (_, ask) = self.open.remove(place).ok_or("no such ask is open")?;
                if let Some(answer) = M::answer_line(ask, text)? {
                    self.feed(Input::Answer(answer));
                    self.pump();
                }
                Ok(())
            }
            Action::BodyIn(bytes) => {
                self.begin_feeding()?;
                same("the machine wants a body", true, self.rest.body)?;
                self.feed(Input::Body(Ok(bytes)));
                self.pump();
                Ok(())
            }
            Action::BodyError(error) => {
                self.begin_feeding()?;
                same("the machine wants a body", true, self.rest.body)?;
                self.feed(Input::Body(Err(*error)));
                self.pump();
                Ok(())
            }
            Action::Notice(text) => {
                self.begin_feeding()?;
                self.feed(Input::Notice(M::notice_line(text)?));
                self.pump();
                Ok(())
            }
            Action::Eof => {
                self.begin_feeding()?;
                same("all of the peer's bytes were read", true, self.inbound.is_empty())?;
                self.feed(Input::Eof);
                self.pump();
                Ok(())
            }
            Action::Stall => {
                self.stalled = true;
                Ok(())
            }
            Action::Resume => {
                self.stalled = false;
                self.pump();
                Ok(())
            }
            Action::Time(passes) => {
                self.begin_feeding()?;
                self.pass(*passes)
            }
        }
    }

    /// Lets time pass, with ticks as they come due.
    fn pass(&mut self, time: Duration) -> Result<(), String> {
        let end = self.now.instant.after(time);
        while let Some(until) = self.rest.until.filter(|until| until.at <= end && self.closed.is_none()) {
            self.clock_at(until.at.max(self.now.instant));
            self.feed(Input::Tick);
            self.pump();
            if self.closed.is_none() && self.rest.until.is_some_and(|next| next.at <= until.at) {
                return Err(format!(
                    "it spins: after a tick at {:?} it waits until {:?}",
                    until, self.rest.until
                ));
            }
        }
        self.clock_at(end);
        Ok(())
    }

    fn clock_at(&mut self, instant: Instant) {
        self.now.instant = instant;
        let passed = i64::try_from(instant.0 / 1_000_000).expect("a script is short");
        self.now.unix = UnixTime(BEGIN.0 + passed);
    }

    fn begin_feeding(&mut self) -> Result<(), String> {
        if let Some(reason) = &self.closed {
            return Err(format!("the machine has closed: {reason}"));
        }
        self.nothing_overlooked()
    }

    fn nothing_overlooked(&self) -> Result<(), String> {
        if !self.sent.is_empty() {
            return Err(difference("sent", "nothing more", &show(&self.sent)));
        }
        if !self.body.is_empty() {
            return Err(difference("body", "nothing more", &show(&self.body)));
        }
        match self.asks.front() {
            Some(ask) => Err(difference("asked", "nothing more", ask)),
            None => Ok(()),
        }
    }

    fn feed(&mut self, input: Input<'_, M::Value, M::Notice>) {
        self.machine.handle(self.now, input);
        self.poll();
    }

    /// Polls until rest.
    fn poll(&mut self) {
        loop {
            match self.machine.poll() {
                Output::Body(part) => {
                    self.body.extend_from_slice(part);
                    let _ = writeln!(self.transcript, "BODY> {}", show(part));
                }
                Output::Ask(ask) => {
                    let line = M::ask_line(&ask);
                    let _ = writeln!(self.transcript, "ASK: {line}");
                    self.asks.push_back(line.clone());
                    self.open.push_back((line, ask));
                }
                Output::Wait(wait) => {
                    self.rest = Rest {
                        send: wait.send.len(),
                        read: wait.read,
                        body: wait.body,
                        until: wait.until,
                    };
                    return;
                }
                Output::Close(close) => {
                    let reason = format!("{:?}", close.why);
                    let _ = writeln!(self.transcript, "CLOSE: {reason}");
                    self.rest = Rest::default();
                    self.closed = Some(reason);
                    return;
                }
            }
        }
    }

    /// Sends and receives until nothing moves.
    fn pump(&mut self) {
        self.poll();
        while self.closed.is_none() {
            if self.rest.send > 0 && !self.stalled {
                let n = if self.split == Split::Bytes { 1 } else { self.rest.send };
                if let Output::Wait(wait) = self.machine.poll() {
                    let _ = writeln!(self.transcript, "S> {}", show(&wait.send[..n]));
                    self.sent.extend_from_slice(&wait.send[..n]);
                }
                self.feed(Input::Sent(n));
            } else if self.rest.read && !self.inbound.is_empty() {
                let n = match self.split {
                    Split::Bytes => 1,
                    Split::At(cut) if cut > self.delivered => self.inbound.len().min(cut - self.delivered),
                    Split::Whole | Split::At(_) => self.inbound.len(),
                };
                let piece: Vec<u8> = self.inbound.drain(..n).collect();
                self.delivered += n;
                let _ = writeln!(self.transcript, "C> {}", show(&piece));
                self.feed(Input::Received(&piece));
            } else {
                return;
            }
        }
    }
}

/// Takes `want` from the front, or says what is there instead: up to the end of the line.
fn take_front(bytes: &mut Vec<u8>, want: &[u8]) -> Result<(), Vec<u8>> {
    if bytes.starts_with(want) {
        bytes.drain(..want.len());
        return Ok(());
    }
    let end = bytes
        .iter()
        .position(|byte| *byte == b'\n')
        .map_or(bytes.len(), |end| end + 1);
    Err(bytes[..end].to_vec())
}

fn same<T: PartialEq<U> + std::fmt::Debug, U: std::fmt::Debug>(what: &str, want: T, got: U) -> Result<(), String> {
    if want == got {
        Ok(())
    } else {
        Err(difference(what, &format!("{want:?}"), &format!("{got:?}")))
    }
}

fn difference(what: &str, want: &str, got: &str) -> String {
    format!("{what}\n   want {want}\n   got  {got}")
}

/// Bytes in the form in which scripts write them.
fn show(bytes: &[u8]) -> String {
    let shown = bytes.iter().take(2000).map(|byte| match byte {
        b'\\' => "\\\\".into(),
        b'\r' => "\\r".into(),
        b'\n' => "\\n".into(),
        b' '..=b'~' => char::from(*byte).to_string(),
        _ => format!("\\x{byte:02x}"),
    });
    shown.collect()
}
