//! Writes histories into a store and gets them back, whole, in part, twice and in any order.

use std::collections::BTreeMap;
use std::path::Path;

use kinlog::retention::Compaction;
use kinlog::{Durability, NewRun, Options, RunFilter, RunId, RunStatus, Store};
use kinlog_temporal::{
    History, ImportError, ImportOptions, Imported, Outcome, RecordedEvent, batches, export, import,
};

use crate::histories;

const OPTIONS: ImportOptions<'_> =
    ImportOptions { namespace: "default", durability: Durability::Buffered };

fn open(dir: &Path) -> Store {
    Options::new().segment_bytes(64 << 20).open(dir).expect("a store")
}

fn put(store: &Store, history: &History) -> Imported {
    import(store, history, &OPTIONS).expect("an import")
}

fn get(store: &Store, run: &RunId) -> History {
    export(&store.history(run).expect("a run")).expect("an export")
}

/// What is not `Written` changes nothing; returns the runs in the order of the histories.
fn again<'h>(store: &Store, histories: impl Iterator<Item = &'h History>) -> Vec<RunId> {
    let before = store.end();
    let again: Vec<Imported> = histories.map(|history| put(store, history)).collect();
    assert!(again.iter().all(|it| (it.outcome, it.events) == (Outcome::AlreadyThere, 0)));
    assert_eq!(store.end(), before);
    again.iter().map(|it| it.run_id).collect()
}

/// Packed, closed runs take at most a fifth of their protobuf, with all that tells where they are.
#[test]
fn recorded_histories_are_packed_and_exported_the_same() {
    let Some(recorded) = histories::recorded() else { return };
    let temporal: Vec<_> = recorded.iter().filter_map(|it| it.canonical.as_ref()).collect();
    let histories: Vec<_> = temporal.iter().map(|it| History::from_proto(it).unwrap()).collect();
    let dir = tempfile::tempdir().expect("a directory");
    let store = Options::new().segment_bytes(16 << 20).open(dir.path()).expect("a store");
    let runs: Vec<_> = histories.iter().map(|history| put(&store, history).run_id).collect();
    let last = store.end().as_u64() >> 24;
    while store.end().as_u64() >> 24 == last {
        store.transact(|tx| tx.put("filling", b"row", &vec![0; 1 << 20])).unwrap();
    }
    let done = store.compact(&Compaction::new().dead_percent(0).pack()).unwrap();
    assert_eq!(done.segments.len(), done.rewritten as usize);
    check_all(&store, &histories, &runs);
    let mut protobuf = BTreeMap::new();
    for (run, history) in runs.iter().zip(temporal) {
        if !store.run(run).unwrap().status.is_open() {
            // A history that was recorded twice is there once.
            protobuf.insert(*run, history.len() as u64);
        }
    }
    let stats = store.stats().unwrap();
    let headers = u64::from(done.rewritten) * 4096;
    let (packed, of) =
        (stats.packed_bytes + stats.piece_bytes + headers, protobuf.values().sum::<u64>());
    println!(
        "{} runs, {of} bytes of protobuf, {packed} packed: {:.4}",
        protobuf.len(),
        packed as f64 / of as f64
    );
    assert!(packed * 5 <= of, "{packed} of {of}");
}

#[test]
fn every_recorded_history_is_imported_once_and_exported_the_same() {
    let Some(recorded) = histories::recorded() else { return };
    let temporal = recorded.iter().filter_map(|it| it.canonical.as_ref());
    let histories: Vec<_> = temporal.map(|it| History::from_proto(it).expect("proto")).collect();
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let imported: Vec<Imported> = histories.iter().map(|history| put(&store, history)).collect();
    let runs: Vec<RunId> = imported.iter().map(|it| it.run_id).collect();
    check_all(&store, &histories, &runs);

    assert_eq!(again(&store, histories.iter()), runs);
    let mut reversed = again(&store, histories.iter().rev());
    reversed.reverse();
    assert_eq!(reversed, runs);

    let written = |it: &&Imported| it.outcome != Outcome::AlreadyThere;
    let others = imported.iter().filter(|it| it.under_other_id).count();
    let written: usize = imported.iter().filter(written).map(|it| it.events).sum();
    let runs_in_store = store.snapshot().runs(RunFilter::all()).count();
    println!("{} histories, {runs_in_store} runs, {others} under another id", histories.len());
    let stats = store.stats().expect("stats");
    assert_eq!((stats.events, stats.runs), (written as u64, runs_in_store as u64));

    store.shut_down().expect("in order");
    let store = open(dir.path());
    check_all(&store, &histories, &runs);
    store.verify(|_| {}).expect("a sound store");
}

fn check_all(store: &Store, histories: &[History], runs: &[RunId]) {
    for (history, run) in histories.iter().zip(runs) {
        assert!(get(store, run).to_proto() == history.to_proto(), "{run}");
        let info = store.run(run).expect("a run");
        let stored = store.history(run).expect("a run");
        let sizes = stored.iter().map(|event| u64::from(event.expect("an event").size()));
        let (count, bytes) = sizes.fold((0, 0), |(count, bytes), size| (count + 1, bytes + size));
        assert_eq!((info.events, info.bytes), (count, bytes));
        assert!(info.is_imported);
    }
}

/// The log is the histories, and little more.
#[test]
fn the_log_is_hardly_larger_than_the_protobuf_in_it() {
    let Some(recorded) = histories::recorded() else { return };
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let (mut proto, mut histories) = (0, 0);
    for canonical in recorded.iter().filter_map(|it| it.canonical.as_ref()) {
        let history = History::from_proto(canonical).expect("protobuf");
        if put(&store, &history).outcome == Outcome::Written {
            proto += canonical.len() as u64;
            histories += 1;
        }
    }
    let stats = store.stats().expect("stats");
    // The first, short segments have headers and tails of their own, however long the log becomes.
    let short = stats.header_bytes + stats.tail_bytes;
    let log = stats.log_bytes() - short;
    let per_mille = log * 1000 / proto;
    println!("{histories} histories: {log} bytes of log for {proto} of protobuf, {per_mille} ‰");
    println!("{stats:?}");
    assert!(log * 100 <= proto * 110, "{per_mille} ‰");
    assert!(short <= 256 << 10, "{short} bytes");
}

/// Six events in three batches: 1, 2; 3; 4, 5, 6.
fn small(run: &str, note: &str) -> History {
    let run = match run {
        "" => String::new(),
        run => format!(r#""originalExecutionRunId": "{run}", "#),
    };
    let task = r#""workflowTaskCompletedEventId": 4"#;
    History::from_json(&format!(
        r#"[
        {{"eventId": 1, "taskId": 10, "eventType": "WorkflowExecutionStarted",
          "eventTime": "2024-01-02T03:04:05Z", "workflowExecutionStartedEventAttributes":
          {{{run}"workflowId": "w"}}}},
        {{"eventId": 2, "taskId": 11, "eventType": "WorkflowTaskScheduled"}},
        {{"eventId": 3, "taskId": 14, "eventType": "WorkflowTaskStarted",
          "workflowTaskStartedEventAttributes": {{"scheduledEventId": 2}}}},
        {{"eventId": 4, "taskId": 17, "eventType": "WorkflowTaskCompleted",
          "workflowTaskCompletedEventAttributes": {{"scheduledEventId": 2, "startedEventId": 3}}}},
        {{"eventId": 5, "taskId": 18, "eventType": "MarkerRecorded",
          "markerRecordedEventAttributes": {{"markerName": "{note}", {task}}}}},
        {{"eventId": 6, "taskId": 19, "eventType": "WorkflowExecutionCompleted",
          "workflowExecutionCompletedEventAttributes": {{{task}}}}}
        ]"#
    ))
    .expect("a history")
}

const RUN: &str = "019f6231-90d9-7a77-a8b4-43ae83695092";

fn beginning(history: &History, events: usize) -> History {
    history.events()[..events].iter().cloned().collect()
}

#[test]
fn a_history_is_one_commit_for_each_batch() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let history = small(RUN, "a");
    assert_eq!(batches(&history), [0..2, 2..3, 3..6]);
    let imported = put(&store, &history);
    assert_eq!((imported.events, imported.commits), (6, 3));
    assert_eq!(imported.run_id, RUN.parse().expect("an id"));
    assert_eq!(store.verify(|_| {}).expect("sound").commits, 3);
    let info = store.run(&imported.run_id).expect("a run");
    assert_eq!((&*info.namespace, &*info.workflow_id), ("default", "w"));
    assert_eq!(info.status, RunStatus::Completed);
    assert_eq!(info.started_at.unix_nanos(), 1_704_164_645_000_000_000);
}

#[test]
fn an_import_goes_on_after_every_event() {
    for events in 1..6 {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        let (whole, other) = (small(RUN, "a"), small(RUN, "b"));
        let begun = put(&store, &beginning(&whole, events));
        assert_eq!((begun.outcome, begun.events), (Outcome::Written, events));
        let resumed = put(&store, &whole);
        assert_eq!((resumed.outcome, resumed.events), (Outcome::Resumed, 6 - events));
        assert_eq!((resumed.run_id, resumed.under_other_id), (begun.run_id, false));
        assert_eq!(get(&store, &resumed.run_id), whole);
        again(&store, [&beginning(&whole, events), &whole].into_iter());

        // The same for a history that is kept under another id.
        let id = put(&store, &other).run_id;
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        put(&store, &whole);
        write_beginning(&store, &other, events, id);
        let resumed = put(&store, &other);
        assert_eq!((resumed.outcome, resumed.events), (Outcome::Resumed, 6 - events));
        assert_eq!((resumed.run_id, resumed.under_other_id), (id, true));
        assert_eq!(get(&store, &id), other);
        again(&store, [&other, &whole].into_iter());
    }
}

/// What an import that was killed leaves behind.
fn write_beginning(store: &Store, history: &History, events: usize, run_id: RunId) {
    let run = kinlog_temporal::Run { namespace: "default", workflow_id: "w", run_id };
    let mut tx = store.begin();
    for (id, event) in (1..).zip(&history.events()[..events]) {
        let record = kinlog_temporal::NewRecord::new(event, id, run).expect("a record");
        if let kinlog::Body::WorkflowExecutionStarted(started) = record.body() {
            let new = NewRun::imported(*started).input(record.payload()).at(record.time());
            tx.start(new).expect("a start");
        } else {
            tx.append(&run_id, record.event()).expect("an event");
        }
    }
    tx.commit().expect("a commit");
}

#[test]
fn histories_that_share_a_run_id_are_all_kept_in_any_order() {
    let all = [small(RUN, "a"), small(RUN, "b"), small(RUN, "c")];
    for order in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]] {
        let dir = tempfile::tempdir().expect("a directory");
        let store = open(dir.path());
        // All three begin with these.
        put(&store, &beginning(&all[0], 4));
        for (nth, index) in order.into_iter().enumerate() {
            assert_eq!(put(&store, &all[index]).under_other_id, nth > 0);
        }
        let runs = again(&store, all.iter());
        again(&store, all.iter().rev());
        assert_eq!(store.snapshot().runs(RunFilter::all()).count(), 3);
        for (history, run) in all.iter().zip(&runs) {
            assert_eq!(get(&store, run), *history);
        }
    }
}

#[test]
fn a_run_that_lives_in_the_store_is_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let mut tx = store.begin();
    let id = RUN.parse().expect("an id");
    let live = tx.start(NewRun::new("default", "w", "W").id(id)).expect("a start");
    tx.commit().expect("a commit");
    let imported = put(&store, &small(RUN, "a"));
    assert!(imported.under_other_id);
    again(&store, [&small(RUN, "a")].into_iter());
    assert_eq!(store.history(&live).expect("a run").len(), 1);
    assert_eq!(store.current_run("default", "w").unwrap(), Some(live));
}

#[test]
fn a_history_without_run_id_is_recognised_by_its_bytes() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let (one, two) = (small("", "a"), small("", "b"));
    let (first, second) = (put(&store, &one), put(&store, &two));
    assert!(first.run_id != second.run_id && !second.under_other_id);
    assert_eq!(again(&store, [&two, &one].into_iter()), [second.run_id, first.run_id]);
}

#[test]
fn a_history_that_begins_or_ends_in_the_middle_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let whole = small(RUN, "a");
    let pick = |ids: &[usize]| ids.iter().map(|id| whole.events()[*id - 1].clone()).collect();
    let fail = |history: History| {
        let error = import(&store, &history, &OPTIONS).expect_err("it is no history");
        assert_eq!(store.stats().expect("stats").commits, 0);
        error.to_string()
    };
    assert_eq!(fail(History::default()), "the history has no events");
    let error = fail(pick(&[2, 3]));
    assert_eq!(
        error,
        "event 2 is a WorkflowTaskScheduled: a history begins with WorkflowExecutionStarted"
    );
    let error = fail(pick(&[1, 2, 1]));
    assert_eq!(error, "event 1 is a WorkflowExecutionStarted: a history begins only once");
    let error = fail(pick(&[1, 6, 5]));
    assert_eq!(error, "event 6 is a WorkflowExecutionCompleted: a history ends with it");
}

#[test]
fn a_history_with_an_event_that_the_store_does_not_take_writes_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let store = open(dir.path());
    let whole = small(RUN, &"x".repeat(17 << 20));
    let names = |it: &RecordedEvent| it.id();
    assert_eq!(whole.events().iter().map(names).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let error = import(&store, &whole, &OPTIONS).expect_err("too large");
    assert!(matches!(error, ImportError::Refused { id: 5, .. }), "{error}");
    assert!(error.to_string().starts_with("event 5: "), "{error}");
    assert_eq!(store.stats().expect("stats").commits, 0);
    // The same if a part is there.
    put(&store, &beginning(&whole, 2));
    let end = store.end();
    import(&store, &whole, &OPTIONS).expect_err("too large");
    assert_eq!(store.end(), end);
    // And if it is too large for a segment.
    let dir = tempfile::tempdir().expect("a directory");
    let store = Options::new().segment_bytes(64 << 10).open(dir.path()).expect("a store");
    let whole = small(RUN, &"x".repeat(64 << 10));
    let error = import(&store, &whole, &OPTIONS).expect_err("too large");
    assert!(
        error.to_string().contains("event 5: ")
            && error.to_string().contains("bytes in one commit")
    );
    assert_eq!(store.stats().expect("stats").commits, 0);
}

/// A history in which one batch has `events` signals of `bytes` each.
fn with_large_batch(events: usize, bytes: usize) -> History {
    let started = small(RUN, "").events()[0].to_proto();
    let mut out = vec![];
    let mut add = |event: &[u8]| {
        prost_reflect::prost::encoding::bytes::encode(1, &event.to_vec(), &mut out);
    };
    add(&started);
    let number = |number: usize| {
        let mut out = vec![];
        prost_reflect::prost::encoding::encode_varint(number as u64, &mut out);
        out
    };
    let name = "s".repeat(bytes);
    for id in 2..events + 2 {
        let attributes = [&[10][..], &number(bytes), name.as_bytes()].concat();
        let id = number(id);
        // The ids of tasks follow each other.
        let event = [&[8][..], &id, &[24, 26, 40], &id, &[0xd2, 1], &number(attributes.len())];
        add(&[event.concat(), attributes].concat());
    }
    History::from_proto(&out).expect("a history")
}

#[test]
fn a_batch_that_is_too_large_for_a_commit_is_split() {
    for (events, bytes, segment, commits) in [(40, 4000, 64 << 10, 5), (10, 40_000, 64 << 10, 11)] {
        let history = with_large_batch(events, bytes);
        assert_eq!(batches(&history).len(), 2);
        let dir = tempfile::tempdir().expect("a directory");
        let store = Options::new().segment_bytes(segment).open(dir.path()).expect("a store");
        let imported = put(&store, &history);
        assert_eq!((imported.events, imported.commits), (events + 1, commits), "{segment}");
        assert_eq!(get(&store, &imported.run_id), history);
        again(&store, [&history].into_iter());
        store.verify(|_| {}).expect("a sound store");
        // It goes on within a piece.
        let dir = tempfile::tempdir().expect("a directory");
        let store = Options::new().segment_bytes(segment).open(dir.path()).expect("a store");
        put(&store, &beginning(&history, events - 3));
        assert_eq!((put(&store, &history).events, put(&store, &history).events), (4, 0));
        assert_eq!(get(&store, &imported.run_id), history);
    }
}
