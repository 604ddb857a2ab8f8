//! Plays `scripts/smtp/*.txt`: the SMTP server session, at every split. The grammar is in `pillarbox_tests::script`.
//!
//! ```text
//! SET: submission        a listener for submission (587); default: relay (25)
//! SET: tls               the stream is encrypted from the start (465), and STARTTLS is not offered
//! SET: plain             no STARTTLS
//! SET: plaintext_auth    the peer may log in without TLS
//! SET: scram             every account has keys for SCRAM
//! SET: max 1000          the largest message
//! ```

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use pillarbox_core::limits;
use pillarbox_core::smtp::server::Session;
use pillarbox_core::smtp::server::ask::{Peer, Settings, TlsEvidence};
use pillarbox_core::time::Now;
use pillarbox_tests::script;

fn make(now: Now, script: &script::Settings) -> Session {
    for name in script.names() {
        let known = ["submission", "tls", "plain", "plaintext_auth", "scram", "max"];
        assert!(known.contains(&name), "unknown setting: {name}");
    }
    let settings = Settings {
        hostname: "mx.one.test".into(),
        submission: script.has("submission"),
        starttls: !script.has("tls") && !script.has("plain"),
        plaintext_auth: script.has("plaintext_auth"),
        scram: script.has("scram"),
        message_max: script
            .value("max")
            .map_or(limits::MESSAGE, |max| max.parse().expect("max is a number")),
    };
    let peer = Peer {
        ip: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        port: 49_152,
    };
    let tls = script.has("tls").then(|| TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
    });
    Session::new(Arc::new(settings), peer, tls, 1, [7; 16], now)
}

#[test]
fn scripts() {
    script::play_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/smtp"), make);
}
