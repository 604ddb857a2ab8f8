//! PLAIN (RFC 4616).

use alloc::string::String;

use crate::secret::Secret;

/// What a client says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plain {
    /// Who logs in.
    pub login: String,
    /// With which password.
    pub password: Secret,
}

/// Reads a client's message. An authorisation identity must be empty or the login itself: nobody acts for another here.
///
/// ```text
/// message = [authzid] UTF8NUL authcid UTF8NUL passwd
/// ```
pub fn parse(message: &[u8]) -> Option<Plain> {
    let text = core::str::from_utf8(message).ok()?;
    let mut parts = text.split('\0');
    let (authzid, login, password) = (parts.next()?, parts.next()?, parts.next()?);
    let whole =
        parts.next().is_none() && !login.is_empty() && !password.is_empty() && login.len() <= 255 && password.len() <= 1024;
    let own = authzid.is_empty() || authzid == login;
    (whole && own).then(|| Plain {
        login: login.into(),
        password: Secret::new(password.into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc_4616_examples() {
        let plain = parse(b"\0tim\0tanstaaftanstaaf").unwrap();
        assert_eq!((plain.login.as_str(), plain.password.reveal()), ("tim", "tanstaaftanstaaf"));
        assert_eq!(parse(b"Ursel\0Kurt\0xipj3plmq"), None, "for another");
        assert!(parse(b"Kurt\0Kurt\0xipj3plmq").is_some());
        for bad in [&b""[..], b"tim", b"\0tim", b"\0\0x", b"\0tim\0", b"\0a\0b\0c", b"\0\xff\0x"] {
            assert_eq!(parse(bad), None);
        }
    }
}
