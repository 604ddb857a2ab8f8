//! Plays `scripts/smtp_client/*.txt`: the SMTP client session, at every split. The grammar is in `pillarbox_tests::script`, the settings are in its
//! `machines`.

use std::path::Path;

use pillarbox_tests::script;

#[test]
fn scripts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/smtp_client");
    script::play_directory(&directory, script::machines::smtp_client);
}
