//! What becomes of rows: changes, and the report about them, in one record.

use alloc::format;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;
use core::time::Duration;

use super::ask::{Ask, Commit, Committed};
use super::rows::{Row, RowKey, State, Wish, instant};
use super::{Pending, Phase, Scheduler};
use crate::delivery::dsn::{self, Action, Told};
use crate::delivery::retry;
use crate::limits;
use crate::smtp::client::ask::Outcome;
use crate::store::queue::{QueueId, RowChange, RowState, Said, Task};
use crate::time::UnixTime;

/// A commit, and who waits for it.
#[derive(Debug)]
pub(super) struct Job {
    commit: Commit,
    /// The connection whose result it settles.
    connection: Option<u64>,
}

/// What happens to one row.
struct News {
    recipient: u32,
    state: RowState,
    attempted: bool,
    said: Option<Arc<Said>>,
    /// What its sender may be told.
    action: Option<Action>,
    /// Its destination could not be reached.
    unreached: bool,
}

/// What we say ourselves.
pub(super) fn ours(code: u16, status: [u16; 3], text: impl Into<String>) -> Arc<Said> {
    Arc::new(Said {
        code,
        status,
        text: text.into().into(),
        by: None,
    })
}

impl Scheduler {
    /// A connection's result.
    pub(super) fn result(&mut self, number: u64, results: Vec<Outcome>) {
        self.settle_result(number, results, Some(number));
    }

    pub(super) fn settle_result(&mut self, number: u64, results: Vec<Outcome>, waiting: Option<u64>) {
        let connection = self.connections.get_mut(&number).expect("a notice of an open connection");
        let destination = connection.destination;
        let Phase::Busy { id, recipients } = core::mem::replace(&mut connection.phase, Phase::Idle) else {
            panic!("a result of no message")
        };
        assert_eq!(results.len(), recipients.len(), "one result for each recipient");
        let relayed = results.iter().any(|result| matches!(result, Outcome::Relayed { .. }));
        let mut news = Vec::new();
        for (recipient, result) in recipients.into_iter().zip(results) {
            news.push(match result {
                Outcome::Relayed { said, dsn } => News {
                    recipient,
                    state: RowState::Relayed,
                    attempted: true,
                    said: Some(said),
                    action: (!dsn).then_some(Action::Relayed), // RFC 3461 §5.2.2: else the next server reports
                    unreached: false,
                },
                Outcome::Failed(said) => failure(recipient, said, true),
                Outcome::Deferred(said) => self.deferral(RowKey { id, recipient }, said, false),
            });
        }
        self.settle(id, news, waiting);
        if relayed {
            self.wake(destination);
        }
    }

    /// The message whose turn it is at a destination has been tried in vain.
    pub(super) fn defer_next(&mut self, destination: u32, said: &Arc<Said>) {
        let Some((id, recipients)) = self.pop(destination) else {
            return;
        };
        let news = recipients
            .into_iter()
            .map(|recipient| self.deferral(RowKey { id, recipient }, said.clone(), true));
        let news = news.collect();
        self.settle(id, news, None);
    }

    /// There is no way to a destination: the message whose turn it is fails.
    pub(super) fn fail_next(&mut self, destination: u32, said: &Arc<Said>) {
        let Some((id, recipients)) = self.pop(destination) else {
            return;
        };
        let news = recipients.into_iter().map(|recipient| failure(recipient, said.clone(), true));
        let news = news.collect();
        self.settle(id, news, None);
    }

    /// An attempt that did not succeed: the next one, or the end.
    fn deferral(&mut self, key: RowKey, said: Arc<Said>, unreached: bool) -> News {
        let now = self.now;
        let seed = self.draw();
        let message = self.message(key.id);
        let row = self.row(key);
        if message.expires_at <= now.instant {
            let said = expired(message, Some(&said));
            return failure(key.recipient, said, true);
        }
        let (state, action) = match row.wish {
            Some(Wish::Cancel) => (RowState::Cancelled, None),
            Some(Wish::Hold) => (RowState::Held, None),
            None => {
                let left = message.expires_at.since(now.instant);
                let wait = retry::wait(&self.settings.retry, row.attempts + 1, &said, seed).min(left);
                let noticed = row.notice && message.notice_at <= now.instant;
                (RowState::Waiting(later(now.unix, wait)), noticed.then_some(Action::Delayed))
            }
        };
        News {
            recipient: key.recipient,
            state,
            attempted: true,
            said: Some(said),
            action,
            unreached,
        }
    }

    /// A message's time is over: all of its rows that nobody works on fail, with one report.
    pub(super) fn expire(&mut self, id: QueueId) {
        let news = self
            .waiting_rows(id, |task, _| task == Task::Relay)
            .into_iter()
            .map(|recipient| {
                let key = RowKey { id, recipient };
                let last = self.last_said(key);
                failure(recipient, expired(self.message(id), last.as_ref()), false)
            });
        let news = news.collect();
        self.settle(id, news, None);
    }

    /// A message takes long: its sender is told once of all rows that still wait.
    pub(super) fn report_delay(&mut self, id: QueueId) {
        let mut news = Vec::new();
        for recipient in self.waiting_rows(id, |_, row| row.notice) {
            let key = RowKey { id, recipient };
            let row = self.row(key);
            let unreached = row.unreached;
            news.push(News {
                recipient,
                state: RowState::Waiting(row.due),
                attempted: false,
                said: self.last_said(key),
                action: Some(Action::Delayed),
                unreached,
            });
        }
        self.settle(id, news, None);
    }

    /// A message was delivered here: its sender is told of all rows that are there for this alone.
    pub(super) fn tell(&mut self, id: QueueId) {
        let mut news = Vec::new();
        for recipient in self.waiting_rows(id, |task, _| task != Task::Relay) {
            news.push(News {
                recipient,
                state: RowState::Delivered,
                attempted: false,
                said: None,
                action: match self.message(id).task(recipient) {
                    Task::TellDelivered => Some(Action::Delivered),
                    Task::TellExpanded => Some(Action::Expanded),
                    Task::Relay => None,
                },
                unreached: false,
            });
        }
        self.settle(id, news, None);
    }

    /// Rows that nobody works on and nobody holds; as many as one report takes. The others' timers bring the next.
    fn waiting_rows(&self, id: QueueId, wanted: impl Fn(Task, &Row) -> bool) -> Vec<u32> {
        let message = self.message(id);
        let rows = message.rows.iter().zip(0..);
        let waiting = rows.filter(|(row, recipient)| {
            matches!(row.state, State::Deferred | State::Ready) && wanted(message.task(*recipient), row)
        });
        waiting
            .map(|(_, recipient)| recipient)
            .take(limits::CLIENT_RECIPIENTS)
            .collect()
    }

    /// What was said last of a row, or, when it was never its turn, of its destination.
    fn last_said(&self, key: RowKey) -> Option<Arc<Said>> {
        let row = self.row(key);
        row.said.clone().or_else(|| {
            let destination = self.known_destination_of(key)?;
            self.destinations.get(destination).last_said.clone()
        })
    }

    /// An operator's change, without a report.
    pub(super) fn change(&mut self, id: QueueId, recipients: Vec<u32>, state: RowState) {
        let news = recipients.into_iter().map(|recipient| News {
            recipient,
            state,
            attempted: false,
            said: None, // what was said last stays
            action: None,
            unreached: false,
        });
        let news = news.collect();
        self.settle(id, news, None);
    }

    /// Makes the record, and lets nobody touch its rows until it is durable.
    fn settle(&mut self, id: QueueId, news: Vec<News>, connection: Option<u64>) {
        assert!(!news.is_empty(), "a record of something");
        let (mut changes, mut told) = (Vec::new(), Vec::new());
        for news in news {
            let key = RowKey {
                id,
                recipient: news.recipient,
            };
            self.take_out(key, State::Committing);
            let row = self.row_mut(key);
            row.unreached = news.unreached;
            row.attempts += u32::from(news.attempted);
            let delay_reported = news.action == Some(Action::Delayed);
            if delay_reported {
                row.notice = false;
            }
            if news.said.is_some() {
                row.said = news.said.clone();
            }
            changes.push(RowChange {
                id,
                recipient: news.recipient,
                state: news.state,
                attempted: news.attempted,
                delay_reported,
                said: news.said.clone(),
            });
            if let Some(action) = news.action {
                told.push(Told {
                    recipient: news.recipient,
                    action,
                    said: news.said,
                    attempted: news.attempted.then_some(self.now.unix),
                });
            }
        }
        let message = self.message(id).queued.clone();
        let report = dsn::order(&message.entered, told);
        let job = Job {
            commit: Commit {
                message,
                changes,
                report,
            },
            connection,
        };
        match connection {
            Some(_) => self.jobs.push_front(job), // a connection waits for it
            None => self.jobs.push_back(job),
        }
    }

    pub(super) fn start_commits(&mut self) {
        while self.open_commits < limits::SCHEDULER_COMMITS {
            let Some(job) = self.jobs.pop_front() else { return };
            self.open_commits += 1;
            let commit = job.commit.clone();
            let then = self.slots.ask(Pending::Commit(job));
            self.asks.push_back(Ask::Commit { commit, then });
        }
    }

    pub(super) fn committed(&mut self, mut job: Job, committed: Committed) {
        self.open_commits -= 1;
        if let Some(connection) = job.connection.take()
            && self.connections.contains_key(&connection)
        {
            self.asks.push_back(Ask::Reported { connection });
        }
        match committed {
            Committed::Done => {
                for change in &job.commit.changes {
                    self.apply(change);
                }
                let id = job.commit.message.id;
                if self.message(id).open == 0 {
                    self.messages.remove(&id);
                }
            }
            Committed::Refused if self.stopping => {} // the rows are as they were, on the disk; a restart finds them
            Committed::Refused => self.again.push_back((self.now.instant.after(limits::COMMIT_RETRY), job)),
        }
    }

    /// A change is durable.
    fn apply(&mut self, change: &RowChange) {
        let (id, recipient) = (change.id, change.recipient);
        let key = RowKey { id, recipient };
        let (now, longest) = (self.now, retry::longest_wait(&self.settings.retry));
        let row = self.row_mut(key);
        assert_eq!(row.state, State::Committing, "a change of a row that was not given away");
        let wish = row.wish.take();
        match change.state {
            RowState::Waiting(due) => {
                row.state = State::Deferred;
                row.due = due;
                row.due_at = instant(now, due, longest);
            }
            RowState::Held => row.state = State::Held,
            RowState::Relayed | RowState::Failed | RowState::Cancelled | RowState::Delivered => {
                row.state = State::Over;
                row.said = None;
                let message = self.messages.get_mut(&id).expect("a row in use keeps its message");
                message.open -= 1;
                return;
            }
        }
        match (wish, change.state) {
            (Some(Wish::Cancel), _) => self.change(id, Vec::from([recipient]), RowState::Cancelled),
            (Some(Wish::Hold), RowState::Waiting(_)) => self.change(id, Vec::from([recipient]), RowState::Held),
            (Some(Wish::Hold), _) | (None, _) => {
                self.set_timer(key);
                self.note_unreached(key);
            }
        }
    }
}

fn failure(recipient: u32, said: Arc<Said>, attempted: bool) -> News {
    News {
        recipient,
        state: RowState::Failed,
        attempted,
        said: Some(said),
        action: Some(Action::Failed),
        unreached: false,
    }
}

/// The time is over (RFC 3463 §3.5, X.4.7).
fn expired(message: &super::rows::Message, last: Option<&Arc<Said>>) -> Arc<Said> {
    let entered = &message.queued.entered;
    let hours = entered.expires.0.saturating_sub(entered.arrived.0) / 3_600_000;
    let time = match (hours / 24, hours) {
        (0 | 1, hours) => format!("{hours} hours"),
        (days, _) => format!("{days} days"),
    };
    let last = match last {
        Some(last) => {
            let by = last
                .by
                .as_ref()
                .map_or_else(String::new, |by| format!("{by} said: {} ", last.code));
            format!("; at last: {by}{}", last.text)
        }
        None => String::new(),
    };
    ours(554, [5, 4, 7], format!("it could not be delivered within {time}{last}"))
}

/// A time on the wall clock; whole milliseconds.
fn later(now: UnixTime, wait: Duration) -> UnixTime {
    UnixTime(now.0.saturating_add(i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)))
}
