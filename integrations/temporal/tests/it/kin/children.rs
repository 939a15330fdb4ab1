//! Children, parents and trees are as was recorded.

use std::collections::{BTreeMap, HashMap, HashSet};

use kinlog::{ChildState, DutyKind, RunFilter, RunId, RunInfo};

use super::made::made_children;
use super::told::{Told, told};
use super::world::{World, shuffled, sum};

#[test]
fn children_and_parents_are_as_recorded_and_raise_no_duty() {
    let Some(told) = told() else { return };
    for seed in 0..2 {
        let some = shuffled(told.iter().collect(), seed);
        let counts = check_world(some);
        println!("seed {seed}: {counts:?}");
        assert_eq!((counts.fan_outs, counts.children, counts.widest), (32, 897, 500));
        // The recorded children were kept by hardly anybody.
        assert_eq!((counts.children_here, counts.parents, counts.parents_here), (1, 9, 1));
    }
}

/// As nearly no child's history was recorded beside its parent's, they are made here: one run or
/// two, as their parents tell.
#[test]
fn children_that_are_here_are_linked_both_ways() {
    let Some(told) = told() else { return };
    let made = made_children(&told);
    for seed in 0..2 {
        let counts = check_world(shuffled(told.iter().chain(&made).collect(), seed));
        println!("seed {seed}: {} histories made, {counts:?}", made.len());
        assert_eq!(counts.children_here, counts.children);
        assert_eq!(counts.parents_here, made.len() + 1);
    }
}

/// Checks all children, parents, trees and duties of the histories, imported in this order.
fn check_world(told: Vec<&Told>) -> Kin {
    let directory = tempfile::tempdir().expect("a directory");
    let world = World::new(directory.path(), told.into_iter());
    let counts = check_kin(&world);
    for kind in DutyKind::ALL {
        assert_eq!(world.store.duty_count(kind), 0, "{kind}");
    }
    assert_eq!(world.store.settle_all().expect("nothing to do").duties, 0);
    check_trees(&world);
    world.store.verify(|_| {}).expect("a sound store");
    counts
}

#[derive(Default, Debug, PartialEq)]
struct Kin {
    fan_outs: usize,
    widest: usize,
    children: usize,
    children_here: usize,
    without_outcome: usize,
    parents: usize,
    parents_here: usize,
}

fn check_kin(world: &World<'_>) -> Kin {
    let World { store, imported, here, .. } = world;
    let mut chains: HashMap<RunId, Vec<(RunId, &Told)>> = HashMap::new();
    for (run, it) in imported {
        chains.entry(it.first.unwrap_or(*run)).or_default().push((*run, it));
    }
    let mut counts = Kin::default();
    let mut seen = HashSet::new();
    for (run, it) in imported.iter().filter(|(run, _)| seen.insert(*run)) {
        counts.fan_outs += usize::from(!it.children.is_empty());
        counts.widest = counts.widest.max(it.children.len());
        counts.children += it.children.len();
        let found: Vec<_> = store.children(run).expect("a run").map(|c| c.expect("one")).collect();
        assert_eq!(found.len(), it.children.len(), "{}", it.file);
        let open = store.run(run).expect("a run").status.is_open();
        for (child, told) in found.iter().zip(&it.children) {
            let what = format!("{}: {told:?}", it.file);
            assert_eq!(child.initiated_event_id, told.initiated, "{what}");
            assert_eq!(*child.workflow_id, *told.workflow_id, "{what}");
            assert_eq!(*child.workflow_type, *told.workflow_type, "{what}");
            assert_eq!((child.policy, child.first_run), (told.policy, told.first_run), "{what}");
            let its = told.first_run.and_then(|first| chains.get(&first));
            let its = its.map(Vec::as_slice).unwrap_or_default();
            assert_eq!(child.is_here, !its.is_empty(), "{what}");
            let last = its.iter().find(|(_, it)| it.next.is_none()).map(|(last, _)| *last);
            assert_eq!(child.current.as_ref().map(|run| run.id), last, "{what}");
            let ended = last.map(|last| store.run(&last).expect("a run").status);
            let outcome = told.outcome.or(ended.filter(|status| !status.is_open()));
            assert_eq!(
                (child.outcome, child.reported),
                (outcome, told.outcome.is_some()),
                "{what}"
            );
            let state = match (told.failed, told.first_run.is_some(), outcome) {
                (true, ..) => ChildState::StartFailed,
                (_, _, Some(_)) => ChildState::Closed,
                (_, true, None) => ChildState::Running,
                (_, false, None) if open => ChildState::Initiated,
                (_, false, None) => ChildState::NeverStarted,
            };
            assert_eq!(child.state, state, "{what}");
            counts.children_here += usize::from(child.is_here);
            counts.without_outcome += usize::from(told.outcome.is_none());
            // Both ways: a child that is here names its parent.
            for (child_run, child_told) in its {
                let parent = store.parent(child_run).expect("a run").expect("a parent");
                assert_eq!(child_told.parent, Some(parent.run), "{what}");
                let elsewhere = (parent.run != *run).then_some(parent.run);
                assert_eq!(child.held_by, elsewhere, "{what}");
            }
        }
        let parent = store.parent(run).expect("a run");
        assert_eq!(parent.as_ref().map(|parent| parent.run), it.parent, "{}", it.file);
        let Some(parent) = parent else { continue };
        assert_eq!(parent.is_here, here.contains(&parent.run), "{}", it.file);
        counts.parents += 1;
        counts.parents_here += usize::from(parent.is_here);
    }
    counts
}

/// Every tree ends, has no run twice, and adds up to the runs that stand in it.
fn check_trees(world: &World<'_>) {
    let store = &world.store;
    let (mut trees, mut nodes, mut deepest) = (0, 0, 0);
    for run in store.snapshot().runs(RunFilter::all()).map(|run| run.expect("a run")) {
        let mut met: BTreeMap<RunId, RunInfo> = BTreeMap::new();
        let mut count = 0;
        for node in store.tree(&run.id).expect("a tree") {
            let node = node.expect("a node");
            deepest = deepest.max(node.depth);
            nodes += 1;
            count += node.runs;
            let Some(current) = node.run else { continue };
            let stands: Vec<RunInfo> = match node.depth {
                0 => vec![current],
                _ => store
                    .chain(&current.id)
                    .expect("a chain")
                    .runs()
                    .collect::<Result<_, _>>()
                    .expect("runs"),
            };
            for run in stands {
                assert!(met.insert(run.id, run).is_none(), "a run stands twice");
            }
        }
        trees += 1;
        assert_eq!(count, met.len() as u64);
        assert_eq!(store.tree_size(&run.id).expect("a size"), sum(met.values()), "{run:?}");
        let below = world.below(run.id);
        assert!(met.keys().eq(&below), "{}: {met:?}", run.id);
    }
    println!("{trees} trees, {nodes} nodes, {deepest} deep");
}
