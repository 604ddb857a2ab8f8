//! Plays `scripts/smtp_client/*.txt`: the SMTP client session, at every split. The grammar is in `pillarbox_tests::script`; `C:` is
//! what the peer, here the server, sends.
//!
//! ```text
//! SET: tls never|required|implicit     default: opportunistic
//! SET: login user password             to log in with
//! ```

use std::path::Path;

use pillarbox_core::secret::Secret;
use pillarbox_core::smtp::client::Session;
use pillarbox_core::smtp::client::ask::{Credentials, Settings, TlsUse};
use pillarbox_core::time::Now;
use pillarbox_tests::script;

fn make(now: Now, script: &script::Settings) -> Session {
    for name in script.names() {
        assert!(["tls", "login"].contains(&name), "unknown setting: {name}");
    }
    let settings = Settings {
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
    Session::new(settings, 1, now)
}

#[test]
fn scripts() {
    script::play_directory(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/smtp_client"), make);
}
