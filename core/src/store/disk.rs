//! What the store asks of a disk, and what a disk may answer. `adapters` perform it; the simulated disk in `tests` performs it
//! with a stricter-than-ext4 model.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A path below the store's root, `/`-separated, built by core from hexadecimal ids and numbers only (never from a name that a
/// person chose).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskPath(pub String);

impl DiskPath {
    /// A path from its text.
    pub fn new(text: impl Into<String>) -> DiskPath {
        DiskPath(text.into())
    }
}

impl core::fmt::Display for DiskPath {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.0)
    }
}

/// One disk operation. Files are named by path; a disk keeps the handles it thinks useful, those of `journal/` always.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskOp {
    /// Writes all `parts`, one behind the other, at `offset`; makes the file when absent; continues short writes. -> `Done`
    Write {
        /// Where to.
        path: DiskPath,
        /// First byte.
        offset: u64,
        /// What.
        parts: Vec<Arc<[u8]>>,
    },
    /// Reads up to `len` bytes at `offset`; fewer only at the file's end. -> `Read`
    Read {
        /// Where from.
        path: DiskPath,
        /// First byte.
        offset: u64,
        /// At most.
        len: usize,
    },
    /// The file's length. -> `Length`
    Length(DiskPath),
    /// Cuts or extends. -> `Done`
    Truncate {
        /// Which.
        path: DiskPath,
        /// To this length.
        len: u64,
    },
    /// Makes the file's data and size durable (`fdatasync`), not its directory entry. -> `Done`
    DataSync(DiskPath),
    /// Makes the file's data and metadata durable (`fsync`), not its directory entry. -> `Done`
    Sync(DiskPath),
    /// Makes a directory's entries durable; the empty path is the root. -> `Done`
    SyncDir(DiskPath),
    /// Makes everything below the root durable (`syncfs`). -> `Done`
    SyncAll,
    /// Renames, replacing. -> `Done`
    Rename {
        /// Old name.
        from: DiskPath,
        /// New name.
        to: DiskPath,
    },
    /// Hard-links. -> `Done`
    Link {
        /// Existing.
        from: DiskPath,
        /// New; must not exist.
        to: DiskPath,
    },
    /// Removes a file. -> `Done`
    Unlink(DiskPath),
    /// Makes a directory and its parents; existing ones are fine. -> `Done`
    MakeDir(DiskPath),
    /// Names in a directory, sorted. -> `Names`
    ReadDir(DiskPath),
    /// Free space. -> `Space`
    FreeSpace,
}

/// What came of it.
pub type DiskDone = Result<DiskValue, DiskError>;

/// A success.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskValue {
    /// Nothing to tell.
    Done,
    /// Bytes read.
    Read(Vec<u8>),
    /// A length in bytes.
    Length(u64),
    /// Names, sorted.
    Names(Vec<String>),
    /// Space left.
    Space {
        /// Bytes for us.
        free: u64,
        /// Bytes of the file system.
        total: u64,
        /// Inodes for us.
        free_inodes: u64,
    },
}

/// A failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DiskError {
    /// ENOENT.
    NotFound,
    /// EEXIST.
    Exists,
    /// ENOSPC, EDQUOT.
    Full,
    /// EIO, and everything that means the medium cannot be trusted.
    Io,
    /// EMFILE, ENFILE.
    TooManyFiles,
    /// EACCES, EPERM, EROFS.
    Denied,
    /// Anything else, by its number.
    Other(i32),
}

impl core::fmt::Display for DiskError {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        match self {
            DiskError::NotFound => f.write_str("no such file"),
            DiskError::Exists => f.write_str("the file exists"),
            DiskError::Full => f.write_str("the disk is full"),
            DiskError::Io => f.write_str("input/output error"),
            DiskError::TooManyFiles => f.write_str("too many open files"),
            DiskError::Denied => f.write_str("permission denied"),
            DiskError::Other(number) => write!(f, "error {number}"),
        }
    }
}
