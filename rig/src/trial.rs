//! One schedule carried out, and what must hold after it.
//!
//! The store either refuses to open with an error that names the place, or holds every commit that
//! it acknowledged, whole and in order, and nothing that was not given to it. There is no third
//! result. Where nothing but crashes and failing operations happened, it does not refuse either.

use std::path::{Path, PathBuf};

use kinlog::{CommitHandle, Durability, Error, OnAmbiguous, Position, Store, Verdict};

use crate::disk::{Content, SimulatedDisk};
use crate::harm::do_harm;
use crate::portrait::{self, Told};
use crate::reference::{Reference, STORE, options};
use crate::schedule::{End, Harm, Schedule};
use crate::world::Given;

/// What a trial came to, if it came to what it must.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Outcome {
    /// Everything acknowledged is there, and nothing else.
    Complete,
    /// The store was refused, for the reason given.
    Refused(String),
}

/// What a trial found.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Found {
    /// The result.
    pub outcome: Outcome,
    /// How many operations on the disk each life took.
    pub operations: Vec<u64>,
    /// The last opening found bytes in doubt behind the last commit.
    pub ambiguous: bool,
    /// How many segments compactions have rewritten.
    pub rewritten: u32,
    /// How many segments were packed after the last compaction.
    pub packed: u64,
}

/// Carries out a schedule.
///
/// # Errors
/// What is wrong.
pub fn run(schedule: &Schedule, reference: &Reference) -> Result<Found, String> {
    let mut trial = Trial {
        reference,
        content: Content::default(),
        kept: 0,
        durable: 0,
        vouched: 0,
        possible: 0,
        closed: None,
        quarantined: vec![],
        operations: vec![],
        rewritten: 0,
        packed: 0,
        erased: None,
    };
    let mut ends = vec![];
    for (number, life) in schedule.lives.iter().enumerate() {
        trial.live(life, number as u64).map_err(|what| format!("life {number}: {what}"))?;
        ends.push(trial.content.clone());
    }
    let mut harmed = false;
    for harm in &schedule.harms {
        harmed |= do_harm(*harm, &mut trial.content, &ends);
    }
    if harmed {
        trial.closed = None;
    }
    if harmed && schedule.lives.last().is_some_and(|life| life.end != End::Close) {
        // Nothing vouches for what was only buffered, unless the store was closed.
        trial.kept = trial.durable;
    }
    let flipped = |harm: &Harm| matches!(harm, Harm::Flip(..) | Harm::FlipLast(..));
    if harmed && schedule.harms.iter().all(flipped) {
        trial.heal_no_damage().map_err(|what| format!("healed at last: {what}"))?;
    }
    if harmed {
        trial.trust_the_index().map_err(|what| format!("with the index, at last: {what}"))?;
    }
    let (outcome, ambiguous) = trial.examine(harmed).map_err(|what| format!("at last: {what}"))?;
    let Trial { operations, rewritten, packed, .. } = trial;
    Ok(Found { outcome, operations, ambiguous, rewritten, packed })
}

pub(crate) struct Trial<'a> {
    pub(crate) reference: &'a Reference,
    pub(crate) content: Content,
    /// So many commits must be there now.
    pub(crate) kept: usize,
    /// So many must be there after a power loss.
    pub(crate) durable: usize,
    /// For so many, something later in the log, or the manifest, vouches.
    pub(crate) vouched: usize,
    /// No more than so many may be there.
    possible: usize,
    /// Whether closing the store succeeded or what was written could not be synced, if it was closed
    /// last.
    pub(crate) closed: Option<bool>,
    /// Files with what openings removed from the log: they stay.
    quarantined: Vec<(PathBuf, Vec<u8>)>,
    pub(crate) operations: Vec<u64>,
    pub(crate) rewritten: u32,
    pub(crate) packed: u64,
    /// The operation that was the last to erase, if that was acknowledged.
    erased: Option<usize>,
}

/// A commit on its way.
type Pending = (usize, CommitHandle, Durability);

/// Why a life ends before its time.
pub(crate) struct Over;

impl Trial<'_> {
    /// Checks what a store holds that was just opened. It vouches for all of it.
    pub(crate) fn take_in(&mut self, store: &Store, disk: &SimulatedDisk) -> Result<(), String> {
        let verdict = store.report().verdict;
        let clean = verdict == Verdict::Clean;
        match self.closed.take() {
            // An opening that fails for want of space is tried again by the store itself, and may then
            // have said already that the store is open.
            Some(true) if !clean && !disk.was_disturbed() => {
                return Err(format!("it was closed in order, and opened as {verdict:?}"));
            }
            Some(false) if clean => {
                return Err("what was written could not be synced, and it opened as Clean".into());
            }
            _ => {}
        }
        let found = self.check_commits(store, "opened")?;
        (self.kept, self.durable, self.possible) = (found, found, found);
        self.vouched = found;
        for path in &store.report().quarantined {
            let copy = disk.content().file(path).map(<[u8]>::to_vec);
            self.quarantined.push((path.clone(), copy.ok_or("there is no copy in quarantine")?));
        }
        match portrait::state(store) {
            Ok(state) => self.check_state(&state, found)?,
            // It asks the disk for the lengths of files.
            Err(Error::Io { .. }) if disk.was_disturbed() => {}
            Err(error) => return Err(error.to_string()),
        }
        self.check_histories(store, found)
    }

    /// Whether the state is that after so many operations, or that of the next one once it has erased, which must be if that
    /// was acknowledged.
    fn check_state(&self, state: &[String], found: usize) -> Result<(), String> {
        let moment = &self.reference.moments[found];
        match &moment.erased {
            Some(erased) if self.erased == Some(found) || erased.state == state => {
                same("the state, erased,", state, &erased.state)
            }
            _ => same("the state", state, &moment.told.state),
        }
    }

    /// Whether all histories are there, of a world that sheds: its log does not tell of all commits.
    pub(crate) fn check_histories(&self, store: &Store, found: usize) -> Result<(), String> {
        let Some(expected) = &self.reference.moments[found].histories else { return Ok(()) };
        let histories = portrait::histories(store).map_err(|error| error.to_string())?;
        same("a history", &histories, expected)
    }

    pub(crate) fn check_commits(&self, store: &Store, when: &str) -> Result<usize, String> {
        let failed = |error| format!("{when}: {error}");
        let found = portrait::count(store).map_err(failed)?;
        self.compare(&portrait::commits(store).map_err(failed)?, found)
            .map_err(|what| format!("{when}: {what}"))?;
        if found < self.kept {
            let kept = self.kept;
            return Err(format!("{when}: {found} commits are there, {kept} were acknowledged"));
        }
        if found > self.possible {
            let possible = self.possible;
            return Err(format!("{when}: {found} commits are there, only {possible} can be"));
        }
        Ok(found)
    }

    /// Compares what the log tells with the commits of the first `found` operations of the world, and those by which the next
    /// one erases.
    fn compare(&self, told: &[Told], found: usize) -> Result<(), String> {
        let moment = &self.reference.moments[found];
        let without = moment.told.log.len();
        // A tail leaves out what is being erased; if the commit of that is not written, the store must be opened again.
        let erased = moment.erased.iter().flat_map(|erased| [&*erased.log, &erased.log[..without]]);
        let mut erased = erased.map(|log| is_told(told, log));
        if erased.any(|is_told| is_told.is_ok()) {
            return Ok(());
        }
        is_told(told, &moment.told.log)
    }

    pub(crate) fn commit_upto(
        &mut self,
        commits: usize,
        disk: &SimulatedDisk,
        store: &Store,
    ) -> Result<Result<(), Over>, String> {
        let mut pending = vec![];
        let mut tries = 0;
        let mut number = self.kept;
        let last = commits.min(self.reference.operations());
        while number < last {
            let world = &self.reference.world;
            if !world.is_independent(number) && self.wait(&mut pending)?.is_err() {
                return Ok(Err(Over));
            }
            world.prepare(disk, number);
            self.possible = self.possible.max(number + 1);
            let before = self.durable;
            let erased = world.erase(store, number);
            if erased.as_ref().is_ok_and(|commits| *commits > 0) {
                // It ends with a sync.
                (self.durable, self.erased) = (self.durable.max(number), Some(number));
            }
            match erased.and_then(|_| world.commit(store, number)) {
                Ok(Given::Done(_, durability)) => {
                    self.acknowledge(number, durability);
                    if durability == Durability::Sync {
                        self.vouched = before;
                    }
                }
                Ok(Given::Submitted(handle, durability)) => {
                    pending.push((number, handle, durability));
                }
                Err(error) => {
                    self.fail(number, &error, disk)?;
                    tries += 1;
                    if tries < 3
                        && matches!(error, Error::NotWritten { .. } | Error::DiskFull { .. })
                    {
                        continue;
                    }
                    let _ = self.wait(&mut pending)?;
                    return Ok(Err(Over));
                }
            }
            number += 1;
        }
        self.wait(&mut pending)
    }

    fn wait(&mut self, pending: &mut Vec<Pending>) -> Result<Result<(), Over>, String> {
        let mut over = Ok(());
        for (number, handle, durability) in pending.drain(..) {
            match handle.wait() {
                Ok(_) => self.acknowledge(number, durability),
                Err(Error::NotWritten { .. }) => {
                    self.possible = self.possible.min(number);
                    over = Err(Over);
                }
                Err(Error::OutcomeUnknown { .. }) => over = Err(Over),
                Err(error) => return Err(format!("commit {number}: {error}")),
            }
        }
        Ok(over)
    }

    fn acknowledge(&mut self, number: usize, durability: Durability) {
        self.kept = self.kept.max(number + 1);
        if durability == Durability::Sync {
            self.durable = self.durable.max(number + 1);
        }
    }

    fn fail(&mut self, number: usize, error: &Error, disk: &SimulatedDisk) -> Result<(), String> {
        match error {
            Error::NotWritten { .. } | Error::DiskFull { .. } => {
                self.possible = self.possible.min(number);
            }
            Error::OutcomeUnknown { .. } => {}
            other => return Err(format!("commit {number}: {other}")),
        }
        if disk.was_disturbed() {
            Ok(())
        } else {
            Err(format!("commit {number}: {error}, though nothing disturbed it"))
        }
    }

    /// Opened as by default, a store with flipped bits may end before its last group of commits, as
    /// nothing vouches for that one, but no earlier.
    fn heal_no_damage(&self) -> Result<(), String> {
        let disk = SimulatedDisk::with(self.content.clone(), self.reference.world.seed);
        let world = self.reference.world;
        let Ok(store) = options(world, &disk).check_log(true).open(STORE) else { return Ok(()) };
        let found = portrait::count(&store).map_err(|error| error.to_string())?;
        if found < self.vouched {
            let (vouched, verdict) = (self.vouched, store.report().verdict);
            return Err(format!("{verdict:?}: {found} commits, but {vouched} were vouched for"));
        }
        Ok(())
    }

    /// Opens a harmed store as by default: the index vouches for what it has taken in. Then damage may be found later,
    /// but it is, at its place.
    fn trust_the_index(&self) -> Result<(), String> {
        let disk = SimulatedDisk::with(self.content.clone(), !self.reference.world.seed);
        let found = options(self.reference.world, &disk)
            .on_ambiguous(OnAmbiguous::Refuse)
            .open(STORE)
            .and_then(|store| {
                store.verify(|_| {})?;
                let found = self.check_commits(&store, "with the index");
                let state = portrait::state(&store)?;
                Ok(found.and_then(|found| self.check_state(&state, found)))
            });
        match found {
            Ok(found) => found,
            Err(error) => names_place(&error).map(|_| ()),
        }
    }

    /// Opens the store for the last time, on a disk that does not fail, and goes on with it.
    fn examine(&mut self, harmed: bool) -> Result<(Outcome, bool), String> {
        let disk = SimulatedDisk::with(self.content.clone(), !self.reference.world.seed);
        // What an index vouches for is not read otherwise; see `trust_the_index`.
        let world = self.reference.world;
        let options = |disk: &SimulatedDisk| options(world, disk).check_log(harmed);
        let reader = options(&disk).read_only(true).open(STORE);
        self.unchanged(&disk, "opening it for reading only")?;
        let ambiguity = if harmed { OnAmbiguous::Refuse } else { OnAmbiguous::Heal };
        let store = match options(&disk).on_ambiguous(ambiguity).open(STORE) {
            Ok(store) => store,
            Err(error) if harmed => {
                self.unchanged(&disk, "a refusal")?;
                return names_place(&error).map(|text| (Outcome::Refused(text), false));
            }
            Err(error) => return Err(format!("refused: {error}")),
        };
        let ambiguous = store.report().verdict == Verdict::Ambiguous;
        let lost = |(path, bytes): &&(PathBuf, Vec<u8>)| self.content.file(path) != Some(bytes);
        if let Some((path, _)) = self.quarantined.iter().find(lost)
            && !harmed
        {
            return Err(format!("{} is lost or another", path.display()));
        }
        self.take_in(&store, &disk)?;
        if let Ok(reader) = &reader
            && portrait::commits(reader).ok() != portrait::commits(&store).ok()
        {
            return Err("a reader sees other commits than a writer".into());
        }
        let exists = self.content.file(&Path::new(STORE).join("MANIFEST")).is_some();
        if exists && let Err(error) = reader {
            return Err(format!("a reader is refused: {error}"));
        }
        store.verify(|_| {}).map_err(|error| format!("verify: {error}"))?;
        self.finish(&disk, store)?;
        Ok((Outcome::Complete, ambiguous))
    }

    /// Lets the world go on to its end, and looks at the store once more.
    fn finish(&mut self, disk: &SimulatedDisk, store: Store) -> Result<(), String> {
        let commits = self.reference.operations();
        if self.commit_upto(commits, disk, &store)?.is_err() {
            return Err("a commit failed on a sound disk".into());
        }
        store.shut_down().map_err(|error| format!("closing: {error}"))?;
        let store = options(self.reference.world, disk)
            .open(STORE)
            .map_err(|error| format!("again: {error}"))?;
        if store.report().verdict != Verdict::Clean {
            return Err(format!("again: {:?}", store.report()));
        }
        self.take_in(&store, disk)?;
        store.verify(|_| {}).map_err(|error| format!("verify, again: {error}"))?;
        Ok(())
    }

    /// Nothing but the lock file may have changed.
    fn unchanged(&self, disk: &SimulatedDisk, by: &str) -> Result<(), String> {
        let lock = Path::new(STORE).join("LOCK");
        let content = disk.content();
        let now = content.files().filter(|(path, _)| *path != lock);
        if now.eq(self.content.files().filter(|(path, _)| *path != lock)) {
            Ok(())
        } else {
            Err(format!("files were changed by {by}"))
        }
    }
}

/// Whether a log that may have been compacted tells of these commits.
fn is_told(told: &[Told], commits: &[(Position, String)]) -> Result<(), String> {
    let mut next = 0;
    for told in told {
        match told {
            Told::NothingBefore(resume) => {
                next = commits.partition_point(|(position, _)| position < resume);
            }
            Told::Commit(position, line) => {
                let should = commits.get(next);
                if should != Some(&(*position, line.clone())) {
                    return Err(format!("commit {next} is {told:?}, should be {should:?}"));
                }
                next += 1;
            }
        }
    }
    if next == commits.len() {
        Ok(())
    } else {
        Err(format!("the log tells of {next} commits, should of {}", commits.len()))
    }
}

fn same(what: &str, found: &[String], expected: &[String]) -> Result<(), String> {
    let lines = found.len().max(expected.len());
    match (0..lines).find(|line| found.get(*line) != expected.get(*line)) {
        None => Ok(()),
        Some(line) => {
            let (found, expected) = (found.get(line), expected.get(line));
            Err(format!("{what} is {found:?}, should be {expected:?}"))
        }
    }
}

/// Whether a refusal says where to look.
fn names_place(error: &Error) -> Result<String, String> {
    let path = match error {
        Error::Corrupt(corruption) | Error::DamagedIndex(corruption) => &corruption.path,
        Error::UnsupportedFormat { path, .. }
        | Error::Packed { path }
        | Error::NotAStore { path, .. } => path,
        other => return Err(format!("refused without a place: {other}")),
    };
    if path.starts_with(STORE) { Ok(error.to_string()) } else { Err(format!("no place: {error}")) }
}
