//! A layer in place of TLS: a handshake with names, protected records, `close_notify`, refusals. No cryptography, but nothing that
//! can be mistaken for plain text either: plain text from the peer ends it as it would end TLS.
//!
//! Record: `type u8, length u16 big endian, body`. Types: 22 handshake (client: `H` name `\n` protocols; server: `S` its name, or `U` its name when nobody vouches for it),
//! 23 data (every octet flipped), 21 alert (`N` close_notify, `F` a fatal one).

use std::io::{Error, ErrorKind, Result};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use futures_lite::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use pillarbox::env::Alpn;

use super::net::End;

const ALERT: u8 = 21;
const HANDSHAKE: u8 = 22;
const DATA: u8 = 23;
const HEAD: usize = 3;
const RECORD_MAX: usize = 16 * 1024;

/// What stands for a certificate: the names in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// Its names; the first is shown by default.
    pub names: Vec<String>,
    /// Refuse every handshake.
    pub broken: bool,
    /// Nobody vouches for it: self-signed.
    pub untrusted: bool,
}

impl Certificate {
    /// A sound certificate of one name.
    pub fn of(name: &str) -> Certificate {
        Certificate {
            names: vec![name.to_owned()],
            broken: false,
            untrusted: false,
        }
    }
}

/// A stream of a simulated node: plain, or with the layer.
pub struct Stream {
    end: End,
    layer: Option<Layer>,
    hears: Option<Hears>,
}

/// Keeps lines with some words once they have been read.
struct Hears {
    words: &'static str,
    line: Vec<u8>,
}

#[derive(Default)]
struct Layer {
    incoming: Vec<u8>,
    clear: Vec<u8>,
    clear_at: usize,
    outgoing: Vec<u8>,
    outgoing_at: usize,
    ended: bool,
    notified: bool,
}

impl Stream {
    pub(super) fn plain(end: End) -> Stream {
        Stream {
            end,
            layer: None,
            hears: None,
        }
    }

    /// The end of whoever connected to this port.
    pub(super) fn connected(end: End, port: u16) -> Stream {
        let hears = end.keeps_heard(port).map(|words| Hears { words, line: Vec::new() });
        Stream { end, layer: None, hears }
    }

    /// These octets have been read.
    fn hear(&mut self, octets: &[u8]) {
        let Some(hears) = &mut self.hears else { return };
        for octet in octets {
            if *octet != b'\n' {
                hears.line.push(*octet);
                continue;
            }
            let line = String::from_utf8_lossy(&hears.line);
            if line.contains(hears.words) {
                self.end.heard(line.trim_end().to_owned());
            }
            hears.line.clear();
        }
    }

    /// Resets the connection: what is under way in either direction is gone.
    pub fn abort(&self) {
        self.end.abort();
    }

    /// Whether the layer is in force.
    pub fn is_protected(&self) -> bool {
        self.layer.is_some()
    }

    /// The server's side of the handshake.
    pub(super) async fn accept(mut self, certificate: &Certificate, alpn: Alpn) -> Result<Stream> {
        let hello = read_handshake(&mut self.end, b"H").await?.1;
        let (name, protocols) = hello.split_once('\n').ok_or(ErrorKind::InvalidData)?;
        let offered: Vec<&str> = protocols.split(',').filter(|protocol| !protocol.is_empty()).collect();
        let refused = match alpn {
            Alpn::Ignore => false,
            Alpn::Require(ours) => !offered.is_empty() && !offered.contains(&ours),
        };
        if certificate.broken || refused {
            self.end.write_all(&record(ALERT, b"F")).await?;
            return Err(Error::new(ErrorKind::InvalidData, "the handshake is refused"));
        }
        let known = certificate.names.iter().find(|ours| ours.eq_ignore_ascii_case(name));
        // An unknown name gets the default certificate, never an alert.
        let shown = known.or(certificate.names.first()).ok_or(ErrorKind::InvalidData)?;
        let kind = if certificate.untrusted { 'U' } else { 'S' };
        self.end
            .write_all(&record(HANDSHAKE, format!("{kind}{shown}").as_bytes()))
            .await?;
        self.layer = Some(Layer::default());
        Ok(self)
    }

    /// The client's side; also the name that the server showed.
    ///
    /// # Errors
    /// When the server refuses, or answers in plain text.
    pub async fn connect(self, name: &str, protocols: &str) -> Result<(Stream, String)> {
        let (stream, _, shown) = self.greet(name, protocols).await?;
        Ok((stream, shown))
    }

    /// The client's side, which takes only a certificate that somebody vouches for and that is of this name.
    pub(super) async fn connect_verified(self, name: &str) -> Result<Stream> {
        let (mut stream, kind, shown) = self.greet(name, "").await?;
        let wrong = match (kind, shown.eq_ignore_ascii_case(name)) {
            (b'S', true) => return Ok(stream),
            (b'S', false) => format!("the certificate is of {shown}, not of {name}"),
            (_, _) => format!("nobody vouches for the certificate of {shown}"),
        };
        stream.end.write_all(&record(ALERT, b"F")).await?;
        Err(Error::new(ErrorKind::InvalidData, wrong))
    }

    async fn greet(mut self, name: &str, protocols: &str) -> Result<(Stream, u8, String)> {
        let hello = format!("H{name}\n{protocols}");
        self.end.write_all(&record(HANDSHAKE, hello.as_bytes())).await?;
        let (kind, shown) = read_handshake(&mut self.end, b"SU").await?;
        self.layer = Some(Layer::default());
        Ok((self, kind, shown))
    }

    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let Some(layer) = &mut self.layer else {
            return Poll::Ready(Ok(()));
        };
        while layer.outgoing_at < layer.outgoing.len() {
            let sent = ready!(Pin::new(&mut self.end).poll_write(cx, &layer.outgoing[layer.outgoing_at..]))?;
            layer.outgoing_at += sent;
        }
        layer.outgoing = Vec::new();
        layer.outgoing_at = 0;
        Poll::Ready(Ok(()))
    }
}

/// A handshake record of one of these kinds.
async fn read_handshake(end: &mut End, kinds: &[u8]) -> Result<(u8, String)> {
    let mut head = [0; HEAD];
    end.read_exact(&mut head).await?;
    let length = usize::from(u16::from_be_bytes([head[1], head[2]]));
    if head[0] != HANDSHAKE || length == 0 || length > RECORD_MAX {
        return Err(Error::new(ErrorKind::InvalidData, "no handshake"));
    }
    let mut body = vec![0; length];
    end.read_exact(&mut body).await?;
    let kind = body.remove(0);
    if !kinds.contains(&kind) {
        return Err(Error::new(ErrorKind::InvalidData, "another handshake"));
    }
    let text = String::from_utf8(body).map_err(|_| Error::from(ErrorKind::InvalidData))?;
    Ok((kind, text))
}

fn record(kind: u8, body: &[u8]) -> Vec<u8> {
    let length = u16::try_from(body.len()).expect("a record is short");
    let mut record = vec![kind];
    record.extend_from_slice(&length.to_be_bytes());
    record.extend_from_slice(body);
    record
}

impl Layer {
    /// Opens the records that are whole.
    fn open(&mut self) -> Result<()> {
        while self.incoming.len() >= HEAD {
            let length = usize::from(u16::from_be_bytes([self.incoming[1], self.incoming[2]]));
            let kind = self.incoming[0];
            if !matches!(kind, ALERT | DATA) || length > RECORD_MAX {
                return Err(Error::new(ErrorKind::InvalidData, "plain text in the layer"));
            }
            if self.incoming.len() < HEAD + length {
                return Ok(());
            }
            let body: Vec<u8> = self.incoming.drain(..HEAD + length).skip(HEAD).collect();
            match (kind, body.as_slice()) {
                (DATA, body) => self.clear.extend(body.iter().map(|octet| !octet)),
                (_, b"N") => self.ended = true,
                (_, _) => return Err(Error::new(ErrorKind::InvalidData, "a fatal alert")),
            }
        }
        Ok(())
    }
}

impl AsyncRead for Stream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        let len = ready!(this.poll_clear(cx, into))?;
        this.hear(&into[..len]);
        Poll::Ready(Ok(len))
    }
}

impl Stream {
    fn poll_clear(&mut self, cx: &mut Context<'_>, into: &mut [u8]) -> Poll<Result<usize>> {
        let Some(layer) = &mut self.layer else {
            return Pin::new(&mut self.end).poll_read(cx, into);
        };
        loop {
            let rest = &layer.clear[layer.clear_at..];
            if !rest.is_empty() {
                let len = rest.len().min(into.len());
                into[..len].copy_from_slice(&rest[..len]);
                layer.clear_at += len;
                if layer.clear_at == layer.clear.len() {
                    layer.clear = Vec::new();
                    layer.clear_at = 0;
                }
                return Poll::Ready(Ok(len));
            }
            if layer.ended {
                return Poll::Ready(Ok(0));
            }
            let mut buffer = [0; 4096];
            let len = ready!(Pin::new(&mut self.end).poll_read(cx, &mut buffer))?;
            if len == 0 {
                // An end without close_notify may be a truncation.
                return Poll::Ready(Err(ErrorKind::UnexpectedEof.into()));
            }
            layer.incoming.extend_from_slice(&buffer[..len]);
            layer.open()?;
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<Result<usize>> {
        let this = self.get_mut();
        if this.layer.is_none() {
            return Pin::new(&mut this.end).poll_write(cx, bytes);
        }
        ready!(this.poll_drain(cx))?;
        let len = bytes.len().min(RECORD_MAX);
        let flipped: Vec<u8> = bytes[..len].iter().map(|octet| !octet).collect();
        let layer = this.layer.as_mut().expect("looked at above");
        layer.outgoing = record(DATA, &flipped);
        // As rustls does: taken is taken, the record leaves with the next write or flush at the latest.
        match this.poll_drain(cx) {
            Poll::Ready(Err(error)) => Poll::Ready(Err(error)),
            Poll::Ready(Ok(())) | Poll::Pending => Poll::Ready(Ok(len)),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_close(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        if let Some(layer) = &mut this.layer
            && !layer.notified
        {
            layer.notified = true;
            layer.outgoing = record(ALERT, b"N");
            ready!(this.poll_drain(cx))?;
        }
        Pin::new(&mut this.end).poll_close(cx)
    }
}
