//! Arbitrary text as a recorded history in JSON.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::{Place, round_trip, samples, seeds};
use kinlog_temporal::History;
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// Longer ones take too long for what they tell.
const SEED_BYTES_MAX: u64 = 12 << 10;

fn seeds() -> Vec<Vec<u8>> {
    let own = samples().into_iter().filter_map(|history| history.to_json().ok());
    own.map(String::into_bytes).chain(seeds::recorded(&["json"], SEED_BYTES_MAX)).collect()
}

fuzz_target!(init: seeds::write(seeds), |text: &[u8]| {
    let Ok(text) = str::from_utf8(text) else { return };
    if let Ok(history) = History::from_json(text) {
        round_trip(&PLACE, &history);
    }
});
