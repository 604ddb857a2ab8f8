//! What the source itself must keep to.

use pillarbox_tests::sources::{files, text};

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
