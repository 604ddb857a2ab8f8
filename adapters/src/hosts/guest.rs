//! The peer of one session: its place among the sessions, its permit from the gate, its address.

use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use pillarbox_core::sasl::ProofVerdict;
use pillarbox_core::secret::Secret;
use pillarbox_core::smtp::server::ask::PasswordVerdict;

use super::sessions::{News, Place};
use super::{Shared, escaped};
use crate::env::Env;
use crate::listen::{Permit, TooMany};

/// Who is served.
pub struct Guest {
    /// Its place among the sessions.
    pub place: Place,
    /// It counts as a connection while this lives.
    permit: Arc<Permit>,
    /// Its address.
    pub peer: SocketAddr,
    /// It has been told to go.
    shed: bool,
}

/// What a guest may be told.
pub enum Told {
    /// By the server.
    News(News),
    /// By the gate: connections run out.
    Shed,
}

impl Guest {
    /// One who has just come.
    pub fn new(place: Place, permit: Permit, peer: SocketAddr) -> Guest {
        Guest {
            place,
            permit: Arc::new(permit),
            peer,
            shed: false,
        }
    }

    /// A proxy has named the real peer.
    ///
    /// # Errors
    /// When that one's network has too many connections.
    pub fn moved_to(&mut self, peer: SocketAddr) -> Result<(), TooMany> {
        self.peer = peer;
        match Arc::get_mut(&mut self.permit) {
            Some(permit) => permit.move_to(peer.ip()),
            None => Ok(()), // it is the session's by then, and no longer behind a header
        }
    }

    /// The session's number.
    pub fn number(&self) -> u64 {
        self.place.number()
    }

    /// The next thing to tell it.
    pub fn poll_told(&mut self, cx: &mut Context<'_>) -> Poll<Told> {
        if !self.shed && self.permit.poll_shed(cx).is_ready() {
            self.shed = true;
            return Poll::Ready(Told::Shed);
        }
        self.place.poll_news(cx).map(Told::News)
    }

    /// Checks a password, and logs the outcome.
    pub fn verify<E: Env>(
        &self,
        shared: Arc<Shared<E>>,
        login: String,
        password: Secret,
    ) -> impl Future<Output = PasswordVerdict> + Send + use<E> {
        let (permit, peer) = (self.permit.clone(), self.peer);
        async move {
            let verdict = shared.accounts.verify(&login, password).await;
            match &verdict {
                PasswordVerdict::Granted(login) => {
                    permit.logged_in();
                    tracing::info!(account = login.name, %peer, "logged in");
                }
                PasswordVerdict::Denied => tracing::warn!(login = escaped(&login), %peer, "login denied"),
                PasswordVerdict::Busy => tracing::warn!(login = escaped(&login), %peer, "login put off: too many at once"),
            }
            verdict
        }
    }
    /// Checks a proof of SCRAM, and logs the outcome.
    pub fn prove<E: Env>(&self, shared: &Shared<E>, login: &str, message: &str, proof: &[u8; 32]) -> ProofVerdict {
        let verdict = shared.accounts.prove(login, message, proof);
        let peer = self.peer;
        match &verdict {
            ProofVerdict::Granted { login, .. } => {
                self.permit.logged_in();
                tracing::info!(account = login.name, %peer, "logged in");
            }
            ProofVerdict::Denied => tracing::warn!(login = escaped(login), %peer, "login denied"),
        }
        verdict
    }
}
