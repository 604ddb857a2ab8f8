//! What the scheduler keeps of a message and its recipients.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use crate::delivery::retry;
use crate::store::queue::{Notify, QueueId, QueuedMessage, RowState, Said, Task};
use crate::time::{Instant, Now, UnixTime};

/// Names a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RowKey {
    pub(super) id: QueueId,
    pub(super) recipient: u32,
}

/// A message with rows that are not over.
#[derive(Debug)]
pub(super) struct Message {
    /// Shared with whoever brought it.
    pub(super) queued: Arc<QueuedMessage>,
    /// When its rows fail, on the monotonic clock: a jump of the wall clock expires nothing.
    pub(super) expires_at: Instant,
    /// When a delay is reported.
    pub(super) notice_at: Instant,
    /// In the order of its recipients.
    pub(super) rows: Vec<Row>,
    /// How many rows are not over.
    pub(super) open: u32,
}

/// A recipient: small, since a million of them may wait.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) state: State,
    pub(super) attempts: u32,
    /// Whether a delay is still to be reported.
    pub(super) notice: bool,
    /// Whether it waits because its destination could not be reached.
    pub(super) unreached: bool,
    /// What an operator wants of it while it cannot be touched.
    pub(super) wish: Option<Wish>,
    /// When it is tried, on both clocks: the one decides, the other is written down.
    pub(super) due_at: Instant,
    pub(super) due: UnixTime,
    /// Its entry among the timers.
    pub(super) timer: Option<Instant>,
    /// What was said last.
    pub(super) said: Option<Arc<Said>>,
}

/// ```text
/// Deferred -> Ready -> InFlight -> Committing -> Deferred | Held | Over
///     ^_________________________________|            (Held -> Committing by an operator)
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// Waits for its time.
    Deferred,
    /// Waits for its turn.
    Ready,
    /// Handed to a connection: nobody else gets it.
    InFlight,
    /// A change of it is on its way to the disk.
    Committing,
    /// Kept back.
    Held,
    /// Nothing more happens to it.
    Over,
}

/// What happens to a row as soon as it can be touched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wish {
    Hold,
    Cancel,
}

impl Message {
    /// As it is loaded or has entered. Times that another clock has made are clamped.
    pub(super) fn new(queued: Arc<QueuedMessage>, settings: &retry::RetrySettings, now: Now) -> Message {
        let entered = &queued.entered;
        let lifetime = Duration::from_millis(u64::try_from(entered.expires.0.saturating_sub(entered.arrived.0)).unwrap_or(0));
        let expires_at = instant(now, entered.expires, lifetime);
        let notice_due = retry::notice_due(settings, entered, Notify::DELAY);
        let rows = queued.rows.iter().zip(&entered.recipients).map(|(row, recipient)| {
            let (state, due) = match row.state {
                RowState::Waiting(due) => (State::Deferred, due),
                RowState::Held => (State::Held, now.unix),
                RowState::Relayed | RowState::Failed | RowState::Cancelled | RowState::Delivered => (State::Over, now.unix),
            };
            let due_at = instant(now, due, retry::longest_wait(settings));
            let wait = i64::try_from(due_at.since(now.instant).as_millis()).unwrap_or(i64::MAX);
            Row {
                state,
                attempts: row.attempts,
                notice: notice_due.is_some()
                    && recipient.task == Task::Relay
                    && recipient.wants(Notify::DELAY)
                    && !row.delay_reported,
                unreached: row.said.as_ref().is_some_and(|said| said.by.is_none()),
                wish: None,
                due_at,
                due: UnixTime(now.unix.0.saturating_add(wait)),
                timer: None,
                said: row.said.clone(),
            }
        });
        let rows: Vec<Row> = rows.collect();
        let open = rows.iter().filter(|row| row.state != State::Over).count();
        Message {
            expires_at,
            notice_at: notice_due.map_or(expires_at, |due| instant(now, due, lifetime)),
            open: u32::try_from(open).expect("a message has few recipients"),
            rows,
            queued,
        }
    }

    pub(super) fn task(&self, recipient: u32) -> Task {
        self.queued.entered.recipients[recipient as usize].task
    }

    /// When something is to be done about a row unasked.
    pub(super) fn next_time(&self, recipient: u32) -> Option<Instant> {
        let row = &self.rows[recipient as usize];
        let limit = match row.notice {
            true => self.notice_at.min(self.expires_at),
            false => self.expires_at,
        };
        match row.state {
            State::Deferred if self.task(recipient) != Task::Relay => Some(row.due_at), // it can neither fail nor be late
            State::Deferred => Some(row.due_at.min(limit)),
            State::Ready => Some(limit),
            State::InFlight | State::Committing | State::Held | State::Over => None,
        }
    }
}

/// A wall-clock time on the monotonic clock, at most so far ahead.
pub(super) fn instant(now: Now, at: UnixTime, most: Duration) -> Instant {
    let ahead = u64::try_from(at.0.saturating_sub(now.unix.0)).unwrap_or(0);
    now.instant.after(Duration::from_millis(ahead).min(most))
}
