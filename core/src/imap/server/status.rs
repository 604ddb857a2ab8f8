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
                let value = |item: &StatusItem| (*item, value(*item, &selected));
                let values: Vec<(StatusItem, u32)> = counting.items.iter().map(value).collect();
                response::mailbox_status(&counting.name.0, &values, self.out.end());
                self.finish_ok(counting.tag, "STATUS completed");
            }
            Err(refused) => self.refuse(&counting.tag, &refused),
        }
    }
}

fn value(item: StatusItem, selected: &Selected) -> u32 {
    let version = &selected.version;
    match item {
        StatusItem::Messages => version.exists,
        StatusItem::Recent => version.exists - version.rank(selected.recent_from),
        StatusItem::UidNext => version.uid_next.0,
        StatusItem::UidValidity => version.uid_validity,
        StatusItem::Unseen => {
            let chunks = version.chunks.iter().flat_map(|chunk| &chunk.flags.flags);
            let unseen = chunks.filter(|flags| !flags.contains(Flags::SEEN)).count();
            u32::try_from(unseen).unwrap_or(u32::MAX)
        }
    }
}
