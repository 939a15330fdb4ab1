//! The log: what every commit is written to, and what everything else is derived from.

mod background;
pub(crate) mod batch;
pub(crate) mod frame;
mod heal;
mod layout;
mod lock;
mod manifest;
mod open;
mod recovery;
mod roll;
mod segment;
mod ticket;
mod view;
mod writer;

pub(crate) use background::Background;
pub(crate) use layout::{Paths, SEGMENT_HEADER_BYTES, is_segment_size, segment_number};
pub use open::{OpenReport, Verdict};
pub(crate) use open::{Opening, follow, open, overtaken};
pub(crate) use recovery::Replay;
pub(crate) use ticket::Ticket;
pub(crate) use view::{Published, View};
pub use writer::Durability;
pub(crate) use writer::{Span, Writer};
