//! Queries: answered at once, from the published state.

use super::Committer;
use crate::store::MailboxKey;
use crate::store::request::{Refused, Reply, Request, Selected, Submission};

impl Committer {
    /// Answers a query; gives an effect back.
    pub(super) fn query(&mut self, submission: Submission) -> Option<Submission> {
        let ticket = submission.ticket;
        let reply = match submission.request {
            Request::Mailboxes(account) => match self.accounts.get(&account) {
                Some(entry) if entry.visible => Reply::Mailboxes(entry.account.shown().clone()),
                Some(_) | None => Reply::Refused(Refused::NoSuchMailbox),
            },
            Request::Select {
                account,
                name,
                watch,
                take_recent,
            } => {
                let entry = self.accounts.get(&account).filter(|entry| entry.visible);
                let found = entry.and_then(|entry| entry.account.shown_by_name(&name));
                match found {
                    Some(mailbox) => self.select(MailboxKey { account, mailbox }, watch, take_recent),
                    None => Reply::Refused(Refused::NoSuchMailbox),
                }
            }
            Request::Changes {
                mailbox,
                since,
                take_recent,
            } => {
                let model = self.accounts.get_mut(&mailbox.account);
                match model.and_then(|entry| entry.account.shown_mut(mailbox.mailbox)) {
                    Some(model) => Reply::Changed {
                        changes: model.changes_since(since),
                        recent_from: model.recent(take_recent),
                    },
                    None => Reply::Refused(Refused::NoSuchMailbox),
                }
            }
            Request::Unwatch { mailbox, watch } => {
                if let Some(watchers) = self.watches.get_mut(&mailbox) {
                    watchers.retain(|known| *known != watch);
                    if watchers.is_empty() {
                        self.watches.remove(&mailbox);
                    }
                }
                Reply::Done
            }
            Request::Queue => Reply::Queue(self.queued()),
            Request::CreateAccount { .. }
            | Request::Place { .. }
            | Request::SetFlags { .. }
            | Request::Expunge { .. }
            | Request::Tree { .. }
            | Request::Transfer { .. }
            | Request::ChangeQueue(_) => return Some(submission),
        };
        self.reply(ticket, reply);
        None
    }

    /// The version and the watch on what follows it, in one step: nothing can fall between.
    fn select(&mut self, mailbox: MailboxKey, watch: Option<u64>, take_recent: bool) -> Reply {
        let entry = self.accounts.get_mut(&mailbox.account).expect("it was just found");
        let model = entry.account.shown_mut(mailbox.mailbox).expect("it was just found");
        let selected = Selected {
            mailbox,
            version: model.published().clone(),
            recent_from: model.recent(take_recent),
        };
        if let Some(watch) = watch {
            let watchers = self.watches.entry(mailbox).or_default();
            if !watchers.contains(&watch) {
                watchers.push(watch);
            }
        }
        Reply::Selected(selected)
    }
}
