//! An SMTP server with a thread for each connection: blocking sockets, and the machine's deadlines as their timeouts.
//!
//! ```sh
//! cargo run -p pillarbox-core --example smtp_threads -- 127.0.0.1:2525
//! ```
//!
//! `one.test` is ours and has one user, alice. What is committed is shown on stderr. Prints where it listens.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::time::Duration;

use pillarbox_core::machine::{Deadline, Input, Machine, Output};

mod host;

fn main() -> std::io::Result<()> {
    let at = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(at)?;
    println!("{}", listener.local_addr()?);
    for number in 1.. {
        let (stream, _) = listener.accept()?;
        std::thread::spawn(move || {
            if let Err(error) = serve(number, stream) {
                eprintln!("connection {number}: {error}");
            }
        });
    }
    Ok(())
}

/// What the machine wants at rest, without what it lends.
struct Rest {
    send: Vec<u8>,
    read: bool,
    until: Option<Deadline>,
}

fn serve(number: u64, mut stream: TcpStream) -> std::io::Result<()> {
    let peer = stream.peer_addr()?;
    let mut session = host::session(number, peer.ip(), peer.port());
    let mut sink = Vec::new();
    let mut buffer = [0; 16 * 1024];
    loop {
        let rest = match session.poll() {
            Output::Body(part) => {
                sink.extend_from_slice(part);
                continue;
            }
            Output::Ask(ask) => {
                if let Some(answer) = host::perform(ask, &mut sink) {
                    session.handle(host::now(), Input::Answer(answer));
                }
                continue;
            }
            Output::Close(_) => return stream.shutdown(Shutdown::Both),
            Output::Wait(wait) => Rest {
                send: wait.send.to_vec(),
                read: wait.read,
                until: wait.until,
            },
        };
        let left = rest
            .until
            .map(|until| Duration::from_nanos(until.at.0.saturating_sub(host::now().instant.0)));
        // A timeout of zero would be none.
        let left = left.map(|left| left.max(Duration::from_millis(1)));
        if !rest.send.is_empty() {
            stream.set_write_timeout(left)?;
            match stream.write(&rest.send) {
                Ok(sent) => session.handle(host::now(), Input::Sent(sent)),
                Err(error) if timed_out(&error) => session.handle(host::now(), Input::Tick),
                Err(error) => return Err(error),
            }
        } else if rest.read {
            stream.set_read_timeout(left)?;
            match stream.read(&mut buffer) {
                Ok(0) => session.handle(host::now(), Input::Eof),
                Ok(count) => session.handle(host::now(), Input::Received(&buffer[..count])),
                Err(error) if timed_out(&error) => session.handle(host::now(), Input::Tick),
                Err(error) => return Err(error),
            }
        } else {
            std::thread::sleep(left.expect("whoever wants nothing waits for its deadline"));
            session.handle(host::now(), Input::Tick);
        }
    }
}

fn timed_out(error: &std::io::Error) -> bool {
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut)
}
