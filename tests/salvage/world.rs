//! A busy store: families, chains, resets, requests and tables, over several segments.

use kinlog::{
    Close, Durability, Error, EventKind, NewChild, NewEvent, NewReset, NewRun, NextRun,
    ParentClosePolicy, RunFilter, RunId, Store, Target, Transaction,
};
use kinlog_testing::Rng;
use kinlog_testing::files::SEGMENT;

const POLICIES: [ParentClosePolicy; 3] =
    [ParentClosePolicy::Terminate, ParentClosePolicy::Abandon, ParentClosePolicy::RequestCancel];

/// Fills a store until it has `segments` segments with commits in them.
pub(crate) fn fill(store: &Store, seed: u64, segments: u32) {
    let mut random = Rng::new(seed);
    store.set_limits("shop", kinlog::Limits::default()).unwrap();
    family(store);
    while store.end().as_u64() < u64::from(segments) * SEGMENT as u64 {
        step(store, &mut random);
    }
    for _ in 0..40 {
        step(store, &mut random);
    }
    store.settle_all().unwrap();
}

/// One of everything, whatever the seed draws.
fn family(store: &Store) {
    let commit = |steps: &dyn Fn(&mut Transaction<'_>) -> RunId| {
        let mut tx = store.begin();
        let run = steps(&mut tx);
        tx.commit().unwrap();
        run
    };
    let parent = commit(&|tx| tx.start(NewRun::new("shop", "order", "Order")).unwrap());
    let kid = commit(&|tx| {
        tx.put("timers", b"kid", b"1").unwrap();
        let kid = tx.spawn_child(&parent, NewChild::new("kid", "Ship")).unwrap().run;
        tx.spawn_child(&parent, NewChild::new("twin", "Ship")).unwrap();
        tx.spawn_child(&kid, NewChild::new("grandkid", "Ship")).unwrap();
        kid
    });
    let next = commit(&|tx| {
        tx.delete("timers", b"kid").unwrap();
        tx.continue_as_new(&kid, NextRun::new("Ship")).unwrap()
    });
    commit(&|tx| {
        tx.close_run(&next, Close::completed(b"sent")).unwrap();
        next
    });
    store.settle_all().unwrap();
    let again = commit(&|tx| tx.reset(&parent, NewReset::to(5)).unwrap());
    commit(&|tx| {
        tx.append(&again, note(&[7; 100])).unwrap();
        tx.put("timers", b"again", b"2").unwrap();
        again
    });
}

fn note(payload: &[u8]) -> NewEvent<'_> {
    NewEvent::opaque(EventKind::MARKER_RECORDED, payload)
}

/// A commit of one to four steps, of which some may be refused, or duties settled.
fn step(store: &Store, random: &mut Rng) {
    if random.below(6) == 0 {
        store.settle_all().unwrap();
        return;
    }
    let open: Vec<RunId> = {
        let snapshot = store.snapshot();
        let runs = snapshot.runs(RunFilter::all()).map(Result::unwrap);
        runs.filter(|run| run.status.is_open()).map(|run| run.id).collect()
    };
    let mut tx = store.begin();
    for _ in 0..=random.below(4) {
        let run = if open.is_empty() { None } else { Some(random.pick(&open)) };
        let taken = match run {
            Some(run) if random.below(8) > 0 => change(&mut tx, random, &run),
            _ => {
                let name = format!("w{}", random.below(1000));
                tx.start(NewRun::new("shop", &name, "Order").input(&[1; 50])).map(|_| ())
            }
        };
        expect_legal(taken);
    }
    let durability = random.pick(&[Durability::Buffered, Durability::Buffered, Durability::Sync]);
    expect_legal(tx.commit_with(durability).map(|_| ()));
}

/// A step may come at the wrong time, but nothing else may go wrong.
fn expect_legal(taken: Result<(), Error>) {
    match taken {
        Ok(())
        | Err(
            Error::IllegalEvent { .. }
            | Error::Nested { .. }
            | Error::InvalidArgument { .. }
            | Error::RunClosed { .. }
            | Error::WorkflowExists { .. }
            | Error::Conflict { .. }
            | Error::LimitExceeded { .. },
        ) => {}
        Err(error) => panic!("{error}"),
    }
}

fn change(tx: &mut Transaction<'_>, random: &mut Rng, run: &RunId) -> Result<(), Error> {
    let name = format!("c{}", random.below(100_000));
    let child = NewChild::new(&name, "Ship").on_parent_close(random.pick(&POLICIES));
    let payload = vec![random.below(256) as u8; random.below(2500)];
    match random.below(16) {
        0..=4 => tx.append(run, note(&payload)).map(|_| ()),
        5..=6 => tx.spawn_child(run, child).map(|_| ()),
        7 => tx.initiate_child(run, child).map(|_| ()),
        8 => tx.close_run(run, Close::completed(b"ok")).map(|_| ()),
        9 => tx.close_run(run, Close::failed(b"no")).map(|_| ()),
        10 => tx.continue_as_new(run, NextRun::new("Order")).map(|_| ()),
        11 => tx.reset(run, NewReset::to(1 + random.below(6) as u32)).map(|_| ()),
        12 => {
            let scheduled = tx.append(run, NewEvent::activity_scheduled("pay"))?;
            if random.below(2) == 0 {
                tx.append(run, NewEvent::activity_completed(scheduled))?;
            }
            Ok(())
        }
        13 => tx.signal_external(run, Target::workflow("order"), "s", b"p").map(|_| ()),
        14 => tx.put("timers", name.as_bytes(), &payload),
        _ => {
            tx.put("queue", &[random.below(8) as u8], name.as_bytes())?;
            tx.delete("queue", &[random.below(8) as u8])
        }
    }
}
