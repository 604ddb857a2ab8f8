//! `check`: what it says of good and bad files.

use super::Folder;

const GOOD: &str = "\
hostname = \"mx.one.test\"
data_dir = \"data\"
postmaster = \"alice@one.test\"

[[domain]]
name = \"one.test\"

[[listener]]
protocol = \"smtp\"
address = [\"127.0.0.1:2525\", \"[::1]:2525\"]
proxy_protocol = [\"127.0.0.1\"]

[dns]
servers = [\"127.0.0.1:5353\", \"::1\"]

[limits]
message = \"10M\"
";

const BAD: &str = "\
hostnme = \"mx.one.test\"
data_dir = 7

[[domain]]
name = \"one..test\"

[[listener]]
protocol = \"smpt\"
address = \"127.0.0.1\"

[[listener]]
protocol = \"lmtp\"

[auth]
scram = \"auto\"

[delivery]
smarthost = \"smtp.isp.test\"
retry = [\"5 minutes\"]

[limits]
message = \"50 megabytes\"
";

#[test]
fn every_error_shows_its_line_and_what_to_do() {
    let folder = Folder::new("bad");
    folder.write("pillarbox.toml", BAD);
    insta::assert_snapshot!("check_bad", folder.shown(&["check"], ""));
    folder.write("pillarbox.toml", "hostname = \"mx.one.test\n[[domain]]\n");
    insta::assert_snapshot!("check_not_toml", folder.shown(&["check"], ""));
}

#[test]
fn what_is_in_force_is_shown_with_its_origin() {
    let folder = Folder::new("good");
    folder.write("mail.toml", GOOD);
    insta::assert_snapshot!(
        "check_effective",
        folder.shown(&["check", "-c", "mail.toml", "--effective"], "")
    );
    insta::assert_snapshot!("check_good", folder.shown(&["check", "-c", "mail.toml"], ""));
}

#[test]
fn the_example_passes_its_own_check() {
    let folder = Folder::new("example");
    let example = folder.run(&["check", "--example"], "");
    folder.write("pillarbox.toml", &String::from_utf8(example.stdout).expect("UTF-8"));
    assert_eq!(folder.run(&["check"], "").status.code(), Some(0));
}

#[test]
fn a_server_does_not_start_without_a_good_file() {
    let folder = Folder::new("none");
    let shown = folder.shown(&["serve"], "");
    assert!(shown.contains("no configuration") && shown.ends_with("[exit 78]"), "{shown}");
    folder.write("pillarbox.toml", BAD);
    assert_eq!(folder.run(&["serve"], "").status.code(), Some(78));
}

#[test]
fn a_key_that_everybody_can_read_is_an_error() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("key");
    folder.write("cert.pem", "");
    folder.write("key.pem", "");
    folder.write(
        "pillarbox.toml",
        &format!("{GOOD}[tls]\ncertificate = \"cert.pem\"\nkey = \"key.pem\"\n"),
    );
    let mode = |mode| std::fs::set_permissions(folder.0.join("key.pem"), std::fs::Permissions::from_mode(mode)).expect("ours");
    mode(0o644);
    assert!(
        folder
            .shown(&["check"], "")
            .contains("tls.key: FOLDER/key.pem can be read by everybody")
    );
    mode(0o640);
    assert_eq!(folder.run(&["check"], "").status.code(), Some(0));
}

#[test]
fn a_password_file_is_read_only_when_nobody_else_can() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("secret");
    let smarthost =
        "[delivery]\nsmarthost = \"smtp.isp.test:465\"\nsmarthost_user = \"me\"\nsmarthost_password_file = \"secret\"\n";
    folder.write("pillarbox.toml", &format!("{GOOD}{smarthost}"));
    let told = |what: &str| {
        for command in ["check", "serve"] {
            let shown = folder.shown(&[command], "");
            let wanted = format!("delivery.smarthost_password_file: FOLDER/secret{what}");
            assert!(shown.contains(&wanted) && shown.ends_with("[exit 78]"), "{command}: {shown}");
        }
    };
    told(": No such file");
    folder.write("secret", "\n");
    let mode = |mode| std::fs::set_permissions(folder.0.join("secret"), std::fs::Permissions::from_mode(mode)).expect("ours");
    mode(0o604);
    told(" can be read by everybody");
    mode(0o600);
    told(": its first line is empty");
    folder.write("secret", "open sesame\n");
    assert_eq!(folder.run(&["check"], "").status.code(), Some(0));
    folder.write("pillarbox.toml", &format!("{GOOD}{smarthost}[tls]\nroots = \"secret\"\n"));
    let shown = folder.shown(&["check"], "");
    assert!(shown.contains("tls.roots: FOLDER/secret: no certificate in it"), "{shown}");
}
