//! The lock belongs to the store, not to a name.

use super::*;

#[test]
fn a_store_whose_lock_file_is_removed_stays_locked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "before").unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();

    refused_as_locked(dir.path());
    put(&store, "after").unwrap();
    store.shut_down().unwrap();
    assert_eq!(keys(&open(dir.path())), ["after", "before"]);
}

#[test]
fn a_store_whose_lock_file_is_replaced_stays_locked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    fs::write(dir.path().join("LOCK"), b"").unwrap();
    refused_as_locked(dir.path());
    drop(store);
    open(dir.path());
}

#[test]
fn a_lock_file_that_is_removed_comes_back_and_readers_see_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "before").unwrap();
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();
    put(&store, "after").unwrap();
    store.rest().unwrap();
    assert!(dir.path().join("LOCK").exists());
    reader.refresh().unwrap();
    assert_eq!(keys(&reader), ["after", "before"]);
}

/// The word of the file that is gone is not the new one's.
#[test]
fn a_lock_file_that_came_back_tells_of_each_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let reader = Options::new().read_only(true).open(dir.path()).unwrap();
    let lock = dir.path().join("LOCK");
    for (number, replaced) in [false, true, false].into_iter().enumerate() {
        put_buffered(&store, &format!("{number} before")).unwrap();
        fs::remove_file(&lock).unwrap();
        if replaced {
            fs::write(&lock, [7; 24]).unwrap();
        }
        store.rest().unwrap();
        for key in ["after", "later"] {
            put_buffered(&store, &format!("{number} {key}")).unwrap();
            assert!(reader.refresh().unwrap(), "{number} {key}");
            assert_eq!(keys(&reader), keys(&store));
        }
    }
}

/// Only where nothing is left of its first page does a store to the word end the process.
#[test]
fn a_lock_file_that_is_cut_short_ends_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    let lock = fs::File::options().write(true).open(dir.path().join("LOCK")).unwrap();
    for len in [4095, 136, 40, 24, 16, 1] {
        lock.set_len(len).unwrap();
        put_buffered(&store, &len.to_string()).unwrap();
    }
    // With the next durable commit it is told again how far the log is published.
    put(&store, "durable").unwrap();
    store.shut_down().unwrap();
    assert_eq!(keys(&open(dir.path())).len(), 7);
}

#[test]
fn a_copy_by_hard_links_is_not_opened_for_writing_nor_is_its_origin() {
    let dir = tempfile::tempdir().unwrap();
    let (origin, copy) = (dir.path().join("origin"), dir.path().join("copy"));
    let store = open(&origin);
    put(&store, "before").unwrap();
    let reader = Options::new().read_only(true).open(&origin).unwrap();
    link_files(&origin, &copy);
    let refused = |path| {
        let opened = small_segments().open(path);
        assert!(matches!(opened, Err(Error::Linked { names: 2, .. })), "{opened:?}");
    };
    refused(&copy);
    // Nothing was written through the shared record, and the store goes on.
    put(&store, "after").unwrap();
    reader.refresh().unwrap();
    assert_eq!(keys(&reader), ["after", "before"]);
    store.shut_down().unwrap();
    refused(&copy);
    refused(&origin);
    assert_eq!(keys(&Options::new().read_only(true).open(&copy).unwrap()), ["after", "before"]);
    fs::remove_dir_all(&copy).unwrap();
    assert_eq!(keys(&open(&origin)), ["after", "before"]);
}
