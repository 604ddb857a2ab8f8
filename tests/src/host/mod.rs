//! What hosts of sessions answer in tests and benchmarks, each driving its session in its own way.

pub mod inbox;
pub mod smtp;

use pillarbox_core::policy::access::Login;
use pillarbox_core::sasl::ScramSalt;
use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::store::AccountId;

/// A handshake that went well.
pub fn evidence() -> TlsEvidence {
    TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
    }
}

/// Whoever logs in, under this name.
pub fn login(name: String) -> Login {
    Login {
        account: AccountId([1; 16]),
        name,
    }
}

/// What SCRAM begins with.
pub fn scram_salt() -> ScramSalt {
    ScramSalt {
        salt: [1; 16],
        iterations: 4096,
        nonce: [2; 18],
    }
}
