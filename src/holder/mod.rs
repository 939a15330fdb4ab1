//! Which process holds a store, and what can be said of it from here.

mod holder;
mod host;

pub use holder::{Holder, Whereabouts};
pub(crate) use host::Host;
