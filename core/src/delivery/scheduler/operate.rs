//! Operators' commands: at once where nobody works on a row, else as soon as it is back.

use alloc::vec::Vec;

use super::Scheduler;
use super::ask::{Ask, Operation, Which};
use super::rows::{RowKey, State, Wish};
use crate::address::Host;
use crate::store::queue::{QueueId, RowState, Task};

impl Scheduler {
    pub(super) fn operate(&mut self, ticket: u64, which: &Which, what: Operation) {
        let messages: Vec<QueueId> = match which {
            Which::Id(id) => self.messages.contains_key(id).then_some(*id).into_iter().collect(),
            Which::Message(name) => {
                let named = self
                    .messages
                    .iter()
                    .filter(|(_, message)| message.queued.entered.message == *name);
                named.map(|(id, _)| *id).collect()
            }
            Which::Domain(_) | Which::All => self.messages.keys().copied().collect(),
        };
        let mut rows = 0;
        for id in messages {
            let concerned = self.concerned(id, which);
            rows += u32::try_from(concerned.len()).expect("a message has few recipients");
            self.operate_on(id, concerned, what);
        }
        self.asks.push_back(Ask::Obeyed { ticket, rows });
    }

    fn concerned(&self, id: QueueId, which: &Which) -> Vec<u32> {
        let message = self.message(id);
        let rows = message.rows.iter().zip(&message.queued.entered.recipients).zip(0..);
        let concerned = rows.filter(|((row, recipient), _)| {
            let meant = match (which, &recipient.address.host) {
                (Which::Id(_) | Which::Message(_) | Which::All, _) => true,
                (Which::Domain(domain), Host::Domain(host)) => domain == host,
                (Which::Domain(_), Host::Literal(_)) => false,
            };
            meant && row.state != State::Over
        });
        concerned.map(|(_, recipient)| recipient).collect()
    }

    fn operate_on(&mut self, id: QueueId, recipients: Vec<u32>, what: Operation) {
        let mut changed = Vec::new();
        for recipient in recipients {
            let key = RowKey { id, recipient };
            let state = self.row(key).state;
            match (what, state) {
                (_, State::Over) => {}
                (Operation::Hold, State::InFlight | State::Committing) => self.row_mut(key).wish = Some(Wish::Hold),
                (Operation::Cancel, State::InFlight | State::Committing) => self.row_mut(key).wish = Some(Wish::Cancel),
                (Operation::Release, State::InFlight | State::Committing) => self.row_mut(key).wish = None,
                (Operation::Retry, State::Deferred) if self.message(id).task(recipient) != Task::Relay => self.tell(id),
                (Operation::Retry, State::Deferred) => {
                    self.make_ready(key);
                    self.revive(key);
                }
                (Operation::Retry, State::Ready) => self.revive(key),
                (Operation::Hold, State::Deferred | State::Ready)
                | (Operation::Release, State::Held)
                | (Operation::Cancel, State::Deferred | State::Ready | State::Held) => changed.push(recipient),
                (Operation::Retry, State::InFlight | State::Committing | State::Held)
                | (Operation::Hold, State::Held)
                | (Operation::Release, State::Deferred | State::Ready) => {}
            }
        }
        if changed.is_empty() {
            return;
        }
        let state = match what {
            Operation::Hold => RowState::Held,
            Operation::Release | Operation::Retry => RowState::Waiting(self.now.unix),
            Operation::Cancel => RowState::Cancelled,
        };
        self.change(id, changed, state);
    }

    fn revive(&mut self, key: RowKey) {
        let destination = self.destination_of(key);
        self.destinations.revive(destination);
    }
}
