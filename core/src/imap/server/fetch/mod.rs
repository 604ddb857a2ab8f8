//! FETCH (RFC 3501 §6.4.5) and UID FETCH: messages in batches, bodies in runs, written as fast as the client reads (S34).
//!
//! ```text
//!            ┌────────────────────────── next batch ─────────────────────────────┐
//!            ▼                                                                    │
//!   Gather ──► Digests ──► Seen: SetFlags, Changes, report ──► Write ──► Open ──► Stream
//!      │ no more           (only where \Seen is to be set)       ▲  a body's      │
//!      ▼                                                         └── octets ──────┘
//!    Finish
//! ```
//!
//! A batch has at most [`limits::FETCH_BATCH`] messages; a run at most [`limits::RUN_PARTS`] ranges. Ranges are found from the
//! digests, so every literal's length is known before its first octet, and the borders within a run are the writer's own.

use alloc::boxed::Box;
use alloc::sync::Arc;
use alloc::vec::Vec;

use super::ask::{Ask, BodiesOpened, Digests, Value};
use super::{Doing, Session, Step, Wanted};
use crate::imap::command::{FetchItem, SequenceSet, Tag};
use crate::imap::response::{Code, Condition};
use crate::imap::view::{Expunges, Hits, Report, View};
use crate::limits;
use crate::machine::{BodyError, Reason};
use crate::message::digest::Digest;
use crate::store::request::{FlagChange, FlagHow};
use crate::store::version::Row;
use crate::store::{Flags, Uid};

mod filter;
mod range;
mod stream;
mod write;

use stream::Stream;
use write::Line;

/// A FETCH in progress.
#[derive(Debug)]
pub(super) struct Fetching {
    tag: Tag,
    uid: bool,
    items: Vec<FetchItem>,
    /// ENVELOPE, a structure or a section other than the whole message is wanted.
    digests: bool,
    /// `\Seen` is to be set.
    sees: bool,
    hits: Hits,
    stage: Stage,
    batch: Vec<Fetched>,
    /// The message of the batch that is being written, and its next item.
    message: usize,
    item: usize,
    line: Line,
    stream: Stream,
    /// Why some messages were left out.
    failed: Option<LeftOut>,
}

/// Why a message is left out. The tagged reply tells the last reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum LeftOut {
    Unreadable,
    /// A part for BINARY is encoded in a way that we do not know.
    UnknownEncoding,
}

#[derive(Debug)]
enum Stage {
    Gather,
    /// Flags are being set, then pulled.
    Seeing,
    /// What others changed meanwhile is told.
    Seen(Report),
    Write,
}

/// A message of the batch.
#[derive(Debug)]
struct Fetched {
    number: u32,
    row: Row,
    /// `None`: not asked for, or the message cannot be read.
    digest: Option<Arc<Digest>>,
    /// This command set `\Seen`: the response tells the flags.
    seen: bool,
}

impl Session {
    pub(super) fn fetch(&mut self, tag: Tag, set: &SequenceSet, mut items: Vec<FetchItem>, uid: bool) {
        let view = self.view.as_ref().expect("only when selected");
        if !uid && view.is_beyond(set) {
            return self.reply(&tag, Condition::Bad, None, "There is no message of that number");
        }
        if uid && !items.contains(&FetchItem::Uid) {
            items.insert(0, FetchItem::Uid); // RFC 3501 §6.4.8
        }
        self.doing = Doing::Fetch(Box::new(Fetching {
            tag,
            uid,
            digests: items.iter().any(range::needs_digest),
            sees: !view.read_only() && items.iter().any(sets_seen),
            items,
            hits: view.hits(set, uid),
            stage: Stage::Gather,
            batch: Vec::new(),
            message: 0,
            item: 0,
            line: Line::default(),
            stream: Stream::default(),
            failed: None,
        }));
    }

    pub(super) fn step_fetch(&mut self, mut fetching: Box<Fetching>) -> Step {
        match &mut fetching.stage {
            Stage::Gather => {
                if !self.gather(&mut fetching) {
                    self.fetched(&fetching);
                    return Step::Again;
                }
            }
            Stage::Seeing => {
                // Flags are set; what else happened up to there comes with them.
                self.ask_changes();
            }
            Stage::Seen(report) => {
                if self.tell(report, fetching.uid) {
                    fetching.stage = Stage::Write;
                }
            }
            Stage::Write => {
                if fetching.stream.is_open() {
                    self.doing = Doing::Fetch(fetching);
                    return Step::Rest; // octets are awaited
                }
                self.write_on(&mut fetching);
            }
        }
        if self.closing.is_none() {
            self.doing = Doing::Fetch(fetching);
        }
        Step::Again
    }

    /// All is written. Messages in numbers: EXPUNGE waits (RFC 3501 §7.4.1).
    fn fetched(&mut self, fetching: &Fetching) {
        let expunges = if fetching.uid { Expunges::Tell } else { Expunges::Wait };
        let (condition, code, text) = match fetching.failed {
            Some(LeftOut::Unreadable) => (Condition::No, Some(Code::ContactAdmin), "Some messages could not be read"),
            Some(LeftOut::UnknownEncoding) => {
                let text = "Some parts are encoded in an unknown way; FETCH BODY gives them as they are";
                (Condition::No, Some(Code::UnknownCte), text)
            }
            None => (Condition::Ok, None, "FETCH completed"),
        };
        self.finish(&fetching.tag, condition, code.as_ref(), text, expunges, fetching.uid);
    }

    /// Takes the next messages, and asks what has to be known of them; `false`: there are no more.
    fn gather(&mut self, fetching: &mut Fetching) -> bool {
        let view = self.view.as_ref().expect("only when selected");
        fetching.message = 0;
        fetching.item = 0;
        let hits = &mut fetching.hits;
        let rows = core::iter::from_fn(|| hits.next(view)).take(limits::FETCH_BATCH);
        fetching.batch = rows.map(|row| Fetched::new(view, row)).collect();
        if fetching.batch.is_empty() {
            return false;
        }
        if fetching.digests {
            self.ask = Some(Ask::Digests {
                mailbox: view.mailbox(),
                rows: fetching.batch.iter().map(|fetched| fetched.row).collect(),
                then: self.slots.ask(Wanted::Digests),
            });
        } else {
            self.see(fetching);
        }
        true
    }

    fn digested(&mut self, fetching: &mut Fetching, digests: Digests) {
        assert_eq!(digests.0.len(), fetching.batch.len(), "a digest for each message");
        for (fetched, digest) in fetching.batch.iter_mut().zip(digests.0) {
            fetched.digest = digest;
        }
        self.see(fetching);
    }

    /// Sets `\Seen` where it is to be set: on messages that can be read.
    fn see(&mut self, fetching: &mut Fetching) {
        fetching.stage = Stage::Write;
        let view = self.view.as_ref().expect("only when selected");
        if !fetching.sees {
            return;
        }
        let (digests, items) = (fetching.digests, &fetching.items);
        let answered = |fetched: &&mut Fetched| left_out(digests, items, fetched).is_none();
        let mut uids: Vec<Uid> = Vec::new();
        for fetched in fetching.batch.iter_mut().filter(answered) {
            fetched.seen = !fetched.row.flags.contains(Flags::SEEN) && !view.is_gone(fetched.row.uid);
            if fetched.seen {
                uids.push(fetched.row.uid);
            }
        }
        if uids.is_empty() {
            return;
        }
        self.ask = Some(Ask::SetFlags {
            mailbox: view.mailbox(),
            uids: uids.into(),
            change: FlagChange {
                how: FlagHow::Add,
                flags: Flags::SEEN,
                keywords: Vec::new(),
            },
            then: self.slots.ask(Wanted::Flags),
        });
    }

    pub(super) fn fetch_answered(&mut self, mut fetching: Box<Fetching>, value: Value) {
        match value {
            Value::Digests(digests) => self.digested(&mut fetching, digests),
            Value::Flags(set) => match (set.0, &mut self.view) {
                (Ok(set), Some(view)) => {
                    view.learn(set.lsn);
                    fetching.stage = Stage::Seeing;
                }
                (Ok(_), None) => unreachable!("flags of no mailbox"),
                // A full disk is no reason not to read.
                (Err(_), _) => {
                    fetching.sees = false;
                    fetching.batch.iter_mut().for_each(|fetched| fetched.seen = false);
                }
            },
            Value::Pulled(pulled) => match self.apply(pulled, Expunges::Wait) {
                Some(report) => {
                    let view = self.view.as_ref().expect("changes were applied to it");
                    fetching.refresh(view);
                    fetching.stage = Stage::Seen(report);
                }
                None => return,
            },
            Value::Bodies(BodiesOpened::Ready) => fetching.stream.opened(),
            Value::Bodies(BodiesOpened::Failed(_)) => self.run_refused(&mut fetching),
            value @ (Value::Tls(_)
            | Value::Password(_)
            | Value::Salt(_)
            | Value::Proof(_)
            | Value::Mailboxes(_)
            | Value::Opened(_)
            | Value::Matched(_)
            | Value::Expunged(_)
            | Value::Sink(_)
            | Value::Tree(_)
            | Value::Transferred(_)
            | Value::Appended(_)) => unreachable!("FETCH asked for no {value:?}"),
        }
        if self.closing.is_none() {
            self.doing = Doing::Fetch(fetching);
        }
    }

    /// Whether octets of the open run are wanted.
    pub(super) fn wants_body(&self) -> bool {
        match &self.doing {
            Doing::Fetch(fetching) => fetching.stream.is_open() && self.out.len() < limits::SEND_HIGH_WATER,
            _ => false,
        }
    }

    /// Octets of the open run, or its early end.
    pub(super) fn body(&mut self, chunk: Result<&[u8], BodyError>) {
        let doing = core::mem::take(&mut self.doing);
        let Doing::Fetch(mut fetching) = doing else {
            // The session is about to end: what was asked for comes too late.
            assert!(self.closing.is_some(), "a body that nobody asked for");
            return;
        };
        match chunk {
            Ok(octets) => self.stream_on(&mut fetching, octets),
            Err(_) => self.run_broken(&mut fetching),
        }
        if self.closing.is_none() {
            self.doing = Doing::Fetch(fetching);
        }
    }

    /// A run could not be opened: the next one holds a single message, so that only what cannot be read is left out.
    fn run_refused(&mut self, fetching: &mut Fetching) {
        if fetching.stream.refused() {
            return;
        }
        self.leave_out(fetching, LeftOut::Unreadable);
    }

    /// A run has ended early: its message is left out, unless its literal has begun.
    fn run_broken(&mut self, fetching: &mut Fetching) {
        fetching.stream.end();
        self.leave_out(fetching, LeftOut::Unreadable);
    }

    /// Leaves a message out that cannot be read; the tagged reply will say so. Half a literal cannot be taken back.
    fn leave_out(&mut self, fetching: &mut Fetching, why: LeftOut) {
        if fetching.line.is_begun() {
            return self.close(Reason::BodyFailed);
        }
        let fetched = &fetching.batch[fetching.message];
        if fetched.seen
            && let Some(view) = &self.view
        {
            view.write_flags(fetched.row.uid, fetching.uid, self.out.end());
        }
        fetching.failed = Some(why);
        fetching.next_message();
    }
}

impl Fetching {
    /// Between the head of a response and its end: nothing else can be said.
    pub(super) fn in_literal(&self) -> bool {
        self.line.is_begun()
    }

    /// Flags as they are now.
    fn refresh(&mut self, view: &View) {
        for fetched in &mut self.batch {
            if let Some(row) = view.row(fetched.row.uid) {
                fetched.row = row;
            }
        }
    }

    fn next_message(&mut self) {
        self.line = Line::default();
        self.message += 1;
        self.item = 0;
        if self.message == self.batch.len() {
            self.batch = Vec::new();
            self.stage = Stage::Gather;
        }
    }
}

impl Fetched {
    fn new(view: &View, row: Row) -> Fetched {
        Fetched {
            number: view.number(row.uid),
            row,
            digest: None,
            seen: false,
        }
    }
}

/// Whether a message cannot be answered, as far as that is known before its octets come.
fn left_out(digests: bool, items: &[FetchItem], fetched: &Fetched) -> Option<LeftOut> {
    if digests && fetched.digest.is_none() {
        return Some(LeftOut::Unreadable);
    }
    let unknown = |item| matches!(range::source(fetched, item), range::Source::UnknownEncoding);
    items.iter().any(unknown).then_some(LeftOut::UnknownEncoding)
}

/// Whether an item sets `\Seen` (RFC 3501 §6.4.5).
fn sets_seen(item: &FetchItem) -> bool {
    match item {
        FetchItem::Rfc822
        | FetchItem::Rfc822Text
        | FetchItem::Section { peek: false, .. }
        | FetchItem::Binary { peek: false, .. } => true,
        FetchItem::Section { peek: true, .. }
        | FetchItem::Binary { peek: true, .. }
        | FetchItem::BinarySize { .. }
        | FetchItem::Body
        | FetchItem::BodyStructure
        | FetchItem::Envelope
        | FetchItem::Flags
        | FetchItem::InternalDate
        | FetchItem::Rfc822Header
        | FetchItem::Rfc822Size
        | FetchItem::Uid => false,
    }
}
