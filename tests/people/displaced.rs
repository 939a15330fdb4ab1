//! A store that is moved, replaced or emptied while it is open: its writer stops, and touches nothing of
//! what is there now.

use super::*;

fn displaced(error: &Error) -> Option<(&Path, bool)> {
    match error {
        Error::Displaced { path, replaced } => Some((path, *replaced)),
        Error::NotWritten { cause } | Error::OutcomeUnknown { cause, .. } => displaced(cause),
        _ => None,
    }
}

/// Goes on in the next segment before long.
fn fill(store: &Store) -> Error {
    let mut count = 0;
    until_refused(|| {
        count += 1;
        put_bytes(store, &format!("late {count:09}"), 20_000)
    })
}

#[test]
fn a_writer_whose_store_is_replaced_stops_and_leaves_the_new_one_alone() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup, moved) =
        (dir.path().join("store"), dir.path().join("backup"), dir.path().join("moved"));
    let store = open(&path);
    put(&store, "one").unwrap();
    store.backup(&backup, None, |_| ()).unwrap();
    put(&store, "two").unwrap();

    fs::rename(&path, &moved).unwrap();
    copy_files(&backup, &path);
    let there = content(&path);
    let error = fill(&store);
    assert_eq!(displaced(&error), Some((&*path, true)), "{error}");
    assert!(error.to_string().contains("replaced"), "{error}");
    assert_eq!(keys(&store)[..1], ["late 000000001"], "reading goes on");
    let acknowledged = keys(&store);
    let closed = store.shut_down();
    assert!(closed.is_err());
    assert!(content(&path) == there, "the new store was touched");

    let restored = open(&path);
    assert_eq!(keys(&restored), ["one"]);
    put(&restored, "three").unwrap();
    // What was acknowledged is in what was opened.
    let old = open(&moved);
    assert!(acknowledged.iter().all(|key| keys(&old).contains(key)));
    restored.verify(|_| ()).unwrap();
    old.verify(|_| ()).unwrap();
}

#[test]
fn a_writer_whose_store_is_moved_away_stops() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("store"), dir.path().join("moved"));
    let store = open(&path);
    put(&store, "one").unwrap();
    fs::rename(&path, &moved).unwrap();
    let error = store.rest().unwrap_err();
    assert_eq!(displaced(&error), Some((&*path, false)), "{error}");
    let error = put(&store, "two").unwrap_err();
    assert!(matches!(&error, Error::NotWritten { .. }), "{error}");
    assert!(store.shut_down().is_err());
    assert!(!path.exists());
    assert_eq!(keys(&open(&moved)), ["one"]);
}

#[test]
fn a_store_that_is_moved_or_replaced_is_not_closed_as_if_nothing_had_been() {
    for replaced in [false, true] {
        let dir = tempfile::tempdir().unwrap();
        let (path, moved) = (dir.path().join("store"), dir.path().join("moved"));
        let store = open(&path);
        put(&store, "one").unwrap();
        fs::rename(&path, &moved).unwrap();
        if replaced {
            copy_files(&moved, &path);
        }
        let error = store.shut_down().unwrap_err();
        assert_eq!(displaced(&error), Some((&*path, replaced)), "{error}");
    }
}

#[test]
fn a_writer_stops_whichever_of_its_names_leads_elsewhere() {
    for name in ["log", "MANIFEST", "log/00000000.seg"] {
        for replaced in [false, true] {
            let dir = tempfile::tempdir().unwrap();
            let store = open(dir.path());
            put(&store, "one").unwrap();
            let (named, moved) = (dir.path().join(name), dir.path().join("moved"));
            fs::rename(&named, &moved).unwrap();
            match replaced && moved.is_dir() {
                true => copy_files(&moved, &named),
                false if replaced => fs::copy(&moved, &named).map(|_| ()).unwrap(),
                false => {}
            }
            let error = store.rest().unwrap_err();
            assert_eq!(displaced(&error), Some((&*named, replaced)), "{error}");
            assert!(put(&store, "two").is_err(), "{name}");
            assert!(store.shut_down().is_err(), "{name}");
        }
    }
}

/// Nobody says that the store is at rest, and no segment is full: the writer looks by itself.
#[test]
fn a_writer_that_is_never_at_rest_notices_too() {
    let dir = tempfile::tempdir().unwrap();
    let (path, moved) = (dir.path().join("store"), dir.path().join("moved"));
    let store = Options::new().segment_bytes(64 << 20).open(&path).unwrap();
    fs::rename(&path, &moved).unwrap();
    let error = until_refused(|| put(&store, "same row"));
    assert_eq!(displaced(&error), Some((&*path, false)), "{error}");
}

#[test]
fn a_reader_does_not_read_on_in_another_store() {
    let dir = tempfile::tempdir().unwrap();
    let (path, backup, moved) =
        (dir.path().join("store"), dir.path().join("backup"), dir.path().join("moved"));
    let store = open(&path);
    put(&store, "one").unwrap();
    store.backup(&backup, None, |_| ()).unwrap();
    put_bytes(&store, "two", 1000).unwrap();
    let reader = small_segments().read_only(true).open(&path).unwrap();
    drop(store);

    fs::rename(&path, &moved).unwrap();
    fs::rename(&backup, &path).unwrap();
    let restored = open(&path);
    put_bytes(&restored, "three", 2000).unwrap();
    put_bytes(&restored, "four", 2000).unwrap();
    let error = reader.refresh().unwrap_err();
    assert_eq!(displaced(&error), Some((&*path, true)), "{error}");
    assert_eq!(keys(&reader), ["one", "two"]);
}

#[test]
fn a_relative_path_means_the_same_store_wherever_the_process_goes() {
    let here = std::env::current_dir().unwrap();
    let dir = tempfile::tempdir_in(&here).unwrap();
    let relative = Path::new(dir.path().file_name().unwrap()).join("store");
    let store = open(&relative);
    assert_eq!(store.path(), here.join(&relative));
}
