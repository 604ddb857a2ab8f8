//! The disk: everything below one data directory, named relative to it.
//!
//! Directories 0700, files 0600, no symbolic link is followed at the end of a path. Files stay open: those of `journal/` always,
//! others while they are among the [`limits::OPEN_FILES`] used last.

mod handles;

use std::fs::{DirBuilder, File, TryLockError};
use std::io::{self, IoSlice, IoSliceMut};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::Path;
use std::sync::Arc;

use pillarbox_core::store::disk::{DiskDone, DiskError, DiskOp, DiskPath, DiskValue};
use rustix::fd::{AsFd, OwnedFd};
use rustix::fs::{AtFlags, Dir, Mode, OFlags};
use rustix::io::{Errno, ReadWriteFlags, retry_on_intr};

use super::OpenError;
use crate::env::Disk;
use handles::Handles;

/// The disk of one process; clones share it.
#[derive(Clone)]
pub struct OsDisk(Arc<Directory>);

struct Directory {
    /// Opened before the first write, so that `syncfs` reports every error since.
    root: OwnedFd,
    handles: Handles,
    /// Held while the process lives: one server for each data directory.
    _lock: Option<File>,
}

impl OsDisk {
    pub(super) fn open(path: &Path) -> Result<OsDisk, OpenError> {
        let at = |error| OpenError::Directory {
            path: path.to_path_buf(),
            error,
        };
        DirBuilder::new().recursive(true).mode(0o700).create(path).map_err(at)?;
        let lock = File::options()
            .create(true)
            .truncate(false)
            .write(true)
            .mode(0o600)
            .open(path.join("LOCK"));
        let lock = lock.map_err(at)?;
        match lock.try_lock() {
            Ok(()) => OsDisk::at(path, Some(lock)),
            Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
            Err(TryLockError::Error(error)) => Err(at(error)),
        }
    }

    /// Without the lock: for files that are not the store's.
    pub(super) fn beside(path: &Path) -> Result<OsDisk, OpenError> {
        OsDisk::at(path, None)
    }

    fn at(path: &Path, lock: Option<File>) -> Result<OsDisk, OpenError> {
        let flags = OFlags::DIRECTORY | OFlags::RDONLY | OFlags::CLOEXEC;
        let root = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| OpenError::Directory {
            path: path.to_path_buf(),
            error: error.into(),
        })?;
        Ok(OsDisk(Arc::new(Directory {
            root,
            handles: Handles::default(),
            _lock: lock,
        })))
    }
}

impl Disk for OsDisk {
    async fn perform_all(&self, ops: Vec<DiskOp>) -> Vec<DiskDone> {
        let disk = self.0.clone();
        let all = move || ops.into_iter().map(|op| disk.perform(op).map_err(disk_error)).collect();
        blocking::unblock(all).await
    }

    async fn perform(&self, op: DiskOp) -> DiskDone {
        let disk = self.0.clone();
        blocking::unblock(move || disk.perform(op).map_err(disk_error)).await
    }

    /// Only of files that are open: to open one may have to wait.
    fn read_now(&self, path: &DiskPath, offset: u64, into: &mut [u8]) -> Option<io::Result<usize>> {
        let file = self.0.handles.find(path).0?;
        let mut done = 0;
        while done < into.len() {
            let rest = &mut [IoSliceMut::new(&mut into[done..])];
            match rustix::io::preadv2(&file, rest, offset + done as u64, ReadWriteFlags::NOWAIT) {
                Ok(0) => break,
                Ok(count) => done += count,
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::OPNOTSUPP | Errno::NOSYS | Errno::INVAL) => return None,
                Err(error) => return Some(Err(error.into())),
            }
        }
        Some(Ok(done))
    }
}

impl Directory {
    fn perform(&self, op: DiskOp) -> Result<DiskValue, Errno> {
        match op {
            DiskOp::Write { path, offset, parts } => write_all(&self.file(&path, OFlags::CREATE)?, offset, &parts)?,
            DiskOp::Read { path, offset, len } => {
                return read(&self.file(&path, OFlags::empty())?, offset, len).map(DiskValue::Read);
            }
            DiskOp::Length(path) => {
                let status = rustix::fs::fstat(self.file(&path, OFlags::empty())?)?;
                return Ok(DiskValue::Length(u64::try_from(status.st_size).unwrap_or(0)));
            }
            DiskOp::Truncate { path, len } => {
                let file = self.file(&path, OFlags::empty())?;
                retry_on_intr(|| rustix::fs::ftruncate(&file, len))?;
            }
            DiskOp::DataSync(path) => {
                let file = self.file(&path, OFlags::empty())?;
                // A build without syncs exists only for the durability check that has to fail on it.
                if !cfg!(pillarbox_no_sync) {
                    retry_on_intr(|| rustix::fs::fdatasync(&file))?;
                }
            }
            DiskOp::Sync(path) => {
                let file = self.file(&path, OFlags::empty())?;
                retry_on_intr(|| rustix::fs::fsync(&file))?;
            }
            DiskOp::SyncDir(path) => {
                let directory = self.directory(&path)?;
                retry_on_intr(|| rustix::fs::fsync(&directory))?;
            }
            DiskOp::SyncAll => retry_on_intr(|| rustix::fs::syncfs(&self.root))?,
            DiskOp::Rename { from, to } => {
                let done = rustix::fs::renameat(&self.root, name(&from)?, &self.root, name(&to)?);
                self.handles.forget(&[&from, &to]);
                done?;
            }
            DiskOp::Link { from, to } => {
                rustix::fs::linkat(&self.root, name(&from)?, &self.root, name(&to)?, AtFlags::empty())?;
            }
            DiskOp::Unlink(path) => {
                let done = rustix::fs::unlinkat(&self.root, name(&path)?, AtFlags::empty());
                self.handles.forget(&[&path]);
                done?;
            }
            DiskOp::MakeDir(path) => self.make_directories(&path)?,
            DiskOp::ReadDir(path) => return self.names(&path).map(DiskValue::Names),
            DiskOp::FreeSpace => {
                let space = rustix::fs::fstatvfs(&self.root)?;
                return Ok(DiskValue::Space {
                    free: space.f_bavail.saturating_mul(space.f_frsize),
                    total: space.f_blocks.saturating_mul(space.f_frsize),
                    // File systems that make inodes as they need them say that they have none at all.
                    free_inodes: if space.f_files == 0 { u64::MAX } else { space.f_favail },
                });
            }
        }
        Ok(DiskValue::Done)
    }

    fn file(&self, path: &DiskPath, create: OFlags) -> Result<Arc<OwnedFd>, Errno> {
        let (open, epoch) = self.handles.find(path);
        if let Some(file) = open {
            return Ok(file);
        }
        let flags = OFlags::RDWR | OFlags::CLOEXEC | OFlags::NOFOLLOW | create;
        let name = name(path)?;
        let file = Arc::new(retry_on_intr(|| {
            rustix::fs::openat(&self.root, name, flags, Mode::RUSR | Mode::WUSR)
        })?);
        self.handles.keep(path, &file, epoch);
        Ok(file)
    }

    /// A directory; the empty path is the root.
    fn directory(&self, path: &DiskPath) -> Result<OwnedFd, Errno> {
        let name = if path.0.is_empty() { "." } else { name(path)? };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        retry_on_intr(|| rustix::fs::openat(&self.root, name, flags, Mode::empty()))
    }

    fn make_directories(&self, path: &DiskPath) -> Result<(), Errno> {
        let name = name(path)?;
        let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
        for end in ends {
            match rustix::fs::mkdirat(&self.root, &name[..end], Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }

    fn names(&self, path: &DiskPath) -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in Dir::new(self.directory(path)?)? {
            // What is not UTF-8 is none of ours: we write hexadecimal names.
            let Ok(name) = String::from_utf8(entry?.file_name().to_bytes().to_vec()) else {
                continue;
            };
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        names.sort_unstable();
        Ok(names)
    }
}

/// A path that stays below the root, whatever core makes of it.
fn name(path: &DiskPath) -> Result<&str, Errno> {
    let sound = path.0.split('/').all(|part| !matches!(part, "" | "." | ".."));
    if sound { Ok(&path.0) } else { Err(Errno::PERM) }
}

/// Parts of one `pwritev` (`IOV_MAX`).
const PARTS_AT_ONCE: usize = 1024;

fn write_all(file: impl AsFd, mut offset: u64, parts: &[Arc<[u8]>]) -> Result<(), Errno> {
    let mut slices: Vec<IoSlice<'_>> = parts
        .iter()
        .filter(|part| !part.is_empty())
        .map(|part| IoSlice::new(part))
        .collect();
    let mut left = slices.as_mut_slice();
    while !left.is_empty() {
        let now = &left[..left.len().min(PARTS_AT_ONCE)];
        match retry_on_intr(|| rustix::io::pwritev(&file, now, offset))? {
            0 => return Err(Errno::IO),
            count => {
                offset += count as u64;
                IoSlice::advance_slices(&mut left, count);
            }
        }
    }
    Ok(())
}

fn read(file: impl AsFd, offset: u64, len: usize) -> Result<Vec<u8>, Errno> {
    let size = u64::try_from(rustix::fs::fstat(&file)?.st_size).unwrap_or(0);
    let there = usize::try_from(size.saturating_sub(offset)).unwrap_or(usize::MAX);
    let mut bytes = Vec::with_capacity(len.min(there));
    while bytes.len() < bytes.capacity() {
        let at = offset + bytes.len() as u64;
        if retry_on_intr(|| rustix::io::pread(&file, rustix::buffer::spare_capacity(&mut bytes), at))? == 0 {
            break;
        }
    }
    bytes.truncate(len);
    Ok(bytes)
}

fn disk_error(error: Errno) -> DiskError {
    match error {
        Errno::NOENT => DiskError::NotFound,
        Errno::EXIST => DiskError::Exists,
        Errno::NOSPC | Errno::DQUOT => DiskError::Full,
        Errno::IO => DiskError::Io,
        Errno::MFILE | Errno::NFILE => DiskError::TooManyFiles,
        Errno::ACCESS | Errno::PERM | Errno::ROFS => DiskError::Denied,
        other => DiskError::Other(other.raw_os_error()),
    }
}
