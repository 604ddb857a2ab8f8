//! All that the world's parts share, behind one lock that is never held while foreign code runs.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex};
use std::task::Waker;
use std::time::Duration;

use pillarbox_core::store::disk::DiskOp;
use pillarbox_core::time::Instant;

use super::datagram::Mailslot;
use super::executor::Task;
use super::net::Connection;
use super::trace::Trace;
use super::world::Ended;
use crate::disk::StrictDisk;
use crate::rng::Rng;

/// One run of a process, or the test itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Life(pub(super) u64);

impl Life {
    /// The test: it never ends, and its panics are the test's.
    pub(super) const TEST: Life = Life(0);
}

/// How the network behaves.
#[derive(Debug, Clone)]
pub struct Network {
    /// How long a piece travels.
    pub latency: Range<Duration>,
    /// A write is cut into pieces of at most so many bytes, and so is a read.
    pub piece: usize,
    /// Bytes that may be under way in one direction; a peer that does not read stops the other here.
    pub window: usize,
    /// Of a million pieces, so many are lost for good: both ends see a reset.
    pub resets_per_million: u64,
    /// Of a hundred datagrams, so many do not arrive.
    pub datagrams_lost_percent: u64,
}

impl Default for Network {
    fn default() -> Network {
        Network {
            latency: Duration::from_micros(50)..Duration::from_millis(3),
            piece: 16 * 1024,
            window: 64 * 1024,
            resets_per_million: 0,
            datagrams_lost_percent: 0,
        }
    }
}

/// How fast a disk is.
#[derive(Debug, Clone)]
pub struct DiskSpeed {
    /// For a sync of any kind.
    pub sync: Range<Duration>,
    /// For everything else.
    pub other: Range<Duration>,
    /// Of a hundred reads, so many find their bytes in memory.
    pub cached: u64,
}

impl Default for DiskSpeed {
    fn default() -> DiskSpeed {
        DiskSpeed {
            sync: Duration::from_micros(500)..Duration::from_millis(6),
            other: Duration::from_micros(5)..Duration::from_micros(300),
            cached: 50,
        }
    }
}

/// What happened to a world, as far as faults are concerned.
#[derive(Debug, Clone, Default)]
pub struct Happened {
    /// Connections that the network reset.
    pub resets: u64,
    /// Datagrams that did not arrive.
    pub datagrams_lost: u64,
    /// Ends of lives: of which node, and when, in nanoseconds.
    pub ends: Vec<(IpAddr, u64)>,
    /// Lines that lives read from those to whom they had connected, if the world was told to keep them
    /// ([`super::Nodes::keep_heard`]).
    pub heard: Vec<Heard>,
    /// Rare branches that were taken ([`pillarbox::env::Env::buggify`]), by their names: on which node, and when.
    pub buggified: BTreeMap<&'static str, Vec<(IpAddr, u64)>>,
}

/// A line that a process has read, whatever it makes of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard {
    /// Whose process.
    pub node: IpAddr,
    /// When, in nanoseconds.
    pub at: u64,
    /// The line, without its end.
    pub line: String,
}

/// Which rare branches are taken, and how often.
#[derive(Debug, Default)]
pub(super) struct Buggify {
    /// Of a hundred points, so many are in use; the seed picks them when they are first met.
    pub(super) points: u64,
    /// Of a hundred times that one in use is met, it is taken so often.
    pub(super) taken: u64,
    pub(super) in_use: BTreeMap<&'static str, bool>,
    /// Points that are in use on one node whatever the seed picked.
    pub(super) forced: BTreeSet<(IpAddr, &'static str)>,
}

/// A computer.
pub(super) struct Node {
    pub(super) name: String,
    pub(super) disk: StrictDisk,
    pub(super) speed: DiskSpeed,
    /// Operations that the disk has not finished.
    pub(super) under_way: BTreeMap<u64, DiskOp>,
    /// Asked after each operation: does the power go now?
    pub(super) fuse: Option<Box<dyn FnMut(&DiskOp) -> bool + Send>>,
    /// It is asked before each operation, which then does not happen.
    pub(super) fuse_before: bool,
    pub(super) life: Option<Life>,
    pub(super) ended: Option<Ended>,
    pub(super) panics: Vec<String>,
    /// Its wall clock is so many milliseconds ahead.
    pub(super) clock: i64,
}

pub(super) struct State {
    pub(super) now: u64,
    pub(super) rng: Rng,
    pub(super) trace: Trace,
    pub(super) fresh: Vec<Task>,
    pub(super) ended: Vec<Life>,
    pub(super) alive: BTreeMap<Life, IpAddr>,
    pub(super) nodes: BTreeMap<IpAddr, Node>,
    pub(super) network: Network,
    pub(super) cuts: BTreeSet<(IpAddr, IpAddr)>,
    pub(super) cut_wakers: Vec<Waker>,
    pub(super) happened: Happened,
    /// Lines from this port with these words are kept when they have been read.
    pub(super) keep_heard: Option<(u16, &'static str)>,
    pub(super) buggify: Buggify,
    pub(super) listeners: BTreeMap<SocketAddr, Listening>,
    pub(super) connections: BTreeMap<u64, Connection>,
    pub(super) datagrams: BTreeMap<SocketAddr, Mailslot>,
    /// What `resolv.conf` is on every node.
    pub(super) resolv_conf: String,
    timers: BTreeMap<(u64, u64), Waker>,
    numbers: u64,
}

/// A listening socket.
pub(super) struct Listening {
    pub(super) life: Life,
    pub(super) waiting: VecDeque<(u64, SocketAddr)>,
    pub(super) waker: Option<Waker>,
}

/// A timer that is set; naming it again moves it.
pub(super) type Timer = Option<(u64, u64)>;

/// The lock around it.
#[derive(Clone)]
pub(super) struct Shared(Arc<Mutex<State>>);

impl Shared {
    pub(super) fn new(seed: u64) -> Shared {
        Shared(Arc::new(Mutex::new(State {
            now: 0,
            rng: Rng::new(seed),
            trace: Trace::default(),
            fresh: Vec::new(),
            ended: Vec::new(),
            alive: BTreeMap::new(),
            nodes: BTreeMap::new(),
            network: Network::default(),
            cuts: BTreeSet::new(),
            cut_wakers: Vec::new(),
            happened: Happened::default(),
            keep_heard: None,
            buggify: Buggify::default(),
            listeners: BTreeMap::new(),
            connections: BTreeMap::new(),
            datagrams: BTreeMap::new(),
            resolv_conf: String::new(),
            timers: BTreeMap::new(),
            numbers: 0,
        })))
    }

    /// Looks at the state or changes it. Wakers may be woken inside; futures and streams must not be dropped inside.
    pub(super) fn with<T>(&self, work: impl FnOnce(&mut State) -> T) -> T {
        // A panic of a test while it looks at the state must not hide behind the poison.
        let mut state = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        work(&mut state)
    }

    /// Lets the time pass until the next timer; false when there is none.
    pub(super) fn jump(&self) -> bool {
        self.with(|state| {
            let Some(((at, _), waker)) = state.timers.pop_first() else {
                return false;
            };
            state.now = state.now.max(at);
            waker.wake();
            true
        })
    }
}

impl State {
    pub(super) fn number(&mut self) -> u64 {
        self.numbers += 1;
        self.numbers
    }

    pub(super) fn instant(&self) -> Instant {
        Instant(self.now)
    }

    pub(super) fn event(&mut self, event: std::fmt::Arguments<'_>) {
        self.trace.add(self.now, event);
    }

    /// A life that has ended does nothing more.
    pub(super) fn is_alive(&self, life: Life) -> bool {
        life == Life::TEST || self.alive.contains_key(&life)
    }

    /// How far a node's wall clock is ahead, in milliseconds.
    pub(super) fn clock(&self, ip: IpAddr) -> i64 {
        self.nodes.get(&ip).map_or(0, |node| node.clock)
    }

    /// Whether a rare branch is taken on a node.
    pub(super) fn buggify(&mut self, ip: IpAddr, point: &'static str) -> bool {
        let State { rng, buggify, .. } = self;
        let forced = buggify.forced.contains(&(ip, point));
        if buggify.points == 0 && !forced {
            return false;
        }
        let in_use = *buggify.in_use.entry(point).or_insert_with(|| rng.percent(buggify.points));
        let taken = forced && rng.percent(50) || in_use && rng.percent(buggify.taken);
        if taken {
            let now = self.now;
            self.happened.buggified.entry(point).or_default().push((ip, now));
            self.event(format_args!("{ip} takes the rare branch: {point}"));
        }
        taken
    }

    /// A duration from a range, in nanoseconds.
    pub(super) fn draw(&mut self, range: &Range<Duration>) -> u64 {
        let (from, to) = (nanos(range.start), nanos(range.end));
        from + self.rng.below((to.saturating_sub(from)).max(1))
    }

    /// Sets `timer` to go off at `at`.
    pub(super) fn set(&mut self, timer: &mut Timer, at: u64, waker: &Waker) {
        self.unset(timer);
        let key = (at, self.number());
        self.timers.insert(key, waker.clone());
        *timer = Some(key);
    }

    /// The timer does not go off.
    pub(super) fn unset(&mut self, timer: &mut Timer) {
        if let Some(key) = timer.take() {
            self.timers.remove(&key);
        }
    }

    pub(super) fn is_cut(&self, one: IpAddr, other: IpAddr) -> bool {
        self.cuts.contains(&(one.min(other), one.max(other)))
    }

    pub(super) fn panicked(&mut self, life: Life, task: &'static str, text: &str) {
        let Some(ip) = self.alive.get(&life).copied() else {
            return;
        };
        self.event(format_args!("{ip} task {task} panicked: {text}"));
        if let Some(node) = self.nodes.get_mut(&ip) {
            node.panics.push(format!("{task}: {text}"));
        }
    }

    /// Ends what runs on a node: its tasks, sockets and listeners are gone, its disk stays as it is.
    pub(super) fn end(&mut self, ip: IpAddr, why: Ended) {
        let Some(life) = self.nodes.get_mut(&ip).and_then(|node| node.life.take()) else {
            return;
        };
        self.event(format_args!("{ip} ends: {why:?}"));
        self.happened.ends.push((ip, self.now));
        self.alive.remove(&life);
        self.ended.push(life);
        if let Some(node) = self.nodes.get_mut(&ip) {
            node.ended = Some(why);
            node.under_way.clear();
        }
        self.listeners.retain(|_, listening| listening.life != life);
        self.datagrams.retain(|_, slot| slot.life != life);
        for connection in self.connections.values_mut().filter(|connection| connection.belongs_to(life)) {
            connection.reset();
        }
    }

    /// The power of a node goes: of what its disk had under way some happens, then its disk loses what is not durable.
    pub(super) fn power_loss(&mut self, ip: IpAddr) {
        let State { nodes, rng, .. } = self;
        let Some(node) = nodes.get_mut(&ip) else {
            return;
        };
        for op in std::mem::take(&mut node.under_way).into_values() {
            if rng.percent(50) {
                let _ = node.disk.perform(&op);
            }
        }
        node.disk.crash(rng);
        self.end(ip, Ended::PowerLoss);
    }
}

pub(super) fn nanos(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}
