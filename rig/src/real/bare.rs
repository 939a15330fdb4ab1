//! The simulated disk itself as a file system of the machine.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use fuser::BackgroundSession;

use super::front;
use super::ground::{End, Ground};
use super::loader::Loader;
use crate::disk::{Content, Errno, Fault, Operation, SimulatedDisk, Survivors, Wrong};
use crate::random::Random;

/// A [`SimulatedDisk`], mounted. A power loss leaves of unsynced writes and names what a seed says;
/// before that, operations may fail, be cut short or interrupted.
pub(super) struct Bare {
    disk: SimulatedDisk,
    /// Taken before it is mounted anew.
    mounted: Option<BackgroundSession>,
    at: PathBuf,
    store: PathBuf,
    random: Random,
    faulty: u64,
}

impl Bare {
    pub(super) fn start(dir: &Path, seed: u64) -> Result<Self, String> {
        let (disk, at) = (SimulatedDisk::new(seed), dir.join("mounted"));
        let (store, random) = (at.join("store"), Random::of(seed, 2));
        let mut bare = Bare { disk, mounted: None, at, store, random, faulty: 0 };
        bare.start_with(Content::default())?;
        Ok(bare)
    }

    /// Starts the machine with what is on the disk.
    fn start_with(&mut self, content: Content) -> Result<(), String> {
        self.stop()?;
        self.disk = SimulatedDisk::with(content, self.random.draw());
        let rough = Random::new(self.random.draw());
        let mounted = front::mount(Arc::new(self.disk.clone()), &self.at, Some(rough));
        self.mounted = Some(mounted.map_err(|error| format!("mounting: {error}"))?);
        Ok(())
    }

    fn stop(&mut self) -> Result<(), String> {
        let stopped = self.mounted.take().map_or(Ok(()), BackgroundSession::umount_and_join);
        stopped.map_err(|error| format!("unmounting: {error}"))
    }

    /// What fails in the life to come: in one of three an operation, sooner or later.
    fn fault(&mut self) -> Vec<Fault> {
        use Operation::{Rename, Sync, SyncDir, Write};
        let random = &mut self.random;
        if !random.chance(33) {
            return vec![];
        }
        let operation = random.pick(&[Write, Write, Sync, Sync, SyncDir, Rename]);
        vec![Fault {
            operation,
            nth: self.disk.count(operation) + random.below(60) as u64,
            times: 1,
            wrong: random.pick(&[Wrong::Nothing, Wrong::Half, Wrong::All]),
            errno: random.pick(&[Errno::Eio, Errno::Enospc]),
        }]
    }
}

impl Ground for Bare {
    fn store(&self) -> &Path {
        &self.store
    }

    fn begin(&mut self) {
        let faults = self.fault();
        self.disk.set_faults(faults);
        // Most moments are idle ones: in most lives the power goes in the middle of an operation.
        if self.random.chance(70) {
            let nth = self.disk.count(Operation::Any) + self.random.below(500) as u64;
            self.disk.cut_power_at(nth);
        }
    }

    fn end(&mut self, loader: Loader) -> Result<End, String> {
        // Only a fault, or the end itself, excuses a failure.
        let excuse = self.disk.was_disturbed() || loader.said().failed.is_none();
        self.faulty += u64::from(self.disk.was_disturbed() && !self.disk.is_dead());
        // From here on nothing is synced, so nothing is acknowledged as durable that is not.
        self.disk.cut_power();
        let said = loader.kill()?;
        let survivors = match self.random.below(4) {
            0 => Survivors::Nothing,
            1 => Survivors::Pages(self.random.draw()),
            _ => Survivors::Sectors(self.random.draw()),
        };
        let content = self.disk.content().after_power_loss(survivors);
        self.start_with(content)?;
        Ok(End { kept: said.durable, said, excuse })
    }

    fn remark(&self) -> String {
        format!("{} lives ended with an operation that failed", self.faulty)
    }

    fn clear(&mut self) -> Result<(), String> {
        self.start_with(Content::default())
    }
}

impl Drop for Bare {
    fn drop(&mut self) {
        if let Err(what) = self.stop() {
            eprintln!("{what}");
        }
    }
}
