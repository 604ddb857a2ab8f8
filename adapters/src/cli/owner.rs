//! A command run by root becomes the owner of the data directory first, so that it never leaves a file there that the server
//! cannot read (`rules.md`, "The command line as root").

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::process::{Gid, Uid, geteuid};
use rustix::thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid};

use super::{Exit, Failure};

/// To be called while the process has one thread: later ones inherit what this one is.
pub(super) fn become_owner(data_dir: &Path) -> Result<(), Failure> {
    let Ok(owner) = std::fs::metadata(data_dir) else {
        return Ok(()); // it is not there yet, and will be whose it is made by
    };
    if !geteuid().is_root() || owner.uid() == 0 {
        return Ok(());
    }
    let (uid, gid) = (Uid::from_raw(owner.uid()), Gid::from_raw(owner.gid()));
    let changed = set_thread_groups(&[gid])
        .and_then(|()| set_thread_res_gid(gid, gid, gid))
        .and_then(|()| set_thread_res_uid(uid, uid, uid));
    changed.map_err(|error| {
        let error = io::Error::from(error);
        let text = format!(
            "{}: cannot become its owner, user {}: {error}",
            data_dir.display(),
            owner.uid()
        );
        Failure::new(Exit::Unavailable, text)
    })
}
