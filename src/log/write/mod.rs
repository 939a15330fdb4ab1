//! Group commit: queue, leader, waiters, the next segment, and the store's own thread.

mod background;
mod roll;
mod standing;
mod ticket;
mod waiters;
mod writer;

pub(crate) use background::Background;
pub(crate) use roll::Reserve;
pub(crate) use ticket::Ticket;
pub use writer::Durability;
pub(crate) use writer::{Held, Lead, Span, Writer};
