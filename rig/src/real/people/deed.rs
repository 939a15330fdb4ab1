//! What people and their tools do to the files of a store.

use std::ffi::OsStr;
use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use kinlog::Options;

use crate::random::Random;
use crate::real::shell::run;

/// Something done to a store that another process has open.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Deed {
    RemoveLock,
    ReplaceLock,
    RemoveManifest,
    ReplaceManifest,
    RestoreManifest,
    RemoveReserve,
    ReplaceReserve,
    RemoveSegment,
    ReplaceSegment,
    LinkSegments,
    MoveSegment,
    MoveDirectory,
    MoveDirectoryBack,
    RestoreDirectory,
    RemoveDirectory,
    NameDirectoryTwice,
    LinkDirectory,
    CopyDirectory,
    CopySparsely,
    Fork,
}

use Deed::{
    CopyDirectory, CopySparsely, Fork, LinkDirectory, LinkSegments, MoveDirectory,
    MoveDirectoryBack, MoveSegment, NameDirectoryTwice, RemoveDirectory, RemoveLock,
    RemoveManifest, RemoveReserve, RemoveSegment, ReplaceLock, ReplaceManifest, ReplaceReserve,
    ReplaceSegment, RestoreDirectory, RestoreManifest,
};

/// What a deed may cost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Harm {
    /// Nothing: the store must open, and hold all that was acknowledged.
    None,
    /// What says how far the log is. The store may be refused; if not, it must hold all.
    Marks,
    /// Commits. The store must be refused, or hold all that was acknowledged as durable.
    Commits,
}

impl Deed {
    pub(super) const ALL: [Deed; 20] = [
        RemoveLock,
        ReplaceLock,
        RemoveManifest,
        ReplaceManifest,
        RestoreManifest,
        RemoveReserve,
        ReplaceReserve,
        RemoveSegment,
        ReplaceSegment,
        LinkSegments,
        MoveSegment,
        MoveDirectory,
        MoveDirectoryBack,
        RestoreDirectory,
        RemoveDirectory,
        NameDirectoryTwice,
        LinkDirectory,
        CopyDirectory,
        CopySparsely,
        Fork,
    ];

    pub(super) fn harm(self) -> Harm {
        match self {
            RemoveManifest | RestoreManifest => Harm::Marks,
            RemoveSegment | ReplaceSegment => Harm::Commits,
            _ => Harm::None,
        }
    }

    /// Whether the process that has the store open may be refused from then on.
    pub(super) fn excuses(self) -> bool {
        !matches!(
            self,
            RemoveReserve
                | ReplaceReserve
                | LinkSegments
                | NameDirectoryTwice
                | LinkDirectory
                | CopyDirectory
                | CopySparsely
                | Fork
        )
    }

    /// Whether a copy is made of the store, or of its manifest, some time before.
    pub(super) fn needs_former(self) -> bool {
        matches!(self, RestoreManifest | LinkSegments | RestoreDirectory)
    }
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RemoveLock => "LOCK removed",
            ReplaceLock => "LOCK replaced by a copy",
            RemoveManifest => "MANIFEST removed",
            ReplaceManifest => "MANIFEST replaced by a copy",
            RestoreManifest => "MANIFEST replaced by a former one",
            RemoveReserve => "RESERVE removed",
            ReplaceReserve => "RESERVE replaced by a copy",
            RemoveSegment => "a segment removed",
            ReplaceSegment => "a segment replaced by a copy",
            LinkSegments => "full segments linked to a backup's",
            MoveSegment => "a segment moved away, and back",
            MoveDirectory => "the directory moved",
            MoveDirectoryBack => "the directory moved, and back",
            RestoreDirectory => "the directory moved, a backup in its place",
            RemoveDirectory => "the directory removed",
            NameDirectoryTwice => "a second name for the directory",
            LinkDirectory => "the files linked into another directory",
            CopyDirectory => "the directory copied",
            CopySparsely => "the directory replaced by a sparse copy",
            Fork => "the process forked",
        })
    }
}

/// The places of a trial.
pub(super) struct Places {
    /// Where the store is opened.
    pub(super) store: PathBuf,
    /// Where it is moved to.
    pub(super) away: PathBuf,
    /// A copy, a link, or another name of it.
    pub(super) other: PathBuf,
    /// A former state of it, or of a part.
    former: PathBuf,
}

impl Places {
    pub(super) fn new(dir: &Path) -> Self {
        let place = |name: &str| dir.join(name);
        Places {
            store: place("store"),
            away: place("away"),
            other: place("other"),
            former: place("former"),
        }
    }

    /// Keeps what a later deed goes back to; how many commits that holds.
    pub(super) fn keep_former(&self, deed: Deed) -> Result<usize, String> {
        if deed == RestoreManifest {
            return copy(&self.store.join("MANIFEST"), &self.former).map(|()| 0);
        }
        let store = Options::new().read_only(true).open(&self.store);
        let store = store.map_err(|error| format!("a reader is refused: {error}"))?;
        let report = store.backup(&self.former, None, |_| {});
        let report = report.map_err(|error| format!("backup: {error}"))?;
        Ok(usize::try_from(report.commits).unwrap_or(usize::MAX))
    }

    /// Does it; what is to be moved back later, and to where.
    pub(super) fn carry_out(
        &self,
        deed: Deed,
        random: &mut Random,
    ) -> Result<Option<(PathBuf, PathBuf)>, String> {
        let Places { store, away, other, former } = self;
        match deed {
            RemoveLock => remove(&store.join("LOCK"))?,
            ReplaceLock => replace(&store.join("LOCK"))?,
            RemoveManifest => remove(&store.join("MANIFEST"))?,
            ReplaceManifest => replace(&store.join("MANIFEST"))?,
            RestoreManifest => rename(former, &store.join("MANIFEST"))?,
            RemoveReserve => remove(&store.join("RESERVE"))?,
            ReplaceReserve => replace(&store.join("RESERVE"))?,
            RemoveSegment => remove(&self.segment(random)?)?,
            ReplaceSegment => replace(&self.segment(random)?)?,
            LinkSegments => self.link_segments()?,
            MoveSegment => {
                let segment = self.segment(random)?;
                rename(&segment, other)?;
                return Ok(Some((other.clone(), segment)));
            }
            MoveDirectory => rename(store, away)?,
            MoveDirectoryBack => {
                rename(store, away)?;
                return Ok(Some((away.clone(), store.clone())));
            }
            RestoreDirectory => {
                rename(store, away)?;
                cp(&["-a"], former, store)?;
            }
            RemoveDirectory => remove_all(store)?,
            NameDirectoryTwice => tool("ln", &["-s"], store, other)?,
            // As a snapshot of links is made; what cannot be shared is left out.
            LinkDirectory => {
                copy_all("-al", store, other)?;
                if random.chance(50) {
                    remove(&other.join("LOCK"))?;
                }
            }
            CopyDirectory => copy_all("-a", store, other)?,
            CopySparsely => {
                cp(&["-a", "--sparse=always"], store, other)?;
                rename(store, away)?;
                rename(other, store)?;
            }
            Fork => {}
        }
        Ok(None)
    }

    /// One of the segments, mostly one of the last.
    fn segment(&self, random: &mut Random) -> Result<PathBuf, String> {
        let mut segments = segments(&self.store)?;
        let newest = segments.len().saturating_sub(2);
        match random.chance(70) {
            true => segments.drain(..newest).for_each(drop),
            false => segments.truncate(newest.max(1)),
        }
        if segments.is_empty() {
            return Err("there are no segments".into());
        }
        let chosen = random.below(segments.len());
        Ok(segments.swap_remove(chosen))
    }

    /// As tools do that look for files with the same content: here those that are full.
    fn link_segments(&self) -> Result<(), String> {
        let mut full = segments(&self.former)?;
        full.pop();
        for copy in &full {
            let name = copy.file_name().unwrap_or_default();
            tool("ln", &["-f"], copy, &self.store.join("log").join(name))?;
        }
        Ok(())
    }
}

/// The files of a log, the first one first.
fn segments(store: &Path) -> Result<Vec<PathBuf>, String> {
    let log = store.join("log");
    let entries = fs::read_dir(&log).and_then(|it| it.collect::<io::Result<Vec<_>>>());
    let entries = entries.map_err(|error| format!("{}: {error}", log.display()))?;
    let mut paths: Vec<PathBuf> = entries.iter().map(fs::DirEntry::path).collect();
    paths.retain(|path| path.extension() == Some(OsStr::new("seg")));
    paths.sort_unstable();
    Ok(paths)
}

fn remove(path: &Path) -> Result<(), String> {
    fs::remove_file(path).map_err(|error| format!("{}: {error}", path.display()))
}

/// The store's own process makes files meanwhile: until none is left.
pub(super) fn remove_all(path: &Path) -> Result<(), String> {
    while path.exists() {
        let _ = fs::remove_dir_all(path);
    }
    Ok(())
}

pub(super) fn rename(from: &Path, to: &Path) -> Result<(), String> {
    fs::rename(from, to).map_err(|error| format!("{}: {error}", from.display()))
}

/// As `rsync` and `sed -i` do: a copy gets the name.
fn replace(path: &Path) -> Result<(), String> {
    let new = path.with_extension("new");
    copy(path, &new)?;
    rename(&new, path)
}

fn copy(from: &Path, to: &Path) -> Result<(), String> {
    cp(&["-a"], from, to)
}

/// A copy of what is open begins anew where a file went away meanwhile.
fn copy_all(option: &str, from: &Path, to: &Path) -> Result<(), String> {
    let mut tries = (0..20).map(|_| {
        let _ = fs::remove_dir_all(to);
        cp(&[option], from, to)
    });
    tries.find(Result::is_ok).unwrap_or_else(|| Err(format!("{} cannot be copied", from.display())))
}

fn cp(options: &[&str], from: &Path, to: &Path) -> Result<(), String> {
    tool("cp", options, from, to)
}

fn tool(tool: &str, options: &[&str], from: &Path, to: &Path) -> Result<(), String> {
    let options = options.iter().map(OsStr::new);
    let args: Vec<&OsStr> = options.chain([from.as_os_str(), to.as_os_str()]).collect();
    run(tool, &args).map(drop)
}
