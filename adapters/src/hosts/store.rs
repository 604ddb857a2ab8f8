//! Runs the committer, and reads what it has published.
//!
//! ```text
//! sessions --submit--> inbox --> committer --Ask::Disk--> lanes (one task each) --answers--> inbox
//!                                    |--Reply--> the submission's future      |--Notify--> Sessions
//!                                    |--Hold, Release--> bytes not yet in packs    |--Queue--> the scheduler
//! ```

use std::collections::BTreeMap;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::sync::{Arc, Mutex, PoisonError};

use async_channel::{Receiver, Sender};
use futures_lite::FutureExt;
use pillarbox_core::limits;
use pillarbox_core::machine::{Answer, Input, Machine, Output, Slot};
use pillarbox_core::store::committer::ask::{Ask, DiskReply, Lane, Notice, QueueEvent, Recovered, Value};
use pillarbox_core::store::committer::{Committer, Settings};
use pillarbox_core::store::disk::{DiskOp, DiskPath, DiskValue};
use pillarbox_core::store::request::{BodyBytes, Refused, Reply, Request, Submission};
use pillarbox_core::store::{AccountId, layout};
use pillarbox_core::time::Instant;

use super::budget::Budget;
use super::digests::Digests;
use super::event_or_deadline;
use super::sessions::Sessions;
use crate::env::{Disk, Env};

/// Exit code of a fail-stop (`EX_SOFTWARE`).
const EXIT_INTERNAL: i32 = 70;

/// Operations of a lane that are performed as one job: few enough that the first answer does not wait long.
const LANE_RUN: usize = 16;

/// A server's store; cheap to clone.
pub struct Store<E: Env> {
    pub(super) env: E,
    pub(super) settings: Settings,
    pub(super) budget: Budget,
    pub(super) digests: Arc<Digests>,
    inbox: Sender<Event>,
    queue_events: Receiver<QueueEvent>,
    held: Arc<Mutex<Held>>,
    space: Arc<Mutex<Option<Space>>>,
    pub(super) durable: Arc<Mutex<std::collections::BTreeSet<DiskPath>>>,
}

/// Bytes that are durable in the journal but may not be in their pack: account, pack, offset -> prefix, body.
type Held = BTreeMap<(AccountId, u32, u64), (Arc<[u8]>, Arc<[u8]>)>;

/// What is known of free space, and since when.
#[derive(Debug, Clone, Copy)]
struct Space {
    free: u64,
    total: u64,
    free_inodes: u64,
    at: Instant,
}

impl<E: Env> Clone for Store<E> {
    fn clone(&self) -> Self {
        Store {
            env: self.env.clone(),
            settings: self.settings,
            budget: self.budget.clone(),
            digests: self.digests.clone(),
            inbox: self.inbox.clone(),
            queue_events: self.queue_events.clone(),
            held: self.held.clone(),
            space: self.space.clone(),
            durable: self.durable.clone(),
        }
    }
}

/// What comes to the committer's task.
enum Event {
    Submit { request: Request, reply: Sender<Reply> },
    Disk(Answer<Value>),
    Shutdown,
}

/// A started store.
pub struct Started<E: Env> {
    /// To submit to and to read from.
    pub store: Store<E>,
    /// What recovery found.
    pub recovered: Recovered,
    /// Closed when the committer has ended after [`Store::shutdown`].
    pub ended: Receiver<()>,
}

impl<E: Env> Store<E> {
    /// Starts the committer and waits for recovery. `None`: it was stopped before that.
    pub async fn start(env: E, settings: Settings, sessions: Arc<Sessions>) -> Option<Started<E>> {
        let (inbox, events) = async_channel::unbounded();
        let (queue, queue_events) = async_channel::unbounded();
        let (ready, recovered) = async_channel::bounded(1);
        let (ending, ended) = async_channel::bounded(1);
        let store = Store {
            env: env.clone(),
            settings,
            budget: Budget::new(limits::SINK_MEMORY),
            digests: Arc::new(Digests::new(limits::DIGEST_CACHE)),
            inbox,
            queue_events,
            held: Arc::default(),
            space: Arc::default(),
            durable: Arc::default(),
        };
        let task = Task {
            lanes: [Lane::Ring, Lane::Settle, Lane::Checkpoint].map(|lane| store.lane(lane)),
            store: store.clone(),
            sessions,
            queue,
            open: BTreeMap::new(),
            next: 0,
            ready: Some(ready),
        };
        env.spawn(
            "committer",
            end_with(env.clone(), "the committer panicked", async move {
                task.run(events).await;
                drop(ending);
            }),
        );
        let recovered = recovered.recv().await.ok()?;
        Some(Started { store, recovered, ended })
    }

    /// Hands a request over at once; the reply comes later, and the request runs to its end even if nobody waits for it.
    pub fn submit(&self, request: Request) -> impl Future<Output = Reply> + Send + use<E> {
        let (reply, answered) = async_channel::bounded(1);
        if may_be_refused(&request) && self.env.buggify("the store's queue is full") {
            let full = Refused::Limit("too many requests are waiting".into());
            // There is room for one.
            let _ = reply.try_send(Reply::Refused(full));
            return reply_of(true, answered);
        }
        let sent = self.inbox.try_send(Event::Submit { request, reply }).is_ok();
        reply_of(sent, answered)
    }

    /// What happens to the queue, in order, from the start on; for one listener, the scheduler.
    pub fn queue_events(&self) -> Receiver<QueueEvent> {
        self.queue_events.clone()
    }

    /// Asks the committer to finish what is open and to end.
    pub fn shutdown(&self) {
        // A committer that has ended already needs no word.
        let _ = self.inbox.try_send(Event::Shutdown);
    }

    /// The prefix and body at a place, while they may not be in the pack.
    pub(super) fn held(&self, account: AccountId, pack: u32, offset: u64) -> Option<(Arc<[u8]>, Arc<[u8]>)> {
        let held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.get(&(account, pack, offset)).cloned()
    }

    /// Whether a message of this size can be taken; looks at the disk once in [`limits::SPACE_AGE`].
    pub(super) async fn has_space(&self, size: u64) -> bool {
        let now = self.env.now().instant;
        let known = *self.space.lock().unwrap_or_else(PoisonError::into_inner);
        let space = match known.filter(|space| now.since(space.at) < limits::SPACE_AGE) {
            Some(space) => space,
            None => {
                let Ok(DiskValue::Space {
                    free,
                    total,
                    free_inodes,
                }) = self.env.disk().perform(DiskOp::FreeSpace).await
                else {
                    return true; // the committer judges again, with its own look at the disk
                };
                let space = Space {
                    free,
                    total,
                    free_inodes,
                    at: now,
                };
                *self.space.lock().unwrap_or_else(PoisonError::into_inner) = Some(space);
                space
            }
        };
        let least = self
            .settings
            .free_bytes_min
            .max(space.total / 100 * self.settings.free_percent_min);
        space.free >= least.saturating_add(size) && space.free_inodes > 0
    }

    /// A task that performs a lane's operations one by one.
    fn lane(&self, lane: Lane) -> Sender<(DiskOp, Slot<DiskReply>)> {
        let (asked, operations) = async_channel::unbounded::<(DiskOp, Slot<DiskReply>)>();
        let (env, disk, inbox) = (self.env.clone(), self.env.disk().clone(), self.inbox.clone());
        let name = match lane {
            Lane::Ring => "lane ring",
            Lane::Settle => "lane settle",
            Lane::Checkpoint => "lane checkpoint",
        };
        let work = async move {
            while let Ok(first) = operations.recv().await {
                // What has been asked meanwhile goes with it: one way to the disk's threads and back.
                let all = std::iter::once(first).chain(std::iter::from_fn(|| operations.try_recv().ok()));
                let run = if env.buggify("a disk lane does one thing at a time") {
                    1
                } else {
                    LANE_RUN
                };
                let (ops, slots): (Vec<_>, Vec<_>) = all.take(run).unzip();
                for (done, then) in disk.perform_all(ops).await.into_iter().zip(slots) {
                    if inbox.send(Event::Disk(then.answer(DiskReply(done)))).await.is_err() {
                        return;
                    }
                }
            }
        };
        self.env
            .spawn(name, end_with(self.env.clone(), "a disk operation panicked", work));
        asked
    }
}

/// The task that runs the committer.
struct Task<E: Env> {
    store: Store<E>,
    sessions: Arc<Sessions>,
    lanes: [Sender<(DiskOp, Slot<DiskReply>)>; 3],
    queue: Sender<QueueEvent>,
    open: BTreeMap<u64, Open>,
    next: u64,
    ready: Option<Sender<Recovered>>,
}

/// An open submission.
struct Open {
    reply: Sender<Reply>,
    /// The session that will watch what this opens.
    watch: Option<u64>,
}

impl<E: Env> Task<E> {
    async fn run(mut self, events: Receiver<Event>) {
        let env = self.store.env.clone();
        let mut committer = Committer::new(self.store.settings, 0, env.now());
        loop {
            let until = loop {
                match committer.poll() {
                    Output::Ask(ask) => self.perform(ask),
                    Output::Wait(wait) => break wait.until,
                    Output::Close(_) => return,
                    Output::Body(_) => panic!("a committer has no body"),
                }
            };
            let input = match event_or_deadline(&env, &events, until).await {
                Some(Event::Submit { request, reply }) => Input::Notice(Notice::Submit(self.open(request, reply))),
                Some(Event::Disk(answer)) => Input::Answer(answer),
                Some(Event::Shutdown) => Input::Notice(Notice::Shutdown),
                None => Input::Tick,
            };
            committer.handle(env.now(), input);
        }
    }

    fn open(&mut self, request: Request, reply: Sender<Reply>) -> Submission {
        self.next += 1;
        let ticket = self.next;
        let watch = match &request {
            Request::Select { watch, .. } => *watch,
            Request::CreateAccount { .. }
            | Request::Place { .. }
            | Request::SetFlags { .. }
            | Request::Expunge { .. }
            | Request::Mailboxes(_)
            | Request::Changes { .. }
            | Request::Tree { .. }
            | Request::Transfer { .. }
            | Request::Unwatch { .. }
            | Request::ChangeQueue(_)
            | Request::Queue => None,
        };
        self.open.insert(ticket, Open { reply, watch });
        Submission { ticket, request }
    }

    fn perform(&mut self, ask: Ask) {
        match ask {
            Ask::Disk { lane, op, then } => {
                let lane = match lane {
                    Lane::Ring => &self.lanes[0],
                    Lane::Settle => &self.lanes[1],
                    Lane::Checkpoint => &self.lanes[2],
                };
                // A lane ends only with this task, unless a disk operation panicked: then no answer may be invented.
                if lane.try_send((op, then)).is_err() {
                    self.store.env.exit(EXIT_INTERNAL, "a disk lane has ended");
                }
            }
            Ask::Ready(recovered) => {
                if let Some(ready) = self.ready.take() {
                    let _ = ready.try_send(recovered);
                }
            }
            Ask::Reply { ticket, reply } => self.reply(ticket, reply),
            Ask::Notify { watch, mailbox, lsn } => {
                if !self.sessions.changed(watch, mailbox, lsn) {
                    self.unwatch(watch, mailbox);
                }
            }
            Ask::Hold {
                account,
                pack,
                offset,
                prefix,
                body,
            } => {
                let mut held = self.store.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.insert((account, pack, offset), (prefix, body));
            }
            Ask::Release { account, pack, offset } => {
                let mut held = self.store.held.lock().unwrap_or_else(PoisonError::into_inner);
                held.remove(&(account, pack, offset));
            }
            // The store holds a receiver itself: the channel is never closed.
            Ask::Queue(event) => _ = self.queue.try_send(event),
            Ask::Stop(why) => self.store.env.exit(EXIT_INTERNAL, &why),
        }
    }

    fn reply(&mut self, ticket: u64, reply: Reply) {
        let Some(open) = self.open.remove(&ticket) else { return };
        if let (Reply::Selected(selected), Some(watch)) = (&reply, open.watch)
            && !self.sessions.watching(watch, selected.mailbox)
        {
            self.unwatch(watch, selected.mailbox);
        }
        // Nobody waits when the connection is lost.
        let _ = open.reply.try_send(reply);
    }

    /// Ends the watch of a session that has ended.
    fn unwatch(&self, watch: u64, mailbox: pillarbox_core::store::MailboxKey) {
        drop(self.store.submit(Request::Unwatch { mailbox, watch }));
    }
}

async fn reply_of(sent: bool, answered: Receiver<Reply>) -> Reply {
    match sent {
        true => answered.recv().await.unwrap_or(Reply::Refused(Refused::Stopping)),
        false => Reply::Refused(Refused::Stopping),
    }
}

/// Whether a committer with too many waiting requests ([`limits::WAITING`]) leaves nothing behind when it refuses this one.
fn may_be_refused(request: &Request) -> bool {
    match request {
        Request::Place { body, .. } => matches!(body.bytes, BodyBytes::Inline(_)),
        Request::SetFlags { .. }
        | Request::Expunge { .. }
        | Request::ChangeQueue(_)
        | Request::Tree { .. }
        | Request::Transfer { .. } => true,
        Request::CreateAccount { .. }
        | Request::Queue
        | Request::Mailboxes(_)
        | Request::Select { .. }
        | Request::Changes { .. }
        | Request::Unwatch { .. } => false,
    }
}

/// A task without which nothing more can be committed: its panic ends the process.
async fn end_with<E: Env>(env: E, why: &'static str, task: impl Future<Output = ()> + Send) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        env.exit(EXIT_INTERNAL, why);
    }
}

/// The directories above a path, from the root down, without the root.
pub(super) fn directories(path: &DiskPath) -> Vec<DiskPath> {
    let slashes = path.0.match_indices('/').map(|(index, _)| index);
    slashes.map(|index| DiskPath::new(&path.0[..index])).collect()
}

/// A random spool of this store.
pub(super) fn random_spool<E: Env>(env: &E) -> DiskPath {
    let mut number = [0; 16];
    env.entropy(&mut number);
    layout::spool(u128::from_le_bytes(number))
}
