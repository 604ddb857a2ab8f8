//! Every disk operation on a real file system.

use std::os::unix::fs::PermissionsExt;

use pillarbox_core::store::disk::{DiskError, DiskOp, DiskPath, DiskValue};

use super::*;

fn path(text: &str) -> DiskPath {
    DiskPath::new(text)
}

fn write(to: &str, offset: u64, parts: &[&[u8]]) -> DiskOp {
    DiskOp::Write {
        path: path(to),
        offset,
        parts: parts.iter().map(|part| Arc::from(*part)).collect(),
    }
}

fn read(from: &str, offset: u64, len: usize) -> DiskOp {
    DiskOp::Read {
        path: path(from),
        offset,
        len,
    }
}

#[test]
fn files_are_written_read_and_cut() {
    with_env(|env| async move {
        let failed = env.disk().perform(read("a", 0, 1)).await;
        assert_eq!(failed, Err(DiskError::NotFound));
        good(&env, write("a", 2, &[b"one", b"", b"two"])).await;
        assert_eq!(good(&env, read("a", 0, 100)).await, DiskValue::Read(b"\0\0onetwo".to_vec()));
        assert_eq!(good(&env, read("a", 3, 2)).await, DiskValue::Read(b"ne".to_vec()));
        assert_eq!(good(&env, read("a", 100, 2)).await, DiskValue::Read(Vec::new()));
        assert_eq!(good(&env, DiskOp::Length(path("a"))).await, DiskValue::Length(8));
        good(&env, DiskOp::Truncate { path: path("a"), len: 3 }).await;
        assert_eq!(good(&env, read("a", 0, usize::MAX)).await, DiskValue::Read(b"\0\0o".to_vec()));
        good(&env, DiskOp::DataSync(path("a"))).await;
        good(&env, DiskOp::Sync(path("a"))).await;
        good(&env, DiskOp::SyncDir(path(""))).await;
        good(&env, DiskOp::SyncAll).await;
    });
}

#[test]
fn more_parts_than_one_call_takes_are_written() {
    with_env(|env| async move {
        let parts: Vec<Vec<u8>> = (0..3000_u32).map(|number| number.to_le_bytes().to_vec()).collect();
        let slices: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
        good(&env, write("a", 0, &slices)).await;
        assert_eq!(good(&env, read("a", 0, 1 << 20)).await, DiskValue::Read(parts.concat()));
    });
}

#[test]
fn names_change_and_open_files_follow_them() {
    with_env(|env| async move {
        good(&env, DiskOp::MakeDir(path("x/y"))).await;
        good(&env, DiskOp::MakeDir(path("x/y"))).await;
        good(&env, write("x/y/a", 0, &[b"old"])).await;
        good(&env, write("x/b", 0, &[b"new"])).await;
        good(
            &env,
            DiskOp::Rename {
                from: path("x/b"),
                to: path("x/y/a"),
            },
        )
        .await;
        assert_eq!(good(&env, read("x/y/a", 0, 9)).await, DiskValue::Read(b"new".to_vec()));
        assert_eq!(env.disk().perform(read("x/b", 0, 9)).await, Err(DiskError::NotFound));
        let link = || DiskOp::Link {
            from: path("x/y/a"),
            to: path("x/y/c"),
        };
        good(&env, link()).await;
        assert_eq!(env.disk().perform(link()).await, Err(DiskError::Exists));
        good(&env, write("x/y/c", 0, &[b"N"])).await;
        assert_eq!(good(&env, read("x/y/a", 0, 9)).await, DiskValue::Read(b"New".to_vec()));
        good(&env, DiskOp::Unlink(path("x/y/c"))).await;
        assert_eq!(
            env.disk().perform(DiskOp::Unlink(path("x/y/c"))).await,
            Err(DiskError::NotFound)
        );
        good(&env, write("x/y/c", 0, &[b"another"])).await;
        assert_eq!(good(&env, read("x/y/a", 0, 9)).await, DiskValue::Read(b"New".to_vec()));
        let names = DiskValue::Names(vec!["a".into(), "c".into()]);
        assert_eq!(good(&env, DiskOp::ReadDir(path("x/y"))).await, names);
        good(&env, DiskOp::SyncDir(path("x/y"))).await;
    });
}

#[test]
fn s43_s66_nothing_outside_the_directory_is_touched_and_nobody_else_reads_it() {
    let folder = Folder::new();
    let env = OsEnv::open(&folder.0).unwrap();
    env.run(async {
        for bad in ["../a", "x/../../a", "/a", "x//a", ".", ""] {
            assert_eq!(
                env.disk().perform(write(bad, 0, &[b"a"])).await,
                Err(DiskError::Denied),
                "{bad}"
            );
        }
        std::os::unix::fs::symlink("/dev/null", folder.0.join("link")).unwrap();
        assert!(matches!(
            env.disk().perform(write("link", 0, &[b"a"])).await,
            Err(DiskError::Other(_))
        ));
        good(&env, DiskOp::MakeDir(path("x"))).await;
        good(&env, write("x/a", 0, &[b"a"])).await;
    });
    let mode = |name: &str| folder.0.join(name).metadata().unwrap().permissions().mode() & 0o777;
    assert_eq!([mode(""), mode("x"), mode("x/a"), mode("LOCK")], [0o700, 0o700, 0o600, 0o600]);
}

#[test]
fn what_is_in_memory_is_read_at_once() {
    with_env(|env| async move {
        good(&env, write("a", 0, &[b"in memory"])).await;
        let mut bytes = [0; 6];
        match env.disk().read_now(&path("a"), 3, &mut bytes) {
            Some(count) => assert_eq!((count.unwrap(), &bytes), (6, b"memory")),
            None => eprintln!("SKIPPED: this file system has no RWF_NOWAIT"),
        }
        if let Some(count) = env.disk().read_now(&path("a"), 7, &mut bytes) {
            assert_eq!(count.unwrap(), 2, "the file ends there");
        }
        assert!(env.disk().read_now(&path("b"), 0, &mut bytes).is_none());
    });
}

#[test]
fn free_space_is_told() {
    with_env(|env| async move {
        match good(&env, DiskOp::FreeSpace).await {
            DiskValue::Space {
                free,
                total,
                free_inodes,
            } => assert!(free <= total && total > 0 && free_inodes > 0),
            other => panic!("{other:?}"),
        }
    });
}

#[test]
fn files_beyond_those_kept_open_still_work() {
    with_env(|env| async move {
        let count = pillarbox_core::limits::OPEN_FILES + 20;
        good(&env, DiskOp::MakeDir(path("journal"))).await;
        good(&env, write("journal/0.j", 0, &[b"journal"])).await;
        for number in 0..count {
            good(&env, write(&number.to_string(), 0, &[number.to_string().as_bytes()])).await;
        }
        for number in [0, count - 1] {
            let expected = DiskValue::Read(number.to_string().into_bytes());
            assert_eq!(good(&env, read(&number.to_string(), 0, 10)).await, expected);
        }
        let mut bytes = [0; 7];
        if let Some(read) = env.disk().read_now(&path("journal/0.j"), 0, &mut bytes) {
            assert_eq!((read.unwrap(), &bytes), (7, b"journal"), "the journal stays open");
        }
    });
}
