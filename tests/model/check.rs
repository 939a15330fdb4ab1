//! Comparing what the store says with what the model says.

use std::ops::Bound;
use std::sync::Arc;

use kinlog::retention::Keep;
use kinlog::{Body, CommitView, Error, History, RunFilter, RunInfo, Size, Snapshot, Store};
use kinlog_testing::kinds::CANCEL_REQUESTED;

use crate::draw::{KEYS, NAMESPACES};
use crate::model::{Commit, Event, KEYS_TABLE, Refusal, Rows, Run, State, key_row};

pub(crate) fn refusal(error: Error) -> Refusal {
    match error {
        Error::InvalidArgument { .. } => Refusal::Invalid,
        Error::RunNotFound { run } => Refusal::RunNotFound(run),
        Error::RunClosed { run } => Refusal::RunClosed(run),
        Error::RunExists { run } => Refusal::RunExists(run),
        Error::RunDeleted { run, kept } => Refusal::Deleted { run, kept },
        Error::NotDeletable { run, why } => Refusal::NotDeletable { run, why },
        Error::EventKeyExists { run, key, event } => Refusal::KeyExists { run, key, event },
        Error::Conflict { run, expected, found } => Refusal::Conflict { run, expected, found },
        Error::WorkflowExists { run, open, .. } => Refusal::WorkflowExists { run, open },
        Error::IllegalEvent { run, .. } => Refusal::Illegal(run),
        Error::LimitExceeded { run, now, asked, max, .. } => {
            Refusal::Limit { run, now, asked, max }
        }
        other => panic!("the store failed: {other}"),
    }
}

pub(crate) fn event(found: &kinlog::Event<'_>, id: u32, expected: &Event) {
    assert_eq!(found.id(), id);
    assert_eq!(found.kind(), expected.kind(), "event {id}");
    assert_eq!(found.body(), expected.body, "event {id}");
    assert!(found.payload() == &*expected.payload, "the payload of event {id}");
    assert_eq!(found.time(), expected.time, "event {id}");
    assert_eq!(u64::from(found.size()), expected.size, "event {id}: {found:?}");
    let typed = !matches!(expected.body, Body::Opaque(_));
    assert_eq!(found.version(), u8::from(typed), "event {id}");
}

/// The events from `from` on.
pub(crate) fn forward(history: &History, from: u32, run: &Run) {
    let mut id = from.max(1);
    let mut bytes = 0;
    for found in history.from(from) {
        let found = found.unwrap();
        let place = usize::try_from(id).unwrap() - 1;
        event(&found, id, run.events.get(place).expect("more events than there are"));
        bytes += u64::from(found.size());
        id += 1;
    }
    assert_eq!(id, run.next().max(from), "events are missing");
    if from <= 1 {
        assert_eq!(bytes, history.bytes(), "the sizes add up");
    }
}

/// At most `count` events, from the last one back.
pub(crate) fn backward(history: &History, count: usize, run: &Run) {
    let mut left = run.events.len();
    for found in history.rev().take(count) {
        event(&found.unwrap(), u32::try_from(left).unwrap(), &run.events[left - 1]);
        left -= 1;
    }
    assert_eq!(left, run.events.len().saturating_sub(count), "events are missing");
}

pub(crate) fn history(history: &History, run: &Run) {
    assert_eq!(history.run(), run.id);
    assert_eq!(history.len() + 1, run.next());
    assert_eq!(history.bytes(), run.bytes());
    assert_eq!(history.status(), run.status());
    assert_eq!(history.started().unwrap(), run.started());
}

pub(crate) fn info(found: &RunInfo, run: &Run, state: &State) {
    let current = state.current(run.namespace, run.workflow_id).map(|current| current.id);
    assert_eq!((found.id, found.deleted), (run.id, run.deleted));
    assert_eq!((found.first_run_id, found.base), (run.started().first_run_id, None));
    let is_asked = |event: &Event| event.kind() == CANCEL_REQUESTED;
    assert_eq!(found.cancel_requested, run.events.iter().any(is_asked));
    assert_eq!((&*found.namespace, &*found.workflow_id), (run.namespace, run.workflow_id));
    let started = run.started();
    assert_eq!(&*found.workflow_type, started.workflow_type);
    assert_eq!(found.request_id.as_deref().unwrap_or_default(), started.request_id);
    assert_eq!((found.attempt, found.parent, found.root), (started.attempt, None, None));
    assert_eq!(found.status, run.status());
    assert_eq!((found.events + 1, found.bytes), (run.next(), run.bytes()));
    assert_eq!((found.started_at, found.closed_at), (run.started_at(), run.closed_at()));
    assert_eq!((found.is_current, found.is_imported), (current == Some(run.id), run.recorded));
}

/// What a store says of a run whose index is damaged elsewhere.
pub(crate) fn info_beside_damage(found: &RunInfo, run: &Run) {
    assert!(run.is_kept());
    assert_eq!((found.id, found.status, found.deleted), (run.id, run.status(), run.deleted));
    assert_eq!((found.events + 1, found.bytes), (run.next(), run.bytes()));
    assert_eq!((found.started_at, found.closed_at), (run.started_at(), run.closed_at()));
}

/// One run, every way it can be read.
pub(crate) fn run(snapshot: &Snapshot, run: &Run, state: &State) {
    let current = state.current(run.namespace, run.workflow_id).map(|current| current.id);
    assert_eq!(snapshot.current_run(run.namespace, run.workflow_id).unwrap(), current);
    if let Some(kept) = run.deleted {
        let deleted = Refusal::Deleted { run: run.id, kept };
        let history = snapshot.history(&run.id).map(drop).map_err(refusal);
        let event = snapshot.event_by_key(&run.id, 1).map(drop).map_err(refusal);
        assert_eq!((history, event), (Err(deleted.clone()), Err(deleted.clone())));
        if kept == Keep::Nothing {
            let info = snapshot.run(&run.id).map(drop).map_err(refusal);
            let closing = snapshot.closing_event(&run.id).map(drop).map_err(refusal);
            return assert_eq!((info, closing), (Err(deleted.clone()), Err(deleted)));
        }
    } else {
        let found = snapshot.history(&run.id).unwrap();
        history(&found, run);
        forward(&found, 1, run);
    }
    info(&snapshot.run(&run.id).unwrap(), run, state);
    let mut chain = Size::default();
    state.chain(run).into_iter().for_each(|run| chain += run.kept_size());
    assert_eq!(snapshot.chain_size(&run.id).unwrap(), chain, "the chain of {}", run.id);
    let closing = snapshot.closing_event(&run.id).unwrap();
    assert_eq!(closing.is_some(), !run.is_open());
    if let Some(closing) = closing {
        event(&closing, run.next() - 1, run.events.last().unwrap());
    }
    for key in (0..KEYS).filter(|_| run.deleted.is_none()) {
        let row = state.row(KEYS_TABLE, &key_row(&run.id, key));
        let event = row.map(|event| u32::from_le_bytes((**event).try_into().unwrap()));
        assert_eq!(snapshot.event_by_key(&run.id, key).unwrap(), event);
    }
}

/// Whether `run` is one that the filter admits.
fn admits(filter: &RunFilter, run: &Run) -> bool {
    run.is_kept()
        && filter.namespace.as_deref().is_none_or(|name| name == run.namespace)
        && filter.workflow_id.as_deref().is_none_or(|id| id == run.workflow_id)
        && filter.workflow_type.as_deref().is_none_or(|name| name == run.started().workflow_type)
        && filter.status.is_none_or(|status| status == run.status())
}

pub(crate) fn runs(snapshot: &Snapshot, filter: &RunFilter, state: &State) {
    let mut expected = state.runs.iter().filter(|run| admits(filter, run));
    for found in snapshot.runs(filter.clone()).map(Result::unwrap) {
        info(&found, expected.next().expect("more runs than there are"), state);
    }
    assert!(expected.next().is_none(), "runs are missing: {filter:?}");
}

pub(crate) fn rows(
    snapshot: &Snapshot,
    table: &str,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    state: &State,
) {
    let none = Arc::new(Rows::new());
    let rows = state.tables.get(table).unwrap_or(&none);
    // Plainly, because `BTreeMap::range` does not take every range.
    let mut expected = rows.iter().filter(|(key, _)| {
        let key = key.as_slice();
        let after = match range.0 {
            Bound::Included(from) => from <= key,
            Bound::Excluded(from) => from < key,
            Bound::Unbounded => true,
        };
        let before = match range.1 {
            Bound::Included(to) => key <= to,
            Bound::Excluded(to) => key < to,
            Bound::Unbounded => true,
        };
        after && before
    });
    for found in snapshot.rows(table, range) {
        let found = found.unwrap();
        let (key, value) = expected.next().expect("more rows than there are");
        assert!(found.key == key && found.value == &**value, "{table}: {:x?}", found.key);
    }
    assert!(expected.next().is_none(), "rows of {table} are missing");
}

/// Everything.
pub(crate) fn all(snapshot: &Snapshot, state: &State) {
    runs(snapshot, &RunFilter::all(), state);
    for each in &state.runs {
        run(snapshot, each, state);
        if each.deleted.is_some() {
            continue;
        }
        backward(&snapshot.history(&each.id).unwrap(), usize::MAX, each);
    }
    for namespace in NAMESPACES {
        let mut size = Size::default();
        let of = state.runs.iter().filter(|run| run.namespace == namespace);
        of.for_each(|run| size += run.kept_size());
        assert_eq!(snapshot.namespace_size(namespace), size, "{namespace}");
    }
    consumers(snapshot, state);
    tables(snapshot, state);
    for table in state.tables.keys() {
        rows(snapshot, table, (Bound::Unbounded, Bound::Unbounded), state);
    }
}

pub(crate) fn commit(view: &CommitView, commit: &Commit, state: &State) {
    let mut batches = commit.batches.iter();
    for found in view.batches().map(Result::unwrap) {
        let (place, first, count) = *batches.next().expect("more batches than there are");
        assert_eq!(found.run(), state.runs[place].id);
        let from = usize::try_from(first).unwrap() - 1;
        let mut ids = first..;
        let mut expected = state.runs[place].events[from..from + count].iter();
        for found in found.events() {
            event(&found.unwrap(), ids.next().unwrap(), expected.next().expect("more events"));
        }
        assert!(expected.next().is_none(), "events are missing");
    }
    assert!(batches.next().is_none(), "batches are missing");
    let found: Vec<_> = view.rows().map(|row| (row.table, row.key, row.value)).collect();
    let expected = commit.rows.iter();
    let expected: Vec<_> = expected.map(|(t, k, v)| (*t, k.as_slice(), v.as_deref())).collect();
    assert!(found == expected, "rows of a commit");
}

/// Every byte of every file, and every count.
pub(crate) fn stats(store: &Store, state: &State) {
    let stats = store.stats().unwrap();
    assert_eq!(stats.accounted_bytes(), stats.file_bytes, "{stats:?}");
    let events = || state.runs.iter().flat_map(|run| &run.events);
    let kept = state.runs.iter().filter(|run| run.is_kept()).count();
    let gone = state.runs.len() - kept;
    assert_eq!((stats.runs, stats.deleted_runs), (kept as u64, gone as u64));
    let mut histories = Size::default();
    for run in state.runs.iter().filter(|run| run.deleted.is_some()) {
        histories += Size { runs: 1, events: run.events.len() as u64, bytes: run.bytes() };
    }
    assert_eq!(stats.deleted_histories, histories);
    assert_eq!(stats.open_runs, state.runs.iter().filter(|run| run.is_open()).count() as u64);
    assert_eq!(stats.commits, state.commits);
    assert_eq!(stats.events, events().count() as u64);
    let payload_bytes = events().map(|e| e.payload.len() as u64).sum::<u64>();
    let frame_bytes = state.commits * 24 + state.batches * 20;
    let found = [stats.event_bytes, stats.row_bytes, stats.frame_bytes];
    let ever = [events().map(|event| event.size).sum::<u64>(), state.row_bytes, frame_bytes];
    // What compactions have dropped is known in sum.
    assert!(found.iter().zip(&ever).all(|(found, ever)| found <= ever), "{found:?} {ever:?}");
    let dropped = ever.iter().sum::<u64>() - found.iter().sum::<u64>();
    assert_eq!(stats.dropped_bytes, dropped);
    assert!(stats.payload_bytes <= payload_bytes);
    assert!(stats.payload_bytes == payload_bytes || dropped > 0);
}

/// What the store says without a snapshot, of commits published or not.
pub(crate) fn namespaces(store: &Store, state: &State) {
    assert_eq!(store.namespaces(), state.namespaces.keys().copied().collect::<Vec<_>>());
    for name in state.namespaces.keys().copied().chain(["never-used"]) {
        assert_eq!(store.limits(name), state.limits(name));
    }
}

/// The named consumers, and how much is behind each: the more, the less far it has come.
pub(crate) fn consumers(snapshot: &Snapshot, state: &State) {
    let found = snapshot.consumers().unwrap();
    let named = found.iter().map(|it| (it.name.as_str(), it.position));
    let expected = state.consumers.iter().map(|(name, position)| (*name, *position));
    assert!(named.eq(expected), "{found:?}, expected {:?}", state.consumers);
    let mut behind: Vec<_> = found.iter().map(|it| (it.position, it.behind_bytes)).collect();
    behind.sort_unstable();
    assert!(behind.is_sorted_by(|a, b| a.1 >= b.1), "{found:?}");
}

/// The tables that have a row; one that has none may be forgotten once a compaction has dropped all that it had.
pub(crate) fn tables(snapshot: &Snapshot, state: &State) {
    let found = snapshot.tables();
    let has_row = |name: &str| state.tables.get(name).is_some_and(|rows| !rows.is_empty());
    let ever = || state.tables.keys().copied();
    let listed = |name: &&str| has_row(name) || found.iter().any(|it| it == name);
    assert_eq!(found, ever().filter(listed).collect::<Vec<_>>());
}
