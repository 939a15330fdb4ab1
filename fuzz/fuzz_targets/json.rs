//! Arbitrary bytes as recorded histories in JSON: also many of them, in UTF-16 and compressed.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::{Place, forms, read_all, round_trip, samples, seeds};
use kinlog_temporal::{History, Unknown};
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// Longer ones take too long for what they tell.
const SEED_BYTES_MAX: u64 = 12 << 10;

fn seeds() -> Vec<Vec<u8>> {
    let own = samples().into_iter().filter_map(|history| history.to_json().ok());
    let own = own.flat_map(|text| forms::of_json(&text));
    own.chain(seeds::recorded(&["json"], SEED_BYTES_MAX)).collect()
}

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    if let Ok(text) = str::from_utf8(bytes)
        && let Ok(history) = History::from_json(text)
    {
        round_trip(&PLACE, &history);
    }
    for unknown in [Unknown::Refuse, Unknown::Keep] {
        for history in read_all(bytes, unknown) {
            round_trip(&PLACE, &history);
        }
    }
});
