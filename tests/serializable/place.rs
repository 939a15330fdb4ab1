//! Where stores are kept.

use kinlog::{Options, Store};
use kinlog_testing::files::directory;
use tempfile::TempDir;

use crate::mix::Mix;
use crate::take::NAMESPACE;

/// Small, so that worlds have several.
const SEGMENT_BYTES: u32 = if cfg!(shuttle) { 64 << 10 } else { 256 << 10 };

fn options() -> Options {
    Options::new().segment_bytes(SEGMENT_BYTES)
}

/// A new store, as every execution finds it.
pub(crate) fn fresh(mix: &Mix) -> (TempDir, Store) {
    let dir = directory();
    let store = options().open(dir.path()).unwrap();
    store.set_limits(NAMESPACE, mix.limits()).unwrap();
    (dir, store)
}

/// A store for the threads of a world.
#[cfg(not(shuttle))]
pub(crate) fn contested(mix: &Mix) -> (TempDir, Store) {
    fresh(mix)
}

/// A store for the threads of a world, on a disk where every call is a turn for others.
#[cfg(shuttle)]
pub(crate) fn contested(mix: &Mix) -> (crate::device::Device, Store) {
    let device = crate::device::Device::new(|_, _| false);
    let store = options().disk(device.disk()).open(device.path()).unwrap();
    store.set_limits(NAMESPACE, mix.limits()).unwrap();
    (device, store)
}

/// Opens a store again that was shut down.
pub(crate) fn again(path: &std::path::Path) -> Store {
    options().open(path).unwrap()
}
