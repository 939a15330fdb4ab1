//! What must hold of any files at all that are opened as a store.

use std::fs;
use std::path::Path;

use kinlog::{DutyFilter, Error, NewRun, Store, Verdict};

use crate::look::{Said, look, sound};
use crate::template::options;
use crate::{Image, Place};

/// Opens an image for reading and for writing. Either both refuse it, with an error that names a
/// file of the store, and change nothing; or both see the same, and the store takes commits.
pub fn examine(place: &Place, image: &Image) {
    place.lay(image);
    let read = options(1).read_only(true).open(place.path());
    let read = read.map(|store| (store.report().verdict, look(&store)));
    place.assert_holds(image, "opened for reading");
    match (read, options(2).open(place.path())) {
        (Err(reader), Err(writer)) => {
            place.assert_holds(image, "refused");
            assert_names(&reader, place.path());
            assert_names(&writer, place.path());
        }
        (Ok((verdict, said)), Ok(store)) => {
            assert_eq!((store.report().verdict, store.end()), (verdict, said.end));
            assert_kept(&store);
            go_on(place, store, &said);
        }
        // Reading needs no epoch of its own.
        (Ok(_), Err(writer)) if exhausted(&writer) => {
            place.assert_holds(image, "refused for writing");
            assert_names(&writer, place.path());
        }
        (Ok((verdict, _)), Err(writer)) => panic!("{verdict:?} to read, but to write: {writer}"),
        (Err(reader), Ok(store)) => panic!("to read: {reader}, but to write: {:?}", store.report()),
    }
}

/// Whether the manifest's epoch is the last one that there can be.
fn exhausted(error: &Error) -> bool {
    matches!(error, Error::Corrupt(found) if found.found == u64::from(u32::MAX))
}

/// Panics unless an error says which file of the store it is about.
fn assert_names(error: &Error, dir: &Path) {
    let path = match error {
        Error::Corrupt(corruption) => &corruption.path,
        Error::Io { path, .. } | Error::UnsupportedFormat { path, .. } => path,
        other => panic!("an error that names no file: {other:?}"),
    };
    assert!(path.starts_with(dir), "{error} is about no file of the store");
}

/// Panics unless there are copies of all bytes that opening removed.
fn assert_kept(store: &Store) {
    let report = store.report();
    let copies = report.quarantined.iter().map(|copy| fs::metadata(copy).expect("a copy").len());
    assert_eq!(copies.sum::<u64>(), report.removed_bytes, "{report:?}");
}

/// Writes into a store that opened, closes it and opens it again.
fn go_on(place: &Place, store: Store, before: &Said) {
    let mut tx = store.begin();
    let new = NewRun::new("7a3c6b52", "new", "New").input(b"in");
    let run = tx.start(new).expect("a store that opened takes runs");
    tx.put("new", b"key", b"value").expect("and rows");
    tx.commit().expect("and commits");
    match store.settle_all() {
        Ok(settled) => {
            let left = store.duties(DutyFilter::all()).count() as u64;
            assert_eq!(left, settled.refused, "all duties are settled or refused: {settled:?}");
        }
        Err(error) => assert!(!sound(Err(error)) && !before.sound, "a sound store is settled"),
    }
    let after = look(&store);
    assert!(after.sound || !before.sound, "writing damages nothing of what was there");
    assert!(after.end > before.end && store.run(&run).is_ok());
    store.shut_down().expect("a clean close");
    let again = options(3).read_only(true).open(place.path()).expect("it opens again");
    assert_eq!(again.report().verdict, Verdict::Clean);
    assert_eq!(look(&again), after, "all of it is there, and the same");
}
