//! The committer: the one machine through which every durable change passes.

pub mod ask;
