//! Sockets.

use std::io::{self, Read, Write};
use std::net::{IpAddr, Shutdown, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use async_io::Async;
use futures_lite::{AsyncRead, AsyncWrite};
use pillarbox_core::limits;
use rustix::net::SocketFlags;
use socket2::{Domain, Protocol, Socket as RawSocket, TcpKeepalive, Type};

use crate::env::Datagram;

/// A listening socket.
pub struct OsListener(Async<TcpListener>);

/// Opens one. No peer is ever shown as `::ffff:192.0.2.1`. What is set here (no delay, keep-alive) passes on to every accepted socket, without a system call each.
pub(super) fn listen(at: SocketAddr) -> io::Result<OsListener> {
    let socket = new_socket(at)?;
    socket.set_reuse_address(true)?;
    socket.bind(&at.into())?;
    socket.listen(limits::BACKLOG)?;
    Ok(OsListener(Async::new_nonblocking(socket.into())?))
}

/// Connects, from a certain address where one is given.
pub(super) async fn connect(to: SocketAddr, from: Option<IpAddr>) -> io::Result<OsStream> {
    let socket = new_socket(to)?;
    if let Some(from) = from {
        socket.bind(&SocketAddr::new(from, 0).into())?;
    }
    match socket.connect(&to.into()) {
        Ok(()) => {}
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::INPROGRESS.raw_os_error()) => {}
        Err(error) => return Err(error),
    }
    let stream: Async<TcpStream> = Async::new_nonblocking(socket.into())?;
    stream.writable().await?;
    match stream.get_ref().take_error()? {
        Some(error) => Err(error),
        None => Ok(OsStream::Plain(Socket::new(stream))),
    }
}

fn new_socket(address: SocketAddr) -> io::Result<RawSocket> {
    let socket = RawSocket::new(Domain::for_address(address), Type::STREAM.nonblocking(), Some(Protocol::TCP))?;
    only_v6(&socket, address)?;
    socket.set_tcp_nodelay(true)?;
    let keepalive = TcpKeepalive::new()
        .with_time(limits::KEEPALIVE)
        .with_interval(limits::KEEPALIVE_INTERVAL);
    socket.set_tcp_keepalive(&keepalive)?;
    Ok(socket)
}

/// An IPv6 socket neither takes nor reaches IPv4: an address means the same in the log and on the wire.
fn only_v6(socket: &RawSocket, address: SocketAddr) -> io::Result<()> {
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    Ok(())
}

/// A socket for datagrams.
pub struct OsDatagram(Async<UdpSocket>);

/// Opens one.
pub(super) fn bind_datagram(at: SocketAddr) -> io::Result<OsDatagram> {
    let socket = RawSocket::new(Domain::for_address(at), Type::DGRAM.nonblocking(), Some(Protocol::UDP))?;
    only_v6(&socket, at)?;
    socket.bind(&at.into())?;
    Ok(OsDatagram(Async::new_nonblocking(socket.into())?))
}

impl Datagram for OsDatagram {
    fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    async fn send_to(&self, bytes: &[u8], to: SocketAddr) -> io::Result<()> {
        self.0.send_to(bytes, to).await.map(drop)
    }

    async fn receive_from(&self, into: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        self.0.recv_from(into).await
    }
}

impl OsListener {
    pub(super) fn local_address(&self) -> io::Result<SocketAddr> {
        self.0.get_ref().local_addr()
    }

    pub(super) async fn accept(&self) -> io::Result<(OsStream, SocketAddr)> {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let accept = |listener: &TcpListener| rustix::net::acceptfrom_with(listener, flags).map_err(io::Error::from);
        let (socket, peer) = self.0.read_with(accept).await?;
        let peer = peer.and_then(|peer| SocketAddr::try_from(peer).ok());
        let peer = peer.ok_or_else(|| io::Error::other("a peer without an address"))?;
        Ok((OsStream::Plain(Socket::new(Async::new_nonblocking(socket.into())?)), peer))
    }
}

/// A connection, plain or encrypted.
pub enum OsStream {
    /// Plain.
    Plain(Socket),
    /// Encrypted; boxed, since its state is large.
    Tls(Box<futures_rustls::TlsStream<Socket>>),
}

/// A connected socket.
pub struct Socket {
    stream: Async<TcpStream>,
    /// The last read took everything there was: the next one waits first, which saves a system call that would say so.
    drained: bool,
}

impl Socket {
    fn new(stream: Async<TcpStream>) -> Socket {
        Socket { stream, drained: true }
    }
}

impl AsyncRead for Socket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        loop {
            if self.drained {
                ready!(self.stream.poll_readable(cx))?;
                self.drained = false;
            }
            match self.stream.get_ref().read(buffer) {
                Ok(count) => {
                    self.drained = count > 0 && count < buffer.len();
                    return Poll::Ready(Ok(count));
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => self.drained = true,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Poll::Ready(Err(error)),
            }
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.get_ref().write(bytes) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.stream.poll_writable(cx))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_write_vectored(self: Pin<&mut Self>, cx: &mut Context<'_>, parts: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        loop {
            match self.stream.get_ref().write_vectored(parts) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => ready!(self.stream.poll_writable(cx))?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                done => return Poll::Ready(done),
            }
        }
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_close(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.stream.get_ref().shutdown(Shutdown::Write))
    }
}

impl AsyncRead for OsStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut [u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            OsStream::Plain(socket) => Pin::new(socket).poll_read(cx, buffer),
            OsStream::Tls(stream) => Pin::new(stream).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for OsStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            OsStream::Plain(socket) => Pin::new(socket).poll_write(cx, bytes),
            OsStream::Tls(stream) => Pin::new(stream).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            OsStream::Plain(socket) => Pin::new(socket).poll_flush(cx),
            OsStream::Tls(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            OsStream::Plain(socket) => Pin::new(socket).poll_close(cx),
            OsStream::Tls(stream) => Pin::new(stream).poll_close(cx),
        }
    }
}
