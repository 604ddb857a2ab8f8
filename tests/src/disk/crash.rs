//! The power loss.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{File, FileChange, Node, ROOT, SECTOR, StrictDisk};
use crate::rng::Rng;

/// How much of what is pending survives one crash.
#[derive(Debug, Clone, Copy)]
enum Survival {
    Nothing,
    /// Each change by itself, so many of a hundred.
    Each(u64),
    Everything,
}

impl Survival {
    fn draw(rng: &mut Rng) -> Survival {
        match rng.below(6) {
            0 => Survival::Nothing,
            1 => Survival::Everything,
            2 => Survival::Each(10),
            3 => Survival::Each(90),
            _ => Survival::Each(50),
        }
    }

    fn survives(self, rng: &mut Rng) -> bool {
        match self {
            Survival::Nothing => false,
            Survival::Everything => true,
            Survival::Each(percent) => rng.percent(percent),
        }
    }
}

impl StrictDisk {
    /// The power goes: what is pending survives in part, and what is seen afterwards is durable. Faults are gone too.
    pub fn crash(&mut self, rng: &mut Rng) {
        let (names, data) = (Survival::draw(rng), Survival::draw(rng));
        for change in core::mem::take(&mut self.pending) {
            if names.survives(rng) {
                change.apply(&mut self.directories, |directory| &mut directory.durable);
            }
        }
        for file in self.files.values_mut().filter(|file| !file.pending.is_empty()) {
            self.torn += file.crash(data, rng);
        }
        self.forget_unreachable();
        self.used = self.files.values().map(|file| file.now.len() as u64).sum();
        self.faults.clear();
    }

    fn forget_unreachable(&mut self) {
        let (mut files, mut directories) = (BTreeSet::new(), BTreeSet::from([ROOT]));
        let mut open = vec![ROOT];
        while let Some(id) = open.pop() {
            let directory = self.directories.get_mut(&id).expect("entries name directories that exist");
            directory.now = directory.durable.clone();
            for node in directory.now.values() {
                match node {
                    Node::File(id) => _ = files.insert(*id),
                    Node::Directory(id) => {
                        directories.insert(*id);
                        open.push(*id);
                    }
                }
            }
        }
        self.files.retain(|id, _| files.contains(id));
        self.directories.retain(|id, _| directories.contains(id));
    }
}

impl File {
    /// How many writes were torn.
    fn crash(&mut self, data: Survival, rng: &mut Rng) -> u64 {
        let mut count = 0;
        let mut left = Vec::clone(&self.durable);
        for change in core::mem::take(&mut self.pending) {
            match change {
                FileChange::Write { offset, bytes } => {
                    // Mostly a write survives whole or not at all; sometimes it is torn.
                    let torn = rng.percent(40);
                    let whole = data.survives(rng);
                    let (mut kept, mut lost) = (false, false);
                    for (offset, sector) in sectors(offset, &bytes) {
                        let survives = if torn { data.survives(rng) } else { whole };
                        (kept, lost) = (kept || survives, lost || !survives);
                        if survives {
                            grow(&mut left, offset + sector.len(), rng);
                            left[offset..offset + sector.len()].copy_from_slice(sector);
                        }
                    }
                    count += u64::from(kept && lost);
                }
                FileChange::Truncate(len) => {
                    if data.survives(rng) {
                        left.resize(len, 0);
                    }
                }
            }
        }
        // The new size may be durable before the bytes are.
        if left.len() < self.now.len() && rng.percent(30) {
            let more = rng.index(self.now.len() - left.len()) + 1;
            let len = left.len() + more;
            grow(&mut left, len, rng);
        }
        self.durable = Arc::new(left);
        self.now = self.durable.clone();
        count
    }
}

/// A file that grew shows zeros or garbage where nothing was written.
fn grow(bytes: &mut Vec<u8>, len: usize, rng: &mut Rng) {
    let before = bytes.len();
    if before < len {
        bytes.resize(len, 0);
        if rng.percent(50) {
            rng.fill(&mut bytes[before..]);
        }
    }
}

/// A write in pieces that lie in one sector each.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut at = 0;
    core::iter::from_fn(move || {
        let rest = &bytes[at..];
        if rest.is_empty() {
            return None;
        }
        let begins = offset + at;
        let len = (SECTOR - begins % SECTOR).min(rest.len());
        at += len;
        Some((begins, &rest[..len]))
    })
}
