//! What a world comes to on a disk that never fails.

use std::sync::Arc;

use kinlog::{Options, Position, Store};

use crate::disk::SimulatedDisk;
use crate::portrait::{self, Told};
use crate::world::{Given, World};

/// The size of the longest segments: small, so that a world fills shorter ones and one of these.
pub const SEGMENT_BYTES: u32 = 256 << 10;
/// The size of all segments of a world that sheds.
pub const SHORT_SEGMENT_BYTES: u32 = 64 << 10;
/// Where the store lies on simulated disks.
pub const STORE: &str = "/data/store";

/// How the store on a simulated disk is opened: with no memory for the index, so that each commit gets a file of it. How far
/// these have come when a compaction begins, which does not go beyond, is left to threads; so half of the worlds that shed
/// have the index in memory alone.
pub(crate) fn options(world: World, disk: &SimulatedDisk) -> Options {
    let options = Options::new().recheck_commits(true).disk(Arc::new(disk.clone()));
    match (world.sheds, world.seed % 2) {
        (false, _) => options.segment_bytes(SEGMENT_BYTES).memory_bytes(0),
        (true, 1) => options.segment_bytes(SHORT_SEGMENT_BYTES).memory_bytes(0),
        (true, _) => options.segment_bytes(SHORT_SEGMENT_BYTES),
    }
}

/// What a world's store holds after each of its operations.
pub struct Reference {
    /// The world.
    pub world: World,
    /// The moment after so many operations.
    pub moments: Vec<Moment>,
}

/// What a store holds after some operations.
pub struct Moment {
    /// What the log tells and what follows from it.
    pub told: Whole,
    /// The same once the next operation has erased something, before its own commit.
    pub erased: Option<Whole>,
    /// Of a world that sheds: the histories.
    pub histories: Option<Vec<String>>,
}

/// What a log tells that was not compacted, and the state.
pub struct Whole {
    /// A line for each commit, and where it begins. What was erased later is in no later one.
    pub log: Vec<(Position, String)>,
    /// The state.
    pub state: Vec<String>,
}

impl Whole {
    fn of(store: &Store) -> kinlog::Result<Self> {
        let log = portrait::commits(store)?.into_iter().filter_map(Told::whole).collect();
        Ok(Whole { log, state: portrait::state(store)? })
    }
}

impl Reference {
    /// How many operations there are.
    #[must_use]
    pub fn operations(&self) -> usize {
        self.moments.len() - 1
    }

    /// Lets a world happen, so many operations of it.
    ///
    /// # Panics
    /// If the store fails on a disk that does not.
    #[must_use]
    pub fn new(world: World, operations: usize) -> Self {
        let disk = SimulatedDisk::new(world.seed);
        let store = options(world, &disk).open(STORE).expect("a store on a sound disk");
        let look = || {
            let histories = world.sheds.then(|| portrait::histories(&store).expect("all of them"));
            Moment { told: Whole::of(&store).expect("a sound store"), erased: None, histories }
        };
        let mut moments = vec![look()];
        for number in 0..operations {
            world.prepare(&disk, number);
            if world.erase(&store, number).expect("a sound store") > 0 {
                moments[number].erased = Some(look().told);
            }
            if let Given::Submitted(handle, _) = world.commit(&store, number).expect("a commit") {
                handle.wait().expect("a commit");
            }
            moments.push(look());
        }
        Reference { world, moments }
    }
}
