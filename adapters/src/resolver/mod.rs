//! The stub resolver: what [`pillarbox_core::dns`] decides, over the environment's sockets.
//!
//! Equal questions that are open at once are asked once. A look-up is a task of its own: it runs to its end, and into the cache, although
//! who asked has gone. `/etc/hosts` is not used: mail goes by DNS (RFC 5321 §5.1).

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_channel::{Receiver, Sender};
use async_lock::Semaphore;
use pillarbox_core::decision::{Fact, FactAnswer, Failure, Question};
use pillarbox_core::dns::{Cache, Kind, Lookup, Query, Servers, Step};
use pillarbox_core::limits;

use crate::config::Dns;
use crate::decide::FactSource;
use crate::env::Env;

pub mod codec;
mod exchange;
pub mod resolv_conf;
#[cfg(test)]
mod tests;

/// The resolver of a server. Clones share everything.
pub struct Resolver<E: Env>(Arc<Inner<E>>);

impl<E: Env> Clone for Resolver<E> {
    fn clone(&self) -> Resolver<E> {
        Resolver(self.0.clone())
    }
}

struct Inner<E: Env> {
    env: E,
    trust_ad: bool,
    state: Mutex<State>,
    /// Look-ups that have sockets.
    running: Semaphore,
}

struct State {
    servers: Servers,
    cache: Cache,
    /// Who waits for what.
    open: BTreeMap<Query, Vec<Sender<Fact>>>,
}

/// The servers that a resolver with these settings asks: those of the configuration, else those of `resolv.conf`. A file that cannot be
/// read is as one that names none.
pub fn servers<E: Env>(env: &E, dns: &Dns) -> Vec<SocketAddr> {
    match dns.servers.is_empty() {
        false => dns.servers.clone(),
        true => resolv_conf::servers(&env.resolv_conf().unwrap_or_default()),
    }
}

impl<E: Env> Resolver<E> {
    /// A resolver with these settings; `resolv.conf` is read now, if it is needed.
    pub fn new(env: E, dns: &Dns) -> Resolver<E> {
        let servers = Servers::new(servers(&env, dns));
        Resolver(Arc::new(Inner {
            env,
            trust_ad: dns.trust_ad,
            state: Mutex::new(State {
                servers,
                cache: Cache::default(),
                open: BTreeMap::new(),
            }),
            running: Semaphore::new(limits::DNS_LOOKUPS),
        }))
    }

    /// Asks DNS, or the cache.
    pub async fn look_up(&self, query: Query) -> Fact {
        match self.begin(query) {
            Begun::Known(fact) => fact,
            // The channel closes without a fact only when the look-up's task has panicked.
            Begun::Waits(answer) => answer.recv().await.unwrap_or_else(|_| failed()),
        }
    }

    fn begin(&self, query: Query) -> Begun {
        let now = self.0.env.now().instant;
        let mut state = self.0.state();
        let known = state.cache.find(now, &query);
        if let Some(fact) = known.filter(|_| !self.0.env.buggify("the DNS cache has forgotten")) {
            return Begun::Known(fact);
        }
        let (sender, answer) = async_channel::bounded(1);
        if let Some(waiting) = state.open.get_mut(&query) {
            waiting.push(sender);
            return Begun::Waits(answer);
        }
        if state.open.len() >= limits::DNS_QUEUE {
            return Begun::Known(failed());
        }
        state.open.insert(query.clone(), vec![sender]);
        drop(state);
        let inner = self.0.clone();
        self.0.env.spawn("dns", async move {
            let mut open = Open {
                inner,
                query,
                fact: None,
            };
            open.fact = Some(open.inner.run(open.query.clone()).await);
        });
        Begun::Waits(answer)
    }
}

enum Begun {
    Known(Fact),
    Waits(Receiver<Fact>),
}

/// An entry of [`State::open`], which ends with the task, however that ends.
struct Open<E: Env> {
    inner: Arc<Inner<E>>,
    query: Query,
    fact: Option<Fact>,
}

impl<E: Env> Drop for Open<E> {
    fn drop(&mut self) {
        let mut state = self.inner.state();
        let waiting = state.open.remove(&self.query);
        let Some(fact) = self.fact.take() else { return };
        state
            .cache
            .keep(self.inner.env.now().instant, self.query.clone(), fact.clone());
        drop(state);
        for sender in waiting.into_iter().flatten() {
            // Who has gone needs no answer.
            let _ = sender.try_send(fact.clone());
        }
    }
}

impl<E: Env> Inner<E> {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn run(&self, query: Query) -> Fact {
        let _running = self.running.acquire().await;
        let now = self.env.now().instant;
        let servers = self.state().servers.order(now);
        let mut lookup = Lookup::new(now, query, servers, self.trust_ad);
        loop {
            let step = lookup.next(self.env.now().instant, &exchange::randomness(&self.env));
            match step {
                Step::Udp(asked) => exchange::by_udp(&self.env, &mut lookup, &asked).await,
                Step::Tcp(asked) => exchange::by_tcp(&self.env, &mut lookup, &asked).await,
                Step::Done(fact) => return fact,
            }
            if let Some((server, health)) = lookup.take_heard() {
                self.state().servers.note(self.env.now().instant, server, health);
            }
        }
    }
}

fn failed() -> Fact {
    Fact {
        answer: FactAnswer::Failed(Failure::Temporary),
        ttl_s: 0,
        secure: false,
    }
}

/// Answers what is asked of DNS; the other questions are not its own, and fail.
impl<E: Env> FactSource for Resolver<E> {
    async fn fact(&self, question: &Question) -> Fact {
        let (domain, kind) = match question {
            Question::Mx(domain) => (domain, Kind::Mx),
            Question::Ipv4(domain) => (domain, Kind::Ipv4),
            Question::Ipv6(domain) => (domain, Kind::Ipv6),
            Question::OurDomain(_) | Question::LocalAddress(_) | Question::Owns(..) | Question::OurAddress(_) => {
                return failed();
            }
        };
        match codec::name_of(domain) {
            Some(name) => self.look_up(Query { name, kind }).await,
            // DNS can have no such name.
            None => Fact {
                answer: FactAnswer::Absent,
                ttl_s: 0,
                secure: false,
            },
        }
    }
}
