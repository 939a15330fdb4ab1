//! What the provider promises.

#![allow(clippy::unwrap_used)]

mod validations;

use kinlog_duroxide::Options;

/// Options for a store that is made quickly.
fn small() -> Options {
    Options::new().store(kinlog::Options::new().segment_bytes(1 << 20))
}
