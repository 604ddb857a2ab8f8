//! Servers that are not ours. Each has a character.

use std::io::Result;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use pillarbox::env::{Alpn, Env};

use super::pass;
use crate::client::Lines;
use crate::rng::Rng;
use crate::sim::SimEnv;
use crate::sim::tls::{Certificate, Stream};
use crate::world::Ctx;
use crate::world::model::{QUEUED, token_of_message};
use crate::world::transition::To;

/// How a foreign server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Character {
    /// It does everything by the book, and wants it from others.
    Strict,
    /// It refuses whom it does not know, for some minutes.
    Greylisting,
    /// It takes its time over everything.
    Slow,
    /// It takes a message, and sometimes goes away before it says so.
    Forgetful,
    /// On Tuesdays (every third quarter of an hour) it refuses for the time being, now here, now there.
    Tuesdays,
    /// It offers TLS and cannot do it.
    BadTls,
    /// Its certificate is of nobody, and it has no extensions but TLS.
    Plain,
    /// It takes one recipient at a time (RFC 5321 §4.5.3.1.10, with a limit far too low).
    OneByOne,
}

/// All of them.
pub const CHARACTERS: [Character; 8] = [
    Character::Strict,
    Character::Greylisting,
    Character::Slow,
    Character::Forgetful,
    Character::Tuesdays,
    Character::BadTls,
    Character::Plain,
    Character::OneByOne,
];

/// How long a greylist wants a stranger to wait, in nanoseconds.
const GREY: u64 = 300 * 1_000_000_000;
/// How long a day is, in nanoseconds.
const DAY: u64 = 900 * 1_000_000_000;

/// Starts one.
pub fn start(ctx: &Ctx, foreign: usize, character: Character, seed: u64) {
    let env = ctx.nodes.client_at(11 + foreign as u8, &format!("f{foreign}"));
    let (ctx, task) = (ctx.clone(), env.clone());
    env.spawn("foreign server", async move {
        let at = SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 25);
        let listener = task.listen(at).expect("the port is free");
        let mut rng = Rng::new(seed);
        while let Ok((stream, _)) = task.accept(&listener).await {
            let mut session = Session {
                ctx: ctx.clone(),
                env: task.clone(),
                character,
                foreign,
                rng: rng.fork(),
                lines: None,
                from: None,
                to: Vec::new(),
            };
            task.spawn("foreign session", async move {
                // Who hangs up is no defect.
                let _ = session.run(stream).await;
            });
        }
    });
}

struct Session {
    ctx: Ctx,
    env: SimEnv,
    character: Character,
    foreign: usize,
    rng: Rng,
    lines: Option<Lines<Stream>>,
    from: Option<String>,
    to: Vec<To>,
}

impl Session {
    fn lines(&mut self) -> &mut Lines<Stream> {
        self.lines.as_mut().expect("there is a stream but in a handshake")
    }

    async fn say(&mut self, text: &str) -> Result<()> {
        if self.character == Character::Slow {
            let time = Duration::from_millis(self.rng.below(20_000));
            pass(&self.env, time).await;
        }
        self.lines().send(format!("{text}\r\n").as_bytes()).await
    }

    /// Whether it is in the mood to refuse.
    fn refuses(&mut self) -> bool {
        let now = self.env.now().instant.0;
        let calm = self.ctx.with(|inner| inner.calm);
        self.character == Character::Tuesdays && !calm && now / DAY % 3 == 1 && self.rng.percent(40)
    }

    async fn run(&mut self, stream: Stream) -> Result<()> {
        self.lines = Some(Lines::new(stream));
        let name = format!("f{}.test", self.foreign);
        if self.refuses() {
            return self.say("421 4.3.2 it is Tuesday").await;
        }
        self.say(&format!("220 mx.{name} ESMTP")).await?;
        loop {
            let line = self.lines().line().await?;
            let Some(line) = line.strip_suffix("\r\n") else {
                self.ctx
                    .with(|inner| inner.model.breaks(format!("law 7: a command without CRLF: {line:?}")));
                return self.say("500 5.5.2 a line ends with CRLF").await;
            };
            let upper = line.to_ascii_uppercase();
            let verb = upper.split(' ').next().unwrap_or_default();
            match verb {
                "EHLO" => self.ehlo(&name).await?,
                "HELO" => self.say(&format!("250 {name}")).await?,
                "STARTTLS" => self.start_tls(&name).await?,
                "MAIL" => self.mail(line).await?,
                "RCPT" => self.rcpt(line).await?,
                "DATA" => {
                    if !self.data().await? {
                        return Ok(());
                    }
                }
                "BDAT" => {
                    if !self.bdat(line).await? {
                        return Ok(());
                    }
                }
                "RSET" => {
                    (self.from, self.to) = (None, Vec::new());
                    self.say("250 2.0.0 reset").await?;
                }
                "NOOP" => self.say("250 2.0.0 nothing").await?,
                "QUIT" => return self.say("221 2.0.0 bye").await,
                _ => {
                    let text = format!("a foreign server was told {line:?}");
                    self.ctx.with(|inner| inner.model.breaks(text));
                    self.say("500 5.5.1 unknown").await?;
                }
            }
        }
    }

    async fn ehlo(&mut self, name: &str) -> Result<()> {
        let protected = self.lines().stream().is_protected();
        let mut offers = match self.character {
            Character::Plain => vec![],
            Character::Slow => vec!["PIPELINING", "8BITMIME"],
            Character::Strict => vec!["PIPELINING", "8BITMIME", "SIZE 1000000", "CHUNKING", "ENHANCEDSTATUSCODES"],
            Character::Greylisting | Character::Forgetful | Character::Tuesdays | Character::BadTls | Character::OneByOne => {
                vec!["PIPELINING", "8BITMIME", "SIZE", "ENHANCEDSTATUSCODES"]
            }
        };
        if !protected {
            offers.push("STARTTLS");
        }
        let mut text = format!("250-{name}\r\n");
        for offer in &offers {
            text.push_str(&format!("250-{offer}\r\n"));
        }
        text.push_str("250 HELP");
        self.say(&text).await
    }

    async fn start_tls(&mut self, name: &str) -> Result<()> {
        self.say("220 2.0.0 go on").await?;
        let mut certificate = Certificate::of(&format!("mx.{name}"));
        certificate.broken = self.character == Character::BadTls;
        certificate.untrusted = self.character == Character::Plain;
        let lines = self.lines.take().expect("the stream is here between two commands");
        let (stream, _) = self.env.tls_accept(lines.into_stream(), &certificate, Alpn::Ignore).await?;
        self.lines = Some(Lines::new(stream));
        Ok(())
    }

    async fn mail(&mut self, line: &str) -> Result<()> {
        if self.refuses() {
            return self.say("451 4.3.2 it is Tuesday").await;
        }
        self.from = Some(line.to_owned());
        self.to.clear();
        self.say("250 2.1.0 yes").await
    }

    async fn rcpt(&mut self, line: &str) -> Result<()> {
        if self.from.is_none() {
            return self.say("503 5.5.1 MAIL first").await;
        }
        let address = line.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
        let to = address.and_then(|(address, _)| To::at_foreign(address));
        let Some(to) = to else {
            let text = format!("foreign server {} was told {line}", self.foreign);
            self.ctx.with(|inner| inner.model.breaks(text));
            return self.say("550 5.7.1 not here").await;
        };
        if matches!(to, To::ForeignNobody(_)) {
            return self.say("550 5.1.1 nobody of that name").await;
        }
        if self.refuses() {
            return self.say("450 4.2.1 it is Tuesday").await;
        }
        if self.character == Character::OneByOne && !self.to.is_empty() {
            return self.say("452 4.5.3 one at a time").await;
        }
        if self.character == Character::Greylisting {
            let (now, key) = (self.env.now().instant.0, (self.foreign, self.from.clone(), to));
            let first = self.ctx.with(|inner| *inner.greylist.entry(key).or_insert(now));
            if now < first + GREY {
                return self.say("451 4.7.1 greylisted, come again in five minutes").await;
            }
        }
        self.to.push(to);
        self.say("250 2.1.5 yes").await
    }

    /// Whether the session goes on.
    async fn data(&mut self) -> Result<bool> {
        if self.to.is_empty() {
            self.say("503 5.5.1 no recipients").await?;
            return Ok(true);
        }
        self.say("354 go on").await?;
        let mut message = Vec::new();
        loop {
            let line = self.lines().line().await?;
            let Some(text) = line.strip_suffix("\r\n").filter(|text| !text.contains('\r')) else {
                self.ctx
                    .with(|inner| inner.model.breaks(format!("law 7: a foreign server got the line {line:?}")));
                return Ok(false);
            };
            if text == "." {
                break;
            }
            message.extend_from_slice(text.strip_prefix('.').unwrap_or(text).as_bytes());
            message.extend_from_slice(b"\r\n");
        }
        self.end(message).await
    }

    async fn bdat(&mut self, line: &str) -> Result<bool> {
        let mut message = Vec::new();
        let mut line = line.to_owned();
        loop {
            let mut words = line.split_whitespace().skip(1);
            let len: usize = words.next().and_then(|len| len.parse().ok()).unwrap_or(0);
            let last = words.next().is_some();
            message.extend(self.lines().octets(len).await?);
            if last {
                return self.end(message).await;
            }
            self.say("250 2.0.0 more").await?;
            line = self.lines().line().await?;
        }
    }

    async fn end(&mut self, message: Vec<u8>) -> Result<bool> {
        let to = std::mem::take(&mut self.to);
        self.from = None;
        if self.refuses() {
            self.say("451 4.3.2 it is Tuesday").await?;
            return Ok(true);
        }
        let goes = self.character == Character::Forgetful && self.rng.percent(30) && !self.ctx.with(|inner| inner.calm);
        let dialogue = match token_of_message(&message) {
            Some(_) => String::new(),
            None => self.lines().dialogue().to_owned(),
        };
        let copy = self.ctx.with(|inner| {
            inner.foreign_copies += 1;
            format!("f{}", inner.foreign_copies)
        });
        self.ctx.with(|inner| match token_of_message(&message) {
            Some(token) => {
                inner.counters.foreign_taken += 1;
                inner.counters.foreign_forgotten += u64::from(goes);
                for to in &to {
                    inner.model.reached(token, *to, copy.clone(), &message);
                }
            }
            None => {
                inner
                    .model
                    .breaks(format!("a foreign server got what nobody sent:\n{dialogue}"));
            }
        });
        if goes {
            self.lines().stream().abort();
            return Ok(false);
        }
        self.say(&format!("250 2.0.0 {QUEUED}{copy}")).await?;
        Ok(true)
    }
}
