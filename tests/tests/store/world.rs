//! One committer on one simulated disk, a client that remembers everything it was told, and an oracle that compares.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;

use pillarbox_core::machine::{Answer, Input, Machine, Output, Slot};
use pillarbox_core::store::committer::ask::{Ask, DiskReply, Lane, Notice, QueueEvent, Recovered, Value};
use pillarbox_core::store::committer::{Committer, Settings};
use pillarbox_core::store::disk::{DiskDone, DiskOp, DiskPath, DiskValue};
use pillarbox_core::store::queue::QueueId;
use pillarbox_core::store::request::{BodyBytes, Refused, Reply, Request, Submission};
use pillarbox_core::store::tree::Transferred;
use pillarbox_core::store::version::Row;
use pillarbox_core::store::{AccountId, Location, MailboxKey, frame, layout};
use pillarbox_core::time::{Instant, Now, UnixTime};
use pillarbox_tests::disk::StrictDisk;
use pillarbox_tests::rng::Rng;

use super::model::{AccountModel, MailboxModel, Model, Outcome, Wanted};
use super::queue::{Mirror, QueueModel};
use super::session::Session;
use super::workload::{self, Sizes};

mod check;
mod counters;

pub(super) use counters::Counters;

/// How a disk, or a host, may lie. The oracle must notice each of these.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lie {
    /// None: everything is as it should be.
    None,
    /// `DataSync` of the ring says done and does nothing.
    NoRingSync,
    /// `DataSync` of the checkpoint's slot says done and does nothing.
    NoSlotSync,
    /// `Sync` says done and does nothing.
    NoSync,
    /// The journal's end is not made firm at start.
    NoFirmEnd,
    /// `SyncAll` says done and does nothing.
    NoSyncAll,
    /// `SyncDir` says done and does nothing.
    NoSyncDir,
    /// The ring's sync is answered when it is asked for, and done later: replies leave before their records are durable.
    AckBeforeSync,
    /// Write and sync of the ring are answered when asked for: a state is published before it is committed.
    PublishBeforeCommit,
    /// `SyncAll` is answered at once and done behind the checkpoint's slot: the order of a checkpoint is turned around.
    CheckpointFirst,
}

pub(super) const LIES: [Lie; 9] = [
    Lie::NoRingSync,
    Lie::NoSlotSync,
    Lie::NoSync,
    Lie::NoFirmEnd,
    Lie::NoSyncAll,
    Lie::NoSyncDir,
    Lie::AckBeforeSync,
    Lie::PublishBeforeCommit,
    Lie::CheckpointFirst,
];

#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum State {
    Starting,
    Running,
    /// `Ask::Stop`, with its reason.
    Failed(String),
    Closed,
}

struct Waiting {
    lane: Lane,
    op: DiskOp,
    then: Option<Slot<DiskReply>>,
}

pub(super) struct World {
    pub(super) disk: StrictDisk,
    pub(super) state: State,
    pub(super) counters: Counters,
    /// What every reply so far adds up to.
    pub(super) acknowledged: Model,
    /// That, and everything that waits for its reply.
    pub(super) pending: Model,
    /// Submitted, not replied, in order.
    pub(super) open: VecDeque<(u64, Wanted)>,
    pub(super) lie: Lie,
    /// What happened, if it is written down.
    pub(super) log: Option<Vec<String>>,
    /// What the queue's events of this process add up to.
    pub(super) mirror: Mirror,
    /// Every queue id that was ever said.
    pub(super) ids: BTreeSet<QueueId>,
    /// What was asked to be written to the queue's packs.
    pub(super) frames: Vec<(DiskPath, core::ops::Range<u64>)>,
    settings: Settings,
    committer: Committer,
    lanes: BTreeMap<Lane, VecDeque<Waiting>>,
    performed: Vec<Answer<Value>>,
    deferred: Vec<DiskOp>,
    held: BTreeMap<(AccountId, u32, u64), (Arc<[u8]>, Arc<[u8]>)>,
    now: Now,
    until: Option<Instant>,
    pub(super) ticket: u64,
    answer: Option<Reply>,
    sessions: Vec<Session>,
    /// Numbers given to sessions.
    watches: u64,
    ring_written: bool,
    ring_synced: bool,
    ring_failed: bool,
    machine: u64,
    /// Where the last batch was written: a return to the first segment is a lap.
    last_ring_write: (DiskPath, u64),
}

type Checked = Result<(), String>;

impl World {
    pub(super) fn new(disk: StrictDisk, settings: Settings) -> World {
        let now = Now {
            instant: Instant(0),
            unix: UnixTime(1_700_000_000_000),
        };
        World {
            disk,
            state: State::Starting,
            counters: Counters::default(),
            acknowledged: Model::default(),
            pending: Model::default(),
            open: VecDeque::new(),
            lie: Lie::None,
            log: None,
            mirror: Mirror::default(),
            ids: BTreeSet::new(),
            frames: Vec::new(),
            settings,
            committer: Committer::new(settings, 0, now),
            lanes: BTreeMap::new(),
            performed: Vec::new(),
            deferred: Vec::new(),
            held: BTreeMap::new(),
            now,
            until: None,
            ticket: 0,
            answer: None,
            sessions: Vec::new(),
            watches: 0,
            ring_written: false,
            ring_synced: false,
            ring_failed: false,
            machine: 0,
            last_ring_write: (layout::version(), 0),
        }
    }

    pub(super) fn sizes(&self, small_max: u64, big_percent: u64) -> Sizes {
        Sizes {
            small_max,
            inline_max: self.settings.inline_max(),
            big_percent,
        }
    }

    pub(super) fn note(&mut self, line: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            log.push(line());
        }
    }

    /// Whether a part of a checkpoint has been asked for and not performed.
    pub(super) fn in_checkpoint(&self) -> bool {
        let part = |waiting: &Waiting| !matches!(waiting.op, DiskOp::FreeSpace);
        let lane = self.lanes.get(&Lane::Checkpoint);
        self.state == State::Running && lane.is_some_and(|lane| lane.iter().any(part))
    }

    /// Forgets the process, power or not, and begins a new one on what the disk has.
    pub(super) fn restart(&mut self, power_loss: Option<&mut Rng>) {
        self.counters.between_write_and_sync += u64::from(self.ring_written && !self.ring_synced);
        self.counters.between_sync_and_reply += u64::from(self.ring_synced);
        self.counters.in_recovery += u64::from(self.state == State::Starting);
        self.counters.in_checkpoint += u64::from(self.in_checkpoint());
        match power_loss {
            Some(rng) => {
                self.counters.power_losses += 1;
                self.disk.crash(rng);
            }
            None => {
                self.counters.kills += 1;
                self.disk.clear_faults();
            }
        }
        self.note(|| "---- restart".into());
        self.lanes.clear();
        self.performed.clear();
        self.deferred.clear();
        self.held.clear();
        self.sessions.clear();
        self.mirror = Mirror::default();
        self.frames.clear();
        (self.ring_written, self.ring_synced, self.ring_failed) = (false, false, false);
        self.machine += 1;
        self.until = None;
        self.state = State::Starting;
        self.committer = Committer::new(self.settings, self.machine, self.now);
    }

    // --- driving ----------------------------------------------------------------------------------------------------------

    /// Polls until rest.
    pub(super) fn settle(&mut self) -> Checked {
        loop {
            match self.committer.poll() {
                Output::Ask(ask) => self.take(ask)?,
                Output::Wait(wait) => {
                    let until = wait.until.map(|deadline| deadline.at);
                    self.until = until;
                    return Ok(());
                }
                Output::Close(_) => {
                    if !matches!(self.state, State::Failed(_)) {
                        self.state = State::Closed;
                    }
                    return Ok(());
                }
                Output::Body(_) => return Err("a committer has no body".into()),
            }
        }
    }

    fn take(&mut self, ask: Ask) -> Checked {
        if matches!(self.state, State::Failed(_)) {
            return Err(format!("after Stop it says {ask:?}"));
        }
        match ask {
            Ask::Disk { lane, op, then } => {
                self.note(|| format!("ask {lane:?} {}", brief(&op)));
                self.asked(&op);
                self.queue(lane, op, then);
                Ok(())
            }
            Ask::Ready(recovered) => self.ready(&recovered),
            Ask::Reply { ticket, reply } => self.reply(ticket, reply),
            Ask::Notify { watch, mailbox, lsn } => {
                let session = self.sessions.iter_mut().find(|session| session.watch == watch);
                let session = session.ok_or("a notice for nobody")?;
                session.notified(mailbox, lsn)
            }
            Ask::Queue(event) => {
                if self.state != State::Starting {
                    self.counters.row_changes += u64::from(matches!(event, QueueEvent::Changed(_)));
                    self.counters.queued += u64::from(matches!(event, QueueEvent::Entered(_)));
                }
                self.mirror.take(event)
            }
            Ask::Hold {
                account,
                pack,
                offset,
                prefix,
                body,
            } => {
                self.held.insert((account, pack, offset), (prefix, body));
                Ok(())
            }
            Ask::Release { account, pack, offset } => match self.held.remove(&(account, pack, offset)) {
                Some(_) => self.released(account, pack, offset),
                None if self.state == State::Starting => Ok(()),
                None => Err(format!("release of {account} {pack} {offset}, which is not held")),
            },
            Ask::Stop(why) => {
                self.note(|| format!("STOP {why}"));
                self.counters.stops += 1;
                self.state = State::Failed(why);
                Ok(())
            }
        }
    }

    fn queue(&mut self, lane: Lane, op: DiskOp, then: Slot<DiskReply>) {
        let early = match self.lie {
            Lie::AckBeforeSync => lane == Lane::Ring && matches!(op, DiskOp::DataSync(_)),
            Lie::PublishBeforeCommit => lane == Lane::Ring,
            Lie::CheckpointFirst if op == DiskOp::SyncAll => {
                self.deferred.push(op);
                self.performed.push(then.answer(DiskReply(Ok(DiskValue::Done))));
                return;
            }
            Lie::None | Lie::NoRingSync | Lie::NoSlotSync | Lie::NoSync | Lie::NoFirmEnd => false,
            Lie::NoSyncAll | Lie::NoSyncDir | Lie::CheckpointFirst => false,
        };
        let then = if early {
            self.performed.push(then.answer(DiskReply(Ok(DiskValue::Done))));
            None
        } else {
            Some(then)
        };
        self.lanes.entry(lane).or_default().push_back(Waiting { lane, op, then });
    }

    /// Lanes that have something to do.
    pub(super) fn busy_lanes(&self) -> Vec<Lane> {
        self.lanes
            .iter()
            .filter(|(_, lane)| !lane.is_empty())
            .map(|(lane, _)| *lane)
            .collect()
    }

    /// Performs the next operation of a lane; its answer is given by [`World::deliver`].
    pub(super) fn perform(&mut self, lane: Lane) {
        let Some(Waiting { lane, op, then }) = self.lanes.get_mut(&lane).and_then(VecDeque::pop_front) else {
            return;
        };
        if lane == Lane::Ring {
            let written = matches!(op, DiskOp::Write { .. });
            (self.ring_written, self.ring_synced) = (true, !written);
            if let DiskOp::Write { path, offset, .. } = &op {
                if *path == layout::segment(0) && *path != self.last_ring_write.0 {
                    self.counters.laps += 1;
                }
                self.last_ring_write = (path.clone(), *offset);
            }
        }
        if let (Lane::Settle, DiskOp::Write { path, offset: 0, .. }) = (lane, &op) {
            self.counters.packs += u64::from(path.0.ends_with(".pack"));
            self.counters.compactions += u64::from(path.0.contains("index.") && !path.0.ends_with(".0"));
        }
        let done = self.on_disk(&op);
        if let (DiskOp::Unlink(path), Ok(_)) = (&op, &done) {
            self.counters.packs_removed += u64::from(path.0.ends_with(".pack"));
            self.counters.bigs_removed += u64::from(path.0.ends_with(".eml"));
        }
        if op == DiskOp::DataSync(layout::checkpoint()) {
            self.counters.checkpoints += u64::from(self.state != State::Starting);
            for op in core::mem::take(&mut self.deferred) {
                self.disk.perform(&op).expect("a deferred sync");
            }
        }
        self.ring_failed |= lane == Lane::Ring && done.is_err();
        if let Err(error) = &done {
            self.note(|| format!("{} FAILED: {error}", brief(&op)));
        }
        self.performed.extend(then.map(|then| then.answer(DiskReply(done))));
    }

    fn on_disk(&mut self, op: &DiskOp) -> DiskDone {
        let lied = match (self.lie, op) {
            (Lie::NoRingSync, DiskOp::DataSync(path)) => *path != layout::checkpoint(),
            (Lie::NoSlotSync, DiskOp::DataSync(path)) => *path == layout::checkpoint(),
            (Lie::NoFirmEnd, DiskOp::DataSync(_)) => self.state == State::Starting,
            (Lie::NoSync, DiskOp::Sync(_)) | (Lie::NoSyncAll, DiskOp::SyncAll) | (Lie::NoSyncDir, DiskOp::SyncDir(_)) => true,
            _ => false,
        };
        if lied { Ok(DiskValue::Done) } else { self.disk.perform(op) }
    }

    /// Answers that are on their way.
    pub(super) fn undelivered(&self) -> usize {
        self.performed.len()
    }

    /// Gives the machine one of the answers.
    pub(super) fn deliver(&mut self, index: usize) -> Checked {
        let answer = self.performed.swap_remove(index);
        if self.ring_synced && self.lanes.get(&Lane::Ring).is_none_or(VecDeque::is_empty) {
            // The reply leaves with the answer to the sync; which of several answers it was does not matter here.
            (self.ring_written, self.ring_synced) = (false, false);
        }
        self.feed(Input::Answer(answer))
    }

    /// Lets time pass: to the deadline, if there is one and `to_deadline`, else a little.
    pub(super) fn pass_time(&mut self, to_deadline: bool) -> Checked {
        match self.until {
            Some(until) if to_deadline => {
                self.now.instant = until.max(self.now.instant);
                self.feed(Input::Tick)?;
                match self.until {
                    Some(next) if next <= self.now.instant => Err("it spins: after a tick the deadline is not later".into()),
                    Some(_) | None => Ok(()),
                }
            }
            Some(_) | None => {
                self.now.instant.0 += 50_000_000;
                Ok(())
            }
        }
    }

    fn feed(&mut self, input: Input<'_, Value, Notice>) -> Checked {
        self.committer.handle(self.now, input);
        self.settle()
    }

    /// Performs and answers everything until nothing is left to do; `false` when it has ended.
    pub(super) fn run_to_rest(&mut self) -> Checked {
        self.settle()?;
        for _ in 0..1_000_000 {
            if matches!(self.state, State::Failed(_) | State::Closed) {
                return Ok(());
            }
            if !self.performed.is_empty() {
                self.deliver(0)?;
            } else if let Some(lane) = self.busy_lanes().first() {
                self.perform(*lane);
            } else {
                return Ok(());
            }
        }
        Err("it never rests".into())
    }

    pub(super) fn shutdown(&mut self) -> Checked {
        self.note(|| "shutdown".into());
        self.feed(Input::Notice(Notice::Shutdown))
    }

    // --- the client -------------------------------------------------------------------------------------------------------

    pub(super) fn submit(&mut self, wanted: Wanted) -> Checked {
        self.ticket += 1;
        let ticket = self.ticket;
        self.note(|| format!("submit {ticket} {}", brief_request(&wanted.request)));
        self.pending.apply(&wanted);
        self.open.push_back((ticket, wanted.clone()));
        self.feed(Input::Notice(Notice::Submit(Submission {
            ticket,
            request: wanted.request,
        })))
    }

    pub(super) fn draw(&mut self, rng: &mut Rng, sizes: Sizes) -> Wanted {
        workload::draw(rng, &self.acknowledged, &self.pending, sizes, &mut self.disk)
    }

    fn reply(&mut self, ticket: u64, reply: Reply) -> Checked {
        if self.ring_failed && self.performed.is_empty() {
            return Err(format!("ticket {ticket} is answered although the journal failed"));
        }
        let Some(place) = self.open.iter().position(|(open, _)| *open == ticket) else {
            self.answer = Some(reply); // to a query
            return Ok(());
        };
        let (_, wanted) = self.open.remove(place).expect("it was found");
        if let Reply::Refused(why) = &reply
            && matches!(why, Refused::DiskFull | Refused::Limit(_) | Refused::Stopping)
        {
            self.note(|| format!("reply {ticket} refused: {why:?}"));
            self.counters.refused += 1;
            self.rebuild_pending();
            return Ok(());
        }
        if place != 0 {
            return Err(format!("ticket {ticket} is answered before {place} earlier ones"));
        }
        self.note(|| format!("reply {ticket}"));
        self.counters.acknowledged += 1;
        let must = self.acknowledged.apply(&wanted);
        match (&must, &reply) {
            (Outcome::Done, Reply::Done) | (Outcome::Expunged, Reply::Expunged { .. }) => Ok(()),
            (Outcome::NoSuchMailbox, Reply::Refused(Refused::NoSuchMailbox)) => Ok(()),
            (Outcome::Refused(must), Reply::Refused(why)) if std::mem::discriminant(must) == std::mem::discriminant(why) => {
                Ok(())
            }
            (Outcome::Tree(must), Reply::Tree(done)) if *must == done.mailbox => Ok(()),
            (Outcome::Transferred(must), Reply::Transferred(done))
                if *done
                    == (Transferred {
                        lsn: done.lsn,
                        ..must.clone()
                    }) =>
            {
                Ok(())
            }
            (Outcome::Placed(must, entries), Reply::Placed { placed, queued, .. })
                if placed.iter().map(|one| (one.mailbox, one.uid)).eq(must.iter().copied()) && queued.len() == *entries =>
            {
                let Request::Place {
                    queued: entered,
                    changes,
                    placements,
                    body,
                    ..
                } = &wanted.request
                else {
                    return Err("Placed answers Place".into());
                };
                let counters = &mut self.counters;
                if !queued.is_empty() {
                    counters.queued_alone += u64::from(placements.is_empty());
                    counters.queued_with_copies += u64::from(!placements.is_empty());
                    counters.queued_big += u64::from(body.bytes == BodyBytes::Big);
                }
                counters.reports += u64::from(!changes.is_empty() && queued.len() + placed.len() > 0);
                self.named(entered, queued)
            }
            (Outcome::Flagged { modified: must }, Reply::Flagged { modified, .. }) if must == modified => Ok(()),
            _ => Err(format!("ticket {ticket}: replied {reply:?}, must be {must:?}")),
        }
    }

    fn rebuild_pending(&mut self) {
        self.pending = self.acknowledged.clone();
        for (_, wanted) in &self.open {
            self.pending.apply(wanted);
        }
    }

    /// Asks a query, which is answered at once.
    pub(super) fn ask(&mut self, request: Request) -> Result<Reply, String> {
        self.ticket += 1;
        let ticket = self.ticket;
        self.answer = None;
        self.feed(Input::Notice(Notice::Submit(Submission { ticket, request })))?;
        self.answer.take().ok_or_else(|| "a query was not answered at once".into())
    }

    /// Where the last batch was written.
    pub(super) fn last_ring_write(&self) -> &(DiskPath, u64) {
        &self.last_ring_write
    }

    /// The answer to the last query, if it has come.
    pub(super) fn last_answer(&self) -> Option<&Reply> {
        self.answer.as_ref()
    }

    /// A session opens a mailbox, and is shown exactly what is acknowledged.
    pub(super) fn open_session(&mut self, rng: &mut Rng) -> Checked {
        let accounts: Vec<AccountId> = self.acknowledged.accounts.keys().copied().collect();
        if accounts.is_empty() || self.sessions.len() > 6 {
            return Ok(());
        }
        let account = *rng.pick(&accounts);
        let mailboxes = &self.acknowledged.accounts[&account].mailboxes;
        let names: Vec<_> = mailboxes.values().map(|model| model.name.clone()).collect();
        let name = rng.pick(&names).clone();
        self.watches += 1;
        let watch = self.watches;
        let reply = self.ask(Request::Select {
            account,
            name: name.clone(),
            watch: Some(watch),
            take_recent: rng.percent(50),
        })?;
        let Reply::Selected(selected) = reply else {
            return Err(format!("SELECT of {} is answered {reply:?}", name.0));
        };
        self.compare(selected.mailbox, &selected.version)?;
        self.sessions.push(Session::new(watch, selected));
        Ok(())
    }

    /// A session pulls what has changed.
    pub(super) fn pull(&mut self, rng: &mut Rng) -> Checked {
        if self.sessions.is_empty() {
            return Ok(());
        }
        let index = rng.index(self.sessions.len());
        let (mailbox, since) = (self.sessions[index].mailbox, self.sessions[index].since());
        let reply = self.ask(Request::Changes {
            mailbox,
            since,
            take_recent: false,
        })?;
        let is_there = self.acknowledged.accounts[&mailbox.account]
            .mailboxes
            .contains_key(&mailbox.mailbox);
        if !is_there {
            self.sessions.remove(index);
            return match reply {
                Reply::Refused(Refused::NoSuchMailbox) => Ok(()),
                other => Err(format!("a pull of a deleted mailbox is answered {other:?}")),
            };
        }
        let Reply::Changed { changes, .. } = reply else {
            return Err(format!("a pull is answered {reply:?}"));
        };
        let version = self.sessions[index].apply(changes)?;
        self.compare(mailbox, &version)
    }

    // --- the oracle -------------------------------------------------------------------------------------------------------

    fn ready(&mut self, recovered: &Recovered) -> Checked {
        self.note(|| format!("ready {recovered:?}"));
        self.state = State::Running;
        self.counters.replayed += recovered.records;
        self.counters.torn += u64::from(recovered.torn_records > 0);
        Ok(())
    }
}

pub(super) fn brief(op: &DiskOp) -> String {
    match op {
        DiskOp::Write { path, offset, parts } => {
            let len: usize = parts.iter().map(|part| part.len()).sum();
            format!("Write {path} {offset}+{len}")
        }
        other => format!("{other:?}"),
    }
}

fn brief_request(request: &Request) -> String {
    match request {
        Request::Place {
            body,
            placements,
            queued,
            changes,
            ..
        } => {
            let (copies, queued) = (placements.len(), queued.len());
            format!("Place {} octets to {copies}, queued {queued}, changes {changes:?}", body.len)
        }
        other => format!("{other:?}"),
    }
}
