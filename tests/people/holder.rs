//! Who is said to hold the lock, and what to do about it.

use std::os::unix::fs::FileExt;

use kinlog::error::{Holder, Whereabouts};

use super::*;

fn holder(path: &Path) -> (Holder, String) {
    match small_segments().open(path) {
        Err(error) => match &error {
            Error::Locked { path: locked, holder } => {
                assert_eq!(locked, path);
                (holder.clone(), error.to_string())
            }
            other => panic!("{other}"),
        },
        Ok(_) => panic!("not locked"),
    }
}

#[test]
fn a_caller_that_holds_the_lock_itself_is_told_so() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path());
    let (holder, said) = holder(dir.path());
    assert_eq!(holder.process, std::process::id());
    assert_eq!(holder.whereabouts, Whereabouts::ThisProcess);
    assert!(said.contains("this process") && !said.contains("stop it"), "{said}");
}

/// The record as a process of number 1 in a container, or on another machine, leaves it.
#[test]
fn nobody_is_told_to_stop_a_process_that_is_another_one_here() {
    let dir = tempfile::tempdir().unwrap();
    let _store = open(dir.path());
    let record = fs::File::options().write(true).open(dir.path().join("LOCK")).unwrap();
    let found = fs::read(dir.path().join("LOCK")).unwrap();
    for (at, expected) in [
        (48, Whereabouts::OtherContainer),
        (56, Whereabouts::OtherMachine),
        (0, Whereabouts::Unknown),
    ] {
        let mut bytes = found.clone();
        bytes[8..12].copy_from_slice(&1u32.to_le_bytes());
        if at > 0 {
            bytes[at] ^= 1;
            let check = crc32fast::hash(&[&bytes[8..12], &bytes[44..136]].concat());
            bytes[40..44].copy_from_slice(&check.to_le_bytes());
        }
        record.write_all_at(&bytes, 0).unwrap();
        let (holder, said) = holder(dir.path());
        assert_eq!((holder.process, holder.whereabouts), (1, expected), "{said}");
        assert!(!said.contains("stop"), "{said}");
        let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
        assert_eq!(said.contains(host.trim()), at > 0, "{said}");
    }
}

/// As every store has it that was written before records said where a process runs.
#[test]
fn a_record_of_earlier_versions_is_read() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "one").unwrap();
    fs::File::options().write(true).open(dir.path().join("LOCK")).unwrap().set_len(40).unwrap();
    let (holder, said) = holder(dir.path());
    assert_eq!((holder.process, holder.whereabouts), (std::process::id(), Whereabouts::Unknown));
    assert!(!said.contains("stop"), "{said}");
    let reader = small_segments().read_only(true).open(dir.path()).unwrap();
    assert_eq!(keys(&reader), ["one"]);
}

/// The process of the last writer has long gone, or does something else.
#[test]
fn a_reader_that_keeps_writers_out_is_not_taken_for_the_last_writer() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let salvage = fs::File::open(dir.path()).unwrap();
    salvage.try_lock_shared().unwrap();
    let (holder, said) = holder(dir.path());
    assert_eq!((holder.process, holder.whereabouts), (0, Whereabouts::Reader), "{said}");
}

#[test]
fn whoever_closes_a_store_is_no_longer_named() {
    let dir = tempfile::tempdir().unwrap();
    drop(open(dir.path()));
    let other = fs::File::open(dir.path()).unwrap();
    other.try_lock().unwrap();
    let (holder, said) = holder(dir.path());
    assert_eq!((holder.process, holder.whereabouts), (0, Whereabouts::Unknown), "{said}");
}
