//! Operations that fail.

use pillarbox_core::store::disk::{DiskError, DiskOp};

/// An operation that fails, and leaves nothing done.
#[derive(Debug, Clone, Copy)]
pub struct Fault {
    /// Which operations.
    pub when: When,
    /// The error.
    pub error: DiskError,
    /// Whether every later one fails too; else the fault is spent.
    pub persistent: bool,
}

/// Which operations fail.
#[derive(Debug, Clone, Copy)]
pub enum When {
    /// The one with this number ([`super::StrictDisk::performed`] counts them), and if persistent all later ones.
    At(u64),
    /// Those that a test holds for.
    Each(fn(&DiskOp) -> bool),
}

/// The error of this operation, if a fault is due; a fault that is not persistent is spent.
pub(super) fn of(faults: &mut Vec<Fault>, number: u64, op: &DiskOp) -> Option<DiskError> {
    let due = faults.iter().position(|fault| match fault.when {
        When::At(at) => number == at || fault.persistent && number > at,
        When::Each(test) => test(op),
    })?;
    let fault = faults[due];
    if !fault.persistent {
        faults.remove(due);
    }
    Some(fault.error)
}
