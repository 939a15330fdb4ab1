//! Looking at runs and their events.

use clap::ValueEnum;
use kinlog::read::{RunCursor, RunOrder};
use kinlog::{RunId, RunStatus, Timestamp};

use super::RunArgs;
use crate::ui;

/// List runs.
///
/// Without --by, --newest, --since, --until and --after, in the order in which they came into the store. With any of these, by
/// when they started or closed; at the end of a limited list it says how to go on. With --limit no others are looked at
/// than those listed, and their ids are whole; without, all that there are.
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

const IN_ORDER: &str = "By when they started or closed";

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub(crate) enum By {
    #[default]
    Started,
    Closed,
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
