//! What a test holds.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Deref;
use std::sync::{Arc, Mutex};
use std::task::Waker;

use pillarbox::env::Env;
use pillarbox_core::store::disk::DiskOp;

use super::datagram;
use super::dns::{self, Zone};
use super::env::SimEnv;
use super::executor::Executor;
use super::state::{DiskSpeed, Happened, Life, Network, Node, Shared};
use super::trace::Trace;
use crate::disk::StrictDisk;

/// How a life ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ended {
    /// It ended itself, with this code and text.
    Exit(i32, String),
    /// It was killed; its disk lost nothing.
    Killed,
    /// The power went.
    PowerLoss,
}

/// The world; see [`super`]. It owns the tasks: dropping it drops them.
pub struct World {
    nodes: Nodes,
    executor: Executor,
}

/// All that can be done to a world from inside one of its tasks, too.
#[derive(Clone)]
pub struct Nodes {
    shared: Shared,
}

impl Deref for World {
    type Target = Nodes;

    fn deref(&self) -> &Nodes {
        &self.nodes
    }
}

impl World {
    /// An empty world.
    pub fn new(seed: u64) -> World {
        let shared = Shared::new(seed);
        World {
            nodes: Nodes { shared },
            executor: Executor::default(),
        }
    }

    /// For use inside a task.
    pub fn nodes(&self) -> Nodes {
        self.nodes.clone()
    }

    /// Runs the world until this is done. Its panics are the caller's.
    ///
    /// # Panics
    /// When everything waits and nothing will happen.
    pub fn run<T: Send + 'static>(&mut self, test: impl Future<Output = T> + Send + 'static) -> T {
        let outcome = Arc::new(Mutex::new(None));
        let place = outcome.clone();
        self.client().spawn("test", async move {
            let value = test.await;
            *place.lock().expect("one thread") = Some(value);
        });
        let done = || outcome.lock().expect("one thread").is_some();
        self.executor.run(&self.nodes.shared, done);
        let value = outcome.lock().expect("one thread").take();
        value.expect("the executor returns when it is there")
    }
}

impl Drop for World {
    fn drop(&mut self) {
        drop(std::mem::take(&mut self.executor));
        // What was spawned since.
        let fresh = self.nodes.shared.with(|state| std::mem::take(&mut state.fresh));
        drop(fresh);
    }
}

impl Nodes {
    /// Adds a node: number 1 is `10.0.0.1`.
    ///
    /// # Panics
    /// When it is there.
    pub fn node(&self, number: u8, name: &str) -> IpAddr {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        let node = Node {
            name: name.to_owned(),
            disk: StrictDisk::new(),
            speed: DiskSpeed::default(),
            under_way: BTreeMap::new(),
            fuse: None,
            fuse_before: false,
            life: None,
            ended: None,
            panics: Vec::new(),
            clock: 0,
        };
        let before = self.shared.with(|state| state.nodes.insert(ip, node));
        assert!(before.is_none(), "two nodes {ip}");
        ip
    }

    /// Begins a life on a node.
    ///
    /// # Panics
    /// When the node has one.
    pub fn start<F: Future<Output = ()> + Send + 'static>(&self, ip: IpAddr, main: impl FnOnce(SimEnv) -> F) {
        let life = self.shared.with(|state| {
            let life = Life(state.number());
            let node = state.nodes.get_mut(&ip).expect("a node of this world");
            assert!(node.life.is_none(), "{} runs already", node.name);
            node.life = Some(life);
            node.ended = None;
            let name = node.name.clone();
            state.alive.insert(life, ip);
            state.event(format_args!("{ip} {name} starts"));
            life
        });
        let env = SimEnv::new(&self.shared, life, ip);
        let main = main(env.clone());
        env.spawn("main", main);
    }

    /// A DNS server on a node of its own, number 53, which every node's `resolv.conf` names; its address.
    pub fn dns(&self, zone: Zone) -> SocketAddr {
        let ip = self.node(53, "dns");
        self.start(ip, |env| dns::server::serve_zone(env, zone));
        self.set_resolv_conf(&format!("nameserver {ip}\n"));
        SocketAddr::new(ip, 53)
    }

    /// What stands in `resolv.conf` of every node from now on.
    pub fn set_resolv_conf(&self, text: &str) {
        self.shared.with(|state| state.resolv_conf = text.to_owned());
    }

    /// Puts a datagram on its way whose sender is a lie.
    pub fn forge(&self, from: SocketAddr, to: SocketAddr, bytes: &[u8]) {
        datagram::send(&self.shared, from, to, bytes);
    }

    /// The environment of the test itself, on a node of its own, number 200.
    pub fn client(&self) -> SimEnv {
        self.client_at(200, "client")
    }

    /// An environment of the test on the node with this number, which is made if there is none.
    pub fn client_at(&self, number: u8, name: &str) -> SimEnv {
        let ip = IpAddr::V4(Ipv4Addr::new(10, 0, 0, number));
        if self.shared.with(|state| !state.nodes.contains_key(&ip)) {
            self.node(number, name);
        }
        SimEnv::new(&self.shared, Life::TEST, ip)
    }

    /// No text is kept of what happens from now on: the trace's hash is of times alone.
    pub fn quieten(&self) {
        self.shared.with(|state| state.trace.quieten());
    }

    /// From now on lines with these words that come from this port, in the clear or behind TLS, are kept once they have been read by a
    /// life that connected there ([`Happened::heard`]).
    pub fn keep_heard(&self, port: u16, words: &'static str) {
        self.shared.with(|state| state.keep_heard = Some((port, words)));
    }

    /// What happened so far.
    pub fn happened(&self) -> Happened {
        self.shared.with(|state| state.happened.clone())
    }

    /// Lets the wall clock of a node jump by so many milliseconds.
    pub fn jump_clock(&self, ip: IpAddr, by: i64) {
        self.shared.with(|state| {
            state.nodes.get_mut(&ip).expect("a node of this world").clock += by;
            state.event(format_args!("{ip} its clock jumps by {by} ms"));
        });
    }

    /// How far a node's wall clock is ahead, in milliseconds.
    pub fn clock(&self, ip: IpAddr) -> i64 {
        self.shared.with(|state| state.clock(ip))
    }

    /// From now on so many of a hundred rare branches are in use, each taken so many of a hundred times.
    pub fn set_buggify(&self, points: u64, taken: u64) {
        self.shared.with(|state| {
            state.buggify.points = points;
            state.buggify.taken = taken;
        });
    }

    /// A rare branch is in use on a node, or no more than the seed says.
    pub fn force(&self, ip: IpAddr, point: &'static str, on: bool) {
        self.shared.with(|state| match on {
            true => _ = state.buggify.forced.insert((ip, point)),
            false => _ = state.buggify.forced.remove(&(ip, point)),
        });
    }

    /// How many events so far.
    pub fn events(&self) -> u64 {
        self.shared.with(|state| state.trace.count())
    }

    /// Kills what runs on a node; the disk loses nothing.
    pub fn kill(&self, ip: IpAddr) {
        self.shared.with(|state| state.end(ip, Ended::Killed));
    }

    /// The power of a node goes.
    pub fn power_loss(&self, ip: IpAddr) {
        self.shared.with(|state| state.power_loss(ip));
    }

    /// The power of a node goes right behind the first disk operation for which this holds.
    pub fn power_loss_after(&self, ip: IpAddr, fuse: impl FnMut(&DiskOp) -> bool + Send + 'static) {
        self.set_fuse(ip, false, fuse);
    }

    /// The power of a node goes in place of the first disk operation for which this holds.
    pub fn power_loss_before(&self, ip: IpAddr, fuse: impl FnMut(&DiskOp) -> bool + Send + 'static) {
        self.set_fuse(ip, true, fuse);
    }

    fn set_fuse(&self, ip: IpAddr, before: bool, fuse: impl FnMut(&DiskOp) -> bool + Send + 'static) {
        self.shared.with(|state| {
            let node = state.nodes.get_mut(&ip).expect("a node of this world");
            node.fuse = Some(Box::new(fuse));
            node.fuse_before = before;
        });
    }

    /// How the last life of a node ended; `None` while one runs.
    pub fn ended(&self, ip: IpAddr) -> Option<Ended> {
        self.shared.with(|state| state.nodes[&ip].ended.clone())
    }

    /// Panics of tasks of a node so far.
    pub fn panics(&self, ip: IpAddr) -> Vec<String> {
        self.shared.with(|state| state.nodes[&ip].panics.clone())
    }

    /// Looks at a node's disk, or changes it.
    pub fn disk<T>(&self, ip: IpAddr, work: impl FnOnce(&mut StrictDisk) -> T) -> T {
        self.shared
            .with(|state| work(&mut state.nodes.get_mut(&ip).expect("a node of this world").disk))
    }

    /// Sets a disk's speed.
    pub fn set_speed(&self, ip: IpAddr, speed: DiskSpeed) {
        self.shared
            .with(|state| state.nodes.get_mut(&ip).expect("a node of this world").speed = speed);
    }

    /// Sets how the network behaves from now on.
    pub fn set_network(&self, network: Network) {
        self.shared.with(|state| state.network = network);
    }

    /// The power of a node does not go on its own any more.
    pub fn no_fuse(&self, ip: IpAddr) {
        self.shared
            .with(|state| state.nodes.get_mut(&ip).expect("a node of this world").fuse = None);
    }

    /// Changes how the network behaves from now on.
    pub fn change_network(&self, change: impl FnOnce(&mut Network)) {
        self.shared.with(|state| change(&mut state.network));
    }

    /// Puts a line into the trace.
    pub fn note(&self, line: std::fmt::Arguments<'_>) {
        self.shared.with(|state| state.event(line));
    }

    /// Nothing gets from one node to the other any more.
    pub fn cut(&self, one: IpAddr, other: IpAddr) {
        self.shared.with(|state| {
            state.cuts.insert((one.min(other), one.max(other)));
            state.event(format_args!("{one} and {other} are cut"));
        });
    }

    /// A cut is over.
    pub fn join(&self, one: IpAddr, other: IpAddr) {
        self.shared.with(|state| {
            state.cuts.remove(&(one.min(other), one.max(other)));
            state.event(format_args!("{one} and {other} are joined"));
            state.cut_wakers.drain(..).for_each(Waker::wake);
        });
    }

    /// All cuts are over.
    pub fn heal(&self) {
        self.shared.with(|state| {
            state.cuts.clear();
            state.event(format_args!("the network is whole"));
            state.cut_wakers.drain(..).for_each(Waker::wake);
        });
    }

    /// What happened so far.
    pub fn trace(&self) -> Trace {
        self.shared.with(|state| state.trace.clone())
    }
}
