//! What every engine is asked to do. One small trait for the log, one for relations, one for a queue;
//! an engine that cannot do a thing says so and gets an N/A.

use std::ops::Range;

pub type Error = Box<dyn std::error::Error + Send + Sync>;
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// How long a commit waits.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Durability {
    /// Until the operating system has it: it survives a kill of the process.
    Os,
    /// Until it is on the device: it survives a loss of power.
    Device,
}

/// The events that one commit adds to one run. Runs are numbered from 0; events of a run from 1,
/// and the first one begins it, as its workflow's current run.
#[derive(Clone, Debug)]
pub struct Batch<'a> {
    pub run: u32,
    /// The id of the first event.
    pub first: u32,
    pub events: Vec<&'a [u8]>,
}

/// An open store. Methods may be called from any number of threads.
pub trait Engine: Send + Sync {
    /// Adds all batches in one transaction, and returns when it is as durable as asked. No run comes
    /// twice.
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()>;

    /// As [`Engine::append`] with [`Durability::Os`], but need not wait; [`Engine::drain`] does.
    fn append_ahead(&self, batches: &[Batch<'_>]) -> Result<()> {
        self.append(batches, Durability::Os)
    }

    /// As [`Engine::append`] with [`Durability::Device`], but returns as soon as no more than `most` commits
    /// are on their way to the device; [`Engine::drain`] waits for the last ones. `None` where the engine
    /// has no commit that can be submitted.
    fn append_in_flight(&self, _batches: &[Batch<'_>], _most: usize) -> Option<Result<()>> {
        None
    }

    /// Returns when all that was appended ahead is where it should be.
    fn drain(&self) -> Result<()> {
        Ok(())
    }

    /// The events of a run in their order, borrowed if the engine can lend them.
    fn read(&self, run: u32, each: &mut dyn FnMut(u32, &[u8])) -> Result<()>;

    /// Returns when everything is on the device, and done with what the engine would otherwise do
    /// behind the next measurement: flushing, compacting.
    fn settle(&self) -> Result<()>;

    /// How long the log is that opening may have to read, where the engine can tell.
    fn log_bytes(&self) -> Result<Option<u64>> {
        Ok(None)
    }

    /// Families and current runs; `None` where the engine has neither tables nor indexes.
    fn relations(&self) -> Option<&dyn Relations> {
        None
    }

    /// Runs that are found by their id; `None` where the engine was not put to it.
    fn ended(&self) -> Option<&dyn Ended> {
        None
    }

    /// Runs that are deleted when others have closed; `None` where the engine was not put to it.
    fn retention(&self) -> Option<&dyn Retention> {
        None
    }

    /// A queue of jobs; `None` where the store is opened without transactions that can read.
    fn queue(&self) -> Option<&dyn Queue> {
        None
    }
}

/// Runs that have ended, by their id. In a general store: one row each, of about 100 bytes.
pub trait Ended {
    /// Puts runs that begin and end, in one transaction. Durability: [`Durability::Os`].
    fn put_ended(&self, runs: Range<u32>) -> Result<()>;

    /// Says what is known about a run; whether there is one.
    fn find(&self, id: &[u8; 16], say: &mut dyn FnMut(Facts<'_>)) -> Result<bool>;
}

/// What is known about a run that has ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Facts<'a> {
    pub workflow_id: &'a str,
    pub workflow_type: &'a str,
    pub events: u32,
    /// In nanoseconds.
    pub started_at: i64,
    pub closed_at: i64,
}

impl Facts<'_> {
    /// Of a run that begins at the second of its number.
    pub fn of(run: u32, workflow_id: &str) -> Facts<'_> {
        let started_at = i64::from(run) * 1_000_000_000;
        let closed_at = started_at + 500_000_000;
        Facts { workflow_id, workflow_type: "OrderWorkflow", events: 2, started_at, closed_at }
    }
}

/// Runs that close, and are deleted at the same rate.
pub trait Retention {
    /// Adds the event that closes a run, in one transaction. One that waits returns when it is on the device, with what
    /// was appended ahead before it; others need not wait.
    fn close(&self, run: u32, event: u32, payload: &[u8], waits: bool) -> Result<()>;

    /// Deletes a run that has closed, its `events` events among it, in one transaction that need not wait.
    fn delete(&self, run: u32, events: u32) -> Result<()>;

    /// Returns when everything is on the device, and done with what the engine does by itself to give space back.
    fn rest(&self) -> Result<()>;

    /// Gives back what space it can when it is told to, in an engine that can do more than that in [`Engine::settle`].
    fn compact(&self) -> Result<()> {
        Ok(())
    }
}

/// Jobs in a table of their own, keyed by number.
pub trait Queue: Sync {
    /// Puts jobs, numbered from `first` on, in one transaction.
    fn put_jobs(&self, first: u32, jobs: &[&[u8]], durability: Durability) -> Result<()>;

    /// Takes the first job there is, from any number of threads: one transaction looks at the first
    /// row and deletes it, so that no other one can take the same job. `None` if there is no job.
    fn take_job(&self, durability: Durability) -> Result<Option<Job>>;
}

/// A job that was taken, with its bytes, which outlive the row.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Job {
    pub number: u32,
    pub payload: Vec<u8>,
}

impl Job {
    /// The key of a job: in the order of the numbers.
    pub fn key(number: u32) -> [u8; 4] {
        number.to_be_bytes()
    }

    /// The job in a row of the table.
    pub fn of(key: &[u8], payload: impl Into<Vec<u8>>) -> Result<Self> {
        let number = u32::from_be_bytes(key.try_into()?);
        Ok(Job { number, payload: payload.into() })
    }
}

/// What happens to a child when its parent closes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Policy {
    Terminate,
    RequestCancel,
}

/// What a parent's close asks for, for one child.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Due {
    /// The child's current run.
    pub run: [u8; 16],
    pub policy: Policy,
}

/// Parents, children and current runs.
///
/// For a general store the natural schema is: a row per event, keyed by run and event id; an index
/// parent → child with the close policy and whether it was applied; a row per workflow id with its
/// current run and how that stands. Every step changes all of them in one transaction.
pub trait Relations {
    /// Starts a parent run and `children` child runs, each Initiated and Started in the parent and
    /// begun by an event of its own; [`policy`] says which policy each has. `children` may come in
    /// several calls; the first begins with 0. Durability: [`Durability::Os`].
    fn start_family(&self, family: Family, children: Range<u32>) -> Result<()>;

    /// Closes the parent with one event.
    fn close_parent(&self, family: Family, durability: Durability) -> Result<()>;

    /// What the close asks for: every open child of the closed parent whose policy was not applied.
    fn plan(&self, family: Family) -> Result<Vec<Due>>;

    /// Applies all of it: Terminated or CancelRequested in the child, and the mark that it is done,
    /// in as few transactions as the engine does best; how many children it reached. It plans anew.
    fn apply(&self, family: Family, durability: Durability) -> Result<usize>;

    /// The current run of a workflow id.
    fn current_run(&self, workflow_id: &str) -> Result<Option<[u8; 16]>>;
}

/// A parent and its children: their run numbers follow one another.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Family {
    /// The parent's run number; child `n` has `parent + 1 + n`.
    pub parent: u32,
}

impl Family {
    pub fn child(self, n: u32) -> u32 {
        self.parent + 1 + n
    }
}

/// The policy of child `n` of any parent.
pub fn policy(n: u32) -> Policy {
    if n.is_multiple_of(2) { Policy::Terminate } else { Policy::RequestCancel }
}

/// The id of a run: as random as a v4 UUID is, and the same every time.
pub fn run_id(run: u32) -> [u8; 16] {
    let mut id = [0; 16];
    let mut state = u64::from(run) ^ 0x6b69_6e6c_6f67;
    for half in id.chunks_exact_mut(8) {
        half.copy_from_slice(&crate::data::next(&mut state).to_le_bytes());
    }
    id
}

/// The workflow id of a run.
pub fn workflow_id(run: u32) -> String {
    format!("workflow-{run:08}")
}
