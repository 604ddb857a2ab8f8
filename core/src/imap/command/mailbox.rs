//! LIST, LSUB, SELECT, EXAMINE and STATUS.

use alloc::vec::Vec;

use super::cursor::{Cursor, Wrong};
use super::{Command, StatusItem};
use crate::imap::mailbox_name;

/// `list = "LIST" SP mailbox SP list-mailbox` (RFC 3501 §6.3.8)
pub(super) fn list(cursor: &mut Cursor<'_>, lsub: bool) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "LIST: a reference name is expected")?;
    let reference = mailbox_name::decode(&cursor.astring()?)?;
    cursor.space().map_err(|_| "LIST: a pattern is expected")?;
    let pattern = mailbox_name::decode(&cursor.list_mailbox()?)?;
    Ok(Command::List {
        reference,
        pattern,
        lsub,
    })
}

/// `select = "SELECT" SP mailbox`, `examine = "EXAMINE" SP mailbox`
pub(super) fn select(cursor: &mut Cursor<'_>, read_only: bool) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "a mailbox is expected")?;
    let mailbox = mailbox_name::parse(&cursor.astring()?)?;
    Ok(Command::Select { mailbox, read_only })
}

/// `status = "STATUS" SP mailbox SP "(" status-att *(SP status-att) ")"` (RFC 3501 §6.3.10)
pub(super) fn status(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "STATUS: a mailbox is expected")?;
    let mailbox = mailbox_name::parse(&cursor.astring()?)?;
    cursor.space().map_err(|_| "STATUS: a list of items is expected")?;
    cursor.expect(b'(', "STATUS: a list of items is expected")?;
    let mut items = Vec::new();
    loop {
        let item = match cursor.keyword().as_slice() {
            b"MESSAGES" => StatusItem::Messages,
            b"RECENT" => StatusItem::Recent,
            b"UIDNEXT" => StatusItem::UidNext,
            b"UIDVALIDITY" => StatusItem::UidValidity,
            b"UNSEEN" => StatusItem::Unseen,
            _ => return Err("STATUS: unknown item"),
        };
        if !items.contains(&item) {
            items.push(item);
        }
        if cursor.eat(b')') {
            return Ok(Command::Status { mailbox, items });
        }
        cursor.space()?;
    }
}
