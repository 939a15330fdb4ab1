//! What the fuzz targets share: stores to damage, ways to damage them, and what must hold of
//! whatever comes out.
//!
//! A target turns its input into the files of a store and hands them to [`examine`], which opens,
//! reads, writes and reopens it. Each target says beside its code how its input is to be read, and
//! gives real stores in that form as seeds. There is no target for index files: kinlog has none,
//! the index is folded from the log each time a store is opened.

mod chunks;
mod disk;
mod examine;
pub mod forms;
pub mod frames;
mod history;
mod image;
mod look;
mod memory;
mod place;
pub mod seeds;
mod template;

pub use chunks::{Chunks, join};
pub use examine::examine;
pub use history::{read_all, round_trip, samples};
pub use image::Image;
pub use place::Place;
pub use template::{Template, templates};

/// Bytes of a segment: the smallest there may be, so that a store of several is quickly written.
pub const SEGMENT_BYTES: usize = 64 << 10;
/// The page that holds a segment's header, and that of a manifest's slot.
pub const PAGE_BYTES: usize = 4096;
