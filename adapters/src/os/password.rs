//! Passwords: Argon2id with the parameters that OWASP recommends (19 MiB, 2 passes, 1 lane).

use std::sync::{Mutex, PoisonError};

use argon2::password_hash::phc::{Output, PasswordHash as Phc};
use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher, Version};

use crate::env::PasswordHash;

pub(super) struct Argon2id {
    argon2: Argon2<'static>,
    /// What checks work in, kept between them, one for each that ran at once. The system's allocator would keep 19 MiB for every
    /// thread that ever ran a check.
    memory: Mutex<Vec<Vec<Block>>>,
}

impl Default for Argon2id {
    fn default() -> Self {
        let params = Params::new(19 * 1024, 2, 1, None).expect("the parameters are within Argon2's bounds");
        Argon2id {
            argon2: Argon2::new(Algorithm::Argon2id, Version::V0x13, params),
            memory: Mutex::default(),
        }
    }
}

impl PasswordHash for Argon2id {
    fn hash(&self, password: &str, salt: &[u8; 16]) -> String {
        let hash = self.argon2.hash_password_with_salt(password.as_bytes(), salt);
        hash.expect("16 octets are a salt, and any text is a password").to_string()
    }

    /// The parameters are those of the hash, so that older hashes stay good.
    fn verify(&self, password: &str, hash: &str) -> bool {
        let Ok(hash) = Phc::new(hash) else { return false };
        let (Some(salt), Some(expected)) = (&hash.salt, &hash.hash) else {
            return false;
        };
        // The comparison of outputs takes the same time for all.
        self.output(&hash, password, salt).is_some_and(|output| output == *expected)
    }
}

impl Argon2id {
    fn output(&self, hash: &Phc, password: &str, salt: &[u8]) -> Option<Output> {
        let params = Params::try_from(hash).ok()?;
        let algorithm = Algorithm::try_from(hash.algorithm.as_str()).ok()?;
        let version = match hash.version {
            Some(version) => Version::try_from(version).ok()?,
            None => Version::V0x13,
        };
        let (blocks, mut out) = (params.block_count(), vec![0; hash.hash.as_ref()?.len()]);
        let mut memory = self.free().pop().unwrap_or_default();
        memory.resize(blocks, Block::new());
        let argon2 = Argon2::new(algorithm, version, params);
        let done = argon2.hash_password_into_with_memory(password.as_bytes(), salt, &mut out, &mut memory);
        self.free().push(memory);
        done.ok()?;
        Output::new(&out).ok()
    }

    fn free(&self) -> std::sync::MutexGuard<'_, Vec<Vec<Block>>> {
        self.memory.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
