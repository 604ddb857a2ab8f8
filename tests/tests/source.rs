//! What the source itself must keep to.

use pillarbox_tests::sources::{files, root, text};

/// Every map whose keys a peer may choose is an ordered one: there are no collisions to be flooded with. Nothing in the server hashes
/// with a hasher of its own choice either.
#[test]
fn s62_no_map_hashes_what_peers_choose() {
    let files: Vec<_> = ["core/src", "adapters/src"]
        .iter()
        .flat_map(|part| files(part, "rs"))
        .collect();
    assert!(files.len() > 100, "the sources are where they are looked for");
    for file in files {
        let text = text(&file);
        for name in ["HashMap", "HashSet", "BuildHasher", "DefaultHasher"] {
            assert!(!text.contains(name), "{} has a {name}", file.display());
        }
    }
}

/// S12: nothing is executed, and no text from outside is expanded: there is no name in the server's code that starts a program.
#[test]
fn s12_nothing_is_executed() {
    for file in ["core/src", "adapters/src"].iter().flat_map(|part| files(part, "rs")) {
        let text = text(&file);
        for name in ["process::Command", "Command::new(", "execve", "fork(", "system("] {
            let own = name == "Command::new(" && text.contains("clap::");
            assert!(own || !text.contains(name), "{} has {name}", file.display());
        }
    }
}

/// S37: no code of the core is unsafe, and the compiler holds it to that.
#[test]
fn s37_the_core_has_no_unsafe_code() {
    assert!(text(&root().join("core/src/lib.rs")).contains("#![forbid(unsafe_code)]"));
    for file in files("core/src", "rs") {
        assert!(!text(&file).contains("unsafe {"), "{}", file.display());
    }
}

/// S39: nothing backtracks: there is no engine for patterns in the server. S65: no RSA of our own. S71: no crate that is abandoned, or that
/// had holes in the versions that are locked.
#[test]
fn s39_s65_s71_crates_that_are_not_in_the_server() {
    let lock = text(&root().join("Cargo.lock"));
    let mut packages = Vec::new();
    for package in lock.split("[[package]]").skip(1) {
        let value = |key: &str| package.lines().find_map(|line| line.strip_prefix(key)?.strip_suffix('"'));
        let name = value("name = \"").expect("a name");
        packages.push(name);
        // From the registry with a checksum, or our own.
        assert!(
            value("checksum = \"").is_some() || name.starts_with("pillarbox"),
            "{name} is pinned"
        );
    }
    assert!(packages.len() > 100, "the lock is where it is looked for");
    for name in [
        "regex",
        "regex-automata",
        "fancy-regex",
        "rsa",
        "async-std",
        "memmap2",
        "mail-internals",
        "trust-dns-proto",
        "openssl",
    ] {
        assert!(!packages.contains(&name), "{name}");
    }
}
