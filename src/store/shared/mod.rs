//! A store: what transactions, readers and whoever looks after it share.

mod pins;
mod store;

pub(crate) use pins::{Pin, Pins};
pub use store::Store;
pub(crate) use store::{Clock, Shared};
