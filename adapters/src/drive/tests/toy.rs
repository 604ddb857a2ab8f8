//! A machine of one-byte commands, and its host.
//!
//! `e` says `e` · `a` asks (answered by the test) · `i` asks (answered at once) · `p` asks and reads nothing meanwhile ·
//! `b` a body in · `o` a body out · `t` STARTTLS · `q` goodbye.

use std::collections::VecDeque;
use std::future::{Future, poll_fn};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use pillarbox_core::machine::{BodyError, Close, Deadline, Input, Machine, Output, Reason, Slot, Slots, Wait};
use pillarbox_core::smtp::server::ask::TlsOutcome;
use pillarbox_core::time::{Instant, Now};

use crate::drive::{Host, Performed};

pub(super) enum Ask {
    Later(Slot<u32>),
    Now(Slot<u32>),
    StartTls(Slot<TlsOutcome>),
}

pub(super) enum Value {
    Number(u32),
    Tls(TlsOutcome),
}

impl From<u32> for Value {
    fn from(number: u32) -> Value {
        Value::Number(number)
    }
}

impl From<TlsOutcome> for Value {
    fn from(outcome: TlsOutcome) -> Value {
        Value::Tls(outcome)
    }
}

pub(super) struct Toy {
    spins: bool,
    pub(super) log: Arc<Mutex<Vec<String>>>,
    slots: Slots<()>,
    asks: VecDeque<Ask>,
    sink: bool,
    body: bool,
    read: bool,
    send: Vec<u8>,
    until: Instant,
    close: Option<Reason>,
    now: Instant,
}

impl Default for Toy {
    fn default() -> Toy {
        Toy {
            spins: false,
            log: Arc::default(),
            slots: Slots::new(1),
            asks: VecDeque::new(),
            sink: false,
            body: false,
            read: true,
            send: Vec::new(),
            until: Instant::default().after(IDLE),
            close: None,
            now: Instant::default(),
        }
    }
}

const IDLE: Duration = Duration::from_secs(10);

impl Machine for Toy {
    type Ask = Ask;
    type Value = Value;
    type Notice = ();

    fn handle(&mut self, now: Now, input: Input<'_, Value, ()>) {
        let line = match &input {
            Input::Received(bytes) => format!("Received({})", bytes.len()),
            Input::Eof => "Eof".to_string(),
            Input::Sent(count) => format!("Sent({count})"),
            Input::Body(_) => "Body".to_string(),
            Input::Answer(_) => "Answer".to_string(),
            Input::Notice(()) => "Notice".to_string(),
            Input::Tick => "Tick".to_string(),
        };
        self.log.lock().unwrap().push(line);
        self.now = now.instant;
        match input {
            Input::Received(bytes) => {
                assert!(self.read, "read without being asked");
                self.until = now.instant.after(IDLE);
                bytes.iter().for_each(|command| self.obey(*command));
            }
            Input::Eof => self.close = Some(Reason::PeerGone),
            Input::Sent(count) => drop(self.send.drain(..count)),
            Input::Body(chunk) => {
                assert!(self.body, "a chunk without being asked");
                self.body = false;
                self.send.extend_from_slice(chunk.expect("the tests offer sound chunks"));
            }
            Input::Answer(answer) => {
                self.slots.take(answer.id);
                self.read = true;
                match answer.value {
                    Value::Number(number) => self.send.extend_from_slice(number.to_string().as_bytes()),
                    Value::Tls(TlsOutcome::Secure(_)) => self.send.push(b'S'),
                    Value::Tls(TlsOutcome::Failed) => self.close = Some(Reason::TlsFailed),
                }
            }
            Input::Notice(()) => self.send.push(b'N'),
            Input::Tick if self.spins => {}
            Input::Tick => {
                self.send.clear();
                self.close = Some(Reason::Timeout("idle"));
            }
        }
    }

    fn poll(&mut self) -> Output<'_, Ask> {
        if core::mem::take(&mut self.sink) {
            return Output::Body(b"<body>");
        }
        if let Some(ask) = self.asks.pop_front() {
            return Output::Ask(ask);
        }
        if let (Some(why), true) = (self.close, self.send.is_empty()) {
            let linger = Deadline {
                at: self.now.after(Duration::from_secs(2)),
                why: "linger",
            };
            return Output::Close(Close {
                why,
                linger: (why == Reason::Quit).then_some(linger),
            });
        }
        let why = if self.spins { "stuck" } else { "idle" };
        Output::Wait(Wait {
            send: &self.send,
            read: self.read && self.close.is_none(),
            body: self.body,
            until: Some(Deadline { at: self.until, why }),
        })
    }
}

impl Toy {
    /// One that breaks the contract: its deadline never moves.
    pub(super) fn spinning() -> Toy {
        Toy {
            spins: true,
            ..Toy::default()
        }
    }

    fn obey(&mut self, command: u8) {
        match command {
            b'e' => self.send.push(b'e'),
            b'a' => self.asks.push_back(Ask::Later(self.slots.ask(()))),
            b'i' => self.asks.push_back(Ask::Now(self.slots.ask(()))),
            b'p' => {
                self.read = false;
                self.asks.push_back(Ask::Later(self.slots.ask(())));
            }
            b'b' => self.sink = true,
            b'o' => self.body = true,
            b't' => {
                self.read = false;
                self.asks.push_back(Ask::StartTls(self.slots.ask(())));
            }
            b'q' => {
                self.send.extend_from_slice(b"bye");
                self.close = Some(Reason::Quit);
            }
            other => panic!("{other} is no command"),
        }
    }
}

/// The host; clones share what the test sees of it.
#[derive(Default, Clone)]
pub(super) struct ToyHost {
    shared: Arc<Mutex<Shared>>,
    asked: u32,
    chunk: Vec<u8>,
}

#[derive(Default)]
struct Shared {
    answered: Vec<u32>,
    open: u32,
    sunk: Vec<u8>,
    chunks: VecDeque<Vec<u8>>,
    notices: u32,
    wakers: Vec<Waker>,
}

impl ToyHost {
    fn shared(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap()
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        let wakers = {
            let mut shared = self.shared();
            change(&mut shared);
            core::mem::take(&mut shared.wakers)
        };
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Answers question number `number`, counted from 1, with its number.
    pub(super) fn answer(&self, number: u32) {
        self.change(|shared| shared.answered.push(number));
    }

    pub(super) fn notify(&self, count: u32) {
        self.change(|shared| shared.notices += count);
    }

    pub(super) fn offer_chunk(&self, chunk: &[u8]) {
        self.change(|shared| shared.chunks.push_back(chunk.to_vec()));
    }

    pub(super) fn open_queries(&self) -> u32 {
        self.shared().open
    }

    pub(super) fn sunk(&self) -> Vec<u8> {
        self.shared().sunk.clone()
    }
}

struct Open(ToyHost);

impl Drop for Open {
    fn drop(&mut self) {
        self.0.shared().open -= 1;
    }
}

impl Host<Toy> for ToyHost {
    fn perform(&mut self, ask: Ask) -> Performed<Value> {
        match ask {
            Ask::Later(slot) => {
                self.asked += 1;
                let number = self.asked;
                self.shared().open += 1;
                let open = Open(self.clone());
                Performed::Later(Box::pin(async move {
                    poll_fn(|cx| {
                        let mut shared = open.0.shared();
                        if shared.answered.contains(&number) {
                            return Poll::Ready(());
                        }
                        shared.wakers.push(cx.waker().clone());
                        Poll::Pending
                    })
                    .await;
                    slot.answer(number)
                }))
            }
            Ask::Now(slot) => {
                self.asked += 1;
                Performed::Now(slot.answer(self.asked))
            }
            Ask::StartTls(slot) => Performed::StartTls(Box::new(|handshake| slot.answer(handshake.into()))),
        }
    }

    fn write_body(&mut self, part: &[u8]) -> impl Future<Output = ()> + Send {
        self.shared().sunk.extend_from_slice(part);
        std::future::ready(())
    }

    fn poll_body(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BodyError>> {
        let chunk = {
            let mut shared = self.shared();
            shared.wakers.push(cx.waker().clone());
            shared.chunks.pop_front()
        };
        match chunk {
            Some(chunk) => {
                self.chunk = chunk;
                Poll::Ready(Ok(()))
            }
            None => Poll::Pending,
        }
    }

    fn body_chunk(&self) -> &[u8] {
        &self.chunk
    }

    fn poll_notice(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let mut shared = self.shared();
        if shared.notices > 0 {
            shared.notices -= 1;
            return Poll::Ready(());
        }
        shared.wakers.push(cx.waker().clone());
        Poll::Pending
    }
}
