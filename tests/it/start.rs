//! The rules on workflow ids (`temporal-semantics` 2.4): one open run, reuse, conflict, dedup.

use kinlog::error::Moved;
use kinlog::{
    Body, Close, Error, EventKind, IdConflictPolicy, IdReusePolicy, NewEvent, NewRun, Options,
    RunId, RunStatus, Store, Timestamp,
};

fn store(dir: &tempfile::TempDir) -> Store {
    Options::new().segment_bytes(1 << 20).open(dir.path()).unwrap()
}

fn start(store: &Store, run: NewRun<'_>) -> kinlog::Result<RunId> {
    let mut tx = store.begin();
    let id = tx.start(run)?;
    tx.commit()?;
    Ok(id)
}

fn order() -> NewRun<'static> {
    NewRun::new("shop", "order-42", "Order")
}

#[test]
fn an_open_run_keeps_its_workflow_id_within_its_namespace() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let first = start(&store, order()).unwrap();
    match start(&store, order()) {
        Err(Error::WorkflowExists { run, open: true, .. }) => assert_eq!(run, first),
        other => panic!("{other:?}"),
    }
    start(&store, NewRun::new("another", "order-42", "Order")).unwrap();
}

#[test]
fn a_repeated_request_finds_the_run_of_the_first() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let first = start(&store, order().request_id("r1")).unwrap();
    let mut tx = store.begin();
    assert_eq!(tx.start(order().request_id("r1")).unwrap(), first);
    assert!(!tx.starts(&first));
    tx.commit().unwrap();
    store.close_run(&first, Close::completed(b"")).unwrap();
    assert_eq!(start(&store, order().request_id("r1")).unwrap(), first, "closed or not");
    let second = start(&store, order().request_id("r2")).unwrap();
    assert_ne!(second, first);
    assert!(start(&store, order().request_id("r1")).is_err(), "another run is current now");
}

#[test]
fn the_reuse_policy_asks_how_the_last_run_closed() {
    type Closing = fn() -> Close<'static>;
    let closings: [(Closing, bool); 5] = [
        (|| Close::completed(b""), false),
        (|| Close::failed(b""), true),
        (|| Close::canceled(b""), true),
        (|| Close::terminated("stop"), true),
        (Close::timed_out, true),
    ];
    for (close, failed) in closings {
        let dir = tempfile::tempdir().unwrap();
        let store = store(&dir);
        let run = start(&store, order()).unwrap();
        store.close_run(&run, close()).unwrap();
        let status = store.run(&run).unwrap().status;
        let rejected = start(&store, order().on_reuse(IdReusePolicy::RejectDuplicate));
        assert!(matches!(rejected, Err(Error::WorkflowExists { open: false, .. })), "{status}");
        let only_failed = order().on_reuse(IdReusePolicy::AllowDuplicateFailedOnly);
        assert_eq!(start(&store, only_failed).is_ok(), failed, "{status}");
        if !failed {
            start(&store, order()).unwrap();
        }
    }
}

#[test]
fn the_conflict_policy_decides_over_an_open_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let first = start(&store, order()).unwrap();
    let existing = order().on_conflict(IdConflictPolicy::UseExisting);
    assert_eq!(start(&store, existing).unwrap(), first);

    let second = start(&store, order().on_conflict(IdConflictPolicy::TerminateExisting)).unwrap();
    let history = store.history(&first).unwrap();
    let last = history.rev().next().unwrap().unwrap();
    match last.body() {
        Body::WorkflowExecutionTerminated(body) => {
            assert_eq!(body.reason, "TerminateIfRunning WorkflowIdReusePolicy");
        }
        other => panic!("{other:?}"),
    }
    assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(second));

    let third = start(&store, order().on_reuse(IdReusePolicy::TerminateIfRunning)).unwrap();
    assert_eq!(store.run(&second).unwrap().status, RunStatus::Terminated);
    assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(third));
}

#[test]
fn of_two_transactions_that_start_the_same_workflow_the_second_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let (mut one, mut two) = (store.begin(), store.begin());
    let first = one.start(order()).unwrap();
    let second = two.start(order()).unwrap();
    let twice = one.start(order());
    assert!(matches!(twice, Err(Error::WorkflowExists { run, open: true, .. }) if run == first));
    one.commit().unwrap();
    let error = two.commit().unwrap_err();
    assert!(error.is_retryable());
    let Error::Overtaken { moved, attempts: 1 } = error else { panic!("{error}") };
    let (namespace, workflow_id) = ("shop".into(), "order-42".into());
    assert_eq!(moved, Moved::Workflow { namespace, workflow_id });
    let again = store.begin().start(order());
    assert!(matches!(again, Err(Error::WorkflowExists { run, open: true, .. }) if run == first));
    assert!(matches!(store.run(&second), Err(Error::RunNotFound { .. })));
}

#[test]
fn a_run_that_the_transaction_closes_counts_as_closed() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let first = start(&store, order()).unwrap();
    let mut tx = store.begin();
    tx.close_run(&first, Close::completed(b"")).unwrap();
    for policy in [IdReusePolicy::RejectDuplicate, IdReusePolicy::AllowDuplicateFailedOnly] {
        let refused = tx.start(order().on_reuse(policy));
        assert!(matches!(refused, Err(Error::WorkflowExists { open: false, .. })), "{policy:?}");
    }
    let second = tx.start(order().on_conflict(IdConflictPolicy::UseExisting)).unwrap();
    tx.commit().unwrap();
    assert_ne!(second, first);
    assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(second));
}

#[test]
fn recorded_runs_are_kept_in_any_order_and_never_displace_an_open_run() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let recorded = |n: u8, seconds: i64| {
        let started = kinlog_testing::steps::recorded(RunId::from_bytes([n; 16]), "order-42");
        NewRun::imported(started).at(Timestamp::from_unix_nanos(seconds * 1_000_000_000))
    };
    let newer = start(&store, recorded(2, 200)).unwrap();
    let older = start(&store, recorded(1, 100)).unwrap();
    assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(newer));
    assert!(
        matches!(start(&store, recorded(1, 100)), Err(Error::RunExists { run }) if run == older)
    );
    store.close_run(&newer, Close::completed(b"")).unwrap();
    store.close_run(&older, Close::completed(b"")).unwrap();
    let live = start(&store, order()).unwrap();
    start(&store, recorded(3, i64::MAX / 1_000_000_000)).unwrap();
    assert_eq!(store.current_run("shop", "order-42").unwrap(), Some(live));
}

#[test]
fn a_start_that_is_refused_has_not_found_the_run_in_its_way() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let first = start(&store, order()).unwrap();
    let mut tx = store.begin();
    let again = order().on_conflict(IdConflictPolicy::TerminateExisting).id(first);
    assert!(matches!(tx.start(again), Err(Error::RunExists { .. })));
    let marker = NewEvent::opaque(EventKind::MARKER_RECORDED, b"");
    store.append(&first, marker).unwrap();
    // The transaction meets the run only now.
    assert_eq!(tx.append(&first, marker).unwrap(), 3);
    tx.commit().unwrap();
}

/// What a start was refused for holds until the commit: an id in use would have been another reason.
#[test]
fn the_reason_of_a_refused_start_holds_until_the_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = store(&dir);
    let mut limits = store.limits("shop");
    limits.payload_bytes = 3;
    store.set_limits("shop", limits).unwrap();
    let id = RunId::from_bytes([7; 16]);
    let mut tx = store.begin();
    let refused = tx.start(order().id(id).input(b"long"));
    assert!(matches!(refused, Err(Error::LimitExceeded { max: 3, .. })), "{refused:?}");
    tx.put("t", b"k", b"v").unwrap();
    start(&store, NewRun::new("shop", "order-43", "Order").id(id)).unwrap();
    let error = tx.commit().unwrap_err();
    let Error::Overtaken { moved, attempts: 1 } = error else { panic!("{error}") };
    assert_eq!(moved, Moved::Run { run: id, expected: 0, found: 2 });
}
