//! What `--help` teaches.

use super::Folder;

#[test]
fn help_teaches() {
    let folder = Folder::new("help");
    insta::assert_snapshot!("help", folder.shown(&["--help"], ""));
    insta::assert_snapshot!("help_demo", folder.shown(&["demo", "--help"], ""));
    insta::assert_snapshot!("help_serve", folder.shown(&["serve", "--help"], ""));
    insta::assert_snapshot!("help_check", folder.shown(&["check", "--help"], ""));
    insta::assert_snapshot!("help_account", folder.shown(&["account", "--help"], ""));
    insta::assert_snapshot!("help_dns", folder.shown(&["dns", "--help"], ""));
    insta::assert_snapshot!("help_account_add", folder.shown(&["account", "add", "--help"], ""));
}

#[test]
fn a_wrong_command_line_is_exit_64() {
    let folder = Folder::new("usage");
    for arguments in [
        &["accuont"][..],
        &[],
        &["serve", "--port", "1"],
        &["demo", "--port-base", "65000"],
    ] {
        assert_eq!(folder.run(arguments, "").status.code(), Some(64), "{arguments:?}");
    }
}
