//! Deleting runs, and how long they are kept.

use std::num::NonZeroU32;
use std::time::Duration;

use kinlog::Timestamp;
use kinlog::retention::Retention;

use super::RunArgs;
use crate::ui;

/// Delete a run that has closed, all of it or its history.
///
/// Its workflow id is free then. A parent's list of children goes on to say how it ended. Space comes back with
/// `kinlog compact`.
#[derive(Debug, clap::Args)]
pub(crate) struct DeleteArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Delete all runs of its chain.
    #[arg(long)]
    pub(crate) chain: bool,
    /// Keep what it came to: delete its history alone.
    #[arg(long)]
    pub(crate) keep_outcome: bool,
    /// Rewrite the store's files until nothing of it is left in any of them. Reads all of the log.
    #[arg(long, conflicts_with = "keep_outcome")]
    pub(crate) now: bool,
}

/// Show how long a namespace keeps its runs, or set that.
///
/// Nothing is deleted by it: `kinlog expire` does, or the engine.
#[derive(Debug, clap::Args)]
pub(crate) struct RetentionArgs {
    /// The namespace.
    #[arg(value_name = "NS", allow_hyphen_values = true)]
    pub(crate) of: String,
    /// How long histories are kept, from when a run has closed: such as 7d, 36h or 90m, or `ever`.
    #[arg(long, value_name = "AGE", value_parser = ui::read_age)]
    pub(crate) history: Option<Age>,
    /// How long outcomes are kept, likewise.
    #[arg(long, value_name = "AGE", value_parser = ui::read_age)]
    pub(crate) outcome: Option<Age>,
    /// How many runs of a chain are kept, its last one among them; 0: all.
    #[arg(long, value_name = "N")]
    pub(crate) chain_runs: Option<u32>,
}

impl RetentionArgs {
    /// Whether anything is to be set.
    pub(crate) fn changes(&self) -> bool {
        self.history.is_some() || self.outcome.is_some() || self.chain_runs.is_some()
    }

    pub(crate) fn change(&self, retention: &mut Retention) {
        retention.history = self.history.unwrap_or(retention.history);
        retention.outcome = self.outcome.unwrap_or(retention.outcome);
        let runs = self.chain_runs.map(NonZeroU32::new);
        retention.chain_runs = runs.unwrap_or(retention.chain_runs);
    }
}

/// `None` for ever. An alias, so that clap does not take it for an argument that may be missing.
type Age = std::option::Option<Duration>;

/// Delete what namespaces do not keep any more.
#[derive(Debug, clap::Args)]
pub(crate) struct ExpireArgs {
    /// Delete at most this many runs.
    #[arg(long, value_name = "N")]
    pub(crate) most: Option<usize>,
    /// As if it were this time, such as 2024-01-02T03:04:05Z or 2024-01-02 (UTC).
    #[arg(long, value_name = "TIME", value_parser = ui::read_time)]
    pub(crate) now: Option<Timestamp>,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Give back the space of what was deleted and overwritten: full segments are written anew without it.
///
/// What is in them cannot be followed commit by commit any more.
#[derive(Debug, clap::Args)]
pub(crate) struct CompactArgs {
    /// Rewrite segments of which at least this much would come back, in per cent.
    #[arg(long, value_name = "PERCENT", default_value_t = 25, value_parser = clap::value_parser!(u8).range(0..=100))]
    pub(crate) dead: u8,
    /// Before, erase deleted runs of which nothing was kept and that nothing refers to: not even their ids are left then.
    #[arg(long, conflicts_with = "dry_run")]
    pub(crate) erase: bool,
    /// Pack histories of closed runs: they are compressed, to a fifth or so. Builds of kinlog without the feature `zstd` cannot
    /// open the store from then on. Segments that are packed stay so, also without this.
    #[arg(long)]
    pub(crate) pack: bool,
    /// Leave segments from this position on: as far as whoever follows the store has come.
    #[arg(long, value_name = "POSITION")]
    pub(crate) keep_from: Option<u64>,
    /// Only say what would come back. Works beside a writer.
    #[arg(long)]
    pub(crate) dry_run: bool,
    /// Show all segments, and not only the 16 of which most is dead.
    #[arg(long)]
    pub(crate) all: bool,
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}
