//! Decisions (the shape is in [`crate::decision`]).

pub mod access;
