//! Plays `scripts/imap/*.txt`: the IMAP server session, at every split. The grammar is in `pillarbox_tests::script`, the settings are in its
//! `machines`.

use std::path::Path;

use pillarbox_tests::script;

#[test]
fn imap_scripts() {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/imap");
    script::play_directory(&directory, script::machines::imap_server);
}
