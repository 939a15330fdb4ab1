//! Life after life of a world, each cut short at a random moment, with checks in between.

use std::collections::BTreeMap;
use std::env;
use std::fmt;
use std::io::{self, IsTerminal};
use std::time::Duration;

use super::check::check;
use super::follower::Follower;
use super::ground::{End, Ground};
use super::loader::Loader;
use crate::random::Random;
use crate::reference::SEGMENT_BYTES;
use crate::world::World;

/// After so many commits a world is complete, and the next one begins in an empty directory.
const WORLD_COMMITS: usize = 1_200;

/// What lives came to.
#[derive(Clone, Debug, Default)]
pub struct Tally {
    /// Lives, each of which was ended.
    pub lives: u64,
    /// Worlds.
    pub worlds: u64,
    /// Comparisons of a whole store.
    pub checks: u64,
    /// Acknowledgements, all of them and those of durable commits.
    pub acknowledged: [u64; 2],
    /// How often opening came to which verdict.
    pub verdicts: BTreeMap<String, u64>,
}

/// Lets `times` loads live and end on a ground.
///
/// # Errors
/// What is wrong.
pub fn run(ground: &mut dyn Ground, times: u64, seed: u64) -> Result<Tally, String> {
    let mut tally = Tally::default();
    let mut random = Random::of(seed, u64::from(u32::MAX));
    while tally.lives < times {
        let world = World::of(seed + tally.worlds);
        tally.worlds += 1;
        let lived = Lives::new(ground, world, &mut random, &mut tally).and_then(|it| it.run(times));
        lived.map_err(|what| {
            let (seed, lives, store) = (world.seed, tally.lives, ground.store().display());
            format!("world {seed}, life {lives}, in {store}: {what}")
        })?;
        ground.clear()?;
    }
    Ok(tally)
}

/// The lives of one world.
struct Lives<'a> {
    ground: &'a mut dyn Ground,
    world: World,
    random: &'a mut Random,
    tally: &'a mut Tally,
    follower: Follower,
    /// So many commits must be there.
    kept: usize,
    /// No more than so many can be there.
    possible: usize,
    complete: bool,
}

impl<'a> Lives<'a> {
    fn new(
        ground: &'a mut dyn Ground,
        world: World,
        random: &'a mut Random,
        tally: &'a mut Tally,
    ) -> Result<Self, String> {
        let follower = Follower::new(world, SEGMENT_BYTES)?;
        let (kept, possible, complete) = (0, 0, false);
        Ok(Lives { ground, world, random, tally, follower, kept, possible, complete })
    }

    fn run(mut self, times: u64) -> Result<(), String> {
        while !self.complete && self.tally.lives < times {
            self.live()?;
            // Not always: then the next load meets what this one left, and may not survive that.
            if self.complete || self.random.chance(60) || self.tally.lives == times {
                self.check()?;
            }
            if io::stderr().is_terminal() {
                eprint!("\r{} of {times} ", self.tally.lives);
            }
        }
        Ok(())
    }

    fn live(&mut self) -> Result<(), String> {
        let rig = env::current_exe().map_err(|error| error.to_string())?;
        self.ground.begin();
        let loader = Loader::start(&rig, self.ground.store(), self.world, WORLD_COMMITS)?;
        // Some do not get further than opening.
        let millis = if self.random.chance(30) { 15 } else { 150 };
        loader.wait(Duration::from_micros(self.random.below(millis * 1_000) as u64));
        let End { kept, said, excuse } = self.ground.end(loader)?;
        self.tally.lives += 1;
        for (sum, count) in self.tally.acknowledged.iter_mut().zip(said.acknowledged) {
            *sum += count;
        }
        if let Some(what) = said.failed.as_ref().filter(|_| !excuse) {
            return Err(format!("the load failed: {what}"));
        }
        if let Some((found, verdict)) = &said.opened {
            let (kept, possible) = (self.kept, self.possible);
            if !(kept..=possible).contains(found) {
                return Err(format!("the load found {found} commits, not {kept} to {possible}"));
            }
            *self.tally.verdicts.entry(verdict.clone()).or_default() += 1;
        }
        self.kept = self.kept.max(kept);
        self.possible = said.given.unwrap_or(self.possible);
        self.complete = said.closed;
        Ok(())
    }

    fn check(&mut self) -> Result<(), String> {
        let store = self.ground.store();
        let found = check(store, &mut self.follower, self.kept, self.possible)?;
        self.tally.checks += 1;
        *self.tally.verdicts.entry(format!("{:?}", found.verdict)).or_default() += 1;
        (self.kept, self.possible) = (found.end, found.end);
        self.complete |= found.end >= WORLD_COMMITS;
        Ok(())
    }
}

impl Tally {
    /// A row of the table, in Markdown: end, lives, worlds, stores compared, acknowledged, of these
    /// sync, lost, verdicts, besides. Nothing is lost, else there were no row.
    #[must_use]
    pub fn row(&self, end: &str, remark: &str) -> String {
        let Tally { lives, worlds, checks, acknowledged: [all, sync], .. } = self;
        format!(
            "| {end} | {lives} | {worlds} | {checks} | {all} | {sync} | 0 | {self} | {remark} |"
        )
    }
}

impl fmt::Display for Tally {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdicts: Vec<String> =
            self.verdicts.iter().map(|(verdict, count)| format!("{verdict} {count}")).collect();
        f.write_str(&verdicts.join(", "))
    }
}
