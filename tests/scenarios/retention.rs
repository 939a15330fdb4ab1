//! Retention: what an expiry deletes of what has closed, and what it leaves.

use std::num::NonZeroU32;
use std::time::Duration;

use kinlog::event::{Closed, Started};
use kinlog::retention::{Keep, Retention};
use kinlog::{Body, Close, Error, Limits, NewEvent, NewRun, NextRun, RunFilter, RunId, Timestamp};
use kinlog_testing::steps::recorded;

use super::support::{ABANDON, NAMESPACE, TERMINATE, World, run};

const HOUR: u64 = 3_600_000_000_000;

fn at(hours: u64) -> Timestamp {
    Timestamp::from_unix_nanos((hours * HOUR) as i64)
}

fn hours(hours: u64) -> Duration {
    Duration::from_nanos(hours * HOUR)
}

/// A run that starts and closes at this hour.
fn closed_at(world: &World, workflow_id: &str, hour: u64) -> RunId {
    let order = world.commit(|tx| tx.start(run(workflow_id).at(at(hour))).unwrap());
    world.shut(&order, Close::completed(b"done").at(at(hour)));
    order
}

/// What is kept of a run: `None` if all of it is.
fn kept(world: &World, run: &RunId) -> Option<Keep> {
    match world.run(run) {
        Ok(info) => info.deleted,
        Err(Error::RunDeleted { kept, .. }) => Some(kept),
        Err(other) => panic!("{other}"),
    }
}

fn chain_runs(runs: u32) -> Retention {
    Retention::new().chain_runs(NonZeroU32::new(runs).unwrap())
}

#[test]
fn histories_and_outcomes_expire_with_their_age_to_the_nanosecond() {
    let world = World::new();
    let runs: Vec<_> = (1..=5).map(|hour| closed_at(&world, &format!("w{hour}"), hour)).collect();
    let open = world.start("open");
    world.set_retention(NAMESPACE, Retention::new().history(hours(2)).outcome(hours(4))).unwrap();
    let just_before = Timestamp::from_unix_nanos((6 * HOUR) as i64 - 1);
    let expired = world.expire(just_before, 100).unwrap();
    assert_eq!((expired.runs, expired.outcomes, expired.refused, expired.more), (1, 2, 0, false));
    let is_kept = |world: &World| runs.iter().map(|run| kept(world, run)).collect::<Vec<_>>();
    let (gone, outcome) = (Some(Keep::Nothing), Some(Keep::Outcome));
    assert_eq!(is_kept(&world), [gone, outcome, outcome, None, None]);
    assert_eq!(world.expire(just_before, 100).unwrap().commits, 0, "nothing more is due");
    let expired = world.expire(at(6), 100).unwrap();
    assert_eq!((expired.runs, expired.outcomes), (1, 1));
    assert_eq!(is_kept(&world), [gone, gone, outcome, outcome, None]);
    world.ends(|world| {
        assert_eq!(is_kept(world), [gone, gone, outcome, outcome, None]);
        assert_eq!(world.expire(at(6), 100).unwrap().commits, 0);
        assert_eq!(world.run(&open).unwrap().deleted, None);
    });
}

#[test]
fn an_expiry_deletes_as_many_as_it_is_to_the_oldest_first() {
    let world = World::new();
    // Not in the order in which they closed.
    let order = [7, 3, 9, 1, 5, 300, 4];
    let runs = order.map(|hour| closed_at(&world, &format!("w{hour}"), hour));
    world.set_retention(NAMESPACE, Retention::new().outcome(hours(1))).unwrap();
    let expired = world.expire(at(100), 3).unwrap();
    assert_eq!((expired.runs, expired.commits, expired.more), (3, 1, true));
    let left: Vec<_> = world.snapshot().runs(RunFilter::all()).map(|run| run.unwrap().id).collect();
    assert_eq!(left, [runs[0], runs[2], runs[4], runs[5]]);
    let expired = world.expire(at(100), 3).unwrap();
    assert_eq!((expired.runs, expired.more), (3, false));
    world.ends(|world| assert_eq!(world.stats().unwrap().runs, 1));
}

#[test]
fn many_expire_in_pages() {
    let world = World::new();
    for n in 0..600 {
        closed_at(&world, &format!("w{n}"), n);
    }
    world.set_retention(NAMESPACE, Retention::new().history(hours(0))).unwrap();
    let expired = world.expire(at(598), usize::MAX).unwrap();
    assert_eq!((expired.outcomes, expired.commits, expired.more), (599, 3, false));
    world.set_retention(NAMESPACE, Retention::new().outcome(hours(0))).unwrap();
    let expired = world.expire(at(599), usize::MAX).unwrap();
    assert_eq!((expired.runs, expired.commits, expired.more), (600, 4, false), "of two lists");
    world.ends(|world| assert_eq!(world.stats().unwrap().deleted_histories.runs, 600));
}

#[test]
fn what_cannot_be_deleted_is_left_and_tried_again() {
    let world = World::new();
    let parent = world.commit(|tx| tx.start(run("p").at(at(1))).unwrap());
    let kid = world.spawn(&parent, "c", TERMINATE);
    world.shut(&parent, Close::completed(b"").at(at(1)));
    let other = closed_at(&world, "other", 2);
    // Due by both ages, and counted once.
    let retention = Retention::new().history(hours(1)).outcome(hours(1));
    world.set_retention(NAMESPACE, retention).unwrap();
    let expired = world.expire(at(9), 100).unwrap();
    assert_eq!((expired.runs, expired.refused), (1, 1), "its policy is not settled");
    assert_eq!((kept(&world, &parent), kept(&world, &other)), (None, Some(Keep::Nothing)));
    world.drain();
    let expired = world.expire(at(9), 100).unwrap();
    assert_eq!((expired.runs, expired.refused), (1, 0));
    world.ends(|world| {
        assert_eq!(kept(world, &parent), Some(Keep::Nothing));
        assert_eq!(kept(world, &kid), None, "it closed later");
    });
}

#[test]
fn a_chain_keeps_its_last_runs() {
    let world = World::new();
    let mut runs = vec![world.start("loop")];
    for _ in 0..5 {
        let next = world
            .commit(|tx| tx.continue_as_new(runs.last().unwrap(), NextRun::new("Order")).unwrap());
        runs.push(next);
    }
    let short = world.start("short");
    world.set_retention(NAMESPACE, chain_runs(2)).unwrap();
    let expired = world.expire(at(1), 3).unwrap();
    assert_eq!((expired.runs, expired.more), (3, true));
    let expired = world.expire(at(1), 100).unwrap();
    assert_eq!((expired.runs, expired.more), (1, false));
    let left = |world: &World| {
        let chain = world.chain(&runs[5]).unwrap();
        chain.runs().map(|run| run.unwrap().id).collect::<Vec<_>>()
    };
    assert_eq!(left(&world), runs[4..]);
    // A change holds for what is there already.
    world.set_retention(NAMESPACE, chain_runs(1)).unwrap();
    world.expire(at(1), 100).unwrap();
    world.ends(|world| {
        assert_eq!(left(world), runs[5..]);
        assert_eq!(kept(world, &short), None);
    });
}

/// Histories come in any order. Of a chain its last runs are kept, and the one that came last, which others rely on.
#[test]
fn a_chain_that_was_imported_keeps_its_last_runs() {
    let ids: Vec<_> = (0..5).map(|number| RunId::from_bytes([10 + number; 16])).collect();
    let import = |world: &World, number: usize| {
        let first_run_id = ids[0];
        let continued_run_id = number.checked_sub(1).map(|before| ids[before]);
        let started = Started { first_run_id, continued_run_id, ..recorded(ids[number], "loop") };
        let new_run_id = ids.get(number + 1).copied();
        let closed = Closed { new_run_id, ..Closed::default() };
        world.commit(|tx| {
            let hour = at(number as u64);
            tx.start(NewRun::imported(started).at(hour)).unwrap();
            let closed = Body::WorkflowExecutionCompleted(closed);
            tx.append(&ids[number], NewEvent::new(closed).at(hour)).unwrap();
        });
    };
    let left = |world: &World| {
        let is_left = |number: &usize| kept(world, &ids[*number]).is_none();
        (0..5).filter(is_left).collect::<Vec<_>>()
    };
    for (order, expected) in
        [([4, 2, 0, 3, 1], [1, 3, 4]), ([0, 1, 2, 3, 4], [2, 3, 4]), ([3, 4, 1, 2, 0], [0, 3, 4])]
    {
        let world = World::new();
        order.iter().for_each(|number| import(&world, *number));
        let keeps = if order[4] < 3 { 2 } else { 3 };
        world.set_retention(NAMESPACE, chain_runs(keeps)).unwrap();
        let expired = world.expire(at(9), 100).unwrap();
        assert_eq!((expired.runs, expired.refused, expired.more), (2, 0, false), "{order:?}");
        assert_eq!(world.expire(at(9), 100).unwrap().commits, 0);
        world.ends(|world| assert_eq!(left(world), expected, "{order:?}"));
    }
}

/// A call looks at a bounded number of runs for chains with too many, and goes on from there.
#[test]
fn chains_among_many_runs_are_found_in_turn() {
    let world = World::with_segments(4 << 20);
    for n in 0..1500 {
        world.commit(|tx| tx.start(run(&format!("w{n}")).at(at(n))).unwrap());
    }
    // The last ones by the times when they started.
    let first = world.start("loop");
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("Order")).unwrap());
    world.set_retention(NAMESPACE, chain_runs(1)).unwrap();
    let turn = |_: &u32| world.expire(at(1), 100).unwrap().runs == 1;
    assert_eq!((1..=5).find(turn), Some(2));
    // All over again.
    let third = world.commit(|tx| tx.continue_as_new(&second, NextRun::new("Order")).unwrap());
    assert!((1..=5).any(|turns| turn(&turns)));
    world.ends(|world| {
        assert_eq!(kept(world, &second), Some(Keep::Nothing));
        assert_eq!(kept(world, &third), None);
    });
}

#[test]
fn limits_and_retention_are_set_apart_from_each_other() {
    let world = World::new();
    let retention = Retention::new().history(hours(1));
    let mut limits = Limits::default();
    limits.open_children = 3;
    world.set_retention(NAMESPACE, retention).unwrap();
    world.set_limits(NAMESPACE, limits).unwrap();
    world.set_retention("other", chain_runs(1)).unwrap();
    world.set_retention("other", chain_runs(2)).unwrap();
    // Others commit between the reading of the row and its writing.
    std::thread::scope(|threads| {
        for n in 0..2 {
            let world = &world;
            threads.spawn(move || {
                for turn in 0..20 {
                    if n == 0 {
                        let mut limits = Limits::default();
                        limits.open_signals = turn;
                        world.set_limits("both", limits).unwrap();
                    } else {
                        world.set_retention("both", chain_runs(turn + 1)).unwrap();
                    }
                }
            });
        }
    });
    world.ends(|world| {
        assert_eq!((world.limits(NAMESPACE), world.retention(NAMESPACE)), (limits, retention));
        assert_eq!(world.retention("other"), chain_runs(2));
        assert_eq!(
            (world.limits("both").open_signals, world.retention("both")),
            (19, chain_runs(20))
        );
        assert_eq!(world.retention("unknown"), Retention::default());
    });
}

#[test]
fn other_namespaces_keep_what_is_theirs() {
    let world = World::new();
    let ours = closed_at(&world, "w", 1);
    let theirs = world.commit(|tx| {
        let start = kinlog::NewRun::new("theirs", "w", "Order").at(at(1));
        tx.start(start).unwrap()
    });
    world.shut(&theirs, Close::completed(b"").at(at(1)));
    world.set_retention(NAMESPACE, Retention::new().outcome(hours(0))).unwrap();
    let kid = world.start("p");
    let abandoned = world.spawn(&kid, "c", ABANDON);
    assert_eq!(world.expire(at(1), 100).unwrap().runs, 1);
    world.ends(|world| {
        assert_eq!((kept(world, &ours), kept(world, &theirs)), (Some(Keep::Nothing), None));
        assert_eq!(kept(world, &abandoned), None);
    });
}
