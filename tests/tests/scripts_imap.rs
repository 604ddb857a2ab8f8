//! The scripts of the IMAP server session, at every split.

use std::path::Path;
use std::sync::Arc;

use pillarbox_core::imap::server::Session;
use pillarbox_core::imap::server::ask::Settings as Listener;
use pillarbox_core::smtp::server::ask::TlsEvidence;
use pillarbox_core::time::Now;
use pillarbox_tests::script::{Settings, play_directory};

/// `SET: tls`: the stream is encrypted; `SET: starttls`: STARTTLS is offered; `SET: plaintext`: passwords in the clear;
/// `SET: scram`: every account has keys for SCRAM; `SET: max n`: the largest message.
fn session(now: Now, settings: &Settings) -> Session {
    let known = ["tls", "starttls", "plaintext", "scram", "max"];
    assert!(settings.names().all(|name| known.contains(&name)), "an unknown setting");
    let listener = Listener {
        hostname: "mx.one.test".into(),
        starttls: settings.has("starttls"),
        plaintext_auth: settings.has("plaintext"),
        scram: settings.has("scram"),
        message_max: settings.value("max").map_or(50_000_000, |max| max.parse().unwrap()),
    };
    let tls = settings.has("tls").then(|| TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
    });
    Session::new(Arc::new(listener), tls, 7, now)
}

#[test]
fn imap_scripts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/imap");
    play_directory(&directory, session);
}
