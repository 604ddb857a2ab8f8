//! The journal: a ring of pre-written segments that holds every durable change until it has been settled.
//!
//! A *batch* is the records written by one write and made durable by one `fdatasync`. Only one batch is in flight at a time, which
//! makes the torn tail recognisable: a record that is whole although one before it is not belongs to the same batch, or the journal
//! is corrupt in its committed middle.

pub mod checkpoint;
pub mod record;
pub mod scan;
