//! Secrets: wiped when dropped, never printed, never recorded.

use alloc::string::String;
use alloc::vec::Vec;
use zeroize::Zeroize;

use crate::record::{Malformed, Reader, Record};

/// A password or key. `Debug` shows nothing of it; a recording keeps only a placeholder.
#[derive(Clone, Default)]
pub struct Secret(String);

impl Secret {
    /// Takes a secret over.
    pub fn new(text: String) -> Self {
        Secret(text)
    }

    /// The secret itself: only for the code that checks it.
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        self.0.zeroize();
    }
}

/// In constant time over equal lengths.
impl PartialEq for Secret {
    fn eq(&self, other: &Self) -> bool {
        use subtle::ConstantTimeEq;
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}
impl Eq for Secret {}

impl core::fmt::Debug for Secret {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str("Secret(…)")
    }
}

/// The recorded form is empty: the *answer* to the question that carries a secret is recorded, so a replay never needs it.
impl Record for Secret {
    fn encode(&self, _: &mut Vec<u8>) {}
    fn decode(_: &mut Reader<'_>) -> Result<Self, Malformed> {
        Ok(Secret::default())
    }
}
