//! T3: operations that fail.
