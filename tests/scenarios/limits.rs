//! Limits: what would cross one is refused with the numbers and writes nothing; what closes a run,
//! continues it or asks it to cancel is always accepted.

use kinlog::event::{ActivityScheduled, ActivityTask, ExternalFailedCause};
use kinlog::{Body, Close, DutyKind, Error, EventKind, NewEvent, NextRun, Notice, RunId, Target};
use kinlog_testing::kinds::*;

use kinlog::limits::BATCH_EVENTS_MAX;

use super::support::{ABANDON, REQUEST_CANCEL, TERMINATE, World, assert_limit, child, note, run};

fn scheduled() -> NewEvent<'static> {
    NewEvent::new(Body::ActivityTaskScheduled(ActivityScheduled::default()))
}

fn ended(scheduled_event_id: u32) -> NewEvent<'static> {
    let task = ActivityTask { scheduled_event_id, ..ActivityTask::default() };
    NewEvent::new(Body::ActivityTaskCompleted(task))
}

/// A world with a limit of 20 events in one run, and a run that has 20.
fn full() -> (World, RunId) {
    let world = World::new();
    world.limit(|limits| limits.history_events = 20);
    let run = world.start("p");
    world.commit(|tx| (2..20).for_each(|id| assert_eq!(tx.append(&run, note()).unwrap(), id)));
    assert_eq!(world.note(&run), 20, "at the limit");
    (world, run)
}

/// The event that would cross the limit is refused, not the one after it, and the run stays open.
/// (In Temporal the crossing write is accepted, and the next one terminates the run.)
#[test]
fn s23_the_crossing_event_is_refused() {
    let (world, run) = full();
    let mut tx = world.begin();
    assert_limit(tx.append(&run, note()), (20, 21, 20));
    assert_limit(tx.initiate_child(&run, child("c", TERMINATE)), (20, 21, 20));
    assert_limit(tx.spawn_child(&run, child("c", TERMINATE)), (20, 21, 20));
    assert_limit(tx.signal(&run, "hello", b""), (20, 21, 20));
    let end = world.end();
    tx.commit().unwrap();
    assert_eq!(world.end(), end, "nothing was left to write");
    world.ends(|world| {
        let info = world.run(&run).unwrap();
        assert_eq!((info.events, info.status.is_open()), (20, true));
    });
}

/// A run over its limit can be asked to cancel, be closed, and go on as a new one of its own size.
#[test]
fn s23_closing_cancelling_and_continuing_are_always_accepted() {
    let (world, run) = full();
    world.commit(|tx| tx.request_cancel(&run, b"").unwrap());
    assert_limit(world.begin().append(&run, note()), (21, 22, 20));
    let next = world.commit(|tx| tx.continue_as_new(&run, NextRun::new("P")).unwrap());
    assert_eq!(world.run(&next).unwrap().events, 1);
    world.note(&next);
    world.ends(|world| assert_eq!(world.run(&run).unwrap().events, 22));

    let (world, run) = full();
    world.shut(&run, Close::terminated("too long"));
    world.ends(|world| assert_eq!(world.run(&run).unwrap().events, 21));
}

/// The limit on bytes, to the byte.
#[test]
fn s23_bytes_of_one_run() {
    let world = World::new();
    let run = world.start("p");
    let other = world.start("q");
    let size = {
        let id = world.note(&other);
        u64::from(world.event(&other, id, |event| event.size()))
    };
    let now = world.run(&run).unwrap().bytes;
    world.limit(|limits| limits.history_bytes = (now + 2 * size) as u32);
    world.note(&run);
    world.note(&run);
    let max = now + 2 * size;
    assert_limit(world.begin().append(&run, note()), (max, max + size, max));
    world.limit(|limits| limits.history_bytes = (max + size - 1) as u32);
    assert_limit(world.begin().append(&run, note()), (max, max + size, max + size - 1));
    world.commit(|tx| tx.request_cancel(&run, b"").unwrap());
    world.complete(&run);
    world.ends(|world| {
        world.assert_kinds(
            &run,
            [STARTED, MARKER_RECORDED, MARKER_RECORDED, CANCEL_REQUESTED, COMPLETED],
        )
    });
}

/// A commit holds 65,535 events of one run, which is what its count of them can say. The next one is
/// refused at its step; the transaction is what it was before, and another commit takes the event.
#[test]
fn events_of_one_run_in_one_commit() {
    let max = BATCH_EVENTS_MAX as u64;
    let world = World::with_segments(8 << 20);
    world.limit(|limits| limits.history_events = u32::MAX);
    let mut tx = world.begin();
    let long = tx.start(run("long")).unwrap();
    for id in 2..=65_535 {
        assert_eq!(tx.append(&long, note()).unwrap(), id);
    }
    assert_limit(tx.append(&long, note()), (0, max + 1, max));
    assert_limit(tx.append(&long, note()), (0, max + 1, max));
    // Other runs of the commit count for themselves.
    let other = tx.start(run("other")).unwrap();
    tx.append(&other, note()).unwrap();
    tx.commit().unwrap();
    assert_eq!(world.run(&long).unwrap().events, 65_535);
    assert_eq!(world.note(&long), 65_536);
    // The same limit for a run that is there.
    let mut tx = world.begin();
    (0..65_535).for_each(|_| assert!(tx.append(&long, note()).is_ok()));
    assert_limit(tx.append(&long, note()), (0, max + 1, max));
    drop(tx);
    world.ends(|world| {
        let history = world.history(&long).unwrap();
        let ids = history.iter().map(|event| {
            let event = event.unwrap();
            assert!(event.id() == 1 || event.payload() == b"note");
            event.id()
        });
        assert!(ids.eq(1..=65_536));
        assert_eq!(world.run(&other).unwrap().events, 2);
    });
}

/// A step that adds several events to a run is refused as a whole where not all of them fit into the
/// commit, and so is the last event of a run.
#[test]
fn steps_that_do_not_fit_into_one_commit_leave_nothing_of_themselves() {
    let max = BATCH_EVENTS_MAX as u64;
    let world = World::with_segments(8 << 20);
    world.limit(|limits| limits.history_events = u32::MAX);
    let long = world.start("long");
    let mut tx = world.begin();
    (0..65_534).for_each(|_| assert!(tx.append(&long, note()).is_ok()));
    assert_limit(tx.spawn_child(&long, child("c", TERMINATE)), (0, max + 1, max));
    tx.append(&long, note()).unwrap();
    assert_limit(tx.initiate_child(&long, child("c", TERMINATE)), (0, max + 1, max));
    assert_limit(tx.close_run(&long, Close::completed(b"")), (0, max + 1, max));
    assert_limit(tx.continue_as_new(&long, NextRun::new("P")), (0, max + 1, max));
    assert_limit(tx.request_cancel(&long, b""), (0, max + 1, max));
    assert_limit(tx.signal(&long, "hello", b""), (0, max + 1, max));
    tx.commit().unwrap();
    world.ends(|world| {
        let info = world.run(&long).unwrap();
        assert_eq!((info.events, info.status.is_open()), (65_536, true));
        assert_eq!((world.current("c"), world.runs_of("long")), (None, 1));
        assert!(world.kinds(&long)[1..].iter().all(|kind| *kind == MARKER_RECORDED));
    });
}

/// Two thousand children of one run may be open. The next one is refused, and the engine drops the
/// commands that came with it; when one has ended there is room again.
#[test]
fn s23_open_children() {
    let world = World::with_segments(4 << 20);
    let parent = world.start("p");
    let spawn = |tx: &mut kinlog::Transaction<'_>, number: usize| {
        let spawned = tx.spawn_child(&parent, child(&format!("c{number}"), TERMINATE));
        spawned.map(|spawned| spawned.run)
    };
    world.commit(|tx| {
        for number in 0..1_999 {
            spawn(tx, number).unwrap();
        }
    });
    let last = world.commit(|tx| spawn(tx, 1_999).unwrap());
    let mut tx = world.begin();
    tx.append(&parent, note()).unwrap();
    assert_limit(spawn(&mut tx, 2_000), (2_000, 2_001, 2_000));
    assert_limit(tx.initiate_child(&parent, child("c", TERMINATE)), (2_000, 2_001, 2_000));
    drop(tx);
    world.complete(&last);
    assert_limit(spawn(&mut world.begin(), 2_000), (2_000, 2_001, 2_000));
    assert_eq!(world.drain(), 1);
    let next = world.commit(|tx| spawn(tx, 2_000).unwrap());
    assert_limit(spawn(&mut world.begin(), 2_001), (2_000, 2_001, 2_000));
    world.ends(|world| {
        assert_eq!(world.run(&parent).unwrap().events, 1 + 2 * 2_001 + 1);
        world.assert_kinds(&next, [STARTED]);
    });
}

/// A refused child makes room: its relation has ended.
#[test]
fn refused_and_reported_children_make_room() {
    let world = World::new();
    world.limit(|limits| limits.open_children = 2);
    let (parent, stranger) = (world.start("p"), world.start("taken"));
    world.spawn(&parent, "c", ABANDON);
    let mut tx = world.begin();
    tx.initiate_child(&parent, child("taken", ABANDON)).unwrap();
    assert_limit(tx.initiate_child(&parent, child("d", ABANDON)), (2, 3, 2));
    tx.commit().unwrap();
    assert_eq!(world.drain(), 1);
    world.spawn(&parent, "d", ABANDON);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                START_CHILD_FAILED, START_CHILD_INITIATED, CHILD_STARTED,
            ],
        );
        world.assert_kinds(&stranger, [STARTED]);
    });
}

/// Open activities, signals and cancel requests on their way: as many as the limit says, within one
/// commit and over several, and again when one has ended.
#[test]
fn open_activities_signals_and_cancels() {
    let world = World::new();
    world.limit(|limits| {
        (limits.open_activities, limits.open_signals, limits.open_cancels) = (3, 2, 1);
    });
    let (run, target) = (world.start("p"), world.start("t"));
    let to = Target::workflow("t");
    world.commit(|tx| {
        tx.append(&run, scheduled()).unwrap();
        tx.signal_external(&run, to, "s", b"").unwrap();
    });
    world.commit(|tx| {
        tx.append(&run, scheduled()).unwrap();
        tx.append(&run, scheduled()).unwrap();
        assert_limit(tx.append(&run, scheduled()), (3, 4, 3));
        tx.signal_external(&run, to, "s", b"").unwrap();
        assert_limit(tx.signal_external(&run, to, "s", b""), (2, 3, 2));
        tx.cancel_external(&run, to).unwrap();
        assert_limit(tx.cancel_external(&run, to), (1, 2, 1));
    });
    assert_limit(world.begin().append(&run, scheduled()), (3, 4, 3));
    assert_eq!(world.drain(), 3);
    world.commit(|tx| {
        tx.append(&run, ended(2)).unwrap();
        tx.append(&run, scheduled()).unwrap();
        assert_limit(tx.append(&run, scheduled()), (3, 4, 3));
        tx.signal_external(&run, to, "s", b"").unwrap();
        tx.cancel_external(&run, to).unwrap();
        assert_limit(tx.cancel_external(&run, to), (1, 2, 1));
    });
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        let ids = [4, 5, 12];
        assert_eq!(world.open_activities(&run).unwrap(), ids);
        world.assert_kinds(&target, [STARTED, SIGNALED, SIGNALED, CANCEL_REQUESTED, SIGNALED]);
    });
}

/// Payloads, and everything that has a name.
#[test]
fn payloads_and_names() {
    let world = World::new();
    world.limit(|limits| (limits.payload_bytes, limits.id_bytes) = (10, 4));
    let parent = world.commit(|tx| {
        assert_limit(tx.start(kinlog::NewRun::new("shop", "p", "Order")), (0, 5, 4));
        tx.start(kinlog::NewRun::new("shop", "pppp", "P").input(&[0; 10])).unwrap()
    });
    let mut tx = world.begin();
    let marker = |payload| NewEvent::opaque(EventKind::MARKER_RECORDED, payload);
    assert_limit(tx.append(&parent, marker(&[0; 11])), (0, 11, 10));
    tx.append(&parent, marker(&[0; 10])).unwrap();
    let new = kinlog::NewChild::new("cccc", "C");
    assert_limit(tx.spawn_child(&parent, kinlog::NewChild::new("ccccc", "C")), (0, 5, 4));
    assert_limit(tx.spawn_child(&parent, new.input(&[0; 11])), (0, 11, 10));
    assert_limit(tx.spawn_child(&parent, new.task_queue("queue")), (0, 5, 4));
    tx.spawn_child(&parent, new.input(&[0; 10]).task_queue("quee")).unwrap();
    assert_limit(tx.signal(&parent, "hello", b""), (0, 5, 4));
    assert_limit(tx.signal_external(&parent, Target::workflow("cccc"), "hello", b""), (0, 5, 4));
    assert_limit(tx.close_run(&parent, Close::completed(&[0; 11])), (0, 11, 10));
    tx.commit().unwrap();
    world.ends(|world| {
        world
            .assert_kinds(&parent, [STARTED, MARKER_RECORDED, START_CHILD_INITIATED, CHILD_STARTED])
    });
}

/// A run that is to be told something and has no room keeps its duty open; it is settled once there
/// is room, and other duties are not held up by it.
#[test]
fn a_duty_that_meets_a_limit_stays_open() {
    let world = World::new();
    let (parent, other) = (world.start("p"), world.start("q"));
    let kid = world.spawn(&parent, "c", TERMINATE);
    let other_kid = world.spawn(&other, "d", TERMINATE);
    world.limit(|limits| limits.history_events = 4);
    world.note(&parent);
    world.complete(&kid);
    world.complete(&other_kid);
    let settled = world.settle_all().unwrap();
    assert_eq!((settled.duties, settled.refused), (1, 1));
    assert_limit(Err::<(), _>(settled.refusal.unwrap()), (4, 5, 4));
    let duty = world.duties(kinlog::DutyFilter::all()).map(Result::unwrap).next().unwrap();
    assert_eq!((duty.kind(), duty.run()), (DutyKind::ReportClose, parent));
    assert!(matches!(world.settle(&duty), Err(Error::LimitExceeded { .. })));
    world.limit(|limits| limits.history_events = 5);
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, MARKER_RECORDED, CHILD_COMPLETED],
        );
        world
            .assert_kinds(&other, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED]);
    });
}

/// Policies and cancel requests reach children over their limits; a signal does not, and its sender
/// is told why.
#[test]
fn what_reaches_a_full_run() {
    let (world, target) = full();
    let sender = world.start("sender");
    world.commit(|tx| {
        tx.signal_external(&sender, Target::workflow("p"), "hello", b"").unwrap();
        tx.cancel_external(&sender, Target::workflow("p")).unwrap();
    });
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(
            &sender,
            [
                STARTED, SIGNAL_EXTERNAL_INITIATED, REQUEST_CANCEL_EXTERNAL_INITIATED,
                SIGNAL_EXTERNAL_FAILED, EXTERNAL_CANCEL_REQUESTED,
            ],
        );
        assert_eq!(world.run(&target).unwrap().events, 21);
        world.event(&sender, 4, |event| match event.body() {
            Body::SignalExternalWorkflowExecutionFailed(failed) => {
                assert_eq!(failed.cause, ExternalFailedCause::SignalCountLimitExceeded);
            }
            other => panic!("{other:?}"),
        });
    });
    for (policy, kind) in [(TERMINATE, TERMINATED), (REQUEST_CANCEL, CANCEL_REQUESTED)] {
        let world = World::new();
        let parent = world.start("p");
        let kid = world.spawn(&parent, "c", policy);
        world.limit(|limits| limits.history_events = 1);
        world.complete(&parent);
        assert_eq!(world.drain(), 1);
        world.ends(|world| world.assert_kinds(&kid, [STARTED, kind]));
    }
}

/// A commit tells which of its open runs are long: from the suggested size on it should continue as
/// new, beyond the warning level it is near its limit.
#[test]
fn commits_tell_of_long_runs() {
    let world = World::new();
    world.limit(|limits| (limits.suggest_events, limits.warn_events) = (3, 4));
    let run_id = world.commit(|tx| tx.start(run("p")).unwrap());
    let append = || world.append(&run_id, note()).unwrap();
    assert_eq!(append().notices(), []);
    let commit = append();
    let told = |notice: &Notice| (notice.run, notice.events, notice.suggest_continue_as_new);
    let levels: Vec<_> = commit.notices().iter().map(|n| (told(n), n.warn)).collect();
    assert_eq!(levels, [((run_id, 3, true), false)]);
    assert_eq!(commit.notices()[0].bytes, world.run(&run_id).unwrap().bytes);
    assert!(commit.suggests_continue_as_new(&run_id));
    assert!(!append().notices()[0].warn, "at the level");
    assert!(append().notices()[0].warn, "beyond it");
    let closed = world.close_run(&run_id, Close::completed(b"")).unwrap();
    assert_eq!(closed.notices(), [], "a closed run needs no advice");

    let bytes = world.run(&run_id).unwrap().bytes as u32;
    world.limit(|limits| {
        (limits.suggest_events, limits.warn_events) = (u32::MAX, u32::MAX);
        (limits.suggest_bytes, limits.warn_bytes) = (bytes, bytes - 1);
    });
    let second = world.start("q");
    let mut tx = world.begin();
    while world.run(&run_id).unwrap().events > tx.append(&second, note()).unwrap() {}
    let notices = tx.commit().unwrap();
    let by_bytes = notices.notices().iter().map(|n| (n.warn, n.suggest_continue_as_new));
    let grown = world.run(&second).unwrap().bytes >= u64::from(bytes);
    assert_eq!(by_bytes.collect::<Vec<_>>(), if grown { vec![(true, true)] } else { vec![] });
    world.ends(|world| assert_eq!(world.status(&second), kinlog::RunStatus::Running));
}

/// A step of several events is taken whole or not at all.
#[test]
fn a_step_that_crosses_half_way_is_taken_back() {
    let world = World::new();
    world.limit(|limits| limits.history_events = 2);
    let parent = world.start("p");
    let mut tx = world.begin();
    assert_limit(tx.spawn_child(&parent, child("c", TERMINATE)), (2, 3, 2));
    assert_eq!(tx.append(&parent, note()).unwrap(), 2);
    tx.commit().unwrap();
    world.ends(|world| {
        world.assert_kinds(&parent, [STARTED, MARKER_RECORDED]);
        assert_eq!(world.runs_of("c"), 0);
    });
}
