//! Foreign SMTP servers, each with one habit.

use std::collections::BTreeMap;
use std::io::Result;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use pillarbox::env::Env;
use pillarbox_core::time::Instant;

use crate::client::Lines;
use crate::sim::SimEnv;
use crate::sim::tls::Stream;

/// What a foreign server does. Whatever it is, it speaks plain SMTP with PIPELINING, 8BITMIME, SIZE and AUTH PLAIN.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Persona {
    /// Takes everything, and every password.
    Friendly,
    /// Refuses each pair of sender and recipient with 450 until so much time has passed since it first came.
    Greylisting(Duration),
    /// Knows none of its recipients: 550.
    KnowsNobody,
    /// All its mailboxes are full: 452, for the time being.
    Full,
    /// Takes no message over so many octets: said in EHLO, and kept.
    Small(usize),
    /// Lets so much time pass before each reply.
    Slow(Duration),
    /// Reads a message to its end and hangs up before it says whether it has it; the next time it says so.
    HangsUpOnce,
    /// Denies every login with 535.
    DeniesLogins,
    /// Refuses messages behind their final dot: 554.
    RefusesContent,
    /// Is shutting down: 421 in place of a greeting.
    Closing,
}

/// A message that a foreign server took.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Message {
    /// The reverse path as it was given, without its brackets.
    pub from: String,
    /// The recipients likewise.
    pub to: Vec<String>,
    /// The text, dots undone.
    pub text: String,
}

/// What a server has taken, and what it remembers.
#[derive(Clone, Default)]
pub(super) struct Taken(Arc<Mutex<Memory>>);

#[derive(Default)]
struct Memory {
    messages: Vec<Message>,
    /// Since when a pair is known.
    seen: BTreeMap<(String, String), Instant>,
    hung_up: bool,
}

impl Taken {
    fn memory(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn all(&self) -> Vec<Message> {
        self.memory().messages.clone()
    }
}

/// Listens on 25 and 587, for ever.
pub(super) fn serve(env: SimEnv, name: String, persona: Persona, taken: Taken) -> Pin<Box<dyn Future<Output = ()> + Send>> {
    Box::pin(async move {
        for port in [25, 587] {
            let at = SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port);
            let listener = env.listen(at).expect("the port is free");
            let (task, name, taken) = (env.clone(), name.clone(), taken.clone());
            env.spawn("persona", async move {
                while let Ok((stream, _)) = task.accept(&listener).await {
                    let session = Session {
                        env: task.clone(),
                        name: name.clone(),
                        persona,
                        taken: taken.clone(),
                        lines: Lines::new(stream),
                        from: None,
                        to: Vec::new(),
                    };
                    // Who hangs up is no defect.
                    task.spawn("persona's session", async move { drop(session.run().await) });
                }
            });
        }
        std::future::pending::<()>().await;
    })
}

struct Session {
    env: SimEnv,
    name: String,
    persona: Persona,
    taken: Taken,
    lines: Lines<Stream>,
    from: Option<String>,
    to: Vec<String>,
}

impl Session {
    async fn say(&mut self, text: &str) -> Result<()> {
        if let Persona::Slow(time) = self.persona {
            self.env.sleep_until(self.env.now().instant.after(time)).await;
        }
        self.lines.send(format!("{text}\r\n").as_bytes()).await
    }

    async fn run(mut self) -> Result<()> {
        if self.persona == Persona::Closing {
            return self.say("421 4.3.2 closing").await;
        }
        self.say(&format!("220 {} ESMTP", self.name)).await?;
        loop {
            let line = self.lines.line().await?;
            let line = line.trim_end();
            let (verb, rest) = line.split_once(' ').unwrap_or((line, ""));
            match verb.to_ascii_uppercase().as_str() {
                "EHLO" => {
                    let size = if let Persona::Small(size) = self.persona {
                        size
                    } else {
                        10_000_000
                    };
                    let name = self.name.clone();
                    let said = format!("250-{name}\r\n250-PIPELINING\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SIZE {size}");
                    self.say(&said).await?;
                }
                "HELO" | "NOOP" => self.say("250 OK").await?,
                "RSET" => {
                    self.forget();
                    self.say("250 OK").await?;
                }
                "AUTH" => self.auth(rest).await?,
                "MAIL" => {
                    self.from = Some(path(rest));
                    self.say("250 2.1.0 OK").await?;
                }
                "RCPT" => self.rcpt(path(rest)).await?,
                "DATA" if self.to.is_empty() => self.say("554 5.5.1 no valid recipients").await?,
                "DATA" => {
                    self.say("354 go ahead").await?;
                    let text = self.text().await?;
                    if !self.judge(text).await? {
                        return Ok(());
                    }
                }
                "QUIT" => return self.say("221 2.0.0 bye").await,
                _ => self.say("502 5.5.1 not implemented").await?,
            }
        }
    }

    fn forget(&mut self) {
        self.from = None;
        self.to.clear();
    }

    async fn auth(&mut self, rest: &str) -> Result<()> {
        if !rest.contains(' ') {
            self.say("334 ").await?;
            self.lines.line().await?;
        }
        match self.persona {
            Persona::DeniesLogins => self.say("535 5.7.8 user name or password is wrong").await,
            _ => self.say("235 2.7.0 welcome").await,
        }
    }

    async fn rcpt(&mut self, to: String) -> Result<()> {
        let Some(from) = self.from.clone() else {
            return self.say("503 5.5.1 MAIL comes first").await;
        };
        let refusal = match self.persona {
            Persona::KnowsNobody => Some("550 5.1.1 no such user here"),
            Persona::Full => Some("452 4.2.2 the mailbox is full"),
            Persona::Greylisting(wait) => {
                let now = self.env.now().instant;
                let first = *self.taken.memory().seen.entry((from, to.clone())).or_insert(now);
                (now < first.after(wait)).then_some("450 4.7.1 come again later")
            }
            _ => None,
        };
        if let Some(refusal) = refusal {
            return self.say(refusal).await;
        }
        self.to.push(to);
        self.say("250 2.1.5 OK").await
    }

    /// To the final dot.
    async fn text(&mut self) -> Result<String> {
        let mut text = String::new();
        loop {
            let line = self.lines.line().await?;
            if line == ".\r\n" {
                return Ok(text);
            }
            text.push_str(line.strip_prefix('.').unwrap_or(&line));
        }
    }

    /// Whether it stays.
    async fn judge(&mut self, text: String) -> Result<bool> {
        let refusal = match self.persona {
            Persona::Small(size) if text.len() > size => Some("552 5.3.4 too large"),
            Persona::RefusesContent => Some("554 5.7.1 not that"),
            _ => None,
        };
        if let Some(refusal) = refusal {
            self.forget();
            self.say(refusal).await?;
            return Ok(true);
        }
        let message = Message {
            from: self.from.take().unwrap_or_default(),
            to: std::mem::take(&mut self.to),
            text,
        };
        let hangs_up = {
            let mut memory = self.taken.memory();
            memory.messages.push(message);
            self.persona == Persona::HangsUpOnce && !std::mem::replace(&mut memory.hung_up, true)
        };
        if !hangs_up {
            self.say("250 2.0.0 taken").await?;
        }
        Ok(!hangs_up)
    }
}

/// `FROM:<path> …` without its brackets.
fn path(rest: &str) -> String {
    let (_, path) = rest.split_once('<').unwrap_or_default();
    path.split('>').next().unwrap_or_default().to_string()
}
