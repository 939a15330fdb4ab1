//! What a transaction gathers, kept for the next one: in steady state building a commit allocates
//! nothing.

use super::read_set::Read;
use super::row_writes::{StatedRow, Written};
use super::run::{Chunk, PendingRun, Recheck};
use crate::event::Buffer;
use crate::hash::Map;
use crate::id::{Position, RunId, RunNumber};
use crate::index::{Deletions, Draft, DutyKey};
use crate::sync::Mutex;

/// How many workspaces are kept: more transactions at a time than this allocate their own.
const KEPT_MAX: usize = 16;
/// A workspace that has grown beyond this many bytes of events or rows is not kept.
const KEPT_BYTES_MAX: usize = 1 << 20;
/// Nor one that has touched more runs than this.
const KEPT_RUNS_MAX: usize = 2048;

/// What a transaction has gathered so far.
#[derive(Default)]
pub(crate) struct Workspace {
    /// Where the transaction stands: all that it has read was so before the commit at this position.
    /// [`Position::START`] before its first look.
    pub(crate) at: Position,
    /// What it has read, apart from where its own runs end.
    pub(crate) reads: Vec<Read>,
    /// How far runs that may be anywhere had moved before that.
    pub(crate) recheck: Recheck,
    /// The runs in the store that the step being taken has named, by number.
    pub(crate) named: Vec<RunNumber>,
    /// Events in the order in which they were appended.
    pub(crate) events: Buffer,
    pub(crate) chunks: Vec<Chunk>,
    pub(crate) runs: Vec<PendingRun>,
    pub(crate) by_id: Map<RunId, usize>,
    /// The runs that begin here, by workflow id.
    pub(crate) starts: Map<Box<str>, Vec<usize>>,
    pub(crate) rows: Buffer,
    /// Whether some of the rows are deleted.
    pub(crate) deletes: bool,
    /// Whether a row was put, and not to delete another one or a run.
    pub(crate) puts: bool,
    /// What the rows are that were written; made by the first look at them.
    pub(crate) written: Option<Written>,
    /// What the caller stated about rows.
    pub(crate) stated: Vec<StatedRow>,
    /// What was said about relations, chains and requests.
    pub(crate) draft: Draft,
    /// The positions of the consumers that are new.
    pub(crate) new_consumers: Vec<Position>,
    /// The runs that are deleted.
    pub(crate) deletions: Deletions,
    /// Where in `events` the children are that were initiated here: by run and event.
    pub(crate) initiated: Map<(usize, u32), usize>,
    /// The page of duties that is settled here.
    pub(crate) due: Vec<DutyKey>,
    /// The runs by number, as they stand in the frame: filled under the lock that orders commits.
    pub(crate) order: Vec<(RunNumber, usize)>,
}

impl Workspace {
    fn is_small(&self) -> bool {
        self.events.capacity().max(self.rows.capacity()) <= KEPT_BYTES_MAX
            && self.runs.capacity().max(self.by_id.capacity()) <= KEPT_RUNS_MAX
            && self.chunks.capacity() <= KEPT_RUNS_MAX
            && self.reads.capacity() <= 2 * KEPT_RUNS_MAX
    }

    fn clear(&mut self) {
        self.at = Position::START;
        self.reads.clear();
        self.recheck = Recheck::None;
        self.written = None;
        self.stated.clear();
        self.named.clear();
        self.events.clear();
        self.chunks.clear();
        self.runs.clear();
        self.by_id.clear();
        self.starts.clear();
        self.rows.clear();
        self.deletes = false;
        self.puts = false;
        self.draft.clear();
        self.new_consumers.clear();
        self.deletions.clear();
        self.initiated.clear();
        self.due.clear();
        self.order.clear();
    }
}

/// Workspaces that nobody uses now.
#[derive(Default)]
pub(crate) struct Workspaces(Mutex<Vec<Workspace>>);

impl Workspaces {
    /// An empty workspace.
    pub(crate) fn take(&self) -> Workspace {
        self.0.lock().pop().unwrap_or_default()
    }

    /// Keeps a workspace for the next transaction, unless it or their number has grown large.
    pub(crate) fn give_back(&self, mut workspace: Workspace) {
        if workspace.is_small() {
            workspace.clear();
            let mut kept = self.0.lock();
            if kept.len() < KEPT_MAX {
                kept.push(workspace);
            }
        }
    }
}
