//! A second session of a client, in IDLE: what it is told of is durable.

use std::io::Result;
use std::time::Duration;

use super::reader::{log_in, number_behind, number_in, ok};
use super::within;
use crate::client::imap::{Imap, Response};
use crate::sim::SimEnv;
use crate::sim::tls::Stream;
use crate::world::Ctx;
use crate::world::model::hash_of;

/// How long a witness waits for one look.
const PATIENCE: Duration = Duration::from_secs(10);

/// Idles in INBOX, and fetches what comes as soon as it is told.
pub async fn idle(ctx: &Ctx, env: &SimEnv, client: usize, time: Duration) {
    // Who loses the connection has seen what it has seen.
    let _ = within(env, time, session(ctx, env, client)).await;
}

async fn session(ctx: &Ctx, env: &SimEnv, client: usize) -> Result<()> {
    let mut imap = log_in(env, client).await?;
    let (untagged, tagged) = imap.command("SELECT INBOX").await?;
    ok(&tagged)?;
    let validity = number_in(&untagged, "[UIDVALIDITY ").unwrap_or(0);
    loop {
        let tag = imap.start("IDLE").await?;
        loop {
            let response = imap.response().await?;
            if response.text.starts_with("* ") && response.text.ends_with(" EXISTS") {
                break;
            }
            if response.text.starts_with("* BYE") || response.text.starts_with(&tag) {
                return Ok(());
            }
        }
        ctx.with(|inner| inner.counters.idle_told += 1);
        imap.lines.send(b"DONE\r\n").await?;
        imap.finish(&tag).await?;
        let (bodies, tagged) = imap.command("UID FETCH * BODY.PEEK[]").await?;
        ok(&tagged)?;
        bodies.into_iter().for_each(|body| seen(ctx, client, validity, body));
    }
}

/// A session was told of a message in INBOX.
fn seen(ctx: &Ctx, client: usize, validity: u32, body: Response) {
    let (Some(uid), Some(bytes)) = (number_behind(&body.text, "UID "), body.literals.into_iter().next()) else {
        return;
    };
    ctx.with(|inner| {
        let model = &mut inner.model;
        match model.accounts[client].seen("INBOX", validity, uid, hash_of(&bytes)) {
            Ok(true) => model.arrived(client, "INBOX", (validity, uid), &bytes),
            Ok(false) => {}
            Err(why) => model.breaks(format!("client {client}: {why}")),
        }
    });
}

/// A session that looks into INBOX when it is asked to, and fetches what it has not seen.
pub struct Witness {
    ctx: Ctx,
    env: SimEnv,
    client: usize,
    imap: Option<Imap<Stream>>,
    next: u32,
}

impl Witness {
    /// Of a client.
    pub fn new(ctx: &Ctx, client: usize) -> Witness {
        Witness {
            ctx: ctx.clone(),
            env: ctx.nodes.client_at(21 + client as u8, ""),
            client,
            imap: None,
            next: 0,
        }
    }

    /// Whose it is.
    pub fn client(&self) -> usize {
        self.client
    }

    /// Looks. Who cannot connect or loses the connection has seen nothing.
    pub async fn look(&mut self) {
        let env = self.env.clone();
        if within(&env, PATIENCE, self.try_to_look()).await.is_err() {
            self.imap = None;
        }
    }

    async fn try_to_look(&mut self) -> Result<()> {
        if self.imap.is_none() {
            self.imap = Some(log_in(&self.env, self.client).await?);
        }
        let imap = self.imap.as_mut().expect("made just now");
        let (untagged, tagged) = imap.command("SELECT INBOX").await?;
        ok(&tagged)?;
        let number = |what| number_in(&untagged, what).unwrap_or(0);
        let (validity, next) = (number("[UIDVALIDITY "), number("[UIDNEXT "));
        let highest = u64::from(number("[HIGHESTMODSEQ "));
        self.ctx.with(|inner| {
            let said = inner.said.entry(self.client).or_default();
            *said = (said.0.max(next), said.1.max(highest));
        });
        if next > self.next && self.next > 0 {
            let (bodies, tagged) = imap.command(&format!("UID FETCH {}:* BODY.PEEK[]", self.next)).await?;
            ok(&tagged)?;
            self.ctx.with(|inner| inner.counters.witnessed += 1);
            bodies
                .into_iter()
                .for_each(|body| seen(&self.ctx, self.client, validity, body));
        }
        self.next = next;
        Ok(())
    }
}

/// Whether a client that idles in its INBOX is told within this time of something that happens once it idles.
pub async fn is_told(env: &SimEnv, client: usize, time: Duration, happens: impl Future<Output = ()>) -> Result<bool> {
    let mut imap = log_in(env, client).await?;
    ok(&imap.command("SELECT INBOX").await?.1)?;
    let tag = imap.start("IDLE").await?;
    while !imap.response().await?.text.starts_with('+') {}
    happens.await;
    let told = within(env, time, async {
        while !imap.response().await?.text.ends_with(" EXISTS") {}
        Ok(())
    });
    let told = told.await.is_ok();
    if told {
        imap.lines.send(b"DONE\r\n").await?;
        imap.finish(&tag).await?;
        imap.command("LOGOUT").await?;
    }
    Ok(told)
}
