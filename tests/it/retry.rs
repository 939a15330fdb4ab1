//! What an error says of trying again is so.

use kinlog::error::Retry;
use kinlog::limits::{EVENT_BYTES_MAX, Limit};
use kinlog::{Error, EventKind, Expect, NewEvent, NewRun, RowIs, RunId, Store, Transaction};
use kinlog_testing::files::small_segments;

fn order(store: &Store) -> RunId {
    store.transact(|tx| tx.start(NewRun::new("shop", "order-42", "Order"))).unwrap().0
}

fn paid(tx: &mut Transaction<'_>, run: &RunId, next: u32) -> kinlog::Result<u32> {
    tx.expect(run, Expect::NextEvent(next))?;
    tx.append(run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"paid"))
}

#[test]
fn a_store_that_another_holds_can_be_opened_later() {
    let dir = tempfile::tempdir().unwrap();
    let holder = small_segments().open(dir.path()).unwrap();
    let open = || small_segments().open(dir.path());
    assert_eq!(open().unwrap_err().retry(), Retry::Later);
    drop(holder);
    assert!(open().is_ok());
}

#[test]
fn what_was_stated_of_a_run_and_is_not_so_succeeds_after_reading() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let run = order(&store);
    let refused = paid(&mut store.begin(), &run, 7).unwrap_err();
    assert_eq!(refused.retry(), Retry::AfterReading);
    let next = store.run(&run).unwrap().events + 1;
    assert!(paid(&mut store.begin(), &run, next).is_ok());

    let mut tx = store.begin();
    let refused = tx.require("jobs", b"1", RowIs::Value(b"taken")).and_then(|()| tx.commit());
    assert_eq!(refused.unwrap_err().retry(), Retry::AfterReading);
}

#[test]
fn a_transaction_that_was_overtaken_succeeds_at_once() {
    let dir = tempfile::tempdir().unwrap();
    let store = small_segments().open(dir.path()).unwrap();
    let take = |tx: &mut Transaction<'_>| {
        let found = tx.get("jobs", b"1")?.is_some();
        tx.put("jobs", b"1", if found { b"again" } else { b"first" })
    };
    let mut late = store.begin();
    take(&mut late).unwrap();
    store.transact(take).unwrap();
    assert_eq!(late.commit().unwrap_err().retry(), Retry::AtOnce);
    let mut again = store.begin();
    take(&mut again).unwrap();
    again.commit().unwrap();
}

/// Nothing of it stays in the transaction, which goes on.
#[test]
fn an_event_that_is_too_large_is_never_taken_and_says_by_which_limit() {
    let dir = tempfile::tempdir().unwrap();
    let store = Store::open(dir.path()).unwrap();
    store.set_limits("shop", kinlog::Limits::UNLIMITED).unwrap();
    let run = order(&store);
    let mut tx = store.begin();
    let large = vec![7; EVENT_BYTES_MAX];
    let refused =
        tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &large)).unwrap_err();
    assert_eq!(refused.retry(), Retry::Never);
    let Error::LimitExceeded { limit: Limit::EventBytes, run: Some(named), now: 0, asked, max } =
        refused
    else {
        panic!("{refused}")
    };
    assert_eq!((named, max), (run, 16 << 20));
    assert!(asked > max, "{asked}");
    assert_eq!(paid(&mut tx, &run, 2).unwrap(), 2);
    tx.commit().unwrap();
    assert_eq!(store.history(&run).unwrap().len(), 2);
}
