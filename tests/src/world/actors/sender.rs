//! Who hands messages in: clients at their servers, and strangers from outside.

use std::io::Result;
use std::net::SocketAddr;
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_core::bytes::base64;

use super::{command, pass, reply, within};
use crate::client::Lines;
use crate::client::smtp::stuffed;
use crate::rng::Rng;
use crate::sim::SimEnv;
use crate::sim::server::PASSWORD;
use crate::sim::tls::Stream;
use crate::world::Ctx;
use crate::world::model::{Message, Token, Verdict, account, domain, home, server_ip};
use crate::world::transition::{Text, To};

/// A client's patience with one message.
const PATIENCE: Duration = Duration::from_secs(600);
/// How long a client tries to connect.
const CONNECT: Duration = Duration::from_secs(120);

/// A message to be handed in.
#[derive(Debug, Clone)]
pub struct Letter {
    /// By this client; `None`: from outside.
    pub client: Option<usize>,
    /// With an empty reverse path.
    pub null: bool,
    /// To whom.
    pub to: Vec<To>,
    /// What, and how.
    pub text: Text,
    /// An end of message in its midst that is none.
    pub smuggled: Option<&'static str>,
}

/// Hands a message in; the model knows what came of it.
pub async fn send(ctx: &Ctx, env: &SimEnv, letter: &Letter) {
    let token = ctx.with(|inner| {
        let begun = env.now().instant.0;
        let token = inner.model.messages.len();
        let mut bytes = message(token, letter);
        let model = &mut inner.model;
        let message = |bytes: Vec<u8>, to| Message {
            client: letter.client,
            null: letter.null,
            to,
            bytes: bytes.into(),
            verdict: Verdict::Begun,
            begun,
        };
        let Some(end) = letter.smuggled else {
            model.begin(message(bytes, letter.to.clone()));
            return token;
        };
        // Somebody who takes that for an end takes what follows for commands, and for a message of its own.
        let hidden = self::message(token + 1, letter);
        let to = letter.to[0].address();
        bytes.extend_from_slice(format!("the end?{end}MAIL FROM:<evil@f0.test>\r\nRCPT TO:<{to}>\r\nDATA\r\n").as_bytes());
        bytes.extend_from_slice(&hidden);
        model.begin(message(bytes, letter.to.clone()));
        let hidden = model.begin(message(hidden, letter.to.clone()));
        model.messages[hidden].verdict = Verdict::Refused; // it is never a message
        token
    });
    let outcome = within(env, PATIENCE, hand_in(ctx, env, letter, token)).await;
    ctx.with(|inner| {
        let message = &mut inner.model.messages[token];
        if message.verdict == Verdict::Begun {
            message.verdict = Verdict::Refused;
        }
        if outcome.is_ok() && message.verdict == Verdict::Unknown {
            inner.model.breaks(format!("message {token} was neither taken nor refused"));
        }
    });
}

async fn hand_in(ctx: &Ctx, env: &SimEnv, letter: &Letter, token: Token) -> Result<()> {
    let server = match (letter.client, letter.to.first()) {
        (Some(client), _) => home(client),
        (None, Some(To::Client(client))) => home(*client),
        (None, _) => return Ok(()),
    };
    let port = if letter.client.is_some() { 587 } else { 25 };
    let stream = connect(env, SocketAddr::new(server_ip(server), port)).await?;
    let mut lines = Lines::new(stream);
    let broken =
        |what: &str, said: (u16, String)| ctx.with(|inner| inner.model.breaks(format!("message {token}: {what}: {}", said.1)));
    let greeting = reply(&mut lines).await?;
    if greeting.0 != 220 {
        return Ok(());
    }
    command(&mut lines, "EHLO client.test").await?;
    if letter.text.tls && command(&mut lines, "STARTTLS").await?.0 == 220 {
        let name = format!("mx.{}", domain(server));
        lines = Lines::new(lines.into_stream().connect(&name, "").await?.0);
        command(&mut lines, "EHLO client.test").await?;
    }
    if let Some(client) = letter.client {
        let login = base64::encode(format!("\0{}\0{PASSWORD}", account(client)).as_bytes());
        let said = command(&mut lines, &format!("AUTH PLAIN {login}")).await?;
        if said.0 != 235 {
            if said.0 >= 500 {
                broken("login", said);
            }
            return Ok(());
        }
    }
    let from = match (letter.client, letter.null) {
        (_, true) => String::new(),
        (Some(client), false) => account(client),
        (None, false) => "stranger@f0.test".into(),
    };
    let said = command(&mut lines, &format!("MAIL FROM:<{from}>")).await?;
    if said.0 != 250 {
        if said.0 >= 500 {
            broken("MAIL", said);
        }
        return Ok(());
    }
    let mut accepted = Vec::new();
    for to in &letter.to {
        let said = command(&mut lines, &format!("RCPT TO:<{}>", to.address())).await?;
        match (said.0, to) {
            (250, _) => accepted.extend(to.targets()),
            (500.., To::Nobody(at)) if *at == server => {}
            (500.., _) => broken("RCPT", said),
            (_, _) => {}
        }
    }
    ctx.with(|inner| inner.model.messages[token].to.clone_from(&accepted));
    if accepted.is_empty() {
        return Ok(());
    }
    let bytes = ctx.with(|inner| inner.model.messages[token].bytes.clone());
    let unknown = || ctx.with(|inner| inner.model.messages[token].verdict = Verdict::Unknown);
    if letter.text.chunks && letter.smuggled.is_none() {
        if letter.text.hangs_up {
            lines.send(format!("BDAT {} LAST\r\n", bytes.len()).as_bytes()).await?;
            lines.send(&bytes[..bytes.len() / 2]).await?;
            return Ok(());
        }
        unknown();
        lines.send(format!("BDAT {} LAST\r\n", bytes.len()).as_bytes()).await?;
        lines.send(&bytes).await?;
    } else {
        let said = command(&mut lines, "DATA").await?;
        if said.0 != 354 {
            if said.0 >= 500 {
                broken("DATA", said);
            }
            return Ok(());
        }
        let wire = match letter.smuggled {
            None => stuffed(&bytes),
            // As it is: its dots are what it is about.
            Some(_) => [&bytes, b".\r\n".as_slice()].concat(),
        };
        if letter.text.hangs_up {
            lines.send(&wire[..wire.len() / 2]).await?;
            return Ok(());
        }
        unknown();
        lines.send(&wire).await?;
    }
    let said = reply(&mut lines).await?;
    let taken = said.0 == 250;
    ctx.with(|inner| inner.model.messages[token].verdict = if taken { Verdict::Taken } else { Verdict::Refused });
    match (taken, letter.smuggled) {
        (true, Some(end)) => ctx.with(|inner| {
            inner
                .model
                .breaks(format!("law 7: message {token} with {end:?} in its midst was taken"));
        }),
        (false, None) if said.0 >= 500 => broken("the final dot", said),
        (_, _) => {}
    }
    command(&mut lines, "QUIT").await?;
    Ok(())
}

/// Connects as soon as something listens.
pub(super) async fn connect(env: &SimEnv, to: SocketAddr) -> Result<Stream> {
    let patience = env.now().instant.after(CONNECT);
    loop {
        match env.connect(to, None).await {
            Ok(stream) => return Ok(stream),
            Err(error) if env.now().instant >= patience => return Err(error),
            Err(_) => pass(env, Duration::from_secs(1)).await,
        }
    }
}

/// A message that nobody else has.
pub fn message(token: Token, letter: &Letter) -> Vec<u8> {
    let mut rng = Rng::new(token as u64);
    let from = letter.client.map_or_else(|| "stranger@f0.test".into(), account);
    let mut text = format!(
        "From: <{from}>\r\nTo: <somebody@world.test>\r\nDate: Thu, 01 Jan 2026 00:00:00 +0000\r\nMessage-ID: \
         <m{token}@world.test>\r\nSubject: message {token}\r\n\r\n"
    );
    for line in 0..letter.text.lines {
        let dots = match (letter.text.dots, rng.below(4)) {
            (false, _) => "",
            (true, 0) => ".",
            (true, 1) => ".\r\n",
            (true, 2) => "..",
            (true, _) => "...\r\n.",
        };
        let number = rng.bits();
        text.push_str(&format!(
            "{dots}line {line} of message {token} is {number:016x} and says nothing\r\n"
        ));
    }
    text.push_str(&format!("end of message {token}\r\n"));
    text.into_bytes()
}
