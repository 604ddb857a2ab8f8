//! Worlds: three servers, their DNS, foreign servers with characters, clients, strict disks and a bad network, in one thread, in virtual
//! time, from one seed, against a model that remembers what everybody was told.
//!
//! A seed draws [transitions](transition): messages, changes of mailboxes, faults. When all have been made, faults end, servers start
//! again, and time passes until the queues are empty. Then everything is read and compared ([`check`]): R1-R5 and R7, R11, and law 6,
//! *delivered, or reported, or still queued: exactly one*. [`shrink`] finds the fewest transitions with which a seed still fails.
//!
//! `cargo run --release -p pillarbox-tests --bin world -- --seeds 20000`

pub mod actors;
pub mod check;
pub mod chosen;
pub mod counters;
pub mod faults;
pub mod house;
pub mod mailbox;
pub mod model;
pub mod shrink;
pub mod transition;
pub mod versions;

use std::any::Any;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_channel::Sender;
use pillarbox::env::Env;
use pillarbox_core::store::MailboxId;

use crate::rng::Rng;
use crate::sim::{Nodes, SimEnv, World};
use actors::foreign::CHARACTERS;
use actors::reader::Reader;
use actors::sender::{self, Letter};
use actors::{dns, foreign, idler, pass};
use counters::Counters;
use house::Life;
use model::Model;
use transition::{Act, CLIENTS, DnsMood, FOREIGN, SERVERS, To, Transition, What};

/// What all tasks of a world share.
#[derive(Clone)]
pub struct Ctx {
    /// The world from inside.
    pub nodes: Nodes,
    inner: Arc<Mutex<Inner>>,
}

/// See [`Ctx`].
pub struct Inner {
    /// What must be.
    pub model: Model,
    /// What was met.
    pub counters: Counters,
    /// The servers.
    pub houses: Vec<House>,
    /// Faults so far: from, to, where. Without a place: everywhere.
    pub spans: Vec<(u64, u64, Vec<IpAddr>)>,
    /// How the DNS behaves.
    pub dns: DnsMood,
    /// No more faults: everybody behaves.
    pub calm: bool,
    /// When a greylist saw somebody first.
    pub greylist: BTreeMap<(usize, Option<String>, To), u64>,
    /// Messages that were appended so far.
    pub appended: usize,
    /// What stores published last.
    pub versions: BTreeMap<(usize, MailboxId), versions::Seen>,
    /// When the clocks of servers jumped: then, and so many milliseconds ahead from then on.
    pub clocks: Vec<Vec<(u64, i64)>>,
}

/// A server as the world sees it.
#[derive(Default)]
pub struct House {
    /// Its process, if it was started.
    pub life: Option<Life>,
    /// How long it stays down after its end.
    pub down: Duration,
    /// Faults in force that hold up what it has begun.
    pub stalls: u32,
    /// How many there were.
    pub stalled: u32,
    /// What its disk had failed when its process began.
    pub failed: u64,
    /// Whether a request of the start that comes is to be the last: behind so many.
    pub ambush: Option<u64>,
}

impl Ctx {
    /// Looks at what is shared, or changes it.
    pub fn with<T>(&self, work: impl FnOnce(&mut Inner) -> T) -> T {
        work(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A seed that failed.
#[derive(Debug, Clone)]
pub struct Failed {
    /// The seed.
    pub seed: u64,
    /// Its transitions.
    pub transitions: Vec<usize>,
    /// What is broken.
    pub why: String,
    /// The last events, if they were wanted.
    pub story: String,
}

/// Runs a seed with some of its transitions (`None`: all). `loud`: keeps the story.
///
/// # Errors
/// A promise is broken.
pub fn run(seed: u64, only: Option<&[usize]>, loud: bool) -> Result<Counters, Failed> {
    let mut transitions = transition::draw(seed);
    if let Some(only) = only {
        transitions.retain(|transition| only.contains(&transition.number));
    }
    play(seed, transitions, loud)
}

/// Runs a world with these transitions: `seed` is all else.
fn play(seed: u64, transitions: Vec<Transition>, loud: bool) -> Result<Counters, Failed> {
    let numbers: Vec<usize> = transitions.iter().map(|transition| transition.number).collect();
    let mut world = World::new(seed);
    if !loud {
        world.quieten();
    }
    let lived = catch_unwind(AssertUnwindSafe(|| live(&mut world, seed, transitions)));
    let outcome = match lived {
        Ok(outcome) => outcome,
        Err(panic) => Err(format!("panic: {}", text_of(&*panic))),
    };
    outcome.map_err(|why| Failed {
        seed,
        transitions: numbers,
        why,
        story: if loud { world.trace().tail(100_000) } else { String::new() },
    })
}

fn text_of(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<String>().map(String::as_str);
    text.or_else(|| panic.downcast_ref::<&str>().copied()).unwrap_or_default()
}

fn live(world: &mut World, seed: u64, transitions: Vec<Transition>) -> Result<Counters, String> {
    let mut rng = Rng::new(seed ^ 0x776f_726c_6473);
    let ctx = Ctx {
        nodes: world.nodes(),
        inner: Arc::new(Mutex::new(Inner {
            model: Model::new(),
            counters: Counters::default(),
            houses: (0..SERVERS).map(|_| House::default()).collect(),
            spans: Vec::new(),
            dns: DnsMood::Sound,
            calm: false,
            greylist: BTreeMap::new(),
            appended: 0,
            versions: BTreeMap::new(),
            clocks: vec![vec![(0, 0)]; SERVERS],
        })),
    };
    world.set_buggify(25, 15);
    dns::start(&ctx);
    for server in 0..SERVERS {
        house::build(world, server, rng.percent(5));
        faults::begin(&ctx, server);
    }
    for number in 0..FOREIGN {
        foreign::start(&ctx, number, *rng.pick(&CHARACTERS), rng.bits());
    }
    let told = ctx.clone();
    world.run(async move { tell(&told, transitions).await });
    let happened = world.happened();
    let events = (world.events(), world.client().now().instant.0 / 1_000_000_000);
    for server in 0..SERVERS {
        let disk = world.disk(model::server_ip(server), |disk| (disk.torn(), disk.failed(), disk.filled()));
        ctx.with(|inner| {
            inner.counters.torn += disk.0;
            inner.counters.eio += disk.1;
            inner.counters.full += disk.2;
        });
    }
    ctx.with(|inner| check::judge(inner, &happened, events));
    for server in 0..SERVERS {
        for panic in world.panics(model::server_ip(server)) {
            ctx.with(|inner| inner.model.breaks(format!("server {server} panicked: {panic}")));
        }
    }
    ctx.with(|inner| match inner.model.broken.is_empty() {
        true => Ok(inner.counters.clone()),
        false => Err(inner.model.broken.join("\n")),
    })
}

/// A client's hands: one for its mailboxes, one for what it sends. What is asked of it is done in turn.
struct Hands {
    acts: Sender<Act>,
    letters: Sender<Letter>,
    env: SimEnv,
}

async fn tell(ctx: &Ctx, transitions: Vec<Transition>) {
    let env = ctx.nodes.client();
    let (over, all_over) = async_channel::unbounded::<()>();
    let hands: Vec<Hands> = (0..CLIENTS)
        .map(|client| {
            let env = ctx.nodes.client_at(21 + client as u8, &format!("c{client}"));
            let (acts, asked) = async_channel::unbounded();
            let (mut reader, done) = (Reader::new(ctx, &env, client), over.clone());
            env.spawn("client", async move {
                while let Ok(act) = asked.recv().await {
                    reader.act(act).await;
                }
                reader.leave().await;
                drop(done);
            });
            let letters = post(ctx, &env, over.clone());
            Hands { acts, letters, env }
        })
        .collect();
    let outside = ctx.nodes.client_at(31, "stranger");
    let strangers = post(ctx, &outside, over.clone());
    for Transition { number, after, what } in transitions {
        pass(&env, after).await;
        ctx.nodes.note(format_args!("transition {number}: {what:?}"));
        match what {
            What::Submit { client, to, null, text } => {
                let letter = Letter {
                    client: Some(client),
                    null,
                    to,
                    text,
                    smuggled: None,
                };
                let _ = hands[client].letters.try_send(letter);
            }
            What::Arrive { to, text, smuggled } => {
                let letter = Letter {
                    client: None,
                    null: false,
                    to: to.into_iter().map(To::Client).collect(),
                    text,
                    smuggled,
                };
                let _ = strangers.try_send(letter);
            }
            What::Read { client, act } => _ = hands[client].acts.try_send(act),
            What::Idle { client, time } => {
                let (ctx, env, done) = (ctx.clone(), hands[client].env.clone(), over.clone());
                hands[client].env.spawn("idler", async move {
                    idler::idle(&ctx, &env, client, time).await;
                    drop(done);
                });
            }
            What::Fault(fault) => faults::inject(ctx, &env, fault, over.clone()),
        }
        if ctx.with(|inner| !inner.model.broken.is_empty()) {
            return;
        }
    }
    drop((hands, strangers, over));
    check::calm(ctx, &env, all_over).await;
}

/// A task that hands letters in, one by one.
fn post(ctx: &Ctx, env: &SimEnv, done: Sender<()>) -> Sender<Letter> {
    let (letters, asked) = async_channel::unbounded::<Letter>();
    let (ctx, task) = (ctx.clone(), env.clone());
    env.spawn("post", async move {
        while let Ok(letter) = asked.recv().await {
            sender::send(&ctx, &task, &letter).await;
        }
        drop(done);
    });
    letters
}
