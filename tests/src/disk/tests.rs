//! The model keeps what is promised, and is able to lose everything else.

use super::*;
use crate::rng::Rng;

fn path(text: &str) -> DiskPath {
    DiskPath::new(text)
}

fn write(disk: &mut StrictDisk, to: &str, offset: u64, bytes: &[u8]) -> DiskDone {
    disk.perform(&DiskOp::Write {
        path: path(to),
        offset,
        parts: vec![bytes.into()],
    })
}

fn done(disk: &mut StrictDisk, op: DiskOp) {
    assert_eq!(disk.perform(&op), Ok(DiskValue::Done), "{op:?}");
}

/// How often, in 200 crashes, the test holds.
fn times(disk: &StrictDisk, holds: impl Fn(&StrictDisk) -> bool) -> usize {
    let crashed = |seed| {
        let mut disk = disk.clone();
        disk.crash(&mut Rng::new(seed));
        disk
    };
    (0..200).filter(|seed| holds(&crashed(*seed))).count()
}

fn sometimes(times: usize) -> bool {
    times > 0 && times < 200
}

#[test]
fn a_synced_file_without_its_entry_may_be_lost() {
    let mut disk = StrictDisk::new();
    write(&mut disk, "a", 0, b"hello").unwrap();
    done(&mut disk, DiskOp::Sync(path("a")));
    assert!(sometimes(times(&disk, |disk| disk.bytes(&path("a")).is_some())));
    done(&mut disk, DiskOp::SyncDir(path("")));
    assert_eq!(times(&disk, |disk| disk.bytes(&path("a")) == Some(b"hello")), 200);
}

#[test]
fn an_entry_without_its_data_may_show_anything() {
    let mut disk = StrictDisk::new();
    write(&mut disk, "a", 0, &[7; 4096]).unwrap();
    done(&mut disk, DiskOp::SyncDir(path("")));
    let whole = |disk: &StrictDisk| disk.bytes(&path("a")) == Some(&[7; 4096]);
    let torn = |disk: &StrictDisk| {
        disk.bytes(&path("a"))
            .is_some_and(|bytes| bytes.len() == 4096 && !whole(disk))
    };
    assert!(sometimes(times(&disk, whole)));
    assert!(sometimes(times(&disk, torn)));
    assert!(sometimes(times(&disk, |disk| disk.bytes(&path("a")) == Some(b""))));
}

#[test]
fn a_sector_is_written_whole_or_not_at_all() {
    let mut disk = StrictDisk::new();
    write(&mut disk, "a", 0, &[1; 2048]).unwrap();
    done(&mut disk, DiskOp::SyncAll);
    write(&mut disk, "a", 0, &[2; 2048]).unwrap();
    let sectors = |disk: &StrictDisk| {
        let bytes = disk.bytes(&path("a")).unwrap();
        bytes.len() == 2048
            && bytes
                .chunks(SECTOR)
                .all(|sector| sector == [1; SECTOR] || sector == [2; SECTOR])
    };
    assert_eq!(times(&disk, sectors), 200);
}

#[test]
fn a_rename_is_one_change() {
    let mut disk = StrictDisk::new();
    write(&mut disk, "new", 0, b"new").unwrap();
    write(&mut disk, "old", 0, b"old").unwrap();
    done(&mut disk, DiskOp::SyncAll);
    done(
        &mut disk,
        DiskOp::Rename {
            from: path("new"),
            to: path("old"),
        },
    );
    let before = |disk: &StrictDisk| disk.bytes(&path("old")) == Some(b"old") && disk.bytes(&path("new")) == Some(b"new");
    let after = |disk: &StrictDisk| disk.bytes(&path("old")) == Some(b"new") && disk.bytes(&path("new")).is_none();
    assert!(sometimes(times(&disk, before)));
    assert_eq!(times(&disk, before) + times(&disk, after), 200);
}

#[test]
fn a_file_in_an_unsynced_directory_may_be_lost() {
    let mut disk = StrictDisk::new();
    done(&mut disk, DiskOp::MakeDir(path("a/b")));
    write(&mut disk, "a/b/c", 0, b"x").unwrap();
    done(&mut disk, DiskOp::Sync(path("a/b/c")));
    done(&mut disk, DiskOp::SyncDir(path("a/b")));
    assert!(sometimes(times(&disk, |disk| disk.bytes(&path("a/b/c")).is_some())));
    done(&mut disk, DiskOp::SyncDir(path("")));
    done(&mut disk, DiskOp::SyncDir(path("a")));
    assert_eq!(times(&disk, |disk| disk.bytes(&path("a/b/c")).is_some()), 200);
}

#[test]
fn a_full_disk_takes_what_fits() {
    let mut disk = StrictDisk::new();
    disk.set_capacity(10);
    assert_eq!(write(&mut disk, "a", 0, b"12345678"), Ok(DiskValue::Done));
    assert_eq!(write(&mut disk, "b", 0, b"12345678"), Err(DiskError::Full));
    assert_eq!(disk.bytes(&path("b")), Some(b"12".as_slice()));
    assert_eq!(
        write(&mut disk, "a", 0, b"87654321"),
        Ok(DiskValue::Done),
        "overwriting needs no space"
    );
}

#[test]
fn faults_come_once_or_stay() {
    let mut disk = StrictDisk::new();
    disk.add_fault(Fault {
        when: When::At(1),
        error: DiskError::Io,
        persistent: false,
    });
    assert!(write(&mut disk, "a", 0, b"1").is_ok());
    assert_eq!(write(&mut disk, "a", 0, b"2"), Err(DiskError::Io));
    assert!(write(&mut disk, "a", 0, b"3").is_ok());
    disk.add_fault(Fault {
        when: When::Each(|op| matches!(op, DiskOp::DataSync(_))),
        error: DiskError::Io,
        persistent: true,
    });
    assert_eq!(disk.perform(&DiskOp::DataSync(path("a"))), Err(DiskError::Io));
    assert_eq!(disk.perform(&DiskOp::DataSync(path("a"))), Err(DiskError::Io));
    assert!(write(&mut disk, "a", 0, b"4").is_ok());
}
