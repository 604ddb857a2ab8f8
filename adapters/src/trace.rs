//! Recording sessions to files below the data directory: which, how much, and the writer.
//!
//! ```text
//! session ──Recorder──► pieces of 64 KiB ──queue──► writer ──► records/NAME.part ──kept──► records/NAME.trace
//!                          the last one decides: kept or not           └──not kept──► removed
//! ```
//!
//! A session waits for nothing here. What the disk cannot take ends the recording, never the session. A short session that is not
//! kept never touches the disk.

use std::collections::{BTreeSet, VecDeque};
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use async_channel::{Receiver, Sender};
use pillarbox_core::limits;
use pillarbox_core::machine::Reason;
use pillarbox_core::store::disk::{DiskError, DiskOp, DiskPath, DiskValue};
use pillarbox_core::time::Now;
use pillarbox_core::trace::recorder::{Spool, Told};
use pillarbox_core::trace::{Kind, Recordable, Recorder, Tape};

use crate::config::Recording;
use crate::env::{Disk, Env};

/// Where recordings are, below the data directory.
pub const FOLDER: &str = "records";
/// How the name of a recording ends.
pub const SUFFIX: &str = ".trace";
/// The program in a recording's header.
pub const PROGRAM: &str = concat!("pillarbox ", env!("CARGO_PKG_VERSION"));

/// The recordings of one server.
pub struct Records {
    rules: Recording,
    sessions: AtomicU64,
    jobs: Sender<Job>,
    queued: Arc<AtomicU64>,
    ended: Receiver<()>,
}

/// What the writer does.
enum Job {
    Append { name: Arc<str>, offset: u64, bytes: Vec<u8> },
    Keep { name: Arc<str>, offset: u64, bytes: Vec<u8> },
    Remove { name: Arc<str> },
    Stop,
}

impl Records {
    /// Starts the writer; `None`: nothing is to be recorded.
    pub fn start<E: Env>(env: &E, rules: &Recording) -> Option<Arc<Records>> {
        if rules.one_in == 0 {
            return None;
        }
        let (jobs, waiting) = async_channel::unbounded();
        let (ending, ended) = async_channel::bounded(1);
        let queued = Arc::<AtomicU64>::default();
        let writer = Writer {
            env: env.clone(),
            keep: rules.keep,
            kept: VecDeque::new(),
            total: 0,
            queued: queued.clone(),
            failing: false,
            broken: BTreeSet::new(),
        };
        env.spawn("records", async move {
            writer.run(waiting).await;
            drop(ending);
        });
        Some(Arc::new(Records {
            rules: rules.clone(),
            sessions: AtomicU64::new(0),
            jobs,
            queued,
            ended,
        }))
    }

    /// Whether a session with this peer may be recorded.
    fn takes(&self, peer: IpAddr) -> bool {
        let peers = &self.rules.peers;
        if !peers.is_empty() && !peers.iter().any(|network| network.contains(peer)) {
            return false;
        }
        let number = self.sessions.fetch_add(1, Ordering::Relaxed);
        number.is_multiple_of(u64::from(self.rules.one_in))
    }

    /// Everything that has ended is on the disk.
    pub async fn stop(&self) {
        // The writer's end closes the channel; nothing is ever sent on it.
        let _ = self.jobs.try_send(Job::Stop);
        let _ = self.ended.recv().await;
    }
}

/// Begins a machine, recorded if it is to be.
pub fn begin<M: Recordable + 'static>(
    records: Option<&Arc<Records>>,
    peer: IpAddr,
    number: u64,
    now: Now,
    new: M::New,
) -> (M, Option<Box<dyn Tape<M>>>) {
    match records.filter(|records| records.takes(peer)) {
        None => (M::begin(new), None),
        Some(records) => {
            let file = File {
                records: records.clone(),
                name: name(now, number, M::KIND).into(),
                written: 0,
                last: Vec::new(),
            };
            let (machine, recorder) = Recorder::begin(PROGRAM, now, new, Box::new(file));
            (machine, Some(Box::new(recorder)))
        }
    }
}

/// Names sort by time.
fn name(now: Now, number: u64, kind: Kind) -> String {
    format!("{:013}-{number:06}-{}", now.unix.0.max(0), kind.name())
}

/// One recording on its way to the disk.
struct File {
    records: Arc<Records>,
    name: Arc<str>,
    /// Octets handed to the writer.
    written: u64,
    /// The piece behind them.
    last: Vec<u8>,
}

impl Spool for File {
    fn write(&mut self, bytes: Vec<u8>) -> bool {
        let piece = std::mem::replace(&mut self.last, bytes);
        if piece.is_empty() {
            return true;
        }
        let octets = piece.len() as u64;
        let (name, offset) = (self.name.clone(), self.written);
        let taken = self.send(Job::Append {
            name,
            offset,
            bytes: piece,
        });
        if taken {
            self.written += octets;
        } else {
            self.last = Vec::new(); // nothing behind a hole is of use
        }
        taken
    }

    fn end(&mut self, told: Told) {
        let bytes = std::mem::take(&mut self.last);
        let (name, offset) = (self.name.clone(), self.written);
        if self.is_wanted(&told) && !bytes.is_empty() {
            if self.send(Job::Keep { name, offset, bytes }) {
                return;
            }
            tracing::warn!(
                recording = &*self.name,
                "the disk is too slow: this session's recording is lost"
            );
        }
        if self.written > 0 {
            let name = self.name.clone();
            // Only a server that has stopped does not take it.
            let _ = self.records.jobs.try_send(Job::Remove { name });
        }
    }
}

impl File {
    /// Whether the writer takes it: it may have too much to do.
    fn send(&self, job: Job) -> bool {
        let octets = match &job {
            Job::Append { bytes, .. } | Job::Keep { bytes, .. } => bytes.len() as u64,
            Job::Remove { .. } | Job::Stop => 0,
        };
        let queued = &self.records.queued;
        if queued.load(Ordering::Relaxed) + octets > limits::TRACE_QUEUED {
            return false;
        }
        queued.fetch_add(octets, Ordering::Relaxed);
        self.records.jobs.try_send(job).is_ok()
    }

    fn is_wanted(&self, told: &Told) -> bool {
        let rules = &self.records.rules;
        let account = told.said.account.as_deref();
        let account_fits = rules.accounts.is_empty()
            || rules.accounts.iter().any(|wanted| {
                let wanted = wanted.to_string();
                account.is_some_and(|account| account.eq_ignore_ascii_case(&wanted))
            });
        let failed = match told.why {
            // The recording ended early: what came later is not known.
            None => true,
            Some(Reason::Quit | Reason::PeerGone | Reason::Shutdown) => told.said.refused,
            Some(
                Reason::Refused
                | Reason::Timeout(_)
                | Reason::StartTlsInjection
                | Reason::TlsFailed
                | Reason::EarlyTalker
                | Reason::NotOurProtocol
                | Reason::TooManyLogins
                | Reason::Limit(_)
                | Reason::BodyFailed,
            ) => true,
        };
        account_fits && (failed || !rules.refused_only)
    }
}

/// The one task that writes.
struct Writer<E: Env> {
    env: E,
    keep: u64,
    /// Recordings and their sizes, oldest first.
    kept: VecDeque<(String, u64)>,
    total: u64,
    queued: Arc<AtomicU64>,
    /// The last write failed.
    failing: bool,
    /// Recordings that have a hole.
    broken: BTreeSet<Arc<str>>,
}

fn path(name: &str, suffix: &str) -> DiskPath {
    DiskPath::new(format!("{FOLDER}/{name}{suffix}"))
}

const PART: &str = ".part";

impl<E: Env> Writer<E> {
    async fn run(mut self, jobs: Receiver<Job>) {
        let found = self.find().await;
        self.told(found);
        while let Ok(job) = jobs.recv().await {
            let done = match job {
                Job::Stop => return,
                Job::Append { name, offset, bytes } => {
                    let done = self.write(path(&name, PART), offset, bytes).await;
                    if done.is_err() {
                        self.broken.insert(name);
                    }
                    done
                }
                Job::Keep { name, offset, bytes } if self.broken.is_empty() || !self.broken.remove(&name) => {
                    self.finish(&name, offset, bytes).await
                }
                Job::Keep { name, bytes, .. } => {
                    self.queued.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
                    self.remove(&name).await
                }
                Job::Remove { name } => {
                    self.broken.remove(&name);
                    self.remove(&name).await
                }
            };
            self.told(done);
        }
    }

    fn told(&mut self, done: Result<(), DiskError>) {
        match done {
            Ok(()) => self.failing = false,
            Err(error) if !self.failing => {
                self.failing = true;
                tracing::warn!(%error, "a recording cannot be written (record.sessions)");
            }
            Err(_) => {}
        }
    }

    async fn perform(&self, op: DiskOp) -> Result<DiskValue, DiskError> {
        self.env.disk().perform(op).await
    }

    async fn write(&self, path: DiskPath, offset: u64, bytes: Vec<u8>) -> Result<(), DiskError> {
        self.queued.fetch_sub(bytes.len() as u64, Ordering::Relaxed);
        let parts = vec![bytes.into()];
        self.perform(DiskOp::Write { path, offset, parts }).await.map(drop)
    }

    async fn remove(&self, name: &str) -> Result<(), DiskError> {
        match self.perform(DiskOp::Unlink(path(name, PART))).await {
            Ok(_) | Err(DiskError::NotFound) => Ok(()),
            Err(error) => Err(error),
        }
    }

    async fn finish(&mut self, name: &str, offset: u64, bytes: Vec<u8>) -> Result<(), DiskError> {
        let size = offset + bytes.len() as u64;
        self.write(path(name, PART), offset, bytes).await?;
        let (from, to) = (path(name, PART), path(name, SUFFIX));
        self.perform(DiskOp::Rename { from, to }).await?;
        self.kept.push_back((name.to_string(), size));
        self.total += size;
        self.rotate().await
    }

    /// Removes the oldest, until the rest fits.
    async fn rotate(&mut self) -> Result<(), DiskError> {
        while self.total > self.keep || self.kept.len() > limits::TRACES {
            let Some((name, size)) = self.kept.pop_front() else { break };
            self.total -= size;
            match self.perform(DiskOp::Unlink(path(&name, SUFFIX))).await {
                Ok(_) | Err(DiskError::NotFound) => {} // somebody else may have removed it
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    /// What earlier runs have left.
    async fn find(&mut self) -> Result<(), DiskError> {
        self.perform(DiskOp::MakeDir(DiskPath::new(FOLDER))).await?;
        let DiskValue::Names(names) = self.perform(DiskOp::ReadDir(DiskPath::new(FOLDER))).await? else {
            return Ok(());
        };
        for name in names {
            if let Some(name) = name.strip_suffix(PART) {
                self.perform(DiskOp::Unlink(path(name, PART))).await?;
            } else if let Some(name) = name.strip_suffix(SUFFIX)
                && let DiskValue::Length(size) = self.perform(DiskOp::Length(path(name, SUFFIX))).await?
            {
                self.kept.push_back((name.to_string(), size));
                self.total += size;
            }
        }
        self.rotate().await
    }
}
