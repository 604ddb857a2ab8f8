//! LOGIN, AUTHENTICATE, ID and ENABLE.

use alloc::vec::Vec;

use super::Command;
use super::cursor::{Cursor, Wrong, ascii, utf8};
use crate::limits;
use crate::secret::Secret;

/// `login = "LOGIN" SP userid SP password` (RFC 3501 §6.2.3)
pub(super) fn login(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "LOGIN: a user name is expected")?;
    let login = utf8(&cursor.astring()?, "LOGIN: the user name is not UTF-8")?;
    cursor.space().map_err(|_| "LOGIN: a password is expected")?;
    let password = utf8(&cursor.astring()?, "LOGIN: the password is not UTF-8")?;
    Ok(Command::Login {
        login,
        password: Secret::new(password),
    })
}

/// Reads up to the password; gives its place.
pub(super) fn login_password_at(cursor: &mut Cursor<'_>) -> Result<usize, Wrong> {
    cursor.space()?;
    cursor.astring()?;
    cursor.space()?;
    Ok(cursor.at())
}

/// `authenticate = "AUTHENTICATE" SP auth-type [SP (base64 / "=")]` (RFC 3501 §6.2.2, RFC 4959 §7)
pub(super) fn authenticate(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    cursor.space().map_err(|_| "AUTHENTICATE: a mechanism is expected")?;
    let mechanism = cursor.atom();
    if mechanism.is_empty() {
        return Err("AUTHENTICATE: a mechanism is expected");
    }
    let initial = if cursor.eat(b' ') {
        let response = cursor.atom();
        if response.is_empty() {
            return Err("AUTHENTICATE: an initial response is base64 or =");
        }
        Some(Secret::new(ascii(response)))
    } else {
        None
    };
    Ok(Command::Authenticate {
        mechanism: ascii(mechanism),
        initial,
    })
}

/// `id = "ID" SP id-params-list`, `id-params-list = "(" *(string SP nstring) ")" / nil` (RFC 2971 §4)
pub(super) fn id(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    const EXPECTED: Wrong = "ID: NIL or a list of names and values is expected";
    cursor.space().map_err(|_| EXPECTED)?;
    if !cursor.eat(b'(') {
        return if cursor.atom().eq_ignore_ascii_case(b"NIL") {
            Ok(Command::Id)
        } else {
            Err(EXPECTED)
        };
    }
    let mut pairs = 0;
    while !cursor.eat(b')') {
        if pairs > 0 {
            cursor.space()?;
        }
        if pairs == limits::IMAP_ID_PAIRS {
            return Err("ID: too many values");
        }
        pairs += 1;
        let name = cursor.string()?;
        cursor.space()?;
        let value = cursor.nstring()?;
        if name.len() > 30 || value.is_some_and(|value| value.len() > 1024) {
            return Err("ID: a name or value is too long");
        }
    }
    Ok(Command::Id)
}

/// `enable = "ENABLE" 1*(SP capability)` (RFC 5161 §4)
pub(super) fn enable(cursor: &mut Cursor<'_>) -> Result<Command, Wrong> {
    let mut names = Vec::new();
    while cursor.eat(b' ') {
        let name = cursor.atom();
        if name.is_empty() {
            return Err("ENABLE: a capability is expected");
        }
        if names.len() == limits::IMAP_ENABLE {
            return Err("ENABLE: too many capabilities");
        }
        names.push(ascii(&name.to_ascii_uppercase()));
    }
    if names.is_empty() {
        return Err("ENABLE: a capability is expected");
    }
    Ok(Command::Enable(names))
}
