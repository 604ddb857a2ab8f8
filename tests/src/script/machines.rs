//! The machines that the SET lines of scripts ask for.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use pillarbox_core::secret::Secret;
use pillarbox_core::smtp::client::ask::{Credentials, TlsUse};
use pillarbox_core::smtp::server::ask::{Peer, TlsEvidence};
use pillarbox_core::time::Now;
use pillarbox_core::{imap, limits, smtp};

use super::Settings;

/// The SMTP server session:
///
/// ```text
/// SET: submission        a listener for submission (587); default: relay (25)
/// SET: tls               the stream is encrypted from the start (465), and STARTTLS is not offered
/// SET: plain             no STARTTLS
/// SET: plaintext_auth    the peer may log in without TLS
/// SET: scram             every account has keys for SCRAM
/// SET: max 1000          the largest message
/// ```
///
/// # Panics
/// When a setting is unknown; so do the others.
pub fn smtp_server(now: Now, script: &Settings) -> smtp::server::Session {
    known(script, &["submission", "tls", "plain", "plaintext_auth", "scram", "max"]);
    let settings = smtp::server::ask::Settings {
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
    smtp::server::Session::new(Arc::new(settings), peer, tls(script), 1, [7; 16], now)
}

/// The SMTP client session; `C:` is what the peer, here the server, sends.
///
/// ```text
/// SET: tls never|required|implicit     default: opportunistic
/// SET: login user password             to log in with
/// ```
pub fn smtp_client(now: Now, script: &Settings) -> smtp::client::Session {
    known(script, &["tls", "login"]);
    let settings = smtp::client::ask::Settings {
        hostname: "mx.one.test".into(),
        server: "mx.two.test".into(),
        tls: match script.value("tls") {
            None => TlsUse::Opportunistic,
            Some("never") => TlsUse::Never,
            Some("required") => TlsUse::Required,
            Some("implicit") => TlsUse::Implicit,
            Some(other) => panic!("unknown use of TLS: {other}"),
        },
        login: script.value("login").map(|login| {
            let (user, password) = login.split_once(' ').expect("user and password");
            Credentials {
                user: user.into(),
                password: Secret::new(password.into()),
            }
        }),
    };
    smtp::client::Session::new(settings, 1, now)
}

/// The IMAP server session:
///
/// ```text
/// SET: tls           the stream is encrypted
/// SET: starttls      STARTTLS is offered
/// SET: plaintext     passwords in the clear
/// SET: scram         every account has keys for SCRAM
/// SET: max 1000      the largest message
/// ```
pub fn imap_server(now: Now, script: &Settings) -> imap::server::Session {
    known(script, &["tls", "starttls", "plaintext", "scram", "max"]);
    let settings = imap::server::ask::Settings {
        hostname: "mx.one.test".into(),
        starttls: script.has("starttls"),
        plaintext_auth: script.has("plaintext"),
        scram: script.has("scram"),
        message_max: script
            .value("max")
            .map_or(50_000_000, |max| max.parse().expect("max is a number")),
    };
    imap::server::Session::new(Arc::new(settings), tls(script), 7, now)
}

fn known(script: &Settings, names: &[&str]) {
    for name in script.names() {
        assert!(names.contains(&name), "unknown setting: {name}");
    }
}

fn tls(script: &Settings) -> Option<TlsEvidence> {
    script.has("tls").then(|| TlsEvidence {
        version: "TLSv1.3".into(),
        cipher: "TLS_AES_256_GCM_SHA384".into(),
        bits: 256,
    })
}
