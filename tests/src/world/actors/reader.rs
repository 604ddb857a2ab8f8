//! A client at its mailboxes: one change at a time, and a look after each that ended unknown.

use std::collections::BTreeMap;
use std::io::{Error, ErrorKind, Result};
use std::net::SocketAddr;
use std::time::Duration;

use super::sender::{self, Letter};
use super::{pass, within};
use crate::client::Lines;
use crate::client::imap::{Imap, Response};
use crate::rng::Rng;
use crate::sim::SimEnv;
use crate::sim::server::PASSWORD;
use crate::sim::tls::Stream;
use crate::world::mailbox::{Change, DELETED, FLAGS, Found, Mail, Mailbox, OWN, is_delivered_to};
use crate::world::model::{account, hash_of, home, server_ip};
use crate::world::transition::{Act, How};
use crate::world::{Ctx, check};

/// Patience with one change, with all that belongs to it.
const PATIENCE: Duration = Duration::from_secs(300);
/// After a connection that was lost: what the server has begun has ended by then, if its disk works.
const SETTLES: Duration = Duration::from_secs(20);

/// A client.
pub struct Reader {
    ctx: Ctx,
    env: SimEnv,
    client: usize,
    session: Option<Session>,
    /// What is known of contents: by mailbox, UIDVALIDITY and UID.
    known: Known,
}

/// The hashes of contents.
type Known = BTreeMap<(String, u32, u32), u64>;

/// The mailboxes that were made with the account have one UIDVALIDITY, and keep their names; all others have one of their own.
fn key(name: &str, uid_validity: u32, uid: u32) -> (String, u32, u32) {
    let own = OWN[1..].contains(&name);
    (if own { String::new() } else { name.to_owned() }, uid_validity, uid)
}

struct Session {
    imap: Imap<Stream>,
    selected: Option<String>,
}

impl Reader {
    /// A client that has done nothing yet.
    pub fn new(ctx: &Ctx, env: &SimEnv, client: usize) -> Reader {
        Reader {
            ctx: ctx.clone(),
            env: env.clone(),
            client,
            session: None,
            known: BTreeMap::new(),
        }
    }

    /// Does something; whatever comes of it, the model knows.
    pub async fn act(&mut self, act: Act) {
        if self.in_doubt() {
            self.settle().await;
            if self.look_within(false).await.is_err() || self.in_doubt() {
                return self.lose();
            }
        }
        let env = self.env.clone();
        let done = within(&env, PATIENCE, self.try_to(act)).await;
        if done.is_err() {
            self.lose();
            let unknown = u64::from(self.in_doubt());
            self.ctx.with(|inner| inner.counters.changes_unknown += unknown);
        }
    }

    /// Goes away.
    pub async fn leave(&mut self) {
        if let Some(mut session) = self.session.take() {
            let env = self.env.clone();
            let _ = within(&env, Duration::from_secs(30), session.imap.command("LOGOUT")).await;
        }
    }

    fn in_doubt(&self) -> bool {
        self.ctx.with(|inner| inner.model.accounts[self.client].doubt.is_some())
    }

    /// The connection is lost, in both directions: what has not been read will not be.
    fn lose(&mut self) {
        if let Some(session) = self.session.take() {
            session.imap.lines.stream().abort();
        }
    }

    /// Until nothing of what was begun can still come.
    async fn settle(&mut self) {
        let server = home(self.client);
        loop {
            while self.ctx.with(|inner| inner.houses[server].stalls > 0) {
                pass(&self.env, Duration::from_secs(1)).await;
            }
            let stalled = self.ctx.with(|inner| inner.houses[server].stalled);
            pass(&self.env, SETTLES).await;
            if self.ctx.with(|inner| inner.houses[server].stalled == stalled) {
                return;
            }
        }
    }

    /// Looks at everything; `whole`: at all mailboxes, and all contents again.
    pub async fn look_within(&mut self, whole: bool) -> Result<()> {
        let env = self.env.clone();
        let looked = within(&env, PATIENCE, self.look(whole)).await;
        if looked.is_err() {
            self.lose();
        }
        looked
    }

    async fn session(&mut self) -> Result<&mut Session> {
        if self.session.is_none() {
            let imap = log_in(&self.env, self.client).await?;
            self.session = Some(Session { imap, selected: None });
        }
        Ok(self.session.as_mut().expect("made just now"))
    }

    async fn select(&mut self, name: &str) -> Result<()> {
        // Anew each time: of a message that only another session was told of, this one may not know yet.
        let session = self.session().await?;
        session.selected = None;
        let (_, tagged) = session.imap.command(&format!("SELECT {name}")).await?;
        ok(&tagged)?;
        session.selected = Some(name.to_owned());
        Ok(())
    }

    /// Sends a change: from its first octet on it is in doubt, until the server has said how it ended.
    async fn change(&mut self, change: Change, text: &str) -> Result<bool> {
        let client = self.client;
        let ctx = self.ctx.clone();
        let session = self.session().await?;
        ctx.with(|inner| inner.model.accounts[client].doubt = Some(change.clone()));
        let (_, tagged) = session.imap.command(text).await?;
        let done = tagged.starts_with("OK");
        ctx.with(|inner| match done {
            true => inner.model.accounts[client].done(&change),
            false => inner.model.accounts[client].doubt = None, // refused: nothing of it was done
        });
        ctx.with(|inner| match done {
            true => inner.counters.changes += 1,
            false => inner.counters.changes_refused += 1,
        });
        Ok(done)
    }

    async fn try_to(&mut self, act: Act) -> Result<()> {
        match act {
            Act::Look => return self.look(false).await,
            Act::Flag { how, flags, pick } => {
                let Some((mailbox, uids)) = self.pick(pick) else {
                    return Ok(());
                };
                self.select(&mailbox).await?;
                let sign = match how {
                    How::Add => "+",
                    How::Remove => "-",
                    How::Replace => "",
                };
                let text = format!("UID STORE {} {sign}FLAGS ({})", set(&uids), names(flags));
                let change = Change::Flag {
                    mailbox,
                    uids,
                    how,
                    flags,
                };
                self.change(change, &text).await?;
            }
            Act::Copy { to, pick } | Act::Move { to, pick } => {
                let moves = matches!(act, Act::Move { .. });
                let Some((from, uids)) = self.pick(pick) else { return Ok(()) };
                if from == OWN[to] || !self.is_there(OWN[to]) {
                    return Ok(());
                }
                self.select(&from).await?;
                let verb = if moves { "MOVE" } else { "COPY" };
                let text = format!("UID {verb} {} {}", set(&uids), OWN[to]);
                let change = Change::Transfer {
                    from,
                    to: OWN[to].to_owned(),
                    uids,
                    moves,
                };
                self.change(change, &text).await?;
            }
            Act::Expunge { pick } => {
                let Some((mailbox, uids)) = self.pick(pick) else {
                    return Ok(());
                };
                self.select(&mailbox).await?;
                let deleted = Change::Flag {
                    mailbox: mailbox.clone(),
                    uids: uids.clone(),
                    how: How::Add,
                    flags: DELETED,
                };
                let text = format!("UID STORE {} +FLAGS.SILENT ({})", set(&uids), names(DELETED));
                if self.change(deleted, &text).await? {
                    let text = format!("UID EXPUNGE {}", set(&uids));
                    self.change(Change::Expunge { mailbox, uids }, &text).await?;
                }
            }
            Act::Append { to, text } => return self.append(OWN[to], text).await,
            Act::Create(number) => {
                if number > 0 && !self.is_there(OWN[number]) {
                    let name = OWN[number];
                    self.change(Change::Create(name.into()), &format!("CREATE {name}")).await?;
                }
            }
            Act::Delete(number) => {
                if number > 0 && self.is_there(OWN[number]) {
                    self.deselect(OWN[number]).await?;
                    let name = OWN[number];
                    self.change(Change::Delete(name.into()), &format!("DELETE {name}")).await?;
                }
            }
            Act::Rename(from, to) => {
                let (old, new) = (OWN[from], OWN[to]);
                // A name that goes below itself is another matter.
                let apart = from > 0 && to > 0 && from < 3 && to < 3 && from != to;
                if apart && self.is_there(old) && !self.is_there(new) {
                    self.deselect(old).await?;
                    self.change(Change::Rename(old.into(), new.into()), &format!("RENAME {old} {new}"))
                        .await?;
                }
            }
        }
        Ok(())
    }

    async fn deselect(&mut self, name: &str) -> Result<()> {
        let session = self.session().await?;
        if session.selected.as_deref() == Some(name) {
            session.selected = None;
            session.imap.command("UNSELECT").await?;
        }
        Ok(())
    }

    async fn append(&mut self, name: &str, text: crate::world::transition::Text) -> Result<()> {
        if !self.is_there(name) {
            return Ok(());
        }
        let (client, ctx) = (self.client, self.ctx.clone());
        let number = ctx.with(|inner| {
            inner.appended += 1;
            inner.appended
        });
        let letter = Letter {
            client: Some(client),
            null: false,
            to: Vec::new(),
            text,
            smuggled: None,
        };
        // Not a message of the model: it has no recipients.
        let bytes = String::from_utf8(sender::message(number, &letter)).expect("it is text");
        let bytes = bytes.replace("Message-ID: <m", "Message-ID: <a").into_bytes();
        let mail = Mail {
            hash: hash_of(&bytes),
            flags: 0,
        };
        let change = |at| Change::Append {
            mailbox: name.to_owned(),
            mail,
            at,
        };
        let session = self.session().await?;
        ctx.with(|inner| inner.model.accounts[client].doubt = Some(change(None)));
        let tagged = session.imap.append(name, &bytes).await?;
        ctx.with(|inner| {
            let account = &mut inner.model.accounts[client];
            match tagged.starts_with("OK") {
                true => account.done(&change(append_uid(&tagged))),
                false => account.doubt = None,
            }
        });
        Ok(())
    }

    fn is_there(&self, name: &str) -> bool {
        self.ctx
            .with(|inner| inner.model.accounts[self.client].boxes.contains_key(name))
    }

    /// Some messages of a mailbox of its own that has some.
    fn pick(&self, pick: u64) -> Option<(String, Vec<u32>)> {
        let mut rng = Rng::new(pick);
        self.ctx.with(|inner| {
            let boxes = &inner.model.accounts[self.client].boxes;
            let full: Vec<(&String, &Mailbox)> = boxes
                .iter()
                .filter(|(name, mailbox)| OWN.contains(&name.as_str()) && !mailbox.mails.is_empty())
                .collect();
            let (name, mailbox) = *full.get(rng.index(full.len().max(1)))?;
            let all: Vec<u32> = mailbox.mails.keys().copied().collect();
            let from = rng.index(all.len());
            let count = 1 + rng.index(3);
            Some((name.clone(), all.into_iter().skip(from).take(count).collect()))
        })
    }

    async fn look(&mut self, whole: bool) -> Result<()> {
        let (client, ctx) = (self.client, self.ctx.clone());
        let base = ctx.with(|inner| inner.model.accounts[client].boxes.clone());
        let mut known = self.known.clone();
        let session = self.session().await?;
        let looked = look(&ctx, session, client, whole, &mut known).await;
        let found = looked?;
        self.known = known; // of a look that failed nothing is known
        check::look_behind(&ctx, client).await;
        ctx.with(|inner| {
            inner.counters.looks += 1;
            let model = &mut inner.model;
            match model.accounts[client].look(&base, &found.boxes) {
                Err(why) => model.breaks(format!("client {client}: {why}")),
                Ok(arrived) => {
                    for (name, uid) in arrived {
                        let validity = found.boxes[&name].uid_validity;
                        match found.contents.get(&(name.clone(), uid)) {
                            Some(bytes) => model.arrived(client, &name, (validity, uid), bytes),
                            None => model.breaks(format!("client {client}: UID {uid} of {name} was known, and is new")),
                        }
                    }
                }
            }
        });
        Ok(())
    }
}

/// What a look brought home.
struct Looked {
    boxes: BTreeMap<String, Found>,
    /// Contents that were not known before.
    contents: BTreeMap<(String, u32), Vec<u8>>,
}

async fn look(ctx: &Ctx, session: &mut Session, client: usize, whole: bool, known: &mut Known) -> Result<Looked> {
    let mut looked = Looked {
        boxes: BTreeMap::new(),
        contents: BTreeMap::new(),
    };
    let (listed, tagged) = session.imap.command("LIST \"\" \"*\"").await?;
    ok(&tagged)?;
    for name in listed.iter().filter_map(listed_name) {
        if !(whole || OWN.contains(&name) || is_delivered_to(name)) {
            continue;
        }
        session.selected = None;
        let (untagged, tagged) = session.imap.command(&format!("SELECT {name}")).await?;
        ok(&tagged)?;
        session.selected = Some(name.to_owned());
        let mut found = Found {
            uid_validity: number_in(&untagged, "[UIDVALIDITY ").unwrap_or(0),
            uid_next: number_in(&untagged, "[UIDNEXT ").unwrap_or(0),
            mails: BTreeMap::new(),
        };
        let flags = |response: &Response| Some((number_behind(&response.text, "UID ")?, flags_of(&response.text)?));
        let mut all = BTreeMap::new();
        if !untagged.iter().any(|response| response.text == "* 0 EXISTS") {
            let (rows, tagged) = session.imap.command("UID FETCH 1:* (FLAGS)").await?;
            ok(&tagged)?;
            all.extend(rows.iter().filter_map(flags));
        }
        let unknown: Vec<u32> = all
            .keys()
            .copied()
            .filter(|uid| whole || !known.contains_key(&key(name, found.uid_validity, *uid)))
            .collect();
        for some in unknown.chunks(20) {
            let (bodies, tagged) = session.imap.command(&format!("UID FETCH {} BODY.PEEK[]", set(some))).await?;
            ok(&tagged)?;
            for body in bodies {
                let (Some(uid), Some(bytes)) = (number_behind(&body.text, "UID "), body.literals.into_iter().next()) else {
                    continue;
                };
                let hash = hash_of(&bytes);
                let before = known.insert(key(name, found.uid_validity, uid), hash);
                if before.is_some_and(|before| before != hash) {
                    ctx.with(|inner| {
                        inner.model.breaks(format!(
                            "R1, R10: client {client}: UID {uid} of {name} has other bytes than before"
                        ));
                    });
                }
                looked.contents.insert((name.to_owned(), uid), bytes);
            }
        }
        for (uid, flags) in all {
            let hash = known.get(&key(name, found.uid_validity, uid)).copied();
            let hash = hash.ok_or_else(|| Error::new(ErrorKind::InvalidData, "a body did not come"))?;
            found.mails.insert(uid, Mail { hash, flags });
        }
        if let Some(last) = found.mails.keys().next_back() {
            found.uid_next = found.uid_next.max(last + 1);
        }
        looked.boxes.insert(name.to_owned(), found);
    }
    Ok(looked)
}

/// A session that is logged in.
pub async fn log_in(env: &SimEnv, client: usize) -> Result<Imap<Stream>> {
    let stream = sender::connect(env, SocketAddr::new(server_ip(home(client)), 143)).await?;
    let mut imap = Imap::over(Lines::new(stream));
    let greeting = imap.response().await?;
    ok(greeting.text.strip_prefix("* ").unwrap_or_default())?;
    let (_, tagged) = imap.command(&format!("LOGIN {} \"{PASSWORD}\"", account(client))).await?;
    ok(&tagged)?;
    Ok(imap)
}

/// An answer that is OK.
pub fn ok(tagged: &str) -> Result<()> {
    match tagged.starts_with("OK") {
        true => Ok(()),
        false => Err(Error::other(tagged.to_owned())),
    }
}

/// The name in a LIST response, unless it is no mailbox.
fn listed_name(response: &Response) -> Option<&str> {
    let rest = response.text.strip_prefix("* LIST (")?;
    let (attributes, rest) = rest.split_once(") ")?;
    let name = rest.split_once(' ')?.1.trim_matches('"');
    let absent = ["\\NonExistent", "\\Noselect"];
    (!attributes
        .split(' ')
        .any(|one| absent.iter().any(|absent| absent.eq_ignore_ascii_case(one))))
    .then_some(name)
}

pub(super) fn number_in(responses: &[Response], before: &str) -> Option<u32> {
    responses.iter().find_map(|response| number_behind(&response.text, before))
}

pub(super) fn number_behind(text: &str, before: &str) -> Option<u32> {
    let at = text.find(before)? + before.len();
    let digits: String = text[at..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().ok()
}

fn append_uid(tagged: &str) -> Option<(u32, u32)> {
    let validity = number_behind(tagged, "[APPENDUID ")?;
    let uid = number_behind(tagged, &format!("[APPENDUID {validity} "))?;
    Some((validity, uid))
}

fn flags_of(text: &str) -> Option<u8> {
    let at = text.find("FLAGS (")? + "FLAGS (".len();
    let names = text[at..].split(')').next()?;
    let bit = |name: &str| FLAGS.iter().position(|flag| flag.eq_ignore_ascii_case(name));
    Some(names.split(' ').filter_map(bit).fold(0, |bits, bit| bits | 1 << bit))
}

fn names(flags: u8) -> String {
    let set = (0..FLAGS.len()).filter(|bit| flags & 1 << bit != 0);
    set.map(|bit| FLAGS[bit]).collect::<Vec<_>>().join(" ")
}

pub(super) fn set(uids: &[u32]) -> String {
    uids.iter().map(u32::to_string).collect::<Vec<_>>().join(",")
}
