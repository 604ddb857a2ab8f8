//! T12: the oracle notices. Each lie of a disk or a host breaks a promise; a test that does not see it is worth nothing.
