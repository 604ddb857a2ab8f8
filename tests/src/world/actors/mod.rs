//! Who lives in a world beside our servers: clients, senders from outside, foreign servers, the DNS.

pub mod dns;
pub mod foreign;
pub mod idler;
pub mod reader;
pub mod sender;

use std::io::{Error, ErrorKind, Result};
use std::time::Duration;

use futures_lite::future;
use pillarbox::env::Env;

use crate::client::Lines;
use crate::sim::SimEnv;
use crate::sim::tls::Stream;

/// Lets time pass.
pub async fn pass(env: &SimEnv, time: Duration) {
    env.sleep_until(env.now().instant.after(time)).await;
}

/// Gives up after this time.
pub(super) async fn within<T>(env: &SimEnv, time: Duration, work: impl Future<Output = Result<T>>) -> Result<T> {
    let late = async {
        pass(env, time).await;
        Err(Error::from(ErrorKind::TimedOut))
    };
    future::or(work, late).await
}

/// A reply of an SMTP server: its code and its last line.
pub(super) async fn reply(lines: &mut Lines<Stream>) -> Result<(u16, String)> {
    loop {
        let line = lines.line().await?;
        let code = line.get(..3).and_then(|code| code.parse().ok());
        let code = code.ok_or_else(|| Error::new(ErrorKind::InvalidData, line.clone()))?;
        if line.as_bytes().get(3) != Some(&b'-') {
            return Ok((code, line));
        }
    }
}

/// A command and its reply.
pub(super) async fn command(lines: &mut Lines<Stream>, text: &str) -> Result<(u16, String)> {
    lines.send(format!("{text}\r\n").as_bytes()).await?;
    reply(lines).await
}
