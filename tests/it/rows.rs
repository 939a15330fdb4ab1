//! Rows in transactions: read with the transaction's own changes, compared at the commit, taken once.

use std::ops::Bound;
use std::sync::Mutex;
use std::thread;

use kinlog::error::Moved;
use kinlog::read::OwnedRow;
use kinlog::{Durability, Error, NewRun, Position, Result, RowIs, Store, Transaction};

fn store(dir: &tempfile::TempDir) -> Store {
    Store::open(dir.path()).unwrap()
}

fn put(store: &Store, key: &[u8], value: &[u8]) {
    let mut tx = store.begin();
    tx.put("t", key, value).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
}

fn delete(store: &Store, key: &[u8]) {
    let mut tx = store.begin();
    tx.delete("t", key).unwrap();
    tx.commit_with(Durability::Buffered).unwrap();
}

/// Keys of one byte, in the order in which they come.
fn keys(rows: impl Iterator<Item = Result<OwnedRow>>) -> Vec<u8> {
    rows.flat_map(|row| row.unwrap().key).collect()
}

#[test]
fn a_transaction_reads_its_own_rows_and_those_that_are_not_published_yet() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut tx = store.begin();
    assert_eq!(tx.get("t", b"k").unwrap(), None);
    tx.put("t", b"k", b"own").unwrap();
    assert_eq!(tx.get("t", b"k").unwrap().as_deref(), Some(&b"own"[..]));
    tx.put("t", b"k", b"later").unwrap();
    assert_eq!(tx.get("t", b"k").unwrap().as_deref(), Some(&b"later"[..]));
    tx.delete("t", b"k").unwrap();
    assert_eq!(tx.get("t", b"k").unwrap(), None);
    tx.put("t", b"k", b"last").unwrap();
    tx.submit(Durability::Buffered).unwrap();

    let mut next = store.begin();
    assert_eq!(next.get("t", b"k").unwrap().as_deref(), Some(&b"last"[..]));
    assert_eq!(keys(next.rows("t", ..)), b"k");
}

#[test]
fn a_range_is_read_from_both_ends_with_what_the_transaction_changed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    b"bdfhj".iter().for_each(|key| put(&store, &[*key], b"stored"));
    let mut tx = store.begin();
    tx.put("t", b"a", b"own").unwrap();
    tx.put("t", b"d", b"own").unwrap();
    tx.put("t", b"e", b"own").unwrap();
    tx.delete("t", b"f").unwrap();
    tx.put("other", b"c", b"own").unwrap();
    assert_eq!(keys(tx.rows("t", ..)), b"abdehj");
    assert_eq!(keys(tx.rows("t", ..).rev()), b"jhedba");
    assert_eq!(keys(tx.rows("t", b"b".as_slice()..b"h".as_slice())), b"bde");
    let inner = (Bound::Excluded(b"b".as_slice()), Bound::Included(b"h".as_slice()));
    assert_eq!(keys(tx.rows("t", inner)), b"deh");
    assert_eq!(keys(tx.rows("t", b"h".as_slice()..b"b".as_slice())), b"", "no range at all");
    assert_eq!(keys(tx.rows("nowhere", ..)), b"");

    let mut both = tx.rows("t", ..);
    let mut met = vec![];
    while let (Some(first), last) = (both.next(), both.next_back()) {
        met.push(first.unwrap().key[0]);
        met.extend(last.map(|last| last.unwrap().key[0]));
    }
    assert_eq!(met, b"ajbhde", "each row once, wherever the ends meet");
    assert!(both.next().is_none() && both.next_back().is_none());
    let values: Vec<_> = tx.rows("t", ..).map(|row| row.unwrap().value).collect();
    let expected: [&[u8]; 6] = [b"own", b"stored", b"own", b"own", b"stored", b"stored"];
    assert_eq!(values, expected);
}

#[test]
fn rows_by_prefix_end_where_the_prefix_does() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let all: [&[u8]; 6] = [b"", b"a", b"a\xff", b"a\xff\xff", b"b", b"\xff\xff"];
    all.iter().for_each(|key| put(&store, key, b""));
    let mut tx = store.begin();
    let mut found = |prefix: &[u8]| -> Vec<Vec<u8>> {
        tx.rows_with_prefix("t", prefix).map(|row| row.unwrap().key).collect()
    };
    assert_eq!(found(b"a"), all[1..4]);
    assert_eq!(found(b"a\xff"), all[2..4]);
    assert_eq!(found(b"\xff"), all[5..]);
    assert_eq!(found(b""), all);
    assert!(found(b"c").is_empty());
}

/// Reads, lets `other` come in between, writes and commits.
fn overtaken_by(
    store: &Store,
    read: impl FnOnce(&mut Transaction<'_>),
    other: impl FnOnce(&Store),
) -> Option<Moved> {
    let mut tx = store.begin();
    read(&mut tx);
    tx.put("t", b"mine", b"").unwrap();
    other(store);
    let before = store.end();
    match tx.commit_with(Durability::Buffered) {
        Ok(_) => None,
        Err(error @ Error::Overtaken { .. }) => {
            assert!(error.is_retryable());
            assert_eq!(store.end(), before, "nothing was written");
            let Error::Overtaken { moved, attempts: 1 } = error else { panic!("{error}") };
            Some(moved)
        }
        Err(other) => panic!("{other}"),
    }
}

#[test]
fn a_row_that_was_read_must_not_change_and_any_other_may() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    put(&store, b"a", b"1");
    let row = |key: &[u8]| Some(Moved::Row { table: "t".to_owned(), key: key.to_vec() });
    let read = |key: &'static [u8]| move |tx: &mut Transaction<'_>| drop(tx.get("t", key).unwrap());
    assert_eq!(overtaken_by(&store, read(b"a"), |store| put(store, b"a", b"2")), row(b"a"));
    assert_eq!(overtaken_by(&store, read(b"a"), |store| delete(store, b"a")), row(b"a"));
    assert_eq!(overtaken_by(&store, read(b"a"), |store| put(store, b"a", b"")), row(b"a"));
    assert_eq!(overtaken_by(&store, read(b"a"), |store| put(store, b"b", b"")), None);
    assert_eq!(overtaken_by(&store, read(b"no"), |store| delete(store, b"no")), None);
    let blind = |_: &mut Transaction<'_>| ();
    assert_eq!(overtaken_by(&store, blind, |store| put(store, b"mine", b"2")), None);
}

#[test]
fn what_was_taken_of_a_range_must_not_change_and_the_rest_may() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    b"dgj".iter().for_each(|key| put(&store, &[*key], b""));
    let moved = Some(Moved::Rows { table: "t".to_owned() });
    let first = |tx: &mut Transaction<'_>| drop(tx.rows("t", ..b"m".as_slice()).next());
    let last = |tx: &mut Transaction<'_>| drop(tx.rows("t", ..b"m".as_slice()).next_back());
    let all = |tx: &mut Transaction<'_>| drop(keys(tx.rows("t", ..b"m".as_slice())));
    let comes = |key: &'static [u8]| move |store: &Store| put(store, key, b"");
    let goes = |key: &'static [u8]| move |store: &Store| delete(store, key);

    assert_eq!(overtaken_by(&store, first, comes(b"a")), moved, "a row before the first one");
    assert_eq!(overtaken_by(&store, first, goes(b"a")), moved);
    assert_eq!(overtaken_by(&store, first, comes(b"e")), None, "a row beyond");
    assert_eq!(overtaken_by(&store, first, comes(b"d")), moved, "the row itself");
    assert_eq!(overtaken_by(&store, last, comes(b"k")), moved, "a row behind the last one");
    assert_eq!(overtaken_by(&store, last, goes(b"k")), moved);
    assert_eq!(overtaken_by(&store, last, goes(b"e")), None);
    assert_eq!(overtaken_by(&store, all, comes(b"l")), moved, "a row at the end");
    assert_eq!(overtaken_by(&store, all, goes(b"l")), moved);
    assert_eq!(overtaken_by(&store, all, comes(b"x")), None, "out of the range");
    let none = |tx: &mut Transaction<'_>| assert!(tx.rows("new", ..).next().is_none());
    let other = |store: &Store| {
        let mut tx = store.begin();
        tx.put("new", b"k", b"").unwrap();
        tx.commit().unwrap();
    };
    assert_eq!(overtaken_by(&store, none, other), Some(Moved::Rows { table: "new".to_owned() }));
}

#[test]
fn all_that_a_transaction_reads_was_so_at_one_time() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    put(&store, b"a", b"1");
    put(&store, b"b", b"1");
    let mut tx = store.begin();
    assert_eq!(tx.get("t", b"a").unwrap().as_deref(), Some(&b"1"[..]));
    let mut both = store.begin();
    both.put("t", b"a", b"2").unwrap();
    both.put("t", b"b", b"2").unwrap();
    both.commit().unwrap();
    // "1" and "2" were never there together.
    assert!(matches!(tx.get("t", b"b"), Err(Error::Overtaken { moved: Moved::Row { .. }, .. })));
    assert!(matches!(tx.get("t", b"b"), Err(Error::Overtaken { .. })), "nor the next time");

    let mut tx = store.begin();
    assert_eq!(tx.get("t", b"b").unwrap().as_deref(), Some(&b"2"[..]));
    put(&store, b"a", b"3");
    // "2" and "3" are: the transaction goes on at the present.
    assert_eq!(tx.get("t", b"a").unwrap().as_deref(), Some(&b"3"[..]));
}

#[test]
fn a_requirement_holds_at_the_step_and_at_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let first = store.end();
    put(&store, b"k", b"v");
    let refused = |is: RowIs<'_>| match store.begin().require("t", b"k", is) {
        Err(Error::RowConflict { table, key, .. }) => (table, key) == ("t".into(), b"k".to_vec()),
        other => other.map(|()| false).unwrap(),
    };
    assert!(refused(RowIs::Absent) && refused(RowIs::Value(b"w")));
    assert!(refused(RowIs::UnchangedSince(first)) && !refused(RowIs::UnchangedSince(store.end())));
    assert!(!refused(RowIs::Present) && !refused(RowIs::Value(b"v")));

    let commit = |is: RowIs<'_>, other: &dyn Fn()| {
        let mut tx = store.begin();
        tx.require("t", b"k", is).unwrap();
        tx.put("t", b"mine", b"").unwrap();
        other();
        tx.commit_with(Durability::Buffered).map(|_| ())
    };
    let nothing = || ();
    let sets = || put(&store, b"k", b"other");
    let deletes = || delete(&store, b"k");
    commit(RowIs::Value(b"v"), &nothing).unwrap();
    let refused = commit(RowIs::Value(b"v"), &sets);
    assert!(matches!(refused, Err(Error::Overtaken { moved: Moved::Row { .. }, .. })));
    commit(RowIs::Present, &sets).unwrap();
    assert!(matches!(commit(RowIs::Present, &deletes), Err(Error::RowConflict { .. })));
    commit(RowIs::Absent, &deletes).unwrap();
    assert!(matches!(commit(RowIs::Absent, &sets), Err(Error::RowConflict { .. })));

    let mut own = store.begin();
    own.delete("t", b"k").unwrap();
    own.require("t", b"k", RowIs::Absent).unwrap();
    own.put("t", b"k", b"own").unwrap();
    own.require("t", b"k", RowIs::Value(b"own")).unwrap();
    assert!(own.require("t", b"k", RowIs::Absent).is_err());
}

#[test]
fn a_row_that_is_not_there_is_not_unchanged() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    put(&store, b"k", b"v");
    let (before, since) = (store.snapshot(), store.end());
    let unchanged = |since| store.begin().require("t", b"k", RowIs::UnchangedSince(since)).is_ok();
    assert!(unchanged(since));
    delete(&store, b"k");
    assert!(!unchanged(since) && !unchanged(store.end()), "whether or not a snapshot remembers");
    drop(before);
    put(&store, b"other", b"v");
    assert!(!unchanged(since) && !unchanged(store.end()));
}

#[test]
fn each_job_of_a_queue_is_taken_once() {
    const JOBS: usize = 2000;
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut tx = store.begin();
    let job = |number: usize| format!("{number:05}").into_bytes();
    (0..JOBS).for_each(|number| tx.put("jobs", &job(number), b"").unwrap());
    tx.commit().unwrap();
    let taken = Mutex::new(vec![]);
    let consume = || {
        let mut own = vec![];
        loop {
            let take = |tx: &mut Transaction<'_>| {
                let job = tx.rows("jobs", ..).next().transpose()?;
                job.iter().try_for_each(|job| tx.delete("jobs", &job.key))?;
                Ok(job)
            };
            match store.transact_with(Durability::Buffered, take).unwrap() {
                (Some(job), _) => own.push(job.key),
                (None, _) => break taken.lock().unwrap().append(&mut own),
            }
        }
    };
    thread::scope(|scope| (0..4).for_each(|_| drop(scope.spawn(consume))));
    let mut taken = taken.into_inner().unwrap();
    taken.sort_unstable();
    let all: Vec<_> = (0..JOBS).map(job).collect();
    assert!(taken == all, "{} taken of {JOBS}", taken.len());
}

#[test]
fn a_row_that_is_not_there_is_deleted_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    put(&store, b"there", b"1");
    let end = store.end();
    delete(&store, b"not there");
    let mut tx = store.begin();
    tx.delete("no table", b"").unwrap();
    assert_eq!(tx.submit(Durability::Sync).unwrap().wait().unwrap().position(), end);
    assert_eq!(store.end(), end, "nothing is logged");

    // Of what a transaction puts and deletes, what was not there to be deleted is left out.
    let mut tx = store.begin();
    tx.delete("t", b"a").unwrap();
    tx.put("t", b"a", b"1").unwrap();
    tx.delete("t", b"a").unwrap();
    tx.delete("t", b"a").unwrap();
    tx.delete("t", b"there").unwrap();
    tx.delete("t", b"there").unwrap();
    let commit = tx.commit().unwrap();
    let view = store.tail(commit.position()).try_next().unwrap().unwrap();
    let logged: Vec<_> = view.rows().map(|row| (row.key, row.value)).collect();
    assert_eq!(logged, [(&b"a"[..], Some(&b"1"[..])), (b"a", None), (b"there", None)]);
    assert_eq!(keys(store.begin().rows("t", ..)), b"");
}

#[test]
fn a_row_is_deleted_as_durably_as_asked_whoever_deletes_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let gone = |commit: &dyn Fn(Transaction<'_>)| {
        put(&store, b"k", b"1");
        store.sync().unwrap();
        delete(&store, b"k");
        assert!(store.durable_end().unwrap() < store.end());
        let mut tx = store.begin();
        tx.delete("t", b"k").unwrap();
        commit(tx);
        assert_eq!(store.durable_end().unwrap(), store.end(), "a power loss brings it back");
    };
    gone(&|tx| drop(tx.commit().unwrap()));
    gone(&|tx| drop(tx.submit(Durability::Sync).unwrap().wait().unwrap()));
}

#[test]
fn a_delete_is_decided_where_it_is_committed_and_overtakes_nobody() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut late = store.begin();
    assert_eq!(late.get("t", b"other").unwrap(), None);
    late.delete("t", b"k").unwrap();
    put(&store, b"k", b"1");
    late.commit().unwrap();
    assert_eq!(store.get("t", b"k").unwrap(), None, "it was there by then");

    put(&store, b"k", b"1");
    let mut late = store.begin();
    assert!(late.get("t", b"other").unwrap().is_none());
    late.delete("t", b"k").unwrap();
    delete(&store, b"k");
    let end = store.end();
    assert_eq!(late.commit().unwrap().position(), end, "the other one deleted it");
    // What else it has seen must hold where nothing is deleted.
    let mut late = store.begin();
    assert!(late.get("t", b"other").unwrap().is_none());
    late.delete("t", b"k").unwrap();
    put(&store, b"other", b"1");
    assert!(matches!(late.commit(), Err(Error::Overtaken { .. })));
}

#[test]
fn every_delete_in_the_log_deletes_a_row_however_many_threads_delete_it() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    thread::scope(|scope| {
        for thread in 0..4u32 {
            let store = &store;
            scope.spawn(move || {
                for i in 0..2000u32 {
                    let mut tx = store.begin();
                    match (thread + i) % 2 {
                        0 => tx.put("t", b"k", &i.to_le_bytes()).unwrap(),
                        _ => tx.delete("t", b"k").unwrap(),
                    }
                    tx.submit(Durability::Buffered).unwrap();
                }
            });
        }
    });
    store.sync().unwrap();
    let (mut rows, mut tail) = (std::collections::BTreeSet::new(), store.tail(Position::START));
    while let Some(commit) = tail.try_next().unwrap() {
        assert!(commit.rows().count() > 0, "an empty commit");
        for row in commit.rows() {
            match row.value {
                Some(_) => drop(rows.insert(row.key[0])),
                None => assert!(rows.remove(&row.key[0]), "there was no row to delete"),
            }
        }
    }
    assert_eq!(keys(store.begin().rows("t", ..)), rows.into_iter().collect::<Vec<_>>());
}

/// Found by the tests of serializability: the start was refused because a row was there, and the commit went through
/// because it was gone again.
#[test]
fn a_step_that_met_a_row_that_must_not_be_there_ends_the_transaction() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut tx = store.begin();
    tx.require("t", b"k", RowIs::Absent).unwrap();
    tx.put("t", b"other", b"value").unwrap();
    put(&store, b"k", b"value");
    store.transact(|tx| tx.start(NewRun::new("shop", "order", "Order"))).unwrap();
    let refused = tx.start(NewRun::new("shop", "order", "Order"));
    assert!(matches!(refused, Err(Error::RowConflict { .. })), "{refused:?}");
    delete(&store, b"k");
    let committed = tx.commit();
    assert!(matches!(committed, Err(Error::RowConflict { .. })), "{committed:?}");
    assert_eq!(store.get("t", b"other").unwrap(), None);
}
