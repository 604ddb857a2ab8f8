//! What the store asks of a disk, and what a disk may answer. `adapters` perform it; the simulated disk in `tests` performs it
//! with a stricter-than-ext4 model.

use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec::Vec;

/// A path below the store's root, `/`-separated, built by core from hexadecimal ids and numbers only (never from a name that a
/// person chose).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskPath(pub String);

/// An open file, as the disk numbers it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(pub u64);

/// How to open a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpenMode {
    /// For reading; it must exist.
    Read,
    /// For reading and writing; it must exist.
    Write,
    /// For reading and writing; made when absent.
    Create,
    /// For reading and writing; it must not exist.
    CreateNew,
}

/// One disk operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DiskOp {
    /// Opens a file. -> `Opened`
    Open {
        /// Which.
        path: DiskPath,
        /// How.
        mode: OpenMode,
    },
    /// Closes it. -> `Done`
    Close(FileId),
    /// Writes all `parts`, one behind the other, at `offset`; a short write is continued by the disk. -> `Done`
    WriteAt {
        /// Where to.
        file: FileId,
        /// First byte.
        offset: u64,
        /// What.
        parts: Vec<Arc<[u8]>>,
    },
    /// Reads up to `len` bytes at `offset`; fewer only at the file's end. -> `Read`
    ReadAt {
        /// Where from.
        file: FileId,
        /// First byte.
        offset: u64,
        /// At most.
        len: usize,
    },
    /// The file's length. -> `Length`
    Length(FileId),
    /// Cuts or extends. -> `Done`
    Truncate {
        /// Which.
        file: FileId,
        /// To this length.
        len: u64,
    },
    /// Makes the file's data and size durable (not its directory entry). -> `Done`
    DataSync(FileId),
    /// Makes the file's data and metadata durable (not its directory entry). -> `Done`
    Sync(FileId),
    /// Makes a directory's entries durable. -> `Done`
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
    /// The opened file.
    Opened(FileId),
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
