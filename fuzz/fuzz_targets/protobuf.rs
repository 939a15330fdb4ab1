//! Arbitrary bytes as a recorded history in protobuf.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::{Place, round_trip, samples, seeds};
use kinlog_temporal::History;
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// Longer ones take too long for what they tell.
const SEED_BYTES_MAX: u64 = 8 << 10;

fn seeds() -> Vec<Vec<u8>> {
    let own = samples().into_iter().map(|history| history.to_proto());
    own.chain(seeds::recorded(&["pb", "binpb", "bin"], SEED_BYTES_MAX)).collect()
}

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    if let Ok(history) = History::from_proto(bytes) {
        round_trip(&PLACE, &history);
    }
});
