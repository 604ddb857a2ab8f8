//! Recordings in tests: taken from a simulated disk, edited, and put together again.

use std::net::IpAddr;

use pillarbox::trace::{FOLDER, SUFFIX};
use pillarbox_core::bytes::crc::crc32c;
use pillarbox_core::store::disk::{DiskOp, DiskPath, DiskValue};
use pillarbox_core::trace::MAGIC;

use crate::sim::Nodes;

/// Every recording on a node's disk, with its name.
///
/// # Panics
/// When the disk does not do as disks do.
pub fn recordings(nodes: &Nodes, ip: IpAddr) -> Vec<(String, Vec<u8>)> {
    nodes.disk(ip, |disk| {
        let mut perform = |op: DiskOp| disk.perform(&op).expect("a disk");
        let DiskValue::Names(names) = perform(DiskOp::ReadDir(DiskPath::new(FOLDER))) else {
            panic!("names were asked for");
        };
        let mut files = Vec::new();
        for name in names.into_iter().filter(|name| name.ends_with(SUFFIX)) {
            let path = DiskPath::new(format!("{FOLDER}/{name}"));
            let DiskValue::Length(len) = perform(DiskOp::Length(path.clone())) else {
                panic!("a length was asked for");
            };
            let len = usize::try_from(len).expect("small");
            let DiskValue::Read(bytes) = perform(DiskOp::Read { path, offset: 0, len }) else {
                panic!("bytes were asked for");
            };
            files.push((name, bytes));
        }
        files
    })
}

/// The payloads of a file's frames, the kind first.
///
/// # Panics
/// When the file is none.
pub fn frames(file: &[u8]) -> Vec<Vec<u8>> {
    let mut rest = file.strip_prefix(MAGIC).expect("a recording");
    let mut frames = Vec::new();
    while let Some((len, behind)) = rest.split_first_chunk::<4>() {
        let len = u32::from_le_bytes(*len) as usize;
        frames.push(behind[..len].to_vec());
        rest = &behind[len + 4..];
    }
    frames
}

/// A file of such frames, with the checksums that belong to them.
///
/// # Panics
/// Never: frames are small.
pub fn file(frames: &[Vec<u8>]) -> Vec<u8> {
    let mut file = MAGIC.to_vec();
    for frame in frames {
        let start = file.len();
        file.extend(u32::try_from(frame.len()).expect("small").to_le_bytes());
        file.extend(frame);
        let crc = crc32c(&file[start..]);
        file.extend(crc.to_le_bytes());
    }
    file
}
