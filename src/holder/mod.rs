//! Which process holds a store, and what can be said of it from here.

mod host;
mod process;

pub(crate) use host::Host;
pub use process::{Holder, Whereabouts};
