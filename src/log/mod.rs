//! The log: what every commit is written to, and what everything else is derived from.

mod apart;
pub(crate) mod audit;
mod background;
mod base;
pub(crate) mod batch;
mod copy;
mod destination;
pub(crate) mod frame;
mod heal;
mod holder;
mod holes;
mod host;
mod layout;
mod lock;
mod manifest;
mod missing;
mod open;
mod place;
mod record;
mod recovery;
mod reserve;
mod roll;
mod segment;
mod standing;
mod ticket;
mod view;
mod waiting;
#[cfg(all(loom, test))]
mod weak_memory;
mod whole;
mod writer;

pub(crate) use apart::apart;
pub(crate) use background::Background;
pub(crate) use copy::{Copied, copy};
pub use holder::{Holder, Whereabouts};
pub(crate) use layout::{
    Identity, MANIFEST_BYTES, Manifest, Paths, SEGMENT_HEADER_BYTES, SLOT_BYTES, SegmentHeader,
    Slots, corrupt, is_segment_size, segment_number,
};
pub(crate) use lock::Lock;
pub use open::{OpenReport, Verdict};
pub(crate) use open::{Opening, follow, make_space, open, overtaken, sighted};
pub(crate) use place::{Place, here};
pub(crate) use record::vouched;
pub(crate) use recovery::Replay;
pub(crate) use roll::Reserve;
pub(crate) use ticket::Ticket;
pub(crate) use view::{Published, View};
pub use writer::Durability;
pub(crate) use writer::{Lead, Span, Writer};
