//! What an SMTP server session needs done.

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use pillarbox_core::address::ReversePath;
use pillarbox_core::limits;
use pillarbox_core::machine::BodyError;
use pillarbox_core::policy::access::{self, AuthorVerdict, RecipientVerdict, Refusal};
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{Ask, Committed, Incoming, LocalDelivery, Notice, SinkOpened, Value};
use pillarbox_core::store::Flags;
use pillarbox_core::store::queue::Enqueue;
use pillarbox_core::store::request::{Placement, Refused, Reply, Where};

use super::guest::{Guest, Told};
use super::sessions::News;
use super::sink::Sink;
use super::{Boxed, Shared, escaped};
use crate::decide::decide;
use crate::drive::{Host, Performed};
use crate::env::Env;

/// The host of one session.
pub struct SmtpHost<E: Env> {
    shared: Arc<Shared<E>>,
    guest: Guest,
    sink: Option<Sink<E>>,
    /// How long a message for other servers is tried.
    max_age: Duration,
}

impl<E: Env> SmtpHost<E> {
    /// For the session of this guest. `max_age`: how long a message for other servers is tried.
    pub fn new(shared: Arc<Shared<E>>, guest: Guest, max_age: Duration) -> SmtpHost<E> {
        SmtpHost {
            shared,
            guest,
            sink: None,
            max_age,
        }
    }
}

impl<E: Env> Host<Session> for SmtpHost<E> {
    fn perform(&mut self, ask: Ask) -> Performed<Value> {
        let shared = self.shared.clone();
        match ask {
            Ask::StartTls { then } => Performed::StartTls(Box::new(move |handshake| then.answer(handshake.into()))),
            Ask::VerifyPassword { login, password, then } => {
                let verdict = self.guest.verify(shared, login, password);
                Performed::Later(Box::pin(async move { then.answer(verdict.await) }))
            }
            Ask::ScramSalt { login, then } => Performed::Now(then.answer(shared.accounts.scram_salt(&login))),
            Ask::ScramProof {
                login,
                message,
                proof,
                then,
            } => Performed::Now(then.answer(self.guest.prove(&shared, &login, &message, &proof.0))),
            Ask::ResolveRecipient { matter, then } => Performed::Later(Box::pin(async move {
                let decided = decide(&shared.env, &shared.facts(), |facts| access::recipient(&matter, facts)).await;
                then.answer(decided.unwrap_or_else(|| RecipientVerdict {
                    outcome: Err(undecided()),
                    because: Vec::new(),
                }))
            })),
            Ask::JudgeAuthor { matter, then } => Performed::Later(Box::pin(async move {
                let decided = decide(&shared.env, &shared.facts(), |facts| access::author(&matter, facts)).await;
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
                let recode = message.submitter.is_some() && sink.has_long_line();
                let (placements, queued) = split(message, self.max_age);
                let (queued, number) = (Vec::from_iter(queued), self.guest.number());
                let commit: Boxed<Reply> = match recode {
                    false => Box::pin(sink.commit(placements, queued, number)),
                    true => Box::pin(async move {
                        let sink = sink.with_short_lines().await;
                        sink.commit(placements, queued, number).await
                    }),
                };
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
        | Reply::Changed { .. }
        | Reply::Queue(_) => Committed::Failed,
    }
}

/// What the log says of a message.
struct Taken {
    message: String,
    reverse_path: String,
    local: usize,
    remote: usize,
    size: u64,
    peer: SocketAddr,
}

impl Taken {
    fn of(message: &Incoming, peer: SocketAddr) -> Taken {
        Taken {
            message: message.id.clone(),
            reverse_path: escaped(&message.reverse_path.to_string()),
            local: message.local.len(),
            remote: message.remote.len(),
            size: message.size,
            peer,
        }
    }

    fn log(&self, reply: &Reply) {
        let Taken {
            message,
            reverse_path,
            local,
            remote,
            size,
            peer,
        } = self;
        match reply {
            Reply::Placed { .. } => tracing::info!(message, reverse_path, local, remote, size, %peer, "message taken"),
            other => {
                let reason = format!("{other:?}");
                tracing::warn!(message, reverse_path, local, remote, size, %peer, reason, "message not taken");
            }
        }
    }
}

/// Copies for accounts of ours, and what enters the queue if there are recipients of others, or recipients here whose sender wishes to
/// hear of the delivery: so the report is owed by the record that delivers.
fn split(message: Incoming, max_age: Duration) -> (Vec<Placement>, Option<Enqueue>) {
    let age = match message.reverse_path {
        ReversePath::Null => max_age.min(limits::QUEUE_AGE_NULL),
        ReversePath::Mailbox(_) => max_age,
    };
    let recipients: Vec<_> = message.remote.into_iter().chain(message.told).collect();
    let queued = (!recipients.is_empty()).then(|| Enqueue {
        message: message.id.into(),
        submitter: message.submitter,
        reverse_path: message.reverse_path,
        reportable: message.reportable,
        prefix: message.remote_prefix.into(),
        arrived: message.received,
        expires: message.received.after(age),
        wishes: message.wishes,
        recipients,
    });
    let received = message.received;
    let placement = |copy: LocalDelivery| Placement {
        account: copy.account,
        mailbox: Where::Inbox,
        prefix: copy.prefix.into(),
        flags: Flags(0),
        keywords: Vec::new(),
        internal_date: received,
        save_date: received,
    };
    (message.local.into_iter().map(placement).collect(), queued)
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

#[cfg(test)]
mod tests {
    use pillarbox_core::address::Mailbox;
    use pillarbox_core::store::AccountId;
    use pillarbox_core::store::queue::{QueuedRecipient, Task, Wishes};
    use pillarbox_core::time::UnixTime;

    use super::*;

    fn recipient(address: &str) -> QueuedRecipient {
        QueuedRecipient::of(Mailbox::parse(address, false).expect("an address"))
    }

    #[test]
    fn one_message_for_accounts_and_for_the_queue() {
        let incoming = |reverse_path| Incoming {
            id: "01m86ch3m0b3vny3m".into(),
            reverse_path,
            submitter: Some(AccountId([7; 16])),
            reportable: true,
            wishes: Wishes::default(),
            local: vec![LocalDelivery {
                account: AccountId([1; 16]),
                recipient: recipient("bob@one.test"),
                prefix: b"Return-Path: <>\r\n".to_vec(),
            }],
            told: vec![QueuedRecipient {
                task: Task::TellDelivered,
                ..recipient("bob@one.test")
            }],
            remote: vec![recipient("c@two.test"), recipient("d@three.test")],
            remote_prefix: b"Received: x\r\n".to_vec(),
            received: UnixTime(1000),
            size: 5,
        };
        let day = Duration::from_secs(86_400);
        let tim = ReversePath::Mailbox(Mailbox::parse("tim@one.test", false).expect("an address"));
        let (placements, queued) = split(incoming(tim.clone()), 5 * day);
        assert_eq!(placements.len(), 1);
        assert_eq!(&*placements[0].prefix, b"Return-Path: <>\r\n");
        let queued = queued.expect("two recipients of others, and one to tell of");
        assert_eq!((queued.recipients.len(), &*queued.prefix), (3, b"Received: x\r\n".as_slice()));
        assert_eq!(
            (queued.submitter, queued.reverse_path),
            (Some(AccountId([7; 16])), tim.clone())
        );
        assert_eq!(queued.expires, UnixTime(1000 + 5 * 86_400_000));
        let age = |max_age| {
            let (_, queued) = split(incoming(ReversePath::Null), max_age);
            queued.expect("recipients of others").expires
        };
        assert_eq!(
            age(5 * day),
            UnixTime(1000 + 2 * 86_400_000),
            "a report is not tried for long"
        );
        assert_eq!(age(day), UnixTime(1000 + 86_400_000));
        let mut local = incoming(tim);
        local.remote.clear();
        let tasks = split(local.clone(), day).1.expect("one to tell of").recipients;
        assert_eq!(tasks.iter().map(|one| one.task).collect::<Vec<_>>(), [Task::TellDelivered]);
        local.told.clear();
        assert_eq!(split(local, day).1, None);
    }
}
