//! The file: frames of a length, a kind, a payload and a CRC-32C over all three.

use alloc::string::String;
use alloc::vec::Vec;

use super::{Kind, MAGIC};
use crate::bytes::crc::crc32c;
use crate::machine::{Answer, BodyError, Input};
use crate::record::{Malformed, Reader, Record, put_bytes};
use crate::time::Now;

/// How a machine began.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The program that recorded it.
    pub program: String,
    /// A redacted copy.
    pub capsule: bool,
    /// Which machine.
    pub kind: Kind,
    /// When.
    pub now: Now,
    /// Its [`super::Recordable::New`], recorded.
    pub new: Vec<u8>,
}

/// One input, and what it came to.
#[derive(Debug, PartialEq, Eq)]
pub struct Entry<V, N> {
    /// When.
    pub now: Now,
    /// What.
    pub input: Stored<V, N>,
    /// The hash of all inputs up to this one.
    pub inputs: u64,
    /// The hash of all outputs up to the rest behind it; none: the machine never came to rest.
    pub outputs: Option<u64>,
}

/// An input that is kept.
#[derive(Debug, PartialEq, Eq)]
pub enum Stored<V, N> {
    /// None: what the machine puts out at first.
    Begin,
    /// [`Input::Received`].
    Received(Vec<u8>),
    /// [`Input::Eof`].
    Eof,
    /// [`Input::Sent`].
    Sent(usize),
    /// [`Input::Body`].
    Body(Result<Vec<u8>, BodyError>),
    /// [`Input::Answer`].
    Answer(Answer<V>),
    /// [`Input::Notice`].
    Notice(N),
    /// [`Input::Tick`].
    Tick,
}

/// Why a recording ends.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ending {
    /// The session ended, for this reason.
    Closed(String),
    /// Only the recording ended, for this reason.
    Cut(String),
}

crate::record_enum!(Ending { 0 => Closed(why), 1 => Cut(why) });

/// A file taken apart.
#[derive(Debug)]
pub struct Trace<'a> {
    /// How it began.
    pub header: Header,
    rest: Reader<'a>,
}

/// The next frame behind the header.
#[derive(Debug)]
pub enum Frame<'a> {
    /// An entry's payload.
    Entry(&'a [u8]),
    /// The end.
    Ending(Ending),
}

const HEADER: u8 = 0;
const ENTRY: u8 = 1;
const ENDING: u8 = 2;

impl<'a> Trace<'a> {
    /// Reads the beginning of a file.
    ///
    /// # Errors
    /// It is none of ours, or damaged.
    pub fn open(file: &'a [u8]) -> Result<Trace<'a>, Malformed> {
        let rest = file.strip_prefix(MAGIC).ok_or(Malformed("this is no recording of ours"))?;
        let mut rest = Reader::new(rest);
        let header = match frame(&mut rest)? {
            (HEADER, payload) => Header::from_record(payload)?,
            _ => return Err(Malformed("the first frame is no header")),
        };
        Ok(Trace { header, rest })
    }

    /// The next frame; `None` at the file's end.
    ///
    /// # Errors
    /// It is damaged: everything behind is lost.
    pub fn next_frame(&mut self) -> Result<Option<Frame<'a>>, Malformed> {
        if self.rest.rest().is_empty() {
            return Ok(None);
        }
        match frame(&mut self.rest)? {
            (ENTRY, payload) => Ok(Some(Frame::Entry(payload))),
            (ENDING, payload) => Ending::from_record(payload).map(|ending| Some(Frame::Ending(ending))),
            _ => Err(Malformed("a frame of an unknown kind")),
        }
    }
}

fn frame<'a>(from: &mut Reader<'a>) -> Result<(u8, &'a [u8]), Malformed> {
    let whole = from.rest();
    let payload = from.bytes()?;
    let covered = &whole[..4 + payload.len()];
    if u32::decode(from)? != crc32c(covered) {
        return Err(Malformed("the checksum is wrong"));
    }
    payload
        .split_first()
        .map(|(kind, payload)| (*kind, payload))
        .ok_or(Malformed("an empty frame"))
}

fn put_frame(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    let start = out.len();
    let len = u32::try_from(payload.len() + 1).expect("a frame is below 4 GiB");
    len.encode(out);
    out.push(kind);
    out.extend_from_slice(payload);
    crc32c(&out[start..]).encode(out);
}

impl Header {
    /// Writes the beginning of a file.
    pub fn write(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(MAGIC);
        put_frame(HEADER, &self.to_record(), out);
    }
}

impl Ending {
    /// Writes the end of a file.
    pub fn write(&self, out: &mut Vec<u8>) {
        put_frame(ENDING, &self.to_record(), out);
    }
}

impl Record for Header {
    fn encode(&self, out: &mut Vec<u8>) {
        self.program.encode(out);
        self.capsule.encode(out);
        self.kind.encode(out);
        self.now.encode(out);
        put_bytes(out, &self.new);
    }
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Header {
            program: String::decode(from)?,
            capsule: bool::decode(from)?,
            kind: Kind::decode(from)?,
            now: Now::decode(from)?,
            new: from.bytes()?.to_vec(),
        })
    }
}

/// An entry's beginning: its time and its input. The two hashes follow.
pub fn put_input<V: Record, N: Record>(now: Now, input: &Input<'_, V, N>, out: &mut Vec<u8>) {
    now.encode(out);
    match input {
        Input::Received(bytes) => {
            out.push(1);
            put_bytes(out, bytes);
        }
        Input::Eof => out.push(2),
        Input::Sent(octets) => {
            out.push(3);
            octets.encode(out);
        }
        Input::Body(Ok(chunk)) => {
            out.push(4);
            put_bytes(out, chunk);
        }
        Input::Body(Err(error)) => {
            out.push(5);
            error.encode(out);
        }
        Input::Answer(answer) => {
            out.push(6);
            answer.encode(out);
        }
        Input::Notice(notice) => {
            out.push(7);
            notice.encode(out);
        }
        Input::Tick => out.push(8),
    }
}

/// Where the bytes of a `Received` begin in what [`put_input`] writes.
pub const RECEIVED_AT: usize = 16 + 1 + 4;

/// The first entry's input.
pub fn put_begin(now: Now, out: &mut Vec<u8>) {
    now.encode(out);
    out.push(0);
}

/// Writes an entry whose beginning is `input`.
pub fn put_entry(input: &[u8], inputs: u64, outputs: Option<u64>, out: &mut Vec<u8>) {
    let mut payload = Vec::with_capacity(input.len() + 17);
    payload.extend_from_slice(input);
    inputs.encode(&mut payload);
    outputs.encode(&mut payload);
    put_frame(ENTRY, &payload, out);
}

impl<V: Record, N: Record> Entry<V, N> {
    /// Reads a payload; also gives the part that its `inputs` covers.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn read(payload: &[u8]) -> Result<(Self, &[u8]), Malformed> {
        Entry::read_from(Reader::new(payload))
    }

    /// The same with a reader of one's own.
    ///
    /// # Errors
    /// It is none of ours.
    pub fn read_from(mut from: Reader<'_>) -> Result<(Self, &[u8]), Malformed> {
        let payload = from.rest();
        let now = Now::decode(&mut from)?;
        let input = Stored::decode(&mut from)?;
        let covered = &payload[..payload.len() - from.rest().len()];
        let (inputs, outputs) = (u64::decode(&mut from)?, Option::decode(&mut from)?);
        if !from.rest().is_empty() {
            return Err(Malformed("bytes left over"));
        }
        let entry = Entry {
            now,
            input,
            inputs,
            outputs,
        };
        Ok((entry, covered))
    }
}

impl<V: Record, N: Record> Stored<V, N> {
    fn decode(from: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(match from.byte()? {
            0 => Stored::Begin,
            1 => Stored::Received(from.bytes()?.to_vec()),
            2 => Stored::Eof,
            3 => Stored::Sent(usize::decode(from)?),
            4 => Stored::Body(Ok(from.bytes()?.to_vec())),
            5 => Stored::Body(Err(BodyError::decode(from)?)),
            6 => Stored::Answer(Answer::decode(from)?),
            7 => Stored::Notice(N::decode(from)?),
            8 => Stored::Tick,
            _ => return Err(Malformed("unknown variant of Stored")),
        })
    }

    /// What it is called.
    pub fn name(&self) -> &'static str {
        match self {
            Stored::Begin => "the beginning",
            Stored::Received(_) => "bytes from the peer",
            Stored::Eof => "the peer's end",
            Stored::Sent(_) => "octets sent",
            Stored::Body(_) => "a body's chunk",
            Stored::Answer(_) => "an answer",
            Stored::Notice(_) => "a notice",
            Stored::Tick => "a tick",
        }
    }
}
