//! A disk without space: closing, cancelling and opening go on, new work is refused and goes on by
//! itself when there is space.

use std::path::Path;
use std::sync::Arc;

use kinlog::retention::Compaction;
use kinlog::{
    Close, DutyFilter, Error, EventKind, NewChild, NewEvent, NewRun, NextRun, Options,
    ParentClosePolicy, Result, RunFilter, RunId, RunStatus, Store, Verdict,
};
use kinlog_rig::Random;
use kinlog_rig::disk::{Content, SimulatedDisk, Survivors};

const STORE: &str = "/data/store";

fn open(disk: &SimulatedDisk) -> Result<Store> {
    Options::new().segment_bytes(64 << 10).disk(Arc::new(disk.clone())).open(STORE)
}

fn marker(store: &Store, run: &RunId, len: usize) -> Result<()> {
    store.append(run, NewEvent::opaque(EventKind::MARKER_RECORDED, &vec![7; len])).map(drop)
}

/// A parent with children, on a disk that takes nothing more than it holds now.
fn full(disk: &SimulatedDisk, children: usize) -> (Store, RunId) {
    let store = open(disk).unwrap();
    let mut tx = store.begin();
    let parent = tx.start(NewRun::new("n", "parent", "T")).unwrap();
    for child in 0..children {
        let policy = match child % 2 {
            0 => ParentClosePolicy::Terminate,
            _ => ParentClosePolicy::RequestCancel,
        };
        let child = format!("child-{child}");
        tx.spawn_child(&parent, NewChild::new(&child, "C").on_parent_close(policy)).unwrap();
    }
    tx.commit().unwrap();
    disk.set_capacity(disk.used());
    (store, parent)
}

/// Commits until there is no room, not even for a small one; how many there were.
fn fill(store: &Store, run: &RunId) -> usize {
    let fits = |len: &usize| match marker(store, run, *len) {
        Ok(()) => true,
        Err(Error::DiskFull { path, .. }) => {
            assert!(path.starts_with(STORE));
            false
        }
        Err(error) => panic!("{error}"),
    };
    [500, 0].map(|len| std::iter::repeat_n(len, 1000).take_while(fits).count()).iter().sum()
}

#[test]
fn closing_and_cancelling_go_on_and_new_work_is_refused() {
    let disk = SimulatedDisk::new(1);
    let (store, parent) = full(&disk, 20);
    assert!(fill(&store, &parent) > 50, "most of the segment is for everybody");
    let before = store.end();

    // Everything that makes more work is refused, again and again, and changes nothing.
    for _ in 0..3 {
        let mut tx = store.begin();
        tx.start(NewRun::new("n", "another", "T")).unwrap();
        assert!(matches!(tx.commit(), Err(Error::DiskFull { .. })));
        let mut tx = store.begin();
        tx.continue_as_new(&parent, NextRun::new("T")).unwrap();
        tx.use_reserve(false);
        assert!(!tx.may_use_reserve());
        assert!(matches!(tx.commit(), Err(Error::DiskFull { .. })));
        let mut tx = store.begin();
        tx.put("t", b"k", &[1; 200]).unwrap();
        assert!(!tx.may_use_reserve());
        assert!(matches!(tx.commit(), Err(Error::DiskFull { .. })));
        assert!(matches!(marker(&store, &parent, 1), Err(Error::DiskFull { .. })));
    }
    assert_eq!(store.end(), before);
    assert_eq!(store.current_run("n", "another").unwrap(), None);

    let mut tx = store.begin();
    tx.request_cancel(&parent, b"why").unwrap();
    tx.commit().unwrap();
    let mut tx = store.begin();
    // What comes with a close goes with it.
    tx.append(&parent, NewEvent::opaque(EventKind::MARKER_RECORDED, b"last")).unwrap();
    tx.close_run(&parent, Close::completed(b"ok")).unwrap();
    tx.delete("t", b"k").unwrap();
    tx.commit().unwrap();
    store.settle_all().unwrap();
    assert_eq!(store.duties(DutyFilter::all()).count(), 0);
    let terminated = RunFilter::all().status(RunStatus::Terminated);
    assert_eq!(store.snapshot().runs(terminated).count(), 10);
    store.verify(|_| {}).unwrap();
}

/// Its jobs are rows: each is leased, and deleted with the close of its run.
#[test]
fn an_engine_whose_queue_lies_in_a_table_goes_on_to_close() {
    const JOBS: u8 = 6;
    let disk = SimulatedDisk::new(6);
    let store = open(&disk).unwrap();
    let mut tx = store.begin();
    let start = |job| tx.start(NewRun::new("n", &format!("job-{job}"), "T"));
    let runs: Vec<_> = (0..JOBS).map(start).collect::<Result<_>>().unwrap();
    for (job, run) in (0..JOBS).zip(&runs) {
        tx.put("jobs", &[job], run.as_bytes()).unwrap();
    }
    tx.put("dead", b"letter", b"").unwrap();
    tx.commit().unwrap();
    disk.set_capacity(disk.used());
    fill(&store, &runs[0]);

    let mut tx = store.begin();
    tx.delete("dead", b"letter").unwrap();
    assert!(tx.may_use_reserve());
    tx.commit().unwrap();
    for (job, run) in (0..JOBS).zip(&runs) {
        let lease = |declared: bool| {
            let mut tx = store.begin();
            tx.put("leases", &[job], b"worker").unwrap();
            if declared {
                tx.use_reserve(true);
            }
            assert_eq!(tx.may_use_reserve(), declared);
            tx.commit()
        };
        assert!(matches!(lease(false), Err(Error::DiskFull { .. })));
        lease(true).unwrap();
        let mut tx = store.begin();
        tx.delete("jobs", &[job]).unwrap();
        tx.delete("leases", &[job]).unwrap();
        match job % 2 {
            0 => tx.close_run(run, Close::completed(b"ok")).map(drop).unwrap(),
            _ => tx.continue_as_new(run, NextRun::new("T")).map(drop).unwrap(),
        }
        assert!(tx.may_use_reserve());
        tx.commit().unwrap();
    }
    assert_eq!(store.snapshot().rows("jobs", ..).count(), 0);
    store.verify(|_| {}).unwrap();
}

/// What could be repeated without end uses half of the reserve, and only closing the other half.
#[test]
fn half_of_the_reserve_is_left_for_closing() {
    let disk = SimulatedDisk::new(7);
    let (store, parent) = full(&disk, 30);
    fill(&store, &parent);
    let children: Vec<_> =
        store.children(&parent).unwrap().map(|it| it.unwrap().first_run.unwrap()).collect();
    let mut run = parent;
    let go_on = |tx: kinlog::Transaction<'_>| {
        assert!(tx.may_use_reserve());
        match tx.commit() {
            Ok(_) => true,
            Err(Error::DiskFull { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    };
    let mut continued = 0;
    loop {
        let mut tx = store.begin();
        let next = tx.continue_as_new(&run, NextRun::new("T")).unwrap();
        if !go_on(tx) {
            break;
        }
        (run, continued) = (next, continued + 1);
    }
    assert!((2..20).contains(&continued), "{continued}");
    let declared = |_: &u32| {
        let mut tx = store.begin();
        tx.put("leases", b"one", b"").unwrap();
        tx.use_reserve(true);
        go_on(tx)
    };
    assert!((0..100).take_while(declared).count() < 10);
    for child in children.iter().take(10) {
        store.close_run(child, Close::completed(b"ok")).unwrap();
    }
    store.verify(|_| {}).unwrap();
}

/// A run that begins and ends in one commit frees nothing: it is new work, however it is put. Were it let
/// in, it would use up what is kept for closing the runs that are there.
#[test]
fn a_run_that_starts_and_closes_in_one_commit_is_new_work() {
    let disk = SimulatedDisk::new(5);
    let (store, parent) = full(&disk, 4);
    fill(&store, &parent);
    let child = store.children(&parent).unwrap().next().unwrap().unwrap().first_run.unwrap();
    let before = store.end();
    let closed = Close::completed(b"");

    for _ in 0..3 {
        let mut tx = store.begin();
        let run = tx.start(NewRun::new("n", "brief", "T")).unwrap();
        tx.close_run(&run, closed).unwrap();
        assert!(matches!(tx.commit(), Err(Error::DiskFull { .. })));
        // Nor does it get in with a run whose closing alone would.
        let mut tx = store.begin();
        let run = tx.start(NewRun::new("n", "brief", "T")).unwrap();
        tx.close_run(&run, closed).unwrap();
        tx.close_run(&child, closed).unwrap();
        assert!(matches!(tx.commit(), Err(Error::DiskFull { .. })));
    }
    assert_eq!((store.end(), store.current_run("n", "brief").unwrap()), (before, None));

    store.close_run(&child, closed).unwrap();
    store.close_run(&parent, closed).unwrap();
    assert!(store.end() > before);
    store.verify(|_| {}).unwrap();
}

#[test]
fn new_work_goes_on_by_itself_when_there_is_space() {
    let disk = SimulatedDisk::new(2);
    let (store, parent) = full(&disk, 0);
    fill(&store, &parent);
    let used = disk.used();
    disk.set_capacity(used + (64 << 10));
    for _ in 0..50 {
        marker(&store, &parent, 500).unwrap();
    }
    // A failed attempt leaves nothing that takes space.
    disk.set_capacity(disk.used() + (32 << 10));
    fill(&store, &parent);
    assert!(disk.used() <= used + (64 << 10), "an attempt left its file");
    store.verify(|_| {}).unwrap();
}

#[test]
fn the_reserve_is_bounded_and_its_end_is_an_error_too() {
    let disk = SimulatedDisk::new(3);
    let (store, parent) = full(&disk, 80);
    fill(&store, &parent);
    let children: Vec<_> =
        store.children(&parent).unwrap().map(|it| it.unwrap().first_run).collect();
    let closed = children.iter().take_while(|child| {
        match store.close_run(child.as_ref().unwrap(), Close::completed(&[0; 100])) {
            Ok(_) => true,
            Err(Error::DiskFull { .. }) => false,
            Err(error) => panic!("{error}"),
        }
    });
    let closed = closed.count();
    assert!((10..80).contains(&closed), "{closed} children could close");
    disk.set_capacity(u64::MAX);
    marker(&store, &parent, 500).unwrap();
    store.close_run(&parent, Close::completed(b"")).unwrap();
}

#[test]
fn a_store_opens_on_a_full_disk_after_a_power_loss() {
    let mut healed = 0;
    for seed in 0..60 {
        let disk = SimulatedDisk::new(seed);
        let (store, parent) = full(&disk, 0);
        fill(&store, &parent);
        // Bytes beyond the end that must go to quarantine before they are removed.
        let mut tx = store.begin();
        tx.request_cancel(&parent, &[9; 1500]).unwrap();
        tx.submit(kinlog::Durability::Buffered).unwrap().wait().unwrap();
        let content = disk.content().after_power_loss(Survivors::Sectors(seed));
        disk.cut_power();
        drop(store);

        let disk = SimulatedDisk::with(content, seed);
        disk.set_capacity(disk.used());
        let store = open(&disk).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let report = store.report();
        if matches!(report.verdict, Verdict::Torn | Verdict::Ambiguous) {
            healed += 1;
            assert_eq!(report.quarantined.len(), 1, "seed {seed}: {report:?}");
            // One copy, and nothing of the attempt that had no room.
            let quarantine = Path::new(STORE).join("quarantine");
            let content = disk.content();
            let copies = content.files().filter(|(path, _)| path.starts_with(&quarantine));
            let copies: Vec<_> = copies.map(|(path, bytes)| (path, bytes.len() as u64)).collect();
            assert_eq!(copies, [(&*report.quarantined[0], report.removed_bytes)], "seed {seed}");
        }
        store.close_run(&parent, Close::completed(b"")).unwrap();
        store.shut_down().unwrap();
        // With space, the reserve comes back.
        disk.set_capacity(u64::MAX);
        let store = open(&disk).unwrap();
        assert_eq!(store.report().verdict, Verdict::Clean);
        let reserve = disk.content().file(&Path::new(STORE).join("RESERVE")).map(<[u8]>::len);
        assert_eq!(reserve, Some(4096));
        store.verify(|_| {}).unwrap();
    }
    assert!(healed > 10, "only {healed} were healed");
}

/// The compaction of a store whose runs have closed, on a disk that has room for so many bytes more.
fn pack_within(content: &Content, run: &RunId, room: u64) -> bool {
    let disk = SimulatedDisk::with(content.clone(), room);
    let told = |store: &Store| {
        let history = store.history(run).unwrap();
        history.iter().map(|event| event.unwrap().payload().to_vec()).collect::<Vec<_>>()
    };
    let store = open(&disk).unwrap();
    let before = told(&store);
    disk.set_capacity(disk.used() + room);
    let compaction = Compaction::new().pack();
    let first = store.compact(&compaction);
    let unfinished = |disk: &SimulatedDisk| {
        let content = disk.content();
        content.files().any(|(path, _)| path.extension().is_some_and(|it| it == "tmp"))
    };
    assert!(!unfinished(&disk), "{room}: something is left that came to no end");
    assert!(told(&store) == before, "{room}: a history has changed");
    store.transact(|tx| tx.put("t", b"k", b"in place")).unwrap();
    let had_room = match first {
        Ok(done) => done.rewritten > 0,
        Err(Error::Io { source, .. }) => {
            assert_eq!(source.kind(), std::io::ErrorKind::StorageFull, "{room}");
            false
        }
        Err(error) => panic!("{room}: {error}"),
    };
    disk.set_capacity(u64::MAX);
    store.compact(&compaction).unwrap();
    assert!(store.stats().unwrap().packed_segments > 1, "{room}");
    store.shut_down().unwrap();
    let store = open(&disk).unwrap();
    assert!(told(&store) == before && !unfinished(&disk), "{room}");
    assert!(disk.content().file(&Path::new(STORE).join("RESERVE")).is_some(), "{room}");
    store.verify(|_| {}).unwrap();
    had_room
}

#[test]
fn a_compaction_that_packs_uses_what_room_there_is_and_is_done_once_there_is_more() {
    let disk = SimulatedDisk::new(8);
    let store = open(&disk).unwrap();
    let run = store.transact(|tx| tx.start(NewRun::new("n", "order", "T"))).unwrap().0;
    for event in 0..150u32 {
        // Random bytes do not get shorter.
        let mut random = Random::new(event.into());
        let payload: Vec<u8> = (0..800).map(|_| random.below(20) as u8).collect();
        store.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, &payload)).unwrap();
    }
    store.close_run(&run, Close::completed(b"")).unwrap();
    for _ in 0..10 {
        store.transact(|tx| tx.put("t", b"k", &[7; 10_000])).unwrap();
    }
    store.shut_down().unwrap();
    let content = disk.content();
    let had_room = |room: &u64| pack_within(&content, &run, *room);
    let rooms: Vec<u64> = (0..).step_by(1500).take_while(|room| !had_room(room)).collect();
    assert!(rooms.len() > 4, "{rooms:?}");
}
