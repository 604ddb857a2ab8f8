//! STORE.

use super::Command;
use super::cursor::{Cursor, Wrong};
use crate::imap::flag;
use crate::store::request::{FlagChange, FlagHow};

/// `store = "STORE" SP sequence-set SP store-att-flags`,
/// `store-att-flags = (["+" / "-"] "FLAGS" [".SILENT"]) SP (flag-list / (flag *(SP flag)))` (RFC 3501 §6.4.6)
pub(super) fn store(cursor: &mut Cursor<'_>, uid: bool) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "STORE: a sequence set is expected")?;
    let set = cursor.sequence_set()?;
    cursor.space().map_err(|_| "STORE: FLAGS, +FLAGS or -FLAGS is expected")?;
    let how = if cursor.eat(b'+') {
        FlagHow::Add
    } else if cursor.eat(b'-') {
        FlagHow::Remove
    } else {
        FlagHow::Replace
    };
    let silent = match cursor.keyword().as_slice() {
        b"FLAGS" => false,
        b"FLAGS.SILENT" => true,
        _ => return Err("STORE: FLAGS, +FLAGS or -FLAGS is expected"),
    };
    cursor.space().map_err(|_| "STORE: flags are expected")?;
    let (flags, keywords) = flag::parse_store(cursor)?;
    let change = FlagChange { how, flags, keywords };
    Ok(Command::Store {
        set,
        change,
        silent,
        uid,
    })
}
