//! What a world comes to on a disk that never fails.

use std::sync::Arc;

use kinlog::{Options, Position};

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

/// What a world's store holds after each of its commits.
pub struct Reference {
    /// The world.
    pub world: World,
    /// A line for each commit, and where it begins.
    pub commits: Vec<(Position, String)>,
    /// The state after so many commits.
    pub states: Vec<Vec<String>>,
    /// Of a world that sheds: the histories after so many commits.
    pub histories: Vec<Vec<String>>,
}

impl Reference {
    /// Lets a world happen up to `commits`.
    ///
    /// # Panics
    /// If the store fails on a disk that does not.
    #[must_use]
    pub fn new(world: World, commits: usize) -> Self {
        let disk = SimulatedDisk::new(world.seed);
        let store = options(world, &disk).open(STORE).expect("a store on a sound disk");
        let (mut states, mut histories) = (vec![], vec![]);
        let mut look = || {
            states.push(portrait::state(&store).expect("a sound store"));
            if world.sheds {
                histories.push(portrait::histories(&store).expect("a sound store"));
            }
        };
        look();
        for number in 0..commits {
            world.prepare(&disk, number);
            if let Given::Submitted(handle, _) = world.commit(&store, number).expect("a commit") {
                handle.wait().expect("a commit");
            }
            look();
        }
        let lines = portrait::commits(&store).expect("a sound store");
        assert_eq!(lines.len(), commits, "each operation is one commit");
        let commits = lines.into_iter().filter_map(Told::whole).collect();
        Reference { world, commits, states, histories }
    }
}
