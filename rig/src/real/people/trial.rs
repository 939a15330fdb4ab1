//! One deed, done to a store that is open.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use kinlog::{Error, Options};

use super::deed::{Deed, Harm, Places, rename};
use crate::random::Random;
use crate::real::check::{Wrong, check};
use crate::real::follower::Follower;
use crate::real::loader::{Loader, Said};
use crate::reference::SEGMENT_BYTES;
use crate::world::World;

/// No step takes longer, unless something hangs.
const PATIENCE: Duration = Duration::from_secs(20);

/// What a trial came to, if nothing is wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Came {
    pub(super) acknowledged: u64,
    /// One of the processes was refused.
    pub(super) stopped: bool,
    /// A store was refused at the end.
    pub(super) refused: bool,
}

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
        let first = World { seed: self.seed };
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
        let second = World { seed: !self.seed };
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
        Ended { deed, places, former, one, two }.judge()
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
struct Writer {
    world: World,
    loader: Option<Loader>,
    said: Said,
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

    fn came(&self) -> bool {
        self.said.opened.is_some()
    }
}

/// By an exit code of its own, or by our signal.
fn is_orderly(status: ExitStatus) -> bool {
    const SIGKILL: i32 = 9;
    matches!(status.code(), Some(0 | 1)) || status.signal() == Some(SIGKILL)
}

/// A trial when all processes have ended.
struct Ended {
    deed: Deed,
    places: Places,
    /// So many commits were there before.
    former: usize,
    one: Writer,
    two: Option<Writer>,
}

impl Ended {
    fn judge(&self) -> Result<Came, String> {
        let (one, two) = (&self.one, self.two.as_ref());
        let failed = one.said.failed.as_deref();
        if let Some(what) = failed.filter(|_| !self.deed.excuses()) {
            return Err(format!("the process that has the store open failed: {what}"));
        }
        let mut came = Came::default();
        for said in [Some(&one.said), two.map(|two| &two.said)].into_iter().flatten() {
            came.acknowledged += said.acknowledged[0];
            came.stopped |= said.failed.is_some();
        }
        if self.deed == Deed::Fork {
            came.stopped = self.child()?;
        }
        if self.deed == Deed::LinkDirectory && two.is_some_and(Writer::came) {
            return Err("two at a time: files are opened that another process has open".into());
        }
        let is_gone = matches!(self.deed, Deed::MoveDirectory | Deed::RemoveDirectory);
        if is_gone && two.is_none() {
            gone(&self.places.store)?;
        }
        for (place, one, two) in self.holders() {
            came.refused |= self.hold(place, one, two)?;
        }
        Ok(came)
    }

    /// Who wrote where, as far as anything must be there.
    fn holders(&self) -> Vec<(&Path, Option<&Writer>, Option<&Writer>)> {
        let Places { store, away, other, .. } = &self.places;
        let (store, away, other) = (store.as_path(), away.as_path(), other.as_path());
        let (one, two) = (Some(&self.one), self.two.as_ref().filter(|two| two.came()));
        let lone = |place, two: Option<_>| two.map(|_| (place, None, two));
        match self.deed {
            Deed::MoveDirectory => {
                [Some((away, one, None)), lone(store, two)].into_iter().flatten().collect()
            }
            // What the second one made meanwhile was put aside.
            Deed::MoveDirectoryBack if !self.came_later() => {
                [Some((store, one, None)), lone(other, two)].into_iter().flatten().collect()
            }
            Deed::RestoreDirectory => vec![(away, one, None), (store, one, two)],
            Deed::RemoveDirectory => lone(store, two).into_iter().collect(),
            Deed::LinkDirectory => vec![(store, one, None)],
            Deed::CopyDirectory => {
                let copy = two.map(|_| (other, one, two));
                [Some((store, one, None)), copy].into_iter().flatten().collect()
            }
            _ => vec![(store, one, two)],
        }
    }

    /// Whether the second process came to the store when it was back in its place.
    fn came_later(&self) -> bool {
        let there = self.two.as_ref().and_then(|two| two.said.opened.as_ref());
        let there = there.map(|(there, _)| *there).unwrap_or_default();
        there > 0 || !self.places.other.join("MANIFEST").exists()
    }

    /// Whether the child was refused, and nothing else.
    fn child(&self) -> Result<bool, String> {
        let Some((_, child)) = &self.one.said.child else { return Ok(false) };
        if child.acknowledged[0] > 0 {
            return Err("a child of the process was acknowledged a commit".into());
        }
        // Whoever is killed has no time to.
        if self.one.said.closed && !child.dropped {
            return Err(format!("the child did not end its store in silence: {child:?}"));
        }
        Ok(child.failed.is_some())
    }

    /// Whether a place is refused; else it holds what these got acknowledged, in this order.
    fn hold(
        &self,
        place: &Path,
        one: Option<&Writer>,
        two: Option<&Writer>,
    ) -> Result<bool, String> {
        let is_copy = place == self.places.other && one.is_some();
        let is_former = self.deed == Deed::RestoreDirectory && place == self.places.store;
        let harm = if is_copy { Harm::Marks } else { self.deed.harm() };
        let kept = |writer: &Writer| match harm {
            Harm::Commits => writer.said.durable,
            _ => writer.said.written,
        };
        let begun = two.and_then(|two| two.said.opened.as_ref()).map(|(there, _)| *there);
        let of_one = match one {
            // A copy and a former state need not hold what came later.
            Some(_) if is_copy => 0,
            Some(_) if is_former => self.former,
            one => one.map(kept).unwrap_or_default(),
        };
        if let Some(begun) = begun.filter(|begun| *begun < of_one) {
            return Err(format!(
                "two at a time: one was acknowledged {of_one} commits, the other began with {begun}"
            ));
        }
        let at_least = two.map_or(of_one, kept);
        let last = two.or(one).map(|writer| writer.said.given.unwrap_or_default());
        let worlds = [one, two].map(|writer| writer.map(|writer| writer.world));
        let world = worlds[0].or(worlds[1]).unwrap_or(self.one.world);
        let mut follower = Follower::new(world, SEGMENT_BYTES)?;
        if let (Some(_), Some(begun), Some(world)) = (one, begun, worlds[1]) {
            follower.then(begun, world);
        }
        match check(place, &mut follower, at_least, last.unwrap_or_default()) {
            Ok(_) => Ok(false),
            Err(Wrong::Refused(error)) if harm != Harm::None && is_reason(&error) => Ok(true),
            Err(wrong) => Err(format!("{}: {}", place.display(), String::from(wrong))),
        }
    }
}

/// A place where no store is must not be taken for one.
fn gone(place: &Path) -> Result<(), String> {
    match Options::new().read_only(true).open(place) {
        Err(_) => Ok(()),
        Ok(store) => Err(format!("a store where there is none: {:?}", store.report())),
    }
}

/// Whether an error says what is wrong with the store.
fn is_reason(error: &Error) -> bool {
    !matches!(error, Error::Locked { .. } | Error::InvalidArgument { .. })
}
