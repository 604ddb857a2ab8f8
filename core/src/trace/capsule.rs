//! Capsules: a recording without names and texts that still takes the same path.
//!
//! Every input is redacted ([`super::redact`]), each text by what it is: the machine's own marks say which received bytes are a
//! message and which a login. Then the machine is run again, and at each rest compared with the original: the same asks, as many
//! octets sent and written, the same deadlines, the same end. So a capsule that is made is one that shows the same bug.
//!
//! Names that were replaced sort otherwise, and a list of mailboxes is put in order again ([`Recordable::arrange`]). A LIST with STATUS
//! goes through them one by one: of an account with mailboxes of its own naming it may take another path, and then there is no capsule.

use alloc::string::{String, ToString};
use alloc::vec::Vec;
use core::cell::RefCell;

use super::file::{self, Entry, Frame, Header, RECEIVED_AT, Stored, Trace};
use super::marks::What;
use super::player::{Player, Seen};
use super::redact::{Class, Redactor};
use super::{Ending, Kind, Recordable};
use crate::machine::Input;
use crate::record::{Malformed, Reader, Record};

/// Why no capsule was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NoCapsule {
    /// The recording cannot be read, or does not replay itself.
    Unsound(&'static str),
    /// Without its texts the session takes another path from this entry on.
    OtherPath(u64),
}

impl core::fmt::Display for NoCapsule {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            NoCapsule::Unsound(why) => write!(f, "the recording itself does not replay: {why}"),
            NoCapsule::OtherPath(entry) => write!(f, "without its texts the session takes another path at entry {entry}"),
        }
    }
}

impl From<Malformed> for NoCapsule {
    fn from(malformed: Malformed) -> NoCapsule {
        NoCapsule::Unsound(malformed.0)
    }
}

/// Makes a capsule of a recording. `key`: unpredictable; whoever has it could test guesses of the names.
///
/// # Errors
/// As [`NoCapsule`].
pub fn capsule_any(file: &[u8], key: [u8; 32]) -> Result<Vec<u8>, NoCapsule> {
    match Trace::open(file)?.header.kind {
        Kind::SmtpServer => capsule::<crate::smtp::server::Session>(file, key),
        Kind::SmtpClient => capsule::<crate::smtp::client::Session>(file, key),
        Kind::ImapServer => capsule::<crate::imap::server::Session>(file, key),
    }
}

/// One rest of a machine, without its texts.
#[derive(Debug, PartialEq, Eq)]
enum Step {
    Send(usize),
    Body(usize),
    /// Which ask.
    Ask(Option<u8>),
    Rest {
        offered: usize,
        read: bool,
        body: bool,
        until: Option<(u64, &'static str)>,
    },
    Close(String),
}

/// What the original recording came to.
struct Original {
    /// Each input's recorded form, and the steps behind it; none: the machine never came to rest.
    entries: Vec<(Vec<u8>, Option<Vec<Step>>)>,
    ending: Option<Ending>,
    /// All bytes from the peer, and of what class runs of them are; what is not named is the protocol's.
    received: Vec<u8>,
    classes: Vec<(usize, usize, Class)>,
    /// All octets of bodies.
    body: Vec<u8>,
}

fn capsule<M: Recordable>(file: &[u8], key: [u8; 32]) -> Result<Vec<u8>, NoCapsule> {
    let mut trace = Trace::open(file)?;
    let original = original::<M>(&mut trace)?;
    let mut redactor = Redactor::new(key);
    let header = Header {
        capsule: true,
        new: redact_texts(&trace.header.new, &mut redactor, |from| M::New::decode(from).map(drop))?,
        ..trace.header
    };
    let received = redact_received(&original, &mut redactor);
    let mut body = original.body;
    redactor.redact(&mut body, Class::Message);
    let mut out = Vec::new();
    header.write(&mut out);
    let mut player = Player::<M>::begin(&header.new, false)?;
    let (mut received, mut body) = (received.as_slice(), body.as_slice());
    for (number, (input, steps)) in (0..).zip(&original.entries) {
        let input = redact_input::<M>(input, &mut redactor, &mut received, &mut body)?;
        let inputs = player.count(&input);
        let mut outputs = None;
        if let Some(steps) = steps {
            // The hashes are only now known.
            let (entry, _) = Entry::<M::Value, M::Notice>::read(&[&input[..], &[0; 9]].concat())?;
            let fed = player.feed(entry.now, entry.input);
            let mut now = Vec::new();
            if fed.is_ok() {
                outputs = Some(player.rest(|seen| now.push(step(seen))));
            }
            if now != *steps {
                return Err(NoCapsule::OtherPath(number));
            }
        }
        file::put_entry(&input, inputs, outputs, &mut out);
    }
    if let Some(ending) = original.ending {
        ending.write(&mut out);
    }
    Ok(out)
}

fn original<M: Recordable>(trace: &mut Trace<'_>) -> Result<Original, NoCapsule> {
    let mut player = Player::<M>::begin(&trace.header.new, true)?;
    let mut original = Original {
        entries: Vec::new(),
        ending: None,
        received: Vec::new(),
        classes: Vec::new(),
        body: Vec::new(),
    };
    while let Some(frame) = trace.next_frame()? {
        let payload = match frame {
            Frame::Entry(payload) => payload,
            Frame::Ending(ending) => {
                original.ending = Some(ending);
                continue;
            }
        };
        let (entry, covered) = Entry::<M::Value, M::Notice>::read(payload)?;
        match &entry.input {
            Stored::Received(bytes) => original.received.extend_from_slice(bytes),
            Stored::Body(Ok(chunk)) => original.body.extend_from_slice(chunk),
            Stored::Begin
            | Stored::Eof
            | Stored::Sent(_)
            | Stored::Body(Err(_))
            | Stored::Answer(_)
            | Stored::Notice(_)
            | Stored::Tick => {}
        }
        if player.count(covered) != entry.inputs {
            return Err(NoCapsule::Unsound("an input was changed"));
        }
        let mut steps = None;
        if entry.outputs.is_some() {
            player.feed(entry.now, entry.input).map_err(NoCapsule::Unsound)?;
            let mut seen = Vec::new();
            if Some(player.rest(|output| seen.push(step(output)))) != entry.outputs {
                return Err(NoCapsule::Unsound("its output differs"));
            }
            steps = Some(seen);
            original.note(player.machine());
        }
        original.entries.push((covered.to_vec(), steps));
    }
    Ok(original)
}

impl Original {
    fn note<M: Recordable>(&mut self, machine: &mut M) {
        for mark in machine.marks().take() {
            let at = usize::try_from(mark.at).unwrap_or(usize::MAX);
            let (len, class) = match mark.what {
                What::Shown(shown) => (shown.len(), Class::Login),
                What::Message(len) => (usize::try_from(len).unwrap_or(usize::MAX), Class::Message),
                What::Unheard(_) | What::Cut(_) => continue,
            };
            match self.classes.last_mut() {
                // A message that came in pieces is one.
                Some((before, length, same)) if *same == class && *before + *length == at && class == Class::Message => {
                    *length += len;
                }
                Some(_) | None => self.classes.push((at, len, class)),
            }
        }
    }
}

fn step<A: Record>(seen: Seen<'_, A>) -> Step {
    match seen {
        Seen::Send(bytes) => Step::Send(bytes.len()),
        Seen::Body(part) => Step::Body(part.len()),
        Seen::Ask(ask) => Step::Ask(ask.to_record().first().copied()),
        Seen::Rest(wait) => Step::Rest {
            offered: wait.send.len(),
            read: wait.read,
            body: wait.body,
            until: wait.until.map(|until| (until.at.0, until.why)),
        },
        Seen::Close(close) => Step::Close(alloc::format!("{:?}", close.why).to_string()),
    }
}

/// The whole of what the peer said, so that a word in two pieces is one.
fn redact_received(original: &Original, redactor: &mut Redactor) -> Vec<u8> {
    let mut bytes = original.received.clone();
    let mut at = 0;
    for (from, len, class) in &original.classes {
        let from = (*from).clamp(at, bytes.len());
        let end = from.saturating_add(*len).min(bytes.len());
        redactor.redact(&mut bytes[at..from], Class::Protocol);
        redactor.redact(&mut bytes[from..end], *class);
        at = end;
    }
    redactor.redact(&mut bytes[at..], Class::Protocol);
    bytes
}

/// Redacts every text of a recorded form.
fn redact_texts(
    recorded: &[u8],
    redactor: &mut Redactor,
    read: impl FnOnce(&mut Reader<'_>) -> Result<(), Malformed>,
) -> Result<Vec<u8>, Malformed> {
    let texts = RefCell::new(Vec::new());
    read(&mut Reader::noting(recorded, &texts))?;
    let mut redacted = recorded.to_vec();
    for (from_end, len) in texts.into_inner() {
        let start = recorded.len() - from_end;
        redactor.redact(&mut redacted[start..start + len], Class::Answer);
    }
    Ok(redacted)
}

/// One input, with what was redacted of the streams.
fn redact_input<M: Recordable>(
    input: &[u8],
    redactor: &mut Redactor,
    received: &mut &[u8],
    body: &mut &[u8],
) -> Result<Vec<u8>, Malformed> {
    let whole = [input, &[0; 9]].concat();
    let (entry, _) = Entry::<M::Value, M::Notice>::read(&whole)?;
    let take = |stream: &mut &[u8]| {
        let (here, rest) = stream.split_at(input.len() - RECEIVED_AT);
        *stream = rest;
        [&input[..RECEIVED_AT], here].concat()
    };
    match entry.input {
        Stored::Received(_) => Ok(take(received)),
        Stored::Body(Ok(_)) => Ok(take(body)),
        Stored::Answer(_) | Stored::Notice(_) => {
            let mut redacted = redact_texts(&whole, redactor, |from| {
                let read = Entry::<M::Value, M::Notice>::read_from(from.clone());
                read.map(drop)
            })?;
            let (entry, _) = Entry::<M::Value, M::Notice>::read(&redacted)?;
            redacted.truncate(input.len());
            if let Stored::Answer(mut answer) = entry.input {
                M::arrange(&mut answer.value);
                redacted.clear();
                file::put_input::<M::Value, M::Notice>(entry.now, &Input::Answer(answer), &mut redacted);
            }
            Ok(redacted)
        }
        Stored::Begin | Stored::Eof | Stored::Sent(_) | Stored::Body(Err(_)) | Stored::Tick => Ok(input.to_vec()),
    }
}
