//! Passwords: Argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane).

use argon2::{Algorithm, Argon2, Params, PasswordHasher, PasswordVerifier, Version};

use crate::env::PasswordHash;

pub(super) struct Argon2id(Argon2<'static>);

impl Default for Argon2id {
    fn default() -> Self {
        let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within Argon2's bounds");
        Argon2id(Argon2::new(Algorithm::Argon2id, Version::V0x13, params))
    }
}

impl PasswordHash for Argon2id {
    fn hash(&self, password: &str, salt: &[u8; 16]) -> String {
        let hash = self.0.hash_password_with_salt(password.as_bytes(), salt);
        hash.expect("16 octets are a salt, and any text is a password").to_string()
    }

    /// The parameters are those of the hash, so that older hashes stay good.
    fn verify(&self, password: &str, hash: &str) -> bool {
        self.0.verify_password(password.as_bytes(), hash).is_ok()
    }
}
