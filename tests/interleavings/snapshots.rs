//! Snapshots that are held while what they show is overwritten.

use kinlog::{EventKind, Expect, NewEvent, NewRun, Position, RunId, Snapshot};
use shuttle::thread;

use crate::explore::explore;
use crate::world::{World, either};

const ROUNDS: u8 = 3;

/// The round that both rows and the run's length tell.
fn round(snapshot: &Snapshot, run: &RunId) -> u8 {
    let row = |key: &[u8]| snapshot.get("rows", key).unwrap().map_or(0, |value| value[0]);
    let (left, right) = (row(b"left"), row(b"right"));
    assert_eq!(left, right, "half of a commit");
    let history = snapshot.history(run).unwrap();
    assert_eq!(history.len(), u32::from(left) + 1);
    assert_eq!(history.iter().filter(|event| event.is_ok()).count(), usize::from(left) + 1);
    assert_eq!(snapshot.run(run).unwrap().events, u32::from(left) + 1);
    left
}

#[test]
fn a_snapshot_shows_the_same_for_as_long_as_it_is_held() {
    explore(400, || {
        let world = World::new();
        let mut tx = world.store.begin();
        let run = tx.start(NewRun::new("shop", "order", "Order")).unwrap();
        let begun = tx.commit().unwrap().position();
        let (seen, written) = thread::scope(|scope| {
            let world = &world;
            let writer = scope.spawn(|| {
                let write = |round: u8| {
                    let mut tx = world.store.begin();
                    tx.expect(&run, Expect::Any).unwrap();
                    tx.append(&run, NewEvent::opaque(EventKind::MARKER_RECORDED, b"")).unwrap();
                    tx.put("rows", b"left", &[round]).unwrap();
                    tx.put("rows", b"right", &[round]).unwrap();
                    tx.commit_with(either()).unwrap().position()
                };
                (1..=ROUNDS).map(write).collect::<Vec<_>>()
            });
            let readers = [(); 2].map(|()| {
                scope.spawn(|| {
                    let snapshot = world.store.snapshot();
                    let first = round(&snapshot, &run);
                    let later = world.store.snapshot();
                    let second = round(&later, &run);
                    assert_eq!(round(&snapshot, &run), first, "a snapshot changed");
                    drop(snapshot);
                    assert_eq!(round(&later, &run), second, "a snapshot changed");
                    [(later.end(), second)]
                })
            });
            let seen = readers.map(|reader| reader.join().unwrap()).concat();
            (seen, writer.join().unwrap())
        });
        let positions: Vec<Position> = [vec![begun], written].concat();
        for (end, round) in seen {
            let below = positions.iter().filter(|position| **position < end).count();
            assert_eq!(usize::from(round) + 1, below, "another commit than the position says");
        }
        world.store.shut_down().unwrap();
    });
}
