//! A virtual clock, pipes in memory, and a session that is polled by hand.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};
use pillarbox_core::machine::{Close, Reason};
use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::store::disk::{DiskDone, DiskOp, DiskPath};
use pillarbox_core::time::{Instant, Now};

use super::toy::{Toy, ToyHost};
use crate::drive::{StartTls, drive};
use crate::env::{Alpn, Datagram, Disk, Env, PasswordHash};

/// A session under test, polled by hand, and its peer.
pub(super) struct Session {
    pub(super) world: World,
    pub(super) peer: Peer,
    pub(super) host: ToyHost,
    log: Arc<Mutex<Vec<String>>>,
    task: Option<Pin<Box<dyn Future<Output = Close>>>>,
    close: Option<Close>,
    woken: Arc<Woken>,
}

struct Woken(AtomicBool);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Session {
    pub(super) fn start(world: World, capacity: usize, toy: Toy, host: ToyHost) -> Session {
        let (stream, peer) = pipe(capacity);
        let log = toy.log.clone();
        let (env, its_host) = (world.clone(), host.clone());
        let task = Box::pin(async move {
            let start_tls = StartTls::Accept {
                server: (),
                alpn: Alpn::Ignore,
            };
            drive(&env, stream, toy, its_host, Some(&start_tls), None).await
        });
        let woken = Arc::new(Woken(AtomicBool::new(true)));
        Session {
            world,
            peer,
            host,
            log,
            task: Some(task),
            close: None,
            woken,
        }
    }

    /// Polls while it is woken; says how often.
    pub(super) fn run(&mut self) -> usize {
        let waker = Waker::from(self.woken.clone());
        let mut polls = 0;
        while self.woken.0.swap(false, Ordering::Relaxed) {
            polls += 1;
            assert!(polls < 10_000, "it spins");
            let Some(task) = &mut self.task else { break };
            if let Poll::Ready(close) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
                self.close = Some(close);
                self.task = None;
            }
        }
        polls
    }

    /// Lets time pass, then runs.
    pub(super) fn pass(&mut self, time: Duration) {
        self.world.pass(time);
        self.run();
    }

    pub(super) fn closed(&self) -> Option<Reason> {
        self.close.map(|close| close.why)
    }

    pub(super) fn log(&self) -> Vec<String> {
        self.log.lock().unwrap().clone()
    }
}

/// A virtual clock, and a fake encryption.
#[derive(Clone, Default)]
pub(super) struct World {
    shared: Arc<Mutex<Clock>>,
}

#[derive(Default)]
struct Clock {
    now: Instant,
    sleepers: Vec<Waker>,
    timers_made: u32,
    refuse_tls: bool,
    hang_tls: bool,
}

impl World {
    pub(super) fn new() -> World {
        World::default()
    }

    fn clock(&self) -> MutexGuard<'_, Clock> {
        self.shared.lock().unwrap()
    }

    pub(super) fn timers_made(&self) -> u32 {
        self.clock().timers_made
    }

    pub(super) fn refuse_tls(&self) {
        self.clock().refuse_tls = true;
    }

    pub(super) fn hang_tls(&self) {
        self.clock().hang_tls = true;
    }

    fn pass(&self, time: Duration) {
        let sleepers = {
            let mut clock = self.clock();
            clock.now = clock.now.after(time);
            core::mem::take(&mut clock.sleepers)
        };
        sleepers.into_iter().for_each(Waker::wake);
    }
}

impl Env for World {
    type Stream = Pipe;
    type Listener = ();
    type Datagram = NoDatagram;
    type Disk = NoDisk;
    type TlsServer = ();

    fn now(&self) -> Now {
        Now {
            instant: self.clock().now,
            ..Now::default()
        }
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send + Unpin + 'static {
        self.clock().timers_made += 1;
        let world = self.clone();
        poll_fn(move |cx| {
            let mut clock = world.clock();
            if clock.now >= at {
                return Poll::Ready(());
            }
            clock.sleepers.push(cx.waker().clone());
            Poll::Pending
        })
    }

    fn spawn(&self, _: &'static str, _: impl Future<Output = ()> + Send + 'static) {
        unreachable!("a driver spawns nothing")
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        work()
    }

    fn entropy(&self, _: &mut [u8]) {
        unreachable!("a driver is deterministic")
    }

    fn listen(&self, _: SocketAddr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn local_address(&self, (): &()) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn accept(&self, (): &()) -> io::Result<(Pipe, SocketAddr)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn connect(&self, _: SocketAddr, _: Option<IpAddr>) -> io::Result<Pipe> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn tls_connect(&self, _: Pipe, _: &str, _: bool) -> io::Result<(Pipe, TlsEvidence)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn bind_datagram(&self, _: SocketAddr) -> io::Result<NoDatagram> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn resolv_conf(&self) -> io::Result<String> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn tls_accept(&self, mut stream: Pipe, (): &(), _: Alpn) -> io::Result<(Pipe, TlsEvidence)> {
        if self.clock().refuse_tls {
            return Err(io::ErrorKind::InvalidData.into());
        }
        if self.clock().hang_tls {
            std::future::pending::<()>().await;
        }
        stream.encrypted = true;
        Ok((
            stream,
            TlsEvidence {
                version: "none".into(),
                cipher: "none".into(),
                bits: 128,
            },
        ))
    }

    fn disk(&self) -> &NoDisk {
        &NoDisk
    }

    fn exit(&self, code: i32, why: &str) -> ! {
        panic!("exit {code}: {why}")
    }

    fn password(&self) -> Arc<dyn PasswordHash> {
        unreachable!("a driver knows no passwords")
    }
}

#[derive(Clone)]
pub(super) struct NoDisk;

impl Disk for NoDisk {
    async fn perform(&self, _: DiskOp) -> DiskDone {
        unreachable!("a driver has no disk")
    }

    fn read_now(&self, _: &DiskPath, _: u64, _: &mut [u8]) -> Option<io::Result<usize>> {
        None
    }
}

pub(super) struct NoDatagram;

impl Datagram for NoDatagram {
    fn local_address(&self) -> io::Result<SocketAddr> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn send_to(&self, _: &[u8], _: SocketAddr) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    async fn receive_from(&self, _: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

/// What the fake encryption makes of bytes.
pub(super) fn encrypted(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().map(|byte| byte ^ 0x80).collect()
}

/// The session's end of a connection whose outgoing side holds `capacity` bytes.
pub(super) fn pipe(capacity: usize) -> (Pipe, Peer) {
    let wire = Arc::new(Mutex::new(Wire {
        capacity,
        ..Wire::default()
    }));
    (
        Pipe {
            wire: wire.clone(),
            encrypted: false,
        },
        Peer { wire },
    )
}

pub(super) struct Pipe {
    wire: Arc<Mutex<Wire>>,
    encrypted: bool,
}

pub(super) struct Peer {
    wire: Arc<Mutex<Wire>>,
}

#[derive(Default)]
struct Wire {
    capacity: usize,
    incoming: VecDeque<u8>,
    outgoing: Vec<u8>,
    peer_finished: bool,
    session_finished: bool,
    broken: bool,
    wakers: Vec<Waker>,
}

impl Peer {
    fn change<T>(&self, change: impl FnOnce(&mut Wire) -> T) -> T {
        let (result, wakers) = {
            let mut wire = self.wire.lock().unwrap();
            (change(&mut wire), core::mem::take(&mut wire.wakers))
        };
        wakers.into_iter().for_each(Waker::wake);
        result
    }

    pub(super) fn send(&self, bytes: &[u8]) {
        self.change(|wire| wire.incoming.extend(bytes));
    }

    pub(super) fn finish(&self) {
        self.change(|wire| wire.peer_finished = true);
    }

    pub(super) fn break_off(&self) {
        self.change(|wire| wire.broken = true);
    }

    pub(super) fn take(&self) -> Vec<u8> {
        self.change(|wire| core::mem::take(&mut wire.outgoing))
    }

    pub(super) fn unread(&self) -> usize {
        self.change(|wire| wire.incoming.len())
    }

    pub(super) fn sees_eof(&self) -> bool {
        self.change(|wire| wire.session_finished)
    }
}

impl AsyncRead for Pipe {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.lock().unwrap();
        if wire.broken {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        if wire.incoming.is_empty() && !wire.peer_finished {
            wire.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        let count = buffer.len().min(wire.incoming.len());
        for (into, byte) in buffer.iter_mut().zip(wire.incoming.drain(..count)) {
            *into = if self.encrypted { byte ^ 0x80 } else { byte };
        }
        Poll::Ready(Ok(count))
    }
}

impl AsyncWrite for Pipe {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        let mut wire = self.wire.lock().unwrap();
        if wire.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let room = wire.capacity - wire.outgoing.len();
        if room == 0 {
            wire.wakers.push(cx.waker().clone());
            return Poll::Pending;
        }
        let count = room.min(bytes.len());
        let bytes = &bytes[..count];
        wire.outgoing
            .extend(if self.encrypted { encrypted(bytes) } else { bytes.to_vec() });
        Poll::Ready(Ok(count))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.wire.lock().unwrap().session_finished = true;
        Poll::Ready(Ok(()))
    }
}
