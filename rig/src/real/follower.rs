//! The same world on a disk that never fails, as far as it is asked for.

use std::fmt::Debug;
use std::sync::Arc;

use kinlog::{Options, Store};

use crate::disk::SimulatedDisk;
use crate::portrait::{self, Told};
use crate::reference::STORE;
use crate::world::{Given, World};

/// A world that goes on step by step. A [`Reference`](crate::reference::Reference) holds the state
/// after each commit, which a world of thousands of commits has too many of; this one holds the
/// last.
pub struct Follower {
    world: World,
    /// Another world goes on from this commit.
    then: Option<(usize, World)>,
    disk: SimulatedDisk,
    store: Store,
    lines: Vec<Told>,
}

impl Follower {
    /// The world before its first commit.
    ///
    /// # Errors
    /// What the store says, which is wrong on such a disk.
    pub fn new(world: World, segment_bytes: u32) -> Result<Self, String> {
        let disk = SimulatedDisk::new(world.seed);
        let options = Options::new().segment_bytes(segment_bytes).disk(Arc::new(disk.clone()));
        let store = options.open(STORE).map_err(|error| format!("follower: {error}"))?;
        Ok(Follower { world, then: None, disk, store, lines: vec![] })
    }

    /// Lets another world go on from its commit `from`.
    pub fn then(&mut self, from: usize, world: World) {
        self.then = Some((from, world));
    }

    /// The world that goes on.
    #[must_use]
    pub fn world(&self) -> World {
        self.then.map_or(self.world, |(_, world)| world)
    }

    fn world_of(&self, number: usize) -> World {
        self.then.filter(|(from, _)| *from <= number).map_or(self.world, |(_, world)| world)
    }

    /// Goes on to `commits`. It never goes back.
    ///
    /// # Errors
    /// What the store says, which is wrong on such a disk.
    pub fn go_to(&mut self, commits: usize) -> Result<(), String> {
        self.try_go_to(commits).map_err(|error| format!("follower: {error}"))
    }

    fn try_go_to(&mut self, commits: usize) -> kinlog::Result<()> {
        for number in self.lines.len()..commits {
            let world = self.world_of(number);
            world.prepare(&self.disk, number);
            if let Given::Submitted(handle, _) = world.commit(&self.store, number)? {
                handle.wait()?;
            }
        }
        self.lines = portrait::commits(&self.store)?;
        Ok(())
    }

    /// Compares a store that should hold the same with this one.
    ///
    /// # Errors
    /// The first difference.
    pub fn compare(&self, store: &Store) -> Result<(), String> {
        let commits = portrait::commits(store).map_err(|error| format!("reading: {error}"))?;
        same("commit", &commits, &self.lines)?;
        let found = portrait::state(store).map_err(|error| format!("reading: {error}"))?;
        let expected =
            portrait::state(&self.store).map_err(|error| format!("follower: {error}"))?;
        same("line of the state", &found, &expected)
    }
}

fn same<T: PartialEq + Debug>(what: &str, found: &[T], expected: &[T]) -> Result<(), String> {
    let lines = found.len().max(expected.len());
    match (0..lines).find(|line| found.get(*line) != expected.get(*line)) {
        None => Ok(()),
        Some(line) => {
            let (found, expected) = (found.get(line), expected.get(line));
            Err(format!("{what} {line} is {found:?}, should be {expected:?}"))
        }
    }
}
