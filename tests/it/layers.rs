//! An index in layers: what is in memory over what is in files.

use kinlog::{Options, Store};

fn set(store: &Store, rows: std::ops::Range<u8>, value: Option<&[u8]>) {
    let mut tx = store.begin();
    for row in rows {
        match value {
            Some(value) => tx.put("rows", &[row], value).unwrap(),
            None => tx.delete("rows", &[row]).unwrap(),
        }
    }
    tx.commit().unwrap();
}

/// The writer's file ends between a row and its deletion, which lie in one layer of the reader's.
#[test]
fn a_reader_that_adopts_the_files_of_the_writer_sees_no_deleted_row() {
    let dir = tempfile::tempdir().unwrap();
    let writer = Options::new().memory_bytes(0).open(dir.path()).unwrap();
    set(&writer, 0..100, Some(b"some"));
    // The layer with these rows is full for the reader, that with the next one is not.
    let reader = Options::new().read_only(true).memory_bytes(4_000).open(dir.path()).unwrap();
    set(&writer, 100..101, Some(b"one more"));
    set(&writer, 100..101, None);
    writer.shut_down().unwrap();
    reader.refresh().unwrap();
    assert_eq!(reader.snapshot().rows("rows", ..).count(), 100);
    reader.verify(|_| ()).unwrap();
}
