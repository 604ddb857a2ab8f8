//! A session's view of one mailbox, kept up to date by pulling changes.

use std::collections::BTreeSet;
use std::sync::Arc;

use pillarbox_core::store::request::Selected;
use pillarbox_core::store::version::{ChangeKind, Changes, Version};
use pillarbox_core::store::{Lsn, MailboxKey, Uid};

#[derive(Debug)]
pub(super) struct Session {
    pub(super) watch: u64,
    pub(super) mailbox: MailboxKey,
    version: Arc<Version>,
    told: Lsn,
}

impl Session {
    pub(super) fn new(watch: u64, selected: Selected) -> Session {
        Session {
            watch,
            mailbox: selected.mailbox,
            told: selected.version.lsn,
            version: selected.version,
        }
    }

    pub(super) fn since(&self) -> Lsn {
        self.version.lsn
    }

    pub(super) fn notified(&mut self, mailbox: MailboxKey, lsn: Lsn) -> Result<(), String> {
        if mailbox != self.mailbox || lsn <= self.told {
            return Err(format!("a notice of {mailbox:?} {lsn} for a session at {}", self.told));
        }
        self.told = lsn;
        Ok(())
    }

    /// Applies what was pulled: it must lead from the old version to the new one, nothing untold, nothing twice.
    pub(super) fn apply(&mut self, changes: Changes) -> Result<Arc<Version>, String> {
        let (list, new) = match changes {
            Changes::List(list, new) => (list, new),
            Changes::Diff(new) => {
                self.version = new.clone();
                return Ok(new);
            }
        };
        if new.lsn < self.told {
            return Err(format!("told of {}, shown {}", self.told, new.lsn));
        }
        let mut uids: BTreeSet<Uid> = self.version.uids().collect();
        let mut flagged: BTreeSet<Uid> = BTreeSet::new();
        let mut last = self.version.lsn;
        for change in list.iter() {
            if change.lsn < last || change.lsn > new.lsn {
                return Err(format!("change {} is out of order", change.lsn));
            }
            last = change.lsn;
            let fits = match &change.what {
                ChangeKind::Appended(new) => new.iter().all(|uid| uids.insert(*uid)),
                ChangeKind::Expunged(gone) => gone.iter().all(|uid| uids.remove(uid)),
                ChangeKind::Flagged(changed) => {
                    flagged.extend(changed);
                    changed.iter().all(|uid| uids.contains(uid))
                }
            };
            if !fits {
                return Err(format!("change {change:?} does not fit the view"));
            }
        }
        if !uids.iter().copied().eq(new.uids()) {
            return Err("the changes do not lead to the new version".into());
        }
        for row in new.rows() {
            let untold = self.version.row(row.uid).is_some_and(|old| old != row) && !flagged.contains(&row.uid);
            if untold {
                return Err(format!("UID {} changed, untold", row.uid));
            }
        }
        self.told = self.told.max(new.lsn);
        self.version = new.clone();
        Ok(new)
    }
}
