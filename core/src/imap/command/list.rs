//! LIST and LSUB.

use alloc::vec::Vec;

use super::cursor::{Cursor, Wrong};
use super::mailbox::status_items;
use super::{Command, List, ListForm, ListOptions};
use crate::limits;

/// `list = "LIST" [SP list-select-opts] SP mailbox SP mbox-or-pat [SP list-return-opts]` (RFC 5258 §6)
pub(super) fn list(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "LIST: a reference name is expected")?;
    let mut options = ListOptions::default();
    let mut extended = cursor.peek() == Some(b'(');
    if extended {
        select_options(cursor, &mut options)?;
        cursor.space().map_err(|_| "LIST: a reference name is expected")?;
    }
    let reference = cursor.mailbox_text()?;
    cursor.space().map_err(|_| "LIST: a pattern is expected")?;
    let mut patterns = Vec::new();
    if cursor.eat(b'(') {
        extended = true;
        loop {
            if patterns.len() == limits::IMAP_LIST_PATTERNS {
                return Err("LIST: too many patterns");
            }
            patterns.push(cursor.pattern()?);
            if cursor.eat(b')') {
                break;
            }
            cursor.space()?;
        }
    } else {
        patterns.push(cursor.pattern()?);
    }
    if cursor.eat(b' ') {
        extended = true;
        return_options(cursor, &mut options)?;
    }
    let form = if extended {
        ListForm::Extended(options)
    } else {
        ListForm::Basic
    };
    Ok(Command::List(List {
        reference,
        patterns,
        form,
    }))
}

/// `lsub = "LSUB" SP mailbox SP list-mailbox` (RFC 3501 §6.3.9)
pub(super) fn lsub(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "LSUB: a reference name is expected")?;
    let reference = cursor.mailbox_text()?;
    cursor.space().map_err(|_| "LSUB: a pattern is expected")?;
    let patterns = alloc::vec![cursor.pattern()?];
    Ok(Command::List(List {
        reference,
        patterns,
        form: ListForm::Lsub,
    }))
}

/// `list-select-opts = "(" [list-select-opt *(SP list-select-opt)] ")"`
fn select_options(cursor: &mut Cursor<'_>, options: &mut ListOptions) -> Result<(), Wrong> {
    cursor.expect(b'(', "LIST: selection options are expected")?;
    if cursor.eat(b')') {
        return Ok(());
    }
    loop {
        match cursor.atom().to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => options.subscribed = true,
            b"SPECIAL-USE" => options.special_use = true,
            b"REMOTE" => options.remote = true,
            b"RECURSIVEMATCH" => options.recursive = true,
            _ => return Err("LIST: unknown selection option"),
        }
        if cursor.eat(b')') {
            break;
        }
        cursor.space()?;
    }
    if options.recursive && !options.subscribed && !options.special_use {
        return Err("LIST: RECURSIVEMATCH needs another selection option");
    }
    Ok(())
}

/// `list-return-opts = "RETURN" SP "(" [return-option *(SP return-option)] ")"`
fn return_options(cursor: &mut Cursor<'_>, options: &mut ListOptions) -> Result<(), Wrong> {
    if cursor.keyword() != b"RETURN" {
        return Err("LIST: RETURN is expected");
    }
    cursor.space()?;
    cursor.expect(b'(', "LIST: return options are expected")?;
    if cursor.eat(b')') {
        return Ok(());
    }
    loop {
        match cursor.atom().to_ascii_uppercase().as_slice() {
            b"SUBSCRIBED" => options.return_subscribed = true,
            b"CHILDREN" => options.return_children = true,
            b"SPECIAL-USE" => options.return_special_use = true,
            b"STATUS" => {
                cursor.space()?;
                options.status = status_items(cursor)?;
            }
            _ => return Err("LIST: unknown return option"),
        }
        if cursor.eat(b')') {
            return Ok(());
        }
        cursor.space()?;
    }
}
