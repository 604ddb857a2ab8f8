//! Sends messages to another server: tries the servers of a plan in order, and does what the client session asks.
//!
//! ```text
//! plan -> address -> connect -> (implicit TLS) -> session -> used: the delivery is over, whatever became of its messages
//!            ^                                        |
//!            +-------- unusable: the next address ----+ STARTTLS failed, opportunistic: the same address again, in the clear
//! ```

use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use futures_lite::future;
use pillarbox_core::delivery::{Hop, Plan};
use pillarbox_core::limits;
use pillarbox_core::machine::{BodyError, Reason};
use pillarbox_core::smtp::client::Session;
use pillarbox_core::smtp::client::ask::{
    Ask, BodyOpened, Credentials, Next, Notice, Outcome, Reported, Settings, TlsUse, Transaction, Value,
};
use pillarbox_core::smtp::client::trace::New;
use pillarbox_core::store::queue::{QueueId, Said};

use super::body::BodyRun;
use super::escaped;
use super::sessions::{News, Place, Sessions};
use crate::drive::{Host, Performed, StartTls, drive};
use crate::env::Env;
use crate::trace::{self, Records};

/// Where a delivery's messages come from, and who is told what became of them.
pub trait TransactionSource: Send + Sync + 'static {
    /// How a message is read.
    type Body: MessageBody;
    /// The next message for this plan's servers; none: the session says QUIT. Asked only when it can be sent at once. What is handed
    /// out is reported, unless the delivery itself is dropped.
    fn next(&self) -> impl Future<Output = Option<Arc<Transaction>>> + Send;
    /// What became of the message handed out last: one outcome for each recipient, in their order. Done when that is durable.
    fn report(&self, id: QueueId, results: Vec<Outcome>) -> impl Future<Output = ()> + Send;
    /// Opens the message handed out last: all its octets (prefix ++ body), from the first on.
    ///
    /// # Errors
    /// It is not there.
    fn open(&self, id: QueueId) -> Result<Self::Body, BodyError>;
    /// None of the plan's servers could be used: nothing was asked for. Called at most once, as the last thing.
    fn unusable(&self, said: Arc<Said>) -> impl Future<Output = ()> + Send;
}

/// A message being read: chunk by chunk, none of them empty.
pub trait MessageBody: Send {
    /// Reads the next chunk.
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>>;
    /// The chunk read last.
    fn chunk(&self) -> &[u8];
}

impl<E: Env> MessageBody for BodyRun<E> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        BodyRun::poll(self, cx)
    }

    fn chunk(&self) -> &[u8] {
        BodyRun::chunk(self)
    }
}

/// What a delivery runs in and who it is.
#[derive(Clone)]
pub struct Outbound<E: Env> {
    /// The environment.
    pub env: E,
    /// All open sessions: a client's are among them, and hear of the server's end.
    pub sessions: Arc<Sessions>,
    /// What we call ourselves in EHLO.
    pub hostname: String,
    /// Where connections come from (`delivery.source`): the first of the server's family; none: what the system chooses.
    pub sources: Vec<IpAddr>,
    /// To log in with, where a hop asks for it.
    pub login: Option<Credentials>,
    /// Recordings of sessions, where there are any.
    pub records: Option<Arc<Records>>,
}

/// Delivers what the source has to the first of the plan's servers that can be used.
///
/// At most [`limits::DELIVERY_ADDRESSES`] addresses are tried, and no more after [`limits::DELIVERY_SESSIONS`] servers have greeted and
/// then could not be used (RFC 5321 §5.1).
pub async fn deliver<E: Env, S: TransactionSource>(outbound: &Outbound<E>, plan: &Plan, source: Arc<S>) {
    let mut addresses = Vec::new();
    for hop in &plan.hops {
        addresses.extend(hop.addresses.iter().map(|ip| (hop, *ip)));
    }
    addresses.truncate(limits::DELIVERY_ADDRESSES);
    let mut sessions = 0;
    let mut last = None;
    for (hop, ip) in addresses {
        match Box::pin(attempt(outbound, hop, ip, &source)).await {
            Attempt::Used => return,
            Attempt::Unusable { said, greeted, stopping } => {
                tracing::info!(server = &*hop.name, %ip, code = said.code, said = &*said.text, "server not usable");
                last = Some(said);
                sessions += usize::from(greeted);
                if stopping || sessions == limits::DELIVERY_SESSIONS {
                    break;
                }
            }
        }
    }
    let said = last.unwrap_or_else(|| ours([4, 4, 4], "there is no server to try"));
    source.unusable(said).await;
}

/// What became of one address.
enum Attempt {
    /// A transaction was asked for.
    Used,
    Unusable {
        said: Arc<Said>,
        greeted: bool,
        /// Our own server stops.
        stopping: bool,
    },
}

impl Attempt {
    fn failed(status: [u16; 3], text: &str) -> Attempt {
        Attempt::Unusable {
            said: ours(status, text),
            greeted: false,
            stopping: false,
        }
    }
}

fn ours(status: [u16; 3], text: &str) -> Arc<Said> {
    Arc::new(Said {
        code: 451,
        status,
        text: escaped(text).into(),
        by: None,
    })
}

async fn attempt<E: Env, S: TransactionSource>(outbound: &Outbound<E>, hop: &Hop, ip: IpAddr, source: &Arc<S>) -> Attempt {
    if hop.login && outbound.login.is_none() {
        return Attempt::failed([4, 7, 8], "no password is known to log in with");
    }
    let mut tls = hop.tls;
    loop {
        let stream = match connect(outbound, hop, ip).await {
            Ok(stream) => stream,
            Err(unusable) => return unusable,
        };
        match session(outbound, hop, ip, tls, stream, source).await {
            // What is not encrypted is better than what is not delivered (RFC 7435); the connection itself is useless.
            (Attempt::Unusable { said, .. }, Reason::TlsFailed) if tls == TlsUse::Opportunistic => {
                tracing::warn!(server = &*hop.name, %ip, said = &*said.text, "TLS failed, going on without");
                tls = TlsUse::Never;
            }
            (attempt, _) => return attempt,
        }
    }
}

/// A stream to an address, encrypted where that comes first.
async fn connect<E: Env>(outbound: &Outbound<E>, hop: &Hop, ip: IpAddr) -> Result<E::Stream, Attempt> {
    let env = &outbound.env;
    let from = outbound.sources.iter().copied().find(|from| from.is_ipv4() == ip.is_ipv4());
    let to = SocketAddr::new(ip, hop.port);
    let stream = in_time(env, limits::CONNECT_TIMEOUT, env.connect(to, from))
        .await
        .map_err(|error| Attempt::failed([4, 4, 1], &format!("no connection to {} ({to}): {error}", hop.name)))?;
    if hop.tls != TlsUse::Implicit {
        return Ok(stream);
    }
    let handshake = env.tls_connect(stream, &hop.name, hop.verified);
    match in_time(env, limits::TLS_HANDSHAKE, handshake).await {
        Ok((stream, _)) => Ok(stream),
        Err(error) => Err(Attempt::failed([4, 7, 5], &format!("the TLS handshake failed: {error}"))),
    }
}

async fn in_time<E: Env, T>(env: &E, time: Duration, work: impl Future<Output = io::Result<T>>) -> io::Result<T> {
    let until = env.now().instant.after(time);
    future::or(work, async {
        env.sleep_until(until).await;
        Err(io::ErrorKind::TimedOut.into())
    })
    .await
}

/// Runs one session to its end.
async fn session<E: Env, S: TransactionSource>(
    outbound: &Outbound<E>,
    hop: &Hop,
    ip: IpAddr,
    tls: TlsUse,
    stream: E::Stream,
    source: &Arc<S>,
) -> (Attempt, Reason) {
    let env = &outbound.env;
    let place = outbound.sessions.open();
    let settings = Settings {
        hostname: outbound.hostname.clone(),
        server: hop.name.clone(),
        tls,
        login: outbound.login.clone().filter(|_| hop.login),
    };
    let (machine, now) = (place.number(), env.now());
    let new = New { settings, machine, now };
    let (machine, tape) = trace::begin(outbound.records.as_ref(), ip, machine, now, new);
    let notes = Arc::<Mutex<Notes>>::default();
    let host = ClientHost {
        source: source.clone(),
        server: hop.name.clone(),
        place,
        message: None,
        notes: notes.clone(),
    };
    let start_tls = StartTls::Connect {
        name: hop.name.clone(),
        verify: hop.verified,
    };
    let close = drive(env, stream, machine, host, Some(&start_tls), tape).await;
    tracing::debug!(server = &*hop.name, why = ?close.why, "session with a server ended");
    let attempt = match note(&notes).unusable.take() {
        Some((said, greeted)) => Attempt::Unusable {
            said,
            greeted,
            stopping: close.why == Reason::Shutdown,
        },
        None => Attempt::Used,
    };
    (attempt, close.why)
}

/// What is to be known of a session after its end, and from one ask to the next.
#[derive(Default)]
struct Notes {
    unusable: Option<(Arc<Said>, bool)>,
    transaction: Option<Arc<Transaction>>,
}

fn note(notes: &Mutex<Notes>) -> MutexGuard<'_, Notes> {
    notes.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The host of one session.
struct ClientHost<S: TransactionSource> {
    source: Arc<S>,
    server: Arc<str>,
    place: Place,
    message: Option<Message<S::Body>>,
    notes: Arc<Mutex<Notes>>,
}

/// A message that is read. It stays open from one run to the next, so that its checksum is followed from its first octet to its last.
struct Message<B> {
    body: B,
    /// Octets of the message that were handed over.
    at: u64,
    /// Where the open run ends.
    end: u64,
    /// What was handed over last, within the body's chunk; the chunk's rest belongs to the next run.
    given: Range<usize>,
    /// Octets of the chunk. The body itself may have none while it reads the next one.
    chunk: usize,
}

impl<S: TransactionSource> Host<Session> for ClientHost<S> {
    fn perform(&mut self, ask: Ask) -> Performed<Value> {
        let source = self.source.clone();
        match ask {
            Ask::StartTls { then } => Performed::StartTls(Box::new(move |handshake| then.answer(handshake.into()))),
            Ask::NextTransaction { then } => {
                self.message = None; // an idle session owns no buffer
                let notes = self.notes.clone();
                Performed::Later(Box::pin(async move {
                    let next = source.next().await;
                    note(&notes).transaction.clone_from(&next);
                    then.answer(Next(next))
                }))
            }
            Ask::OpenBody { id, start, len, then } => Performed::Now(then.answer(match self.open(id, start, len) {
                Ok(()) => BodyOpened::Ready,
                Err(error) => BodyOpened::Failed(error),
            })),
            Ask::Report { id, results, then } => {
                self.message = None;
                if let Some(transaction) = note(&self.notes).transaction.take() {
                    log(&self.server, &transaction, &results);
                }
                Performed::Later(Box::pin(async move {
                    source.report(id, results).await;
                    then.answer(Reported)
                }))
            }
            Ask::Unusable { said, greeted } => {
                note(&self.notes).unusable = Some((said, greeted));
                Performed::Nothing
            }
        }
    }

    async fn write_body(&mut self, _: &[u8]) {} // a client is sent no bodies

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        match &mut self.message {
            Some(message) => message.poll(cx),
            None => Poll::Ready(Err(BodyError::Missing)),
        }
    }

    fn body_chunk(&self) -> &[u8] {
        let message = self.message.as_ref();
        message.map_or(&[], |message| &message.body.chunk()[message.given.clone()])
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<Notice> {
        match self.place.poll_news(cx) {
            Poll::Ready(News::Shutdown) => Poll::Ready(Notice::Shutdown),
            Poll::Ready(News::Changed(..)) | Poll::Pending => Poll::Pending, // it watches nothing
        }
    }
}

impl<S: TransactionSource> ClientHost<S> {
    /// Opens the next run of a message; the first run opens the message.
    fn open(&mut self, id: QueueId, start: u64, len: u64) -> Result<(), BodyError> {
        if start == 0 {
            self.message = Some(Message {
                body: self.source.open(id)?,
                at: 0,
                end: 0,
                given: 0..0,
                chunk: 0,
            });
        }
        let message = self.message.as_mut().ok_or(BodyError::Missing)?;
        assert_eq!(message.at, start, "runs follow each other");
        message.end = start + len;
        Ok(())
    }
}

impl<B: MessageBody> Message<B> {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        if self.given.end == self.chunk {
            std::task::ready!(self.body.poll(cx))?;
            self.chunk = self.body.chunk().len();
            self.given = 0..0;
        }
        let from = self.given.end;
        let rest = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let len = rest.min(self.chunk - from);
        if len == 0 {
            return Poll::Ready(Err(BodyError::Corrupt)); // it is shorter than its row says
        }
        self.given = from..from + len;
        self.at += len as u64;
        Poll::Ready(Ok(()))
    }
}

/// What the server said. What it comes to is logged when it is durable (`scheduler`).
fn log(server: &str, transaction: &Transaction, results: &[Outcome]) {
    let queue_id = transaction.id.0;
    for (recipient, outcome) in transaction.recipients.iter().zip(results) {
        let recipient = escaped(&recipient.address.to_string());
        let (Outcome::Relayed { said, .. } | Outcome::Deferred(said) | Outcome::Failed(said)) = outcome;
        let [class, subject, detail] = said.status;
        let (code, status, said) = (said.code, format!("{class}.{subject}.{detail}"), &*said.text);
        match outcome {
            Outcome::Relayed { .. } => tracing::debug!(queue_id, recipient, server, code, status, said, "taken"),
            Outcome::Deferred(_) => tracing::debug!(queue_id, recipient, server, code, status, said, "deferred"),
            Outcome::Failed(_) => tracing::debug!(queue_id, recipient, server, code, status, said, "refused"),
        }
    }
}
