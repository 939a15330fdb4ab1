//! Administration: statistics, verification, backup, and the import that salvage uses.

mod backup;
mod import;
mod stats;
mod verify;
mod verify_index;

pub use backup::{BackupProgress, BackupReport};
pub(crate) use import::CommitImport;
pub use stats::{IndexStats, MaintenanceStats, Stats, TableSize};
pub use verify::{VerifyProgress, VerifyReport};
