//! The one driver: it alone calls machines, and keeps their contract.
//!
//! Reading, writing, timers, answers and notices race in one poll; a peer that stops reading still meets its deadline. The
//! driver owns no buffer: it reads into a buffer of the thread, lent only inside the poll that calls `handle` next.
//!
//! ```text
//!           handle(input)
//!    +------------------------+
//!    v                        |
//!  poll --Body--> sink        |     answer at hand > open answers > deadline > write > body > read > notice
//!    |  --Ask---> host        |
//!    +--Wait--> race ---------+
//!    +--Close-> close_notify, read until Eof or linger
//! ```
//!
//! A broken connection is told as `Eof` once the machine reads; until then what it sends is thrown away and reported as sent,
//! so that it comes to its end.

mod race;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite, future};
use pillarbox_core::limits;
use pillarbox_core::machine::{Answer, BodyError, Close, Input, Machine, Output};
use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::time::{Instant, Now};
use pillarbox_core::trace::Tape;

use crate::env::{Alpn, Env};
use race::{Connection, Event, Race};

/// A future of an answer; boxed, since a session has few open at once.
pub type Answering<V> = Pin<Box<dyn Future<Output = Answer<V>> + Send>>;

/// What performing an ask leads to.
pub enum Performed<V> {
    /// The answer comes later. A *query* may be dropped with its future; an *effect* has been handed over already.
    Later(Answering<V>),
    /// The answer is here.
    Now(Answer<V>),
    /// There is no answer.
    Nothing,
    /// The driver must encrypt its stream now, then answer with what this makes of the outcome.
    StartTls(Box<dyn FnOnce(Handshake) -> Answer<V> + Send>),
}

/// How a handshake ended: what is known of the encrypted stream, or why there is none.
pub type Handshake = Result<TlsEvidence, Arc<str>>;

/// What one machine needs done: `match ask { .. }`, one file a machine in `hosts/`.
pub trait Host<M: Machine>: Send {
    /// Starts what was asked.
    fn perform(&mut self, ask: M::Ask) -> Performed<M::Value>;
    /// Writes a part of a body to the open sink. The driver polls nothing else meanwhile, under the host's own deadline; a sink
    /// that fails remembers it and says so at the commit.
    fn write_body(&mut self, part: &[u8]) -> impl Future<Output = ()> + Send;
    /// Reads the next chunk of the opened run of bodies into the host's own buffer; then [`Host::body_chunk`] gives it.
    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>>;
    /// The chunk read last.
    fn body_chunk(&self) -> &[u8];
    /// The next notice.
    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<M::Notice>;
}

/// How a session that begins in the clear is encrypted when its machine asks for it.
#[derive(Debug, Clone)]
pub enum StartTls<E: Env> {
    /// As the server.
    Accept {
        /// The certificate.
        server: E::TlsServer,
        /// What is done with ALPN.
        alpn: Alpn,
    },
    /// As the client ([`Env::tls_connect`]).
    Connect {
        /// The server's name.
        name: Arc<str>,
        /// Whether its certificate must be valid for it.
        verify: bool,
    },
}

/// Runs a session to its end: until its machine closes and what still came has been read and thrown away.
///
/// `start_tls` is `None` where the machine never asks for it; an ask then fails. Dropping the future drops the connection. It is
/// boxed, so that nothing that was needed only before the session takes up memory beside it. `tape` records it.
///
/// # Panics
/// When the machine breaks the contract of [`pillarbox_core::machine`].
pub fn drive<E, M, H>(
    env: &E,
    stream: E::Stream,
    machine: M,
    host: H,
    start_tls: Option<&StartTls<E>>,
    tape: Option<Box<dyn Tape<M>>>,
) -> Pin<Box<impl Future<Output = Close>>>
where
    E: Env,
    M: Machine + Send,
    M::Value: Send,
    H: Host<M>,
{
    let mut session = Session {
        connection: Connection::new(stream),
        answers: Answers::default(),
        machine: Taped { machine, tape },
        host,
    };
    // Not an `async fn`: that would keep room for its arguments twice.
    Box::pin(async move {
        let close = turn(env, &mut session, start_tls).await;
        let stream = session.connection.take();
        // Queries end here; effects were handed over when they were asked for.
        drop(session);
        if let Some(stream) = stream {
            Box::pin(end(env, stream, close)).await;
        }
        close
    })
}

/// A machine, and what watches it.
struct Taped<M> {
    machine: M,
    tape: Option<Box<dyn Tape<M>>>,
}

impl<M: Machine> Taped<M> {
    fn handle(&mut self, now: Now, input: Input<'_, M::Value, M::Notice>) {
        if let Some(tape) = &mut self.tape {
            tape.input(&mut self.machine, now, &input);
        }
        self.machine.handle(now, input);
    }

    fn poll(&mut self) -> Output<'_, M::Ask> {
        let output = self.machine.poll();
        if let Some(tape) = &mut self.tape {
            tape.output(&output);
        }
        output
    }

    fn closed(&mut self, close: &Close) {
        if let Some(tape) = &mut self.tape {
            tape.close(&mut self.machine, close);
        }
    }
}

struct Session<M: Machine, H, S> {
    connection: Connection<S>,
    answers: Answers<M::Value>,
    machine: Taped<M>,
    host: H,
}

/// Input by input, until the machine closes.
async fn turn<E, M, H>(env: &E, session: &mut Session<M, H, E::Stream>, start_tls: Option<&StartTls<E>>) -> Close
where
    E: Env,
    M: Machine + Send,
    M::Value: Send,
    H: Host<M>,
{
    let Session {
        connection,
        answers,
        machine,
        host,
    } = session;
    let mut timer = None;
    let mut ticked: Option<Instant> = None;
    let mut rounds = 0;
    let mut noticed = false;
    loop {
        let wait = match machine.poll() {
            Output::Body(part) => {
                host.write_body(part).await;
                continue;
            }
            Output::Ask(ask) => {
                answers.start(host.perform(ask));
                continue;
            }
            Output::Close(close) => {
                machine.closed(&close);
                return close;
            }
            Output::Wait(wait) => wait,
        };
        if let (Some(last), Some(until)) = (ticked.take(), wait.until) {
            assert!(until.at > last, "after a tick the next deadline ({}) is later", until.why);
        }
        rounds += 1;
        if rounds > ROUNDS || env.buggify("a session lets others run") {
            rounds = 0;
            future::yield_now().await;
        }
        if let Some(then) = answers.start_tls.take() {
            let outcome = match connection.take() {
                Some(stream) => Box::pin(encrypt(env, stream, start_tls, connection)).await,
                None => Err("the connection is lost".into()),
            };
            machine.handle(env.now(), Input::Answer(then(outcome)));
            continue;
        }
        let mut race = Race {
            wait: &wait,
            connection: &mut *connection,
            answers: &mut *answers,
            host: &mut *host,
            noticed,
            waited: false,
        };
        let event = poll_fn(|cx| {
            if let Poll::Ready(answer) = race.poll_answers(cx) {
                return Poll::Ready(Event::Answer(answer));
            }
            if let Some(until) = wait.until
                && poll_deadline(env, &mut timer, until.at, cx).is_ready()
            {
                return Poll::Ready(Event::Tick(until.at));
            }
            race.poll_rest(cx)
        })
        .await;
        if race.waited {
            rounds = 0;
        }
        noticed = matches!(event, Event::Notice(_));
        let now = env.now();
        match event {
            Event::Answer(answer) => machine.handle(now, Input::Answer(answer)),
            Event::Tick(at) => {
                ticked = Some(at);
                machine.handle(now, Input::Tick);
            }
            Event::Sent(count) => machine.handle(now, Input::Sent(count)),
            Event::Body(Ok(())) => machine.handle(now, Input::Body(Ok(host.body_chunk()))),
            Event::Body(Err(error)) => machine.handle(now, Input::Body(Err(error))),
            Event::Received(buffer, count) => {
                machine.handle(now, Input::Received(&buffer[..count]));
                race::give_back(buffer);
            }
            Event::Eof => machine.handle(now, Input::Eof),
            Event::Notice(notice) => machine.handle(now, Input::Notice(notice)),
        }
    }
}

/// Inputs after which a session that never had to wait lets others run.
const ROUNDS: u32 = 32;

/// What has been asked and not been answered yet.
struct Answers<V> {
    at_hand: VecDeque<Answer<V>>,
    open: Vec<Answering<V>>,
    start_tls: Option<Box<dyn FnOnce(Handshake) -> Answer<V> + Send>>,
}

impl<V> Default for Answers<V> {
    fn default() -> Self {
        Answers {
            at_hand: VecDeque::new(),
            open: Vec::new(),
            start_tls: None,
        }
    }
}

impl<V> Answers<V> {
    fn start(&mut self, performed: Performed<V>) {
        match performed {
            Performed::Later(answer) => self.open.push(answer),
            Performed::Now(answer) => self.at_hand.push_back(answer),
            Performed::Nothing => {}
            Performed::StartTls(then) => {
                assert!(self.start_tls.is_none(), "one handshake at a time");
                self.start_tls = Some(then);
            }
        }
    }
}

/// The timer stays armed when the deadline moves back, which it does with every command: it then fires early, once.
fn poll_deadline<E: Env>(
    env: &E,
    timer: &mut Option<(Instant, Pin<Box<dyn Future<Output = ()> + Send>>)>,
    until: Instant,
    cx: &mut Context<'_>,
) -> Poll<()> {
    loop {
        let armed = match timer {
            Some((at, armed)) if *at <= until => armed,
            _ => &mut timer.insert((until, Box::pin(env.sleep_until(until)))).1,
        };
        if armed.as_mut().poll(cx).is_pending() {
            return Poll::Pending;
        }
        *timer = None;
        if env.now().instant >= until {
            return Poll::Ready(());
        }
    }
}

/// The handshake, under a deadline of its own: the machine's are suspended, since it has no stream meanwhile.
async fn encrypt<E: Env>(
    env: &E,
    stream: E::Stream,
    start_tls: Option<&StartTls<E>>,
    connection: &mut Connection<E::Stream>,
) -> Handshake {
    let Some(start_tls) = start_tls else {
        return Err("there is nothing to encrypt it with".into());
    };
    let until = env.now().instant.after(limits::TLS_HANDSHAKE);
    let handshake = async {
        match start_tls {
            StartTls::Accept { server, alpn } => env.tls_accept(stream, server, *alpn).await,
            StartTls::Connect { name, verify } => env.tls_connect(stream, name, *verify).await,
        }
    };
    let timeout = async {
        env.sleep_until(until).await;
        Err(io::ErrorKind::TimedOut.into())
    };
    let (stream, evidence) = future::or(handshake, timeout)
        .await
        .map_err(|error| Arc::from(error.to_string()))?;
    *connection = Connection::new(stream);
    Ok(evidence)
}

/// Says goodbye, then reads until the peer has closed too, for at most `linger`.
async fn end<E: Env>(env: &E, mut stream: E::Stream, close: Close) {
    let until = match close.linger {
        Some(linger) => linger.at,
        None => env.now().instant.after(limits::LINGER),
    };
    let goodbye = async {
        let closed = poll_fn(|cx| Pin::new(&mut stream).poll_close(cx)).await;
        if close.linger.is_none() || closed.is_err() {
            return;
        }
        let mut reads = 0;
        while let Ok(1..) = poll_fn(|cx| race::with_buffer(|buffer| Pin::new(&mut stream).poll_read(cx, buffer))).await {
            reads += 1;
            if reads % ROUNDS == 0 {
                future::yield_now().await;
            }
        }
    };
    future::or(goodbye, env.sleep_until(until)).await;
}
