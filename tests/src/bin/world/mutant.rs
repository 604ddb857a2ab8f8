//! Seeded faults as patches: each is put into a copy of the sources, and worlds must fail there.

use std::fs;
use std::io::Result;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Seeds within which a mutant must be caught.
const SEEDS: u64 = 2000;

/// Builds the tree with the patch, and runs worlds in it until one fails. Whether one did.
///
/// # Errors
/// The file system's; that it does not apply or build is one, too.
pub(crate) fn play(patch: &Path) -> Result<bool> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("the workspace is above");
    let tree = root.join("target/world_mutant");
    mirror(root, &tree)?;
    let patch = fs::canonicalize(patch)?;
    run(
        Command::new("patch")
            .args(["-p1", "--batch", "--forward", "--silent", "-i"])
            .arg(&patch),
        &tree,
    )?;
    // A target folder of its own: cargo takes what is built of the copy for what is built of the tree itself, for it looks at paths
    // within a workspace and at times only. What is built already serves the copy, too; links are enough, since no build writes into a
    // file that is there. Not in release: it would build longer than it runs.
    let target = tree.join("target");
    if !target.exists() {
        for built in ["deps", "build", ".fingerprint"] {
            link_all(&root.join("target/debug").join(built), &target.join("debug").join(built))?;
        }
    }
    let cargo = |verb| {
        let mut cargo = Command::new("cargo");
        cargo
            .args([verb, "--quiet", "-p", "pillarbox-tests", "--bin", "world"])
            .env("CARGO_TARGET_DIR", &target)
            .env("CARGO_INCREMENTAL", "1");
        cargo
    };
    run(&mut cargo("build"), &tree)?;
    let worlds = cargo("run")
        .args(["--", "--seeds", &SEEDS.to_string(), "--first", "--no-shrink"])
        .current_dir(&tree)
        .stderr(Stdio::inherit())
        .output()?;
    let said = String::from_utf8_lossy(&worlds.stdout);
    let first = said.lines().find(|line| line.starts_with("seed "));
    match (worlds.status.code(), first) {
        (Some(0), _) => Ok(false),
        (Some(1), Some(first)) => {
            println!("{first}");
            Ok(true)
        }
        (code, _) => Err(std::io::Error::other(format!("worlds ended with {code:?}:\n{said}"))),
    }
}

fn run(command: &mut Command, at: &Path) -> Result<()> {
    let done = command.current_dir(at).output()?;
    match done.status.success() {
        true => Ok(()),
        false => Err(std::io::Error::other(format!(
            "{command:?}:\n{}{}",
            String::from_utf8_lossy(&done.stdout),
            String::from_utf8_lossy(&done.stderr)
        ))),
    }
}

/// Links of all files below a folder, if it is there; with their times, by which cargo knows them.
fn link_all(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let Ok(entries) = fs::read_dir(from) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        let link = to.join(path.file_name().expect("an entry has a name"));
        match path.is_dir() {
            true => link_all(&path, &link)?,
            false => fs::hard_link(&path, &link)?,
        }
    }
    Ok(())
}

/// Makes the copy equal to the tree; what is equal already is not touched, so that only what differs is built again.
fn mirror(from: &Path, to: &Path) -> Result<()> {
    fs::create_dir_all(to)?;
    let skipped = |path: &PathBuf| path.file_name().is_some_and(|name| name == "target" || name == ".git");
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let copy = to.join(path.file_name().expect("an entry has a name"));
        if skipped(&path) || path.is_symlink() {
            continue;
        }
        if path.is_dir() {
            mirror(&path, &copy)?;
            continue;
        }
        let bytes = fs::read(&path)?;
        if fs::read(&copy).ok().as_ref() != Some(&bytes) {
            fs::write(&copy, bytes)?;
        }
    }
    for entry in fs::read_dir(to)? {
        let copy = entry?.path();
        let path = from.join(copy.file_name().expect("an entry has a name"));
        if !path.exists() && copy.is_file() {
            fs::remove_file(copy)?;
        }
    }
    Ok(())
}
