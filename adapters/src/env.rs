//! The environment that everything outside `os/` runs in: clock, tasks, sockets, TLS, disk, entropy.

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use futures_lite::{AsyncRead, AsyncWrite};
use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::store::disk::{DiskDone, DiskOp, DiskPath};
use pillarbox_core::time::{Instant, Now};

/// Everything that a Pillarbox server needs from outside. Cheap to clone.
pub trait Env: Clone + Send + Sync + 'static {
    /// A byte stream, plain or encrypted.
    type Stream: Stream;
    /// A listening socket.
    type Listener: Send + Sync + 'static;
    /// A socket for datagrams.
    type Datagram: Datagram;
    /// A disk: everything below one data directory.
    type Disk: Disk;
    /// A certificate with its key, or whatever stands for it.
    type TlsServer: Clone + Send + Sync + 'static;

    /// Both clocks.
    fn now(&self) -> Now;
    /// Completes when the monotonic clock has reached `at`.
    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send + Unpin + 'static;
    /// Runs a task to its end, detached. A panic in it ends only the task and is counted.
    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static);
    /// Runs blocking or long work off the executor's threads.
    fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send;
    /// Fills with unpredictable bytes (predictable ones in the simulation).
    fn entropy(&self, into: &mut [u8]);
    /// Opens a listening socket. IPv6 sockets take IPv6 only.
    fn listen(&self, at: SocketAddr) -> io::Result<Self::Listener>;
    /// Where it listens (the port, when 0 was asked for).
    fn local_address(&self, listener: &Self::Listener) -> io::Result<SocketAddr>;
    /// The next connection.
    fn accept(&self, listener: &Self::Listener) -> impl Future<Output = io::Result<(Self::Stream, SocketAddr)>> + Send;
    /// Connects, from a certain address of ours where one is given.
    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> impl Future<Output = io::Result<Self::Stream>> + Send;
    /// The server's side of a TLS handshake. ALPN: `protocol` when the client offers any and `strict`; else ignored.
    fn tls_accept(
        &self,
        stream: Self::Stream,
        server: &Self::TlsServer,
        alpn: Alpn,
    ) -> impl Future<Output = io::Result<(Self::Stream, TlsEvidence)>> + Send;
    /// The client's side of a TLS handshake: 1.2 or 1.3, no ALPN. `name` is a host name (a final dot is ignored) or an IP address, with
    /// or without brackets. With `verify` the certificate must be valid for it, by the roots that the operator trusts (`tls.roots`, else
    /// the system's). Without, any certificate will do (opportunistic TLS, RFC 7435), but the peer must still have its key.
    fn tls_connect(
        &self,
        stream: Self::Stream,
        name: &str,
        verify: bool,
    ) -> impl Future<Output = io::Result<(Self::Stream, TlsEvidence)>> + Send;
    /// Opens a socket for datagrams; port 0 takes a free one. IPv6 sockets take IPv6 only.
    fn bind_datagram(&self, at: SocketAddr) -> io::Result<Self::Datagram>;
    /// The system's list of DNS servers, in the form of `resolv.conf`; read anew each time.
    fn resolv_conf(&self) -> io::Result<String>;
    /// The disk.
    fn disk(&self) -> &Self::Disk;
    /// Ends the process at once with this code (70 after a disk error). In the simulation: ends this server.
    fn exit(&self, code: i32, why: &str) -> !;
    /// Whether a rare branch is to be taken here: never, but in the simulation by its seed. `point` names the place.
    fn buggify(&self, point: &'static str) -> bool {
        let _ = point;
        false
    }
    /// Hashes or checks a password: Argon2id off the executor, something cheap in the simulation.
    fn password(&self) -> Arc<dyn PasswordHash>;
}

/// A byte stream of the environment.
pub trait Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send + 'static> Stream for T {}

/// A socket for datagrams.
pub trait Datagram: Send + Sync + 'static {
    /// Where it receives.
    fn local_address(&self) -> io::Result<SocketAddr>;
    /// Sends one. That it arrives is not sure.
    fn send_to(&self, bytes: &[u8], to: SocketAddr) -> impl Future<Output = io::Result<()>> + Send;
    /// The next one and its sender; what does not fit is cut off.
    fn receive_from(&self, into: &mut [u8]) -> impl Future<Output = io::Result<(usize, SocketAddr)>> + Send;
}

/// What is done with ALPN (`rules.md`): absent = accept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Alpn {
    /// Ignored (port 25).
    Ignore,
    /// Offered without this one = fatal alert.
    Require(&'static str),
}

/// A disk.
pub trait Disk: Clone + Send + Sync + 'static {
    /// Performs operations one behind the other, off the executor's threads; each has its outcome, whatever came of those before.
    /// `Write` continues short writes and EINTR. Here one by one; a real disk spares its threads the way there and back.
    fn perform_all(&self, ops: Vec<DiskOp>) -> impl Future<Output = Vec<DiskDone>> + Send {
        async move {
            let mut done = Vec::with_capacity(ops.len());
            for op in ops {
                done.push(self.perform(op).await);
            }
            done
        }
    }
    /// Performs one operation off the executor's threads. `WriteAt` continues short writes and EINTR.
    fn perform(&self, op: DiskOp) -> impl Future<Output = DiskDone> + Send;
    /// Reads without waiting, on this thread: `None` when the bytes are not in memory (`preadv2` with `RWF_NOWAIT`).
    /// Fewer bytes than asked for only at the file's end.
    fn read_now(&self, path: &DiskPath, offset: u64, into: &mut [u8]) -> Option<io::Result<usize>>;
}

/// Password hashing, blocking: called through [`Env::blocking`].
pub trait PasswordHash: Send + Sync {
    /// A new hash in PHC form, with this salt.
    fn hash(&self, password: &str, salt: &[u8; 16]) -> String;
    /// Whether the password fits the hash.
    fn verify(&self, password: &str, hash: &str) -> bool;
}
