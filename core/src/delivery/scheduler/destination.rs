//! Destinations: what is ready for each, how many connections it may have, and whether it is alive.
//!
//! ```text
//!            as many failures in a row as it may have connections
//!  Alive ------------------------------------------------> Dead(60 s)
//!    ^  a connection is used                                 | time
//!    +------------------- Probing <--------------------------+
//!                            | fails
//!                            v
//!                         Dead(5 min, doubled up to 1 h)
//! ```
//!
//! Only connections count: a refused recipient says nothing about its server's health.

use alloc::collections::{BTreeMap, BTreeSet, VecDeque};
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::rows::RowKey;
use crate::delivery::Destination;
use crate::limits;
use crate::store::AccountId;
use crate::store::queue::{Enqueue, QueueId, Said};
use crate::time::Instant;

/// All destinations that have something going on.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    ids: BTreeMap<Destination, u32>,
    states: BTreeMap<u32, State>,
    next: u32,
    /// Those that may need a connection, in turn.
    ring: VecDeque<u32>,
    /// When dead ones are probed.
    revivals: BTreeSet<(Instant, u32)>,
}

/// One destination.
#[derive(Debug)]
pub(super) struct State {
    name: Destination,
    /// Messages with ready recipients here.
    ready: BTreeMap<QueueId, Vec<u32>>,
    lanes: [Lane; 3],
    credits: [i32; 3],
    /// Rows that wait because this destination could not be reached: woken when it is.
    pub(super) unreached: BTreeSet<RowKey>,
    /// Connections, those that are being opened included.
    connections: u32,
    /// Connections that have not been used yet.
    opening: u32,
    window: u32,
    rises: u32,
    falls: u32,
    failed_in_a_row: u32,
    reached: bool,
    health: Health,
    in_ring: bool,
    /// Why it could not be reached last.
    pub(super) last_said: Option<Arc<Said>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Health {
    Alive,
    Dead { until: Instant, next: Duration },
    Probing { next: Duration },
}

/// The messages of one class, a queue for each submitter.
#[derive(Debug, Default)]
struct Lane {
    submitters: BTreeMap<Option<AccountId>, VecDeque<QueueId>>,
    last: Option<Option<AccountId>>,
}

/// Interactive submission, other mail, reports.
fn class(entered: &Enqueue) -> usize {
    match (&entered.submitter, &entered.reverse_path) {
        (_, crate::address::ReversePath::Null) => 2,
        (Some(_), crate::address::ReversePath::Mailbox(_)) => 0,
        (None, crate::address::ReversePath::Mailbox(_)) => 1,
    }
}

impl Destinations {
    /// The id of a destination, made when it is new.
    pub(super) fn id(&mut self, name: Destination) -> u32 {
        if let Some(id) = self.ids.get(&name) {
            return *id;
        }
        let id = self.next;
        self.next = self.next.wrapping_add(1);
        self.states.insert(id, State::new(name.clone()));
        self.ids.insert(name, id);
        id
    }

    pub(super) fn known(&self, name: &Destination) -> Option<u32> {
        self.ids.get(name).copied()
    }

    pub(super) fn get(&self, id: u32) -> &State {
        self.states.get(&id).expect("a destination in use is kept")
    }

    pub(super) fn get_mut(&mut self, id: u32) -> &mut State {
        self.states.get_mut(&id).expect("a destination in use is kept")
    }

    /// A recipient is ready.
    pub(super) fn push(&mut self, id: u32, key: RowKey, entered: &Enqueue) {
        self.get_mut(id).push(key, entered);
        self.touch(id);
    }

    /// A recipient is not ready any more.
    pub(super) fn remove(&mut self, id: u32, key: RowKey) {
        let state = self.get_mut(id);
        if let Some(recipients) = state.ready.get_mut(&key.id) {
            recipients.retain(|recipient| *recipient != key.recipient);
            if recipients.is_empty() {
                state.ready.remove(&key.id); // its place in a lane is skipped when its turn comes
            }
        }
        self.forget(id);
    }

    /// Something changed: it may need a connection.
    pub(super) fn touch(&mut self, id: u32) {
        let Some(state) = self.states.get_mut(&id) else { return };
        if !state.in_ring && !state.ready.is_empty() {
            state.in_ring = true;
            self.ring.push_back(id);
        }
    }

    /// The next destination that needs a connection, with its turn taken. `open` of `most` connections are open over all.
    pub(super) fn next(&mut self, open: usize, most: usize) -> Option<u32> {
        self.skip_idle(open, most);
        if open >= most {
            return None;
        }
        let id = self.ring.pop_front()?;
        let state = self.get_mut(id);
        state.connections += 1;
        state.opening += 1;
        state.in_ring = false;
        self.touch(id);
        Some(id)
    }

    /// Whether another destination waits for a connection.
    pub(super) fn others_wait(&mut self, id: u32, open: usize, most: usize) -> bool {
        self.skip_idle(open, most);
        let mut others = self.ring.iter().filter(|waiting| **waiting != id);
        others.any(|waiting| self.get(*waiting).needs_connection(open, most))
    }

    /// Drops from the ring's front what needs none.
    fn skip_idle(&mut self, open: usize, most: usize) {
        while let Some(id) = self.ring.front().copied() {
            let state = self.get_mut(id);
            if state.needs_connection(open, most) {
                return;
            }
            state.in_ring = false;
            self.ring.pop_front();
            self.forget(id);
        }
    }

    /// A connection was used for the first time.
    pub(super) fn reached(&mut self, id: u32) {
        if let Health::Dead { until, .. } = self.get(id).health {
            self.revivals.remove(&(until, id));
        }
        let state = self.get_mut(id);
        state.opening -= 1;
        state.failed_in_a_row = 0;
        state.falls = 0;
        state.reached = true;
        state.health = Health::Alive;
        state.last_said = None;
        state.rises += 1;
        if state.rises >= state.window && state.window < limits::CONCURRENCY_MAX {
            state.rises = 0;
            state.window += 1;
        }
        self.touch(id);
    }

    /// A connection could not be used; it is gone.
    pub(super) fn unreachable(&mut self, id: u32, said: Arc<Said>, now: Instant) {
        let state = self.get_mut(id);
        state.connections -= 1;
        state.opening -= 1;
        state.last_said = Some(said);
        state.rises = 0;
        state.falls += 1;
        state.failed_in_a_row += 1;
        let cohort = state.failed_in_a_row >= state.window;
        if state.falls >= state.window && state.window > 1 {
            state.falls = 0;
            state.window -= 1;
        }
        let (rest, next) = match state.health {
            Health::Alive if cohort => (limits::DEAD_REST, limits::DEAD_BACK_OFF),
            Health::Probing { next } => (next, (next * 2).min(limits::DEAD_BACK_OFF_MAX)),
            Health::Alive | Health::Dead { .. } => return self.touch(id),
        };
        let until = now.after(rest);
        state.health = Health::Dead { until, next };
        self.revivals.insert((until, id));
    }

    /// A connection that was used has ended, or one that was not is not needed any more.
    pub(super) fn closed(&mut self, id: u32, was_opening: bool) {
        let state = self.get_mut(id);
        state.connections -= 1;
        state.opening -= u32::from(was_opening);
        self.touch(id);
        self.forget(id);
    }

    /// Whoever is dead is probed at once.
    pub(super) fn revive(&mut self, id: u32) {
        if let Health::Dead { until, next } = self.get(id).health {
            self.revivals.remove(&(until, id));
            self.get_mut(id).health = Health::Probing { next };
        }
        self.touch(id);
    }

    /// Probes those whose rest is over.
    pub(super) fn revive_due(&mut self, now: Instant) {
        while let Some((_, id)) = self.revivals.first().copied().filter(|(until, _)| *until <= now) {
            self.revive(id);
            self.forget(id);
        }
    }

    /// When the next rest is over.
    pub(super) fn next_revival(&self) -> Option<Instant> {
        self.revivals.first().map(|(until, _)| *until)
    }

    /// Lets go of a destination with nothing going on.
    pub(super) fn forget(&mut self, id: u32) {
        let Some(state) = self.states.get(&id) else { return };
        let resting = matches!(state.health, Health::Dead { .. });
        let busy = state.connections > 0 || state.in_ring || resting;
        if !busy && state.ready.is_empty() && state.unreached.is_empty() {
            let state = self.states.remove(&id).expect("looked at just now");
            self.ids.remove(&state.name);
        }
    }

    /// Takes everything out that is ready or unreached: the settings have changed, and with them where it belongs.
    pub(super) fn take_rows(&mut self) -> (Vec<RowKey>, Vec<RowKey>) {
        let (mut ready, mut unreached) = (Vec::new(), Vec::new());
        for state in self.states.values_mut() {
            for (id, recipients) in core::mem::take(&mut state.ready) {
                ready.extend(recipients.into_iter().map(|recipient| RowKey { id, recipient }));
            }
            state.lanes = Default::default();
            unreached.extend(core::mem::take(&mut state.unreached));
        }
        (ready, unreached)
    }

    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        assert_eq!(self.ids.len(), self.states.len());
        self.states.len()
    }
}

impl State {
    fn new(name: Destination) -> State {
        State {
            name,
            ready: BTreeMap::new(),
            lanes: Default::default(),
            credits: [0; 3],
            unreached: BTreeSet::new(),
            connections: 0,
            opening: 0,
            window: limits::CONCURRENCY_START,
            rises: 0,
            falls: 0,
            failed_in_a_row: 0,
            reached: false,
            health: Health::Alive,
            in_ring: false,
            last_said: None,
        }
    }

    /// The recipient of some ready row, to decide the route by.
    pub(super) fn any_ready(&self) -> Option<RowKey> {
        let (id, recipients) = self.ready.first_key_value()?;
        let recipient = *recipients.first()?;
        Some(RowKey { id: *id, recipient })
    }

    fn needs_connection(&self, open: usize, most: usize) -> bool {
        let allowed = match self.health {
            // Where nobody has answered yet, one is enough while connections are scarce: the silent ones must not take them all.
            Health::Alive if !self.reached && open * 2 >= most => 1,
            Health::Alive => self.window,
            Health::Dead { .. } => 0,
            Health::Probing { .. } => 1,
        };
        self.connections < allowed && self.ready.len() > self.opening as usize
    }

    fn push(&mut self, key: RowKey, entered: &Enqueue) {
        let recipients = self.ready.entry(key.id).or_default();
        if recipients.is_empty() {
            let lane = &mut self.lanes[class(entered)];
            lane.submitters.entry(entered.submitter).or_default().push_back(key.id);
        }
        recipients.push(key.recipient);
    }

    /// The message whose turn it is, with at most [`limits::CLIENT_RECIPIENTS`] of its recipients.
    pub(super) fn pop(&mut self) -> Option<(QueueId, Vec<u32>)> {
        loop {
            let class = self.class_in_turn()?;
            let lane = &mut self.lanes[class];
            let id = lane.pop();
            let Some(recipients) = self.ready.get_mut(&id) else { continue };
            if recipients.len() <= limits::CLIENT_RECIPIENTS {
                let recipients = self.ready.remove(&id).expect("looked at just now");
                return Some((id, recipients));
            }
            let rest = recipients.split_off(limits::CLIENT_RECIPIENTS);
            let some = core::mem::replace(recipients, rest);
            lane.push_back_to_last(id);
            return Some((id, some));
        }
    }

    /// Weighted turns: every class with messages gains its weight, the richest pays for all.
    fn class_in_turn(&mut self) -> Option<usize> {
        let mut all = 0;
        let mut best: Option<usize> = None;
        for class in 0..self.lanes.len() {
            if self.lanes[class].submitters.is_empty() {
                self.credits[class] = 0;
                continue;
            }
            self.credits[class] += limits::CLASS_TURNS[class];
            all += limits::CLASS_TURNS[class];
            if best.is_none_or(|best| self.credits[class] > self.credits[best]) {
                best = Some(class);
            }
        }
        let best = best?;
        self.credits[best] -= all;
        Some(best)
    }
}

impl Lane {
    /// The first message of the submitter whose turn it is. The lane is not empty.
    fn pop(&mut self) -> QueueId {
        use core::ops::Bound::{Excluded, Unbounded};
        let after = match self.last {
            Some(last) => self.submitters.range((Excluded(last), Unbounded)).next(),
            None => None,
        };
        let (submitter, _) = after
            .or_else(|| self.submitters.first_key_value())
            .expect("a lane with messages");
        let submitter = *submitter;
        self.last = Some(submitter);
        let queue = self.submitters.get_mut(&submitter).expect("found just now");
        let id = queue.pop_front().expect("a submitter with messages");
        if queue.is_empty() {
            self.submitters.remove(&submitter);
        }
        id
    }

    fn push_back_to_last(&mut self, id: QueueId) {
        let submitter = self.last.expect("it had its turn just now");
        self.submitters.entry(submitter).or_default().push_back(id);
    }
}
