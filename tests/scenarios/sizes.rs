//! Sizes are exact: of a run, a chain, a tree, a namespace.

use kinlog::error::Moved;
use kinlog::{Close, Error, EventKind, IdReusePolicy, NewEvent, NewReset, NextRun, RunId, Size};

use super::support::{ABANDON, NAMESPACE, TERMINATE, World, child, note, overtaken, run};

fn size_of(world: &World, runs: &[RunId]) -> Size {
    let mut size = Size::default();
    for run in runs {
        let history = world.history(run).unwrap();
        size += Size {
            runs: 1,
            events: history.len().into(),
            bytes: history.iter().map(|event| u64::from(event.unwrap().size())).sum(),
        };
    }
    size
}

/// A run's size is what its events add up to: after every commit, however many events each commit
/// holds; a commit that is refused changes nothing; a continued run begins anew; a reset run counts
/// what it shares as its own.
#[test]
fn s24_exact_size() {
    let events: Vec<Vec<u8>> = (0..40).map(|n| vec![7; n * n]).collect();
    let append = |tx: &mut kinlog::Transaction<'_>, run: &RunId, payload: &Vec<u8>| {
        let event = NewEvent::opaque(EventKind::from_number(1024), payload);
        tx.append(run, event).unwrap();
    };
    let world = World::new();
    let singly = world.start("singly");
    for payload in &events {
        world.commit(|tx| append(tx, &singly, payload));
        let info = world.run(&singly).unwrap();
        assert_eq!(info.bytes, size_of(&world, &[singly]).bytes);
    }
    // A workflow id of the same length.
    let at_once = world.start("atonce");
    world.commit(|tx| events.iter().for_each(|payload| append(tx, &at_once, payload)));
    let bytes = world.run(&singly).unwrap().bytes;
    assert_eq!(world.run(&at_once).unwrap().bytes, bytes);

    let before = (world.stats().unwrap().event_bytes, world.run(&singly).unwrap());
    let again = run("singly").on_reuse(IdReusePolicy::RejectDuplicate);
    assert!(matches!(world.begin().start(again), Err(Error::WorkflowExists { .. })));
    let mut late = world.begin();
    late.append(&at_once, note()).unwrap();
    world.note(&at_once);
    let moved = late.commit().map_err(overtaken).unwrap_err();
    assert_eq!(moved, Moved::Run { run: at_once, expected: 42, found: 43 });
    let grown = world.event(&at_once, 42, |event| u64::from(event.size()));
    let after = (world.stats().unwrap().event_bytes - grown, world.run(&singly).unwrap());
    assert_eq!(after, before);

    let next = world.commit(|tx| tx.continue_as_new(&at_once, NextRun::new("Order")).unwrap());
    let again = world.commit(|tx| tx.reset(&singly, NewReset::to(20)).unwrap());
    world.note(&again);
    world.ends(|world| {
        let first = world.event(&next, 1, |event| u64::from(event.size()));
        assert_eq!((world.run(&next).unwrap().bytes, world.run(&next).unwrap().events), (first, 1));
        let shared = world.history(&singly).unwrap().size_at(20).unwrap();
        let own: u64 = [21, 22].map(|id| world.event(&again, id, |e| e.size()).into()).iter().sum();
        assert_eq!(world.run(&again).unwrap().bytes, shared + own);
        assert_eq!(world.history(&again).unwrap().size_at(20).unwrap(), shared);
    });
}

/// Chains, trees and namespaces add up to the sum of their runs, each run once.
#[test]
fn chains_trees_and_namespaces_add_up() {
    let world = World::new();
    let top = world.start("top");
    let first = world.spawn(&top, "c", ABANDON);
    let second = world.commit(|tx| tx.continue_as_new(&first, NextRun::new("C")).unwrap());
    let low = world.spawn(&first_open(&world, "c"), "g", TERMINATE);
    let third = world.commit(|tx| tx.reset(&second, NewReset::to(3)).unwrap());
    let other = world.start("other");
    world.shut(&low, Close::completed(b""));
    assert_eq!(world.drain(), 1);
    world.ends(|world| {
        assert_eq!(world.chain_size(&second).unwrap(), size_of(world, &[first, second, third]));
        assert_eq!(world.chain(&first).unwrap().size().unwrap(), world.chain_size(&third).unwrap());
        let below = [top, first, second, third, low];
        assert_eq!(world.tree_size(&top).unwrap(), size_of(world, &below));
        let all = [top, first, second, third, low, other];
        assert_eq!(world.namespace_size(NAMESPACE), size_of(world, &all));
        assert_eq!(world.namespace_size("nothing"), Size::default());
    });
}

fn first_open(world: &World, workflow_id: &str) -> RunId {
    world.current(workflow_id).unwrap()
}

/// A transaction that is dropped, or refused at its commit, leaves no byte that anyone can read.
#[test]
fn what_is_refused_leaves_nothing() {
    let world = World::new();
    let parent = world.start("p");
    let before = (world.end(), world.run(&parent).unwrap(), world.stats().unwrap().events);
    let mut tx = world.begin();
    tx.spawn_child(&parent, child("c", TERMINATE)).unwrap();
    drop(tx);
    let mut tx = world.begin();
    let kid = tx.spawn_child(&parent, child("c", TERMINATE)).unwrap().run;
    tx.append(&kid, note()).unwrap();
    assert!(tx.spawn_child(&parent, child("c", TERMINATE)).is_err());
    drop(tx);
    assert_eq!((world.end(), world.run(&parent).unwrap(), world.stats().unwrap().events), before);
    world.ends(|world| {
        assert_eq!(world.runs_of("c"), 0);
        assert_eq!(world.children(&parent).unwrap().count(), 0);
    });
}
