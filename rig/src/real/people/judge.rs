//! What must hold once all processes of a trial have ended.

use std::path::Path;

use kinlog::{Error, Options};

use super::deed::{Deed, Harm, Places, remove_all};
use super::trial::Writer;
use crate::real::check::{Wrong, check};
use crate::real::follower::Follower;
use crate::reference::SEGMENT_BYTES;

/// What a trial came to, if nothing is wrong.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Came {
    pub(super) acknowledged: u64,
    /// One of the processes was refused.
    pub(super) stopped: bool,
    /// A store was refused at the end.
    pub(super) refused: bool,
}

/// A trial when all processes have ended.
pub(super) struct Ended<'a> {
    pub(super) deed: Deed,
    pub(super) places: &'a Places,
    /// So many commits a former state holds.
    pub(super) former: usize,
    /// The process that had the store open.
    pub(super) one: Writer,
    /// The one that came to it.
    pub(super) two: Option<Writer>,
}

/// What a place must hold.
struct Claim<'a> {
    place: &'a Path,
    /// Who wrote there, the first one first.
    writers: Vec<&'a Writer>,
    /// So many commits of the first writer must be there.
    first: usize,
    harm: Harm,
}

impl Ended<'_> {
    /// # Errors
    /// What is wrong.
    pub(super) fn judge(&self) -> Result<Came, String> {
        if let Some(what) = self.one.said.failed.as_ref().filter(|_| !self.deed.excuses()) {
            return Err(format!("the process that has the store open failed: {what}"));
        }
        let mut came = Came::default();
        for Writer { said, .. } in [Some(&self.one), self.two.as_ref()].into_iter().flatten() {
            came.acknowledged += said.acknowledged[0];
            came.stopped |= said.failed.is_some();
        }
        match self.deed {
            Deed::Fork => came.stopped = self.is_child_refused()?,
            Deed::LinkDirectory if self.second().is_some() => {
                return Err("two at a time: files are opened that another process has open".into());
            }
            Deed::LinkDirectory => refused_until_parted(&self.places.store, &self.places.other)?,
            Deed::MoveDirectory | Deed::RemoveDirectory if self.two.is_none() => {
                no_store(&self.places.store)?;
            }
            _ => {}
        }
        for claim in self.claims() {
            came.refused |= claim.is_refused()?;
        }
        Ok(came)
    }

    /// The second process, if it could open a store.
    fn second(&self) -> Option<&Writer> {
        self.two.as_ref().filter(|two| two.found().is_some())
    }

    fn claims(&self) -> Vec<Claim<'_>> {
        let Places { store, away, other, .. } = self.places;
        let one = |place| Some(self.claim(place, vec![&self.one]));
        let two = |place| self.second().map(|two| self.claim(place, vec![two]));
        let both = |place| {
            let writers = [Some(&self.one), self.second()].into_iter().flatten();
            Some(self.claim(place, writers.collect()))
        };
        let claims = match self.deed {
            Deed::MoveDirectory => [one(away), two(store)],
            // What the second one made meanwhile was put aside.
            Deed::MoveDirectoryBack if !self.came_later() => [one(store), two(other)],
            Deed::RestoreDirectory => {
                let restored = both(store).map(|it| Claim { first: self.former, ..it });
                [one(away), restored]
            }
            Deed::RemoveDirectory => [two(store), None],
            // A copy of what is open need not be whole.
            Deed::CopyDirectory => {
                let copied = both(other).filter(|it| it.writers.len() > 1);
                [one(store), copied.map(|it| Claim { first: 0, harm: Harm::Marks, ..it })]
            }
            _ => [both(store), None],
        };
        claims.into_iter().flatten().collect()
    }

    fn claim<'a>(&self, place: &'a Path, writers: Vec<&'a Writer>) -> Claim<'a> {
        let harm = self.deed.harm();
        let first = writers.first().map(|writer| kept(writer, harm)).unwrap_or_default();
        Claim { place, writers, first, harm }
    }

    /// Whether the second process came to the store when it was back in its place.
    fn came_later(&self) -> bool {
        let found = self.second().and_then(Writer::found).unwrap_or_default();
        found > 0 || !self.places.other.join("MANIFEST").exists()
    }

    /// The child of a process must be refused, and nothing else.
    fn is_child_refused(&self) -> Result<bool, String> {
        let Some((_, child)) = &self.one.said.child else { return Ok(false) };
        if child.acknowledged[0] > 0 {
            return Err("a child of the process was acknowledged a commit".into());
        }
        // If the parent was killed, so was the child.
        if self.one.said.closed && !child.dropped {
            return Err(format!("the child did not end its store in silence: {child:?}"));
        }
        Ok(child.failed.is_some())
    }
}

/// So many commits must be there after what a deed costs.
fn kept(writer: &Writer, harm: Harm) -> usize {
    match harm {
        Harm::None | Harm::Marks => writer.said.written,
        Harm::Commits => writer.said.durable,
    }
}

impl Claim<'_> {
    /// Whether the place is refused, with a reason; else it holds what it must.
    fn is_refused(&self) -> Result<bool, String> {
        let Claim { place, writers, first, harm } = self;
        let (Some(one), Some(last)) = (writers.first(), writers.last()) else { return Ok(false) };
        let mut follower = Follower::new(one.world, SEGMENT_BYTES)?;
        let mut at_least = *first;
        if let Some(two) = writers.get(1) {
            let found = two.found().unwrap_or_default();
            if found < at_least {
                return Err(format!(
                    "two at a time, or LOST: one was acknowledged {first} commits, the other began \
                     with {found}"
                ));
            }
            follower.then(found, two.world);
            at_least = kept(two, *harm);
        }
        match check(place, &mut follower, at_least, last.said.given.unwrap_or_default()) {
            Ok(_) => Ok(false),
            Err(Wrong::Refused(error)) if *harm != Harm::None && is_reason(&error) => Ok(true),
            Err(wrong) => Err(format!("{}: {}", place.display(), String::from(wrong))),
        }
    }
}

/// Two directories that share their files: neither is opened for writing until one of them is gone.
fn refused_until_parted(store: &Path, other: &Path) -> Result<(), String> {
    for place in [store, other] {
        match Options::new().open(place) {
            Err(Error::Linked { .. }) => {}
            opened => return Err(format!("{}: shared, and {opened:?}", place.display())),
        }
    }
    remove_all(other)
}

/// A place where no store is must not be taken for one.
fn no_store(place: &Path) -> Result<(), String> {
    match Options::new().read_only(true).open(place) {
        Err(_) => Ok(()),
        Ok(store) => Err(format!("a store where there is none: {:?}", store.report())),
    }
}

/// Whether an error says what is wrong with the store.
fn is_reason(error: &Error) -> bool {
    !matches!(error, Error::Locked { .. } | Error::InvalidArgument { .. })
}
