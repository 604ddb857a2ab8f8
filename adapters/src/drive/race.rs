//! What can happen while a machine rests, and which of it comes first.

use std::cell::Cell;
use std::pin::Pin;
use std::task::{Context, Poll};

use futures_lite::{AsyncRead, AsyncWrite};
use pillarbox_core::machine::{Answer, BodyError, Machine, Wait};

use super::{Answers, Host};

/// The next input of a machine.
pub(super) enum Event<V, N> {
    Answer(Answer<V>),
    Tick(pillarbox_core::time::Instant),
    Sent(usize),
    Body(Result<(), BodyError>),
    /// A buffer of the thread with so many bytes from the peer: it goes back before anything is awaited.
    Received(Box<[u8]>, usize),
    Eof,
    Notice(N),
}

/// One rest of one machine.
pub(super) struct Race<'r, M: Machine, H, S> {
    pub(super) wait: &'r Wait<'r>,
    pub(super) connection: &'r mut Connection<S>,
    pub(super) answers: &'r mut Answers<M::Value>,
    pub(super) host: &'r mut H,
    /// The last input was a notice: many of them must not keep the peer waiting.
    pub(super) noticed: bool,
    /// Whether nothing was ready at first.
    pub(super) waited: bool,
}

impl<M: Machine, H: Host<M>, S: AsyncRead + AsyncWrite + Unpin> Race<'_, M, H, S> {
    /// Answers come first: they cost no system call, and often fill what is sent next.
    pub(super) fn poll_answers(&mut self, cx: &mut Context<'_>) -> Poll<Answer<M::Value>> {
        if let Some(answer) = self.answers.at_hand.pop_front() {
            return Poll::Ready(answer);
        }
        let open = &mut self.answers.open;
        for index in 0..open.len() {
            if let Poll::Ready(answer) = open[index].as_mut().poll(cx) {
                drop(open.swap_remove(index));
                return Poll::Ready(answer);
            }
        }
        Poll::Pending
    }

    /// Everything after the deadline.
    pub(super) fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<Event<M::Value, M::Notice>> {
        if !self.noticed
            && let Poll::Ready(notice) = self.host.poll_notice(cx)
        {
            return Poll::Ready(Event::Notice(notice));
        }
        if let Poll::Ready(count) = self.connection.poll_send(cx, self.wait.send) {
            return Poll::Ready(Event::Sent(count));
        }
        if self.wait.body
            && let Poll::Ready(chunk) = self.host.poll_body(cx)
        {
            return Poll::Ready(Event::Body(chunk));
        }
        if self.wait.read
            && let Poll::Ready(received) = self.connection.poll_receive(cx)
        {
            return Poll::Ready(match received {
                Some((buffer, count)) => Event::Received(buffer, count),
                None => Event::Eof,
            });
        }
        if self.noticed
            && let Poll::Ready(notice) = self.host.poll_notice(cx)
        {
            return Poll::Ready(Event::Notice(notice));
        }
        self.waited = true;
        Poll::Pending
    }
}

/// The stream, and what has become of it.
pub(super) struct Connection<S> {
    stream: Option<S>,
    /// What was written may still be on its way through a layer of encryption.
    unflushed: bool,
    eof_told: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin> Connection<S> {
    pub(super) fn new(stream: S) -> Self {
        Connection {
            stream: Some(stream),
            unflushed: false,
            eof_told: false,
        }
    }

    /// The stream itself, unless it broke.
    pub(super) fn take(&mut self) -> Option<S> {
        self.stream.take()
    }

    fn poll_send(&mut self, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<usize> {
        let Some(stream) = &mut self.stream else {
            return if bytes.is_empty() {
                Poll::Pending
            } else {
                Poll::Ready(bytes.len())
            };
        };
        if bytes.is_empty() {
            if self.unflushed && !Pin::new(stream).poll_flush(cx).is_pending() {
                self.unflushed = false; // an error shows at the next write or read
            }
            return Poll::Pending;
        }
        match std::task::ready!(Pin::new(stream).poll_write(cx, bytes)) {
            Ok(count @ 1..) => {
                self.unflushed = true;
                Poll::Ready(count)
            }
            Ok(0) | Err(_) => {
                self.stream = None;
                Poll::Ready(bytes.len())
            }
        }
    }

    /// A buffer with bytes from the peer, or `None`, once: it sends no more.
    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<Option<(Box<[u8]>, usize)>> {
        if self.eof_told {
            return Poll::Pending;
        }
        if let Some(stream) = &mut self.stream {
            let mut buffer = take_buffer();
            match Pin::new(stream).poll_read(cx, &mut buffer) {
                Poll::Pending => {
                    give_back(buffer);
                    return Poll::Pending;
                }
                Poll::Ready(Ok(count @ 1..)) => return Poll::Ready(Some((buffer, count))),
                Poll::Ready(Ok(0)) => give_back(buffer),
                Poll::Ready(Err(_)) => {
                    give_back(buffer);
                    self.stream = None;
                }
            }
        }
        self.eof_told = true;
        Poll::Ready(None)
    }
}

/// Bytes taken from a socket at once: a pipelined message of ordinary size, and a whole TLS record.
const BUFFER: usize = 64 * 1024;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Lends the thread's buffer.
pub(super) fn with_buffer<T>(work: impl FnOnce(&mut [u8]) -> T) -> T {
    let mut buffer = take_buffer();
    let result = work(&mut buffer);
    give_back(buffer);
    result
}

fn take_buffer() -> Box<[u8]> {
    SPARE.take().unwrap_or_else(|| vec![0; BUFFER].into_boxed_slice())
}

/// Gives a buffer back to the thread.
pub(super) fn give_back(buffer: Box<[u8]>) {
    SPARE.set(Some(buffer));
}
