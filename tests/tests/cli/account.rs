//! `account`, with the server stopped; with one running, see [`super::demo`].

use super::Folder;

const CONFIG: &str = "\
hostname = \"mx.one.test\"
data_dir = \"data\"
[[domain]]
name = \"one.test\"
";

#[test]
fn accounts_are_added_listed_and_removed() {
    let folder = Folder::new("account");
    folder.write("pillarbox.toml", CONFIG);
    let mut told = String::new();
    for (arguments, input) in [
        (&["account", "list"][..], ""),
        (&["account", "add", "Alice@one.test", "--password-stdin"], "correct horse\n"),
        (&["account", "add", "bob@one.test", "--password-stdin"], "pässword\n"),
        (&["account", "add", "alice@ONE.test", "--password-stdin"], "other\n"),
        (&["account", "add", "carol@two.test"], ""),
        (&["account", "add", "a+b@one.test"], ""),
        (&["account", "add", "dave@one.test", "--password-stdin"], "\n"),
        (&["account", "remove", "carol@one.test"], ""),
        (&["account", "remove", "bob@one.test"], ""),
        (&["account", "password", "bob@one.test", "--password-stdin"], "new\n"),
        (&["account", "list"], ""),
    ] {
        told.push_str(&format!(
            "$ pillarbox {}\n{}\n",
            arguments.join(" "),
            folder.shown(arguments, input)
        ));
    }
    insta::assert_snapshot!("account", told);
    let list = folder.run(&["account", "list", "--json"], "");
    let list = String::from_utf8(list.stdout).expect("UTF-8");
    assert!(
        list.contains("\"address\": \"Alice@one.test\"") && list.contains("\"scram\": true"),
        "{list}"
    );
    assert!(list.contains("\"state\": \"removed\", \"scram\": false"), "{list}");
}

#[test]
fn a_password_is_made_when_none_is_given_and_never_kept_in_the_clear() {
    use std::os::unix::fs::PermissionsExt;
    let folder = Folder::new("password");
    folder.write("pillarbox.toml", CONFIG);
    let shown = folder.shown(&["account", "add", "alice@one.test"], "");
    let password = shown
        .strip_prefix("password: ")
        .and_then(|rest| rest.split('\n').next())
        .expect("a password");
    assert_eq!(password.len(), 23, "{password}");
    let path = folder.0.join("data/accounts");
    let file = std::fs::read_to_string(&path).expect("the file");
    assert!(
        file.contains("$argon2id$") && file.contains("SCRAM-SHA-256$4096:") && !file.contains(password),
        "{file}"
    );
    let mode = std::fs::metadata(&path).expect("the file").permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn a_removed_account_keeps_its_mail_and_can_be_taken_back() {
    let folder = Folder::new("back");
    folder.write("pillarbox.toml", CONFIG);
    let id = |folder: &Folder| {
        let list = String::from_utf8(folder.run(&["account", "list", "--json"], "").stdout).expect("UTF-8");
        list.split("\"account\": ").nth(1).expect("an account")[..34].to_string()
    };
    for arguments in [["account", "add", "alice@one.test"], ["account", "remove", "alice@one.test"]] {
        assert_eq!(folder.run(&arguments, "").status.code(), Some(0));
    }
    let before = id(&folder);
    assert_eq!(folder.run(&["account", "add", "alice@one.test"], "").status.code(), Some(0));
    assert_eq!(id(&folder), before);
}

#[test]
fn a_damaged_accounts_file_is_told_and_left_alone() {
    let folder = Folder::new("damaged");
    folder.write("pillarbox.toml", CONFIG);
    std::fs::create_dir(folder.0.join("data")).expect("a folder");
    folder.write("data/accounts", "pillarbox accounts 1\naccount nonsense\n");
    let shown = folder.shown(&["account", "add", "alice@one.test"], "");
    assert!(shown.contains("accounts, line 2") && shown.ends_with("[exit 65]"), "{shown}");
    let kept = std::fs::read_to_string(folder.0.join("data/accounts")).expect("the file");
    assert_eq!(kept, "pillarbox accounts 1\naccount nonsense\n");
}

#[test]
fn root_leaves_no_file_that_the_servers_user_cannot_read() {
    use std::os::unix::fs::{MetadataExt, chown};
    let folder = Folder::new("owner");
    folder.write("pillarbox.toml", CONFIG);
    let data = folder.0.join("data");
    std::fs::create_dir(&data).expect("a folder");
    if chown(&data, Some(65534), Some(65534)).is_err() {
        eprintln!("SKIPPED: this test needs root, to make a folder somebody else's");
        return;
    }
    let added = folder.run(&["account", "add", "alice@one.test"], "");
    assert!(added.status.success(), "{}", String::from_utf8_lossy(&added.stderr));
    for file in std::fs::read_dir(&data).expect("the folder").flatten() {
        let metadata = file.metadata().expect("a file");
        assert_eq!((metadata.uid(), metadata.gid()), (65534, 65534), "{}", file.path().display());
    }
}
