//! Sets of UIDs as ascending ranges.

use alloc::vec::Vec;

use super::Uid;

/// Ascending, disjoint, not touching: `(first, last)` each.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct UidRanges(pub Vec<(Uid, Uid)>);

impl UidRanges {
    /// From ascending UIDs.
    pub fn from_sorted(uids: impl IntoIterator<Item = Uid>) -> UidRanges {
        let mut ranges: Vec<(Uid, Uid)> = Vec::new();
        for uid in uids {
            match ranges.last_mut() {
                Some((_, last)) if last.0.checked_add(1) == Some(uid.0) => *last = uid,
                _ => ranges.push((uid, uid)),
            }
        }
        UidRanges(ranges)
    }

    /// Whether a UID is in it.
    pub fn contains(&self, uid: Uid) -> bool {
        let after = self.0.partition_point(|(first, _)| *first <= uid);
        after > 0 && self.0[after - 1].1 >= uid
    }

    /// Whether it is empty.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

crate::record_struct_tuple!(UidRanges);
