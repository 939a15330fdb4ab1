//! Stores in memory.

use std::path::Path;
use std::sync::Arc;
use std::thread;

use kinlog::disk::{Disk, Memory, OpenMode};
use kinlog::{Close, Durability, Error, NewRun, Options, Store, Verdict};
use kinlog_testing::steps::{marker, start};

#[test]
fn a_store_in_memory_is_a_store() {
    let disk = Arc::new(Memory::new());
    let options = Options::new().segment_bytes(256 << 10).disk(disk.clone());
    let store = options.open("/a/store").unwrap();
    assert_eq!(store.report().verdict, Verdict::Created);
    let reader = options.clone().read_only(true).open("/a/store").unwrap();
    assert_eq!(reader.report().verdict, Verdict::Live);
    assert!(matches!(options.open("/a/store").unwrap_err(), Error::Locked { .. }));
    let run = start(&store, "order");
    for durability in [Durability::Sync, Durability::Buffered] {
        for _ in 0..20 {
            let mut tx = store.begin();
            tx.append(&run, marker(&[7; 20_000])).unwrap();
            tx.commit_with(durability).unwrap();
        }
    }
    store.close_run(&run, Close::completed(b"ok")).unwrap();
    assert!(reader.refresh().unwrap());
    assert_eq!(reader.history(&run).unwrap().len(), 42);
    let stats = store.stats().unwrap();
    assert_eq!(stats.accounted_bytes(), stats.file_bytes);
    store.verify(|_| ()).unwrap();
    // Onto the same disk, and a second one shares segments with it.
    store.backup("/a/copy", None, |_| ()).unwrap();
    let report = store.backup("/b", Some(Path::new("/a/copy")), |_| ()).unwrap();
    assert!(report.linked > 0 && report.copied > 0, "{report:?}");
    let end = store.end();
    store.shut_down().unwrap();
    kinlog::salvage::salvage("/a/store", "/c", &options, |_| ()).unwrap();
    for path in ["/a/store", "/a/copy", "/b", "/c"] {
        let store = options.open(path).unwrap();
        assert_eq!(store.report().verdict, Verdict::Clean, "{path}");
        assert_eq!(store.history(&run).unwrap().len(), 42, "{path}");
        assert!(path == "/c" || store.end() == end, "{path}");
    }
    // Nothing of it is on a file system, and on another disk in memory neither.
    assert!(!Path::new("/a/store").exists());
    let other = Options::new().create(false).disk(Arc::new(Memory::new()));
    assert!(matches!(other.open("/a/store").unwrap_err(), Error::NotAStore { .. }));
}

#[test]
fn what_a_dropped_writer_left_unclosed_is_there() {
    let options = Options::new().disk(Arc::new(Memory::new()));
    let store = options.open("store").unwrap();
    let run = start(&store, "order");
    // As if the process had forgotten it: the lock stays.
    std::mem::forget(store);
    let reader = options.clone().read_only(true).open("store").unwrap();
    assert_eq!(reader.history(&run).unwrap().len(), 1);
    assert!(matches!(options.open("store").unwrap_err(), Error::Locked { .. }));
}

#[test]
fn every_temporary_store_is_another_one_and_leaves_nothing() {
    let descriptors = || std::fs::read_dir("/proc/self/fd").map_or(0, Iterator::count);
    let before = descriptors();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..250 {
                    let store = Store::temporary().unwrap();
                    assert_eq!(store.stats().unwrap().runs, 0);
                    let mut tx = store.begin();
                    tx.start(NewRun::new("shop", "order", "Order")).unwrap();
                    tx.commit().unwrap();
                    assert_eq!(store.stats().unwrap().runs, 1);
                }
            });
        }
    });
    // Other tests run beside this one; four for each store would be four thousand.
    assert!(descriptors() < before + 1000);
}

#[test]
fn a_disk_in_memory_refuses_what_a_file_system_refuses() {
    use std::io::ErrorKind::{AlreadyExists, IsADirectory, NotADirectory, NotFound};
    let disk = Memory::new();
    let at = Path::new;
    let open = |path, mode| disk.open(at(path), mode).map(drop).map_err(|error| error.kind());
    assert_eq!(open("/d/f", OpenMode::Create), Err(NotFound));
    disk.create_dir(at("/d/e")).unwrap();
    assert_eq!(open("/d/f", OpenMode::Read), Err(NotFound));
    assert_eq!(open("/d/f", OpenMode::Create), Ok(()));
    assert_eq!(open("/d/f", OpenMode::Create), Err(AlreadyExists));
    assert_eq!(open("/d/e", OpenMode::Read), Err(IsADirectory));
    assert_eq!(open("/d/f/g", OpenMode::Create), Err(NotADirectory));
    assert_eq!(disk.create_dir(at("/d/f/g")).unwrap_err().kind(), NotADirectory);
    assert_eq!(disk.list(at("/d/f")).unwrap_err().kind(), NotADirectory);
    assert_eq!(disk.remove(at("/d/e")).unwrap_err().kind(), IsADirectory);
    assert_eq!(disk.remove(at("/d/x")).unwrap_err().kind(), NotFound);
    assert_eq!(disk.rename(at("/d/x"), at("/d/y")).unwrap_err().kind(), NotFound);
    let mut names = disk.list(at("/d")).unwrap();
    names.sort();
    assert_eq!(names, ["e", "f"]);
    // A file keeps its identity and content under another name.
    let file = disk.open(at("/d/f"), OpenMode::Write).unwrap();
    file.write_at(b"content", 3).unwrap();
    disk.link(at("/d/f"), at("/d/e/g")).unwrap();
    disk.rename(at("/d/e"), at("/h")).unwrap();
    assert_eq!(disk.id_at(at("/h/g")).unwrap(), file.id().unwrap());
    let mut read = [9; 10];
    disk.open(at("/h/g"), OpenMode::Read).unwrap().read_at(&mut read, 0).unwrap();
    assert_eq!(&read, b"\0\0\0content");
    assert_eq!(disk.id_at(at("/d/e")).unwrap_err().kind(), NotFound);
}

#[test]
fn the_lock_of_a_directory_in_memory_excludes_as_flock_does() {
    let disk = Memory::new();
    disk.create_dir(Path::new("/d")).unwrap();
    let open = || disk.open_dir(Path::new("/d")).unwrap();
    let (a, b, c) = (open(), open(), open());
    assert!(a.try_lock_shared().unwrap() && b.try_lock_shared().unwrap());
    assert!(!a.try_lock().unwrap() && !c.try_lock().unwrap());
    drop(b);
    assert!(a.try_lock().unwrap() && a.try_lock().unwrap());
    assert!(!c.try_lock().unwrap() && !c.try_lock_shared().unwrap());
    // One handle exchanges its lock.
    assert!(a.try_lock_shared().unwrap() && c.try_lock_shared().unwrap());
    drop(a);
    assert!(c.try_lock().unwrap());
}

#[test]
fn a_name_in_memory_is_taken_by_a_rename_and_by_no_link() {
    let disk = Memory::new();
    disk.create_dir(Path::new("/d")).unwrap();
    let create = |name: &str| {
        let file = disk.open(Path::new(name), OpenMode::Create).unwrap();
        file.write_at(name.as_bytes(), 0).unwrap();
        file.id().unwrap()
    };
    let (one, two) = (create("/d/one"), create("/d/two"));
    let at = |name: &str| disk.id_at(Path::new(name)).ok();
    let taken = disk.link(Path::new("/d/one"), Path::new("/d/two"));
    assert_eq!(taken.unwrap_err().kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!([at("/d/one"), at("/d/two")], [Some(one), Some(two)]);
    disk.rename(Path::new("/d/one"), Path::new("/d/one")).unwrap();
    assert_eq!(at("/d/one"), Some(one));
    disk.rename(Path::new("/d/one"), Path::new("/d/two")).unwrap();
    assert_eq!([at("/d/one"), at("/d/two")], [None, Some(one)]);
}
