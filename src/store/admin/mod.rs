//! For whoever looks after a store: what it holds, whether it is sound, a copy of it.

mod backup;
mod intake;
mod stats;
mod verify;

pub use backup::{BackupProgress, BackupReport};
pub(crate) use intake::Intake;
pub use stats::Stats;
pub use verify::{VerifyProgress, VerifyReport};
