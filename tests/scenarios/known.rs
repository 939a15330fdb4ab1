//! What is known of a run without reading its first event, and which runs are open.

use kinlog::{Close, NewReset, NewRun, NextRun, RunFilter, RunId, RunStatus, Snapshot};

use super::support::{NAMESPACE, TERMINATE, World, run};

/// The open runs that a filter admits.
fn open(snapshot: &Snapshot, filter: RunFilter) -> Vec<RunId> {
    snapshot.runs(filter.status(RunStatus::Running)).map(Result::unwrap).map(|run| run.id).collect()
}

#[test]
fn a_run_is_known_by_type_request_attempt_parent_and_root() {
    let world = World::new();
    let parent = world.commit(|tx| tx.start(run("p").request_id("asked")).unwrap());
    let kid = world.spawn(&parent, "c", TERMINATE);
    let grandkid = world.spawn(&kid, "d", TERMINATE);
    let retried = world.commit(|tx| {
        let (close, next) = (Close::failed(b"again"), NextRun::retry("Packing", 2));
        tx.close_and_continue(&kid, close, next).unwrap()
    });
    let before = world.snapshot();
    let reset = NewReset::to(3).request_id("once more");
    let again = world.commit(|tx| tx.reset(&parent, reset).unwrap());
    let seen = before.run(&retried).unwrap();
    assert_eq!((seen.parent, seen.root), (Some((parent, 2)), Some(parent)));
    drop(before);
    world.drain();
    world.ends(|world| {
        let known = |run: &RunId| {
            let info = world.run(run).unwrap();
            let request = info.request_id.as_deref().unwrap_or("-").to_owned();
            (info.workflow_type.to_string(), request, info.attempt)
        };
        let say = |of: &str, request: &str, attempt| (of.to_owned(), request.to_owned(), attempt);
        assert_eq!(known(&parent), say("Order", "asked", 0));
        assert_eq!(known(&again), say("Order", "once more", 0));
        assert_eq!(known(&kid), say("Shipping", "-", 0));
        assert_eq!(known(&retried), say("Packing", "-", 2));
        let above = |run: &RunId| {
            let info = world.run(run).unwrap();
            (info.parent, info.root)
        };
        assert_eq!((above(&parent), above(&again)), ((None, None), (None, None)));
        assert_eq!(above(&kid), (Some((again, 2)), Some(parent)));
        assert_eq!(above(&retried), (Some((again, 2)), Some(parent)));
        assert_eq!(above(&grandkid), (Some((kid, 2)), Some(parent)));
    });
}

#[test]
fn an_outcome_is_the_payload_of_the_closing_event() {
    let world = World::new();
    let (first, other) = (world.start("p"), world.start("q"));
    assert_eq!(world.outcome(&first).unwrap(), None);
    let before = world.snapshot();
    let second = world.commit(|tx| {
        let (close, next) = (Close::failed(b"broken"), NextRun::retry("Order", 2));
        tx.close_and_continue(&first, close, next).unwrap()
    });
    world.complete(&other);
    assert!(before.closing_event(&first).unwrap().is_none());
    drop(before);
    world.ends(|world| {
        assert_eq!(world.outcome(&first).unwrap().as_deref(), Some(&b"broken"[..]));
        assert_eq!(world.outcome(&second).unwrap(), None);
        assert_eq!(world.outcome(&other).unwrap().as_deref(), Some(&b"done"[..]));
        assert!(world.outcome(&RunId::from_bytes([9; 16])).is_err());
    });
}

#[test]
fn open_runs_are_listed_in_order_by_namespace_and_type_as_a_snapshot_sees_them() {
    let world = World::new();
    let types = ["A", "B", "C"];
    let names: Vec<String> = (0..900).map(|number| format!("w{number}")).collect();
    let runs: Vec<_> = world.commit(|tx| {
        let start = |(number, name): (usize, &String)| {
            let namespace = if number.is_multiple_of(7) { "elsewhere" } else { NAMESPACE };
            tx.start(NewRun::new(namespace, name, types[number % 3])).unwrap()
        };
        names.iter().enumerate().map(start).collect()
    });
    let before = world.snapshot();
    for (_, run) in runs.iter().enumerate().filter(|(number, _)| number.is_multiple_of(5)) {
        world.complete(run);
    }
    let expected = |closed: bool, namespace: Option<&str>, of: Option<usize>| -> Vec<RunId> {
        let admits = |number: &usize| {
            (!closed || !number.is_multiple_of(5))
                && namespace.is_none_or(|name| (name == "elsewhere") == number.is_multiple_of(7))
                && of.is_none_or(|of| number % 3 == of)
        };
        (0..900).filter(admits).map(|number| runs[number]).collect()
    };
    let check = |snapshot: &Snapshot, closed| {
        for namespace in [None, Some(NAMESPACE), Some("elsewhere")] {
            for of in [None, Some(0), Some(2)] {
                let mut filter = RunFilter::all();
                filter.namespace = namespace.map(str::to_owned);
                filter.workflow_type = of.map(|of| types[of].to_owned());
                assert_eq!(open(snapshot, filter), expected(closed, namespace, of));
            }
        }
        assert_eq!(open(snapshot, RunFilter::all().namespace("nowhere")), []);
        assert_eq!(open(snapshot, RunFilter::all().workflow_type("D")), []);
    };
    check(&before, false);
    check(&world.snapshot(), true);
    let late = world.commit(|tx| tx.start(NewRun::new("late", "l", "D")).unwrap());
    check(&before, false);
    drop(before);
    let of = |world: &World| open(&world.snapshot(), RunFilter::all().workflow_type("D"));
    assert_eq!(of(&world), [late]);
    world.complete(&late);
    world.ends(|world| {
        check(&world.snapshot(), true);
        assert_eq!(of(world), []);
    });
}
