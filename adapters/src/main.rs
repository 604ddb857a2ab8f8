//! The binary: arguments, start, signals.
fn main() {}
