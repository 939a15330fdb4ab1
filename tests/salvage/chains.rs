//! Runs go on past others that were deleted, compacted and erased: a salvage of an undamaged store says what the store says.

use std::collections::HashMap;
use std::path::Path;

use kinlog::retention::{Compaction, Keep};
use kinlog::salvage::SalvageReport;
use kinlog::{
    Close, DutyFilter, Error, EventKind, NewChild, NewEvent, NewReset, NewRun, NextRun,
    ParentClosePolicy, Position, RunFilter, RunId, Store, Target, Transaction,
};
use kinlog_testing::Rng;
use kinlog_testing::files::{SEGMENT, directory, small_segments};
use kinlog_testing::steps::{fill, marker, recorded};

use super::original::events;

const POLICIES: [ParentClosePolicy; 3] =
    [ParentClosePolicy::Terminate, ParentClosePolicy::Abandon, ParentClosePolicy::RequestCancel];
const WORKFLOWS: [&str; 6] = ["a", "b", "c", "d", "e", "f"];
const TYPES: [&str; 3] = ["Order", "Bill", "Ship"];

/// What a store says of some runs, and of all that it lists. Of a deleted run, the size is not what it was, but that of a child is.
fn told(store: &Store, runs: &[RunId]) -> Vec<String> {
    let mut told: Vec<_> = runs.iter().map(|run| told_of(store, run)).collect();
    let snapshot = store.snapshot();
    told.extend(snapshot.runs(RunFilter::all()).map(|run| format!("lists {}", run.unwrap().id)));
    told.extend(store.duties(DutyFilter::all()).map(|duty| {
        let duty = duty.unwrap();
        let of = (duty.run(), duty.initiated_event_id(), duty.child());
        format!("due {:?} {of:?}", duty.kind())
    }));
    for workflow in WORKFLOWS {
        told.push(format!("current {:?}", store.current_run("shop", workflow).unwrap()));
    }
    told.push(format!("deleted {}", store.stats().unwrap().deleted_runs));
    told
}

fn told_of(store: &Store, run: &RunId) -> String {
    let mut info = match store.run(run) {
        Ok(info) => info,
        Err(error) => return error.to_string(),
    };
    info.bytes = if info.deleted.is_none() { info.bytes } else { 0 };
    let history = store.history(run).map(|history| events(&history));
    let chain = store.chain(run).unwrap();
    let chain: Vec<_> = chain.runs().map(|run| run.map(|run| run.id)).collect();
    let children = store.children(run).map(|children| {
        let say = |child: kinlog::Child| {
            let current = child.current.map(|run| (run.id, run.status));
            let (state, outcome, size) = (child.state, child.outcome, child.size);
            let of = (child.initiated_event_id, child.first_run, current, child.held_by);
            let (reported, deleted) = (child.reported, child.is_deleted);
            format!("{of:?} {state:?} {outcome:?} {reported} {deleted} {size:?}")
        };
        children.map(|child| child.map(say)).collect::<Vec<_>>()
    });
    let parent = store.parent(run).map(|parent| parent.map(|parent| parent.run));
    let outcome = store.outcome(run);
    let keys: Vec<_> = (0..8).map(|key| store.event_by_key(run, key)).collect();
    format!("{info:?} {keys:?} {history:?} {chain:?} {children:?} {parent:?} {outcome:?}")
}

/// Salvages a store that is not damaged, and compares what it says with what the new one says.
fn check(dir: &Path, store: Store, runs: &[RunId]) -> (SalvageReport, Store) {
    let expected = told(&store, runs);
    store.shut_down().unwrap();
    let (src, dst) = (dir.join("src"), dir.join("dst"));
    let report = kinlog::salvage::salvage(&src, &dst, &small_segments(), |_| ()).unwrap();
    assert!(report.is_complete() && report.runs_left_out.is_empty(), "{report:?}");
    let store = small_segments().create(false).open(&dst).unwrap();
    store.verify(|_| ()).unwrap();
    check_log(&store);
    for (found, expected) in told(&store, runs).iter().zip(&expected) {
        assert_eq!(found, expected);
    }
    (report, store)
}

/// What rules ask of has a record, but for requests to cancel, and no run goes back in time.
fn check_log(store: &Store) {
    let mut times = HashMap::new();
    let mut tail = store.tail(Position::START);
    while let Some(commit) = tail.try_next().unwrap() {
        for batch in commit.batches().map(Result::unwrap) {
            for event in batch.events().map(Result::unwrap) {
                let ruled = matches!(event.kind().number(), 10 | 12..=14 | 16 | 22..=24 | 29..=39);
                assert!(!ruled || event.version() > 0, "{event:?}");
                let before = times.insert(batch.run(), event.time());
                assert!(before.is_none_or(|before| before <= event.time()), "{event:?}");
            }
        }
    }
}

pub(crate) fn open(dir: &Path) -> Store {
    small_segments().open(dir.join("src")).unwrap()
}

pub(crate) fn start(store: &Store, workflow: &str) -> RunId {
    store.transact(|tx| tx.start(NewRun::new("shop", workflow, "Order"))).unwrap().0
}

pub(crate) fn append(store: &Store, run: &RunId, count: usize) {
    (0..count).for_each(|_| {
        store.transact(|tx| tx.append(run, marker(&[7; 3000]))).unwrap();
    });
}

pub(crate) fn go_on(store: &Store, run: &RunId) -> RunId {
    store.transact(|tx| tx.continue_as_new(run, NextRun::new("Order"))).unwrap().0
}

pub(crate) fn delete(store: &Store, run: &RunId, keep: Keep) {
    store.transact(|tx| tx.delete_run(run, keep)).unwrap();
}

/// A chain of runs with payloads, of which the last one is open.
pub(crate) fn chain(store: &Store, workflow: &str, count: usize) -> Vec<RunId> {
    let mut runs = vec![start(store, workflow)];
    while runs.len() < count {
        append(store, &runs[runs.len() - 1], 2);
        runs.push(go_on(store, &runs[runs.len() - 1]));
    }
    runs
}

/// Appends to a run until the log is in a segment.
fn append_upto(store: &Store, run: &RunId, segment: u64) {
    while store.end().as_u64() / SEGMENT as u64 != segment {
        append(store, run, 1);
    }
}

/// Compacts all segments so far; whether one of them had to be.
pub(crate) fn compact(store: &Store, packs: bool) -> bool {
    fill(store);
    let compaction = Compaction::new().dead_percent(0);
    let compaction = if packs { compaction.pack() } else { compaction };
    store.compact(&compaction).unwrap().rewritten > 0
}

#[test]
fn a_chain_goes_on_past_any_runs_of_it_that_are_erased() {
    for packs in [false, true] {
        for middle in [1..2, 1..3, 1..6, 2..4] {
            let dir = directory();
            let store = open(dir.path());
            let runs = chain(&store, "cron", 8);
            runs[middle.clone()].iter().for_each(|run| delete(&store, run, Keep::Nothing));
            assert_eq!(store.erase().unwrap().runs as usize, middle.len());
            assert!(compact(&store, packs));
            let (_, store) = check(dir.path(), store, &runs);
            let gone = |run: &RunId| matches!(store.run(run), Err(Error::RunNotFound { .. }));
            assert!(runs[middle].iter().all(gone));
        }
    }
}

#[test]
fn a_chain_lacks_erased_runs_in_several_places_also_of_one_commit() {
    let dir = directory();
    let store = open(dir.path());
    let mut runs = chain(&store, "cron", 7);
    let at_once = store.transact(|tx| {
        let mut at_once = vec![tx.start(NewRun::new("shop", "swift", "Order"))?];
        while at_once.len() < 6 {
            let last = at_once[at_once.len() - 1];
            at_once.push(tx.continue_as_new(&last, NextRun::new("Order"))?);
        }
        Ok(at_once)
    });
    let at_once = at_once.unwrap().0;
    for run in [runs[1], runs[3], runs[4], at_once[1], at_once[3], at_once[4]] {
        delete(&store, &run, Keep::Nothing);
    }
    assert_eq!(store.erase().unwrap().runs, 6);
    assert!(compact(&store, false));
    runs.extend(at_once);
    check(dir.path(), store, &runs);
}

/// The last run of its commit that is not erased is a child, which ends; its parent is told.
#[test]
fn children_go_on_past_their_deleted_parents() {
    let dir = directory();
    let store = open(dir.path());
    let mut all = vec![];
    for keep in [Keep::Nothing, Keep::Outcome] {
        let parents = chain(&store, "parent", 3);
        let parent = parents[2];
        let child = NewChild::new("kid", "Ship").on_parent_close(ParentClosePolicy::Abandon);
        let kids = [child, child.on_reuse(kinlog::IdReusePolicy::AllowDuplicate)];
        let spawn = |child| store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run;
        let first = spawn(kids[0]);
        store.close_run(&first, Close::completed(b"sent")).unwrap();
        store.settle_all().unwrap();
        append(&store, &parent, 3);
        let kid = spawn(kids[1]);
        append(&store, &parent, 3);
        store.close_run(&parent, Close::completed(b"done")).unwrap();
        let next = go_on(&store, &kid);
        delete(&store, &first, keep);
        store.transact(|tx| tx.delete_chain(&parent, keep)).unwrap();
        all.extend(parents.into_iter().chain([first, kid, next]));
        store.close_run(&next, Close::completed(b"late")).unwrap();
    }
    assert!(compact(&store, false));
    check(dir.path(), store, &all);
}

/// The sizes of the children are compared.
#[test]
fn a_parent_counts_what_was_erased_of_a_child_and_what_was_dropped_of_it() {
    for (erased, deleted) in [(0..0, 1), (1..2, 2), (1..4, 4), (4..6, 3)] {
        let dir = directory();
        let store = open(dir.path());
        let parent = start(&store, "a");
        let child = NewChild::new("b", "Order");
        let mut runs = vec![store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run];
        while runs.len() < 7 {
            append(&store, &runs[runs.len() - 1], 2);
            runs.push(go_on(&store, &runs[runs.len() - 1]));
        }
        runs[erased.clone()].iter().for_each(|run| delete(&store, run, Keep::Nothing));
        assert_eq!(store.erase().unwrap().runs as usize, erased.len());
        // It stays deleted.
        delete(&store, &runs[deleted], Keep::Outcome);
        assert!(compact(&store, false));
        runs.push(parent);
        check(dir.path(), store, &runs);
    }
}

/// Of a single run, of which the outcome was kept.
#[test]
fn a_parent_counts_what_was_dropped_of_a_child_that_never_went_on() {
    let dir = directory();
    let store = open(dir.path());
    let parent = start(&store, "a");
    let child = NewChild::new("b", "Order");
    let child = store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run;
    append(&store, &child, 2);
    store.close_run(&child, Close::completed(b"done")).unwrap();
    store.settle_all().unwrap();
    delete(&store, &child, Keep::Outcome);
    assert!(compact(&store, false));
    check(dir.path(), store, &[parent, child]);
}

#[test]
fn a_reset_keeps_what_it_shares_with_deleted_runs() {
    for keep in [Keep::Nothing, Keep::Outcome] {
        let dir = directory();
        let store = open(dir.path());
        let base = start(&store, "order");
        append(&store, &base, 6);
        let fork = store.transact(|tx| tx.reset(&base, NewReset::to(4))).unwrap().0;
        append(&store, &fork, 4);
        let dead = store.transact(|tx| tx.reset(&fork, NewReset::to(7))).unwrap().0;
        append(&store, &dead, 4);
        let live = store.transact(|tx| tx.reset(&fork, NewReset::to(6))).unwrap().0;
        append(&store, &live, 4);
        [base, fork, dead].iter().for_each(|run| delete(&store, run, keep));
        assert!(compact(&store, false));
        check(dir.path(), store, &[base, fork, dead, live]);
    }
}

/// The base run lacks events of a compacted segment, and those behind them and the reset are in one that was left.
#[test]
fn a_deleted_run_lacks_what_the_run_lacks_whose_events_it_shares() {
    for keep in [Keep::Nothing, Keep::Outcome] {
        let dir = directory();
        let store = open(dir.path());
        let other = start(&store, "a");
        let base = start(&store, "b");
        append_upto(&store, &base, 1);
        append(&store, &base, 2);
        let shared = store.history(&base).unwrap().len() - 1;
        let fork = store.transact(|tx| tx.reset(&base, NewReset::to(shared))).unwrap().0;
        store.close_run(&fork, Close::completed(b"done")).unwrap();
        store.transact(|tx| tx.delete_chain(&base, keep)).unwrap();
        append_upto(&store, &other, 2);
        let segments = store.compact(&Compaction::new().dead_percent(50)).unwrap().segments;
        assert_eq!([segments[0].rewritten, segments[1].rewritten], [true, false]);
        check(dir.path(), store, &[other, base, fork]);
    }
}

#[test]
fn what_is_erased_and_not_yet_compacted_is_erased() {
    let dir = directory();
    let store = open(dir.path());
    let mut runs = chain(&store, "cron", 4);
    let whole = chain(&store, "whole", 3);
    store.close_run(&whole[2], Close::completed(b"done")).unwrap();
    store.transact(|tx| tx.delete_chain(&whole[0], Keep::Nothing)).unwrap();
    delete(&store, &runs[1], Keep::Nothing);
    assert_eq!(store.erase().unwrap().runs, 4);
    runs.extend(whole);
    check(dir.path(), store, &runs);
}

/// A segment that has little else is compacted, and the one with the ends and answers is not. The events between are of both.
#[test]
fn a_deleted_run_lacks_what_its_events_end_and_answer() {
    for keep in [Keep::Nothing, Keep::Outcome] {
        let dir = directory();
        let store = open(dir.path());
        let parent = start(&store, "a");
        let child = NewChild::new("b", "Order");
        let run = store.transact(|tx| tx.spawn_child(&parent, child)).unwrap().0.run;
        let begin = |tx: &mut Transaction<'_>| {
            tx.signal_external(&run, Target::workflow("nobody"), "s", b"")?;
            tx.cancel_external(&run, Target::workflow("nobody"))?;
            tx.append(&run, NewEvent::activity_scheduled("pay"))
        };
        let first = store.transact(begin).unwrap().0;
        append_upto(&store, &run, 1);
        store.settle_all().unwrap();
        store.transact(|tx| tx.append(&run, NewEvent::activity_completed(first))).unwrap();
        let both = |tx: &mut Transaction<'_>| {
            let again = tx.append(&run, NewEvent::activity_scheduled("pay"))?;
            tx.append(&run, NewEvent::activity_completed(again))
        };
        store.transact(both).unwrap();
        store.close_run(&run, Close::completed(b"done")).unwrap();
        store.settle_all().unwrap();
        delete(&store, &run, keep);
        append_upto(&store, &parent, 2);
        let compaction = Compaction::new().dead_percent(50);
        let segments = store.compact(&compaction).unwrap().segments;
        assert_eq!([segments[0].rewritten, segments[1].rewritten], [true, false]);
        let (_, store) = check(dir.path(), store, &[parent, run]);
        assert_eq!(store.children(&parent).unwrap().count(), 1);
    }
}

/// The id of a run that was erased is used again: what is left of the rows of the first one says nothing of the second.
#[test]
fn an_id_that_is_used_again_is_of_the_run_that_has_it_now() {
    let id = RunId::from_bytes([1; 16]);
    let begin = |store: &Store| {
        let begin = |tx: &mut Transaction<'_>| {
            let run = tx.start(NewRun::new("shop", "order", "Order").id(id))?;
            tx.append(&run, marker(b"").key(1))
        };
        store.transact(begin).unwrap();
    };
    for closes in [false, true] {
        let dir = directory();
        let store = open(dir.path());
        let other = start(&store, "first");
        begin(&store);
        store.close_run(&id, Close::completed(b"")).unwrap();
        delete(&store, &id, Keep::Nothing);
        assert_eq!(store.erase().unwrap().runs, 1);
        append_upto(&store, &other, 1);
        begin(&store);
        append(&store, &id, 1);
        if closes {
            store.close_run(&id, Close::completed(b"again")).unwrap();
        }
        fill(&store);
        let segments = store.compact(&Compaction::new()).unwrap().segments;
        assert_eq!([segments[0].rewritten, segments[1].rewritten], [false, true]);
        let (report, store) = check(dir.path(), store, &[id, other]);
        assert_eq!((report.commits_dropped, report.rows_dropped), (0, 0));
        assert_eq!(store.run(&id).unwrap().status.is_open(), !closes);
    }
}

/// Without a record, too, which runs that were recorded elsewhere may lack, it says that the run was asked.
#[test]
fn a_request_to_cancel_stays_one() {
    let dir = directory();
    let store = open(dir.path());
    let run = RunId::from_bytes([1; 16]);
    store.transact(|tx| tx.start(NewRun::imported(recorded(run, "order")))).unwrap();
    append(&store, &run, 3);
    let asked = NewEvent::opaque(EventKind::WORKFLOW_EXECUTION_CANCEL_REQUESTED, b"");
    store.transact(|tx| tx.append(&run, asked)).unwrap();
    append(&store, &run, 3);
    store.close_run(&run, Close::completed(b"done")).unwrap();
    delete(&store, &run, Keep::Outcome);
    assert!(compact(&store, false));
    let (_, store) = check(dir.path(), store, &[run]);
    assert!(store.run(&run).unwrap().cancel_requested);
}

/// More events than a batch holds, in one place and in several.
#[test]
fn a_gap_of_any_length_is_filled() {
    let dir = directory();
    let store = open(dir.path());
    let mut limits = kinlog::Limits::default();
    limits.history_events = u32::MAX;
    store.set_limits("shop", limits).unwrap();
    let runs = chain(&store, "cron", 2);
    for _ in 0..70 {
        let events = |tx: &mut Transaction<'_>| {
            (0..1000).try_for_each(|_| tx.append(&runs[1], marker(b"")).map(|_| ()))
        };
        store.transact(events).unwrap();
    }
    let last = go_on(&store, &runs[1]);
    delete(&store, &runs[1], Keep::Nothing);
    assert!(compact(&store, false));
    check(dir.path(), store, &[runs[0], runs[1], last]);
}

/// Takes a few steps in one commit; the runs that begin in it.
fn step(store: &Store, random: &mut Rng, runs: &mut Vec<RunId>) {
    let open: Vec<RunId> = {
        let snapshot = store.snapshot();
        let listed = snapshot.runs(RunFilter::all()).map(Result::unwrap);
        listed.filter(|run| run.status.is_open()).map(|run| run.id).collect()
    };
    let mut tx = store.begin();
    let mut begun = vec![];
    for _ in 0..=random.below(3) {
        let of: Vec<RunId> = open.iter().chain(&begun).copied().collect();
        let run = if of.len() < 6 || random.chance(10) { None } else { Some(random.pick(&of)) };
        let taken = match run {
            None => {
                let new = NewRun::new("shop", random.pick(&WORKFLOWS), random.pick(&TYPES));
                tx.start(new).map(|run| begun.push(run))
            }
            Some(run) => change(&mut tx, random, &run, &mut begun),
        };
        if let Err(error) = taken {
            assert!(is_legal(&error), "{error}");
        }
    }
    match tx.commit() {
        Ok(_) => runs.extend(begun),
        Err(error) => assert!(is_legal(&error), "{error}"),
    }
}

fn is_legal(error: &Error) -> bool {
    matches!(
        error,
        Error::IllegalEvent { .. }
            | Error::Nested { .. }
            | Error::InvalidArgument { .. }
            | Error::RunClosed { .. }
            | Error::RunNotFound { .. }
            | Error::RunDeleted { .. }
            | Error::NotDeletable { .. }
            | Error::WorkflowExists { .. }
            | Error::EventKeyExists { .. }
            | Error::Conflict { .. }
            | Error::LimitExceeded { .. }
    )
}

fn change(
    tx: &mut Transaction<'_>,
    random: &mut Rng,
    run: &RunId,
    begun: &mut Vec<RunId>,
) -> Result<(), Error> {
    let payload = vec![random.byte(); random.below(3000)];
    match random.below(14) {
        0 => tx.append(run, marker(&payload)).map(|_| ()),
        1..=2 => tx.append(run, marker(&payload).key(random.draw() % 8)).map(|_| ()),
        3..=6 => {
            let next = NextRun::new(random.pick(&TYPES));
            tx.continue_as_new(run, next).map(|run| begun.push(run))
        }
        7..=8 => {
            let child = NewChild::new(random.pick(&WORKFLOWS), random.pick(&TYPES));
            let child = child.on_parent_close(random.pick(&POLICIES));
            tx.spawn_child(run, child).map(|child| begun.push(child.run))
        }
        9 => tx.close_run(run, Close::completed(&payload)).map(|_| ()),
        10 => {
            let to = NewReset::to(1 + random.number(5));
            tx.reset(run, to).map(|run| begun.push(run))
        }
        11 => {
            let scheduled = tx.append(run, NewEvent::activity_scheduled("pay"))?;
            if random.chance(50) {
                tx.append(run, NewEvent::activity_completed(scheduled))?;
            }
            Ok(())
        }
        12 => {
            let target = Target::workflow(random.pick(&WORKFLOWS));
            tx.signal_external(run, target, "s", b"p").map(|_| ())
        }
        _ => tx.request_cancel(run, b"stop").map(|_| ()),
    }
}

/// Deletes any of the runs, in any degree, and perhaps erases and compacts.
fn clean(store: &Store, random: &mut Rng, runs: &[RunId]) {
    for _ in 0..random.below(runs.len()) {
        let (run, keep) = (random.pick(runs), random.pick(&[Keep::Nothing, Keep::Outcome]));
        let done = match random.chance(20) {
            true => store.transact(|tx| tx.delete_chain(&run, keep)).map(|_| ()),
            false => store.transact(|tx| tx.delete_run(&run, keep)).map(|_| ()),
        };
        assert!(done.as_ref().err().is_none_or(is_legal), "{done:?}");
    }
    if random.chance(60) {
        store.erase().unwrap();
    }
    if random.chance(70) {
        fill(store);
        // Where little is dead, segments are left as they are.
        let compaction = Compaction::new().dead_percent(random.pick(&[0, 0, 15, 30]));
        let packs = random.chance(50);
        store.compact(&if packs { compaction.pack() } else { compaction }).unwrap();
    }
}

/// Does anything at all with a store, and names the runs that it has had.
pub(crate) fn any_store(dir: &Path, seed: u64) -> (Store, Vec<RunId>) {
    let mut random = Rng::new(seed);
    let store = small_segments().open(dir).unwrap();
    let mut runs = vec![];
    for _ in 0..1 + random.below(4) {
        for _ in 0..60 {
            step(&store, &mut random, &mut runs);
            if random.chance(20) {
                store.settle_all().unwrap();
            }
        }
        clean(&store, &mut random, &runs);
    }
    (store, runs)
}

#[test]
fn whatever_was_deleted_erased_and_compacted_a_salvage_says_what_the_store_says() {
    for seed in 0..60 {
        println!("seed {seed}");
        let dir = directory();
        let (store, runs) = any_store(&dir.path().join("src"), seed);
        check(dir.path(), store, &runs);
    }
}
