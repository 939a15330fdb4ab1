//! How runs belong together: trees, chains, children, and what must still happen between them.

use std::path::PathBuf;

use clap::ValueEnum;
use kinlog::{ChildState, DutyKind};

use super::RunArgs;

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
