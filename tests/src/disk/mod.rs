//! A simulated disk that keeps no more than the operating system promises, and often less than a real one does.
//!
//! * A file has *durable* bytes and pending writes; `DataSync` and `Sync` make its bytes and size durable, **not** its directory entry.
//! * A directory has durable entries and pending changes of entries; only `SyncDir` of it, or `SyncAll`, makes them durable.
//! * [`StrictDisk::crash`] is a power loss: each pending change survives or not, independent of every other; a write is torn at
//!   sectors of 512 bytes, in any pattern; a file that grew may show zeros or garbage. A rename is one change. What is not reachable from
//!   the root afterwards is gone.
//! * A process that is merely killed loses nothing: keep the disk, take a new committer.
//!
//! Real ext4 keeps more than this (it commits a new entry with the file's `fdatasync`), so a program that survives here needs
//! nothing that a file system does not promise.

mod crash;
mod fault;
#[cfg(test)]
mod tests;

pub use fault::{Fault, When};

use std::collections::BTreeMap;
use std::sync::Arc;

use pillarbox_core::store::disk::{DiskDone, DiskError, DiskOp, DiskPath, DiskValue};

/// Octets that a disk writes whole or not at all.
pub const SECTOR: usize = 512;

/// The disk; see the [module text](self).
#[derive(Debug, Clone)]
pub struct StrictDisk {
    files: BTreeMap<u64, File>,
    directories: BTreeMap<u64, Directory>,
    pending: Vec<EntryChange>,
    next: u64,
    capacity: u64,
    used: u64,
    faults: Vec<Fault>,
    performed: u64,
    torn: u64,
    failed: u64,
    failed_reads: u64,
    filled: u64,
}

#[derive(Debug, Clone, Default)]
struct File {
    now: Arc<Vec<u8>>,
    durable: Arc<Vec<u8>>,
    pending: Vec<FileChange>,
}

#[derive(Debug, Clone)]
enum FileChange {
    Write { offset: usize, bytes: Arc<[u8]> },
    Truncate(usize),
}

#[derive(Debug, Clone, Default)]
struct Directory {
    now: BTreeMap<String, Node>,
    durable: BTreeMap<String, Node>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Node {
    File(u64),
    Directory(u64),
}

/// One change of names, which survives whole or not at all: an entry goes, an entry comes, or both (a rename).
#[derive(Debug, Clone)]
struct EntryChange {
    goes: Option<(u64, String)>,
    comes: Option<(u64, String, Node)>,
}

const ROOT: u64 = 0;

impl Default for StrictDisk {
    fn default() -> Self {
        StrictDisk::new()
    }
}

impl StrictDisk {
    /// An empty disk of 1 TiB.
    pub fn new() -> StrictDisk {
        StrictDisk {
            files: BTreeMap::new(),
            directories: BTreeMap::from([(ROOT, Directory::default())]),
            pending: Vec::new(),
            next: ROOT + 1,
            capacity: 1 << 40,
            used: 0,
            faults: Vec::new(),
            performed: 0,
            torn: 0,
            failed: 0,
            failed_reads: 0,
            filled: 0,
        }
    }

    /// Sets the disk's size; what needs more is answered `Full`, after as much of it as fits has been written.
    pub fn set_capacity(&mut self, bytes: u64) {
        self.capacity = bytes;
    }

    /// Bytes in all files.
    pub fn used(&self) -> u64 {
        self.used
    }

    /// Lets an operation fail.
    pub fn add_fault(&mut self, fault: Fault) {
        self.faults.push(fault);
    }

    /// The disk is sound again.
    pub fn clear_faults(&mut self) {
        self.faults.clear();
    }

    /// Operations performed so far.
    pub fn performed(&self) -> u64 {
        self.performed
    }

    /// Operations that an added fault failed.
    pub fn failed(&self) -> u64 {
        self.failed
    }

    /// Of these, reads.
    pub fn failed_reads(&self) -> u64 {
        self.failed_reads
    }

    /// Writes for which there was no room.
    pub fn filled(&self) -> u64 {
        self.filled
    }

    /// Writes of which a crash kept a part and lost a part.
    pub fn torn(&self) -> u64 {
        self.torn
    }

    /// Performs one operation.
    pub fn perform(&mut self, op: &DiskOp) -> DiskDone {
        let number = self.performed;
        self.performed += 1;
        if let Some(error) = fault::of(&mut self.faults, number, op) {
            self.failed += 1;
            self.failed_reads += u64::from(matches!(op, DiskOp::Read { .. }));
            return Err(error);
        }
        match op {
            DiskOp::Write { path, offset, parts } => self.write(path, *offset, parts),
            DiskOp::Read { path, offset, len } => {
                let file = &self.files[&self.file(path)?];
                let from = usize::try_from(*offset).map_or(file.now.len(), |from| from.min(file.now.len()));
                let to = from.saturating_add(*len).min(file.now.len());
                Ok(DiskValue::Read(file.now[from..to].to_vec()))
            }
            DiskOp::Length(path) => Ok(DiskValue::Length(self.files[&self.file(path)?].now.len() as u64)),
            DiskOp::Truncate { path, len } => self.truncate(path, *len),
            DiskOp::DataSync(path) | DiskOp::Sync(path) => {
                let id = self.file(path)?;
                self.files.get_mut(&id).expect("it was just found").sync();
                Ok(DiskValue::Done)
            }
            DiskOp::SyncDir(path) => {
                let id = self.directory(path)?;
                let (now, later) = core::mem::take(&mut self.pending)
                    .into_iter()
                    .partition(|change| change.touches(id));
                self.pending = later;
                self.settle_entries(now);
                Ok(DiskValue::Done)
            }
            DiskOp::SyncAll => {
                self.files.values_mut().for_each(File::sync);
                let all = core::mem::take(&mut self.pending);
                self.settle_entries(all);
                Ok(DiskValue::Done)
            }
            DiskOp::Rename { from, to } => self.rename(from, to),
            DiskOp::Link { from, to } => {
                let file = self.file(from)?;
                let (directory, name) = self.parent(to)?;
                if self.directories[&directory].now.contains_key(name) {
                    return Err(DiskError::Exists);
                }
                self.change(None, Some((directory, name.into(), Node::File(file))));
                Ok(DiskValue::Done)
            }
            DiskOp::Unlink(path) => {
                self.file(path)?;
                let (directory, name) = self.parent(path)?;
                self.change(Some((directory, name.into())), None);
                Ok(DiskValue::Done)
            }
            DiskOp::MakeDir(path) => self.make_directory(path),
            DiskOp::ReadDir(path) => {
                let id = self.directory(path)?;
                Ok(DiskValue::Names(self.directories[&id].now.keys().cloned().collect()))
            }
            DiskOp::FreeSpace => Ok(DiskValue::Space {
                free: self.capacity.saturating_sub(self.used),
                total: self.capacity,
                free_inodes: 1 << 20,
            }),
        }
    }

    /// The bytes of a file as a process sees them now; `None` when there is none.
    pub fn bytes(&self, path: &DiskPath) -> Option<&[u8]> {
        Some(&self.files[&self.file(path).ok()?].now)
    }

    /// Changes bytes behind everyone's back, durably: bit rot.
    pub fn rot(&mut self, path: &DiskPath, change: impl FnOnce(&mut Vec<u8>)) {
        let id = self.file(path).expect("the file that is to rot is there");
        let file = self.files.get_mut(&id).expect("it was just found");
        file.sync();
        change(Arc::make_mut(&mut file.now));
        file.sync();
    }

    /// Paths of all files, as a process sees them now.
    pub fn paths(&self) -> Vec<DiskPath> {
        let mut found = Vec::new();
        let mut open = vec![(String::new(), ROOT)];
        while let Some((path, id)) = open.pop() {
            for (name, node) in &self.directories[&id].now {
                let path = if path.is_empty() {
                    name.clone()
                } else {
                    format!("{path}/{name}")
                };
                match node {
                    Node::File(_) => found.push(DiskPath(path)),
                    Node::Directory(id) => open.push((path, *id)),
                }
            }
        }
        found.sort();
        found
    }

    fn write(&mut self, path: &DiskPath, offset: u64, parts: &[Arc<[u8]>]) -> DiskDone {
        let id = match self.file(path) {
            Ok(id) => id,
            Err(DiskError::NotFound) => self.create(path)?,
            Err(error) => return Err(error),
        };
        let offset = usize::try_from(offset).map_err(|_| DiskError::Full)?;
        let mut bytes = parts.concat();
        let file = self.files.get_mut(&id).expect("it was just found");
        let before = file.now.len() as u64;
        let free = self.capacity.saturating_sub(self.used);
        let room = (before + free).saturating_sub(offset as u64);
        let full = bytes.len() as u64 > room;
        if full {
            bytes.truncate(room as usize);
        }
        if !bytes.is_empty() {
            let change = FileChange::Write {
                offset,
                bytes: bytes.into(),
            };
            change.apply(Arc::make_mut(&mut file.now));
            file.pending.push(change);
        }
        self.used += file.now.len() as u64 - before;
        self.filled += u64::from(full);
        if full { Err(DiskError::Full) } else { Ok(DiskValue::Done) }
    }

    fn truncate(&mut self, path: &DiskPath, len: u64) -> DiskDone {
        let id = self.file(path)?;
        let file = self.files.get_mut(&id).expect("it was just found");
        let len = usize::try_from(len).map_err(|_| DiskError::Full)?;
        self.used = self.used - file.now.len() as u64 + len as u64;
        let change = FileChange::Truncate(len);
        change.apply(Arc::make_mut(&mut file.now));
        file.pending.push(change);
        Ok(DiskValue::Done)
    }

    fn rename(&mut self, from: &DiskPath, to: &DiskPath) -> DiskDone {
        let file = self.file(from)?;
        let (old, old_name) = self.parent(from)?;
        let (new, new_name) = self.parent(to)?;
        let comes = (new, new_name.to_string(), Node::File(file));
        self.change(Some((old, old_name.into())), Some(comes));
        Ok(DiskValue::Done)
    }

    fn make_directory(&mut self, path: &DiskPath) -> DiskDone {
        let mut at = ROOT;
        for name in path.0.split('/') {
            at = match self.directories[&at].now.get(name) {
                Some(Node::Directory(id)) => *id,
                Some(Node::File(_)) => return Err(DiskError::Exists),
                None => {
                    let id = self.number();
                    self.directories.insert(id, Directory::default());
                    self.change(None, Some((at, name.into(), Node::Directory(id))));
                    id
                }
            };
        }
        Ok(DiskValue::Done)
    }

    fn create(&mut self, path: &DiskPath) -> Result<u64, DiskError> {
        let (directory, name) = self.parent(path)?;
        let name = name.to_string();
        let id = self.number();
        self.files.insert(id, File::default());
        self.change(None, Some((directory, name, Node::File(id))));
        Ok(id)
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next - 1
    }

    fn change(&mut self, goes: Option<(u64, String)>, comes: Option<(u64, String, Node)>) {
        let change = EntryChange { goes, comes };
        change.apply(&mut self.directories, |directory| &mut directory.now);
        self.pending.push(change);
    }

    fn settle_entries(&mut self, changes: Vec<EntryChange>) {
        for change in changes {
            change.apply(&mut self.directories, |directory| &mut directory.durable);
        }
    }

    fn file(&self, path: &DiskPath) -> Result<u64, DiskError> {
        let (directory, name) = self.parent(path)?;
        match self.directories[&directory].now.get(name) {
            Some(Node::File(id)) => Ok(*id),
            Some(Node::Directory(_)) => Err(DiskError::Other(21)),
            None => Err(DiskError::NotFound),
        }
    }

    fn directory(&self, path: &DiskPath) -> Result<u64, DiskError> {
        let mut at = ROOT;
        for name in path.0.split('/').filter(|name| !name.is_empty()) {
            at = match self.directories[&at].now.get(name) {
                Some(Node::Directory(id)) => *id,
                Some(Node::File(_)) => return Err(DiskError::Other(20)),
                None => return Err(DiskError::NotFound),
            };
        }
        Ok(at)
    }

    fn parent<'a>(&self, path: &'a DiskPath) -> Result<(u64, &'a str), DiskError> {
        let (parent, name) = path.0.rsplit_once('/').unwrap_or(("", &path.0));
        Ok((self.directory(&DiskPath(parent.into()))?, name))
    }
}

impl File {
    fn sync(&mut self) {
        self.durable = self.now.clone();
        self.pending.clear();
    }
}

impl FileChange {
    fn apply(&self, to: &mut Vec<u8>) {
        match self {
            FileChange::Write { offset, bytes } => {
                let end = offset + bytes.len();
                if to.len() < end {
                    to.resize(end, 0);
                }
                to[*offset..end].copy_from_slice(bytes);
            }
            FileChange::Truncate(len) => to.resize(*len, 0),
        }
    }
}

impl EntryChange {
    fn touches(&self, directory: u64) -> bool {
        self.goes.as_ref().is_some_and(|(at, _)| *at == directory)
            || self.comes.as_ref().is_some_and(|(at, ..)| *at == directory)
    }

    fn apply(&self, directories: &mut BTreeMap<u64, Directory>, which: impl Fn(&mut Directory) -> &mut BTreeMap<String, Node>) {
        if let Some((at, name)) = &self.goes
            && let Some(directory) = directories.get_mut(at)
        {
            which(directory).remove(name);
        }
        if let Some((at, name, node)) = &self.comes
            && let Some(directory) = directories.get_mut(at)
        {
            which(directory).insert(name.clone(), *node);
        }
    }
}
