//! What the tests of kinlog share: names of event kinds, one generator of random numbers, one disk
//! that does as it is told, stores as files, and short words for what many tests do.
//!
//! Everything panics where a test should: none of this is for use outside of tests.

pub mod disk;
pub mod files;
mod gate;
pub mod index;
pub mod kinds;
mod rng;
pub mod steps;

pub use gate::{Closed, Gate};
pub use rng::Rng;
