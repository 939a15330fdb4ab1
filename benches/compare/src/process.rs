//! What the operating system says about this process and about files.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::Path;
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

/// What the files of a directory take on the disk, in bytes.
pub fn disk_bytes(dir: &Path) -> Result<u64> {
    let mut bytes = 0;
    for entry in std::fs::read_dir(dir)? {
        let entry = entry?;
        let metadata = entry.metadata()?;
        bytes +=
            if metadata.is_dir() { disk_bytes(&entry.path())? } else { metadata.blocks() * 512 };
    }
    Ok(bytes)
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
