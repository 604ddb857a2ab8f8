//! SELECT, EXAMINE and STATUS.

use alloc::vec::Vec;

use super::cursor::{Cursor, Wrong};
use super::{Command, StatusItem};

/// `select = "SELECT" SP mailbox`, `examine = "EXAMINE" SP mailbox`
pub(super) fn select(cursor: &mut Cursor<'_>, read_only: bool) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "a mailbox is expected")?;
    let mailbox = cursor.mailbox()?;
    Ok(Command::Select { mailbox, read_only })
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"` (RFC 3501 §6.3.10)
pub(super) fn status(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "STATUS: a mailbox is expected")?;
    let mailbox = cursor.mailbox()?;
    cursor.space().map_err(|_| "STATUS: a list of items is expected")?;
    let items = status_items(cursor)?;
    Ok(Command::Status { mailbox, items })
}

/// `"(" status-att *(SP status-att) ")"`
pub(super) fn status_items(cursor: &mut Cursor<'_>) -> Result<Vec<StatusItem>, Wrong> {
    cursor.expect(b'(', "STATUS: a list of items is expected")?;
    let mut items = Vec::new();
    loop {
        let item = match cursor.keyword().as_slice() {
            b"MESSAGES" => StatusItem::Messages,
            b"RECENT" => StatusItem::Recent,
            b"UIDNEXT" => StatusItem::UidNext,
            b"UIDVALIDITY" => StatusItem::UidValidity,
            b"UNSEEN" => StatusItem::Unseen,
            b"DELETED" => StatusItem::Deleted,
            b"SIZE" => StatusItem::Size,
            _ => return Err("STATUS: unknown item"),
        };
        if !items.contains(&item) {
            items.push(item);
        }
        if cursor.eat(b')') {
            return Ok(items);
        }
        cursor.space()?;
    }
}
