//! What the source itself must keep to.

use std::fs;
use std::path::{Path, PathBuf};

/// Every map whose keys a peer may choose is an ordered one: there are no collisions to be flooded with. Nothing in the server hashes
/// with a hasher of its own choice either.
#[test]
fn s62_no_map_hashes_what_peers_choose() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace");
    let files: Vec<PathBuf> = ["core/src", "adapters/src"]
        .iter()
        .flat_map(|part| sources(&root.join(part)))
        .collect();
    assert!(files.len() > 100, "the sources are where they are looked for");
    for file in files {
        let text = fs::read_to_string(&file).expect("a readable source file");
        for name in ["HashMap", "HashSet", "BuildHasher", "DefaultHasher"] {
            assert!(!text.contains(name), "{} has a {name}", file.display());
        }
    }
}

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of sources") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                open.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                found.push(path);
            }
        }
    }
    found
}
