//! STATUS (RFC 3501 §6.3.10).

use alloc::boxed::Box;
use alloc::vec::Vec;

use super::ask::Opened;
use super::{Doing, Session};
use crate::imap::command::{StatusItem, Tag};
use crate::imap::response;
use crate::store::request::Selected;
use crate::store::{Flags, MailboxName};

/// A STATUS whose mailbox is being looked up.
#[derive(Debug)]
pub(super) struct Counting {
    tag: Tag,
    name: MailboxName,
    items: Vec<StatusItem>,
}

impl Session {
    pub(super) fn status(&mut self, tag: Tag, name: MailboxName, items: Vec<StatusItem>) {
        self.ask_mailbox(name.clone(), false, false);
        self.doing = Doing::Status(Box::new(Counting { tag, name, items }));
    }

    pub(super) fn counted(&mut self, counting: Counting, opened: Opened) {
        match opened.0 {
            Ok(selected) => {
                let values = values(&counting.items, &selected);
                response::mailbox_status(&counting.name.0, &values, self.names(), self.out.end());
                self.finish_ok(counting.tag, "STATUS completed");
            }
            Err(refused) => self.refuse(&counting.tag, &refused),
        }
    }
}

/// What STATUS tells of a mailbox.
pub(super) fn values(items: &[StatusItem], selected: &Selected) -> Vec<(StatusItem, u64)> {
    items.iter().map(|item| (*item, value(*item, selected))).collect()
}

fn value(item: StatusItem, selected: &Selected) -> u64 {
    let version = &selected.version;
    let with = |wanted: fn(&Flags) -> bool| {
        let flags = version.chunks.iter().flat_map(|chunk| &chunk.flags.flags);
        flags.filter(|flags| wanted(flags)).count() as u64
    };
    match item {
        StatusItem::Messages => version.exists.into(),
        StatusItem::Recent => (version.exists - version.rank(selected.recent_from)).into(),
        StatusItem::UidNext => version.uid_next.0.into(),
        StatusItem::UidValidity => version.uid_validity.into(),
        StatusItem::Unseen => with(|flags| !flags.contains(Flags::SEEN)),
        StatusItem::Deleted => with(|flags| flags.contains(Flags::DELETED)),
        StatusItem::Size => {
            let sizes = version.chunks.iter().flat_map(|chunk| &chunk.fixed.size);
            sizes.map(|size| u64::from(*size)).sum()
        }
    }
}
