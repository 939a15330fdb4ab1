//! Stores that were compacted and are damaged besides: what damage took is not taken for what a compaction dropped.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use kinlog::retention::Keep;
use kinlog::salvage::SalvageReport;
use kinlog::{
    Close, Error, NewRun, NextRun, Options, Position, RunId, RunStatus, Store, Transaction,
};
use kinlog_testing::disk::{Fate, Op, disk_with};
use kinlog_testing::files::{SEGMENT, directory, segment_name, small_segments};
use kinlog_testing::steps::marker;

use super::chains::{append, chain, compact, delete, go_on, open, start};

/// Takes steps in one commit; where that lies.
fn commit<T>(
    store: &Store,
    steps: impl FnOnce(&mut Transaction<'_>) -> kinlog::Result<T>,
) -> (T, Position) {
    let mut tx = store.begin();
    let done = steps(&mut tx).unwrap();
    (done, tx.commit().unwrap().position())
}

/// Damages commits of segments that were not compacted.
fn damage(dir: &Path, commits: &[Position]) {
    for commit in commits {
        let (segment, at) =
            (commit.as_u64() as usize / SEGMENT, commit.as_u64() as usize % SEGMENT);
        let path = dir.join("src").join(segment_name(segment));
        let mut bytes = fs::read(&path).unwrap();
        bytes[at + 40] ^= 1;
        fs::write(&path, bytes).unwrap();
    }
}

fn salvaged(dir: &Path, options: &Options) -> (SalvageReport, Store) {
    let (src, dst) = (dir.join("src"), dir.join("dst"));
    let report = kinlog::salvage::salvage(&src, &dst, options, |_| ()).unwrap();
    assert!(!report.is_complete());
    let store = small_segments().create(false).open(&dst).unwrap();
    store.verify(|_| ()).unwrap();
    (report, store)
}

fn is_unknown(store: &Store, run: &RunId) -> bool {
    matches!(store.run(run), Err(Error::RunNotFound { .. }))
}

/// Nobody has read what a compaction may have dropped of it since it was deleted.
#[test]
fn a_deleted_run_is_cut_where_damage_took_its_end_and_open_only_if_it_was_never_compacted() {
    for before_compaction in [false, true] {
        let dir = directory();
        let store = open(dir.path());
        let run = if before_compaction { Some(start(&store, "order")) } else { None };
        assert!(compact(&store, false));
        let run = run.unwrap_or_else(|| start(&store, "order"));
        let middle = commit(&store, |tx| tx.append(&run, marker(b"middle"))).1;
        append(&store, &run, 1);
        store.close_run(&run, Close::completed(b"done")).unwrap();
        delete(&store, &run, Keep::Nothing);
        store.shut_down().unwrap();
        damage(dir.path(), &[middle]);
        let (report, store) = salvaged(dir.path(), &small_segments());
        assert_eq!((report.runs_cut.len(), report.runs_left_out.len()), (1, 0));
        assert_eq!((report.runs_cut[0].events_kept, report.runs_cut[0].events_lost), (1, 3));
        match store.run(&run) {
            Ok(found) => assert!(!before_compaction && found.status.is_open()),
            Err(error) => assert!(before_compaction, "{error}"),
        }
    }
}

#[test]
fn a_deleted_run_that_was_never_compacted_is_open_where_damage_took_its_end() {
    let dir = directory();
    let store = open(dir.path());
    assert!(compact(&store, false));
    let run = start(&store, "order");
    let end = commit(&store, |tx| tx.close_run(&run, Close::completed(b"done"))).1;
    delete(&store, &run, Keep::Nothing);
    store.shut_down().unwrap();
    damage(dir.path(), &[end]);
    let (report, store) = salvaged(dir.path(), &small_segments());
    assert!(report.runs_left_out.is_empty(), "{report:?}");
    assert_eq!(store.run(&run).unwrap().status, RunStatus::Running);
}

/// It would be open again, without the events that the compaction dropped.
#[test]
fn a_deleted_run_that_lacks_events_is_left_out_where_damage_took_its_end() {
    let dir = directory();
    let store = open(dir.path());
    let run = start(&store, "order");
    append(&store, &run, 30);
    let end = commit(&store, |tx| tx.close_run(&run, Close::completed(b"done"))).1;
    let next = start(&store, "next");
    delete(&store, &run, Keep::Outcome);
    // The segment with its end is not full.
    assert!(end.as_u64() > SEGMENT as u64);
    let compaction = kinlog::retention::Compaction::new().dead_percent(0);
    assert!(store.compact(&compaction).unwrap().rewritten > 0);
    store.shut_down().unwrap();
    damage(dir.path(), &[end]);
    let (report, store) = salvaged(dir.path(), &small_segments());
    let left_out: Vec<_> = report.runs_left_out.iter().map(|it| (it.id, it.kept)).collect();
    assert_eq!(left_out, [(run, Keep::Outcome)]);
    assert!(is_unknown(&store, &run) && store.run(&next).is_ok());
}

/// Each lack of erased runs has two ends: where damage took one, the other one is not joined to that of another lack.
#[test]
fn runs_are_joined_only_where_no_others_are_lost_between_them() {
    let dir = directory();
    let store = open(dir.path());
    assert!(compact(&store, false));
    let mut runs = chain(&store, "cron", 3);
    let next = |tx: &mut Transaction<'_>| tx.continue_as_new(&runs[2], NextRun::new("Order"));
    let (next, lost) = commit(&store, next);
    runs.push(next);
    runs.push(go_on(&store, &next));
    runs.push(go_on(&store, &runs[4]));
    [1, 4].iter().for_each(|at| delete(&store, &runs[*at], Keep::Nothing));
    assert_eq!(store.erase().unwrap().runs, 2);
    store.shut_down().unwrap();
    damage(dir.path(), &[lost]);
    let (_, store) = salvaged(dir.path(), &small_segments());
    assert_eq!(store.run(&runs[0]).unwrap().status, RunStatus::ContinuedAsNew);
    assert_eq!(store.run(&runs[2]).unwrap().status, RunStatus::Running);
    assert!([1, 3, 4, 5].iter().all(|at| is_unknown(&store, &runs[*at])));
}

/// The run that goes on could be read when the erased runs before it were looked for, and cannot any more.
#[test]
fn erased_runs_that_lead_nowhere_after_all_are_ended_and_deleted() {
    for count in [1, 2] {
        let dir = directory();
        let store = open(dir.path());
        let mut runs = chain(&store, "cron", 1 + count);
        append(&store, &runs[count], 30);
        runs.push(go_on(&store, &runs[count]));
        let lost = segment_name(store.end().as_u64() as usize / SEGMENT);
        runs[1..=count].iter().for_each(|run| delete(&store, run, Keep::Nothing));
        assert_eq!(store.erase().unwrap().runs as usize, count);
        assert!(compact(&store, false));
        store.shut_down().unwrap();
        let (lost, opened) = (dir.path().join("src").join(lost), AtomicUsize::new(0));
        let disk = disk_with(move |op, path| {
            if path != lost {
                return Fate::Done;
            }
            let opened = opened.fetch_add((op == Op::Open).into(), Ordering::Relaxed);
            match op {
                Op::Read if opened > 2 => Fate::Fails(std::io::ErrorKind::Other),
                _ => Fate::Done,
            }
        });
        let (_, store) = salvaged(dir.path(), &small_segments().disk(disk));
        assert_eq!(store.run(&runs[0]).unwrap().status, RunStatus::ContinuedAsNew);
        let last = store.run(&runs[count]).unwrap();
        assert_eq!((last.status, last.deleted), (RunStatus::Terminated, Some(Keep::Outcome)));
        assert!(count == 1 || matches!(store.run(&runs[1]), Err(Error::RunDeleted { .. })));
        assert!(is_unknown(&store, &runs[count + 1]));
        store.transact(|tx| tx.start(NewRun::new("shop", "cron", "Order"))).unwrap();
    }
}

/// The commit in which the run before them closes has no room for their beginnings.
#[test]
fn erased_runs_that_do_not_fit_into_their_commit_cut_their_chain() {
    let dir = directory();
    let store = open(dir.path());
    let first = start(&store, "cron");
    let fitting = (0..SEGMENT).rev().step_by(4).find_map(|size| {
        let mut tx = store.begin();
        tx.append(&first, marker(&vec![7; size])).unwrap();
        let next = tx.continue_as_new(&first, NextRun::new("Order")).unwrap();
        tx.commit().is_ok().then_some(next)
    });
    let mut runs = vec![first, fitting.unwrap()];
    while runs.len() < 4 {
        append(&store, &runs[runs.len() - 1], 2);
        runs.push(go_on(&store, &runs[runs.len() - 1]));
    }
    [1, 2].iter().for_each(|at| delete(&store, &runs[*at], Keep::Nothing));
    assert_eq!(store.erase().unwrap().runs, 2);
    assert!(compact(&store, false));
    store.shut_down().unwrap();
    let (report, store) = salvaged(dir.path(), &small_segments());
    let cut: Vec<_> = report.runs_cut.iter().map(|run| run.id).collect();
    assert_eq!(cut, [runs[0], runs[3]]);
    assert_eq!(store.run(&runs[0]).unwrap().status, RunStatus::Running);
}
