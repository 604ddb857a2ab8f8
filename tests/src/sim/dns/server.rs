//! A DNS server on a node, by UDP and TCP: an honest one, or one whose manners a test chooses.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_lite::{AsyncReadExt, AsyncWriteExt};
use hickory_proto::op::Message;
use pillarbox::env::{Datagram, Env};
use pillarbox_core::time::Instant;

use super::Zone;
use crate::sim::datagram;
use crate::sim::{Nodes, SimEnv};

/// A question that came.
#[derive(Debug, Clone)]
pub struct Asked {
    /// As it came.
    pub bytes: Vec<u8>,
    /// What it says.
    pub message: Message,
    /// Who asks.
    pub by: SocketAddr,
    /// Over TCP, not UDP.
    pub tcp: bool,
    /// When it came.
    pub at: Instant,
}

/// What is sent back.
#[derive(Debug, Clone)]
pub struct Reply {
    /// How much later.
    pub after: Duration,
    /// Another sender than the server itself (UDP only).
    pub from: Option<SocketAddr>,
    /// The message.
    pub bytes: Vec<u8>,
}

impl Reply {
    /// At once, and from the server itself.
    pub fn of(bytes: Vec<u8>) -> Reply {
        Reply {
            after: Duration::ZERO,
            from: None,
            bytes,
        }
    }
}

/// A server that a test has started.
#[derive(Clone)]
pub struct DnsServer {
    /// Where it listens.
    pub address: SocketAddr,
    asked: Arc<Mutex<Vec<Asked>>>,
}

impl DnsServer {
    /// All questions so far.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().expect("one thread").clone()
    }

    /// How many.
    pub fn count(&self) -> usize {
        self.asked.lock().expect("one thread").len()
    }
}

type Manner = Arc<Mutex<dyn FnMut(&Asked) -> Vec<Reply> + Send>>;

impl Nodes {
    /// A DNS server on a node of its own, with manners of its own: it sends what `manner` makes of a question; over TCP only the first
    /// reply, and without one it closes the connection.
    pub fn dns_server(&self, number: u8, manner: impl FnMut(&Asked) -> Vec<Reply> + Send + 'static) -> DnsServer {
        let ip = self.node(number, "dns");
        let server = DnsServer {
            address: SocketAddr::new(ip, 53),
            asked: Arc::default(),
        };
        let asked = server.asked.clone();
        let mut manner = manner;
        let noting = move |question: &Asked| {
            asked.lock().expect("one thread").push(question.clone());
            manner(question)
        };
        self.start(ip, |env| serve(env, Arc::new(Mutex::new(noting))));
        server
    }
}

/// Answers from a zone.
pub(in crate::sim) async fn serve_zone(env: SimEnv, zone: Zone) {
    let manner = move |asked: &Asked| zone.reply(asked).into_iter().collect();
    serve(env, Arc::new(Mutex::new(manner))).await;
}

impl Zone {
    /// The honest reply; by UDP cut off where it does not fit (RFC 1035 §4.2.1, RFC 6891 §6.2.3).
    pub fn reply(&self, asked: &Asked) -> Option<Reply> {
        let bytes = self.answer(&asked.bytes)?;
        let room = if asked.tcp {
            usize::from(u16::MAX)
        } else {
            usize::from(asked.message.max_payload())
        };
        if bytes.len() <= room {
            return Some(Reply::of(bytes));
        }
        Message::from_vec(&bytes).ok()?.truncate().to_vec().ok().map(Reply::of)
    }
}

async fn serve(env: SimEnv, manner: Manner) {
    let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 53);
    let listener = env.listen(at).expect("the port is free");
    let (streams, stream_manner) = (env.clone(), manner.clone());
    env.spawn("dns over TCP", async move {
        while let Ok((stream, by)) = streams.accept(&listener).await {
            let (env, manner) = (streams.clone(), stream_manner.clone());
            streams.spawn("dns connection", async move {
                // A client that goes is no defect.
                let _ = one_stream(&env, stream, by, &manner).await;
            });
        }
    });
    let socket = Arc::new(env.bind_datagram(at).expect("the port is free"));
    let mut question = [0; 4096];
    while let Ok((len, by)) = socket.receive_from(&mut question).await {
        for reply in replies(&env, &question[..len], by, false, &manner) {
            let (task_env, socket) = (env.clone(), socket.clone());
            env.spawn("dns reply", async move {
                task_env.sleep_until(task_env.now().instant.after(reply.after)).await;
                let own = socket.local_address().expect("it is bound");
                datagram::send(&task_env.shared, reply.from.unwrap_or(own), by, &reply.bytes);
            });
        }
    }
}

async fn one_stream<S: AsyncReadExt + AsyncWriteExt + Unpin>(
    env: &SimEnv,
    mut stream: S,
    by: SocketAddr,
    manner: &Manner,
) -> std::io::Result<()> {
    let mut length = [0; 2];
    stream.read_exact(&mut length).await?;
    let mut question = vec![0; usize::from(u16::from_be_bytes(length))];
    stream.read_exact(&mut question).await?;
    if let Some(reply) = replies(env, &question, by, true, manner).into_iter().next() {
        env.sleep_until(env.now().instant.after(reply.after)).await;
        let length = u16::try_from(reply.bytes.len()).map_err(std::io::Error::other)?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&reply.bytes).await?;
        stream.flush().await?;
    }
    stream.close().await
}

fn replies(env: &SimEnv, bytes: &[u8], by: SocketAddr, tcp: bool, manner: &Manner) -> Vec<Reply> {
    let Ok(message) = Message::from_vec(bytes) else {
        return Vec::new();
    };
    let asked = Asked {
        bytes: bytes.to_vec(),
        message,
        by,
        tcp,
        at: env.now().instant,
    };
    let mut manner = manner.lock().expect("one thread");
    manner(&asked)
}
