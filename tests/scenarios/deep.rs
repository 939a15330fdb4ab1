//! Depth: nothing in the store goes down a chain or a tree by recursion, and nothing is looked for
//! from the beginning.

use kinlog::{Close, NextRun, RunId, RunStatus};
use kinlog_testing::kinds::*;

use super::support::{ABANDON, TERMINATE, World, child, run};

const DEPTH: usize = 100_000;
const PER_COMMIT: usize = 1_000;

/// A hundred thousand runs, each the child of the one before.
fn ladder(world: &World) -> Vec<RunId> {
    let mut runs = vec![world.start("c0")];
    while runs.len() < DEPTH {
        world.commit(|tx| {
            for number in runs.len()..DEPTH.min(runs.len() + PER_COMMIT) {
                let above = runs[number - 1];
                let workflow_id = format!("c{number}");
                runs.push(tx.spawn_child(&above, child(&workflow_id, TERMINATE)).unwrap().run);
            }
        });
    }
    runs
}

/// Terminating the top of a tree a hundred thousand deep reaches the bottom, step by step.
#[test]
fn a_deep_cascade_is_iterative() {
    let world = World::with_segments(16 << 20);
    let runs = ladder(&world);
    world.shut(&runs[0], Close::terminated("stop"));
    assert_eq!(world.drain(), DEPTH as u64 - 1);
    world.ends(|world| {
        for run in [&runs[0], &runs[1], &runs[DEPTH / 2], &runs[DEPTH - 1]] {
            assert_eq!(world.status(run), RunStatus::Terminated);
        }
        assert_eq!(world.stats().unwrap().open_runs, 0);
    });
}

/// The same from the bottom up: each outcome lets the run above complete.
#[test]
fn a_deep_tree_is_walked() {
    let world = World::with_segments(16 << 20);
    let runs = ladder(&world);
    world.ends(|world| {
        let mut nodes = 0;
        for (depth, node) in world.tree(&runs[0]).unwrap().enumerate() {
            let node = node.unwrap();
            assert_eq!((node.depth, node.run.unwrap().id), (depth, runs[depth]));
            nodes += 1;
        }
        assert_eq!(nodes, DEPTH);
        let low = &runs[DEPTH - 1];
        assert_eq!(world.root(low).unwrap().run, runs[0]);
        assert_eq!(world.parent(low).unwrap().unwrap().run, runs[DEPTH - 2]);
        assert_eq!(world.tree_size(&runs[0]).unwrap().runs, DEPTH as u64);
        assert_eq!(world.tree(&runs[0]).unwrap().max_depth(2).count(), 3);
    });
}

/// A chain of a hundred thousand runs knows its last one and its size.
#[test]
fn a_long_chain() {
    let world = World::with_segments(16 << 20);
    let parent = world.start("p");
    let first = world.spawn(&parent, "c", ABANDON);
    let mut last = first;
    for _ in 0..DEPTH / PER_COMMIT {
        world.commit(|tx| {
            for _ in 0..PER_COMMIT {
                last = tx.continue_as_new(&last, NextRun::new("C")).unwrap();
            }
        });
    }
    world.complete(&last);
    assert_eq!(world.drain(), 1);
    let other = world.commit(|tx| tx.start(run("other")).unwrap());
    world.ends(|world| {
        let chain = world.chain(&first).unwrap();
        assert_eq!((chain.current().id, chain.len()), (last, DEPTH + 1));
        assert_eq!(chain.size().unwrap().runs, DEPTH as u64 + 1);
        assert_eq!(chain.first_run_id(), first);
        let kid = world.children(&parent).unwrap().next().unwrap().unwrap();
        assert_eq!((kid.current.unwrap().id, kid.reported), (last, true));
        world.assert_kinds(
            &parent,
            [STARTED, START_CHILD_INITIATED, CHILD_STARTED, CHILD_COMPLETED],
        );
        world.assert_kinds(&other, [STARTED]);
    });
}
