//! `alias`, with the server stopped.

use super::Folder;

const CONFIG: &str = "\
hostname = \"mx.one.test\"
data_dir = \"data\"
[[domain]]
name = \"one.test\"
";

#[test]
fn aliases_are_added_listed_and_removed() {
    let folder = Folder::new("alias");
    folder.write("pillarbox.toml", CONFIG);
    for person in ["alice@one.test", "bob@one.test"] {
        assert!(
            folder
                .run(&["account", "add", person, "--password-stdin"], "correct horse\n")
                .status
                .success()
        );
    }
    let mut told = String::new();
    for arguments in [
        &["alias", "list"][..],
        &["alias", "add", "team@one.test", "alice@one.test", "Bob@one.test"],
        &["alias", "add", "TEAM@one.test", "x@else.test", "alice@one.test"],
        &["alias", "add", "@one.test", "alice@one.test"],
        &["alias", "add", "alice@one.test", "alice@one.test", "alice@else.test"],
        &["alias", "add", "root@mx.one.test", "alice+root@one.test"],
        &["alias", "add", "x@two.test", "alice@one.test"],
        &["alias", "add", "@mx.one.test", "alice@one.test"],
        &["alias", "add", "y@one.test", "|/bin/cat"],
        &["alias", "add", "y@one.test", "no address"],
        &["alias", "add", "y@one.test"],
        &["alias", "list"],
        &["alias", "list", "--json"],
        &["alias", "remove", "team@one.test", "x@else.test"],
        &["alias", "remove", "team@one.test", "x@else.test"],
        &["alias", "remove", "@one.test"],
        &["alias", "remove", "@one.test"],
        &["alias", "add", "z@one.test", "nobody@one.test"],
        &["account", "list"],
        &["alias", "list"],
    ] {
        told.push_str(&format!(
            "$ pillarbox {}\n{}\n",
            arguments.join(" "),
            folder.shown(arguments, "")
        ));
    }
    insta::assert_snapshot!("alias", told);
}
