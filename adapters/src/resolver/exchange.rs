//! One question to one server, over real or simulated sockets.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use futures_lite::{AsyncReadExt, AsyncWriteExt, future};
use pillarbox_core::dns::{Event, Lookup, Outgoing, Progress, Randomness};
use pillarbox_core::limits;

use super::codec;
use crate::env::{Datagram, Env};

/// Octets that we hold for a datagram: more than we say that we take, since some servers send more all the same.
const DATAGRAM: usize = 4096;
/// Ports that are tried before the system chooses one: those that nobody can guess are taken now and then.
const PORTS_TRIED: usize = 8;

/// Asks by UDP, and feeds the look-up what comes until the question is over. A new socket for each question: its port is a part of
/// what a forger must guess (RFC 5452 §9.2).
pub(super) async fn by_udp<E: Env>(env: &E, lookup: &mut Lookup, asked: &Outgoing) {
    let broken = |_| Event::Broken;
    let feeding = async {
        let question = codec::encode(asked).ok_or(Event::Broken)?;
        let socket = bind(env, asked).map_err(broken)?;
        socket.send_to(&question, asked.server).await.map_err(broken)?;
        let mut buffer = [0; DATAGRAM];
        loop {
            let (len, from) = socket.receive_from(&mut buffer).await.map_err(broken)?;
            match lookup.handle(Event::Datagram(from, codec::decode(&buffer[..len]))) {
                Progress::Wait => {}
                Progress::Next => return Ok(()),
            }
        }
    };
    if let Err(event) = future::or(feeding, async { Err(silence(env, asked).await) }).await {
        lookup.handle(event);
    }
}

/// Asks by TCP, and feeds the look-up what came of it.
pub(super) async fn by_tcp<E: Env>(env: &E, lookup: &mut Lookup, asked: &Outgoing) {
    let heard = async {
        match over_a_stream(env, asked).await {
            Ok(answer) => Event::Stream(codec::decode(&answer)),
            Err(_) => Event::Broken,
        }
    };
    lookup.handle(future::or(heard, silence(env, asked)).await);
}

async fn silence<E: Env>(env: &E, asked: &Outgoing) -> Event {
    env.sleep_until(asked.until).await;
    Event::Silence
}

fn bind<E: Env>(env: &E, asked: &Outgoing) -> io::Result<E::Datagram> {
    let any: IpAddr = match asked.server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let mut port = asked.port;
    for _ in 0..PORTS_TRIED {
        match env.bind_datagram(SocketAddr::new(any, port)) {
            Err(error) if matches!(error.kind(), io::ErrorKind::AddrInUse | io::ErrorKind::PermissionDenied) => {
                let mut other = [0; 2];
                env.entropy(&mut other);
                port = u16::from_be_bytes(other).max(limits::DNS_PORT_MIN);
            }
            bound => return bound,
        }
    }
    env.bind_datagram(SocketAddr::new(any, 0))
}

/// RFC 7766: two octets of length, then the message.
async fn over_a_stream<E: Env>(env: &E, asked: &Outgoing) -> io::Result<Vec<u8>> {
    let question = codec::encode(asked).ok_or(io::ErrorKind::InvalidInput)?;
    let mut stream = env.connect(asked.server, None).await?;
    let length = u16::try_from(question.len()).map_err(io::Error::other)?;
    // In one piece: some servers read no further than the first (RFC 7766 §8).
    stream
        .write_all(&[&length.to_be_bytes(), question.as_slice()].concat())
        .await?;
    stream.flush().await?;
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut answer).await?;
    Ok(answer)
}

/// What nobody can guess of one question.
pub(super) fn randomness<E: Env>(env: &E) -> Randomness {
    let mut random = [0; limits::DNS_RANDOMNESS];
    env.entropy(&mut random);
    random
}
