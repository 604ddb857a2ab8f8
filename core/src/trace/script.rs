//! A recording as a test script, in the form that [`crate::script`] describes.
//!
//! The script is not the recording: its machine has the settings, the clock and the name that every script has, and its replies
//! are those that this program gives. So a session that somebody sent in becomes a test that stays.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt::Write as _;

use super::file::{Entry, Frame, Stored, Trace};
use super::player::{Player, Seen};
use super::{Kind, Recordable};
use crate::machine::{Input, Output, SlotId};
use crate::record::Record;
use crate::script::ScriptForm;
use crate::time::{Instant, Now, UnixTime};

/// When every script begins: 24 November 2026, 09:00 UTC.
pub const BEGIN: Now = Now {
    instant: Instant(0),
    unix: UnixTime(1_795_510_800_000),
};

/// A machine whose recordings can be turned into scripts.
pub trait Scripted: Recordable + ScriptForm {
    /// The `SET:` lines for a session that began so, and what the runner of its scripts makes of them.
    fn settings(new: &Self::New) -> (Vec<String>, Self::New);
    /// An answer as [`ScriptForm::answer_line`] reads it; `None`: there are no words for it.
    fn answer_text(value: &Self::Value) -> Option<String>;
}

/// Writes a recording as a script.
///
/// # Errors
/// Why it cannot be one.
pub fn script_any(file: &[u8]) -> Result<String, String> {
    match Trace::open(file).map_err(|error| String::from(error.0))?.header.kind {
        Kind::SmtpServer => script::<crate::smtp::server::Session>(file),
        kind @ (Kind::SmtpClient | Kind::ImapServer) => {
            Err(format!("recordings of {} cannot be turned into scripts yet", kind.name()))
        }
    }
}

/// What is fed and not yet written: neighbouring bytes from the peer are one line or more.
struct Writer<M: Scripted> {
    text: String,
    machine: M,
    now: Now,
    said: Vec<u8>,
    sent: Vec<u8>,
    body: Vec<u8>,
    asked: Vec<String>,
    open: Vec<(String, M::Ask)>,
    inbound: Vec<u8>,
    reads: bool,
    until: Option<Instant>,
    closed: bool,
}

fn script<M: Scripted>(file: &[u8]) -> Result<String, String> {
    let malformed = |error: crate::record::Malformed| String::from(error.0);
    let mut trace = Trace::open(file).map_err(malformed)?;
    let new = M::New::from_record(&trace.header.new).map_err(malformed)?;
    let (settings, scripted) = M::settings(&new);
    let mut recorded = Player::<M>::begin(&trace.header.new, false).map_err(malformed)?;
    let mut order: Vec<SlotId> = Vec::new();
    let mut writer = Writer::<M> {
        text: String::from("# Made of a recording.\n"),
        machine: M::begin(scripted),
        now: BEGIN,
        said: Vec::new(),
        sent: Vec::new(),
        body: Vec::new(),
        asked: Vec::new(),
        open: Vec::new(),
        inbound: Vec::new(),
        reads: false,
        until: None,
        closed: false,
    };
    for line in settings {
        writer.line("SET", &line);
    }
    writer.pump();
    while let Some(frame) = trace.next_frame().map_err(malformed)? {
        let Frame::Entry(payload) = frame else { break };
        let (entry, _) = Entry::<M::Value, M::Notice>::read(payload).map_err(malformed)?;
        match &entry.input {
            Stored::Begin | Stored::Sent(_) => {}
            Stored::Received(bytes) => writer.receive(bytes),
            Stored::Answer(answer) => {
                let place = order
                    .iter()
                    .position(|slot| *slot == answer.id)
                    .ok_or("an answer to no question")?;
                order.remove(place);
                let text = M::answer_text(&answer.value).ok_or("scripts have no words for one of its answers")?;
                writer.answer(place, &text)?;
            }
            Stored::Eof => {
                writer.write();
                writer.line("EOF", "");
                writer.feed(Input::Eof);
            }
            Stored::Notice(notice) => {
                let text = format!("{notice:?}");
                writer.write();
                writer.line("NOTE", &text);
                writer.feed(Input::Notice(M::notice_line(&text)?));
            }
            Stored::Tick => writer.tick(),
            Stored::Body(_) => return Err("scripts of bodies are not made yet".into()),
        }
        recorded.feed(entry.now, entry.input)?;
        recorded.rest(|seen| {
            if let Seen::Ask(ask) = seen {
                order.extend(M::expects(&ask).map(|(slot, _)| slot));
            }
        });
    }
    writer.write();
    Ok(writer.text)
}

impl<M: Scripted> Writer<M> {
    fn line(&mut self, keyword: &str, text: &str) {
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "{keyword}:{separator}{text}");
    }

    fn receive(&mut self, bytes: &[u8]) {
        if !(self.sent.is_empty() && self.body.is_empty() && self.asked.is_empty()) {
            self.write();
        }
        self.said.extend_from_slice(bytes);
        self.inbound.extend_from_slice(bytes);
        self.pump();
    }

    fn answer(&mut self, place: usize, text: &str) -> Result<(), String> {
        if place >= self.open.len() {
            return Err("in a script its questions come in another order".into());
        }
        self.write();
        let (line, ask) = self.open.remove(place);
        let keyword = if place == 0 { "ANS".into() } else { format!("ANS {line}") };
        self.line(&keyword, text);
        if let Some(answer) = M::answer_line(ask, text)? {
            self.feed(Input::Answer(answer));
        }
        Ok(())
    }

    fn tick(&mut self) {
        let Some(until) = self.until else { return };
        self.write();
        let millis = until.since(self.now.instant).as_nanos().div_ceil(1_000_000);
        self.line("TIME", &format!("{millis}ms"));
        let passed = u64::try_from(millis).unwrap_or(u64::MAX);
        self.now.instant = self.now.instant.after(core::time::Duration::from_millis(passed));
        self.now.unix.0 = BEGIN.unix.0 + i64::try_from(self.now.instant.0 / 1_000_000).unwrap_or(i64::MAX);
        self.feed(Input::Tick);
    }

    fn feed(&mut self, input: Input<'_, M::Value, M::Notice>) {
        if !self.closed {
            self.machine.handle(self.now, input);
            self.pump();
        }
    }

    /// Sends and receives until nothing moves.
    fn pump(&mut self) {
        while !self.closed {
            let send = match self.machine.poll() {
                Output::Body(part) => {
                    self.body.extend_from_slice(part);
                    continue;
                }
                Output::Ask(ask) => {
                    let line = M::ask_line(&ask);
                    self.asked.push(line.clone());
                    if M::expects(&ask).is_some() {
                        self.open.push((line, ask));
                    }
                    continue;
                }
                Output::Close(close) => {
                    self.closed = true;
                    self.asked.push(format!("CLOSE {:?}", close.why));
                    return;
                }
                Output::Wait(wait) => {
                    self.sent.extend_from_slice(wait.send);
                    self.reads = wait.read;
                    self.until = wait.until.map(|until| until.at);
                    wait.send.len()
                }
            };
            if send > 0 {
                self.machine.handle(self.now, Input::Sent(send));
            } else if self.reads && !self.inbound.is_empty() {
                let bytes = core::mem::take(&mut self.inbound);
                self.machine.handle(self.now, Input::Received(&bytes));
            } else {
                return;
            }
        }
    }

    /// Writes what was said, and then what came of it.
    fn write(&mut self) {
        let (said, body, sent) = (
            core::mem::take(&mut self.said),
            core::mem::take(&mut self.body),
            core::mem::take(&mut self.sent),
        );
        self.bytes("C", &said);
        let asked = core::mem::take(&mut self.asked);
        let (closes, asks): (Vec<_>, Vec<_>) = asked.iter().partition(|line| line.starts_with("CLOSE "));
        self.bytes("BODY", &body);
        for ask in asks {
            self.line("ASK", ask);
        }
        self.bytes("S", &sent);
        for close in closes {
            self.line("CLOSE", &close["CLOSE ".len()..]);
        }
    }

    fn bytes(&mut self, keyword: &str, bytes: &[u8]) {
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            let (line, mark) = match line.strip_suffix(b"\r\n") {
                Some(line) => (line, ':'),
                None => (line, '>'),
            };
            let separator = if line.is_empty() { "" } else { " " };
            let text = line.iter().flat_map(|byte| match byte {
                b'\\' => "\\\\".chars().collect(),
                b'\r' => "\\r".chars().collect(),
                b'\n' => "\\n".chars().collect(),
                b' '..=b'~' => Vec::from([char::from(*byte)]),
                _ => format!("\\x{byte:02x}").chars().collect::<Vec<char>>(),
            });
            let text: String = text.collect();
            let _ = writeln!(self.text, "{keyword}{mark}{separator}{text}");
        }
    }
}
