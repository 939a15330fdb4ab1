//! The command line.

use std::env;
use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::time::Duration;

use clap::builder::styling::{AnsiColor, Styles};
use clap::{Parser, Subcommand, ValueEnum};
use kinlog::read::{RunCursor, RunOrder};
use kinlog::retention::Retention;
use kinlog::{ChildState, Durability, DutyKind, RunId, RunStatus, Timestamp};

use crate::ui::{self, plain};

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
  6  another process uses the store
  7  the store is of another version of kinlog
  8  the system refused to read or write a file; among other reasons, as the disk is full
  9  the last bytes of the store are in doubt: a crash left them, or damage
 10  no backup can be made there, or not from that former one
 11  what is whole was salvaged, and something is lost

Try `kinlog demo`, then `kinlog tree fulfilment`.";

/// The folder of a store, where nothing else is said.
pub(crate) const DEFAULT_STORE: &str = "kinlog-data";

/// Looks into kinlog stores: the histories of durable workflows, in one folder.
#[derive(Debug, Parser)]
#[command(name = "kinlog", version, styles = STYLES, after_help = AFTER_HELP)]
pub(crate) struct Args {
    /// The folder of the store.
    #[arg(long, global = true, env = "KINLOG_STORE", value_name = "DIR", default_value = DEFAULT_STORE,
        hide_env_values = true)]
    pub(crate) store: PathBuf,
    #[command(subcommand)]
    pub(crate) command: Command,
}

impl Args {
    /// The command line, or what is wrong with it.
    pub(crate) fn read() -> Result<Self, clap::Error> {
        Args::try_parse().map_err(|error| {
            // The error repeats what was typed: it is typed again, with what a terminal would act on
            // spelled out.
            let spelled = |arg: OsString| match arg.to_str() {
                Some(text) => plain(text).into_owned().into(),
                None => arg,
            };
            Args::try_parse_from(env::args_os().map(spelled)).err().unwrap_or(error)
        })
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Import(ImportArgs),
    Ls(LsArgs),
    Show(ShowArgs),
    Tree(TreeArgs),
    Chain(ChainArgs),
    Children(ChildrenArgs),
    Duties(DutiesArgs),
    Follow(FollowArgs),
    Export(ExportArgs),
    Tables(TablesArgs),
    Rows(RowsArgs),
    Delete(DeleteArgs),
    Retention(RetentionArgs),
    Expire(ExpireArgs),
    Stats(StatsArgs),
    Verify(VerifyArgs),
    Backup(BackupArgs),
    Salvage(SalvageArgs),
    Demo(DemoArgs),
}

/// Bring recorded Temporal histories into the store.
///
/// Reads protobuf and every JSON form that Temporal's tools write, also compressed by gzip, and
/// files of many histories. A history is imported as a whole or not at all. One that is in the store
/// already is recognised, so an import that was interrupted can simply be repeated. A store that
/// is not there is made.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Files, - for standard input, and folders to search for *.json, *.jsonl, *.ndjson, *.history,
    /// *.bin, *.binpb, *.pb and *.proto, also with .gz behind it.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The namespace of the runs, which histories do not name.
    #[arg(long, value_name = "NS", default_value = "default")]
    pub(crate) namespace: String,
    /// Do not wait until histories are on the device.
    #[arg(long)]
    pub(crate) buffered: bool,
    /// What becomes of what this version of Temporal's API does not know.
    #[arg(long, value_name = "WHAT", default_value = "fields")]
    pub(crate) unknown: Unknown,
}

/// What becomes of what is not known, such as fields of a newer server. What is kept comes back on
/// export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unknown {
    /// A history with any of it is refused.
    Refuse,
    /// Fields are kept, and event types that have a number; a name that nobody knows, of an event
    /// type or an enum value, is refused.
    Fields,
    /// All of it is kept.
    Keep,
}

/// List the tables, with their rows and sizes.
#[derive(Debug, clap::Args)]
pub(crate) struct TablesArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the rows of a table in the order of their keys.
#[derive(Debug, clap::Args)]
pub(crate) struct RowsArgs {
    /// The table.
    #[arg(value_name = "TABLE", allow_hyphen_values = true)]
    pub(crate) table: String,
    /// Only keys that begin with this text, or with these bytes: 0x and hexadecimal digits.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) prefix: Option<String>,
    /// The last keys first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// List at most this many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// One JSON object a line: key and value as text where they are, and as base64.
    #[arg(long)]
    pub(crate) json: bool,
}

/// List runs.
///
/// Without --by, --newest, --since, --until and --after, in the order in which they came into the store, with what all of them
/// come to. With any of these, by when they started or closed, and no others are looked at than those listed; at the
/// end of a limited list it says how to go on.
#[derive(Debug, clap::Args)]
pub(crate) struct LsArgs {
    /// Only those in this namespace.
    #[arg(long, value_name = "NS", allow_hyphen_values = true)]
    pub(crate) namespace: Option<String>,
    /// Only those of this workflow id.
    #[arg(long, value_name = "ID", allow_hyphen_values = true)]
    pub(crate) workflow: Option<String>,
    /// Only those of this workflow type.
    #[arg(long = "type", value_name = "TYPE", allow_hyphen_values = true)]
    pub(crate) workflow_type: Option<String>,
    /// Only those with this status.
    #[arg(long)]
    pub(crate) status: Option<Status>,
    /// Only those that are children of this run, whose whole id it is.
    #[arg(long, value_name = "RUN")]
    pub(crate) parent: Option<RunId>,
    /// List at most this many, those first that come first.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// The time to list them by, and that --since and --until are about. By when they closed, only those are listed
    /// that have.
    #[arg(long, value_name = "TIME", value_enum, help_heading = IN_ORDER)]
    pub(crate) by: Option<By>,
    /// The newest ones first, not the oldest.
    #[arg(long, help_heading = IN_ORDER)]
    pub(crate) newest: bool,
    /// Only from this time on, such as 2024-01-02T03:04:05Z or 2024-01-02 (UTC).
    #[arg(long, value_name = "TIME", value_parser = ui::read_time, help_heading = IN_ORDER)]
    pub(crate) since: Option<Timestamp>,
    /// Only before this time.
    #[arg(long, value_name = "TIME", value_parser = ui::read_time, help_heading = IN_ORDER)]
    pub(crate) until: Option<Timestamp>,
    /// Go on where a list with the same order and namespace has ended.
    #[arg(long, value_name = "CURSOR", help_heading = IN_ORDER)]
    pub(crate) after: Option<RunCursor>,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

const IN_ORDER: &str = "By when they started or closed";

impl LsArgs {
    /// The order that is asked for, if one is.
    pub(crate) fn order(&self) -> Option<RunOrder> {
        let asks = self.by.is_some() || self.newest || self.after.is_some();
        let asks = asks || self.since.is_some() || self.until.is_some();
        asks.then(|| match (self.by.unwrap_or_default(), self.newest) {
            (By::Started, false) => RunOrder::OldestStarted,
            (By::Started, true) => RunOrder::NewestStarted,
            (By::Closed, false) => RunOrder::OldestClosed,
            (By::Closed, true) => RunOrder::NewestClosed,
        })
    }
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    #[default]
    Started,
    Closed,
}

/// Delete a run that has closed, all of it or its history.
///
/// Its workflow id is free then. A parent's list of children goes on to say how it ended. Space does not come back yet.
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

/// `None` for ever. An alias, so that clap does not take it for an argument that may be missing.
type Age = std::option::Option<Duration>;

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

/// Which run is meant.
#[derive(Debug, clap::Args)]
pub(crate) struct RunArgs {
    /// A run id, a workflow id, which stands for its current run, or the beginning of a run id.
    #[arg(allow_hyphen_values = true)]
    pub(crate) run: String,
    /// Look in this namespace only.
    #[arg(long, value_name = "NS", allow_hyphen_values = true)]
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

/// Draw the tree below a run: its children, their children, and so on.
///
/// A child stands for its chain, and its numbers are those of all runs of the chain.
#[derive(Debug, clap::Args)]
pub(crate) struct TreeArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Go no further down than this; 0 for no limit, which is also the default.
    #[arg(long, value_name = "N")]
    pub(crate) depth: Option<usize>,
    /// Show at most this many children of each node; 0 for no limit. By default 20, and with
    /// --json all.
    #[arg(long, value_name = "N")]
    pub(crate) width: Option<u64>,
    /// Show everything.
    #[arg(long, conflicts_with_all = ["depth", "width"])]
    pub(crate) all: bool,
    /// One JSON object a line, one for each node.
    #[arg(long, group = "form")]
    pub(crate) json: bool,
    /// Write an SVG picture to this file, or to standard output for -.
    #[arg(long, value_name = "FILE", group = "form")]
    pub(crate) svg: Option<PathBuf>,
    /// Write the tree for Graphviz to this file, or to standard output for -.
    #[arg(long, value_name = "FILE", group = "form")]
    pub(crate) dot: Option<PathBuf>,
}

/// List the runs of the chain that a run belongs to, in order.
///
/// A chain is one execution: runs that continue each other, and those that resets made of them.
/// Runs that it names and that are not in the store are marked.
#[derive(Debug, clap::Args)]
pub(crate) struct ChainArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the children of a run, those that have ended too.
#[derive(Debug, clap::Args)]
pub(crate) struct ChildrenArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Only those in this state.
    #[arg(long)]
    pub(crate) state: Option<State>,
    /// Only those that are to be started or run.
    #[arg(long, conflicts_with = "state")]
    pub(crate) open: bool,
    /// Only those that were initiated after this event of the run.
    #[arg(long, value_name = "EVENT")]
    pub(crate) after: Option<u32>,
    /// List at most this many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// List open duties, the oldest first: what the log says must still happen between two runs.
///
/// That there are some is no failure: the exit code is 0 then, too.
#[derive(Debug, clap::Args)]
pub(crate) struct DutiesArgs {
    /// Only those of this kind; may be given more than once.
    #[arg(long)]
    pub(crate) kind: Vec<Kind>,
    /// Only those that begin with this run: its id, a workflow id, or the beginning of its id.
    #[arg(long, allow_hyphen_values = true)]
    pub(crate) run: Option<String>,
    /// Look for the run in this namespace only.
    #[arg(long, value_name = "NS", requires = "run", allow_hyphen_values = true)]
    pub(crate) namespace: Option<String>,
    /// List at most this many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Show events as they come into the store, until it is interrupted or nobody reads any more.
///
/// Works beside a writer. Events that are in the store already are left out, unless --all asks for
/// them.
#[derive(Debug, clap::Args)]
pub(crate) struct FollowArgs {
    /// Begin with the first event of the store.
    #[arg(long)]
    pub(crate) all: bool,
    /// End after this many events.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
    /// One JSON object a line, the payload in base64.
    #[arg(long)]
    pub(crate) json: bool,
}

/// Write a run as a Temporal history, to standard output: a recorded one exactly as it was, one
/// that an engine wrote here in Temporal's words.
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

/// Make a store and watch it work: a parent workflow, its children and their activities; the
/// parent closes, and its children follow their close policies.
///
/// The limits of the demo's namespace are lifted where the numbers ask for it.
///
/// If there is a store in the folder already, it is left alone, and the demo makes one in a new
/// folder within.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many children the parent starts.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) children: u32,
    /// How many activities each child runs.
    #[arg(long, value_name = "M", default_value_t = 1000)]
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
    #[value(alias = "open")]
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

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// It is to be started.
    Initiated,
    /// The parent closed before it was started.
    NeverStarted,
    /// It could not be started.
    StartFailed,
    /// It was started, and nothing says that its chain has ended.
    Running,
    /// Its chain has ended, whether the parent was told or not.
    Closed,
    /// A reset gave it to another run.
    Moved,
}

impl From<State> for ChildState {
    fn from(state: State) -> Self {
        match state {
            State::Initiated => ChildState::Initiated,
            State::NeverStarted => ChildState::NeverStarted,
            State::StartFailed => ChildState::StartFailed,
            State::Running => ChildState::Running,
            State::Closed => ChildState::Closed,
            State::Moved => ChildState::Moved,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Kind {
    /// A child is to be started.
    StartChild,
    /// A parent is to be told how its child ended.
    ReportClose,
    /// A parent closed, and its policy is to reach a child.
    ApplyClosePolicy,
    /// A signal is to reach another workflow.
    DeliverSignal,
    /// A cancel request is to reach another workflow.
    DeliverCancel,
}

impl From<Kind> for DutyKind {
    fn from(kind: Kind) -> Self {
        match kind {
            Kind::StartChild => DutyKind::StartChild,
            Kind::ReportClose => DutyKind::ReportClose,
            Kind::ApplyClosePolicy => DutyKind::ApplyClosePolicy,
            Kind::DeliverSignal => DutyKind::DeliverSignal,
            Kind::DeliverCancel => DutyKind::DeliverCancel,
        }
    }
}
