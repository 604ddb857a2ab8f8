//! A server's [`Post`]: its store, its SMTP client, its accounts and its resolver.

use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pillarbox_core::delivery::{Destination, Plan};
use pillarbox_core::imap::server::ask::BodyRange;
use pillarbox_core::machine::BodyError;
use pillarbox_core::message::intake::Intake;
use pillarbox_core::smtp::client::ask::{Credentials, Outcome, Transaction};
use pillarbox_core::store::queue::{QUEUE, QueueId, QueuedMessage, RowChange, Said};
use pillarbox_core::store::request::{Body, BodyBytes, NewMailbox, Reply, Request, Where};
use pillarbox_core::store::tree::{TreeDone, TreeRequest};
use pillarbox_core::store::{AccountId, MailboxId, MailboxName};

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
                records: shared.records.clone(),
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
                unusable: None,
                used: false,
            }),
        });
        smtp_client::deliver(&client, &plan, source.clone()).await;
        let unusable = source.notes().unusable.take();
        unusable.map_or(Ok(()), Err)
    }

    fn commit(&self, changes: Vec<RowChange>, letter: Option<Letter>) -> impl Future<Output = bool> + Send + 'static {
        let (env, store) = (self.shared.env.clone(), self.shared.store.clone());
        let submitted = match letter {
            None => Ok(store.submit(Request::ChangeQueue(changes))),
            Some(letter) if !letter.set_aside => Ok(store.submit(place(letter, changes))),
            Some(letter) => Err((letter, changes)),
        };
        async move {
            let reply = match submitted {
                Ok(reply) => reply.await,
                Err((mut letter, changes)) => {
                    for placement in &mut letter.placements {
                        placement.mailbox = undeliverable(&env, &store, placement.account).await;
                    }
                    store.submit(place(letter, changes)).await
                }
            };
            match reply {
                Reply::Done | Reply::Placed { .. } => true,
                Reply::Refused(refused) => {
                    tracing::warn!(?refused, "the queue could not be changed");
                    false
                }
                Reply::Flagged { .. }
                | Reply::Expunged { .. }
                | Reply::Queue(_)
                | Reply::Tree(_)
                | Reply::Transferred(_)
                | Reply::Mailboxes(_)
                | Reply::Selected(_)
                | Reply::Changed { .. } => false,
            }
        }
    }

    async fn beginning(&self, message: &QueuedMessage, octets: usize) -> Vec<u8> {
        let wanted = octets.min(usize::try_from(size(message)).unwrap_or(usize::MAX));
        let mut bytes = Vec::new();
        let mut run = whole(self.shared.store.clone(), message);
        while bytes.len() < wanted {
            match poll_fn(|cx| run.poll(cx)).await {
                Ok(()) => bytes.extend_from_slice(run.chunk()),
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
        bytes.truncate(wanted);
        bytes
    }

    fn facts(&self) -> impl FactSource + Send + '_ {
        self.shared.facts()
    }
}

/// A letter and the changes that it reports, as one record.
fn place(letter: Letter, changes: Vec<RowChange>) -> Request {
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

/// The mailbox for what could be reported to nobody; INBOX when it cannot be made.
async fn undeliverable<E: Env>(env: &E, store: &Store<E>, account: AccountId) -> Where {
    let name = MailboxName("Undeliverable".into());
    if let Reply::Mailboxes(mailboxes) = store.submit(Request::Mailboxes(account)).await
        && let Some(known) = mailboxes.iter().find(|mailbox| mailbox.name == name)
        && let Some(mailbox) = known.mailbox
    {
        return Where::Mailbox(mailbox);
    }
    let tree = |change| Request::Tree {
        account,
        change,
        at: env.now().unix,
        origin: 0,
    };
    let mut id = [0; 16];
    env.entropy(&mut id);
    let new = NewMailbox {
        mailbox: MailboxId(id),
        name: name.clone(),
        special_use: None,
    };
    match store.submit(tree(TreeRequest::Create(new))).await {
        Reply::Tree(TreeDone { mailbox: Some(made), .. }) => {
            // Clients show what is subscribed.
            drop(store.submit(tree(TreeRequest::Subscribe(name))));
            Where::Mailbox(made.mailbox)
        }
        other => {
            tracing::warn!(?other, "the postmaster's mailbox Undeliverable cannot be made: INBOX is used");
            Where::Inbox
        }
    }
}

/// Octets of a queued message: prefix ++ body.
fn size(message: &QueuedMessage) -> u64 {
    message.body_len + message.entered.prefix.len() as u64
}

/// A queued message, to be read to its end: of a large one the checksum is compared before its last piece leaves (promise R10).
fn whole<E: Env>(store: Store<E>, message: &QueuedMessage) -> BodyRun<E> {
    let part = BodyRange {
        row: message.row(),
        start: 0,
        len: size(message),
    };
    BodyRun::new(store, QUEUE, vec![part])
}

/// One connection's messages: handed out by the scheduler, read from the store.
struct Source<E: Env> {
    hand: Hand,
    store: Store<E>,
    notes: Mutex<Notes>,
}

/// What a source remembers.
struct Notes {
    message: Option<Arc<QueuedMessage>>,
    unusable: Option<Arc<Said>>,
    /// It has carried a message.
    used: bool,
}

impl<E: Env> Source<E> {
    fn notes(&self) -> MutexGuard<'_, Notes> {
        self.notes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<E: Env> TransactionSource for Source<E> {
    type Body = BodyRun<E>;

    async fn next(&self) -> Option<Arc<Transaction>> {
        // It ends as if the scheduler had nothing more for it.
        if self.store.env.buggify("a connection ends after a message") && std::mem::take(&mut self.notes().used) {
            return None;
        }
        let handed = self.hand.next().await?;
        let mut notes = self.notes();
        notes.message = Some(handed.message);
        notes.used = true;
        drop(notes);
        Some(handed.transaction)
    }

    async fn report(&self, _: QueueId, results: Vec<Outcome>) {
        self.notes().message = None;
        self.hand.report(results).await;
    }

    fn open(&self, _: QueueId) -> Result<BodyRun<E>, BodyError> {
        let message = self.notes().message.clone().ok_or(BodyError::Missing)?;
        Ok(whole(self.store.clone(), &message))
    }

    async fn unusable(&self, said: Arc<Said>) {
        self.notes().unusable = Some(said);
    }
}
