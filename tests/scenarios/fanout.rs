//! Many children: a fan-out that is interrupted goes on where it was.

use kinlog::{
    Close, DutyFilter, DutyKind, EventKind, IdConflictPolicy, ParentClosePolicy, RunId, RunStatus,
};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, REQUEST_CANCEL, TERMINATE, World, child};

const POLICIES: [ParentClosePolicy; 3] = [TERMINATE, REQUEST_CANCEL, ABANDON];

fn parent_of(world: &World, count: usize) -> (RunId, Vec<RunId>) {
    world.limit(|limits| limits.open_children = 5_000);
    let parent = world.start("p");
    let mut children = vec![];
    while children.len() < count {
        world.commit(|tx| {
            for number in children.len()..count.min(children.len() + 500) {
                let workflow_id = format!("c{number}");
                let new = child(&workflow_id, POLICIES[number % 3]);
                children.push(tx.spawn_child(&parent, new).unwrap().run);
            }
        });
    }
    (parent, children)
}

/// Whether the policies have reached every child once.
fn reached(world: &World, children: &[RunId]) {
    for (child, policy) in children.iter().zip(POLICIES.iter().cycle()) {
        let expected: &[EventKind] = match *policy {
            TERMINATE => &[STARTED, TERMINATED],
            REQUEST_CANCEL => &[STARTED, CANCEL_REQUESTED],
            _ => &[STARTED],
        };
        assert_eq!(world.kinds(child), expected);
    }
}

/// A fan-out that a crash interrupts is finished by whoever opens the store next: every child is
/// reached once, however many there are. (The crash itself is played in `tests/kill.rs`.)
fn interrupted(count: usize) {
    let mut world = World::with_segments(16 << 20);
    let (parent, children) = parent_of(&world, count);
    world.shut(&parent, Close::terminated("stop"));
    let due = count - count / 3;
    assert_eq!(world.due(DutyKind::ApplyClosePolicy), due);

    // Some in one commit, some each in its own, then the store is gone.
    let some: Vec<_> = world.duties(DutyFilter::all()).map(Result::unwrap).take(due / 3).collect();
    world.commit(|tx| some.iter().for_each(|duty| assert!(tx.settle(duty).unwrap())));
    let one_by_one = world.duties(DutyFilter::all()).map(Result::unwrap).take(3);
    let singles: Vec<_> = one_by_one.collect();
    for duty in &singles {
        assert!(world.settle(duty).unwrap().is_some());
    }
    world.reopen();
    for duty in some.iter().chain(&singles) {
        assert!(world.settle(duty).unwrap().is_none(), "what was done stays done");
    }
    let left = due - some.len() - singles.len();
    assert_eq!(world.due(DutyKind::ApplyClosePolicy), left);
    assert_eq!(world.drain(), left as u64);
    world.ends(|world| reached(world, &children));
}

#[test]
fn s15_interrupted_fan_out_of_9() {
    interrupted(9);
}

#[test]
fn s15_interrupted_fan_out_of_10() {
    interrupted(10);
}

#[test]
fn s15_interrupted_fan_out_of_11() {
    interrupted(11);
}

#[test]
fn s15_interrupted_fan_out_of_1000() {
    interrupted(1_000);
}

#[test]
fn s15_interrupted_fan_out_of_2500() {
    interrupted(2_500);
}

/// A thousand children are reached in one commit; more take a commit per thousand.
#[test]
fn a_thousand_duties_are_one_commit() {
    for (count, commits) in [(1_500, 1), (2_500, 2)] {
        let world = World::with_segments(16 << 20);
        let (parent, children) = parent_of(&world, count);
        world.complete(&parent);
        let settled = world.settle_all().unwrap();
        assert_eq!((settled.duties, settled.commits), ((count - count / 3) as u64, commits));
        world.ends(|world| reached(world, &children));
    }
}

/// The outcomes of a thousand children reach a parent that is open, each once and in the order in
/// which the children ended.
#[test]
fn a_thousand_outcomes_are_reported() {
    let world = World::with_segments(16 << 20);
    let (parent, mut children) = parent_of(&world, 1_000);
    children.reverse();
    for some in children.chunks(100) {
        world.commit(|tx| {
            for run in some {
                tx.close_run(run, Close::completed(b"")).unwrap();
            }
        });
    }
    assert_eq!(world.drain(), 1_000);
    world.ends(|world| {
        let kinds = world.kinds(&parent);
        assert_eq!(kinds.iter().filter(|kind| **kind == CHILD_COMPLETED).count(), 1_000);
        let states = world.children(&parent).unwrap().map(|child| child.unwrap());
        let outcomes = states.map(|child| (child.outcome, child.reported));
        assert!(outcomes.into_iter().all(|told| told == (Some(RunStatus::Completed), true)));
    });
}

/// Duties that fit into a commit each, but not both, take two.
#[test]
fn duties_that_do_not_fit_together() {
    let world = World::with_segments(64 << 10);
    let parent = world.start("p");
    let kids = ["c", "d"].map(|workflow_id| world.spawn(&parent, workflow_id, TERMINATE));
    for (kid, bytes) in kids.iter().zip([12 << 10, 55 << 10]) {
        world.shut(kid, Close::completed(&vec![1; bytes]));
    }
    assert_eq!(world.drain(), 2);
    world.ends(|world| {
        world.assert_kinds(
            &parent,
            [
                STARTED, START_CHILD_INITIATED, CHILD_STARTED, START_CHILD_INITIATED,
                CHILD_STARTED, CHILD_COMPLETED, CHILD_COMPLETED,
            ],
        )
    });
}

/// A duty that fits into no commit is counted as refused, and others are settled.
#[test]
fn a_duty_that_fits_nowhere_holds_up_nobody() {
    let world = World::with_segments(64 << 10);
    let (parent, other) = (world.start("p"), world.start("q"));
    // Just short enough for its Initiated event, too long for the two that start it.
    let payload = vec![1; 61_300];
    world.commit(|tx| tx.initiate_child(&parent, child("c", ABANDON).input(&payload)).unwrap());
    let kid = world.spawn(&other, "d", TERMINATE);
    world.complete(&kid);
    let settled = world.settle_all().unwrap();
    assert_eq!((settled.duties, settled.refused), (1, 1));
    world.ends_with_duties(|world| {
        world.assert_kinds(&other, [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED])
    });
}

/// Two starts on one page each terminate a child of the same parent. The parent hears of them in the order in
/// which the starts were due, as when they are settled one by one, and not in that of its children.
#[test]
fn a_page_tells_a_parent_in_the_order_of_settling_one_by_one() {
    let told = |settle: &dyn Fn(&World)| {
        let world = World::new();
        let parent = world.start("p");
        world.spawn(&parent, "b", TERMINATE);
        world.spawn(&parent, "a", TERMINATE);
        let rivals = ["first", "second"].map(|workflow_id| world.start(workflow_id));
        world.commit(|tx| {
            for (rival, workflow_id) in rivals.iter().zip(["a", "b"]) {
                let kid = child(workflow_id, TERMINATE);
                let kid = kid.on_conflict(IdConflictPolicy::TerminateExisting);
                tx.initiate_child(rival, kid).unwrap();
            }
        });
        settle(&world);
        world.nothing_is_due();
        let history = world.history(&parent).unwrap();
        history.iter().skip(5).map(|event| event.unwrap().body().answers()).collect::<Vec<_>>()
    };
    let one_by_one = |world: &World| {
        while let Some(duty) = { world.duties(DutyFilter::all()).map(Result::unwrap).next() } {
            world.settle(&duty).unwrap();
        }
    };
    assert_eq!(told(&one_by_one), [Some(4), Some(2)]);
    assert_eq!(told(&|world| assert_eq!(world.drain(), 4)), [Some(4), Some(2)]);
}

/// A close policy and, behind it on the page, a start that terminates another run. What the policy leads to is
/// settled before what the start leads to: the parent of the terminated run is terminated itself before it can
/// hear of it.
#[test]
fn a_start_that_displaces_is_not_settled_on_the_page_of_earlier_duties() {
    let kinds_of_parent = |settle: &dyn Fn(&World)| {
        let world = World::new();
        let grandparent = world.start("g");
        let middle = world.spawn(&grandparent, "m", TERMINATE);
        let parent = world.spawn(&middle, "p", TERMINATE);
        world.spawn(&parent, "x", TERMINATE);
        let rival = world.start("rival");
        world.commit(|tx| {
            tx.close_run(&grandparent, Close::completed(b"")).unwrap();
        });
        world.commit(|tx| {
            let kid = child("x", TERMINATE).on_conflict(IdConflictPolicy::TerminateExisting);
            tx.initiate_child(&rival, kid).unwrap();
        });
        settle(&world);
        world.nothing_is_due();
        world.kinds(&parent)
    };
    let one_by_one = |world: &World| {
        while let Some(duty) = { world.duties(DutyFilter::all()).map(Result::unwrap).next() } {
            world.settle(&duty).unwrap();
        }
    };
    // Nothing of the child's end.
    let told = [STARTED, START_CHILD_INITIATED, CHILD_STARTED, TERMINATED];
    assert_eq!(kinds_of_parent(&one_by_one), told);
    assert_eq!(kinds_of_parent(&|world| assert_eq!(world.drain(), 3)), told);
}
