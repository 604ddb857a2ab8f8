//! Every reply code that the servers can send is said by at least one script: what nobody plays, nobody has looked at.

use std::collections::BTreeSet;

use pillarbox_tests::sources::{files, root, text};

/// SMTP: each code with its enhanced status code, as the sources write them: `550, [5, 7, 1]`.
#[test]
fn every_smtp_reply_is_in_a_script() {
    let played = replies("tests/scripts/smtp");
    let mut written = BTreeSet::new();
    for source in ["core/src/smtp/server", "core/src/policy"]
        .iter()
        .flat_map(|part| files(part, "rs"))
    {
        let text = text(&source);
        for (at, _) in text.match_indices(", [") {
            let code = text[..at]
                .get(at.saturating_sub(3)..)
                .filter(|code| code.bytes().all(|byte| byte.is_ascii_digit()));
            let status = text[at + 3..]
                .split(']')
                .next()
                .filter(|status| status.split(", ").count() == 3);
            if let (Some(code), Some(status)) = (code, status) {
                written.insert(format!("{code} {}", status.replace(", ", ".")));
            }
        }
    }
    assert!(written.len() > 30, "the sources are read: {written:?}");
    let missing: Vec<&String> = written.iter().filter(|reply| !played.contains(*reply)).collect();
    assert!(missing.is_empty(), "no script says {missing:?}");
}

/// IMAP: each response code, as the table in `imap/response/status.rs` has them, if anything makes it.
#[test]
fn every_imap_response_code_is_in_a_script() {
    let table = text(&root().join("core/src/imap/response/status.rs"));
    let server: String = files("core/src/imap", "rs")
        .iter()
        .filter(|path| !path.ends_with("response/status.rs") && !path.ends_with("tests.rs"))
        .map(|path| text(path))
        .collect();
    let said: String = files("tests/scripts/imap", "txt").iter().map(|path| text(path)).collect();
    let (mut made, mut missing) = (0, Vec::new());
    for line in table
        .lines()
        .map(str::trim)
        .filter(|line| line.starts_with("Code::") && line.contains("=> \""))
    {
        let (variant, name) = line.split_once(" => \"").expect("both are there");
        if !server.contains(variant) {
            continue;
        }
        made += 1;
        let name = name.split(['"', ' ']).next().expect("a name");
        if !said.contains(&format!("[{name}")) {
            missing.push(name.to_owned());
        }
    }
    assert!(made > 12, "the table is read");
    assert!(missing.is_empty(), "no script says {missing:?}");
}

/// `S: 550 5.7.1 …` and `S: 550-5.7.1 …` as `550 5.7.1`.
fn replies(scripts: &str) -> BTreeSet<String> {
    let mut replies = BTreeSet::new();
    for script in files(scripts, "txt") {
        let text = text(&script);
        for reply in text.lines().filter_map(|line| line.strip_prefix("S: ")) {
            let Some((code, rest)) = reply.split_at_checked(3) else {
                continue;
            };
            let status = rest.get(1..).and_then(|rest| rest.split(' ').next()).unwrap_or_default();
            replies.insert(format!("{code} {status}"));
        }
    }
    replies
}
