//! One listener: it accepts, believes a PROXY header where it may, encrypts where TLS comes first, and runs a session.

use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_channel::Receiver;
use futures_lite::future;
use pillarbox_core::imap::server as imap;
use pillarbox_core::limits;
use pillarbox_core::smtp::server as smtp;

use super::Shared;
use super::guest::Guest;
use super::imap_server::ImapHost;
use super::smtp_server::SmtpHost;
use crate::config::{Listener, Network, Protocol};
use crate::drive::{StartTls, drive};
use crate::env::{Alpn, Env};
use crate::http::{self, Site};
use crate::listen::Gate;
use crate::proxy;
use crate::trace;

/// What new sessions get; a reload changes it.
#[derive(Debug)]
pub struct Current<E: Env> {
    /// The certificate.
    pub tls: E::TlsServer,
    /// Our name.
    pub hostname: String,
    /// Largest message in octets.
    pub message_max: u64,
    /// How long a message for other servers is tried (`delivery.max_age`).
    pub max_age: Duration,
    /// What is served by HTTP.
    pub site: Arc<Site>,
}

impl<E: Env> Clone for Current<E> {
    fn clone(&self) -> Self {
        Current {
            tls: self.tls.clone(),
            hostname: self.hostname.clone(),
            message_max: self.message_max,
            max_age: self.max_age,
            site: self.site.clone(),
        }
    }
}

/// One listener of a server.
pub struct Door<E: Env> {
    /// What its sessions share.
    pub shared: Arc<Shared<E>>,
    /// What they get.
    pub current: Arc<Mutex<Current<E>>>,
    /// Its settings.
    pub listener: Listener,
    /// Who is let in.
    pub gate: Gate,
}

impl<E: Env> Door<E> {
    /// Accepts until `closed` closes.
    pub async fn accept_all(self, at: E::Listener, closed: Receiver<()>) {
        let door = Arc::new(self);
        let env = door.shared.env.clone();
        loop {
            let stop = async {
                // Nothing is ever sent: it closes.
                let _ = closed.recv().await;
                None
            };
            let trusted = |ip| door.listener.proxy_protocol.iter().any(|network| network.contains(ip));
            let accepted = async { Some(door.gate.accept(&env, &at, trusted).await) };
            let Some((stream, peer, permit)) = future::or(stop, accepted).await else {
                return;
            };
            let guest = Guest::new(door.shared.sessions.open(), permit, peer);
            let door = door.clone();
            env.spawn("session", async move { door.session(stream, guest).await });
        }
    }

    async fn session(self: Arc<Self>, stream: E::Stream, guest: Guest) {
        let protocol = self.listener.protocol;
        let (session, peer) = (guest.number(), guest.peer);
        tracing::debug!(session, protocol = protocol.name(), %peer, "connected");
        let why = match self.begin(stream, guest).await {
            Ok(why) => why,
            Err(error) => error.to_string(),
        };
        tracing::debug!(session, protocol = protocol.name(), %peer, reason = why, "disconnected");
    }

    async fn begin(&self, mut stream: E::Stream, mut guest: Guest) -> io::Result<String> {
        let env = &self.shared.env;
        if within(&self.listener.proxy_protocol, guest.peer) {
            let header = Box::pin(in_time(env, limits::PROXY_TIMEOUT, proxy::read_header(&mut stream))).await?;
            if let Some(peer) = header {
                guest.moved_to(peer).map_err(io::Error::other)?;
            }
        }
        let peer = guest.peer;
        let current = self.current.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Current {
            tls,
            hostname,
            message_max,
            max_age,
            site,
        } = current;
        let protocol = self.listener.protocol;
        let alpn = match protocol {
            Protocol::Smtp => Alpn::Ignore,
            Protocol::Submission | Protocol::Submissions => Alpn::Require("smtp"),
            Protocol::Imap | Protocol::Imaps => Alpn::Require("imap"),
            Protocol::Http | Protocol::Https => Alpn::Require("http/1.1"),
        };
        let mut evidence = None;
        if protocol.implicit_tls() {
            let (encrypted, shown) = Box::pin(in_time(env, limits::TLS_HANDSHAKE, env.tls_accept(stream, &tls, alpn))).await?;
            stream = encrypted;
            evidence = Some(shown);
        }
        let starttls = !protocol.implicit_tls();
        let plaintext_auth = within(&self.listener.plaintext_auth, peer);
        let start_tls = StartTls::Accept { server: tls, alpn };
        let (number, shared) = (guest.number(), self.shared.clone());
        let close = match protocol {
            Protocol::Smtp | Protocol::Submission | Protocol::Submissions => {
                let submission = protocol != Protocol::Smtp;
                let settings = smtp::ask::Settings {
                    hostname,
                    submission,
                    starttls,
                    plaintext_auth,
                    scram: self.shared.accounts.scram(),
                    message_max,
                };
                let client = smtp::ask::Peer {
                    ip: peer.ip(),
                    port: peer.port(),
                };
                let seed = self.shared.seed;
                let now = env.now();
                let new = smtp::trace::New {
                    settings: Arc::new(settings),
                    peer: client,
                    tls: evidence,
                    machine: number,
                    seed,
                    now,
                };
                let (machine, tape) = trace::begin(self.shared.records.as_ref(), peer.ip(), number, now, new);
                Box::pin(drive(
                    env,
                    stream,
                    machine,
                    SmtpHost::new(shared, guest, max_age),
                    Some(&start_tls),
                    tape,
                ))
                .await
            }
            Protocol::Imap | Protocol::Imaps => {
                let settings = imap::ask::Settings {
                    hostname,
                    starttls,
                    plaintext_auth,
                    scram: self.shared.accounts.scram(),
                    message_max,
                };
                let now = env.now();
                let new = imap::trace::New {
                    settings: Arc::new(settings),
                    tls: evidence,
                    machine: number,
                    now,
                };
                let (machine, tape) = trace::begin(self.shared.records.as_ref(), peer.ip(), number, now, new);
                let host = ImapHost::new(shared, guest);
                Box::pin(drive(env, stream, machine, host, Some(&start_tls), tape)).await
            }
            Protocol::Http | Protocol::Https => {
                let ended = Box::pin(http::serve(env, stream, guest, &site, protocol.implicit_tls())).await?;
                return Ok(format!("{ended:?}"));
            }
        };
        Ok(format!("{:?}", close.why))
    }
}

fn within(networks: &[Network], peer: SocketAddr) -> bool {
    networks.iter().any(|network| network.contains(peer.ip()))
}

/// What a peer does before its session: it has so much time for it.
async fn in_time<E: Env, T>(env: &E, time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let until = env.now().instant.after(time);
    future::or(work, async {
        env.sleep_until(until).await;
        Err(io::ErrorKind::TimedOut.into())
    })
    .await
}
