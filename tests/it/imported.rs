//! Deleting and erasing runs that were imported, and importing them again.

use kinlog::event::{Closed, Started};
use kinlog::retention::{Compaction, Keep};
use kinlog::{Body, Error, NewEvent, NewRun, Options, RunId, Store};
use kinlog_testing::disk::{HookedDisk, Steady};
use kinlog_testing::files::{directory, small_segments};
use kinlog_testing::index::delete_index;
use kinlog_testing::steps::{fill, marker, recorded};

/// The first run of its type, which is not erased.
const FIRST: u8 = 100;

fn id(number: u8) -> RunId {
    RunId::from_bytes([number; 16])
}

/// Imports a closed run that continues another one, or none; its chain is that of `first`.
fn import(store: &Store, run: u8, before: Option<u8>, first: u8) {
    let workflow = format!("loop-{first}");
    let of = recorded(id(run), &workflow);
    let started = Started { first_run_id: id(first), continued_run_id: before.map(id), ..of };
    let import = |tx: &mut kinlog::Transaction<'_>| {
        tx.start(NewRun::imported(started))?;
        tx.append(&id(run), marker(b"").key(1))?;
        let closed = Closed { new_run_id: Some(id(run + 1)), ..Closed::default() };
        tx.append(&id(run), NewEvent::new(Body::WorkflowExecutionCompleted(closed)))
    };
    store.transact(import).unwrap();
}

fn delete_chain(store: &Store, run: u8) {
    store.transact(|tx| tx.delete_chain(&id(run), Keep::Nothing)).unwrap();
}

fn chain(store: &Store, run: u8) -> Vec<RunId> {
    store.chain(&id(run)).unwrap().runs().map(|run| run.unwrap().id).collect()
}

fn is_gone(store: &Store, run: u8) -> bool {
    matches!(store.run(&id(run)), Err(Error::RunNotFound { .. }))
}

/// Runs that do not name the first of their chain are found by the run that they continue, whichever chain that is of.
#[test]
fn imported_runs_are_erased_only_where_each_names_the_first_of_its_chain() {
    let dir = directory();
    let store = small_segments().open(dir.path()).unwrap();
    import(&store, FIRST, None, FIRST);
    import(&store, 1, None, 1);
    import(&store, 2, Some(1), 1);
    delete_chain(&store, 1);
    assert_eq!(store.erase().unwrap().runs, 2, "both name the first one");
    import(&store, 3, None, 3);
    import(&store, 4, Some(3), 4);
    assert_eq!(chain(&store, 3), [id(3), id(4)]);
    import(&store, 6, None, 6);
    delete_chain(&store, 3);
    delete_chain(&store, 6);
    assert_eq!(store.erase().unwrap().runs, 0);
    assert_eq!(chain(&store, 4), [id(4)]);
    store.verify(|_| ()).unwrap();
}

/// As often as it is done, with whatever is left of those of before, and whether the index is there or not.
#[test]
fn what_was_erased_is_imported_again_as_if_it_had_never_been_there() {
    for dead in [0, 25, 60] {
        let dir = directory();
        let disk = HookedDisk::shared(std::sync::Arc::<Steady>::default());
        let options: Options = small_segments().memory_bytes(0).disk(disk.clone());
        let mut store = options.open(dir.path()).unwrap();
        import(&store, FIRST, None, FIRST);
        for round in 0..6 {
            import(&store, 1, None, 1);
            import(&store, 2, Some(1), 1);
            assert_eq!(chain(&store, 2), [id(1), id(2)]);
            assert_eq!(store.event_by_key(&id(2), 1).unwrap(), Some(2));
            if round == 5 {
                break;
            }
            delete_chain(&store, 1);
            assert_eq!(store.erase().unwrap().runs, 2);
            if round % 2 == 0 {
                fill(&store);
            }
            store.compact(&Compaction::new().dead_percent(dead)).unwrap();
            store.shut_down().unwrap();
            if round % 3 == 0 {
                delete_index(&*disk, dir.path());
            }
            store = options.open(dir.path()).unwrap();
            assert!(is_gone(&store, 1) && is_gone(&store, 2), "round {round}");
            store.verify(|_| ()).unwrap();
        }
        store.verify(|_| ()).unwrap();
    }
}
