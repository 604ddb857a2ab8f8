//! `pillarbox explain`.

use super::Folder;

const CONFIG: &str = "\
hostname = \"mx.example.test\"
postmaster = \"alice@example.test\"
data_dir = \"data\"

[[domain]]
name = \"example.test\"

[[route]]
recipient_domain = \"relay.test\"
host = \"192.0.2.1:2525\"
tls = \"opportunistic\"
";

fn folder(name: &str) -> Folder {
    let folder = Folder::new(name);
    folder.write("pillarbox.toml", CONFIG);
    let made = folder.shown(
        &["account", "add", "alice@example.test", "--password-stdin"],
        "a long password\n",
    );
    assert!(made.ends_with("[exit 0]"), "{made}");
    folder
}

#[test]
fn every_step_has_its_facts_and_reasons() {
    let folder = folder("explain");
    folder.write(
        "letter.eml",
        "From: Alice <alice@example.test>\nSubject: x\n\nFrom: <nobody@example.test>\n",
    );
    folder.write("forged.eml", "From: bob@elsewhere.test\n\ntext\n");
    let (alice, relay) = ("alice@example.test", "bob@relay.test");
    let shown = |arguments: &[&str], input: &str| {
        let shown = folder.shown(&[&["explain"], arguments].concat(), input);
        let ids = shown.split_inclusive(|c: char| !c.is_ascii_hexdigit());
        // Ids are new with each run.
        ids.map(|word| {
            if word.len() > 32 {
                word.replace(&word[..32], "ID")
            } else {
                word.to_string()
            }
        })
        .collect::<String>()
    };
    let said = [
        shown(&["--from", alice, "--to", relay, "--message", "letter.eml"], ""),
        shown(
            &["--from", alice, "--to", relay, "--message", "-"],
            "From: bob@elsewhere.test\r\n\r\n",
        ),
        shown(&["--from", alice, "--to", relay, "--ip", "192.0.2.7"], ""),
        shown(&["--from", "<>", "--to", "Alice+tag@example.test"], ""),
        shown(&["--from", "bob@elsewhere.test", "--to", "nobody@example.test"], ""),
        shown(&["--from", alice, "--to", "x@[127.0.0.1]"], ""),
        shown(&["--from", alice, "--to", "not an address"], ""),
        shown(&["--from", alice, "--to", relay, "--login", "bob@example.test"], ""),
    ];
    insta::assert_snapshot!("explain", said.join("\n\n"));
    let forged = shown(&["--from", alice, "--to", relay, "--message", "forged.eml"], "");
    assert!(
        forged.contains("refused: 550 5.7.1 alice@example.test may not send as bob@elsewhere.test"),
        "{forged}"
    );
}

#[test]
fn for_programs() {
    let folder = folder("explain-json");
    let arguments = ["explain", "--from", "alice@example.test", "--to", "bob@relay.test", "--json"];
    let output = folder.run(&arguments, "");
    let steps: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    assert_eq!(steps.as_array().map(Vec::len), Some(2));
    assert_eq!(steps[0]["code"], serde_json::Value::Null);
    assert_eq!(steps[0]["facts"][0]["question"], "is relay.test ours?");
    assert_eq!(steps[1]["because"][0]["rule"], "route");
    assert_eq!(
        steps[1]["verdict"][0],
        "1. [192.0.2.1] port 2525 at 192.0.2.1: STARTTLS if offered, any certificate (RFC 7435)"
    );
}
