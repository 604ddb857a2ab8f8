//! What one life of a node sees.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use pillarbox::env::{Alpn, Env, PasswordHash};
use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::time::{Instant, Now, UnixTime};

use super::datagram::{self, SimDatagram};
use super::disk::SimDisk;
use super::executor::{Exit, Task};
use super::net::{self, Sleep};
use super::state::{Life, Shared};
use super::tls::{Certificate, Stream};
use super::trace::hash_of;
use super::world::Ended;

/// 2026-01-01T00:00:00Z: when every world begins.
pub const EPOCH: i64 = 1_767_225_600_000;

/// The simulated environment; see [`super`].
#[derive(Clone)]
pub struct SimEnv {
    pub(super) shared: Shared,
    pub(super) life: Life,
    pub(super) disk: SimDisk,
}

impl SimEnv {
    pub(super) fn new(shared: &Shared, life: Life, ip: IpAddr) -> SimEnv {
        let disk = SimDisk {
            shared: shared.clone(),
            life,
            ip,
        };
        SimEnv {
            shared: shared.clone(),
            life,
            disk,
        }
    }

    /// The node's address.
    pub fn ip(&self) -> IpAddr {
        self.disk.ip
    }

    /// `0.0.0.0`, `::` and loopback all mean the node's one address.
    fn own(&self, address: SocketAddr) -> SocketAddr {
        match address.ip().is_unspecified() || address.ip().is_loopback() {
            true => SocketAddr::new(self.ip(), address.port()),
            false => address,
        }
    }
}

impl Env for SimEnv {
    type Stream = Stream;
    type Listener = SocketAddr;
    type Datagram = SimDatagram;
    type Disk = SimDisk;
    type TlsServer = Certificate;

    fn now(&self) -> Now {
        self.shared.with(|state| Now {
            instant: state.instant(),
            unix: UnixTime(
                EPOCH + i64::try_from(state.now / 1_000_000).expect("the world ends before") + state.clock(self.disk.ip),
            ),
        })
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send + Unpin + 'static {
        Sleep::until(&self.shared, self.life, at.0)
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        let task = Task {
            life: self.life,
            name,
            future: Box::pin(task),
        };
        let refused = self.shared.with(|state| match state.is_alive(self.life) {
            true => {
                state.fresh.push(task);
                None
            }
            false => Some(task),
        });
        drop(refused);
    }

    async fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> T {
        let takes = self.shared.with(|state| state.rng.below(200_000));
        net::sleep(&self.shared, self.life, takes).await;
        work()
    }

    fn entropy(&self, into: &mut [u8]) {
        self.shared.with(|state| state.rng.fill(into));
    }

    fn listen(&self, at: SocketAddr) -> io::Result<SocketAddr> {
        net::listen(&self.shared, self.life, self.own(at))
    }

    fn local_address(&self, listener: &SocketAddr) -> io::Result<SocketAddr> {
        Ok(*listener)
    }

    async fn accept(&self, listener: &SocketAddr) -> io::Result<(Stream, SocketAddr)> {
        let (end, from) = net::accept(&self.shared, self.life, *listener).await?;
        Ok((Stream::plain(end), from))
    }

    async fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> io::Result<Stream> {
        if from.is_some_and(|from| from != self.ip()) {
            return Err(io::ErrorKind::AddrNotAvailable.into());
        }
        let end = net::connect(&self.shared, self.life, self.ip(), self.own(to)).await?;
        Ok(Stream::connected(end, to.port()))
    }

    async fn tls_accept(&self, stream: Stream, server: &Certificate, alpn: Alpn) -> io::Result<(Stream, TlsEvidence)> {
        Ok((stream.accept(server, alpn).await?, evidence()))
    }

    async fn tls_connect(&self, stream: Stream, name: &str, verify: bool) -> io::Result<(Stream, TlsEvidence)> {
        let name = name.strip_suffix('.').unwrap_or(name);
        let stream = match verify {
            true => stream.connect_verified(name).await?,
            false => stream.connect(name, "").await?.0,
        };
        Ok((stream, evidence()))
    }

    fn bind_datagram(&self, at: SocketAddr) -> io::Result<SimDatagram> {
        datagram::bind(&self.shared, self.life, self.own(at))
    }

    fn resolv_conf(&self) -> io::Result<String> {
        Ok(self.shared.with(|state| state.resolv_conf.clone()))
    }

    fn disk(&self) -> &SimDisk {
        &self.disk
    }

    fn exit(&self, code: i32, why: &str) -> ! {
        let why = why.to_owned();
        self.shared.with(|state| state.end(self.disk.ip, Ended::Exit(code, why)));
        std::panic::resume_unwind(Box::new(Exit))
    }

    fn buggify(&self, point: &'static str) -> bool {
        self.shared.with(|state| state.buggify(self.disk.ip, point))
    }

    fn password(&self) -> Arc<dyn PasswordHash> {
        Arc::new(CheapHash)
    }
}

fn evidence() -> TlsEvidence {
    TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
    }
}

thread_local! {
    static VERIFIED: Cell<u64> = const { Cell::new(0) };
}

/// How many passwords were compared with a hash on this thread: the cost of a login, where no clock can tell.
pub fn passwords_verified() -> u64 {
    VERIFIED.get()
}

/// `$sim$salt$hash`: quick, and useless outside a simulation.
struct CheapHash;

impl PasswordHash for CheapHash {
    fn hash(&self, password: &str, salt: &[u8; 16]) -> String {
        let salt: String = salt.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("$sim${salt}${:016x}", hash_of(format!("{salt}{password}").as_bytes()))
    }

    fn verify(&self, password: &str, hash: &str) -> bool {
        VERIFIED.set(VERIFIED.get() + 1);
        let mut parts = hash.strip_prefix("$sim$").unwrap_or_default().split('$');
        match (parts.next(), parts.next()) {
            (Some(salt), Some(hash)) => hash == format!("{:016x}", hash_of(format!("{salt}{password}").as_bytes())),
            _ => false,
        }
    }
}
