//! The load: so many sessions, each a thread with a blocking socket, each sending its share of the messages.

use std::io::{BufRead, BufReader, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// One shape of load.
#[derive(Debug, Clone)]
pub(crate) struct Load {
    pub(crate) sessions: usize,
    pub(crate) per_connection: usize,
    pub(crate) messages: usize,
    pub(crate) body: usize,
}

/// What came of it.
#[derive(Debug, Clone)]
pub(crate) struct Measured {
    pub(crate) acknowledged: usize,
    pub(crate) found: usize,
    pub(crate) wall: Duration,
    pub(crate) cpu: Duration,
}

impl Measured {
    pub(crate) fn rate(&self) -> f64 {
        self.acknowledged as f64 / self.wall.as_secs_f64()
    }
    pub(crate) fn cpu_per_thousand(&self) -> f64 {
        self.cpu.as_secs_f64() * 1000.0 / self.acknowledged as f64
    }
}

impl Load {
    /// Sends everything; how many messages got their 250, and how long it took.
    pub(crate) fn send(&self, to: SocketAddr, recipient: &str, pipelining: bool) -> (usize, Duration) {
        let left = Arc::new(AtomicUsize::new(self.messages));
        let began = Instant::now();
        let threads: Vec<_> = (0..self.sessions)
            .map(|_| {
                let (left, recipient, load) = (left.clone(), recipient.to_owned(), self.clone());
                std::thread::spawn(move || session(&load, to, &recipient, pipelining, &left))
            })
            .collect();
        let acknowledged = threads
            .into_iter()
            .map(|thread| thread.join().expect("a session's thread"))
            .sum();
        (acknowledged, began.elapsed())
    }
}

fn session(load: &Load, to: SocketAddr, recipient: &str, pipelining: bool, left: &AtomicUsize) -> usize {
    let mut acknowledged = 0;
    let message = message(load.body);
    while left.load(Ordering::Relaxed) > 0 {
        let mut connection = Connection::open(to);
        for _ in 0..load.per_connection {
            if left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                .is_err()
            {
                break;
            }
            connection.message(recipient, &message, pipelining);
            acknowledged += 1;
        }
        connection.say(b"QUIT\r\n");
        connection.expect("221");
    }
    acknowledged
}

/// A message of so many octets of body, with its final dot.
fn message(body: usize) -> Vec<u8> {
    let mut text =
        b"From: <sender@sender.test>\r\nTo: <u1@bench.test>\r\nSubject: load\r\nMessage-ID: <load@sender.test>\r\n\r\n"
            .to_vec();
    while text.len() < body {
        text.extend_from_slice(b"The quick brown fox jumps over the lazy dog, and then sleeps.\r\n");
    }
    text.extend_from_slice(b".\r\n");
    text
}

/// A blocking SMTP client.
pub(crate) struct Connection {
    reader: BufReader<TcpStream>,
}

impl Connection {
    pub(crate) fn open(to: SocketAddr) -> Connection {
        let stream = TcpStream::connect(to).expect("the server accepts");
        stream.set_nodelay(true).expect("no delay");
        stream.set_read_timeout(Some(Duration::from_secs(120))).expect("a timeout");
        let mut connection = Connection {
            reader: BufReader::new(stream),
        };
        connection.expect("220");
        connection.say(b"EHLO client.test\r\n");
        connection.expect("250");
        connection
    }

    pub(crate) fn message(&mut self, recipient: &str, message: &[u8], pipelining: bool) {
        let mail = "MAIL FROM:<sender@sender.test>\r\n".to_owned();
        let to = format!("RCPT TO:<{recipient}>\r\n");
        let data = "DATA\r\n".to_owned();
        if pipelining {
            self.say((mail + &to + &data).as_bytes());
            ["250", "250", "354"].into_iter().for_each(|code| self.expect(code));
        } else {
            for (line, code) in [(mail, "250"), (to, "250"), (data, "354")] {
                self.say(line.as_bytes());
                self.expect(code);
            }
        }
        self.say(message);
        self.expect("250");
    }

    fn say(&mut self, bytes: &[u8]) {
        self.reader.get_mut().write_all(bytes).expect("the server reads");
    }

    fn expect(&mut self, code: &str) {
        loop {
            let mut line = String::new();
            self.reader.read_line(&mut line).expect("the server answers");
            assert!(line.starts_with(code), "expected {code}, got {line:?}");
            if line.as_bytes().get(3) == Some(&b' ') {
                return;
            }
        }
    }
}
