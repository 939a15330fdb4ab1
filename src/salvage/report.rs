//! What a salvage found, kept and lost.

use std::fmt;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use crate::id::{Position, RunId};

/// How far a salvage has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct SalvageProgress {
    /// Bytes of segments looked at.
    pub bytes: u64,
    /// Bytes of all segments.
    pub total_bytes: u64,
    /// Commits found whole.
    pub commits: u64,
}

/// What a salvage found in the source, what of it is in the new store, and what is lost.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub struct SalvageReport {
    /// What was found of the manifest.
    pub manifest: ManifestState,
    /// Segments that were read.
    pub segments: u64,
    /// Bytes of segments that were read.
    pub bytes_read: u64,
    /// Bytes of commits in the new store.
    pub bytes_kept: u64,
    /// Commits that are in the new store with all that they held.
    pub commits_whole: u64,
    /// Commits that were found whole, and of which something had to be left out.
    pub commits_partial: u64,
    /// Commits that were found whole, and of which nothing could be kept.
    pub commits_dropped: u64,
    /// Events in the new store.
    pub events_kept: u64,
    /// Row changes in the new store.
    pub rows_kept: u64,
    /// Row changes that were found and make no sense.
    pub rows_dropped: u64,
    /// Runs in the new store of which nothing is known to be missing.
    pub runs_whole: u64,
    /// Runs of which events are known to be missing, in the order in which they began.
    pub runs_cut: Vec<CutRun>,
    /// Runs of which nothing is kept and not even the id is known.
    pub runs_unknown: Vec<UnknownRun>,
    /// The places in segments where there should be, or may have been, a commit and is none.
    pub lost: Vec<LostRange>,
    /// Files that are not as they should be, or not of this store.
    pub files: Vec<DamagedFile>,
    /// The numbers of segments that are not there, or whose files say too little to be read.
    pub missing_segments: Vec<RangeInclusive<u32>>,
    /// Something says that more of the log was acknowledged than was found.
    pub shortfall: Option<Shortfall>,
    /// Tables with rows that were last set before the last lost range: a commit that is lost may
    /// have changed or deleted any of them, and may have set rows that are not there at all.
    pub stale_tables: Vec<StaleTable>,
}

impl SalvageReport {
    /// Whether the new store holds all that the source ever acknowledged, as far as the source
    /// can tell.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let untouched = self.commits_partial + self.commits_dropped + self.rows_dropped == 0;
        let known = self.runs_cut.is_empty() && self.runs_unknown.is_empty();
        let ranges = self.lost.iter().all(|lost| lost.standing == Standing::NeverAcknowledged);
        untouched && known && ranges && self.missing_segments.is_empty() && self.shortfall.is_none()
    }
}

/// What was found of the manifest.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
#[non_exhaustive]
pub enum ManifestState {
    /// It is as it should be.
    #[default]
    Whole,
    /// One of its two slots is damaged, and the other was used.
    OneSlotDamaged,
    /// It has another length than a manifest has; its slots were used as far as it goes.
    WrongLength,
    /// It cannot be used; the headers of the segments say what it would.
    Damaged,
    /// There is none; the headers of the segments say what it would.
    Missing,
    /// It belongs to another store than the segments.
    Foreign,
    /// It is older than the log: a former one was put in its place.
    Stale,
}

impl fmt::Display for ManifestState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            ManifestState::Whole => "whole",
            ManifestState::OneSlotDamaged => "one of two slots damaged",
            ManifestState::WrongLength => "of the wrong length",
            ManifestState::Damaged => "damaged",
            ManifestState::Missing => "missing",
            ManifestState::Foreign => "of another store",
            ManifestState::Stale => "older than the log",
        })
    }
}

/// Bytes of a segment that are not what was written there.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct LostRange {
    /// The file.
    pub path: PathBuf,
    /// The offset of the first byte.
    pub from: u64,
    /// The offset behind the last byte.
    pub to: u64,
    /// What is wrong.
    pub what: &'static str,
    /// What should be there, as far as a number says it.
    pub expected: u64,
    /// What is there.
    pub found: u64,
    /// Whether what is lost was ever acknowledged.
    pub standing: Standing,
    /// Runs that the first damaged commit names, as far as it can still be read. Nothing proves
    /// these names, and there may be others.
    pub runs: Vec<RunId>,
}

/// Whether the bytes of a range were ever acknowledged to be in the log.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Standing {
    /// A later commit or the manifest says that they were on the device.
    Acknowledged,
    /// Nothing says so, and nothing proves the contrary.
    Unknown,
    /// It is proven that they were not: they were never written completely, or lie where nothing
    /// is ever written.
    NeverAcknowledged,
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Standing::Acknowledged => "acknowledged",
            Standing::Unknown => "perhaps acknowledged",
            Standing::NeverAcknowledged => "never acknowledged",
        })
    }
}

/// A file that is not as it should be.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct DamagedFile {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub damage: FileDamage,
}

/// What is wrong with a segment's file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum FileDamage {
    /// Its header is damaged, and says enough for its commits to be proven.
    HeaderDamaged,
    /// Its header does not say that it belongs to this store; it was not read.
    Unproven,
    /// It belongs to another store; it was not read.
    Foreign,
    /// It was written by another version of kinlog; it was not read.
    OtherFormat,
    /// It is the segment of this number, under another name; it was read as that.
    Misnamed(u32),
    /// It says that it is the segment of this number, which another file is; it was not read.
    Duplicate(u32),
    /// It has another length than a segment has; it was read as far as it goes.
    WrongLength {
        /// The bytes that a segment of this store has.
        expected: u64,
        /// The bytes that it has.
        found: u64,
    },
    /// The system does not open it.
    Unreadable,
}

impl fmt::Display for FileDamage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            FileDamage::HeaderDamaged => f.write_str("the header is damaged; read all the same"),
            FileDamage::Unproven => {
                f.write_str("the header does not say that it belongs to this store; not read")
            }
            FileDamage::Foreign => f.write_str("belongs to another store; not read"),
            FileDamage::OtherFormat => f.write_str("written by another version; not read"),
            FileDamage::Misnamed(number) => write!(f, "is segment {number}; read as that"),
            FileDamage::Duplicate(number) => {
                write!(f, "says that it is segment {number}, which another file is; not read")
            }
            FileDamage::WrongLength { expected, found } => {
                write!(f, "has {found} bytes, a segment has {expected}; read as far as it goes")
            }
            FileDamage::Unreadable => f.write_str("the system does not open it"),
        }
    }
}

/// A run that ends in the new store before it ended in the source, or is not there at all.
///
/// In the new store it is open if anything of it is there: its close is lost, or was not said yet.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct CutRun {
    /// The run.
    pub id: RunId,
    /// Its namespace; empty if that is lost.
    pub namespace: String,
    /// Its workflow id; empty if that is lost.
    pub workflow_id: String,
    /// How many of its events are in the new store, those that a reset shares among them; 0 for a
    /// run that is not there.
    pub events_kept: u32,
    /// The first event that is lost.
    pub first_lost: u32,
    /// How many events are lost at the least: those up to the last one that was found.
    pub events_lost: u32,
    /// Why it could not go on.
    pub why: &'static str,
}

/// A run whose beginning is lost: only its number in the source is known.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct UnknownRun {
    /// The number that the source gave it.
    pub number: u32,
    /// The first event that was found.
    pub first_found: u32,
    /// The last event that was found.
    pub last_found: u32,
}

/// More was acknowledged than was found.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Shortfall {
    /// Everything below was on the device once.
    pub acknowledged: Position,
    /// Where the last commit ends that was found.
    pub found: Position,
}

/// A table with rows that may be out of date.
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct StaleTable {
    /// Its name.
    pub table: String,
    /// How many of its rows were last set before the last lost range.
    pub rows: u64,
}
