//! One deed, done to a store that is open.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use super::deed::{Deed, Places, rename};
use super::judge::{Came, Ended};
use crate::random::Random;
use crate::real::loader::{Loader, Said};
use crate::world::World;

/// No step takes longer, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// A trial by its seed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trial {
    seed: u64,
}

impl Trial {
    pub(super) fn new(seed: u64) -> Self {
        Trial { seed }
    }

    pub(super) fn deed(self) -> Deed {
        let turn = usize::try_from(self.seed % Deed::ALL.len() as u64).unwrap_or_default();
        Deed::ALL[turn]
    }

    /// Runs it in an empty directory.
    pub(super) fn run(self, rig: &Path, dir: &Path) -> Result<Came, String> {
        let (deed, mut random) = (self.deed(), Random::of(self.seed, 3));
        let places = Places::new(dir);
        let at = random.below(240);
        let commits = at + 40 + random.below(160);
        // It has its files open for as long as anybody else looks at them.
        let outlasts = deed == Deed::LinkDirectory;
        let all = if outlasts { 100_000 } else { commits };
        let fork = match deed {
            Deed::Fork => vec!["--fork-at".to_owned(), at.to_string()],
            _ => vec![],
        };
        let first = World::of(self.seed);
        let one = Loader::start_with(rig, &places.store, first, all, &fork)?;
        let mut former = 0;
        if deed.needs_former() {
            reach(&one, 1 + at as u64 / 2)?;
            former = places.keep_former(deed)?;
        }
        reach(&one, 1 + at as u64)?;
        // In the middle of something, not always behind it.
        one.wait(Duration::from_micros(random.below(2_000) as u64));
        let mut one = Writer::of(one, first);
        if deed == Deed::CopySparsely {
            one.end(random.chance(50))?;
        }
        let back = places.carry_out(deed, &mut random)?;
        let second = World::of(!self.seed);
        let mut two = None;
        if random.chance(if deed == Deed::Fork { 0 } else { 75 }) {
            let place = match deed {
                Deed::NameDirectoryTwice | Deed::LinkDirectory | Deed::CopyDirectory => {
                    &places.other
                }
                _ => &places.store,
            };
            two = Some(Writer::of(Loader::start(rig, place, second, commits + 60)?, second));
        }
        let more = random.below(100) as u64;
        one.wait(more)?;
        if let Some((from, to)) = back {
            move_back(&places, &from, &to)?;
            one.wait(more + 20)?;
        }
        // Either ends first, by itself or not.
        let ends = (random.chance(50) || outlasts, random.chance(50));
        if random.chance(50) && !outlasts {
            one.end(ends.0)?;
            two.as_mut().map_or(Ok(()), |two| two.end(ends.1))?;
        } else {
            two.as_mut().map_or(Ok(()), |two| two.end(ends.1))?;
            one.end(ends.0)?;
        }
        Ended { deed, places: &places, former, one, two }.judge()
    }
}

/// Waits until so many commits are acknowledged, or the process has ended.
fn reach(loader: &Loader, acknowledged: u64) -> Result<(), String> {
    let begun = Instant::now();
    while loader.said().acknowledged[0] < acknowledged {
        if loader.wait(Duration::from_millis(1)) {
            return Ok(());
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("HANGS: {:?}", loader.said()));
        }
    }
    Ok(())
}

/// A name that is taken by now is left alone.
fn move_back(places: &Places, from: &Path, to: &Path) -> Result<(), String> {
    if !to.exists() {
        return rename(from, to);
    }
    if to == places.store {
        rename(to, &places.other)?;
        return rename(from, to);
    }
    Ok(())
}

/// A process that writes a world.
pub(super) struct Writer {
    pub(super) world: World,
    loader: Option<Loader>,
    /// All of it, once it has ended.
    pub(super) said: Said,
}

impl Writer {
    fn of(loader: Loader, world: World) -> Self {
        Writer { world, loader: Some(loader), said: Said::default() }
    }

    /// Waits until it has so many more acknowledgements, for a while.
    fn wait(&self, more: u64) -> Result<(), String> {
        let Some(loader) = &self.loader else { return Ok(()) };
        reach(loader, loader.said().acknowledged[0] + more)
    }

    /// Ends it: now, or once it has done all that it was asked to.
    fn end(&mut self, now: bool) -> Result<(), String> {
        let Some(loader) = self.loader.take() else { return Ok(()) };
        let by_itself = !now && loader.wait(PATIENCE);
        let (said, status) = loader.end()?;
        if !now && !by_itself {
            return Err(format!("HANGS: {said:?}"));
        }
        if !is_orderly(status) {
            return Err(format!("world {} died: {status}, having said {said:?}", self.world.seed));
        }
        self.said = said;
        Ok(())
    }

    /// How many commits it found, if it could open a store.
    pub(super) fn found(&self) -> Option<usize> {
        self.said.opened.as_ref().map(|(there, _)| *there)
    }
}

/// By an exit code of its own, or by our signal.
fn is_orderly(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    matches!(status.code(), Some(0 | 1)) || status.signal() == Some(SIGKILL)
}
