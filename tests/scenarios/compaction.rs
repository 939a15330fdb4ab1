//! Compaction: what it may take as dead.

use kinlog::retention::{Compaction, Keep};
use kinlog::{Close, EventKind, NewEvent, NewReset};

use super::support::World;

const SEGMENT_BYTES: u32 = 1 << 16;

/// Commits rows that stay until the log goes on in another segment.
fn fill(world: &World) {
    let segment = || world.end().as_u64() / u64::from(SEGMENT_BYTES);
    let filled = segment();
    while segment() == filled {
        let key = world.end().as_u64().to_le_bytes();
        world.commit(|tx| tx.put("filling", &key, &[7; 5_000]).unwrap());
    }
}

/// A power loss may take the deletion back, and then the events must be there.
#[test]
fn what_a_run_shares_that_is_deleted_during_a_compaction_stays() {
    let world = World::with_segments(SEGMENT_BYTES);
    fill(&world);
    let base = world.start("order");
    for _ in 0..15 {
        let note = NewEvent::opaque(EventKind::MARKER_RECORDED, &[1; 3_000]);
        world.commit(|tx| tx.append(&base, note).map(drop).unwrap());
    }
    let fork = world.commit(|tx| tx.reset(&base, NewReset::to(16)).unwrap());
    world.shut(&fork, Close::completed(b"done"));
    world.commit(|tx| tx.delete_run(&base, Keep::Nothing).unwrap());
    fill(&world);
    let mut deleted = false;
    let compaction = Compaction::new().dead_percent(50);
    let done = world.compact_with(&compaction, &mut |_| {
        if !std::mem::replace(&mut deleted, true) {
            world.commit(|tx| tx.delete_run(&fork, Keep::Nothing).unwrap());
        }
    });
    let rewritten = |segments: &[kinlog::retention::SegmentSpace]| segments[1].rewritten;
    assert!(!rewritten(&done.unwrap().segments), "it was not deleted when the compaction began");
    let again = world.compact(&compaction).unwrap();
    assert!(rewritten(&again.segments), "now it is");
}
