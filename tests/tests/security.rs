//! `core/SECURITY.md`: every id of what exists has a row, every name in it exists, and every test that carries an id stands in its row.
#![cfg(feature = "server")]

use std::collections::{BTreeMap, BTreeSet};

use pillarbox_fuzz::TARGETS;
use pillarbox_tests::sources::{files, root, text};

/// The ids of what is not there yet.
const NOT_YET: [&str; 8] = ["S50", "S51", "S52", "S53", "S56", "S57", "S61", "S67"];

#[test]
fn every_attack_has_a_test() {
    let tests = tests();
    let scripts: BTreeSet<String> = files("tests/scripts", "txt")
        .iter()
        .map(|path| {
            let path = path.strip_prefix(root().join("tests/scripts")).expect("below it");
            path.with_extension("").to_string_lossy().into_owned()
        })
        .collect();
    let exists = |name: &str| match (name.strip_prefix("fuzz/"), name.strip_suffix('*')) {
        (Some("targets.txt"), _) => true,
        (Some(target), _) => TARGETS.iter().any(|(known, _)| *known == target),
        (None, Some(start)) => tests.iter().chain(&scripts).any(|known| known.starts_with(start)),
        (None, None) => tests.contains(name) || scripts.contains(name) || root().join(name).is_file(),
    };
    let document = text(&root().join("core/SECURITY.md"));
    let mut rows = BTreeMap::new();
    for line in document.lines().filter(|line| line.starts_with("| S")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [id, _, held] = cells[..] else {
            panic!("three cells: {line}")
        };
        assert!(rows.insert(id, held).is_none(), "{id} has one row");
        let names: Vec<&str> = held.split('`').skip(1).step_by(2).collect();
        // What is no test: a setting, a limit, a crate.
        let other = ["dns.trust_ad", "PASSWORD_QUEUE", "rsa"];
        for name in names.iter().filter(|name| !other.contains(name)) {
            assert!(exists(name), "{id}: there is no {name}");
        }
        let carries = |name: &&str| ids_of(name).iter().any(|own| own == id);
        assert!(names.iter().any(carries), "{id} has a test of its name");
    }
    let ids = (1..=26).chain(30..=47).chain(50..=71).map(|number| format!("S{number:02}"));
    for id in ids.filter(|id| !NOT_YET.contains(&id.as_str())) {
        assert!(rows.contains_key(id.as_str()), "{id} has a row");
    }
    for name in tests.iter().chain(&scripts) {
        for id in ids_of(name) {
            let held = rows.get(id.as_str()).unwrap_or_else(|| panic!("{name}: {id} has a row"));
            let named = held.split('`').skip(1).step_by(2).any(|known| match known.strip_suffix('*') {
                Some(start) => name.starts_with(start),
                None => known == name,
            });
            assert!(named, "{name} stands in the row of {id}");
        }
    }
}

/// The names of all test functions, near enough.
fn tests() -> BTreeSet<String> {
    let sources = ["core/src", "adapters/src", "tests/tests"]
        .iter()
        .flat_map(|part| files(part, "rs"));
    let mut found = BTreeSet::new();
    for path in sources {
        let source = text(&path);
        found.extend(source.split("fn ").skip(1).map(|rest| {
            let end = rest
                .find(|c: char| !c.is_ascii_alphanumeric() && c != '_')
                .unwrap_or(rest.len());
            rest[..end].to_string()
        }));
    }
    found
}

/// `s35_s36_bombs`, `imap/s42_names`: the ids at the beginning.
fn ids_of(name: &str) -> Vec<String> {
    let (_, name) = name.rsplit_once('/').unwrap_or(("", name));
    let ids = name.split('_').take_while(|word| {
        let digits = word.strip_prefix('s').unwrap_or_default();
        digits.len() == 2 && digits.bytes().all(|byte| byte.is_ascii_digit())
    });
    ids.map(str::to_uppercase).collect()
}
