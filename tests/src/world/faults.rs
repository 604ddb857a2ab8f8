//! What breaks, and how it is mended.

use std::net::IpAddr;
use std::time::Duration;

use async_channel::{Receiver, Sender};
use futures_lite::future;
use pillarbox::env::Env;
use pillarbox_core::store::disk::{DiskError, DiskOp};

use super::actors::idler::Witness;
use super::actors::{dns, pass};
use super::model::{client_ip, foreign_ip, home, server_ip};
use super::transition::{CLIENTS, DnsMood, Fault, Moment, Place, Request};
use super::{Ctx, check, house};
use crate::disk::{Fault as DiskFault, When};
use crate::sim::{DiskSpeed, Ended, Network, SimEnv};

/// How often a keeper looks whether its server still runs.
const WATCH: Duration = Duration::from_secs(2);
/// How long a watcher watches.
const WATCHES: Duration = Duration::from_secs(30);
/// The point at which a committer's queue is full ([`pillarbox::env::Env::buggify`]).
pub const QUEUE_FULL: &str = "the store's queue is full";

/// Starts a server, and keeps it up: who ends is started again, after the time that the fault says.
pub fn begin(ctx: &Ctx, server: usize) {
    start(ctx, server);
    let env = ctx.nodes.client();
    let (ctx, task) = (ctx.clone(), env.clone());
    env.spawn("keeper", async move {
        loop {
            // Days pass in the end.
            let calm = ctx.with(|inner| inner.calm);
            pass(&task, if calm { 30 * WATCH } else { WATCH }).await;
            if ctx.nodes.ended(server_ip(server)).is_some() {
                revive(&ctx, &task, server).await;
            }
        }
    });
}

/// Starts a server that has ended, once it has been down long enough.
async fn revive(ctx: &Ctx, env: &SimEnv, server: usize) {
    let ip = server_ip(server);
    if let Some(Ended::Exit(code, why)) = ctx.nodes.ended(ip) {
        let (failed, filled) = ctx.nodes.disk(ip, |disk| (disk.failed(), disk.filled()));
        ctx.with(|inner| {
            inner.counters.fail_stops += 1;
            // A store that is made for the first time needs room.
            let no_room = filled > 0 && why.contains("the new store cannot be read: the disk is full");
            let panicked = why.contains("panicked");
            if panicked || failed == inner.houses[server].failed && !no_room {
                inner.model.breaks(format!(
                    "R6: server {server} ended itself with code {code}, and no disk had failed: {why}"
                ));
            }
        });
    }
    let down = ctx.with(|inner| std::mem::take(&mut inner.houses[server].down));
    pass(env, down).await;
    if ctx.nodes.ended(ip).is_some() {
        start(ctx, server);
    }
}

/// Starts a server at once.
pub fn start(ctx: &Ctx, server: usize) {
    let ip = server_ip(server);
    let failed = ctx.nodes.disk(ip, |disk| disk.failed());
    let looks = ctx.clone();
    let life = house::start(&ctx.nodes, server, move |life, accounts| {
        let ids = house::account_ids();
        looks.with(|inner| {
            for (id, mailboxes) in accounts {
                let client = ids.iter().find(|(_, known)| **known == id).map(|(client, _)| *client);
                check::published(inner, client.expect("an account of a client"), life, mailboxes);
            }
        });
    });
    let ambush = ctx.with(|inner| {
        let house = &mut inner.houses[server];
        house.failed = failed;
        house.life = Some(life);
        house.ambush.take()
    });
    if let Some(request) = ambush {
        fuse(ctx, server, Moment::Any(request), None);
    }
}

/// Breaks something.
pub fn inject(ctx: &Ctx, env: &SimEnv, fault: Fault, over: Sender<()>) {
    let now = env.now().instant.0;
    let span = |places: Vec<IpAddr>, time: Duration| {
        let until = now + time.as_nanos() as u64;
        ctx.with(|inner| inner.spans.push((now, until, places)));
    };
    if let Fault::Full(server, time) | Fault::Slow(server, time) = fault {
        let until = now + time.as_nanos() as u64;
        ctx.with(|inner| inner.held_up.push((now, until, server_ip(server))));
    }
    match fault {
        Fault::Kill(server, down) => {
            span(vec![server_ip(server)], down);
            if ctx.nodes.ended(server_ip(server)).is_none() {
                ctx.with(|inner| {
                    inner.counters.kills += 1;
                    inner.houses[server].down = down;
                });
                ctx.nodes.kill(server_ip(server));
            }
        }
        Fault::PowerLoss(server, down) => {
            span(vec![server_ip(server)], down);
            power_loss(ctx, server, down);
        }
        Fault::PowerLossAt(server, moment, down) => {
            span(vec![server_ip(server)], down);
            match moment {
                Moment::InRecovery(request) => {
                    ctx.with(|inner| inner.houses[server].ambush = Some(request));
                    power_loss(ctx, server, down);
                }
                Moment::Unsynced(_) => {
                    ctx.with(|inner| inner.houses[server].down = down);
                    let (written, writes) = async_channel::unbounded();
                    fuse(ctx, server, moment, Some(written));
                    watch(ctx, env, server, writes, over);
                }
                Moment::Any(_) | Moment::Written(_) | Moment::Synced(_) => {
                    ctx.with(|inner| inner.houses[server].down = down);
                    fuse(ctx, server, moment, None);
                }
            }
        }
        Fault::Cut(one, other, time) => {
            let (one, other) = (ip(one), ip(other));
            span(vec![one, other], time);
            ctx.with(|inner| inner.counters.cuts += 1);
            ctx.nodes.cut(one, other);
            let nodes = ctx.nodes.clone();
            mend(env, time, over, move || nodes.join(one, other));
        }
        Fault::Delay(time) => {
            span(Vec::new(), time);
            ctx.with(|inner| inner.counters.delays += 1);
            let latency = Duration::from_millis(100)..Duration::from_secs(2);
            ctx.nodes.change_network(|network| network.latency = latency);
            let nodes = ctx.nodes.clone();
            mend(env, time, over, move || {
                nodes.change_network(|network| network.latency = Network::default().latency);
            });
        }
        Fault::Resets(per_million, time) => {
            span(Vec::new(), time);
            ctx.nodes.change_network(|network| network.resets_per_million = per_million);
            let nodes = ctx.nodes.clone();
            mend(env, time, over, move || {
                nodes.change_network(|network| network.resets_per_million = 0)
            });
        }
        Fault::Loss(percent, time) => {
            span(Vec::new(), time);
            ctx.nodes.change_network(|network| network.datagrams_lost_percent = percent);
            let nodes = ctx.nodes.clone();
            mend(env, time, over, move || {
                nodes.change_network(|network| network.datagrams_lost_percent = 0);
            });
        }
        Fault::Eio(server, request) => {
            span(vec![server_ip(server)], Duration::from_secs(60));
            eio(ctx, server, request);
        }
        Fault::Full(server, time) => {
            span(vec![server_ip(server)], time);
            stall(ctx, server);
            ctx.nodes.disk(server_ip(server), |disk| {
                let used = disk.used();
                disk.set_capacity(used + 700);
            });
            let ctx = ctx.clone();
            mend(env, time, over, move || {
                ctx.nodes.disk(server_ip(server), |disk| disk.set_capacity(house::DISK));
                ctx.with(|inner| inner.houses[server].stalls -= 1);
            });
        }
        Fault::Slow(server, time) => {
            span(vec![server_ip(server)], time);
            stall(ctx, server);
            ctx.with(|inner| inner.counters.slow_disks += 1);
            let speed = DiskSpeed {
                sync: Duration::from_millis(50)..Duration::from_secs(1),
                other: Duration::from_micros(500)..Duration::from_millis(30),
                cached: 5,
            };
            ctx.nodes.set_speed(server_ip(server), speed);
            let ctx = ctx.clone();
            mend(env, time, over, move || {
                ctx.nodes.set_speed(server_ip(server), DiskSpeed::default());
                ctx.with(|inner| inner.houses[server].stalls -= 1);
            });
        }
        Fault::ClockJump(server, seconds) => {
            span(vec![server_ip(server)], Duration::ZERO);
            ctx.with(|inner| inner.counters.clock_jumps += 1);
            ctx.nodes.jump_clock(server_ip(server), seconds * 1000);
        }
        Fault::QueueFull(server, time) => {
            span(vec![server_ip(server)], time);
            ctx.nodes.force(server_ip(server), QUEUE_FULL, true);
            let nodes = ctx.nodes.clone();
            mend(env, time, over, move || nodes.force(server_ip(server), QUEUE_FULL, false));
        }
        Fault::Dns(mood, time) => {
            span(vec![dns::ip()], time);
            ctx.with(|inner| inner.dns = mood);
            let ctx = ctx.clone();
            mend(env, time, over, move || ctx.with(|inner| inner.dns = DnsMood::Sound));
        }
    }
}

fn ip(place: Place) -> IpAddr {
    match place {
        Place::Server(server) => server_ip(server),
        Place::Foreign(foreign) => foreign_ip(foreign),
        Place::Client(client) => client_ip(client),
        Place::Dns => dns::ip(),
    }
}

/// Mends something after its time. Who waits for the end of all waits for this, too.
fn mend(env: &SimEnv, time: Duration, over: Sender<()>, mended: impl FnOnce() + Send + 'static) {
    let task = env.clone();
    env.spawn("mending", async move {
        pass(&task, time).await;
        mended();
        drop(over);
    });
}

fn stall(ctx: &Ctx, server: usize) {
    ctx.with(|inner| {
        inner.houses[server].stalls += 1;
        inner.houses[server].stalled += 1;
    });
}

fn power_loss(ctx: &Ctx, server: usize, down: Duration) {
    if ctx.nodes.ended(server_ip(server)).is_some() {
        return;
    }
    ctx.with(|inner| {
        inner.counters.power_losses += 1;
        inner.counters.in_recovery += u64::from(!inner.houses[server].life.as_ref().is_some_and(house::Life::is_ready));
        inner.houses[server].down = down;
    });
    ctx.nodes.power_loss(server_ip(server));
}

/// The power goes behind a request that is still to come. Who wants to know is told of batches that have been written before that.
fn fuse(ctx: &Ctx, server: usize, moment: Moment, tell: Option<Sender<()>>) {
    let noted = ctx.clone();
    let mut left = match moment {
        Moment::Any(left)
        | Moment::Written(left)
        | Moment::Unsynced(left)
        | Moment::Synced(left)
        | Moment::InRecovery(left) => left,
    };
    let blows = move |op: &DiskOp| {
        let (written, synced) = (is_batch_write(op), is_batch_sync(op));
        if let Some(tell) = tell.as_ref().filter(|_| written) {
            let _ = tell.try_send(()); // nobody may care any more
        }
        let counts = match moment {
            Moment::Any(_) | Moment::InRecovery(_) => true,
            Moment::Written(_) => written,
            Moment::Synced(_) | Moment::Unsynced(_) => synced,
        };
        if !counts || left > 0 {
            left -= u64::from(counts);
            return false;
        }
        noted.with(|inner| {
            let ready = inner.houses[server].life.as_ref().is_some_and(house::Life::is_ready);
            let counters = &mut inner.counters;
            counters.power_losses += 1;
            counters.at_request += 1;
            let unsynced = synced && matches!(moment, Moment::Unsynced(_));
            counters.between_write_and_sync += u64::from(ready && (written || unsynced));
            counters.between_sync_and_reply += u64::from(ready && synced && !unsynced);
            counters.in_recovery += u64::from(!ready);
        });
        true
    };
    match moment {
        Moment::Unsynced(_) => ctx.nodes.power_loss_before(server_ip(server), blows),
        Moment::Any(_) | Moment::Written(_) | Moment::Synced(_) | Moment::InRecovery(_) => {
            ctx.nodes.power_loss_after(server_ip(server), blows);
        }
    }
}

/// Looks at what a server shows whenever it has written a batch, from behind and as its clients; syncs take their time, so that this is
/// before they are done. Until its power goes, for half a minute at most.
fn watch(ctx: &Ctx, env: &SimEnv, server: usize, writes: Receiver<()>, over: Sender<()>) {
    stall(ctx, server);
    let speed = DiskSpeed {
        sync: Duration::from_millis(100)..Duration::from_millis(400),
        ..DiskSpeed::default()
    };
    ctx.nodes.set_speed(server_ip(server), speed);
    let (ctx, task) = (ctx.clone(), env.clone());
    env.spawn("watcher", async move {
        let clients = (0..CLIENTS).filter(|client| home(*client) == server);
        let mut witnesses: Vec<Witness> = clients.map(|client| Witness::new(&ctx, client)).collect();
        let looks = async {
            loop {
                for witness in &mut witnesses {
                    check::look_behind(&ctx, witness.client()).await;
                    witness.look().await;
                }
                // The fuse has gone with the power, and with it who tells.
                if writes.recv().await.is_err() {
                    break;
                }
            }
        };
        future::or(looks, pass(&task, WATCHES)).await;
        ctx.nodes.set_speed(server_ip(server), DiskSpeed::default());
        ctx.with(|inner| inner.houses[server].stalls -= 1);
        drop(over);
    });
}

fn is_batch_write(op: &DiskOp) -> bool {
    matches!(op, DiskOp::Write { path, .. } if path.0.starts_with("journal/") && !path.0.ends_with("checkpoint"))
}

fn is_batch_sync(op: &DiskOp) -> bool {
    matches!(op, DiskOp::DataSync(path) if path.0.starts_with("journal/") && !path.0.ends_with("checkpoint"))
}

fn eio(ctx: &Ctx, server: usize, request: Request) {
    ctx.nodes.disk(server_ip(server), |disk| {
        let when = match request {
            Request::Any(left) => When::At(disk.performed() + left),
            Request::Journal => When::Each(|op| is_batch_write(op) || is_batch_sync(op)),
            Request::Read => When::Each(|op| matches!(op, DiskOp::Read { .. })),
        };
        disk.add_fault(DiskFault {
            when,
            error: DiskError::Io,
            persistent: false,
        });
    });
}
