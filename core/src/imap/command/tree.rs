//! CREATE, DELETE, RENAME, SUBSCRIBE, UNSUBSCRIBE, COPY, MOVE.

use super::cursor::{Cursor, Wrong};
use super::{Command, CreateUse};
use crate::store::{MailboxName, SpecialUse};

/// `create = "CREATE" SP mailbox [SP "(" "USE" SP "(" [use-attr *(SP use-attr)] ")" ")"]` (RFC 3501 §6.3.3, RFC 6154 §6)
pub(super) fn create(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "CREATE: a mailbox is expected")?;
    let mailbox = cursor.new_mailbox()?;
    let special_use = if cursor.eat(b' ') { create_use(cursor)? } else { None };
    Ok(Command::Create { mailbox, special_use })
}

fn create_use(cursor: &mut Cursor<'_>) -> Result<Option<CreateUse>, Wrong> {
    const EXPECTED: Wrong = "CREATE: (USE (...)) is expected";
    cursor.expect(b'(', EXPECTED)?;
    if cursor.keyword() != b"USE" {
        return Err("CREATE: unknown parameter");
    }
    cursor.space().map_err(|_| EXPECTED)?;
    cursor.expect(b'(', EXPECTED)?;
    let mut found = None;
    if !cursor.eat(b')') {
        loop {
            cursor.expect(b'\\', EXPECTED)?;
            let wanted = match cursor.atom().to_ascii_lowercase().as_slice() {
                b"" => return Err(EXPECTED),
                b"archive" => CreateUse::One(SpecialUse::Archive),
                b"drafts" => CreateUse::One(SpecialUse::Drafts),
                b"junk" => CreateUse::One(SpecialUse::Junk),
                b"sent" => CreateUse::One(SpecialUse::Sent),
                b"trash" => CreateUse::One(SpecialUse::Trash),
                _ => CreateUse::Other,
            };
            found = match found {
                None => Some(wanted),
                Some(before) if before == wanted => Some(before),
                Some(_) => Some(CreateUse::Other),
            };
            if cursor.eat(b')') {
                break;
            }
            cursor.space()?;
        }
    }
    cursor.expect(b')', EXPECTED)?;
    Ok(found)
}

/// A command whose only argument is a mailbox.
pub(super) fn one(cursor: &mut Cursor<'_>, expected: Wrong) -> Result<MailboxName, Wrong> {
    cursor.space().map_err(|_| expected)?;
    cursor.mailbox()
}

/// `rename = "RENAME" SP mailbox SP mailbox` (RFC 3501 §6.3.5)
pub(super) fn rename(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "RENAME: a mailbox is expected")?;
    let from = cursor.mailbox()?;
    cursor.space().map_err(|_| "RENAME: a new name is expected")?;
    let to = cursor.new_mailbox()?;
    Ok(Command::Rename { from, to })
}

/// `copy = "COPY" SP sequence-set SP mailbox` (RFC 3501 §6.4.7), `move = "MOVE" SP sequence-set SP mailbox` (RFC 6851 §4.1)
pub(super) fn transfer(cursor: &mut Cursor<'_>, moves: bool, uid: bool) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "a sequence set is expected")?;
    let set = cursor.sequence_set()?;
    cursor.space().map_err(|_| "a mailbox is expected")?;
    let mailbox = cursor.mailbox()?;
    Ok(Command::Transfer {
        set,
        mailbox,
        moves,
        uid,
    })
}
