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
use super::{Ending, Kind, Recordable};
use crate::machine::{BodyError, Input, Output, SlotId};
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
    /// What is kept from answer to answer: scripts have names of their own for what a recording names by ids.
    type Names;

    /// The `SET:` lines for a session that began so, what the runner of its scripts makes of them, and the names to begin with.
    ///
    /// # Errors
    /// What a script has no words for.
    fn settings(new: &Self::New) -> Result<(Vec<String>, Self::New, Self::Names), String>;
    /// An answer as [`ScriptForm::answer_line`] reads it.
    ///
    /// # Errors
    /// What a script has no words for.
    fn answer_text(names: &mut Self::Names, value: &Self::Value) -> Result<String, String>;
    /// A notice as [`ScriptForm::notice_line`] reads it.
    ///
    /// # Errors
    /// What a script has no words for.
    fn notice_text(names: &mut Self::Names, notice: &Self::Notice) -> Result<String, String>;
}

/// Writes a recording as a script. What the session says and asks otherwise than it was recorded, for a script has a clock, a host
/// name and a peer of its own, is told in comments at its head.
///
/// # Errors
/// Why it cannot be one: where it stands, and what a script has no words for.
pub fn script_any(file: &[u8]) -> Result<String, String> {
    match Trace::open(file).map_err(|error| String::from(error.0))?.header.kind {
        Kind::SmtpServer => script::<crate::smtp::server::Session>(file),
        Kind::SmtpClient => script::<crate::smtp::client::Session>(file),
        Kind::ImapServer => script::<crate::imap::server::Session>(file),
    }
}

/// What is fed and not yet written: neighbouring bytes from the peer are one line or more.
struct Writer<M: Scripted> {
    text: String,
    machine: M,
    names: M::Names,
    now: Now,
    said: Vec<u8>,
    sent: Vec<u8>,
    body: Vec<u8>,
    asked: Vec<String>,
    /// As the runner holds them: those that expect no answer too.
    open: Vec<(String, M::Ask)>,
    inbound: Vec<u8>,
    /// The peer has not read anything yet.
    stalled: bool,
    reads: bool,
    wants_body: bool,
    until: Option<Instant>,
    closed: bool,
    /// The first line that cannot stand in a script.
    unsaid: Option<String>,
    /// All that this machine and the recorded one said and asked.
    here: Told,
    recorded: Told,
}

#[derive(Default)]
struct Told {
    sent: Vec<u8>,
    asked: Vec<String>,
}

fn script<M: Scripted>(file: &[u8]) -> Result<String, String> {
    let malformed = |error: crate::record::Malformed| String::from(error.0);
    let mut trace = Trace::open(file).map_err(malformed)?;
    let new = M::New::from_record(&trace.header.new).map_err(malformed)?;
    let (settings, scripted, names) = M::settings(&new)?;
    let mut recorded = Player::<M>::begin(&trace.header.new, false).map_err(malformed)?;
    let mut order: Vec<SlotId> = Vec::new();
    let mut writer = Writer::<M>::begin(M::begin(scripted), names);
    for line in settings {
        writer.line("SET", &line);
    }
    let (mut number, mut greets) = (0, false);
    while let Some(frame) = trace.next_frame().map_err(malformed)? {
        let payload = match frame {
            Frame::Entry(payload) => payload,
            Frame::Ending(Ending::Closed(_)) => break,
            Frame::Ending(Ending::Cut(why)) => {
                writer.write();
                let _ = writeln!(writer.text, "# The recording ends here: {why}");
                break;
            }
        };
        let (entry, _) = Entry::<M::Value, M::Notice>::read(payload).map_err(malformed)?;
        let place = match &entry.input {
            Stored::Answer(answer) => order.iter().position(|slot| *slot == answer.id),
            _ => None,
        };
        if let Some(place) = place {
            order.remove(place);
        }
        if number == 1 {
            writer.start(greets && matches!(entry.input, Stored::Received(_)));
        }
        let taken = writer.take(&entry.input, place);
        taken.map_err(|why| format!("entry {number}: {why}"))?;
        recorded.feed(entry.now, entry.input)?;
        recorded.rest(|seen| match seen {
            Seen::Ask(ask) => {
                order.extend(M::expects(&ask).map(|(slot, _)| slot));
                writer.recorded.asked.push(M::ask_line(&ask));
            }
            Seen::Send(bytes) => writer.recorded.sent.extend_from_slice(&bytes),
            Seen::Rest(wait) => greets |= !wait.send.is_empty(),
            Seen::Body(_) | Seen::Close(_) => {}
        });
        number += 1;
    }
    if number == 1 {
        writer.start(false);
    }
    writer.write();
    if let Some(unsaid) = writer.unsaid {
        return Err(unsaid);
    }
    Ok(format!("# Made of a recording.\n{}{}", writer.differences(), writer.text))
}

impl<M: Scripted> Writer<M> {
    fn begin(machine: M, names: M::Names) -> Writer<M> {
        Writer {
            text: String::new(),
            machine,
            names,
            now: BEGIN,
            said: Vec::new(),
            sent: Vec::new(),
            body: Vec::new(),
            asked: Vec::new(),
            open: Vec::new(),
            inbound: Vec::new(),
            stalled: false,
            reads: false,
            wants_body: false,
            until: None,
            closed: false,
            unsaid: None,
            here: Told::default(),
            recorded: Told::default(),
        }
    }

    /// Lets the session greet; not to a peer that speaks before it reads.
    fn start(&mut self, early: bool) {
        self.stalled = early;
        if self.stalled {
            self.line("STALL", "");
        }
        self.pump();
    }

    /// Takes one input of the recording; `place`: which open question it answers, of those that expect one.
    fn take(&mut self, input: &Stored<M::Value, M::Notice>, place: Option<usize>) -> Result<(), String> {
        if self.closed && !matches!(input, Stored::Begin | Stored::Sent(_)) {
            return Err("in a script the session is over here".into());
        }
        match input {
            Stored::Begin => {}
            Stored::Sent(_) => self.resume(),
            Stored::Received(bytes) => self.receive(bytes),
            Stored::Answer(answer) => {
                let text = M::answer_text(&mut self.names, &answer.value)?;
                self.answer(place.ok_or("an answer to no question")?, &text)?;
            }
            Stored::Eof => {
                self.write();
                self.line("EOF", "");
                self.feed(Input::Eof);
            }
            Stored::Notice(notice) => {
                let text = M::notice_text(&mut self.names, notice)?;
                self.write();
                self.line("NOTE", &text);
                self.feed(Input::Notice(M::notice_line(&text)?));
            }
            Stored::Tick => self.tick(),
            Stored::Body(_) if !self.wants_body => return Err("in a script no body is wanted here".into()),
            Stored::Body(chunk) => self.chunk(chunk.as_deref().map_err(|error| *error)),
        }
        Ok(())
    }

    fn line(&mut self, keyword: &str, text: &str) {
        if self.unsaid.is_none() && text.contains(char::is_control) {
            self.unsaid = Some(format!("scripts have no words for {text:?}"));
        }
        let separator = if text.is_empty() { "" } else { " " };
        // Writing to a text does not fail.
        let _ = writeln!(self.text, "{keyword}:{separator}{text}");
    }

    fn resume(&mut self) {
        if core::mem::take(&mut self.stalled) {
            self.write();
            self.line("RESUME", "");
            self.pump();
        }
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
        let expecting = |(_, ask): &&(String, M::Ask)| M::expects(ask).is_some();
        let line = self.open.iter().filter(expecting).nth(place).map(|(line, _)| line.clone());
        let line = line.ok_or("in a script its questions come in another order")?;
        let index = self.open.iter().position(|(known, _)| *known == line).unwrap_or_default();
        // A name is any part of the line, up to what ends a keyword.
        let name = line.split([':', '>']).next().unwrap_or_default();
        let named = |name: &str| self.open.iter().position(|(line, _)| line.contains(name)) == Some(index);
        let keyword = match line.split(' ').next().filter(|word| named(word)) {
            _ if index == 0 => "ANS".into(),
            Some(word) => format!("ANS {word}"),
            None if named(name) => format!("ANS {name}"),
            None => return Err(format!("a script cannot tell two open questions apart: {line}")),
        };
        self.write();
        let (_, ask) = self.open.remove(index);
        self.line(&keyword, text);
        if let Some(answer) = M::answer_line(ask, text)? {
            self.feed(Input::Answer(answer));
        }
        Ok(())
    }

    /// A part of a body, line by line under its keyword; or why there is none.
    fn chunk(&mut self, chunk: Result<&[u8], BodyError>) {
        self.write();
        match chunk {
            Ok(bytes) => {
                let _ = write!(self.text, "BODYIN>");
                for line in bytes.split_inclusive(|byte| *byte == b'\n') {
                    // White space at the start of a continued line is not its own.
                    let (start, rest) = match line {
                        [blank @ (b' ' | b'\t'), rest @ ..] => (format!("\\x{blank:02x}"), rest),
                        _ => (String::new(), line),
                    };
                    let more = if line.as_ptr() == bytes.as_ptr() { " " } else { "\n  " };
                    let _ = write!(self.text, "{more}{start}{}", escaped(rest));
                }
                self.text.push('\n');
            }
            Err(error) => self.line(
                "BODYERR",
                match error {
                    BodyError::Missing => "missing",
                    BodyError::Corrupt => "corrupt",
                    BodyError::Unreadable => "unreadable",
                },
            ),
        }
        self.feed(Input::Body(chunk));
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
                    self.here.asked.push(line.clone());
                    self.open.push((line, ask));
                    continue;
                }
                Output::Close(close) => {
                    self.closed = true;
                    self.asked.push(format!("CLOSE {:?}", close.why));
                    return;
                }
                Output::Wait(wait) => {
                    if !self.stalled {
                        self.sent.extend_from_slice(wait.send);
                        self.here.sent.extend_from_slice(wait.send);
                    }
                    self.reads = wait.read;
                    self.wants_body = wait.body;
                    self.until = wait.until.map(|until| until.at);
                    wait.send.len()
                }
            };
            if send > 0 && !self.stalled {
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
            let _ = writeln!(self.text, "{keyword}{mark}{separator}{}", escaped(line));
        }
    }

    /// What the session of the script says and asks otherwise than the recorded one, as comments.
    fn differences(&self) -> String {
        const SHOWN: usize = 10;
        let lines = |told: &Told| -> Vec<String> {
            let sent = told.sent.split_inclusive(|byte| *byte == b'\n');
            let sent = sent.map(|line| format!("S> {}", escaped(line)));
            sent.chain(told.asked.iter().map(|line| format!("ASK: {line}"))).collect()
        };
        let (recorded, here) = (lines(&self.recorded), lines(&self.here));
        let differ: Vec<_> = recorded
            .iter()
            .zip(&here)
            .filter(|(recorded, here)| recorded != here)
            .collect();
        let mut text = String::new();
        if !differ.is_empty() || recorded.len() != here.len() {
            let _ = writeln!(text, "# Not as it was recorded: {} of {} lines.", differ.len(), here.len());
        }
        for (recorded, here) in differ.iter().take(SHOWN) {
            let _ = writeln!(text, "#   recorded  {recorded}\n#   here      {here}");
        }
        if differ.len() > SHOWN {
            let _ = writeln!(text, "#   and so on");
        }
        if recorded.len() != here.len() {
            let _ = writeln!(text, "#   the recorded session has {} lines", recorded.len());
        }
        text
    }
}

fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        // Writing to a text does not fail.
        let _ = match byte {
            b'\\' => write!(text, "\\\\"),
            b'\r' => write!(text, "\\r"),
            b'\n' => write!(text, "\\n"),
            b' '..=b'~' => write!(text, "{}", char::from(*byte)),
            _ => write!(text, "\\x{byte:02x}"),
        };
    }
    text
}
