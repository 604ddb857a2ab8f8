//! LOGIN and AUTHENTICATE.

use super::Command;
use super::cursor::{Cursor, Wrong, ascii, utf8};
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
