//! Open files by path.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pillarbox_core::limits;
use pillarbox_core::store::disk::DiskPath;
use rustix::fd::OwnedFd;

/// Which files are open. A path that was renamed or removed is forgotten, even by an opening that began before.
#[derive(Default)]
pub(super) struct Handles(Mutex<Table>);

#[derive(Default)]
struct Table {
    open: BTreeMap<DiskPath, Handle>,
    /// Counts uses, to find the file that was used longest ago.
    uses: u64,
    epoch: Epoch,
}

struct Handle {
    file: Arc<OwnedFd>,
    used: u64,
}

/// How often paths have been forgotten.
#[derive(Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Epoch(u64);

impl Handles {
    /// An open file, and what to show when one is kept.
    pub(super) fn find(&self, path: &DiskPath) -> (Option<Arc<OwnedFd>>, Epoch) {
        let table = &mut *self.table();
        table.uses += 1;
        let found = table.open.get_mut(path).map(|handle| {
            handle.used = table.uses;
            handle.file.clone()
        });
        (found, table.epoch)
    }

    /// Keeps an opened file, unless a path has been forgotten since `epoch`. Files at the root are not the store's alone:
    /// another process may replace them (`accounts`), so they are opened each time.
    pub(super) fn keep(&self, path: &DiskPath, file: &Arc<OwnedFd>, epoch: Epoch) {
        let mut table = self.table();
        if table.epoch != epoch || !path.0.contains('/') {
            return;
        }
        let used = table.uses;
        table.open.insert(
            path.clone(),
            Handle {
                file: file.clone(),
                used,
            },
        );
        if table.open.len() > limits::OPEN_FILES {
            let others = table.open.iter().filter(|(path, _)| !path.0.starts_with("journal/"));
            if let Some(oldest) = others.min_by_key(|(_, handle)| handle.used).map(|(path, _)| path.clone()) {
                table.open.remove(&oldest);
            }
        }
    }

    /// Forgets paths that now name something else, or nothing.
    pub(super) fn forget(&self, paths: &[&DiskPath]) {
        let mut table = self.table();
        table.epoch.0 += 1;
        for path in paths {
            table.open.remove(*path);
        }
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
