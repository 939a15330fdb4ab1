//! One life of a store in a trial: commits, steps between them, and its end.

use kinlog::retention::Compaction;
use kinlog::{Error, Store};

use crate::disk::{Operation, SimulatedDisk};
use crate::reference::{STORE, options};
use crate::schedule::{End, Life, Step};
use crate::trial::{Over, Trial};

impl Trial<'_> {
    pub(crate) fn live(&mut self, life: &Life, number: u64) -> Result<(), String> {
        let disk = SimulatedDisk::with(self.content.clone(), self.reference.world.seed ^ number);
        disk.set_faults(life.faults.clone());
        if let End::Kill(at) | End::PowerLoss(at, _) = life.end {
            disk.cut_power_at(at);
        }
        match options(self.reference.world, &disk).open(STORE) {
            Ok(store) => self.go_on(life, &disk, store)?,
            Err(Error::Io { .. }) if disk.was_disturbed() => self.attempted(),
            Err(error) => return Err(format!("opening: {error}")),
        }
        self.operations.push(disk.count(Operation::Any));
        self.content = disk.content();
        if let End::PowerLoss(_, survivors) = life.end {
            self.content = self.content.after_power_loss(survivors);
            self.kept = self.durable;
        }
        Ok(())
    }

    fn go_on(&mut self, life: &Life, disk: &SimulatedDisk, store: Store) -> Result<(), String> {
        self.take_in(&store, disk)?;
        let Some(store) = self.go_through(life, disk, store)? else { return Ok(()) };
        if !disk.is_dead() {
            let found = self.check_commits(&store, "while it is open")?;
            self.check_histories(&store, found)
                .map_err(|what| format!("while it is open: {what}"))?;
        }
        match life.end {
            End::Close => self.close(disk, store)?,
            End::Kill(_) | End::PowerLoss(..) => {
                disk.cut_power();
                drop(store);
            }
        }
        Ok(())
    }

    /// Commits and steps, as long as the store takes part; `None` if it could not be opened again.
    fn go_through(
        &mut self,
        life: &Life,
        disk: &SimulatedDisk,
        mut store: Store,
    ) -> Result<Option<Store>, String> {
        let reached = self.kept..=life.commits;
        for step in life.steps.iter().filter(|step| reached.contains(&step.after())) {
            if self.lasts_upto(step.after(), disk, &store)?.is_err() {
                return Ok(Some(store));
            }
            match step {
                Step::Rest(_) => self.rest(disk, &store)?,
                Step::Compact(_) => self.compact(disk, &store)?,
                Step::Reopen(_) => match self.reopen(disk, store)? {
                    Some(again) => store = again,
                    None => return Ok(None),
                },
            }
        }
        let _ = self.lasts_upto(life.commits, disk, &store)?;
        Ok(Some(store))
    }

    /// Commits as long as the disk lets it.
    fn lasts_upto(
        &mut self,
        commits: usize,
        disk: &SimulatedDisk,
        store: &Store,
    ) -> Result<Result<(), Over>, String> {
        let whole = self.commit_upto(commits, disk, store)?;
        if whole.is_err() && !disk.was_disturbed() {
            return Err("a commit failed though nothing disturbed it".into());
        }
        Ok(whole)
    }

    /// Lets the store come to rest: the manifest vouches for what is on the device from then on.
    fn rest(&mut self, disk: &SimulatedDisk, store: &Store) -> Result<(), String> {
        match store.rest() {
            Ok(()) => self.vouched = self.vouched.max(self.durable),
            Err(_) if disk.was_disturbed() => {}
            Err(error) => return Err(format!("resting: {error}")),
        }
        Ok(())
    }

    /// Compacts the store, whatever little is dead. If it fails, nothing is lost.
    fn compact(&mut self, disk: &SimulatedDisk, store: &Store) -> Result<(), String> {
        let compaction = Compaction::new().dead_percent(0);
        let packs = self.reference.world.packs();
        match store.compact(&if packs { compaction.pack() } else { compaction }) {
            Ok(done) => {
                self.durable = self.kept;
                self.rewritten += done.rewritten;
                self.packed = store.stats().map_or(0, |stats| stats.packed_segments);
                if done.rewritten > 0 {
                    self.vouched = self.kept;
                }
            }
            Err(_) if disk.was_disturbed() => {}
            Err(error) => return Err(format!("compacting: {error}")),
        }
        Ok(())
    }

    fn close(&mut self, disk: &SimulatedDisk, store: Store) -> Result<(), String> {
        let closed = store.shut_down();
        self.closed = match &closed {
            Ok(()) => Some(true),
            Err(Error::OutcomeUnknown { .. } | Error::NotWritten { .. }) => Some(false),
            Err(_) => None,
        };
        match closed {
            // What was buffered was synced.
            Ok(()) => self.durable = self.kept,
            Err(_) if disk.was_disturbed() => {}
            Err(error) => return Err(format!("closing: {error}")),
        }
        Ok(())
    }

    /// An opening that failed may have got as far as to say that the store is open.
    fn attempted(&mut self) {
        self.closed = self.closed.filter(|in_order| !in_order);
    }

    fn reopen(&mut self, disk: &SimulatedDisk, store: Store) -> Result<Option<Store>, String> {
        self.close(disk, store)?;
        match options(self.reference.world, disk).open(STORE) {
            Ok(store) => self.take_in(&store, disk).map(|()| Some(store)),
            Err(Error::Io { .. }) if disk.was_disturbed() => {
                self.attempted();
                Ok(None)
            }
            Err(error) => Err(format!("opening again: {error}")),
        }
    }
}
