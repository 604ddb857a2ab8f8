//! SCRAM-SHA-256 keys (RFC 5802 §3, RFC 7677): kept beside the password's hash, so that clients may log in without sending it.

use pillarbox_core::bytes::base64;
use pillarbox_core::limits;
use pillarbox_core::sasl::scram::{self, hmac};
use sha2::{Digest, Sha256};

/// What a server keeps of a password for SCRAM-SHA-256.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keys {
    /// Rounds of PBKDF2.
    pub iterations: u32,
    /// Its salt.
    pub salt: [u8; 16],
    /// `H(ClientKey)`.
    pub stored_key: [u8; 32],
    /// `HMAC(SaltedPassword, "Server Key")`.
    pub server_key: [u8; 32],
}

impl Keys {
    /// The keys of a password; `None` when the password has characters that SASLprep (RFC 4013) might change: a client would
    /// then derive other keys.
    pub fn derive(password: &str, salt: [u8; 16]) -> Option<Keys> {
        if !password.bytes().all(|byte| (0x20..0x7f).contains(&byte)) {
            return None;
        }
        Some(Keys::of(password.as_bytes(), salt, limits::SCRAM_ITERATIONS))
    }

    fn of(password: &[u8], salt: [u8; 16], iterations: u32) -> Keys {
        let mut salted = [0; 32];
        pbkdf2::pbkdf2_hmac::<Sha256>(password, &salt, iterations, &mut salted);
        let client_key = hmac(&salted, b"Client Key");
        Keys {
            iterations,
            salt,
            stored_key: Sha256::digest(client_key).into(),
            server_key: hmac(&salted, b"Server Key"),
        }
    }

    /// Keys of nobody: always the same for a name, and of no password (S21).
    pub fn of_nobody(secret: &[u8; 32], name: &str) -> Keys {
        let made = |of: &[u8]| hmac(secret, &[of, name.as_bytes()].concat());
        let mut salt = [0; 16];
        salt.copy_from_slice(&made(b"salt ")[..16]);
        Keys {
            iterations: limits::SCRAM_ITERATIONS,
            salt,
            stored_key: made(b"stored key "),
            server_key: made(b"server key "),
        }
    }

    /// The server's signature, if the proof was made with the password of these keys.
    pub fn check(&self, message: &str, proof: &[u8; 32]) -> Option<[u8; 32]> {
        scram::check(&self.stored_key, &self.server_key, message, proof)
    }

    /// Reads what `Display` writes.
    pub fn parse(text: &str) -> Option<Keys> {
        let rest = text.strip_prefix("SCRAM-SHA-256$")?;
        let (head, keys) = rest.split_once('$')?;
        let (iterations, salt) = head.split_once(':')?;
        let (stored_key, server_key) = keys.split_once(':')?;
        Some(Keys {
            iterations: iterations.parse().ok()?,
            salt: base64::decode(salt.as_bytes())?.try_into().ok()?,
            stored_key: base64::decode(stored_key.as_bytes())?.try_into().ok()?,
            server_key: base64::decode(server_key.as_bytes())?.try_into().ok()?,
        })
    }
}

/// `SCRAM-SHA-256$<iterations>:<salt>$<StoredKey>:<ServerKey>`, as PostgreSQL writes it.
impl std::fmt::Display for Keys {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (salt, stored) = (base64::encode(&self.salt), base64::encode(&self.stored_key));
        let server = base64::encode(&self.server_key);
        write!(f, "SCRAM-SHA-256${}:{salt}${stored}:{server}", self.iterations)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The exchange of RFC 7677 §3, from the server's side: the proof leads to StoredKey, ServerKey to the signature.
    #[test]
    fn the_exchange_of_rfc_7677_fits() {
        let salt = base64::decode(b"W22ZaJ0SNY7soEsUEjb6gQ==").unwrap().try_into().unwrap();
        let keys = Keys::of(b"pencil", salt, 4096);
        let message = "n=user,r=rOprNGfwEbeRWgbNEkqO,\
            r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
            c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0";
        let proof = base64::decode(b"dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=").unwrap();
        let proof = proof.try_into().unwrap();
        let server = keys.check(message, &proof).expect("the password is right");
        assert_eq!(base64::encode(&server), "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=");
        assert_eq!(Keys::of(b"pencil", [0; 16], 4096).check(message, &proof), None);
        assert_eq!(Keys::of_nobody(&[1; 32], "user").check(message, &proof), None);
    }

    #[test]
    fn the_text_form_is_read_back() {
        let keys = Keys::derive("correct horse", [7; 16]).expect("ASCII");
        assert_eq!(Keys::parse(&keys.to_string()), Some(keys));
        assert_eq!(Keys::derive("schlüssel", [7; 16]), None);
        assert_eq!(Keys::parse("SCRAM-SHA-256$4096:AAAA$BBBB:CCCC"), None);
    }
}
