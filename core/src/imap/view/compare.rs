//! Comparing two versions of a mailbox by UID, when the list of changes does not reach back far enough.

use alloc::sync::Arc;
use alloc::vec::Vec;

use crate::store::Uid;
use crate::store::version::{Chunk, Version};

/// What differs; both ascending.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// In the old version only.
    pub gone: Vec<Uid>,
    /// In both, with other flags or keywords.
    pub flagged: Vec<Uid>,
}

/// Compares. Chunks that both versions share cost nothing.
pub(super) fn versions(old: &Version, new: &Version) -> Found {
    let mut found = Found::default();
    let (mut old, mut new) = (Place::new(&old.chunks), Place::new(&new.chunks));
    while let Some((old_chunk, old_index)) = old.here() {
        let Some((new_chunk, new_index)) = new.here() else {
            found.gone.push(old_chunk.fixed.uid[old_index]);
            old.step();
            continue;
        };
        if old_index == 0 && new_index == 0 && same(old_chunk, new_chunk) {
            old.skip();
            new.skip();
            continue;
        }
        let (was, is) = (old_chunk.fixed.uid[old_index], new_chunk.fixed.uid[new_index]);
        if was < is {
            found.gone.push(was);
            old.step();
        } else if was > is {
            new.step();
        } else {
            let (before, after) = (&old_chunk.flags, &new_chunk.flags);
            if before.flags[old_index] != after.flags[new_index] || before.keywords[old_index] != after.keywords[new_index] {
                found.flagged.push(was);
            }
            old.step();
            new.step();
        }
    }
    found
}

fn same(one: &Chunk, other: &Chunk) -> bool {
    Arc::ptr_eq(&one.fixed, &other.fixed) && Arc::ptr_eq(&one.flags, &other.flags)
}

struct Place<'a> {
    chunks: &'a [Chunk],
    index: usize,
}

impl<'a> Place<'a> {
    fn new(chunks: &'a [Chunk]) -> Self {
        Place { chunks, index: 0 }
    }

    fn here(&self) -> Option<(&'a Chunk, usize)> {
        self.chunks.first().map(|chunk| (chunk, self.index))
    }

    fn step(&mut self) {
        self.index += 1;
        if self.chunks.first().is_some_and(|chunk| self.index == chunk.fixed.uid.len()) {
            self.skip();
        }
    }

    fn skip(&mut self) {
        self.chunks = &self.chunks[1..];
        self.index = 0;
    }
}
