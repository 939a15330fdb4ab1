//! The log: what every commit is written to, and what everything else is derived from.

pub(crate) mod backup;
pub(crate) mod files;
pub(crate) mod format;
pub(crate) mod open;
pub(crate) mod write;
