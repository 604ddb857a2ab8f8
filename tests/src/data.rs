//! Real messages and recorded answers, for tests that compare with them: `PILLARBOX_TEST_DATA`, or `shared/data` beside the workspace.

use std::path::{Path, PathBuf};

/// Where they are, if they are there; a test without them says so loudly.
pub fn folder() -> PathBuf {
    let beside = || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared/data");
    std::env::var_os("PILLARBOX_TEST_DATA").map_or_else(beside, PathBuf::from)
}

/// Says that a test compares with nothing.
pub fn is_missing() {
    println!("SKIPPED: no test data at {} (set PILLARBOX_TEST_DATA)", folder().display());
}

/// All files below a folder of it, in order.
pub fn files(below: &str) -> Vec<PathBuf> {
    let (mut files, mut folders) = (Vec::new(), vec![folder().join(below)]);
    while let Some(folder) = folders.pop() {
        let Ok(entries) = std::fs::read_dir(&folder) else { continue };
        for entry in entries {
            let path = entry.expect("a directory entry").path();
            if path.is_dir() { folders.push(path) } else { files.push(path) }
        }
    }
    files.sort();
    files
}

/// A file's message as it was appended: without an mbox line, every line feed behind a carriage return.
pub fn wire_form(file: &[u8]) -> Vec<u8> {
    let newline = file.iter().position(|byte| *byte == b'\n');
    let start = match newline {
        Some(newline) if file.starts_with(b"From ") => newline + 1,
        _ => 0,
    };
    let mut wire = Vec::with_capacity(file.len());
    for byte in &file[start..] {
        if *byte == b'\n' && wire.last() != Some(&b'\r') {
            wire.push(b'\r');
        }
        wire.push(*byte);
    }
    wire
}
