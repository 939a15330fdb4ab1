//! The state of a store that transactions, readers and administration share.

mod consumers;
mod pins;
mod rounds;
mod store;

pub(crate) use consumers::{CONSUMERS_TABLE, NewConsumers, position_in_row};
pub(crate) use pins::{Pin, Pins};
pub(crate) use rounds::Rounds;
pub use store::Store;
pub(crate) use store::{Clock, Shared};
