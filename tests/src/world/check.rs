//! The end of a world: faults stop, queues drain, everything is read and compared.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use async_channel::Receiver;
use pillarbox::env::Env;
use pillarbox_core::delivery::scheduler::ask::Operation;
use pillarbox_core::limits;
use pillarbox_core::store::queue::RowState;
use pillarbox_core::store::request::Selected;

use super::actors::reader::Reader;
use super::actors::sender::{self, Letter};
use super::actors::{idler, pass};
use super::model::{Copy, Model, QUEUED, Token, Verdict, client_ip, home, server_ip};
use super::transition::{CLIENTS, DnsMood, SERVERS, Text, To};
use super::{Ctx, Inner, faults, house, rot};
use crate::sim::{DiskSpeed, Happened, Network, SimEnv};

/// Clients and faults have ended by then.
const ENDS: Duration = Duration::from_secs(48 * 3600);
/// A server has started by then.
pub const STARTS: Duration = Duration::from_secs(120);
/// What can be delivered is delivered by then: the longest retry, behind the longest rest of a destination.
const DRAINS: Duration = Duration::from_secs(3 * 3600);
/// What cannot is given up by then: three hours, and as far as a clock may have jumped.
const EXPIRES: Duration = Duration::from_secs(6 * 24 * 3600);
/// Who idles is told by then.
const TOLD: Duration = Duration::from_secs(10);

/// What a reply said is on the disk so many nanoseconds after it was read, if nothing holds the record up.
const RECORDED: u64 = 1_000_000_000;
/// If something does: so long behind its end, for a record that was refused is made again only after a while.
const RECORDED_AGAIN: u64 = limits::COMMIT_RETRY.as_nanos() as u64 + RECORDED;

/// Waits for the end of everything, mends what is left, and reads everything.
pub async fn calm(ctx: &Ctx, env: &SimEnv, all_over: Receiver<()>) {
    let ended = futures_lite::future::or(
        async {
            // Nothing is ever sent: it closes.
            let _ = all_over.recv().await;
            true
        },
        async {
            pass(env, ENDS).await;
            false
        },
    );
    if !ended.await {
        return ctx.with(|inner| inner.model.breaks("liveness: a client hangs".into()));
    }
    mend(ctx);
    if !restart(ctx, env).await {
        return;
    }
    for server in 0..SERVERS {
        house::operate(ctx, server, Operation::Release).await;
    }
    if !drain(ctx, env).await {
        return;
    }
    tell_idlers(ctx).await;
    for client in 0..CLIENTS {
        last_look(ctx, client).await;
    }
    for client in 0..CLIENTS {
        look_behind(ctx, client).await;
    }
    if let Some(mut rng) = ctx.with(|inner| inner.rots.take()) {
        rot::rot(ctx, env, &mut rng).await;
    }
}

/// No more faults.
fn mend(ctx: &Ctx) {
    let nodes = &ctx.nodes;
    nodes.heal();
    nodes.set_network(Network::default());
    nodes.set_buggify(0, 0);
    for server in 0..SERVERS {
        let ip = server_ip(server);
        nodes.disk(ip, |disk| {
            disk.clear_faults();
            disk.set_capacity(house::DISK);
        });
        nodes.no_fuse(ip);
        nodes.set_speed(ip, DiskSpeed::default());
        nodes.force(ip, faults::QUEUE_FULL, false);
        let ahead = nodes.clock(ip);
        nodes.jump_clock(ip, -ahead);
    }
    ctx.with(|inner| {
        inner.calm = true;
        inner.dns = DnsMood::Sound;
        inner.houses.iter_mut().for_each(|house| house.ambush = None);
    });
}

/// Every server once more: what it knows is what its disk has.
async fn restart(ctx: &Ctx, env: &SimEnv) -> bool {
    for server in 0..SERVERS {
        match server % 2 {
            0 => ctx.nodes.power_loss(server_ip(server)),
            _ => ctx.nodes.kill(server_ip(server)),
        }
    }
    pass(env, STARTS).await;
    let slow = ctx.with(|inner| {
        let is_ready = |house: &super::House| house.life.as_ref().is_some_and(house::Life::is_ready);
        inner.houses.iter().position(|house| !is_ready(house))
    });
    if let Some(server) = slow {
        ctx.with(|inner| inner.model.breaks(format!("R6: server {server} does not start")));
    }
    slow.is_none()
}

/// Until the queues are empty.
async fn drain(ctx: &Ctx, env: &SimEnv) -> bool {
    let began = env.now().instant;
    let mut wait = Duration::from_secs(60);
    loop {
        let mut open = Vec::new();
        for server in 0..SERVERS {
            let Some(life) = ctx.with(|inner| inner.houses[server].life.clone()) else {
                return false;
            };
            let Some(queue) = life.queue().await else {
                ctx.with(|inner| {
                    inner
                        .model
                        .breaks(format!("R6: server {server} ended although nothing is broken"))
                });
                return false;
            };
            for message in queue {
                let rows = message.rows.iter().zip(&message.entered.recipients);
                for (_, recipient) in rows.filter(|(row, _)| !matches!(row.state, RowState::Relayed | RowState::Failed)) {
                    open.push(format!(
                        "server {server}: {} to {}",
                        message.entered.message, recipient.address
                    ));
                }
            }
        }
        if open.is_empty() {
            return true;
        }
        let time = env.now().instant.since(began);
        let dead = To::Dead.address();
        let live = open.iter().find(|row| !row.ends_with(&dead));
        if let Some(row) = live.filter(|_| time > DRAINS).or(open.first().filter(|_| time > EXPIRES)) {
            let text = format!("liveness: after {} s without a fault still queued: {row}", time.as_secs());
            ctx.with(|inner| inner.model.breaks(text));
            return false;
        }
        pass(env, wait).await;
        wait = (wait * 2).min(Duration::from_secs(1800));
    }
}

/// Whoever idles is told of a message that is acknowledged now.
async fn tell_idlers(ctx: &Ctx) {
    for client in 0..CLIENTS {
        let env = ctx.nodes.client_at(21 + client as u8, "");
        let outside = ctx.nodes.client_at(31, "");
        let letter = Letter {
            client: None,
            null: false,
            to: vec![To::Client(client)],
            text: Text {
                lines: 1,
                dots: false,
                chunks: false,
                tls: false,
                hangs_up: false,
            },
            smuggled: None,
        };
        let told = idler::is_told(&env, client, TOLD, sender::send(ctx, &outside, &letter)).await;
        if !matches!(told, Ok(true)) {
            let text = format!("liveness: client {client} idles, and is told nothing of a new message: {told:?}");
            ctx.with(|inner| inner.model.breaks(text));
        }
    }
}

async fn last_look(ctx: &Ctx, client: usize) {
    let env = ctx.nodes.client_at(21 + client as u8, "");
    let mut reader = Reader::new(ctx, &env, client);
    if let Err(error) = reader.look_within(true).await {
        let text = format!("client {client} cannot read its mailboxes although nothing is broken: {error}");
        ctx.with(|inner| inner.model.breaks(text));
    }
    reader.leave().await;
}

/// What the store has published of an account's mailboxes: MODSEQ (R3).
pub async fn look_behind(ctx: &Ctx, client: usize) {
    let Some(life) = ctx.with(|inner| inner.houses[home(client)].life.clone()) else {
        return;
    };
    if !life.is_ready() {
        return;
    }
    let Some(mailboxes) = life.mailboxes(house::account_ids()[&client]).await else {
        return;
    };
    ctx.with(|inner| published(inner, client, &life, mailboxes));
}

/// Compares what a store has published of an account with what it had published before, in this life or another.
pub fn published(inner: &mut Inner, client: usize, life: &house::Life, mailboxes: Vec<(String, Selected)>) {
    for (name, selected) in mailboxes {
        let seen = inner.versions.entry((client, selected.mailbox.mailbox)).or_default();
        if let Err(why) = seen.compare(life, &selected.version) {
            inner.model.breaks(format!("client {client}, {name}: {why}"));
        }
        let now = (selected.version.uid_next.0, selected.version.highest_mod_seq.0);
        let said = inner
            .said
            .get(&client)
            .copied()
            .filter(|_| name == "INBOX")
            .unwrap_or_default();
        if now.0 < said.0 || now.1 < said.1 {
            inner.model.breaks(format!(
                "R2, R3: client {client} was told of UIDNEXT and HIGHESTMODSEQ of INBOX {said:?}, and they are {now:?}"
            ));
        }
    }
}

/// Law 6 of every message, and what the world met.
pub fn judge(inner: &mut Inner, happened: &Happened, events: (u64, u64)) {
    count(inner, happened, events);
    if !inner.model.broken.is_empty() {
        return; // what follows from it would hide it
    }
    for (server, reports) in inner.model.nameless_reports.clone() {
        let failed = inner.houses[server].failed_reads;
        if reports > failed {
            inner.model.breaks(format!(
                "R10: {reports} reports of server {server} have nothing of their message, and only {failed} reads failed there"
            ));
        }
    }
    let knew = Knew::new(inner, happened);
    attribute(&mut inner.model, &knew);
    for token in 0..inner.model.messages.len() {
        if let Err(why) = law_6(&inner.model, token, &knew) {
            inner.model.breaks(why);
        }
    }
}

/// Reports that do not say of which message: each is of one that is missing.
fn attribute(model: &mut Model, knew: &Knew) {
    // Those that must have one first.
    for (verdict, arrived) in [
        (Verdict::Taken, false),
        (Verdict::Unknown, false),
        (Verdict::Taken, true),
        (Verdict::Unknown, true),
    ] {
        attribute_to(model, knew, verdict, arrived);
    }
    if let Some(((client, to), _)) = model.nameless.iter().find(|(_, left)| **left > 0) {
        let text =
            format!("law 6: client {client} got a report of a failure to {to:?}, and no message of its is missing there");
        model.broken.push(text);
    }
}

/// To those that did not arrive, or to those that did and whose sender cannot know.
fn attribute_to(model: &mut Model, knew: &Knew, verdict: Verdict, arrived: bool) {
    for (token, message) in model.messages.iter().enumerate() {
        let Some(client) = message.client.filter(|_| message.verdict == verdict) else {
            continue;
        };
        let told = if message.null { home(client) } else { client };
        for to in &message.to {
            let copies = model.copies.get(&(token, *to)).map_or(&[][..], Vec::as_slice);
            let from = server_ip(home(client));
            let unsure = !copies.is_empty() && copies.iter().all(|copy| knew.not(copy, from));
            let may = if arrived { unsure } else { copies.is_empty() } && !model.reports.contains_key(&(token, *to));
            if let Some(left) = model.nameless.get_mut(&(told, *to)).filter(|left| **left > 0 && may) {
                *left -= 1;
                model.reports.insert((token, *to), 1);
            }
        }
    }
}

fn law_6(model: &Model, token: Token, knew: &Knew) -> Result<(), String> {
    let message = &model.messages[token];
    let mut fates = Vec::new();
    for to in &message.to {
        let key = (token, *to);
        let copies = model.copies.get(&key).map_or(&[][..], Vec::as_slice);
        let (reports, delays) = (
            model.reports.get(&key).copied().unwrap_or(0),
            model.delays.get(&key).copied().unwrap_or(0),
        );
        fates.push((*to, copies.len(), reports));
        if reports > 1 || delays > 1 {
            return Err(format!(
                "law 6: of message {token} to {to:?} {reports} failures and {delays} delays were reported"
            ));
        }
        // Each copy but the one that counts needs a reason why its sender could not know.
        let spare = copies.len() - usize::from(reports == 0 && !copies.is_empty());
        // Who handed it in himself, to the server where it stays, sent it once.
        let from = message.client.map(|client| server_ip(home(client)));
        let from = from.filter(|from| to.node() != Some(*from));
        let excused = copies
            .iter()
            .filter(|copy| from.is_some_and(|from| knew.not(copy, from)))
            .count();
        if spare > excused {
            return Err(format!(
                "law 6: message {token} reached {to:?} {} times, {reports} failures were reported, and only of {excused} copies could \
                 the sender not know: {}",
                copies.len(),
                from.map_or_else(String::new, |from| knew.tell(copies, from))
            ));
        }
    }
    let lost = fates.iter().find(|(_, copies, reports)| *copies == 0 && *reports == 0);
    let kept = fates.iter().any(|(_, copies, reports)| *copies > 0 || *reports > 0);
    match (message.verdict, lost) {
        (Verdict::Taken, Some((to, ..))) => Err(format!(
            "law 6: message {token} was taken, and is neither delivered to {to:?}, nor reported, nor queued"
        )),
        (Verdict::Unknown, Some((to, ..))) if kept => Err(format!(
            "R4: message {token} was taken for some, and not for {to:?}: {fates:?}"
        )),
        (Verdict::Begun | Verdict::Refused, _) if kept => {
            Err(format!("R4: message {token} was not taken, and is there: {fates:?}"))
        }
        (_, _) => Ok(()),
    }
}

/// What senders knew of copies.
struct Knew {
    /// Who read the name of which copy, and when.
    heard: BTreeMap<Copy, (IpAddr, u64)>,
    /// When lives ended.
    ends: Vec<(IpAddr, u64)>,
    /// When a record had to wait for a disk, or was refused by a full queue: from, to, where.
    held_up: Vec<(u64, u64, IpAddr)>,
}

impl Knew {
    fn new(inner: &Inner, happened: &Happened) -> Knew {
        let heard = happened.heard.iter().filter_map(|heard| {
            let (_, copy) = heard.line.split_once(QUEUED)?;
            Some((copy.to_owned(), (heard.node, heard.at)))
        });
        let refused = happened.buggified.get(faults::QUEUE_FULL).into_iter().flatten();
        let mut held_up = inner.held_up.clone();
        held_up.extend(refused.map(|(node, at)| (*at, *at, *node)));
        held_up.sort_unstable();
        Knew {
            heard: heard.collect(),
            ends: happened.ends.clone(),
            held_up,
        }
    }

    /// Whether the sender's server cannot know of a copy: it never read the reply, or ended between that and its record of it.
    fn not(&self, copy: &Copy, from: IpAddr) -> bool {
        let Some((_, at)) = self.heard.get(copy).filter(|(who, _)| *who == from) else {
            return true;
        };
        let mut recorded = at + RECORDED;
        for (begun, until, node) in &self.held_up {
            if *node == from && *begun <= recorded {
                recorded = recorded.max(until + RECORDED_AGAIN);
            }
        }
        self.ends
            .iter()
            .any(|(node, end)| *node == from && end >= at && *end <= recorded)
    }

    /// What a sender's server knew of copies, for people.
    fn tell(&self, copies: &[Copy], from: IpAddr) -> String {
        let seconds = |nanos: u64| nanos as f64 / 1e9;
        let one = |copy: &Copy| {
            let Some((_, at)) = self.heard.get(copy) else {
                return format!("{copy}, never read by {from}");
            };
            let end = self.ends.iter().find(|(node, end)| *node == from && end >= at);
            let lived = end.map_or_else(|| "for good".into(), |(_, end)| format!("for {:.6} s", seconds(end - at)));
            format!("{copy}, read by {from} at {:.6} s, which lived on {lived}", seconds(*at))
        };
        copies.iter().map(one).collect::<Vec<_>>().join("; ")
    }
}

fn count(inner: &mut Inner, happened: &Happened, (events, seconds): (u64, u64)) {
    let Inner {
        model, counters, spans, ..
    } = inner;
    counters.seeds = 1;
    counters.events = events;
    counters.resets = happened.resets;
    counters.lost = happened.datagrams_lost;
    let taken = happened.buggified.iter().map(|(point, taken)| (*point, taken.len() as u64));
    counters.buggified = taken.collect();
    counters.queue_full = counters.buggified.get(faults::QUEUE_FULL).copied().unwrap_or(0);
    counters.seconds = seconds;
    let mut of: BTreeMap<Token, (u64, u64)> = BTreeMap::new();
    for ((token, _), copies) in &model.copies {
        of.entry(*token).or_default().0 += copies.len() as u64 - 1;
    }
    for ((token, _), reports) in &model.reports {
        of.entry(*token).or_default().1 += u64::from(*reports);
    }
    for (token, message) in model.messages.iter().enumerate() {
        let (copies, reports) = of.get(&token).copied().unwrap_or_default();
        counters.messages += 1;
        counters.taken += u64::from(matches!(message.verdict, Verdict::Taken | Verdict::Unknown));
        counters.reported += u64::from(reports > 0);
        counters.copies += copies;
        let mut places: Vec<IpAddr> = message.to.iter().filter_map(|to| to.node()).collect();
        places.extend(message.client.map(|client| server_ip(home(client))));
        places.extend(message.client.map(client_ip));
        let touches = |(_, until, nodes): &&(u64, u64, Vec<IpAddr>)| {
            *until >= message.begun && (nodes.is_empty() || nodes.iter().any(|node| places.contains(node)))
        };
        counters.met_a_fault += u64::from(spans.iter().any(|span| touches(&span)));
    }
}
