//! Deletion and retention: what is kept of runs that have closed.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use crate::bytes::{put, u32_at, u64_at};
use crate::id::{Position, Timestamp};

/// What is kept of a run that is deleted.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Keep {
    /// How it ended: [`RunInfo`](crate::RunInfo), with its sizes as they were, and the event that closed it. It goes on
    /// counting as a run of its workflow id, so that a repeated start finds it. Its history is deleted.
    Outcome,
    /// Nothing. Its workflow id is free, if it was the current run.
    Nothing,
}

impl Keep {
    /// The name, in camel case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Keep::Outcome => "Outcome",
            Keep::Nothing => "Nothing",
        }
    }

    /// The number by which the log and the index's files call it.
    pub(crate) const fn number(self) -> u8 {
        match self {
            Keep::Nothing => 0,
            Keep::Outcome => 1,
        }
    }

    pub(crate) fn from_number(number: u8) -> Option<Self> {
        [Keep::Nothing, Keep::Outcome].into_iter().find(|keep| keep.number() == number)
    }
}

/// How long a namespace keeps its runs once they have closed; what is older is deleted by
/// [`Store::expire`](crate::Store::expire). The default keeps everything.
///
/// It is asked when runs expire, so a change holds for what is there already.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// # let store = kinlog::Store::open(dir.path())?;
/// use std::time::Duration;
/// use kinlog::retention::Retention;
///
/// const DAY: Duration = Duration::from_secs(86_400);
/// // Histories for a week, outcomes for a year.
/// let retention = Retention::new().history(7 * DAY).outcome(365 * DAY);
/// store.set_retention("shop", retention)?;
/// assert_eq!(store.retention("shop"), retention);
/// # Ok::<(), kinlog::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Retention {
    /// How long after a run has closed its history is kept; from then on its outcome alone. `None`: for ever.
    pub history: Option<Duration>,
    /// How long after a run has closed its outcome is kept; from then on nothing, whatever `history` says. `None`: for ever.
    pub outcome: Option<Duration>,
    /// How many runs of a chain are kept, its last run among them; of those before nothing is kept. `None`: all. Of imported
    /// runs, those are of a chain that name the same first run, the last ones are those that started last, and the one that
    /// was imported last is kept beside them.
    pub chain_runs: Option<NonZeroU32>,
}

impl Retention {
    /// Keeps everything.
    #[must_use]
    pub fn new() -> Self {
        Retention::default()
    }

    /// Keeps histories for so long, to the nanosecond; more than 584 years are for ever.
    #[must_use]
    pub fn history(mut self, after_close: Duration) -> Self {
        self.history = nanos(after_close).map(Duration::from_nanos);
        self
    }

    /// Keeps outcomes for so long, likewise.
    #[must_use]
    pub fn outcome(mut self, after_close: Duration) -> Self {
        self.outcome = nanos(after_close).map(Duration::from_nanos);
        self
    }

    /// Keeps so many runs of a chain.
    #[must_use]
    pub fn chain_runs(mut self, runs: NonZeroU32) -> Self {
        self.chain_runs = Some(runs);
        self
    }

    /// The bytes of it in a namespace's row.
    pub(crate) fn encode(self) -> [u8; RETENTION_BYTES] {
        let age = |kept: Option<Duration>| kept.and_then(nanos).unwrap_or(FOR_EVER);
        let mut bytes = [0; RETENTION_BYTES];
        put(&mut bytes, 0, &age(self.history).to_le_bytes());
        put(&mut bytes, 8, &age(self.outcome).to_le_bytes());
        put(&mut bytes, 16, &self.chain_runs.map_or(0, NonZeroU32::get).to_le_bytes());
        bytes
    }

    /// What [`Retention::encode`] has made; `None` if the bytes are cut short.
    pub(crate) fn decode(bytes: &[u8]) -> Option<Self> {
        let bytes = bytes.get(..RETENTION_BYTES)?;
        let age = |at| {
            Some(u64_at(bytes, at)?)
                .map(|nanos| (nanos != FOR_EVER).then(|| Duration::from_nanos(nanos)))
        };
        Some(Retention {
            history: age(0)?,
            outcome: age(8)?,
            chain_runs: NonZeroU32::new(u32_at(bytes, 16)?),
        })
    }
}

/// What [`Store::delete_tree`](crate::Store::delete_tree) came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct DeletedTree {
    /// Chains that were deleted, that of the run among them.
    pub chains: u64,
    /// Chains that were left: they are open, or their ends are still to be told.
    pub left: u64,
}

/// What [`Store::expire`](crate::Store::expire) came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Expired {
    /// Runs of which nothing was kept.
    pub runs: u64,
    /// Runs of which the outcome was kept.
    pub outcomes: u64,
    /// Runs that have expired and cannot be deleted yet, as [`Error::NotDeletable`](crate::Error::NotDeletable) says: they are tried again by each call.
    pub refused: u64,
    /// Commits that it took.
    pub commits: u64,
    /// Whether it ended because it had deleted as many as it was to.
    pub more: bool,
}

/// What [`Store::erase`](crate::Store::erase) came to.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Erased {
    /// Runs that were erased.
    pub runs: u64,
    /// Deleted runs of which nothing was kept and that are left.
    pub left: u64,
    /// Commits that it took.
    pub commits: u64,
}

/// Which segments [`Store::compact`](crate::Store::compact) rewrites. By default those of which a quarter is dead.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Compaction {
    /// A segment is rewritten if so many per cent of its file would come back, 0 to 100.
    pub dead_percent: u8,
    /// Segments from this position on are left as they are, for a [`Tail`](crate::Tail) that has not come further; those
    /// from the position on of the slowest [consumer](crate::Store::consumers) are in any case.
    pub keep_from: Option<Position>,
    pub(crate) packs: bool,
    /// Rewrites each segment of which anything is dead, even if its file gets longer by that.
    pub(crate) drops_all: bool,
}

impl Default for Compaction {
    fn default() -> Self {
        Compaction { dead_percent: 25, keep_from: None, packs: false, drops_all: false }
    }
}

impl Compaction {
    /// As by default.
    #[must_use]
    pub fn new() -> Self {
        Compaction::default()
    }

    /// Rewrites segments of which so much would come back. With 0, those of which anything would.
    #[must_use]
    pub fn dead_percent(mut self, percent: u8) -> Self {
        self.dead_percent = percent.min(100);
        self
    }

    /// Leaves segments as they are from this position on: as far as a consumer of the [`Tail`](crate::Tail) has come.
    #[must_use]
    pub fn keep_from(mut self, position: Position) -> Self {
        self.keep_from = Some(position);
        self
    }

    pub(crate) fn drops_all(self) -> Self {
        Compaction { drops_all: true, ..self }
    }

    /// Packs histories of closed runs: they are compressed with zstd in blocks of 512 KiB, unpacked, of whole runs. Recorded
    /// Temporal histories take a fifth of their protobuf encoding then. Whatever reads them goes on as before; the first event that is
    /// read of a block takes 0.15 to 0.3 ms, as all of it is unpacked. What a history or a snapshot has read of packed runs stays in memory
    /// until it is dropped, and beside that the store keeps the last 8 MiB that it has unpacked. Once a segment is packed it stays so, also without this.
    ///
    /// A segment that is not packed is rewritten if enough would come back, taking packed bytes for a fifth of what they were. Payloads that are
    /// encrypted, or compressed already, take as much as before: they are packed once, for nothing.
    ///
    /// A build of kinlog without the feature `zstd` cannot open the store from then on:
    /// [`Error::Packed`](crate::Error::Packed).
    #[cfg(feature = "zstd")]
    #[must_use]
    pub fn pack(mut self) -> Self {
        self.packs = true;
        self
    }
}

/// What [`Store::compact`](crate::Store::compact) came to, or, by [`Store::space`](crate::Store::space), would come to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Compacted {
    /// The segments that it looked at, in order: all that are full, that the index in files covers, and that nothing
    /// holds back. By [`Store::space`](crate::Store::space): all.
    pub segments: Vec<SegmentSpace>,
    /// What it has not looked at because somebody is to read it commit by commit; `None` if there is no such segment.
    pub held_back: Option<HeldBack>,
    /// Segments that were rewritten.
    pub rewritten: u32,
    /// Bytes by which files became shorter. The device has them back once no reader holds what was before.
    pub freed_bytes: u64,
    /// Bytes that were written.
    pub written_bytes: u64,
}

/// Segments that a compaction leaves as they are for somebody who has not come further.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct HeldBack {
    /// For whom: the slowest [consumer](crate::Store::consumers). `None`: for whom [`Compaction::keep_from`] is, or for
    /// a consumer that was being made.
    pub consumer: Option<String>,
    /// How far they have come.
    pub position: Position,
    /// How many segments are left.
    pub segments: u32,
    /// The bytes of their files.
    pub bytes: u64,
}

/// What the bytes of a segment's file are used for. What is live, dead, pinned, index and free adds up to the length of the
/// file, to the byte.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct SegmentSpace {
    /// The segment's number, as in the file's name.
    pub segment: u32,
    /// The length of its file, before it was rewritten.
    pub file_bytes: u64,
    /// What a reader may still ask for, and what the index follows from. Of a packed segment, of which blocks are partly dead,
    /// it is about so much.
    pub live_bytes: u64,
    /// What was deleted or overwritten, and the end of a full segment, which no commit has taken.
    pub dead_bytes: u64,
    /// What is dead likewise, and stays as somebody is to read it commit by commit: [`Compacted::held_back`].
    pub pinned_bytes: u64,
    /// The header, and the tables that say where the rest is in a segment that was compacted.
    pub index_bytes: u64,
    /// What commits to come will take.
    pub free_bytes: u64,
    /// The length that the file has once what is dead is gone, with a table of what is left. It may be longer by that. About so
    /// much if something of it is packed.
    pub left_bytes: u64,
    /// Files of the segment from before a compaction, which snapshots and histories of this process hold. They are no part of
    /// the others: the file has taken their place.
    pub held_bytes: u64,
    /// Whether it was rewritten.
    pub rewritten: bool,
}

/// What a thread of the store's does now and then: [expiring](crate::Store::expire) all that has expired, and then
/// [compacting](crate::Store::compact); see [`Options::maintenance`](crate::Options::maintenance).
#[derive(Clone)]
pub struct Maintenance {
    pub(crate) every: Duration,
    pub(crate) compaction: Compaction,
    pub(crate) now: Option<Arc<dyn Fn() -> Timestamp + Send + Sync>>,
}

impl Maintenance {
    /// A round so long after the end of the one before, the first one so long after the opening. A round reads every full
    /// segment of the log, unless nothing has changed. With [`Duration::MAX`] there are only those that
    /// [`Store::maintain`](crate::Store::maintain) asks for; zero is refused at the opening.
    #[must_use]
    pub fn every(rest: Duration) -> Self {
        Maintenance { every: rest, compaction: Compaction::default(), now: None }
    }

    /// Which segments are rewritten.
    #[must_use]
    pub fn compaction(mut self, compaction: Compaction) -> Self {
        self.compaction = compaction;
        self
    }

    /// The clock by which runs expire. The default is [that of the store](crate::Options::clock). It is called once a round, by
    /// the thread, and must not panic: that ends the thread.
    #[must_use]
    pub fn now(mut self, now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        self.now = Some(Arc::new(now));
        self
    }
}

impl fmt::Debug for Maintenance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("Maintenance");
        shown.field("every", &self.every).field("compaction", &self.compaction);
        shown.finish_non_exhaustive()
    }
}

/// What a round of [`Maintenance`] came to.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct Maintained {
    /// What has expired.
    pub expired: Expired,
    /// What was erased.
    pub erased: Erased,
    /// What the compaction came to; `None` if nothing has changed since the last one, or the store was being closed.
    pub compacted: Option<Compacted>,
}

/// The bytes of it: two ages, a number of runs, and four that are zero.
pub(crate) const RETENTION_BYTES: usize = 24;

/// In the place of an age.
const FOR_EVER: u64 = u64::MAX;

/// An age in nanoseconds; `None` if it is too long.
fn nanos(age: Duration) -> Option<u64> {
    u64::try_from(age.as_nanos()).ok().filter(|nanos| *nanos != FOR_EVER)
}
