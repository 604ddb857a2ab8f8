//! SMTP.

use std::io::Result;

use futures_lite::{AsyncRead, AsyncWrite};

use super::Lines;

/// An SMTP session.
pub struct Smtp<S>(pub Lines<S>);

impl<S: AsyncRead + AsyncWrite + Unpin> Smtp<S> {
    /// Reads the greeting and says EHLO.
    ///
    /// # Errors
    /// The stream's.
    pub async fn begin(stream: S) -> Result<Smtp<S>> {
        let mut smtp = Smtp(Lines::new(stream));
        smtp.expect("220").await?;
        smtp.command("EHLO client.test", "250").await?;
        Ok(smtp)
    }

    /// After TLS: EHLO again.
    ///
    /// # Errors
    /// The stream's.
    pub async fn again(stream: S) -> Result<Smtp<S>> {
        let mut smtp = Smtp(Lines::new(stream));
        smtp.command("EHLO client.test", "250").await?;
        Ok(smtp)
    }

    /// A command and its reply, whose last line is returned.
    ///
    /// # Errors
    /// The stream's.
    ///
    /// # Panics
    /// When the reply has another code.
    pub async fn command(&mut self, line: &str, code: &str) -> Result<String> {
        self.0.send(format!("{line}\r\n").as_bytes()).await?;
        self.expect(code).await
    }

    /// A command and the last line of whatever its reply is.
    ///
    /// # Errors
    /// The stream's.
    pub async fn any(&mut self, line: &str) -> Result<String> {
        self.0.send(format!("{line}\r\n").as_bytes()).await?;
        loop {
            let line = self.0.line().await?;
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// The last line of the next reply.
    ///
    /// # Errors
    /// The stream's.
    ///
    /// # Panics
    /// When it has another code.
    pub async fn expect(&mut self, code: &str) -> Result<String> {
        loop {
            let line = self.0.line().await?;
            assert!(line.starts_with(code), "expected {code}:\n{}", self.0.dialogue());
            if line.as_bytes().get(3) != Some(&b'-') {
                return Ok(line);
            }
        }
    }

    /// One message to one recipient, up to the final dot; its reply is not read.
    ///
    /// # Errors
    /// The stream's.
    pub async fn send_message(&mut self, to: &str, message: &[u8]) -> Result<()> {
        self.command("MAIL FROM:<sender@elsewhere.test>", "250").await?;
        self.command(&format!("RCPT TO:<{to}>"), "250").await?;
        self.command("DATA", "354").await?;
        self.0.send(&stuffed(message)).await
    }

    /// One message, acknowledged.
    ///
    /// # Errors
    /// The stream's.
    pub async fn deliver(&mut self, to: &str, message: &[u8]) -> Result<String> {
        self.send_message(to, message).await?;
        self.expect("250").await
    }
}

/// A message as DATA carries it: dots doubled at line starts, and the final dot (RFC 5321 §4.5.2).
pub fn stuffed(message: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(message.len() + 100);
    let mut at_start = true;
    for octet in message {
        if at_start && *octet == b'.' {
            out.push(b'.');
        }
        out.push(*octet);
        at_start = *octet == b'\n';
    }
    if !at_start {
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(b".\r\n");
    out
}
