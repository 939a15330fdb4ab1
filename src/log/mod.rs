//! The log: append-only and write-ahead. A commit is one frame. It is in the log before readers see it and
//! before its caller learns of success; with `Durability::Sync` it is on the device by then, too (`fsync`).
//! Everything else is derived from the log (`crate::index`), so recovery after a crash is a replay of it.

pub(crate) mod backup;
pub(crate) mod compact;
pub(crate) mod files;
pub(crate) mod format;
pub(crate) mod open;
pub(crate) mod write;
