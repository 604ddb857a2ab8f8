//! A server's [`Post`]: its store, its SMTP client, its accounts and its resolver.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pillarbox_core::delivery::{Destination, Plan};
use pillarbox_core::imap::server::ask::BodyRange;
use pillarbox_core::machine::BodyError;
use pillarbox_core::message::intake::Intake;
use pillarbox_core::smtp::client::ask::{Credentials, Outcome, Transaction};
use pillarbox_core::store::queue::{QUEUE, QueueId, QueuedMessage, RowChange, Said};
use pillarbox_core::store::request::{Body, BodyBytes, Reply, Request};

use super::{Hand, Letter, Post};
use crate::config::{Config, Relay};
use crate::decide::FactSource;
use crate::env::Env;
use crate::hosts::Shared;
use crate::hosts::body::BodyRun;
use crate::hosts::smtp_client::{self, TransactionSource};
use crate::hosts::store::Store;

/// The post of one server.
pub struct ServerPost<E: Env> {
    shared: Arc<Shared<E>>,
    client: smtp_client::Outbound<E>,
    /// What next hops are logged in to with, by their names.
    logins: Vec<(String, Credentials)>,
}

impl<E: Env> ServerPost<E> {
    /// For a server with this configuration.
    pub fn new(shared: Arc<Shared<E>>, config: &Config) -> ServerPost<E> {
        let relays = config.routes.iter().map(|route| &route.relay);
        let relays = relays.chain(&config.delivery.smarthost);
        let login = |relay: &Relay| Some((relay.name(), shared.secrets.credentials(relay.login.as_ref()?)?));
        ServerPost {
            logins: relays.filter_map(login).collect(),
            client: smtp_client::Outbound {
                env: shared.env.clone(),
                sessions: shared.sessions.clone(),
                hostname: config.hostname.as_str().to_string(),
                sources: config.delivery.source.clone(),
                login: None,
            },
            shared,
        }
    }

    fn login(&self, plan: &Plan) -> Option<Credentials> {
        match &plan.destination {
            Destination::Relay(name) => {
                let mut logins = self.logins.iter();
                logins.find(|(known, _)| **known == **name).map(|(_, login)| login.clone())
            }
            Destination::Domain(_) | Destination::Literal(_) => None,
        }
    }
}

impl<E: Env> Post for ServerPost<E> {
    async fn deliver(&self, plan: Arc<Plan>, hand: Hand) -> Result<(), Arc<Said>> {
        let client = smtp_client::Outbound {
            login: self.login(&plan),
            ..self.client.clone()
        };
        let source = Arc::new(Source {
            hand,
            store: self.shared.store.clone(),
            notes: Mutex::new(Notes {
                message: None,
                reading: None,
                unusable: None,
            }),
        });
        smtp_client::deliver(&client, &plan, source.clone()).await;
        let unusable = source.notes().unusable.take();
        unusable.map_or(Ok(()), Err)
    }

    fn commit(&self, changes: Vec<RowChange>, letter: Option<Letter>) -> impl Future<Output = bool> + Send + 'static {
        let request = match letter {
            None => Request::ChangeQueue(changes),
            Some(letter) => {
                let mut intake = Intake::new();
                intake.update(&letter.body);
                let taken = intake.finish();
                Request::Place {
                    body: Body {
                        len: taken.size,
                        crc: taken.crc,
                        hash: taken.hash,
                        bytes: BodyBytes::Inline(letter.body),
                    },
                    placements: letter.placements,
                    queued: Vec::from_iter(letter.queued),
                    changes,
                    origin: 0,
                }
            }
        };
        let reply = self.shared.store.submit(request);
        async move {
            match reply.await {
                Reply::Done | Reply::Placed { .. } => true,
                Reply::Refused(refused) => {
                    tracing::warn!(?refused, "the queue could not be changed");
                    false
                }
                Reply::Flagged { .. }
                | Reply::Expunged { .. }
                | Reply::Queue(_)
                | Reply::Mailboxes(_)
                | Reply::Selected(_)
                | Reply::Changed { .. } => false,
            }
        }
    }

    async fn beginning(&self, message: &QueuedMessage, octets: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut reading = Reading::from(self.shared.store.clone(), message, 0);
        while bytes.len() < octets {
            match reading.read(octets - bytes.len()).await {
                Ok(more) if more.is_empty() => break,
                Ok(more) => bytes.extend_from_slice(&more),
                Err(error) => {
                    tracing::error!(
                        message = &*message.entered.message,
                        ?error,
                        "a queued message cannot be read for its report"
                    );
                    break;
                }
            }
        }
        bytes
    }

    fn facts(&self) -> impl FactSource + Send + '_ {
        self.shared.facts()
    }
}

/// A queued message that is being read from a place on. All of a large one is read in one run, so that its checksum is compared
/// before its last piece leaves (promise R10).
struct Reading<E: Env> {
    run: BodyRun<E>,
    /// The next octet.
    at: u64,
    end: u64,
    /// Read, but not yet given.
    rest: Vec<u8>,
}

impl<E: Env> Reading<E> {
    fn from(store: Store<E>, message: &QueuedMessage, start: u64) -> Reading<E> {
        let end = message.body_len + message.entered.prefix.len() as u64;
        let part = BodyRange {
            row: message.row(),
            start,
            len: end.saturating_sub(start),
        };
        Reading {
            run: BodyRun::new(store, QUEUE, vec![part]),
            at: start,
            end,
            rest: Vec::new(),
        }
    }

    /// At most `len` octets, at least one before the end.
    async fn read(&mut self, len: usize) -> Result<Vec<u8>, BodyError> {
        if self.rest.is_empty() && self.at < self.end {
            poll_fn(|cx| self.run.poll(cx)).await?;
            self.rest.extend_from_slice(self.run.chunk());
        }
        let later = self.rest.split_off(len.min(self.rest.len()));
        let piece = std::mem::replace(&mut self.rest, later);
        self.at += piece.len() as u64;
        Ok(piece)
    }
}

/// One connection's messages: handed out by the scheduler, read from the store.
struct Source<E: Env> {
    hand: Hand,
    store: Store<E>,
    notes: Mutex<Notes<E>>,
}

/// What a source remembers.
struct Notes<E: Env> {
    message: Option<Arc<QueuedMessage>>,
    reading: Option<Reading<E>>,
    unusable: Option<Arc<Said>>,
}

impl<E: Env> Source<E> {
    fn notes(&self) -> MutexGuard<'_, Notes<E>> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Env> TransactionSource for Source<E> {
    async fn next(&self) -> Option<Arc<Transaction>> {
        let handed = self.hand.next().await?;
        self.notes().message = Some(handed.message);
        Some(handed.transaction)
    }

    async fn report(&self, _: QueueId, results: Vec<Outcome>) {
        {
            let mut notes = self.notes();
            notes.message = None;
            notes.reading = None;
        }
        self.hand.report(results).await;
    }

    async fn read(&self, _: QueueId, start: u64, len: usize) -> Result<Vec<u8>, BodyError> {
        let (message, reading) = {
            let mut notes = self.notes();
            (notes.message.clone().ok_or(BodyError::Missing)?, notes.reading.take())
        };
        let reading = reading.filter(|reading| reading.at == start);
        let mut reading = reading.unwrap_or_else(|| Reading::from(self.store.clone(), &message, start));
        let piece = reading.read(len).await?;
        self.notes().reading = Some(reading);
        Ok(piece)
    }

    async fn unusable(&self, said: Arc<Said>) {
        self.notes().unusable = Some(said);
    }
}
