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

use std::collections::BTreeSet;
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

/// Every reply that the session's sources can make is in a script: a code and its enhanced status code, as `(550, [5, 1, 1]`.
#[test]
fn every_reply_has_a_script() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = |directory: &Path| -> String {
        let entries = std::fs::read_dir(directory)
            .expect("a directory")
            .map(|entry| entry.expect("an entry").path());
        entries
            .filter(|path| path.is_file())
            .map(|path| std::fs::read_to_string(path).expect("text"))
            .collect()
    };
    let sources = text(&root.join("../core/src/smtp/server"));
    let scripts = text(&root.join("scripts/smtp"));
    let mut seen = BTreeSet::new();
    for (at, _) in sources.match_indices(", [") {
        let code = sources[..at].bytes().rev().take_while(u8::is_ascii_digit).count();
        let Some((status, _)) = sources[at + 3..].split_once(']') else {
            continue;
        };
        if code == 3 && status.len() == 7 {
            seen.insert(format!("{} {}", &sources[at - 3..at], status.replace(", ", ".")));
        }
    }
    assert!(seen.len() >= 30, "the sources are read as they are written: {seen:?}");
    let missing: Vec<&String> = seen
        .iter()
        .filter(|reply| !scripts.contains(&format!("S: {reply} ")))
        .collect();
    assert_eq!(missing, Vec::<&String>::new(), "no script has these replies");
}
