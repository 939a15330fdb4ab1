//! A store has more segments than a process may have descriptors.

use super::*;

/// Directories, manifest, lock record, the current segment, the next one, and what is open while that is made.
const FEW: usize = 12;

/// How many descriptors of this process lead into `dir`.
fn open_files(dir: &Path) -> usize {
    let links = fs::read_dir("/proc/self/fd").unwrap();
    let targets = links.filter_map(|link| fs::read_link(link.unwrap().path()).ok());
    targets.filter(|target| target.starts_with(dir)).count()
}

#[test]
#[cfg(target_os = "linux")]
fn a_writer_and_a_reader_hold_few_descriptors_however_many_segments_there_are() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().canonicalize().unwrap();
    let store = open(&path);
    let mut counts = vec![];
    for i in 0..40 {
        put_bytes(&store, &format!("{i:03}"), 40_000).unwrap();
        counts.push(open_files(&path));
    }
    // Those that the store's own thread syncs are let go of as well.
    for i in 0..40_u8 {
        let mut tx = store.begin();
        tx.put("buffered", &[i], &[7; 40_000]).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
    }
    store.sync().unwrap();
    counts.push(open_files(&path));
    assert!(counts.iter().all(|count| *count <= FEW), "{counts:?}");
    let reader = small_segments().read_only(true).open(&path).unwrap();
    assert!(reader.report().segments >= 40);
    drop(store);
    // The directories and the manifest.
    assert_eq!(open_files(&path), 3);
    drop(reader);
    let store = open(&path);
    put_bytes(&store, "last", 40_000).unwrap();
    assert!(open_files(&path) <= FEW);
}
