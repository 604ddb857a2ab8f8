//! Every committed seed of the fuzzers, through the same oracles; and what the peers of the scripts say, too.
//!
//! `PILLARBOX_TARGET=smtp_data` runs one target; `PILLARBOX_CORPUS=folder` adds the files of a folder (`fuzz/coverage.py` does both).
#![cfg(feature = "server")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use pillarbox_fuzz::TARGETS;
use pillarbox_tests::script::Script;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace")
        .join("fuzz")
}

#[test]
fn every_seed_holds() {
    let only = std::env::var("PILLARBOX_TARGET").ok();
    for (name, run) in TARGETS
        .iter()
        .filter(|(name, _)| only.as_deref().is_none_or(|only| only == *name))
    {
        let mut seeds = files(&fuzz().join("seeds").join(name));
        assert!(!seeds.is_empty(), "{name} has seeds");
        if let Some(corpus) = std::env::var_os("PILLARBOX_CORPUS") {
            seeds.extend(files(Path::new(&corpus)));
        }
        for seed in seeds {
            println!("{}", seed.display()); // shown when it fails
            run(&fs::read(seed).expect("a seed"));
        }
    }
}

/// What peers say in the scripts, over every kind of listener.
#[test]
fn what_the_peers_of_scripts_say_holds() {
    if std::env::var_os("PILLARBOX_TARGET").is_some() {
        return;
    }
    for (folder, target) in [("smtp", "smtp_session"), ("imap", "imap_session")] {
        let (_, run) = TARGETS.iter().find(|(name, _)| *name == target).expect("a target");
        let scripts = files(&Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts").join(folder));
        assert!(scripts.len() > 50, "the scripts are where they are looked for");
        for path in scripts {
            let script = Script::parse(&path.display().to_string(), &fs::read_to_string(&path).expect("a script"));
            let script = script.expect("a script");
            let said: Vec<u8> = script.peer().flatten().copied().take(4000).collect();
            for steer in [0x1f, 0x3b, 0x40, 0xda] {
                println!("{} {steer}", path.display());
                run(&[&[steer], &b"0100\n"[..], &said].concat());
            }
        }
    }
}

/// `targets.txt`, `targets/`, `seeds/` and the dictionaries name the same targets.
#[test]
fn every_target_is_complete() {
    let names: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_string()).collect();
    assert_eq!(names.len(), TARGETS.len());
    let stems = |folder: &str| -> BTreeSet<String> {
        let entries = fs::read_dir(fuzz().join(folder)).expect("a folder");
        let stem = |path: PathBuf| path.file_stem().expect("a name").to_string_lossy().into_owned();
        entries.map(|entry| stem(entry.expect("an entry").path())).collect()
    };
    assert_eq!(stems("targets"), names);
    assert_eq!(stems("seeds"), names);
    let table = fs::read_to_string(fuzz().join("targets.txt")).expect("a table");
    let mut listed = BTreeSet::new();
    for line in table.lines().filter(|line| !line.starts_with('#')) {
        let mut words = line.split_whitespace();
        let (name, dictionary) = (words.next().expect("a target"), words.next().expect("a dictionary or -"));
        let length: u64 = words.next().and_then(|word| word.parse().ok()).expect("a length");
        listed.insert(name.to_string());
        for seed in files(&fuzz().join("seeds").join(name)) {
            assert!(fs::metadata(&seed).expect("a seed").len() <= length, "{}", seed.display());
        }
        assert!(
            dictionary == "-" || fuzz().join(format!("dictionaries/{dictionary}.dict")).is_file(),
            "{line}"
        );
        for place in words.filter(|place| *place != "-") {
            assert!(fuzz().join("..").join(place.trim_start_matches('!')).exists(), "{line}");
        }
    }
    assert_eq!(listed, names);
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.expect("an entry").path()).collect();
    found.retain(|path| path.is_file());
    found.sort();
    found
}
