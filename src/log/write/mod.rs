//! Group commit: queue, leader, waiters, the next segment, and the store's own thread. A group is one write and,
//! if one of its committers asks for that, one `fsync` (`DiskFile::sync`, an `fdatasync`).

mod background;
mod durability;
mod fencing;
mod parker;
mod recorded;
mod roll;
mod segments;
mod state;
mod ticket;
mod waiters;
mod writer;

pub(crate) use background::Background;
pub use durability::Durability;
pub(crate) use durability::{Lead, Manner, Reserve, Span};
pub(crate) use ticket::Ticket;
pub(crate) use writer::{Held, Writer};
