//! What happens in a store: operations drawn at random, each of which ends with one commit. Of a world that sheds, some
//! erase before that.
//!
//! An operation depends on the seed, on its number and on what the store holds, and on nothing else.
//! So a store that lost its last commits gets the same ones again when the world goes on, and any
//! two worlds with the same seed hold the same after the same number of commits.

use std::fmt;
use std::str::FromStr;

use kinlog::retention::Keep;
use kinlog::{
    Close, Commit, CommitHandle, Durability, DutyFilter, EventKind, NewChild, NewEvent, NewReset,
    NewRun, NextRun, ParentClosePolicy, Result, RunId, RunInfo, RunStatus, Snapshot, Store, Target,
    Transaction,
};

use crate::random::Random;
use crate::shedding::{die_away, others, shed};
use crate::steady::Steady;

/// The table with one row for each commit.
pub const COMMITS: &str = "commits";
/// A table that changes.
pub const TIMERS: &str = "timers";
pub(crate) const NAMESPACE: &str = "rig";

/// A world by its seed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct World {
    /// The seed.
    pub seed: u64,
    /// Much of it is soon dead: rows are overwritten and runs deleted, in short segments, so that it can be compacted.
    pub sheds: bool,
}

impl World {
    /// Whether compactions pack, of a world that sheds.
    #[must_use]
    pub fn packs(&self) -> bool {
        self.seed & 4 > 0
    }
}

impl fmt::Display for World {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.seed, if self.sheds { ":sheds" } else { "" })
    }
}

impl FromStr for World {
    type Err = String;

    fn from_str(text: &str) -> std::result::Result<Self, String> {
        let (seed, sheds) = match text.strip_suffix(":sheds") {
            Some(seed) => (seed, true),
            None => (text, false),
        };
        let seed = seed.parse().map_err(|_| format!("{text:?} is no world"))?;
        Ok(World { seed, sheds })
    }
}

/// How a commit was given to the store.
pub enum Given {
    /// It is there, as durable as it says.
    Done(Commit, Durability),
    /// It is on its way.
    Submitted(CommitHandle, Durability),
}

impl Given {
    /// Waits for it.
    ///
    /// # Errors
    /// What the store says.
    pub fn wait(self) -> Result<()> {
        match self {
            Given::Done(..) => Ok(()),
            Given::Submitted(handle, _) => handle.wait().map(drop),
        }
    }
}

impl World {
    /// A world of which little is ever dead.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        World { seed, sheds: false }
    }

    /// Whether the operation with this number erases before its commit.
    #[must_use]
    pub fn erases(&self, number: usize) -> bool {
        let drawn = Random::of(self.seed.rotate_left(31), number as u64).chance(30);
        self.sheds && drawn && !self.is_independent(number)
    }

    /// Erases what can be, if the operation with this number does; returns how many commits it took. Everything before must
    /// be visible. Done once more, it takes none.
    ///
    /// # Errors
    /// What the store says.
    pub fn erase(&self, store: &Store, number: usize) -> Result<u64> {
        if self.erases(number) { store.erase().map(|erased| erased.commits) } else { Ok(0) }
    }

    /// Gives the store its commit with this number. Everything before must be visible, except
    /// where [`World::is_independent`] says that it does not matter.
    ///
    /// # Errors
    /// What the store says.
    pub fn commit(&self, store: &Store, number: usize) -> Result<Given> {
        let mut random = Random::of(self.seed, number as u64);
        let mut tx = store.begin();
        if self.is_independent(number) {
            start(&mut tx, &mut random, number)?;
            mark(&mut tx, number)?;
            let durability =
                if random.chance(50) { Durability::Sync } else { Durability::Buffered };
            let submitted = match tx.submit(durability) {
                // A segment of a world that sheds is too short for the largest ones.
                Err(error) if is_refusal(&error) => {
                    let mut tx = store.begin();
                    mark(&mut tx, number)?;
                    tx.submit(durability)
                }
                submitted => submitted,
            };
            return submitted.map(|handle| Given::Submitted(handle, durability));
        }
        self.build(store, &mut tx, &mut random, number)?;
        let durability = if random.chance(70) { Durability::Sync } else { Durability::Buffered };
        match tx.commit_with(durability) {
            Ok(commit) => Ok(Given::Done(commit, durability)),
            // What was legal step by step may be illegal as a whole.
            Err(error) if is_refusal(&error) => {
                let mut tx = store.begin();
                mark(&mut tx, number)?;
                tx.commit_with(durability).map(|commit| Given::Done(commit, durability))
            }
            Err(error) => Err(error),
        }
    }

    /// Whether the commit is the same whatever is in the store: it is submitted and may share a
    /// group with those before and behind it.
    #[must_use]
    pub fn is_independent(&self, number: usize) -> bool {
        number > 0 && Random::of(self.seed, !(number as u64)).chance(30)
    }

    /// What the clock shows at this commit, in nanoseconds. It jumps now and then, backward too.
    #[must_use]
    pub fn time(&self, number: usize) -> i64 {
        let mut random = Random::of(self.seed, u64::MAX);
        let step = |now: i64, _| match random.below(12) {
            0 => now + random.below(1 << 50) as i64 - (1 << 49),
            _ => now + 1_000_000,
        };
        (0..number).fold(1 << 60, step)
    }

    /// Sets the disk's clock and its random numbers to what they are for this commit.
    pub fn prepare(&self, disk: &impl Steady, number: usize) {
        disk.set_now(self.time(number));
        disk.set_random(Random::of(self.seed.rotate_left(17), number as u64).draw());
    }

    fn build(
        &self,
        store: &Store,
        tx: &mut Transaction<'_>,
        random: &mut Random,
        number: usize,
    ) -> Result<()> {
        let snapshot = store.snapshot();
        for _ in 0..1 + random.below(4) {
            let taken = match self.sheds && random.chance(60) {
                true if random.chance(30) => die_away(&snapshot, tx, random, number),
                true => shed(&snapshot, tx, random),
                false => step(store, &snapshot, tx, random, number),
            };
            match taken {
                Err(error) if !is_refusal(&error) => return Err(error),
                _ => {}
            }
        }
        mark(tx, number)
    }
}

/// Whether the store refused what was asked, rather than failed.
fn is_refusal(error: &kinlog::Error) -> bool {
    use kinlog::Error::{
        Conflict, IllegalEvent, InvalidArgument, LimitExceeded, NotDeletable, RunClosed,
        RunDeleted, RunExists, RunNotFound, WorkflowExists,
    };
    matches!(
        error,
        Conflict { .. }
            | IllegalEvent { .. }
            | InvalidArgument { .. }
            | LimitExceeded { .. }
            | NotDeletable { .. }
            | RunClosed { .. }
            | RunDeleted { .. }
            | RunExists { .. }
            | RunNotFound { .. }
            | WorkflowExists { .. }
    )
}

/// The row that says which commit this is.
fn mark(tx: &mut Transaction<'_>, number: usize) -> Result<()> {
    tx.put(COMMITS, &(number as u64).to_be_bytes(), b"there")
}

fn start(tx: &mut Transaction<'_>, random: &mut Random, number: usize) -> Result<RunId> {
    let (workflow, input) = (format!("order-{number}"), payload(random));
    tx.start(NewRun::new(NAMESPACE, &workflow, "Order").input(&input).id(id(random)))
}

fn step(
    store: &Store,
    snapshot: &Snapshot,
    tx: &mut Transaction<'_>,
    random: &mut Random,
    number: usize,
) -> Result<()> {
    let runs = others(snapshot)?;
    let open: Vec<&RunInfo> = runs.iter().filter(|run| run.status == RunStatus::Running).collect();
    if open.is_empty() {
        return start(tx, random, number).map(drop);
    }
    let run = open[random.below(open.len())].id;
    let data = payload(random);
    match random.below(100) {
        0..8 => drop(start(tx, random, number)?),
        8..30 => {
            let event = NewEvent::opaque(EventKind::MARKER_RECORDED, &data);
            tx.append(&run, event)?;
        }
        30..46 => {
            let workflow = format!("child-{}", random.below(8));
            let child = NewChild::new(&workflow, "Shipping").input(&data).id(id(random));
            tx.spawn_child(&run, child.on_parent_close(policy(random)))?;
        }
        46..52 => {
            let workflow = format!("late-{}", random.below(8));
            let child = NewChild::new(&workflow, "Late").on_parent_close(policy(random));
            tx.initiate_child(&run, child)?;
        }
        52..58 => drop(tx.close_run(&run, Close::completed(&data))?),
        58..61 => drop(tx.close_run(&run, Close::terminated("enough"))?),
        61..67 => {
            tx.continue_as_new(&run, NextRun::new("Order").input(&data).id(id(random)))?;
        }
        67..70 => {
            let base = &runs[random.below(runs.len())];
            let last = u32::try_from(1 + random.below(base.events as usize)).unwrap_or(1);
            tx.reset(&base.id, NewReset::to(last).id(id(random)))?;
        }
        70..74 => drop(tx.request_cancel(&run, &data)?),
        74..78 => {
            let other = &runs[random.below(runs.len())].workflow_id;
            tx.signal_external(&run, Target::workflow(other), "go", &data)?;
        }
        78..90 => {
            for duty in store.duties(DutyFilter::all()).take(4) {
                tx.settle(&duty?)?;
            }
        }
        90..94 => tx.put(TIMERS, &[random.below(6) as u8], &data)?,
        94..97 => {
            let closed = runs.iter().filter(|run| run.status != RunStatus::Running);
            let closed: Vec<_> = closed.map(|run| run.id).collect();
            for _ in 0..closed.len().min(2) {
                let (run, keep) =
                    (random.pick(&closed), random.pick(&[Keep::Outcome, Keep::Nothing]));
                match random.chance(50) {
                    true => tx.delete_chain(&run, keep)?,
                    false => tx.delete_run(&run, keep)?,
                }
            }
        }
        _ => tx.delete(TIMERS, &[random.below(6) as u8])?,
    }
    Ok(())
}

fn policy(random: &mut Random) -> ParentClosePolicy {
    use ParentClosePolicy::{Abandon, RequestCancel, Terminate};
    random.pick(&[Abandon, RequestCancel, Terminate])
}

pub(crate) fn id(random: &mut Random) -> RunId {
    let mut bytes = [0; 16];
    bytes[..8].copy_from_slice(&random.draw().to_le_bytes());
    bytes[8..].copy_from_slice(&random.draw().to_le_bytes());
    RunId::from_bytes(bytes)
}

/// Mostly small, sometimes as large as a good part of a segment, and rarely too large for the first one.
pub(crate) fn payload(random: &mut Random) -> Vec<u8> {
    let len = match random.below(20) {
        0..13 => random.below(200),
        13..19 => random.below(3_000),
        _ if random.chance(10) => 60_000 + random.below(60_000),
        _ => random.below(20_000),
    };
    // Zeros, too: unused log space is zero.
    let fill = random.pick(&[0u8, 0x55, 0xff]);
    let mut bytes = vec![fill; len];
    bytes.iter_mut().step_by(7).for_each(|byte| *byte = random.draw() as u8);
    bytes
}
