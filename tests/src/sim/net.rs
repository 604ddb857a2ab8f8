//! Byte streams between nodes: each direction has pieces under way, a window, an end and possibly a reset.

use std::collections::VecDeque;
use std::io::{Error, ErrorKind, Result};
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use futures_lite::{AsyncRead, AsyncWrite};

use super::state::{Heard, Life, Listening, Shared, State, Timer, nanos};
use super::trace::hash_of;

/// How long a connection attempt into a cut network lasts.
const CONNECT_PATIENCE: Duration = Duration::from_secs(30);

/// A connection; side 0 connected, side 1 accepted.
pub(super) struct Connection {
    lives: [Option<Life>; 2],
    ips: [IpAddr; 2],
    /// What travels **to** each side.
    to: [Direction; 2],
    dropped: [bool; 2],
    reset: bool,
}

#[derive(Default)]
struct Direction {
    pieces: VecDeque<(u64, Vec<u8>)>,
    taken: usize,
    bytes: usize,
    last: u64,
    end: Option<u64>,
    reader: Option<Waker>,
    writer: Option<Waker>,
    timer: Timer,
}

impl Connection {
    pub(super) fn belongs_to(&self, life: Life) -> bool {
        self.lives.contains(&Some(life))
    }

    pub(super) fn reset(&mut self) {
        self.reset = true;
        for direction in &mut self.to {
            direction.reader.take().into_iter().for_each(Waker::wake);
            direction.writer.take().into_iter().for_each(Waker::wake);
        }
    }
}

/// One end of a connection, as a plain stream.
pub(super) struct End {
    shared: Shared,
    life: Life,
    connection: u64,
    side: usize,
}

impl End {
    fn with<T>(&self, cx: &mut Context<'_>, work: impl FnOnce(&mut State, &mut Connection, &Waker) -> Poll<T>) -> Poll<T> {
        self.shared.with(|state| {
            if !state.is_alive(self.life) {
                return Poll::Pending;
            }
            let mut connection = state
                .connections
                .remove(&self.connection)
                .expect("a connection lives while an end does");
            let outcome = work(state, &mut connection, cx.waker());
            state.connections.insert(self.connection, connection);
            outcome
        })
    }
}

impl End {
    /// Whether lines that this end reads are of interest, and if so which.
    pub(super) fn keeps_heard(&self, port: u16) -> Option<&'static str> {
        let keep = self.shared.with(|state| state.keep_heard);
        keep.filter(|(from, _)| *from == port && self.life != Life::TEST)
            .map(|(_, words)| words)
    }

    /// The process at this end has read a line.
    pub(super) fn heard(&self, line: String) {
        self.shared.with(|state| {
            if let Some(node) = state.alive.get(&self.life).copied() {
                let at = state.now;
                state.event(format_args!("{node} hears on connection {}: {line}", self.connection));
                state.happened.heard.push(Heard { node, at, line });
            }
        });
    }

    /// Resets the connection: what is under way in either direction is gone.
    pub(super) fn abort(&self) {
        let number = self.connection;
        self.shared.with(|state| {
            if let Some(connection) = state.connections.get_mut(&number) {
                connection.reset();
            }
            state.event(format_args!("connection {number} is reset by an end"));
        });
    }
}

impl AsyncRead for End {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize>> {
        let (side, number) = (self.side, self.connection);
        self.with(cx, |state, connection, waker| {
            if connection.reset {
                return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
            }
            if state.is_cut(connection.ips[0], connection.ips[1]) {
                state.cut_wakers.push(waker.clone());
                return Poll::Pending;
            }
            let direction = &mut connection.to[side];
            let Some((arrival, piece)) = direction.pieces.front() else {
                return match direction.end {
                    Some(at) if at <= state.now => Poll::Ready(Ok(0)),
                    Some(at) => wait_until(state, direction, at, waker),
                    None => {
                        direction.reader = Some(waker.clone());
                        Poll::Pending
                    }
                };
            };
            if *arrival > state.now {
                let at = *arrival;
                return wait_until(state, direction, at, waker);
            }
            let rest = &piece[direction.taken..];
            let most = rest.len().min(into.len());
            // Often whole, sometimes only a part: every split must do.
            let len = if state.rng.percent(70) {
                most
            } else {
                1 + state.rng.index(most)
            };
            into[..len].copy_from_slice(&rest[..len]);
            direction.taken += len;
            direction.bytes -= len;
            if direction.taken == piece.len() {
                direction.pieces.pop_front();
                direction.taken = 0;
            }
            direction.writer.take().into_iter().for_each(Waker::wake);
            state.event(format_args!("connection {number} side {side} reads {len}"));
            Poll::Ready(Ok(len))
        })
    }
}

fn wait_until<T>(state: &mut State, direction: &mut Direction, at: u64, waker: &Waker) -> Poll<T> {
    let mut timer = direction.timer;
    state.set(&mut timer, at, waker);
    direction.timer = timer;
    direction.reader = Some(waker.clone());
    Poll::Pending
}

impl AsyncWrite for End {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let (side, number) = (self.side, self.connection);
        self.with(cx, |state, connection, waker| {
            if connection.reset {
                return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
            }
            if connection.dropped[1 - side] || connection.to[1 - side].end.is_some() {
                return Poll::Ready(Err(ErrorKind::BrokenPipe.into()));
            }
            if bytes.is_empty() {
                return Poll::Ready(Ok(0));
            }
            let room = state.network.window.saturating_sub(connection.to[1 - side].bytes);
            if room == 0 {
                connection.to[1 - side].writer = Some(waker.clone());
                return Poll::Pending;
            }
            let most = bytes.len().min(room).min(state.network.piece);
            let len = if state.rng.percent(80) {
                most
            } else {
                1 + state.rng.index(most)
            };
            if state.rng.below(1_000_000) < state.network.resets_per_million {
                state.event(format_args!("connection {number} is reset by the network"));
                state.happened.resets += 1;
                connection.reset();
                return Poll::Ready(Err(ErrorKind::ConnectionReset.into()));
            }
            let latency = state.network.latency.clone();
            let arrival = (state.now + state.draw(&latency)).max(connection.to[1 - side].last);
            let direction = &mut connection.to[1 - side];
            direction.last = arrival;
            direction.bytes += len;
            direction.pieces.push_back((arrival, bytes[..len].to_vec()));
            direction.reader.take().into_iter().for_each(Waker::wake);
            state.event(format_args!(
                "connection {number} side {side} writes {len} ({})",
                Hashed(&bytes[..len])
            ));
            Poll::Ready(Ok(len))
        })
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let (side, number) = (self.side, self.connection);
        self.with(cx, |state, connection, _| {
            let latency = state.network.latency.clone();
            let at = state.now + state.draw(&latency);
            let direction = &mut connection.to[1 - side];
            if direction.end.is_none() {
                direction.end = Some(at.max(direction.last));
                direction.reader.take().into_iter().for_each(Waker::wake);
                state.event(format_args!("connection {number} side {side} shuts down writing"));
            }
            Poll::Ready(Ok(()))
        })
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let (side, number) = (self.side, self.connection);
        self.shared.with(|state| {
            let now = state.now;
            let Some(connection) = state.connections.get_mut(&number) else {
                return;
            };
            connection.dropped[side] = true;
            connection.lives[side] = None;
            let mut timer = connection.to[side].timer.take();
            // As a kernel does: bytes that nobody will read are answered with a reset.
            if !connection.to[side].pieces.is_empty() {
                connection.reset();
            } else {
                let direction = &mut connection.to[1 - side];
                direction.end.get_or_insert(now.max(direction.last));
                direction.reader.take().into_iter().for_each(Waker::wake);
                connection.to[side].writer.take().into_iter().for_each(Waker::wake);
            }
            if connection.dropped == [true; 2] {
                state.connections.remove(&number);
            }
            state.unset(&mut timer);
            state.event(format_args!("connection {number} side {side} is dropped"));
        });
    }
}

/// Shows the hash of bytes, which costs nothing when nobody looks.
struct Hashed<'a>(&'a [u8]);

impl std::fmt::Display for Hashed<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:016x}", hash_of(self.0))
    }
}

/// Opens a listening socket; port 0 takes a free one.
pub(super) fn listen(shared: &Shared, life: Life, at: SocketAddr) -> Result<SocketAddr> {
    shared.with(|state| {
        let mut at = at;
        while at.port() == 0 {
            let port = u16::try_from(20_000 + state.number() % 40_000).expect("below 65 536");
            let free = SocketAddr::new(at.ip(), port);
            if !state.listeners.contains_key(&free) {
                at = free;
            }
        }
        if state.listeners.contains_key(&at) {
            return Err(ErrorKind::AddrInUse.into());
        }
        let listening = Listening {
            life,
            waiting: VecDeque::new(),
            waker: None,
        };
        state.listeners.insert(at, listening);
        state.event(format_args!("{at} listens"));
        Ok(at)
    })
}

/// The next connection of a listening socket.
pub(super) async fn accept(shared: &Shared, life: Life, at: SocketAddr) -> Result<(End, SocketAddr)> {
    let (connection, from) = std::future::poll_fn(|cx| {
        shared.with(|state| {
            if !state.is_alive(life) {
                return Poll::Pending;
            }
            let Some(listening) = state.listeners.get_mut(&at) else {
                return Poll::Ready(Err(Error::from(ErrorKind::NotConnected)));
            };
            match listening.waiting.pop_front() {
                Some(found) => Poll::Ready(Ok(found)),
                None => {
                    listening.waker = Some(cx.waker().clone());
                    Poll::Pending
                }
            }
        })
    })
    .await?;
    shared.with(|state| state.event(format_args!("{at} accepts connection {connection} from {from}")));
    Ok((end(shared, life, connection, 1), from))
}

/// Connects.
pub(super) async fn connect(shared: &Shared, life: Life, from: IpAddr, to: SocketAddr) -> Result<End> {
    let latency = shared.with(|state| {
        let range = state.network.latency.clone();
        state.draw(&range)
    });
    sleep(shared, life, latency).await;
    if shared.with(|state| state.is_cut(from, to.ip())) {
        sleep(shared, life, nanos(CONNECT_PATIENCE)).await;
        return Err(ErrorKind::TimedOut.into());
    }
    let connection = shared.with(|state| {
        let port = u16::try_from(1024 + state.number() % 60_000).expect("below 65 536");
        let number = state.number();
        let Some(listening) = state.listeners.get_mut(&to) else {
            state.event(format_args!("{from} is refused by {to}"));
            return Err(Error::from(ErrorKind::ConnectionRefused));
        };
        listening.waiting.push_back((number, SocketAddr::new(from, port)));
        listening.waker.take().into_iter().for_each(Waker::wake);
        let other = listening.life;
        let connection = Connection {
            lives: [Some(life), Some(other)],
            ips: [from, to.ip()],
            to: Default::default(),
            dropped: [false; 2],
            reset: false,
        };
        state.connections.insert(number, connection);
        state.event(format_args!("{from} connects to {to}: connection {number}"));
        Ok(number)
    })?;
    let end = end(shared, life, connection, 0);
    sleep(shared, life, latency).await;
    Ok(end)
}

fn end(shared: &Shared, life: Life, connection: u64, side: usize) -> End {
    End {
        shared: shared.clone(),
        life,
        connection,
        side,
    }
}

/// Lets so many nanoseconds pass.
pub(super) fn sleep(shared: &Shared, life: Life, nanoseconds: u64) -> Sleep {
    let at = shared.with(|state| state.now.saturating_add(nanoseconds));
    Sleep::until(shared, life, at)
}

/// Completes when the virtual clock has come so far.
pub struct Sleep {
    shared: Shared,
    life: Life,
    at: u64,
    timer: Timer,
}

impl Sleep {
    pub(super) fn until(shared: &Shared, life: Life, at: u64) -> Sleep {
        Sleep {
            shared: shared.clone(),
            life,
            at,
            timer: None,
        }
    }
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = &mut *self;
        this.shared.with(|state| {
            if !state.is_alive(this.life) {
                return Poll::Pending;
            }
            if state.now >= this.at {
                state.unset(&mut this.timer);
                return Poll::Ready(());
            }
            state.set(&mut this.timer, this.at, cx.waker());
            Poll::Pending
        })
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if self.timer.is_some() {
            self.shared.with(|state| state.unset(&mut self.timer));
        }
    }
}
