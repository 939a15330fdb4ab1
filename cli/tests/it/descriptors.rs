//! A store of more segments than the program may have files open.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use kinlog::{NewRun, Options, Store};
use tempfile::TempDir;

use crate::common::{Called, called, history};

const SEGMENT: u32 = 64 << 10;
const SEGMENTS: u32 = 5000;

/// A directory in memory where the machine has one: there is much to write, and nothing to keep.
fn directory() -> TempDir {
    let memory = Path::new("/dev/shm");
    if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() }.unwrap()
}

/// A store of one run, all of whose segments but the last are sealed; all but the first hold nothing else.
fn long_store(dir: &Path) -> PathBuf {
    let path = dir.join("store");
    let store = Options::new().segment_bytes(SEGMENT).open(&path).unwrap();
    let mut tx = store.begin();
    tx.start(NewRun::new("shop", "order-42", "Order")).unwrap();
    tx.commit().unwrap();
    let (end, epoch) = (store.end().as_u64(), store.report().epoch);
    drop(store);
    let segment = |number: u32| path.join(format!("log/{number:08}.seg"));
    let first = fs::read(segment(0)).unwrap();
    let mut header = first[..4096].to_vec();
    let seal = |file: &File, position: u64, salt: &[u8]| {
        file.write_all_at(&sealing(position, epoch, salt), position % u64::from(SEGMENT)).unwrap();
    };
    seal(&File::options().write(true).open(segment(0)).unwrap(), end, &header[48..64]);
    for number in 1..SEGMENTS {
        header[12..16].copy_from_slice(&number.to_le_bytes());
        let check = crc32fast::hash(&header[..68]);
        header[68..72].copy_from_slice(&check.to_le_bytes());
        let file = File::create(segment(number)).unwrap();
        file.write_all_at(&header, 0).unwrap();
        file.set_len(SEGMENT.into()).unwrap();
        if number + 1 < SEGMENTS {
            seal(&file, u64::from(number) * u64::from(SEGMENT) + 4096, &header[48..64]);
        }
    }
    path
}

/// The frame that seals a segment at `position`.
fn sealing(position: u64, epoch: u32, salt: &[u8]) -> [u8; 24] {
    let mut frame = [0; 24];
    frame[8..12].copy_from_slice(&epoch.to_le_bytes());
    frame[16] = 2;
    let checked = [salt, &position.to_le_bytes(), &frame[4..20]].concat();
    let check = crc32fast::hash(&checked).max(1).to_le_bytes();
    frame[..4].copy_from_slice(&check);
    frame[20..].copy_from_slice(&check);
    frame
}

/// The program, allowed to have 64 files open.
fn call(store: &Path, args: &[&str]) -> Called {
    let mut shell = Command::new("sh");
    shell.args([
        "-c",
        "ulimit -n 64 && exec \"$@\"",
        "sh",
        env!("CARGO_BIN_EXE_kinlog"),
        "--store",
    ]);
    called(shell.arg(store).args(args).output().unwrap())
}

#[test]
fn a_store_has_any_number_of_segments_under_any_limit_of_open_files() {
    let dir = directory();
    let store = long_store(dir.path());
    let path = |name: &str| dir.path().join(name).display().to_string();
    let (backup, saved) = (path("backup"), path("saved"));
    assert!(call(&store, &["ls"]).ok().out.contains("order-42"));
    call(&store, &["verify"]).ok();
    call(&store, &["backup", &backup]).ok();
    call(&store, &["salvage", &store.display().to_string(), &saved]).ok();
    assert_eq!(Store::open(saved).unwrap().report().commits, 1);
    fs::remove_dir_all(&backup).unwrap();
    // A writer, too.
    let file = history(dir.path(), "one.json", "one", "019f6231-0000-7000-8000-000000000001");
    call(&store, &["import", &file.display().to_string()]).ok();
}
