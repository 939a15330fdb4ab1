//! For whoever looks after a store: what it holds, whether it is sound, a copy of it.

mod backup;
mod import;
mod stats;
mod verify;

pub use backup::{BackupProgress, BackupReport};
pub(crate) use import::CommitImport;
pub use stats::{Stats, TableSize};
pub use verify::{VerifyProgress, VerifyReport};
