//! S45: what one account has is found in no other's place, though the octets are the same.

use std::collections::BTreeSet;

use pillarbox_core::store::{AccountId, layout};

#[test]
fn s45_the_same_body_is_another_file_in_each_account() {
    let body = *b"the hash of one and the same body";
    let hash: [u8; 32] = body[..32].try_into().expect("32 octets");
    let mut ids = BTreeSet::new();
    for account in (0..=255).map(|octet| AccountId([octet; 16])) {
        let id = layout::email_id(account, &hash);
        assert!(ids.insert(id), "{account:?} has an id of its own");
        let folder = format!("{}/", layout::account(account).0);
        for path in [layout::big(account, id), layout::pack(account, 1), layout::index(account, 1)] {
            assert!(path.0.starts_with(&folder), "{path} lies in {folder}");
        }
    }
}
