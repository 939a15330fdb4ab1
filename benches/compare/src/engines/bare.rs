//! No engine: what a log cannot do without. Payloads are copied into a frame of the size of
//! kinlog's, its checksum is taken, and it is written, and synced if asked, over the zeros of a file
//! that was prepared for it.

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use kinlog::disk::{Disk, DiskFile, FileSystem, OpenMode};

use super::Peer;
use crate::engine::{Batch, Durability, Engine, Result};

pub const PEER: Peer = Peer {
    name: "bare",
    version: "—",
    setup: "memcpy, crc32, pwrite, fdatasync; a zeroed file of 256 MiB, from front to back",
    has_os: true,
    open: |dir| open_with(&FileSystem::new(), dir),
};

/// Opens the file on another disk than the machine's file system.
pub fn open_with(disk: &dyn Disk, dir: &Path) -> Result<Box<dyn Engine>> {
    Ok(Box::new(Bare::open(disk, dir)?))
}

const FILE_BYTES: u64 = 256 << 20;
/// What kinlog adds to a commit, to the events of a run, and to an event, which is padded too.
const FRAME_BYTES: usize = 24;
const BATCH_HEADER_BYTES: usize = 20;
const EVENT_HEADER_BYTES: usize = 16;
const ALIGNMENT: usize = 4;

struct Bare(Mutex<Log>);

struct Log {
    file: Arc<dyn DiskFile>,
    frame: Vec<u8>,
    /// Where the next frame goes.
    at: u64,
    written: u64,
}

impl Bare {
    fn open(disk: &dyn Disk, dir: &Path) -> Result<Self> {
        disk.create_dir(dir)?;
        let path = dir.join("log");
        let mode = if path.exists() { OpenMode::Write } else { OpenMode::Create };
        let file = disk.open(&path, mode)?;
        // As kinlog does: larger pieces make larger folios, and every write to one slower.
        let zeros = vec![0; 64 << 10];
        for at in (file.size()?..FILE_BYTES).step_by(zeros.len()) {
            file.write_at(&zeros, at)?;
        }
        file.sync()?;
        Ok(Bare(Mutex::new(Log { file, frame: vec![], at: 0, written: 0 })))
    }
}

impl Log {
    fn assemble(&mut self, batches: &[Batch<'_>]) {
        self.frame.clear();
        self.frame.resize(FRAME_BYTES, 0);
        for batch in batches {
            let mut header = [0; BATCH_HEADER_BYTES];
            header[..4].copy_from_slice(&batch.run.to_le_bytes());
            header[4..8].copy_from_slice(&batch.first.to_le_bytes());
            self.frame.extend_from_slice(&header);
            for event in &batch.events {
                let mut header = [0; EVENT_HEADER_BYTES];
                header[..8].copy_from_slice(&(event.len() as u64).to_le_bytes());
                self.frame.extend_from_slice(&header);
                self.frame.extend_from_slice(event);
                self.frame.resize(self.frame.len().next_multiple_of(ALIGNMENT), 0);
            }
        }
        let sum = crc32fast::hash(&self.frame[4..]);
        self.frame[..4].copy_from_slice(&sum.to_le_bytes());
    }

    fn write(&mut self) -> Result<()> {
        let bytes = self.frame.len() as u64;
        if self.at + bytes > FILE_BYTES {
            self.at = 0;
        }
        self.file.write_at(&self.frame, self.at)?;
        self.at += bytes;
        self.written += bytes;
        Ok(())
    }
}

impl Engine for Bare {
    fn append(&self, batches: &[Batch<'_>], durability: Durability) -> Result<()> {
        let mut log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        log.assemble(batches);
        log.write()?;
        if durability == Durability::Device {
            log.file.sync()?;
        }
        Ok(())
    }

    /// The loop has nobody to write for it: it waits every time.
    fn append_in_flight(&self, batches: &[Batch<'_>], _: usize) -> Option<Result<()>> {
        Some(self.append(batches, Durability::Device))
    }

    fn read(&self, _run: u32, _each: &mut dyn FnMut(u32, &[u8])) -> Result<()> {
        Err("the bare loop finds nothing again".into())
    }

    fn settle(&self) -> Result<()> {
        let log = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(log.file.sync()?)
    }

    fn log_bytes(&self) -> Result<Option<u64>> {
        Ok(Some(self.0.lock().unwrap_or_else(PoisonError::into_inner).written))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Data;
    use crate::engines::kinlog;

    /// How much longer a log gets by one commit.
    fn growth(peer: &Peer, dir: &Path, batches: &[Batch<'_>]) -> u64 {
        let engine = (peer.open)(&dir.join(peer.name)).unwrap();
        let begin = |batch: &Batch<'_>| Batch { first: 1, events: vec![b"begun"], ..*batch };
        let begun: Vec<_> = batches.iter().map(begin).collect();
        engine.append(&begun, Durability::Os).unwrap();
        let before = engine.log_bytes().unwrap().unwrap();
        engine.append(batches, Durability::Os).unwrap();
        engine.log_bytes().unwrap().unwrap() - before
    }

    #[test]
    fn the_bare_loop_writes_as_many_bytes_as_kinlog() {
        let dir = std::env::temp_dir().join(format!("kinlog-compare-{}", std::process::id()));
        let data = Data::default();
        for (runs, events) in [(1, 1), (32, 2), (3, 7)] {
            let payloads = |run| (2..2 + events).map(|event| data.payload(run, event)).collect();
            let batch = |run| Batch { run, first: 2, events: payloads(run) };
            let batches: Vec<_> = (0..runs).map(batch).collect();
            let bare = growth(&PEER, &dir, &batches);
            assert_eq!(bare, growth(&kinlog::PEER, &dir, &batches), "{runs} runs");
            std::fs::remove_dir_all(&dir).unwrap();
        }
    }
}
