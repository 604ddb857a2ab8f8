//! All open sessions, and what they are to be told.
//!
//! Notices are levels, not events: of many changes of a mailbox a session hears the newest, so nothing grows with a slow one.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use pillarbox_core::store::{Lsn, MailboxKey};

/// The sessions of one server.
#[derive(Debug, Default)]
pub struct Sessions {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    stopping: bool,
    open: BTreeMap<u64, Cell>,
    /// Who waits for the last session to end.
    drained: Vec<Waker>,
}

/// What one session is to be told.
#[derive(Debug, Default)]
struct Cell {
    shutdown: bool,
    changed: BTreeMap<MailboxKey, Lsn>,
    watched: BTreeSet<MailboxKey>,
    waker: Option<Waker>,
}

/// A notice to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum News {
    /// The server stops.
    Shutdown,
    /// A watched mailbox has changed.
    Changed(MailboxKey, Lsn),
}

/// One session's place.
#[derive(Debug)]
pub struct Place {
    sessions: Arc<Sessions>,
    number: u64,
}

impl Sessions {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A place for a new session, with a number that no other machine of the server has (the committer is 0).
    pub fn open(self: &Arc<Self>) -> Place {
        let mut state = self.state();
        state.next += 1;
        let number = state.next;
        let cell = Cell {
            shutdown: state.stopping,
            ..Cell::default()
        };
        state.open.insert(number, cell);
        Place {
            sessions: self.clone(),
            number,
        }
    }

    /// How many are open.
    pub fn len(&self) -> usize {
        self.state().open.len()
    }

    /// Whether none is open.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells all sessions, and those that come later, that the server stops.
    pub fn shutdown(&self) {
        let mut state = self.state();
        state.stopping = true;
        for cell in state.open.values_mut() {
            cell.shutdown = true;
            wake(cell);
        }
    }

    /// Ready when no session is open.
    pub fn poll_drained(&self, cx: &mut Context<'_>) -> Poll<()> {
        let mut state = self.state();
        if state.open.is_empty() {
            return Poll::Ready(());
        }
        state.drained.push(cx.waker().clone());
        Poll::Pending
    }

    /// Notes that a session watches a mailbox; `false`: the session has ended, and the watch must, too.
    pub(super) fn watching(&self, number: u64, mailbox: MailboxKey) -> bool {
        let mut state = self.state();
        let Some(cell) = state.open.get_mut(&number) else {
            return false;
        };
        cell.watched.insert(mailbox);
        true
    }

    /// Tells a watcher; `false`: the session has ended.
    pub(super) fn changed(&self, number: u64, mailbox: MailboxKey, lsn: Lsn) -> bool {
        let mut state = self.state();
        let Some(cell) = state.open.get_mut(&number) else {
            return false;
        };
        cell.changed.insert(mailbox, lsn);
        wake(cell);
        true
    }
}

fn wake(cell: &mut Cell) {
    if let Some(waker) = cell.waker.take() {
        waker.wake();
    }
}

impl Place {
    /// The session's number.
    pub fn number(&self) -> u64 {
        self.number
    }

    /// The next thing to tell it.
    pub fn poll_news(&self, cx: &mut Context<'_>) -> Poll<News> {
        let mut state = self.sessions.state();
        let Some(cell) = state.open.get_mut(&self.number) else {
            return Poll::Pending;
        };
        if std::mem::take(&mut cell.shutdown) {
            return Poll::Ready(News::Shutdown);
        }
        if let Some((mailbox, lsn)) = cell.changed.pop_first() {
            return Poll::Ready(News::Changed(mailbox, lsn));
        }
        match &mut cell.waker {
            Some(waker) => waker.clone_from(cx.waker()),
            None => cell.waker = Some(cx.waker().clone()),
        }
        Poll::Pending
    }

    /// It no longer watches a mailbox.
    pub(super) fn unwatch(&self, mailbox: MailboxKey) {
        if let Some(cell) = self.sessions.state().open.get_mut(&self.number) {
            cell.watched.remove(&mailbox);
            cell.changed.remove(&mailbox);
        }
    }

    /// What it watches.
    pub(super) fn watched(&self) -> Vec<MailboxKey> {
        let state = self.sessions.state();
        let cell = state.open.get(&self.number);
        cell.map_or_else(Vec::new, |cell| cell.watched.iter().copied().collect())
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut state = self.sessions.state();
        state.open.remove(&self.number);
        if state.open.is_empty() {
            state.drained.drain(..).for_each(Waker::wake);
        }
    }
}
