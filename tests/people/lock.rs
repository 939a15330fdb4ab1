//! The lock belongs to the store, not to a name.

use super::*;

#[test]
fn a_store_whose_lock_file_is_removed_stays_locked() {
    let dir = tempfile::tempdir().unwrap();
    let store = open(dir.path());
    put(&store, "before").unwrap();
    fs::remove_file(dir.path().join("LOCK")).unwrap();

    let second = options().open(dir.path());
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
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
    let second = options().open(dir.path());
    assert!(matches!(second, Err(Error::Locked { .. })), "{second:?}");
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
