//! The process that holds a store's lock, as another process can identify it.

mod host;
mod process;

pub(crate) use host::Host;
pub use process::{Holder, Whereabouts};
