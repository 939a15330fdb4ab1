//! The state of a store that transactions, readers and administration share.

mod pins;
mod store;

pub(crate) use pins::{Pin, Pins};
pub use store::Store;
pub(crate) use store::{Clock, Shared};
