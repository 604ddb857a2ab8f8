//! What an IMAP server session needs done.

use std::sync::Arc;
use std::task::{Context, Poll};

use pillarbox_core::imap::server::Session;
use pillarbox_core::imap::server::ask::{
    AppendDone, Appended, Ask, BodiesOpened, Digests, ExpungeDone, FlagsSet, FlagsSetAt, MailboxList, Matched, Notice, Opened,
    Pulled, PulledChanges, TransferDone, TreeChanged, TreeWish, Value,
};
use pillarbox_core::machine::BodyError;
use pillarbox_core::smtp::server::ask::SinkOpened;
use pillarbox_core::store::MailboxId;
use pillarbox_core::store::request::{NewMailbox, Placement, Refused, Reply, Request, Where};
use pillarbox_core::store::tree::TreeRequest;

use super::Shared;
use super::body::{self, BodyRun};
use super::guest::{Guest, Told};
use super::matching::matching;
use super::sessions::News;
use super::sink::Sink;
use super::smtp_server::started;
use crate::drive::{Host, Performed};
use crate::env::Env;

/// The host of one session.
pub struct ImapHost<E: Env> {
    shared: Arc<Shared<E>>,
    guest: Guest,
    sink: Option<Sink<E>>,
    run: Option<BodyRun<E>>,
}

impl<E: Env> ImapHost<E> {
    /// For the session of this guest.
    pub fn new(shared: Arc<Shared<E>>, guest: Guest) -> ImapHost<E> {
        ImapHost {
            shared,
            guest,
            sink: None,
            run: None,
        }
    }

    /// Submits at once; `read` makes the answer from the reply.
    fn submit<T, R>(&self, request: Request, then: pillarbox_core::machine::Slot<T>, read: R) -> Performed<Value>
    where
        T: 'static,
        Value: From<T>,
        R: FnOnce(Reply) -> T + Send + 'static,
    {
        let reply = self.shared.store.submit(request);
        Performed::Later(Box::pin(async move { then.answer(read(reply.await)) }))
    }
}

impl<E: Env> Host<Session> for ImapHost<E> {
    fn perform(&mut self, ask: Ask) -> Performed<Value> {
        if self.run.as_ref().is_some_and(BodyRun::is_done) {
            self.run = None; // an idle session owns no buffer
        }
        let shared = self.shared.clone();
        let number = self.guest.number();
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
            Ask::Mailboxes { account, then } => self.submit(Request::Mailboxes(account), then, |reply| {
                MailboxList(match reply {
                    Reply::Mailboxes(list) => Ok(list),
                    other => Err(refused(other)),
                })
            }),
            Ask::Select {
                account,
                name,
                watch,
                take_recent,
                then,
            } => {
                let watch = watch.then_some(number);
                self.submit(
                    Request::Select {
                        account,
                        name,
                        watch,
                        take_recent,
                    },
                    then,
                    |reply| {
                        Opened(match reply {
                            Reply::Selected(selected) => Ok(selected),
                            other => Err(refused(other)),
                        })
                    },
                )
            }
            Ask::Unwatch { mailbox } => {
                self.guest.place.unwatch(mailbox);
                drop(shared.store.submit(Request::Unwatch { mailbox, watch: number }));
                Performed::Nothing
            }
            Ask::Changes {
                mailbox,
                since,
                take_recent,
                then,
            } => self.submit(
                Request::Changes {
                    mailbox,
                    since,
                    take_recent,
                },
                then,
                |reply| {
                    Pulled(match reply {
                        Reply::Changed { changes, recent_from } => Ok(PulledChanges { changes, recent_from }),
                        other => Err(refused(other)),
                    })
                },
            ),
            Ask::Digests { mailbox, rows, then } => Performed::Later(Box::pin(async move {
                then.answer(Digests(body::digests(shared.store.clone(), mailbox.account, rows).await))
            })),
            Ask::OpenBodies { mailbox, parts, then } => {
                self.run = Some(BodyRun::new(shared.store.clone(), mailbox.account, parts));
                Performed::Now(then.answer(BodiesOpened::Ready))
            }
            Ask::Match {
                mailbox,
                program,
                candidates,
                then,
            } => Performed::Later(Box::pin(async move {
                then.answer(Matched(matching(shared, mailbox.account, program, candidates).await))
            })),
            Ask::SetFlags {
                mailbox,
                uids,
                change,
                then,
            } => {
                let request = Request::SetFlags {
                    mailbox,
                    uids,
                    change,
                    unchanged_since: None,
                    origin: number,
                };
                self.submit(request, then, |reply| {
                    FlagsSet(match reply {
                        Reply::Flagged { lsn, modified } => Ok(FlagsSetAt { lsn, modified }),
                        other => Err(refused(other)),
                    })
                })
            }
            Ask::Expunge { mailbox, uids, then } => self.submit(
                Request::Expunge {
                    mailbox,
                    uids,
                    origin: number,
                },
                then,
                |reply| {
                    ExpungeDone(match reply {
                        Reply::Expunged { lsn } => Ok(lsn),
                        other => Err(refused(other)),
                    })
                },
            ),
            Ask::ChangeTree { account, wish, then } => self.submit(
                Request::Tree {
                    account,
                    change: tree_request(&shared.env, wish),
                    at: shared.env.now().unix,
                    origin: number,
                },
                then,
                |reply| {
                    TreeChanged(match reply {
                        Reply::Tree(done) => Ok(done),
                        other => Err(refused(other)),
                    })
                },
            ),
            Ask::Transfer {
                from,
                to,
                uids,
                strict,
                moves,
                then,
            } => self.submit(
                Request::Transfer {
                    from,
                    to,
                    uids,
                    strict,
                    moves,
                    at: shared.env.now().unix,
                    origin: number,
                },
                then,
                |reply| {
                    TransferDone(match reply {
                        Reply::Transferred(done) => Ok(done),
                        other => Err(refused(other)),
                    })
                },
            ),
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
            Ask::CommitAppend {
                mailbox,
                flags,
                keywords,
                internal_date,
                then,
            } => {
                let Some(sink) = self.sink.take() else {
                    return Performed::Now(then.answer(AppendDone(Err(Refused::Limit("no message".into())))));
                };
                let placement = Placement {
                    account: mailbox.account,
                    mailbox: Where::Mailbox(mailbox.mailbox),
                    prefix: Arc::from([]),
                    flags,
                    keywords,
                    internal_date,
                    save_date: shared.env.now().unix,
                };
                let reply = started(&shared.env, sink.commit(vec![placement], Vec::new(), number));
                Performed::Later(Box::pin(async move { then.answer(AppendDone(appended(reply.await))) }))
            }
        }
    }

    async fn write_body(&mut self, part: &[u8]) {
        if let Some(sink) = &mut self.sink {
            sink.write(part).await;
        }
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match &mut self.run {
            Some(run) => run.poll(cx),
            None => Poll::Ready(Err(BodyError::Missing)),
        }
    }

    fn body_chunk(&self) -> &[u8] {
        self.run.as_ref().map_or(&[], BodyRun::chunk)
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        self.guest.poll_told(cx).map(|told| match told {
            Told::Shed => Notice::Shed,
            Told::News(News::Shutdown) => Notice::Shutdown,
            Told::News(News::Changed(mailbox, lsn)) => Notice::Changed { mailbox, lsn },
        })
    }
}

impl<E: Env> Drop for ImapHost<E> {
    fn drop(&mut self) {
        for mailbox in self.guest.place.watched() {
            drop(self.shared.store.submit(Request::Unwatch {
                mailbox,
                watch: self.guest.number(),
            }));
        }
    }
}

/// A wish with random ids for the mailboxes that it makes.
fn tree_request<E: Env>(env: &E, wish: TreeWish) -> TreeRequest {
    let random = || {
        let mut id = [0; 16];
        env.entropy(&mut id);
        MailboxId(id)
    };
    match wish {
        TreeWish::Create { name, special_use } => TreeRequest::Create(NewMailbox {
            mailbox: random(),
            name,
            special_use,
        }),
        TreeWish::Delete(name) => TreeRequest::Delete(name),
        TreeWish::Rename { from, to } => TreeRequest::Rename {
            from,
            to,
            fresh: random(),
        },
        TreeWish::Subscribe(name) => TreeRequest::Subscribe(name),
        TreeWish::Unsubscribe(name) => TreeRequest::Unsubscribe(name),
    }
}

/// The refusal in a reply; a reply of another kind is the store's bug, and shown as such.
fn refused(reply: Reply) -> Refused {
    match reply {
        Reply::Refused(refused) => refused,
        Reply::Done
        | Reply::Placed { .. }
        | Reply::Flagged { .. }
        | Reply::Expunged { .. }
        | Reply::Mailboxes(_)
        | Reply::Selected(_)
        | Reply::Tree(_)
        | Reply::Transferred(_)
        | Reply::Changed { .. }
        | Reply::Queue(_) => Refused::Limit("the store gave another answer than was asked for".into()),
    }
}

fn appended(reply: Reply) -> Result<Appended, Refused> {
    match reply {
        Reply::Placed { lsn, placed, .. } => match placed.as_slice() {
            [place] => Ok(Appended {
                lsn,
                uid_validity: place.uid_validity,
                uid: place.uid,
            }),
            _ => Err(refused(Reply::Done)),
        },
        other => Err(refused(other)),
    }
}
