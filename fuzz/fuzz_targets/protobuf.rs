//! Arbitrary bytes as recorded histories in protobuf: also an export of many, and compressed.

#![no_main]

use std::sync::LazyLock;

use kinlog_fuzz::{Place, forms, read_all, round_trip, samples, seeds};
use kinlog_temporal::{History, Unknown};
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<Place> = LazyLock::new(Place::new);

/// Longer ones take too long for what they tell.
const SEED_BYTES_MAX: u64 = 8 << 10;

fn seeds() -> Vec<Vec<u8>> {
    let own = samples().into_iter().map(|history| history.to_proto());
    let own = own.flat_map(|bytes| forms::of_protobuf(&bytes));
    own.chain(seeds::recorded(&["pb", "binpb", "bin"], SEED_BYTES_MAX)).collect()
}

fuzz_target!(init: seeds::write(seeds), |bytes: &[u8]| {
    if let Ok(history) = History::from_proto(bytes) {
        round_trip(&PLACE, &history);
    }
    for unknown in [Unknown::Refuse, Unknown::Keep] {
        for history in read_all(bytes, unknown) {
            round_trip(&PLACE, &history);
        }
    }
});
