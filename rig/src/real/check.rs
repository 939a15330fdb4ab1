//! What must hold of a store after its process, or its machine, came to a sudden end.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use kinlog::{Error, Options, Store, Verdict};

use super::follower::Follower;
use crate::portrait;
use crate::reference::SEGMENT_BYTES;
use crate::steady::SteadyDisk;
use crate::world::{Given, World};

/// How many commits a store is given after it was compared: it must not only be read.
const COMMITS_ON: usize = 5;

/// Compares a store with what its world comes to.
#[derive(Debug, Args)]
pub struct Check {
    /// The directory of the store.
    dir: PathBuf,
    /// The seed of the world.
    #[arg(long, value_name = "N")]
    seed: u64,
    /// So many commits must be there.
    #[arg(long, value_name = "N")]
    at_least: usize,
    /// No more commits than these can be there.
    #[arg(long, value_name = "N")]
    at_most: usize,
    /// The size of segments that the store was made with.
    #[arg(long, value_name = "BYTES", default_value_t = SEGMENT_BYTES)]
    segment_bytes: u32,
}

impl Check {
    /// Checks, and prints what was found.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(&self) -> Result<(), String> {
        let mut follower = Follower::new(World::of(self.seed), self.segment_bytes)?;
        let found = check(&self.dir, &mut follower, self.at_least, self.at_most)?;
        println!("{:?}: {} commits, {} after going on", found.verdict, found.commits, found.end);
        Ok(())
    }
}

/// What is wrong with a store.
#[derive(Clone, Debug)]
pub enum Wrong {
    /// It is not opened, and this is why.
    Refused(Error),
    /// Anything else.
    Other(String),
}

impl From<Wrong> for String {
    fn from(wrong: Wrong) -> Self {
        match wrong {
            Wrong::Refused(error) => format!("refused: {error}"),
            Wrong::Other(what) => what,
        }
    }
}

impl From<String> for Wrong {
    fn from(what: String) -> Self {
        Wrong::Other(what)
    }
}

/// What was found, all of which was as it must be.
#[derive(Clone, Copy, Debug)]
pub struct Found {
    /// What opening made of the log.
    pub verdict: Verdict,
    /// How many commits were there.
    pub commits: usize,
    /// How many there are now, the store being closed.
    pub end: usize,
}

/// Opens the store in `dir`, first for reading only, and compares it with its world: it must hold
/// between `at_least` and `at_most` commits, and nothing that the world has not. Goes on for a few
/// commits, closes it, and opens it once more.
///
/// # Errors
/// What is wrong.
pub fn check(
    dir: &Path,
    follower: &mut Follower,
    at_least: usize,
    at_most: usize,
) -> Result<Found, Wrong> {
    let disk = Arc::new(SteadyDisk::new(!follower.world().seed));
    let options = Options::new().segment_bytes(SEGMENT_BYTES).disk(disk.clone());
    let seen = seen_by_reader(&options, dir)?;
    let store = options.open(dir).map_err(Wrong::Refused)?;
    let (verdict, commits) = (store.report().verdict, count(&store));
    if commits < at_least {
        let lost = format!("LOST: {commits} commits are there, {at_least} were acknowledged");
        return Err(lost.into());
    }
    if commits > at_most {
        return Err(format!("INVENTED: {commits} commits are there, {at_most} were given").into());
    }
    if seen != commits {
        return Err(format!("a reader saw {seen} commits, a writer {commits}").into());
    }
    follower.go_to(commits)?;
    compare(&store, follower, "opened")?;
    let end = commits + COMMITS_ON;
    for number in commits..end {
        follower.world().prepare(&*disk, number);
        let done = follower.world().commit(&store, number).and_then(Given::wait);
        done.map_err(|error| format!("going on with commit {number}: {error}"))?;
    }
    store.shut_down().map_err(|error| format!("closing: {error}"))?;
    let store = options.open(dir).map_err(|error| format!("refused once closed: {error}"))?;
    if store.report().verdict != Verdict::Clean {
        return Err(format!("closed and opened again: {:?}", store.report()).into());
    }
    follower.go_to(end)?;
    compare(&store, follower, "opened again")?;
    store.shut_down().map_err(|error| format!("closing again: {error}"))?;
    Ok(Found { verdict, commits, end })
}

/// How many commits a reader sees, who comes first and changes nothing.
fn seen_by_reader(options: &Options, dir: &Path) -> Result<usize, Wrong> {
    match options.clone().read_only(true).open(dir) {
        Ok(store) => portrait::commits(&store)
            .map(|lines| lines.len())
            .map_err(|error| format!("reading only: {error}").into()),
        // The end came before the store was made.
        Err(Error::NotAStore { .. }) => Ok(0),
        Err(error) => Err(Wrong::Refused(error)),
    }
}

fn compare(store: &Store, follower: &Follower, when: &str) -> Result<(), String> {
    follower.compare(store).map_err(|what| format!("{when}: {what}"))?;
    store.verify(|_| {}).map_err(|error| format!("{when}: verify: {error}"))?;
    Ok(())
}

fn count(store: &Store) -> usize {
    usize::try_from(store.report().commits).unwrap_or(usize::MAX)
}
