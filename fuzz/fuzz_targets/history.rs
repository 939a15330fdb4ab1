//! Arbitrary bytes as a recorded history: reading them never panics, and what was read comes back
//! the same.

#![no_main]

use kinlog_temporal::History;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Ok(history) = History::from_bytes(bytes) else { return };
    let written = history.to_proto();
    let again = History::from_proto(&written).expect("what was written can be read");
    assert_eq!(again.to_proto(), written);
});
