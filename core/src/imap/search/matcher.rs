//! Reads one message, as far as it takes to know whether it fits.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::fold::{Folder, folded};
use super::needle::Reached;
use super::program::{Candidate, Program, Sought};
use crate::message::charset::{self, Charset};
use crate::message::digest::PartKind;
use crate::message::header::unfold;
use crate::message::mime::{Observer, Walked, Walker};
use crate::message::transfer::{self, Encoding};
use crate::message::{date, encoded_word};

/// Octets that are decoded at a time.
const PIECE: usize = 4096;

/// The fold: a message's octets, prefix and body, to whether it fits. Memory is the walker's and a few pieces.
#[derive(Debug)]
pub struct Matcher {
    candidate: Candidate,
    walker: Walker,
    finds: Finds,
    stack: Vec<Option<bool>>,
    verdict: Option<bool>,
}

impl Matcher {
    /// At the first octet of a message.
    pub fn new(program: Arc<Program>, candidate: Candidate) -> Matcher {
        let many = program.texts().len();
        let mut matcher = Matcher {
            candidate,
            walker: Walker::new(),
            finds: Finds {
                found: alloc::vec![None; many],
                reached: alloc::vec![0; many],
                program,
                news: true,
                header_ended: false,
                dated: false,
                body: None,
                octets: Vec::new(),
                text: String::new(),
                folded: Vec::new(),
            },
            stack: Vec::new(),
            verdict: None,
        };
        matcher.judge();
        matcher
    }

    /// Takes more octets; they are not looked at once the verdict is known.
    pub fn update(&mut self, octets: &[u8]) {
        for piece in octets.chunks(PIECE) {
            if self.verdict.is_some() {
                return;
            }
            self.walker.update_with(piece, &mut self.finds);
            self.judge();
        }
    }

    /// The verdict, if nothing that may follow can change it.
    pub fn verdict(&self) -> Option<bool> {
        self.verdict
    }

    /// The end of the message: whether it fits.
    pub fn finish(mut self) -> bool {
        if let Some(verdict) = self.verdict {
            return verdict;
        }
        self.walker.finish_with(&mut self.finds);
        let found = &self.finds.found;
        let verdict =
            self.finds
                .program
                .evaluate(&self.candidate, |index| Some(found[index].unwrap_or(false)), &mut self.stack);
        verdict.expect("all is known")
    }

    fn judge(&mut self) {
        if core::mem::take(&mut self.finds.news) {
            let found = &self.finds.found;
            self.verdict = self
                .finds
                .program
                .evaluate(&self.candidate, |index| found[index], &mut self.stack);
        }
    }
}

/// What has been found so far.
#[derive(Debug)]
struct Finds {
    program: Arc<Program>,
    /// By the program's texts: `None`: not yet.
    found: Vec<Option<bool>>,
    reached: Vec<Reached>,
    /// Something was found since the last judgement.
    news: bool,
    /// The message's own header has ended.
    header_ended: bool,
    /// Its first `Date` field has come.
    dated: bool,
    body: Option<Body>,
    octets: Vec<u8>,
    text: String,
    folded: Vec<u8>,
}

/// A text part being read: transfer encoding, charset and case are undone one behind the other.
#[derive(Debug)]
struct Body {
    transfer: transfer::Decoder,
    charset: charset::Decoder,
    folder: Folder,
}

impl Finds {
    fn find(&mut self, index: usize, value: bool) {
        self.found[index] = Some(value);
        self.news = true;
    }

    /// A field of the message's own header.
    fn own_field(&mut self, name: &[u8], value: &[u8]) {
        let program = self.program.clone();
        let mut text = None;
        for (index, test) in program.texts().iter().enumerate() {
            match test {
                Sought::Header { name: wanted, needle }
                    if self.found[index].is_none() && wanted.as_bytes().eq_ignore_ascii_case(name) =>
                {
                    let text = text.get_or_insert_with(|| folded(&encoded_word::decode(&unfold(value))));
                    if needle.feed(&mut 0, text) {
                        self.find(index, true);
                    }
                }
                Sought::Sent { from, to } if !self.dated && name.eq_ignore_ascii_case(b"Date") => {
                    let day = date::parse_day(&unfold(value));
                    self.find(index, day.is_some_and(|day| (*from..=*to).contains(&day)));
                }
                Sought::Header { .. } | Sought::Sent { .. } | Sought::Body(_) | Sought::Text(_) => {}
            }
        }
        self.dated |= name.eq_ignore_ascii_case(b"Date");
    }

    /// Whether something is still to be found in texts.
    fn wants_text(&self) -> bool {
        let open =
            |(test, found): (&Sought, &Option<bool>)| matches!(test, Sought::Body(_) | Sought::Text(_)) && found.is_none();
        self.program.texts().iter().zip(&self.found).any(open)
    }

    /// Looks for the strings in what is decoded of a body.
    fn search(&mut self) {
        let Some(body) = &mut self.body else { return };
        body.folder.update(&self.text, &mut self.folded);
        let program = self.program.clone();
        for (index, test) in program.texts().iter().enumerate() {
            if let Sought::Body(needle) | Sought::Text(needle) = test
                && self.found[index].is_none()
                && needle.feed(&mut self.reached[index], &self.folded)
            {
                self.find(index, true);
            }
        }
        self.octets.clear();
        self.text.clear();
        self.folded.clear();
    }
}

impl Observer for Finds {
    fn field(&mut self, top: bool, raw: &[u8]) {
        let colon = memchr::memchr(b':', raw);
        if let Some(colon) = colon.filter(|_| top) {
            self.own_field(raw[..colon].trim_ascii_end(), &raw[colon + 1..]);
        }
        let program = self.program.clone();
        let mut text = None;
        for (index, test) in program.texts().iter().enumerate() {
            if let Sought::Text(needle) = test
                && self.found[index].is_none()
            {
                let text = text.get_or_insert_with(|| folded(&encoded_word::decode(&unfold(raw))));
                if needle.feed(&mut 0, text) {
                    self.find(index, true);
                }
            }
        }
    }

    fn body_begins(&mut self, part: &Walked) {
        if !core::mem::replace(&mut self.header_ended, true) {
            let program = self.program.clone();
            for (index, test) in program.texts().iter().enumerate() {
                if matches!(test, Sought::Header { .. } | Sought::Sent { .. }) && self.found[index].is_none() {
                    self.find(index, false);
                }
            }
        }
        let content = part.content.as_ref();
        let is_text = content.is_none_or(|content| content.is("text", "*") || content.is("message", "*"));
        if part.part.kind != PartKind::Leaf || !is_text || !self.wants_text() {
            return;
        }
        let charset = content.and_then(|content| content.parameter("charset")).and_then(Charset::of);
        // What is encoded in a way we do not know is read as it stands.
        let encoding = Encoding::of(part.field("Content-Transfer-Encoding")).unwrap_or_default();
        self.reached.fill(0);
        self.body = Some(Body {
            transfer: encoding.decoder(),
            charset: charset.unwrap_or(Charset::UTF_8).decoder(),
            folder: Folder::default(),
        });
    }

    fn body(&mut self, octets: &[u8]) {
        let Some(body) = &mut self.body else { return };
        body.transfer.update(octets, &mut self.octets);
        // Lines come one by one; looking at many at once is cheaper.
        if self.octets.len() >= PIECE {
            body.charset.update(&self.octets, &mut self.text);
            self.search();
        }
    }

    fn body_ends(&mut self) {
        let Some(body) = &mut self.body else { return };
        body.transfer.finish(&mut self.octets);
        body.charset.update(&self.octets, &mut self.text);
        body.charset.finish(&mut self.text);
        self.search();
        self.body = None;
    }
}
