//! A node's disk as its server sees it: the strict disk, each operation taking its time.

use std::io;
use std::net::IpAddr;

use pillarbox::env::Disk;
use pillarbox_core::store::disk::{DiskDone, DiskError, DiskOp, DiskPath, DiskValue};

use super::net::sleep;
use super::state::{Life, Shared};

/// See the [module text](self).
#[derive(Clone)]
pub struct SimDisk {
    pub(super) shared: Shared,
    pub(super) life: Life,
    pub(super) ip: IpAddr,
}

impl Disk for SimDisk {
    async fn perform(&self, op: DiskOp) -> DiskDone {
        let (life, ip) = (self.life, self.ip);
        let (number, takes) = self.shared.with(|state| {
            let number = state.number();
            let speed = state.nodes[&ip].speed.clone();
            let sync = matches!(
                op,
                DiskOp::DataSync(_) | DiskOp::Sync(_) | DiskOp::SyncDir(_) | DiskOp::SyncAll
            );
            let takes = state.draw(if sync { &speed.sync } else { &speed.other });
            if state.is_alive(life) {
                let node = state.nodes.get_mut(&ip).expect("a node is never removed");
                node.under_way.insert(number, op.clone());
                state.event(format_args!("{ip} disk begins {number}: {}", Named(&op)));
            }
            (number, takes)
        });
        sleep(&self.shared, life, takes).await;
        let done = self.shared.with(|state| {
            let node = state.nodes.get_mut(&ip).expect("a node is never removed");
            node.under_way.remove(&number);
            if node.fuse_before && node.fuse.as_mut().is_some_and(|fuse| fuse(&op)) {
                node.fuse = None;
                state.power_loss(ip);
                return None;
            }
            let done = node.disk.perform(&op);
            let blown = !node.fuse_before && node.fuse.as_mut().is_some_and(|fuse| fuse(&op));
            let outcome = done.as_ref().err();
            state.event(format_args!("{ip} disk ends {number}: {outcome:?}"));
            if blown {
                state.nodes.get_mut(&ip).expect("as above").fuse = None;
                state.power_loss(ip);
            }
            (!blown).then_some(done)
        });
        match done {
            Some(done) => done,
            // The power has gone; whoever waits is dropped.
            None => std::future::pending().await,
        }
    }

    fn read_now(&self, path: &DiskPath, offset: u64, into: &mut [u8]) -> Option<io::Result<usize>> {
        self.shared.with(|state| {
            let cached = state.nodes[&self.ip].speed.cached;
            if !state.is_alive(self.life) || !state.rng.percent(cached) {
                return None;
            }
            let op = DiskOp::Read {
                path: path.clone(),
                offset,
                len: into.len(),
            };
            let node = state.nodes.get_mut(&self.ip).expect("a node is never removed");
            Some(match node.disk.perform(&op) {
                Ok(DiskValue::Read(bytes)) => {
                    into[..bytes.len()].copy_from_slice(&bytes);
                    Ok(bytes.len())
                }
                Ok(_) => Err(io::ErrorKind::InvalidData.into()),
                Err(DiskError::NotFound) => Err(io::ErrorKind::NotFound.into()),
                Err(error) => Err(io::Error::other(error.to_string())),
            })
        })
    }
}

/// An operation as text, made only when somebody looks.
struct Named<'a>(&'a DiskOp);

impl std::fmt::Display for Named<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&name(self.0))
    }
}

fn name(op: &DiskOp) -> String {
    match op {
        DiskOp::Write { path, offset, parts } => {
            let bytes: usize = parts.iter().map(|part| part.len()).sum();
            format!("write {path} at {offset}, {bytes} bytes")
        }
        DiskOp::Read { path, offset, len } => format!("read {path} at {offset}, {len} bytes"),
        DiskOp::Length(path) => format!("length of {path}"),
        DiskOp::Truncate { path, len } => format!("truncate {path} to {len}"),
        DiskOp::DataSync(path) => format!("fdatasync {path}"),
        DiskOp::Sync(path) => format!("fsync {path}"),
        DiskOp::SyncDir(path) => format!("fsync directory {path}"),
        DiskOp::SyncAll => "syncfs".into(),
        DiskOp::Rename { from, to } => format!("rename {from} to {to}"),
        DiskOp::Link { from, to } => format!("link {from} to {to}"),
        DiskOp::Unlink(path) => format!("unlink {path}"),
        DiskOp::MakeDir(path) => format!("mkdir {path}"),
        DiskOp::ReadDir(path) => format!("readdir {path}"),
        DiskOp::FreeSpace => "statvfs".into(),
    }
}
