//! What a world comes to on a disk that never fails.

use std::sync::Arc;

use kinlog::Options;

use crate::disk::SimulatedDisk;
use crate::portrait;
use crate::world::{Given, World};

/// The size of the longest segments: small, so that a world fills shorter ones and one of these.
pub const SEGMENT_BYTES: u32 = 256 << 10;
/// Where the store lies on simulated disks.
pub const STORE: &str = "/data/store";

/// How the store on a simulated disk is opened: with no memory for the index, so that each commit gets a file of it.
pub(crate) fn options(disk: &SimulatedDisk) -> Options {
    let disk = Arc::new(disk.clone());
    let options = Options::new().segment_bytes(SEGMENT_BYTES).memory_bytes(0);
    options.recheck_commits(true).disk(disk)
}

/// What a world's store holds after each of its commits.
pub struct Reference {
    /// The world.
    pub world: World,
    /// A line for each commit.
    pub commits: Vec<String>,
    /// The state after so many commits.
    pub states: Vec<Vec<String>>,
}

impl Reference {
    /// Lets a world happen up to `commits`.
    ///
    /// # Panics
    /// If the store fails on a disk that does not.
    #[must_use]
    pub fn new(world: World, commits: usize) -> Self {
        let disk = SimulatedDisk::new(world.seed);
        let store = options(&disk).open(STORE).expect("a store on a sound disk");
        let mut states = vec![portrait::state(&store).expect("a sound store")];
        for number in 0..commits {
            world.prepare(&disk, number);
            if let Given::Submitted(handle, _) = world.commit(&store, number).expect("a commit") {
                handle.wait().expect("a commit");
            }
            states.push(portrait::state(&store).expect("a sound store"));
        }
        let lines = portrait::commits(&store).expect("a sound store");
        assert_eq!(lines.len(), commits, "each operation is one commit");
        Reference { world, commits: lines, states }
    }
}
