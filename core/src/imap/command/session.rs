//! LOGIN.

use super::Command;
use super::cursor::{Cursor, Wrong, utf8};
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
