//! Lists of runs by when they started or closed, against plain lists that are sorted and filtered.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use kinlog::disk::FileSystem;
use kinlog::read::{RunCursor, RunOrder};
use kinlog::{
    Close, Durability, Error, NewChild, NewReset, NewRun, NextRun, Options, RunFilter, RunId,
    RunInfo, RunStatus, Snapshot, Store, Timestamp,
};
use kinlog_testing::Rng;
use kinlog_testing::files::{directory, small_segments};
use kinlog_testing::index::delete_index;
use kinlog_testing::steps::recorded;

const ORDERS: [RunOrder; 4] = [
    RunOrder::NewestStarted,
    RunOrder::OldestStarted,
    RunOrder::NewestClosed,
    RunOrder::OldestClosed,
];
const NAMESPACES: [&str; 3] = ["shop", "depot", "never"];
const TYPES: [&str; 3] = ["Order", "Shipping", "Never"];

/// A clock that also stands still and goes backwards.
#[derive(Clone, Default)]
struct Clock(Arc<AtomicI64>);

impl Clock {
    fn options(&self, memory_bytes: u64) -> Options {
        let now = self.0.clone();
        let now = move || Timestamp::from_unix_nanos(now.load(Ordering::SeqCst));
        small_segments().memory_bytes(memory_bytes).clock(now)
    }
}

fn some_time(rng: &mut Rng) -> Timestamp {
    Timestamp::from_unix_nanos(i64::from(rng.number(24)) - 4)
}

/// Does something to some runs.
fn step(store: &Store, rng: &mut Rng, clock: &Clock) {
    clock.0.store(some_time(rng).unix_nanos(), Ordering::SeqCst);
    let runs: Vec<_> = listed(&store.snapshot());
    let open: Vec<_> = runs.iter().filter(|run| run.status.is_open()).map(|run| run.id).collect();
    let mut tx = store.begin();
    let workflow_id = format!("w-{}", rng.below(12));
    let started = match rng.below(8) {
        0..=2 => {
            let run = NewRun::new(rng.pick(&NAMESPACES[..2]), &workflow_id, rng.pick(&TYPES[..2]));
            tx.start(run).map(|_| ())
        }
        3 if !open.is_empty() => {
            let child = NewChild::new(&workflow_id, rng.pick(&TYPES[..2]));
            tx.spawn_child(&rng.pick(&open), child).map(|_| ())
        }
        4 if !open.is_empty() => {
            tx.continue_as_new(&rng.pick(&open), NextRun::new("Order")).map(|_| ())
        }
        5 if !runs.is_empty() => {
            let run = runs.get(rng.below(runs.len())).unwrap();
            tx.reset(&run.id, NewReset::to(1 + rng.number(run.events))).map(|_| ())
        }
        6 => {
            let id = RunId::from_bytes(
                [rng.draw(), rng.draw()].map(u64::to_le_bytes).as_flattened().try_into().unwrap(),
            );
            let began = tx.start(NewRun::imported(recorded(id, &workflow_id)).at(some_time(rng)));
            if rng.chance(70) {
                tx.close_run(&id, some_close(rng).at(some_time(rng))).unwrap();
            }
            began.map(|_| ())
        }
        _ if !open.is_empty() => tx.close_run(&rng.pick(&open), some_close(rng)).map(|_| ()),
        _ => return,
    };
    // A workflow id may be in use.
    if started.is_ok() {
        tx.commit_with(rng.pick(&[Durability::Buffered, Durability::Sync])).unwrap();
    }
}

fn some_close(rng: &mut Rng) -> Close<'static> {
    match rng.below(4) {
        0 => Close::failed(b"no"),
        1 => Close::timed_out(),
        2 => Close::terminated("enough"),
        _ => Close::completed(b"ok"),
    }
}

/// All runs, in the order in which they were added.
fn listed(snapshot: &Snapshot) -> Vec<RunInfo> {
    snapshot.runs(RunFilter::all()).map(Result::unwrap).collect()
}

fn some_filter(rng: &mut Rng, runs: &[RunInfo]) -> RunFilter {
    let mut filter = RunFilter::all();
    if rng.chance(60) {
        filter = filter.namespace(rng.pick(&NAMESPACES));
    }
    if rng.chance(20) {
        filter = filter.workflow_id(format!("w-{}", rng.below(12)));
    }
    if rng.chance(30) {
        filter = filter.workflow_type(rng.pick(&TYPES));
    }
    if rng.chance(40) {
        let status = [
            RunStatus::Running,
            RunStatus::Completed,
            RunStatus::Failed,
            RunStatus::TimedOut,
            RunStatus::Terminated,
            RunStatus::ContinuedAsNew,
        ];
        filter = filter.status(rng.pick(&status));
    }
    let parents: Vec<_> = runs.iter().filter_map(|run| run.parent).map(|(run, _)| run).collect();
    if rng.chance(20) && !parents.is_empty() {
        filter = filter.parent(rng.pick(&parents));
    }
    let mut time = |set: fn(RunFilter, Timestamp) -> RunFilter, filter| match rng.chance(20) {
        true => set(filter, some_time(rng)),
        false => filter,
    };
    filter = time(RunFilter::started_since, filter);
    filter = time(RunFilter::started_until, filter);
    filter = time(RunFilter::closed_since, filter);
    time(RunFilter::closed_until, filter)
}

/// What a list must have: the same by other means.
fn expected(runs: &[RunInfo], filter: &RunFilter, order: RunOrder) -> Vec<RunId> {
    let admits = |run: &&RunInfo| {
        let f = filter;
        let closed = run.closed_at;
        f.namespace.as_ref().is_none_or(|it| **it == *run.namespace)
            && f.workflow_id.as_ref().is_none_or(|it| **it == *run.workflow_id)
            && f.workflow_type.as_ref().is_none_or(|it| **it == *run.workflow_type)
            && f.status.is_none_or(|it| it == run.status)
            && f.parent.is_none_or(|it| run.parent.is_some_and(|(parent, _)| parent == it))
            && f.started_since.is_none_or(|it| it <= run.started_at)
            && f.started_until.is_none_or(|it| run.started_at < it)
            && f.closed_since.is_none_or(|it| closed.is_some_and(|closed| it <= closed))
            && f.closed_until.is_none_or(|it| closed.is_some_and(|closed| closed < it))
    };
    let by_close = matches!(order, RunOrder::NewestClosed | RunOrder::OldestClosed);
    let mut found: Vec<_> = runs.iter().filter(admits).collect();
    found.retain(|run| !by_close || run.closed_at.is_some());
    // It is stable, so that runs with one time stay in the order in which they were added.
    found.sort_by_key(|run| if by_close { run.closed_at } else { Some(run.started_at) });
    if matches!(order, RunOrder::NewestStarted | RunOrder::NewestClosed) {
        found.reverse();
    }
    found.into_iter().map(|run| run.id).collect()
}

/// All pages of a list, each cursor as text.
fn pages(
    mut limit: impl FnMut() -> usize,
    mut page: impl FnMut(usize, Option<&RunCursor>) -> kinlog::Result<kinlog::read::RunPage>,
) -> Vec<RunInfo> {
    let (mut found, mut after) = (vec![], None);
    loop {
        let limit = limit();
        let page = page(limit, after.as_ref()).unwrap();
        assert!(page.runs.len() <= limit);
        found.extend(page.runs);
        let Some(next) = page.next else { return found };
        assert_ne!(after.as_ref(), Some(&next), "it goes on where it went on");
        after = Some(next.to_string().parse().unwrap());
    }
}

fn check(snapshot: &Snapshot, runs: &[RunInfo], rng: &mut Rng) {
    for order in ORDERS {
        let filter = some_filter(rng, runs);
        let (most, mut sizes) = (1 + rng.below(9), rng.clone());
        let found = pages(
            || 1 + sizes.below(most),
            |limit, after| snapshot.list_runs(&filter, order, limit, after),
        );
        let found: Vec<_> = found.iter().map(|run| run.id).collect();
        assert_eq!(found, expected(runs, &filter, order), "{order:?} of {filter:?}");
    }
}

#[test]
fn pages_are_a_sorted_list_cut_in_pieces() {
    for seed in 0..6 {
        let mut rng = Rng::of(19, seed);
        let (dir, clock) = (directory(), Clock::default());
        let memory = [0, 8_000, 64_000][usize::try_from(seed % 3).unwrap()];
        let mut store = clock.options(memory).open(dir.path()).unwrap();
        for _ in 0..8 {
            let mut held = vec![];
            for number in 0..30 {
                step(&store, &mut rng, &clock);
                if number % 10 == 0 {
                    let snapshot = store.snapshot();
                    let runs = listed(&snapshot);
                    held.push((snapshot, runs));
                }
            }
            let now = store.snapshot();
            for _ in 0..3 {
                check(&now, &listed(&now), &mut rng);
                held.iter().for_each(|(snapshot, runs)| check(snapshot, runs, &mut rng));
            }
            drop((now, held));
            store.shut_down().unwrap();
            if rng.chance(25) {
                delete_index(&FileSystem::new(), dir.path());
            }
            store = clock.options(memory).open(dir.path()).unwrap();
            check(&store.snapshot(), &listed(&store.snapshot()), &mut rng);
        }
        store.verify(|_| ()).unwrap();
        let reader = clock.options(memory).read_only(true).open(dir.path()).unwrap();
        check(&reader.snapshot(), &listed(&store.snapshot()), &mut rng);
    }
}

#[test]
fn live_pages_have_each_run_once_that_was_there_all_the_while() {
    for seed in 0..4 {
        let mut rng = Rng::of(23, seed);
        let (dir, clock) = (directory(), Clock::default());
        let store = clock.options(4_000).open(dir.path()).unwrap();
        (0..80).for_each(|_| step(&store, &mut rng, &clock));
        for order in ORDERS {
            let filter = some_filter(&mut rng, &[]);
            let before = expected(&listed(&store.snapshot()), &filter, order);
            let mut world = rng.clone();
            let found = pages(
                || 1 + rng.below(4),
                |limit, after| {
                    step(&store, &mut world, &clock);
                    store.list_runs(&filter, order, limit, after)
                },
            );
            let after: BTreeSet<_> =
                expected(&listed(&store.snapshot()), &filter, order).into_iter().collect();
            let found: Vec<_> = found.iter().map(|run| run.id).collect();
            let once: BTreeSet<_> = found.iter().collect();
            assert_eq!(once.len(), found.len(), "a run twice");
            let stayed: Vec<_> = before.iter().filter(|run| after.contains(run)).collect();
            let seen: Vec<_> = found.iter().filter(|run| stayed.contains(run)).collect();
            assert_eq!(seen, stayed, "{order:?} of {filter:?}");
        }
    }
}

/// The reader takes page after page while the writer closes what it has started.
#[test]
fn a_reader_pages_beside_a_writer_that_closes_runs() {
    let dir = directory();
    let store = small_segments().memory_bytes(16_000).open(dir.path()).unwrap();
    let mut tx = store.begin();
    let runs: Vec<_> = (0..300)
        .map(|number| tx.start(NewRun::new("shop", &format!("order-{number}"), "Order")).unwrap())
        .collect();
    tx.commit().unwrap();
    std::thread::scope(|threads| {
        let writer = threads.spawn(|| {
            for run in &runs {
                let mut tx = store.begin();
                tx.close_run(run, Close::completed(b"ok")).unwrap();
                tx.commit_with(Durability::Buffered).unwrap();
            }
        });
        loop {
            let last = writer.is_finished();
            let snapshot = store.snapshot();
            let all = RunFilter::all().namespace("shop");
            let mut whole = vec![];
            for order in ORDERS {
                let found =
                    pages(|| 64, |limit, after| snapshot.list_runs(&all, order, limit, after));
                let found: Vec<_> = found.iter().map(|run| run.id).collect();
                assert_eq!(found, expected(&listed(&snapshot), &all, order), "{order:?}");
                whole.push(found.len());
            }
            assert_eq!(whole[0], runs.len());
            let live = pages(
                || 64,
                |limit, after| store.list_runs(&all, RunOrder::NewestStarted, limit, after),
            );
            assert!(live.iter().rev().map(|run| run.id).eq(runs.iter().copied()));
            if last {
                break;
            }
        }
    });
    let open = RunFilter::all().status(RunStatus::Running);
    assert!(store.list_runs(&open, RunOrder::OldestStarted, 1, None).unwrap().runs.is_empty());
}

#[test]
fn a_page_looks_at_so_many_runs_and_says_that_there_is_more() {
    const RUNS: usize = 20_500;
    let dir = directory();
    let store = Options::new().memory_bytes(1 << 20).open(dir.path()).unwrap();
    let mut rare = vec![];
    for number in 0..RUNS {
        let mut tx = store.begin();
        let name = if number % 4_000 == 0 { "Rare" } else { "Common" };
        let run = tx.start(NewRun::new("shop", &format!("order-{number}"), name)).unwrap();
        tx.commit_with(Durability::Buffered).unwrap();
        rare.extend((name == "Rare").then_some(run));
    }
    store.sync().unwrap();
    rare.reverse();
    let filter = RunFilter::all().namespace("shop").workflow_type("Rare");
    let mut sizes = vec![];
    let found = pages(
        || 10,
        |limit, after| {
            let page = store.list_runs(&filter, RunOrder::NewestStarted, limit, after)?;
            sizes.push(page.runs.len());
            Ok(page)
        },
    );
    assert!(found.iter().map(|run| run.id).eq(rare.iter().copied()));
    assert_eq!(sizes, [3, 2, 1]);
    // The open ones of a type are listed elsewhere, and these are few.
    let open = filter.status(RunStatus::Running);
    let page = store.list_runs(&open, RunOrder::NewestStarted, 10, None).unwrap();
    assert!(page.next.is_none() && page.runs.iter().map(|run| run.id).eq(rare));
    store.shut_down().unwrap();
    let index = Options::new().read_only(true).open(dir.path()).unwrap().stats().unwrap().index;
    let runs = RUNS as u64;
    // An entry each, and its part of the directory.
    assert!((7 * runs..=12 * runs).contains(&index.list_bytes), "{index:?}");
}

#[test]
fn a_cursor_of_another_list_is_refused() {
    let dir = directory();
    let store = Options::new().open(dir.path()).unwrap();
    let mut tx = store.begin();
    for workflow_id in ["a", "b"] {
        tx.start(NewRun::new("shop", workflow_id, "Order")).unwrap();
    }
    tx.commit().unwrap();
    let list = |filter: RunFilter, order, limit, after: Option<&RunCursor>| {
        store.list_runs(&filter, order, limit, after)
    };
    let shop = RunFilter::all().namespace("shop");
    let page = list(shop.clone(), RunOrder::OldestStarted, 1, None).unwrap();
    let next = page.next.unwrap();
    for (filter, order, expected) in [
        (shop.clone(), RunOrder::NewestStarted, "order"),
        (shop.clone(), RunOrder::OldestClosed, "order"),
        (RunFilter::all(), RunOrder::OldestStarted, "namespace"),
        (RunFilter::all().namespace("depot"), RunOrder::OldestStarted, "namespace"),
    ] {
        let refused = list(filter, order, 1, Some(&next)).unwrap_err();
        assert!(
            matches!(refused, Error::WrongCursor { differs } if differs == expected),
            "{refused}"
        );
    }
    let refused = list(shop.clone(), RunOrder::OldestStarted, 0, None);
    assert!(matches!(refused, Err(Error::InvalidArgument { .. })));
    let last = list(shop, RunOrder::OldestStarted, 9, Some(&next)).unwrap();
    assert_eq!((last.runs.len(), last.next), (1, None));
}
