//! Counted work: what each hot path costs in allocations, calls to the disk and bytes written, the
//! same on a busy machine as on an idle one. Under callgrind, which is told to look into
//! `Meter::counted`, it also counts instructions. `benches/counts` runs all of it.

#![allow(missing_docs, clippy::indexing_slicing, clippy::unwrap_used)]

mod allocator;
mod disk;
mod meter;
mod paths;
#[allow(dead_code)]
#[path = "../support/mod.rs"]
mod support;

use meter::Meter;
use paths::PATHS;

#[global_allocator]
static ALLOCATOR: allocator::Counting = allocator::Counting;

/// Runs the path that is named, or all, and prints a line for each.
fn main() {
    let named = std::env::args().skip(1).find(|argument| !argument.starts_with('-'));
    println!("path\tunit\tunits\tallocations\twrites\tsyncs\tbytes\tpayload");
    for (name, unit, path) in PATHS {
        if named.as_deref().is_none_or(|named| named == name) {
            let mut meter = Meter::default();
            path(&mut meter);
            let Meter { units, payload, allocations, calls } = meter;
            let (writes, syncs, bytes) = (calls.writes, calls.syncs, calls.bytes);
            println!(
                "{name}\t{unit}\t{units}\t{allocations}\t{writes}\t{syncs}\t{bytes}\t{payload}"
            );
        }
    }
}
