//! The command line.

use std::path::PathBuf;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand, ValueEnum};
use kinlog::{Durability, RunStatus};

const STYLES: Styles = Styles::styled()
    .header(AnsiColor::Green.on_default().bold())
    .usage(AnsiColor::Green.on_default().bold())
    .literal(AnsiColor::Cyan.on_default().bold())
    .placeholder(AnsiColor::Cyan.on_default());

const AFTER_HELP: &str = "\
Exit codes:
  0  all is well
  1  an error
  2  the command line makes no sense
  3  the store is corrupt
  4  some files could not be imported
  5  there is no such store or run, or more than one run fits

Try `kinlog demo`, then `kinlog ls`.";

/// The folder of a store, where nothing else is said.
pub(crate) const DEFAULT_STORE: &str = "kinlog-data";

/// Looks into kinlog stores: the histories of durable workflows, in one folder.
#[derive(Debug, Parser)]
#[command(name = "kinlog", version, styles = STYLES, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The folder of the store.
    #[arg(long, global = true, env = "KINLOG_STORE", value_name = "DIR", default_value = DEFAULT_STORE)]
    pub(crate) store: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(ImportArgs),
    Ls(LsArgs),
    Show(ShowArgs),
    Export(ExportArgs),
    Stats(StatsArgs),
    Verify(VerifyArgs),
    Demo(DemoArgs),
}

/// Bring recorded Temporal histories into the store.
///
/// Reads protobuf and every JSON form that Temporal's tools write. A history that is in the store
/// already is recognised, so an import that was interrupted can simply be repeated. A store that
/// is not there is made.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Files, and folders to search for *.json, *.bin, *.binpb, *.pb and *.proto.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The namespace of the runs, which histories do not name.
    #[arg(long, value_name = "NS", default_value = "default")]
    pub(crate) namespace: String,
    /// Do not wait until histories are on the device.
    #[arg(long)]
    pub(crate) buffered: bool,
}

/// List runs.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Only those in this namespace.
    #[arg(long, value_name = "NS")]
    pub(crate) namespace: Option<String>,
    /// Only those of this workflow id.
    #[arg(long, value_name = "ID")]
    pub(crate) workflow: Option<String>,
    /// Only those with this status.
    #[arg(long)]
    pub(crate) status: Option<Status>,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Which run is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// A run id or its beginning, or a workflow id, which stands for its current run.
    pub(crate) run: String,
    /// Look in this namespace only.
    #[arg(long, value_name = "NS")]
    pub(crate) namespace: Option<String>,
}

/// Show a run, event by event.
#[derive(Debug, clap::Args)]
pub(crate) struct ShowArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Begin with this event.
    #[arg(long, value_name = "EVENT")]
    pub(crate) from: Option<u32>,
    /// Go backwards: from the last event, or the one given, to the first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// Show at most this many events.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// One JSON object a line, the payload in base64.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Write a recorded run as the Temporal history it was, to standard output.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// The form to write.
    #[arg(long, default_value = "json")]
    pub(crate) format: Format,
}

/// Show what the store holds, and what every byte of its files is.
#[derive(Debug, clap::Args)]
pub(crate) struct StatsArgs {
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Read everything back and check it: every commit, every event, every sum.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArgs {
    /// One JSON object.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Make a store and watch it work: a parent workflow, its children and their activities.
///
/// If there is a store in the folder already, it is left alone, and the demo makes one in a new
/// folder within.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many children the parent starts.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) children: u32,
    /// How many activities each child runs.
    #[arg(long, value_name = "M", default_value_t = 100)]
    pub(crate) activities: u32,
    /// How long a commit waits.
    #[arg(long, default_value = "sync")]
    pub(crate) durability: Durable,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Temporal's JSON, as `temporal workflow show --output json` writes it.
    Json,
    /// The binary `temporal.api.history.v1.History`.
    Proto,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Durable {
    /// Until it is on the device.
    Sync,
    /// Until the operating system has it.
    Buffered,
}

impl From<Durable> for Durability {
    fn from(durable: Durable) -> Self {
        match durable {
            Durable::Sync => Durability::Sync,
            Durable::Buffered => Durability::Buffered,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Status {
    Running,
    Completed,
    Failed,
    Canceled,
    Terminated,
    ContinuedAsNew,
    TimedOut,
}

impl From<Status> for RunStatus {
    fn from(status: Status) -> Self {
        match status {
            Status::Running => RunStatus::Running,
            Status::Completed => RunStatus::Completed,
            Status::Failed => RunStatus::Failed,
            Status::Canceled => RunStatus::Canceled,
            Status::Terminated => RunStatus::Terminated,
            Status::ContinuedAsNew => RunStatus::ContinuedAsNew,
            Status::TimedOut => RunStatus::TimedOut,
        }
    }
}
