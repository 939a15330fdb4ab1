//! Recorded histories on their way into a store and out again.

use kinlog::{Durability, RunFilter, RunInfo, Store};
use kinlog_temporal::{
    History, ImportError, ImportOptions, Outcome, ReadOptions, RecordedEvent, Unknown, export,
    import, read_histories,
};

use crate::template::options;
use crate::{Place, templates};

/// The histories in `bytes`, up to what cannot be read.
pub fn read_all(bytes: &[u8], unknown: Unknown) -> Vec<History> {
    let mut found = vec![];
    let _ = read_histories(bytes, ReadOptions { unknown }, |history| {
        found.push(history);
        Ok::<(), ImportError>(())
    });
    if unknown == Unknown::Refuse {
        assert!(found.iter().all(|history| history.unknown() == 0), "unknown, and not refused");
    }
    found
}

fn read_one(bytes: &[u8]) -> Option<History> {
    let mut found = read_all(bytes, Unknown::Keep);
    (found.len() == 1).then(|| found.remove(0))
}

/// Writes a history in both forms and reads it back; imports it as `kinlog import` does, and
/// exports it again.
pub fn round_trip(place: &Place, history: &History) {
    let written = history.to_proto();
    if !history.events().is_empty() {
        assert!(read_one(&written).expect("what was written can be read") == *history, "protobuf");
    }
    through_json(history);
    place.clear();
    let store = options(4).open(place.path()).expect("a new store");
    through_store(&store, history);
}

/// What JSON has no place for, such as protobuf fields that are not known, is not written.
fn through_json(history: &History) {
    let Ok(text) = history.to_json() else { return };
    if history.events().is_empty() {
        return;
    }
    let read = read_one(text.as_bytes()).expect("what was written can be read");
    assert!(read.to_json().expect("it was written before") == text, "JSON");
}

fn through_store(store: &Store, history: &History) {
    let end = store.end();
    let options = ImportOptions { durability: Durability::Buffered, ..Default::default() };
    let imported = match import(store, history, &options) {
        Ok(imported) => imported,
        Err(
            ImportError::NoEvents
            | ImportError::Misplaced { .. }
            | ImportError::NoAttributes { .. }
            | ImportError::Refused { .. },
        ) => return assert_eq!(store.end(), end, "refused before anything is written"),
        Err(error) => panic!("{error}"),
    };
    assert_eq!((imported.outcome, imported.events), (Outcome::Written, history.events().len()));
    let stored = store.history(&imported.run_id).expect("the run is there");
    assert!(&export(&stored).expect("it is one of Temporal's") == history, "out of the store");
    let again = import(store, history, &options).expect("it is known");
    assert_eq!(again.outcome, Outcome::AlreadyThere);
    store.verify(|_| {}).expect("an import leaves a sound store");
}

/// The runs of a store of kinlog's own, without the events that have no place in Temporal.
pub fn samples() -> Vec<History> {
    let [template, _] = templates();
    let place = Place::new();
    place.lay(&template.closed);
    let store = options(5).read_only(true).open(place.path()).expect("a sound store");
    let snapshot = store.snapshot();
    let sample = |run: RunInfo| {
        let history = snapshot.history(&run.id).expect("a listed run");
        let events = history.iter().map(|event| event.expect("a sound store"));
        events.filter_map(|event| RecordedEvent::from_kinlog(&event).ok()).collect()
    };
    snapshot.runs(RunFilter::all()).map(Result::unwrap).map(sample).collect()
}
