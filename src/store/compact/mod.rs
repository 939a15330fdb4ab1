//! Compaction: gives back the space of what was deleted and overwritten.

mod liveness;
mod pass;
