//! An SMTP server under tokio: a task for each connection, over any stream that tokio knows.
//!
//! ```sh
//! cargo run --manifest-path core/examples/tokio/Cargo.toml -- 127.0.0.1:2525
//! ```
//!
//! `one.test` is ours and has one user, alice. What is committed is shown on stderr. Prints where it listens.

use std::io::Result;
use std::net::SocketAddr;
use std::time::Duration;

use pillarbox_core::machine::{Input, Machine, Output};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::TcpListener;

#[path = "../../host/mod.rs"]
mod host;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let at = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let listener = TcpListener::bind(at).await?;
    println!("{}", listener.local_addr()?);
    for number in 1.. {
        let (stream, peer) = listener.accept().await?;
        tokio::spawn(async move {
            if let Err(error) = serve(number, peer, stream).await {
                eprintln!("connection {number}: {error}");
            }
        });
    }
    Ok(())
}

/// One connection to its end. Reading, writing and the deadline race: a peer that does not read meets its deadline too.
async fn serve(number: u64, peer: SocketAddr, mut stream: impl AsyncRead + AsyncWrite + Unpin) -> Result<()> {
    let mut session = host::session(number, peer.ip(), peer.port());
    let mut sink = Vec::new();
    let mut buffer = vec![0; 16 * 1024];
    loop {
        let (send, read, until) = match session.poll() {
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
            Output::Close(_) => return stream.shutdown().await,
            Output::Wait(wait) => (wait.send.to_vec(), wait.read, wait.until),
        };
        let left = until.map(|until| Duration::from_nanos(until.at.0.saturating_sub(host::now().instant.0)));
        let (mut reader, mut writer) = tokio::io::split(&mut stream);
        tokio::select! {
            sent = writer.write(&send), if !send.is_empty() => session.handle(host::now(), Input::Sent(sent?)),
            count = reader.read(&mut buffer), if read => match count? {
                0 => session.handle(host::now(), Input::Eof),
                count => session.handle(host::now(), Input::Received(&buffer[..count])),
            },
            () = tokio::time::sleep(left.unwrap_or_default()), if left.is_some() => session.handle(host::now(), Input::Tick),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mail_over_a_pipe() {
        let (near, mut far) = tokio::io::duplex(64);
        let server = tokio::spawn(serve(1, SocketAddr::from(([127, 0, 0, 1], 1)), near));
        let said = "EHLO me.test\r\nMAIL FROM:<me@me.test>\r\nRCPT TO:<alice@one.test>\r\nDATA\r\n";
        let mut heard = String::new();
        talk(&mut far, "", "220 ", &mut heard).await;
        for line in said.split_inclusive('\n') {
            talk(
                &mut far,
                line,
                if line.starts_with("DATA") { "354 " } else { "250 " },
                &mut heard,
            )
            .await;
        }
        talk(&mut far, "Subject: x\r\n\r\ntext\r\n.\r\n", "250 2.0.0", &mut heard).await;
        talk(&mut far, "QUIT\r\n", "221 ", &mut heard).await;
        let mut rest = Vec::new();
        far.read_to_end(&mut rest).await.expect("its end");
        server.await.expect("no panic").expect("no error");
    }

    /// Says something, and hears until a line begins so.
    async fn talk(far: &mut tokio::io::DuplexStream, say: &str, expected: &str, heard: &mut String) {
        far.write_all(say.as_bytes()).await.expect("it listens");
        heard.clear();
        let mut octets = [0; 512];
        while !heard.lines().any(|line| line.starts_with(expected)) || !heard.ends_with('\n') {
            let count = far.read(&mut octets).await.expect("it speaks");
            assert!(count > 0, "it hung up after {heard:?}");
            heard.push_str(&String::from_utf8_lossy(&octets[..count]));
        }
    }
}
