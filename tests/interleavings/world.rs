//! A small store on the drawn disk, its committers, and what holds of it however they interleave.

use std::path::Path;
use std::sync::Mutex;
use std::time::Duration;

use kinlog::{Commit, Durability, Error, Options, Position, Store, Tail, Verdict};
use kinlog_testing::disk::Op;
use shuttle::future::block_on;
use shuttle::rand::{Rng, thread_rng};

use crate::device::Device;

/// A wait that long never ends by the clock: a commit that is missed is a deadlock.
pub(crate) const EVER: Duration = Duration::from_secs(3600);

/// A number below `bound`, drawn as part of the schedule.
pub(crate) fn draw(bound: usize) -> usize {
    thread_rng().gen_range(0..bound)
}

/// A commit that was acknowledged.
#[derive(Clone, Copy)]
struct Acknowledged {
    token: [u8; 8],
    position: Position,
    durability: Durability,
}

/// A store, and what its committers were told.
pub(crate) struct World {
    pub(crate) store: Store,
    pub(crate) device: Device,
    told: Mutex<Vec<Acknowledged>>,
}

pub(crate) const SEGMENT_BYTES: u64 = 64 << 10;

fn options() -> Options {
    Options::new().segment_bytes(SEGMENT_BYTES.try_into().unwrap())
}

/// Opens a copy of a store, on the machine's own disk.
pub(crate) fn open_copy(path: &Path) -> Store {
    options().open(path).unwrap()
}

/// Which commit this is: nothing else in the store has these bytes.
pub(crate) fn token(thread: usize, round: usize) -> [u8; 8] {
    format!("<{thread:02}-{round:02}!>").into_bytes().try_into().unwrap()
}

/// Commits `token` with a row of `len` bytes, and learns of it in one of the ways there are.
fn commit(
    store: &Store,
    token: [u8; 8],
    len: usize,
    durability: Durability,
) -> kinlog::Result<Commit> {
    let mut tx = store.begin();
    tx.put("rows", &token, &vec![b'.'; len])?;
    match draw(4) {
        0 => tx.commit_with(durability),
        1 => tx.submit(durability)?.wait(),
        2 => block_on(tx.submit(durability)?),
        _ => match tx.try_submit(durability) {
            Ok(handle) => handle.wait(),
            Err(Error::WouldBlock { .. }) => {
                match draw(2) {
                    0 => store.room().wait()?,
                    _ => block_on(store.room())?,
                }
                commit(store, token, len, durability)
            }
            Err(error) => Err(error),
        },
    }
}

pub(crate) fn either() -> Durability {
    if draw(2) == 0 { Durability::Sync } else { Durability::Buffered }
}

impl World {
    pub(crate) fn new() -> Self {
        World::with(|_, _| false)
    }

    /// On a disk on which, once the store is open, the operations fail that `rule` names.
    pub(crate) fn with(rule: impl Fn(Op, &Path) -> bool + Send + Sync + 'static) -> Self {
        let device = Device::new(rule);
        let store = options().disk(device.disk()).open(device.path()).unwrap();
        device.arm();
        World { store, device, told: Mutex::default() }
    }

    /// Commits, and checks what an acknowledgement promises at the moment when it comes.
    pub(crate) fn commit(
        &self,
        token: [u8; 8],
        len: usize,
        durability: Durability,
    ) -> kinlog::Result<()> {
        let position = commit(&self.store, token, len, durability)?.position();
        assert!(self.device.holds(&token), "acknowledged before it is written");
        assert!(self.device.keeps(&token) || durability < Durability::Sync, "acknowledged early");
        assert!(self.store.end() > position, "acknowledged before it is published");
        self.told.lock().unwrap().push(Acknowledged { token, position, durability });
        Ok(())
    }

    /// How many commits were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.told.lock().unwrap().len()
    }

    /// Whether the log of `store` holds every one of the first `acknowledged` commits that promised
    /// at least `least`, in its place; returns what the log holds.
    pub(crate) fn check(
        &self,
        store: &Store,
        acknowledged: usize,
        least: Durability,
    ) -> Vec<(Position, Vec<u8>)> {
        let log = read(&mut store.tail(Position::START));
        assert!(log.is_sorted_by(|(a, _), (b, _)| a < b));
        for told in self.told.lock().unwrap().iter().take(acknowledged) {
            let found = log.iter().filter(|(_, token)| *token == told.token);
            let places: Vec<_> = found.map(|(position, _)| *position).collect();
            let due = told.durability >= least;
            assert!(places == [told.position] || places.is_empty() && !due, "{places:?}");
        }
        log
    }

    /// Ends the store in order and checks what a power loss would then leave.
    pub(crate) fn end(self) {
        let World { store, device, told } = self;
        let log = read(&mut store.tail(Position::START));
        store.shut_down().unwrap();
        let left = device.after_power_loss();
        let store = open_copy(left.path());
        assert_eq!(store.report().verdict, Verdict::Clean);
        let world = World { store, device, told };
        assert_eq!(world.check(&world.store, world.acknowledged(), Durability::Buffered), log);
    }
}

/// The tokens that are published from where `tail` is.
pub(crate) fn read(tail: &mut Tail) -> Vec<(Position, Vec<u8>)> {
    let mut found = vec![];
    while let Some(commit) = tail.try_next().unwrap() {
        found.push((commit.position(), commit.rows().next().unwrap().key.to_vec()));
    }
    found
}
