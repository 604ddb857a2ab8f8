//! The environment on Linux and smol. Nothing outside this module names the operating system.

mod clock;
mod disk;
mod executor;
mod net;
mod password;
pub mod process;
mod timer;
mod tls;

#[cfg(test)]
mod tests;

use std::future::Future;
use std::io::{self, Write};
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::sync::Arc;

use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::time::{Instant, Now};

use self::timer::Sleep;
use crate::env::{Alpn, Env, PasswordHash};

pub use disk::OsDisk;
pub use executor::panics;
pub use net::{OsDatagram, OsListener, OsStream};
pub use tls::client::check_roots;
pub use tls::{SelfSigned, TlsError, TlsServer};

/// The real environment, over one data directory. Clones share everything.
#[derive(Clone)]
pub struct OsEnv(Arc<Inner>);

struct Inner {
    clock: clock::Clock,
    disk: OsDisk,
    password: Arc<dyn PasswordHash>,
    trust: tls::client::Trust,
}

/// Why there is no environment.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another process serves this directory.
    #[error("{0} is in use by another pillarbox process")]
    InUse(std::path::PathBuf),
    /// The directory cannot be made or opened.
    #[error("the data directory {path} cannot be opened: {error}")]
    Directory {
        /// Which.
        path: std::path::PathBuf,
        /// Why.
        error: io::Error,
    },
}

impl OsEnv {
    /// Opens a data directory (made when absent, mode 0700) for this process alone.
    ///
    /// # Errors
    /// When another process has it, or the file system says no.
    pub fn open(data_dir: &Path) -> Result<OsEnv, OpenError> {
        OsDisk::open(data_dir).map(OsEnv::over)
    }

    /// Opens an existing data directory that a server may have: only for files that are not the store's.
    ///
    /// # Errors
    /// When the file system says no.
    pub fn beside(data_dir: &Path) -> Result<OsEnv, OpenError> {
        OsDisk::beside(data_dir).map(OsEnv::over)
    }

    fn over(disk: OsDisk) -> OsEnv {
        OsEnv(Arc::new(Inner {
            clock: clock::Clock::start(),
            disk,
            password: Arc::new(password::Argon2id::default()),
            trust: tls::client::Trust::default(),
        }))
    }

    /// Trusts the roots of a PEM file (`tls.roots`) from now on; `None`: the system's, which are read when they are first needed.
    ///
    /// # Errors
    /// When the file cannot be read or has no certificate; then everything stays as it was.
    pub fn trust(&self, roots: Option<&Path>) -> Result<(), TlsError> {
        self.0.trust.set(roots)
    }

    /// Runs `main` to its end, with one thread for each core.
    pub fn run<T>(&self, main: impl Future<Output = T>) -> T {
        executor::run(main)
    }
}

/// The system's list of DNS servers, as it stands now.
///
/// # Errors
/// When it cannot be read.
pub fn resolv_conf() -> io::Result<String> {
    std::fs::read_to_string("/etc/resolv.conf")
}

impl Env for OsEnv {
    type Stream = OsStream;
    type Listener = OsListener;
    type Datagram = OsDatagram;
    type Disk = OsDisk;
    type TlsServer = TlsServer;

    fn now(&self) -> Now {
        self.0.clock.now()
    }

    fn sleep_until(&self, at: Instant) -> impl Future<Output = ()> + Send + Unpin + 'static {
        Sleep::until(self.0.clock.at(at))
    }

    fn spawn(&self, name: &'static str, task: impl Future<Output = ()> + Send + 'static) {
        executor::spawn(name, task);
    }

    fn blocking<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> impl Future<Output = T> + Send {
        blocking::unblock(work)
    }

    fn entropy(&self, into: &mut [u8]) {
        if let Err(error) = getrandom::fill(into) {
            self.exit(70, &format!("the system has no random bytes: {error}"));
        }
    }

    fn listen(&self, at: SocketAddr) -> io::Result<OsListener> {
        net::listen(at)
    }

    fn local_address(&self, listener: &OsListener) -> io::Result<SocketAddr> {
        listener.local_address()
    }

    fn accept(&self, listener: &OsListener) -> impl Future<Output = io::Result<(OsStream, SocketAddr)>> + Send {
        listener.accept()
    }

    fn connect(&self, to: SocketAddr, from: Option<IpAddr>) -> impl Future<Output = io::Result<OsStream>> + Send {
        net::connect(to, from)
    }

    fn tls_accept(
        &self,
        stream: OsStream,
        server: &TlsServer,
        alpn: Alpn,
    ) -> impl Future<Output = io::Result<(OsStream, TlsEvidence)>> + Send {
        tls::accept(stream, server, alpn)
    }

    fn tls_connect(
        &self,
        stream: OsStream,
        name: &str,
        verify: bool,
    ) -> impl Future<Output = io::Result<(OsStream, TlsEvidence)>> + Send {
        tls::client::connect(stream, &self.0.trust, name, verify)
    }

    fn bind_datagram(&self, at: SocketAddr) -> io::Result<OsDatagram> {
        net::bind_datagram(at)
    }

    fn resolv_conf(&self) -> io::Result<String> {
        resolv_conf()
    }

    fn disk(&self) -> &OsDisk {
        &self.0.disk
    }

    fn exit(&self, code: i32, why: &str) -> ! {
        // The process ends here in any case: whether the line can be written changes nothing.
        let _ = writeln!(io::stderr().lock(), "pillarbox: {why}");
        std::process::exit(code)
    }

    fn password(&self) -> Arc<dyn PasswordHash> {
        self.0.password.clone()
    }
}
