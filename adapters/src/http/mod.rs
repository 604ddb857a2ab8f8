//! HTTP/1.1 for what a mail server has to say by it: settings for mail programs, and a page for people (RFC 9110, RFC 9112).
//!
//! The heads are taken apart by `httparse`; the rest is small enough to be ours and runs over [`Env`], in the simulation, too. Requests
//! come one behind the other; each has its time, its size and at most one body. What is not clearly framed ends the connection.

mod page;
pub mod request;
mod response;
mod site;
#[cfg(test)]
mod tests;

use std::future::poll_fn;
use std::io;
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use pillarbox_core::limits;

pub use request::{Bad, Head, Method};
pub use response::Response;
pub use site::Site;

use crate::env::{Env, Stream};
use crate::hosts::guest::{Guest, Told};
use crate::hosts::sessions::News;

/// Why a connection ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    /// By the client, between two requests.
    Client,
    /// After an answer that was the last one.
    Answered,
    /// It was told to go.
    Told,
    /// It was too slow.
    TooSlow,
}

/// Serves one connection to its end.
///
/// # Errors
/// The stream's.
pub async fn serve<E: Env>(env: &E, stream: E::Stream, mut guest: Guest, site: &Site, secure: bool) -> io::Result<Ended> {
    let mut connection = Connection {
        env,
        stream,
        input: Vec::new(),
    };
    for number in 1..=limits::HTTP_REQUESTS {
        let head = match connection.next_head(&mut guest).await? {
            Next::Head(head) => head,
            Next::Bad(bad) => {
                connection.last(&Response::of_bad(bad), true).await?;
                return Ok(Ended::Answered);
            }
            Next::End(ended) => return Ok(ended),
        };
        let body = match connection.body(&head).await? {
            Some(body) => body,
            None => return Ok(Ended::TooSlow),
        };
        let response = site.answer(&head, &body, secure, env.now().unix);
        let with_body = head.method != Method::Head;
        tracing::debug!(
            session = guest.number(),
            method = head.method.name(),
            status = response.status(),
            "answered"
        );
        if head.close || response.closes() || number == limits::HTTP_REQUESTS {
            connection.last(&response, with_body).await?;
            return Ok(Ended::Answered);
        }
        connection.send(&response, with_body, false).await?;
    }
    Ok(Ended::Answered)
}

struct Connection<'a, E: Env> {
    env: &'a E,
    stream: E::Stream,
    /// What came and is not used yet: a head at most, or what follows one.
    input: Vec<u8>,
}

/// What comes next.
enum Next {
    Head(Head),
    Bad(Bad),
    End(Ended),
}

impl<E: Env> Connection<'_, E> {
    async fn next_head(&mut self, guest: &mut Guest) -> io::Result<Next> {
        let mut search = request::Search::default();
        let mut until = self.until(limits::HTTP_IDLE);
        let mut begun = false;
        loop {
            match search.end(&self.input) {
                Ok(Some(end)) => {
                    let rest = self.input.split_off(end);
                    let head = std::mem::replace(&mut self.input, rest);
                    return Ok(request::parse(&head).map_or_else(Next::Bad, Next::Head));
                }
                Ok(None) => {}
                Err(bad) => return Ok(Next::Bad(bad)),
            }
            if !begun && !self.input.is_empty() {
                begun = true;
                until = self.until(limits::HTTP_HEAD_TIME); // for all of it, however slowly it comes
            }
            let (input, stream) = (&mut self.input, &mut self.stream);
            let read = async { Some(read_more(stream, input).await) };
            let slow = async {
                self.env.sleep_until(until).await;
                None
            };
            let told = async {
                told_to_go(guest).await;
                Some(Err(io::ErrorKind::Interrupted.into()))
            };
            match future::or(told, future::or(read, slow)).await {
                Some(Ok(0)) if begun => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(Ok(0)) => return Ok(Next::End(Ended::Client)),
                Some(Ok(_)) => {}
                Some(Err(error)) if error.kind() == io::ErrorKind::Interrupted => return Ok(Next::End(Ended::Told)),
                Some(Err(error)) => return Err(error),
                None if begun => return Ok(Next::Bad(Bad::TooSlow)),
                None => return Ok(Next::End(Ended::TooSlow)),
            }
        }
    }

    /// A whole body; `None`: it did not come in time.
    async fn body(&mut self, head: &Head) -> io::Result<Option<Vec<u8>>> {
        if head.expects_continue && self.input.is_empty() && head.length > 0 {
            self.write(b"HTTP/1.1 100 Continue\r\n\r\n").await?;
        }
        let until = self.until(limits::HTTP_BODY_TIME);
        while self.input.len() < head.length {
            let (input, stream) = (&mut self.input, &mut self.stream);
            let slow = async {
                self.env.sleep_until(until).await;
                None
            };
            match future::or(async { Some(read_more(stream, input).await) }, slow).await {
                Some(Ok(0)) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error),
                None => return Ok(None),
            }
        }
        let rest = self.input.split_off(head.length);
        Ok(Some(std::mem::replace(&mut self.input, rest)))
    }

    async fn send(&mut self, response: &Response, with_body: bool, close: bool) -> io::Result<()> {
        let bytes = response.encode(self.env.now().unix, with_body, close);
        self.write(&bytes).await
    }

    /// The last answer; then what still comes is read and dropped for a moment, so that it does not destroy the answer.
    async fn last(&mut self, response: &Response, with_body: bool) -> io::Result<()> {
        self.send(response, with_body, true).await?;
        let until = self.until(limits::LINGER);
        let stream = &mut self.stream;
        let drained = async {
            stream.close().await?;
            let (mut dropped, mut buffer) = (0, [0; 1024]);
            while dropped <= limits::HTTP_DRAINED {
                match stream.read(&mut buffer).await? {
                    0 => break,
                    count => dropped += count,
                }
            }
            Ok(())
        };
        future::or(drained, async {
            self.env.sleep_until(until).await;
            Ok(())
        })
        .await
    }

    async fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let until = self.until(limits::HTTP_WRITE_TIME);
        let stream = &mut self.stream;
        let written = async {
            stream.write_all(bytes).await?;
            stream.flush().await
        };
        future::or(written, async {
            self.env.sleep_until(until).await;
            Err(io::ErrorKind::TimedOut.into())
        })
        .await
    }

    fn until(&self, time: Duration) -> pillarbox_core::time::Instant {
        self.env.now().instant.after(time)
    }
}

async fn read_more(stream: &mut impl Stream, input: &mut Vec<u8>) -> io::Result<usize> {
    let mut buffer = [0; 4096];
    let count = stream.read(&mut buffer).await?;
    input.extend_from_slice(&buffer[..count]);
    Ok(count)
}

/// The server stops, or connections run out: nothing is owed to a client that has not asked in full.
async fn told_to_go(guest: &mut Guest) {
    loop {
        match poll_fn(|cx| guest.poll_told(cx)).await {
            Told::Shed | Told::News(News::Shutdown) => return,
            Told::News(News::Changed(..)) => {}
        }
    }
}
