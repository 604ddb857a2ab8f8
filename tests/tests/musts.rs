//! Every MUST of the RFCs in `tests/scripts/musts` has somebody who holds it: a script, a test, or the reason why it is not ours.
//!
//! ```text
//! # 147 sentences of RFC 9051 §6-7 with MUST, and who holds each
//! §6.3.1 | five words of it or more, verbatim | imap/select imap/select_again
//! §6.3.2 | ...                                | test: name_of_a_test
//! §6.3.3 | ...                                | not ours: why
//! ```

use std::collections::BTreeSet;

use pillarbox_tests::sources::{files, root, text};

#[test]
fn every_sentence_has_a_holder() {
    let scripts = root().join("tests/scripts");
    let tables = files("tests/scripts/musts", "txt");
    assert!(!tables.is_empty(), "there are tables");
    let sources: String = ["core/src", "adapters/src", "tests/tests"]
        .iter()
        .flat_map(|part| files(part, "rs"))
        .map(|path| text(&path))
        .collect();
    for table in tables {
        let text = text(&table);
        let name = table.file_name().expect("a name").to_string_lossy().into_owned();
        let said = text.strip_prefix("# ").and_then(|text| text.split(' ').next()?.parse().ok());
        let (mut seen, mut count) = (BTreeSet::new(), 0_usize);
        for line in text.lines().filter(|line| !line.starts_with('#') && !line.is_empty()) {
            count += 1;
            let [section, quote, holder] = line.split(" | ").collect::<Vec<_>>()[..] else {
                panic!("{name}: not three fields: {line}");
            };
            assert!(section.starts_with('§'), "{name}: no section: {line}");
            assert!(quote.split(' ').count() >= 5, "{name}: fewer than five words: {line}");
            assert!(seen.insert((section, quote)), "{name}: twice: {line}");
            if let Some(reason) = holder.strip_prefix("not ours: ") {
                assert!(!reason.is_empty(), "{name}: no reason: {line}");
            } else if let Some(tests) = holder.strip_prefix("test: ") {
                for test in tests.split(' ') {
                    assert!(sources.contains(&format!("fn {test}(")), "{name}: there is no test {test}");
                }
            } else {
                for script in holder.split(' ') {
                    let path = scripts.join(format!("{script}.txt"));
                    assert!(path.is_file(), "{name}: there is no script {script}: {line}");
                }
            }
        }
        assert_eq!(said, Some(count), "{name}: its first line counts its sentences");
        assert!(count > 20, "{name}: a table");
    }
}
