//! The recorded histories in one store: chains, children, parents and trees are as was recorded.
//!
//! What to expect is taken from the manifest, and from the histories as JSON, read by name.

mod chains;
mod children;
mod made;
mod told;
mod world;
