//! Compaction: gives back the space of what was deleted and overwritten.

mod extent;
mod liveness;
mod parts;
mod pass;
mod space;
