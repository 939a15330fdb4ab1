//! The store as a whole: its files, their soundness, and copies of them.

use std::path::PathBuf;

/// Show what the store holds, and what every byte of its files is.
///
/// Also how much of each segment is live, dead, pinned, index and free: it reads the whole log for that. Pinned is what is
/// dead and a consumer is still to read. What snapshots hold, the process knows that has them: `Stats::held_bytes`.
#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// Show all segments, and not only the 16 of which most is dead.
    #[arg(long)]
    pub(crate) all: bool,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Read everything back and check it: every byte, every event, sum and relation.
///
/// Works beside a writer. Without one, the space beyond the last commit is checked as well.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// One JSON object, whatever the result: `ok`, and `kind`, `path`, `offset` of what is wrong.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Copy the store as it is now into another folder, beside whoever writes.
///
/// The copy is a store itself: to restore it, copy it to where it is needed. A backup that was cut
/// short is no store, and is begun anew by the next one into the same folder.
#[derive(Debug, clap::Args)]
pub(crate) struct BackupArgs {
    /// The folder for the copy: empty, or not there yet.
    #[arg(value_name = "DST")]
    pub(crate) to: PathBuf,
    /// A former backup of this store: what it has already is compared and linked, not copied. The
    /// two then share files; deleting either is safe, damage to a shared file hurts both.
    #[arg(long, value_name = "FORMER")]
    pub(crate) base: Option<PathBuf>,
    /// One JSON object, whatever the result.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Copy what is provably whole in a corrupt store into a new one, and list what is lost.
///
/// Nothing is written to the corrupt store. The new one is a store like any other: runs are there up
/// to their first event that is lost, and open if their close is. It is made beside its folder, with
/// `.partial` behind the name, and gets its own name when it is finished.
#[derive(Debug, clap::Args)]
pub(crate) struct SalvageArgs {
    /// The folder of the corrupt store.
    #[arg(value_name = "SRC")]
    pub(crate) from: PathBuf,
    /// The folder for the new one: empty, or not there yet, and not within the other.
    #[arg(value_name = "DST")]
    pub(crate) to: PathBuf,
    /// One JSON object, whatever the result.
    #[arg(long)]
    pub(crate) json: bool,
}
