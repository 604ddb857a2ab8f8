//! What an SMTP server session needs done.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use pillarbox_core::machine::BodyError;
use pillarbox_core::policy::access::{self, AuthorVerdict, RecipientVerdict, Refusal, Target};
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{Ask, Committed, Incoming, Notice, SinkOpened, Value};
use pillarbox_core::store::Flags;
use pillarbox_core::store::request::{Placement, Refused, Reply, Where};

use super::guest::{Guest, Told};
use super::sessions::News;
use super::sink::Sink;
use super::{Shared, escaped};
use crate::decide::decide;
use crate::drive::{Host, Performed};
use crate::env::Env;

/// The host of one session.
pub struct SmtpHost<E: Env> {
    shared: Arc<Shared<E>>,
    guest: Guest,
    sink: Option<Sink<E>>,
}

impl<E: Env> SmtpHost<E> {
    /// For the session of this guest.
    pub fn new(shared: Arc<Shared<E>>, guest: Guest) -> SmtpHost<E> {
        SmtpHost {
            shared,
            guest,
            sink: None,
        }
    }
}

impl<E: Env> Host<Session> for SmtpHost<E> {
    fn perform(&mut self, ask: Ask) -> Performed<Value> {
        let shared = self.shared.clone();
        match ask {
            Ask::StartTls { then } => Performed::StartTls(Box::new(move |outcome| then.answer(outcome))),
            Ask::VerifyPassword { login, password, then } => {
                let verdict = self.guest.verify(shared, login, password);
                Performed::Later(Box::pin(async move { then.answer(verdict.await) }))
            }
            Ask::ResolveRecipient { matter, then } => Performed::Later(Box::pin(async move {
                let decided = decide(&shared.env, &shared.accounts, |facts| access::recipient(&matter, facts)).await;
                then.answer(decided.unwrap_or_else(|| RecipientVerdict {
                    outcome: Err(undecided()),
                    because: Vec::new(),
                }))
            })),
            Ask::JudgeAuthor { matter, then } => Performed::Later(Box::pin(async move {
                let decided = decide(&shared.env, &shared.accounts, |facts| access::author(&matter, facts)).await;
                then.answer(decided.unwrap_or_else(|| AuthorVerdict {
                    outcome: Err(undecided()),
                    because: Vec::new(),
                }))
            })),
            Ask::OpenMessage { size, then } => {
                self.sink = Some(Sink::new(shared.store.clone()));
                Performed::Later(Box::pin(async move {
                    then.answer(match shared.store.has_space(size).await {
                        true => SinkOpened::Ready,
                        false => SinkOpened::Full,
                    })
                }))
            }
            Ask::DropMessage => {
                self.sink = None;
                Performed::Nothing
            }
            Ask::CommitMessage { message, then } => {
                let Some(sink) = self.sink.take() else {
                    return Performed::Now(then.answer(Committed::Failed));
                };
                let taken = Taken::of(&message, self.guest.peer);
                let commit = sink.commit(placements(message), self.guest.number());
                let reply = started(&shared.env, async move {
                    let reply = commit.await;
                    taken.log(&reply);
                    reply
                });
                Performed::Later(Box::pin(async move { then.answer(committed(&reply.await)) }))
            }
        }
    }

    async fn write_body(&mut self, part: &[u8]) {
        if let Some(sink) = &mut self.sink {
            sink.write(part).await;
        }
    }

    fn poll_body(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        Poll::Ready(Err(BodyError::Missing)) // an SMTP server sends no bodies
    }

    fn body_chunk(&self) -> &[u8] {
        &[]
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        match self.guest.poll_told(cx) {
            Poll::Ready(Told::Shed) => Poll::Ready(Notice::Shed),
            Poll::Ready(Told::News(News::Shutdown)) => Poll::Ready(Notice::Shutdown),
            Poll::Ready(Told::News(News::Changed(..))) | Poll::Pending => Poll::Pending, // it watches nothing
        }
    }
}

fn committed(reply: &Reply) -> Committed {
    match reply {
        Reply::Placed { .. } => Committed::Done,
        Reply::Refused(Refused::DiskFull) => Committed::Full,
        Reply::Refused(
            Refused::NoSuchMailbox
            | Refused::Limit(_)
            | Refused::Stopping
            | Refused::AlreadyExists
            | Refused::Cannot(_)
            | Refused::HasChildren
            | Refused::UseTaken
            | Refused::NoDestination
            | Refused::Expunged,
        )
        | Reply::Tree(_)
        | Reply::Transferred(_)
        | Reply::Done
        | Reply::Flagged { .. }
        | Reply::Expunged { .. }
        | Reply::Mailboxes(_)
        | Reply::Selected(_)
        | Reply::Changed { .. } => Committed::Failed,
    }
}

/// What the log says of a message.
struct Taken {
    message: String,
    reverse_path: String,
    recipients: usize,
    size: u64,
    peer: SocketAddr,
}

impl Taken {
    fn of(message: &Incoming, peer: SocketAddr) -> Taken {
        Taken {
            message: message.id.clone(),
            reverse_path: escaped(&message.reverse_path.to_string()),
            recipients: message.deliveries.len(),
            size: message.size,
            peer,
        }
    }

    fn log(&self, reply: &Reply) {
        let Taken {
            message,
            reverse_path,
            recipients,
            size,
            peer,
        } = self;
        match reply {
            Reply::Placed { .. } => tracing::info!(message, reverse_path, recipients, size, %peer, "message delivered"),
            other => {
                let reason = format!("{other:?}");
                tracing::warn!(message, reverse_path, recipients, size, %peer, reason, "message not taken");
            }
        }
    }
}

fn placements(message: Incoming) -> Vec<Placement> {
    let received = message.received;
    let delivery = |delivery: pillarbox_core::smtp::server::ask::Delivery| match delivery.target {
        Target::Local { account, .. } => Placement {
            account,
            mailbox: Where::Inbox,
            prefix: delivery.prefix.into(),
            flags: Flags(0),
            keywords: Vec::new(),
            internal_date: received,
            save_date: received,
        },
    };
    message.deliveries.into_iter().map(delivery).collect()
}

fn undecided() -> Refusal {
    Refusal {
        code: 451,
        status: [4, 3, 0],
        text: "this cannot be decided now, try again later".into(),
    }
}

/// Runs an effect to its end: it goes on as a task of its own, even if nobody waits.
pub(super) fn started<E: Env>(
    env: &E,
    effect: impl Future<Output = Reply> + Send + 'static,
) -> impl Future<Output = Reply> + Send + 'static {
    let (done, reply) = async_channel::bounded(1);
    env.spawn("effect", async move {
        let outcome = effect.await;
        // Nobody waits when the connection is lost.
        let _ = done.try_send(outcome);
    });
    async move { reply.recv().await.unwrap_or(Reply::Refused(Refused::Stopping)) }
}
