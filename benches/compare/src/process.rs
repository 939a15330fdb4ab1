//! What the operating system says about this process and about files.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::Instant;

use crate::engine::Result;
use crate::stats::median;

const PROBE_BYTES: usize = 4096;
const PROBES: u64 = 5;

/// What it costs now to write 4 KiB and have them on the device, in microseconds: the median of
/// some. What others left to be written is written first.
pub fn fsync_cost(dir: &Path) -> Result<f64> {
    let path = dir.join("fsync-probe");
    let zeros = [0; PROBE_BYTES];
    let file = OpenOptions::new().write(true).create(true).truncate(false).open(path)?;
    rustix::fs::syncfs(&file)?;
    for at in file.metadata()?.len() / PROBE_BYTES as u64..PROBES {
        file.write_all_at(&zeros, at * PROBE_BYTES as u64)?;
    }
    file.sync_all()?;
    let mut costs = vec![];
    for at in 0..PROBES {
        let started = Instant::now();
        file.write_all_at(&zeros, at * PROBE_BYTES as u64)?;
        file.sync_data()?;
        costs.push(started.elapsed().as_secs_f64() * 1e6);
    }
    Ok(median(&costs).unwrap_or_default())
}

/// Memory of this process in MiB: all that is resident, and what of it is not a file's.
pub struct Memory {
    pub resident: f64,
    pub anonymous: f64,
}

impl Memory {
    pub fn now() -> Result<Self> {
        let status = std::fs::read_to_string("/proc/self/status")?;
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<f64>().ok());
            kib.map(|kib| kib / 1024.0).ok_or_else(|| format!("no {name} in the status"))
        };
        Ok(Memory { resident: field("VmRSS:")?, anonymous: field("RssAnon:")? })
    }
}

/// What the files of a directory take on the disk, in bytes. One that is removed meanwhile takes none.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = match entry.metadata() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            metadata => metadata?,
        };
        bytes +=
            if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
}

/// The processor time that this process has had, of all its threads, in milliseconds.
pub fn cpu_ms() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    time.tv_sec as f64 * 1e3 + time.tv_nsec as f64 / 1e6
}

/// What this process has handed to the operating system to be written, in bytes.
pub fn written_bytes() -> Result<u64> {
    io_count("wchar")
}

/// What this process has had written to the device, in bytes: pages, those that it wrote through a map among them, but for
/// those whose file was gone before.
pub fn stored_bytes() -> Result<u64> {
    Ok(io_count("write_bytes")?.saturating_sub(io_count("cancelled_write_bytes")?))
}

fn io_count(name: &str) -> Result<u64> {
    let io = std::fs::read_to_string("/proc/self/io")?;
    let mut counts = io.lines().filter_map(|line| line.split_once(": "));
    let bytes = counts.find(|(of, _)| *of == name).map(|(_, bytes)| bytes);
    Ok(bytes.ok_or_else(|| format!("no {name} in the counts of this process"))?.parse()?)
}

/// The lengths of the files of a directory, in bytes.
pub fn file_bytes(dir: &Path) -> Result<u64> {
    files(dir)?.iter().map(|file| Ok(file.metadata()?.len())).sum()
}

/// Takes the files of a directory out of memory: the next one who looks at them, through a map that this process has or
/// otherwise, waits for the device.
pub fn forget(dir: &Path) -> Result<()> {
    let dir = dir.canonicalize()?;
    unmap_pages(&dir)?;
    for path in files(&dir)? {
        let file = File::open(path)?;
        // Pages that are not on the device yet would stay.
        file.sync_data()?;
        rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    }
    Ok(())
}

/// Takes the pages of files in a directory from the maps of this process: pages that are mapped stay in memory.
fn unmap_pages(dir: &Path) -> Result<()> {
    for line in std::fs::read_to_string("/proc/self/maps")?.lines() {
        let mut fields = line.split_ascii_whitespace();
        let (range, access) = (fields.next().unwrap_or_default(), fields.next());
        let is_shared = access.is_some_and(|access| access.ends_with('s'));
        let path = fields.nth(3).map(Path::new);
        if !is_shared || !path.is_some_and(|path| path.starts_with(dir)) {
            continue;
        }
        let (from, to) = range.split_once('-').ok_or("a map without a range")?;
        let [from, to] = [from, to].map(|at| usize::from_str_radix(at, 16));
        let (from, to) = (from?, to?);
        let start = std::ptr::with_exposed_provenance_mut(from);
        // SAFETY: it is a shared map of a file. What was written to it is the file's, and is read from there again.
        unsafe { rustix::mm::madvise(start, to - from, rustix::mm::Advice::LinuxDontNeed)? };
    }
    Ok(())
}

/// The files of a directory and of those in it.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files = vec![];
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        match entry.file_type()?.is_dir() {
            true => files.extend(self::files(&entry.path())?),
            false => files.push(entry.path()),
        }
    }
    Ok(files)
}

/// Ends this process as a crash would, in the middle of whatever it does.
pub fn die() -> Result<()> {
    let this = rustix::process::getpid();
    rustix::process::kill_process(this, rustix::process::Signal::KILL)?;
    Err("still alive".into())
}

/// Copies a directory with the holes that its files have.
pub fn copy(from: &Path, to: &Path) -> Result<()> {
    let status = std::process::Command::new("cp").arg("-a").arg(from).arg(to).status()?;
    if !status.success() {
        return Err(format!("{} cannot be copied", from.display()).into());
    }
    rustix::fs::syncfs(File::open(to)?)?;
    Ok(())
}
