//! Who may read a store's files, and which files a store will not touch.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use kinlog::{Close, Error, EventKind, NewChild, NewEvent, NewRun, Store};
use kinlog_testing::files::small_segments;

/// A store with every kind of name that a user can choose, closed; two segments.
fn store_named(dir: &Path, name: &str) {
    let store = small_segments().open(dir).unwrap();
    let mut tx = store.begin();
    let run = tx.start(NewRun::new(name, name, name).task_queue(name).request_id(name)).unwrap();
    tx.spawn_child(&run, NewChild::new(&format!("{name}2"), name).task_queue(name)).unwrap();
    tx.signal(&run, name, b"").unwrap();
    tx.put(name, name.as_bytes(), name.as_bytes()).unwrap();
    tx.commit().unwrap();
    for _ in 0..3 {
        let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &[1; 30_000]);
        store.append(&run, event).unwrap();
    }
    store.close_run(&run, Close::terminated(name)).unwrap();
    store.shut_down().unwrap();
}

fn files(dir: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut dirs = vec![dir.to_owned()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path.clone());
            }
            found.insert(path);
        }
    }
    found
}

#[test]
fn files_are_for_their_owner_only() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("new/store");
    store_named(&path, "n");
    // A torn end, so that there is something in quarantine too.
    let segment = path.join("log/00000001.seg");
    let mut bytes = fs::read(&segment).unwrap();
    bytes[60_000] = 1;
    fs::write(&segment, bytes).unwrap();
    drop(small_segments().open(&path).unwrap());
    assert!(path.join("quarantine").is_dir());
    for file in files(dir.path()) {
        let mode = fs::metadata(&file).unwrap().permissions().mode() & 0o777;
        let expected = if file.is_dir() { 0o700 } else { 0o600 };
        assert_eq!(mode, expected, "{}", file.display());
    }
}

#[test]
fn names_from_users_never_become_paths() {
    let plain = tempfile::tempdir().unwrap();
    store_named(&plain.path().join("store"), "plain");
    let names = |dir: &Path| -> BTreeSet<PathBuf> {
        files(dir).iter().map(|path| path.strip_prefix(dir).unwrap().to_owned()).collect()
    };
    for name in ["../up", "/tmp/kinlog-absolute", "a/b/c", "MANIFEST", "log", "..", "nul\0byte"] {
        let dir = tempfile::tempdir().unwrap();
        store_named(&dir.path().join("store"), name);
        assert_eq!(names(dir.path()), names(plain.path()), "{name:?}");
    }
    assert!(!Path::new("/tmp/kinlog-absolute").exists());
}

#[test]
fn links_inside_a_store_are_not_followed() {
    for link in ["MANIFEST", "LOCK", "log/00000000.seg", "log/00000001.seg", "log"] {
        let dir = tempfile::tempdir().unwrap();
        let (path, elsewhere) = (dir.path().join("store"), dir.path().join("elsewhere"));
        store_named(&path, "n");
        fs::rename(path.join(link), &elsewhere).unwrap();
        symlink(&elsewhere, path.join(link)).unwrap();
        for read_only in [true, false] {
            let opened = small_segments().read_only(read_only).open(&path);
            let Err(Error::Io { path: named, source, .. }) = opened else {
                panic!("{link} was followed: {:?}", opened.map(|store| store.report().clone()));
            };
            assert_eq!(named, path.join(link));
            assert!(source.to_string().contains("symbolic link"), "{source}");
        }
    }
}

#[test]
fn a_store_may_be_reached_through_a_link() {
    let dir = tempfile::tempdir().unwrap();
    store_named(&dir.path().join("store"), "n");
    symlink(dir.path().join("store"), dir.path().join("link")).unwrap();
    Store::open(dir.path().join("link")).unwrap().verify(|_| {}).unwrap();
}

#[test]
fn what_is_no_file_is_refused_and_not_waited_for() {
    for name in ["MANIFEST", "LOCK", "log/00000000.seg"] {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("store");
        store_named(&path, "n");
        fs::remove_file(path.join(name)).unwrap();
        let made = std::process::Command::new("mkfifo").arg(path.join(name)).status().unwrap();
        assert!(made.success());
        for read_only in [true, false] {
            let opened = small_segments().read_only(read_only).open(&path);
            assert!(matches!(opened, Err(Error::Io { .. })), "{name}: {:?}", opened.err());
        }
    }
}
