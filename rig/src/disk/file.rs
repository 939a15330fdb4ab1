//! The files of a simulated disk, and their words.

use std::io;

use kinlog::disk::{DiskFile, DiskWord, FileId, Map};

use super::content::Node;
use super::fault::{Operation, Wrong};
use super::{Fate, SimulatedDisk, gone};

/// An open file.
pub(super) struct SimulatedFile {
    pub(super) disk: SimulatedDisk,
    pub(super) inode: usize,
}

impl DiskFile for SimulatedFile {
    fn size(&self) -> io::Result<u64> {
        let inode = self.inode;
        self.disk.at_once(Operation::Size, |it| Ok(it.content.inodes[inode].seen.len() as u64))
    }

    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<()> {
        let inode = self.inode;
        self.disk.at_once(Operation::Read, |state| {
            let start = usize::try_from(offset).unwrap_or(usize::MAX);
            let bytes = state.content.inodes[inode].seen.get(start..);
            let bytes = bytes.and_then(|bytes| bytes.get(..buffer.len()));
            buffer.copy_from_slice(bytes.ok_or(io::ErrorKind::UnexpectedEof)?);
            Ok(())
        })
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.disk.state();
        let offset = usize::try_from(offset).unwrap_or(usize::MAX);
        match state.fate(Operation::Write)? {
            Fate::Done => state.write(self.inode, bytes, offset),
            Fate::Wrong(wrong, error) => {
                let done = match wrong {
                    Wrong::Nothing => 0,
                    Wrong::Half => bytes.len() / 2,
                    Wrong::All => bytes.len(),
                };
                state.write(self.inode, &bytes[..done], offset)?;
                Err(error)
            }
            Fate::Cut => state.write(self.inode, bytes, offset).and(Err(gone())),
        }
    }

    /// Takes a while, in which other threads go on: several syncs may be under way. What is written after it
    /// has begun is not covered.
    fn sync(&self) -> io::Result<()> {
        let mut state = self.disk.state();
        let fate = state.fate(Operation::Sync)?;
        let last = state.content.last_unsynced(self.inode);
        let until =
            state.counts[Operation::Any as usize] + 1 + state.counts[Operation::Sync as usize] % 4;
        drop(state);
        let mut state = self.disk.state_after(until);
        if state.dead {
            return Err(gone());
        }
        match fate {
            Fate::Done => state.content.sync(self.inode, last.as_ref()),
            Fate::Wrong(wrong, error) => {
                match wrong {
                    Wrong::Nothing => {}
                    Wrong::Half => {
                        let seed = state.counts[Operation::Any as usize];
                        state.content.forget(self.inode, seed);
                    }
                    Wrong::All => state.content.sync(self.inode, last.as_ref()),
                }
                return Err(error);
            }
            Fate::Cut => return Err(gone()),
        }
        Ok(())
    }

    fn id(&self) -> io::Result<FileId> {
        Ok(self.disk.id(Node::File(self.inode)))
    }

    fn map(&self, len: usize) -> io::Result<Map> {
        let inode = self.inode;
        self.disk.at_once(Operation::Map, |state| Map::of_file(&*state.mapped(inode)?, len))
    }

    /// No operation: it neither fails nor counts.
    fn word(&self, offset: u64) -> Option<Box<dyn DiskWord>> {
        let offset = usize::try_from(offset).ok()?;
        let (disk, inode) = (self.disk.clone(), self.inode);
        let words = self.disk.state().words;
        words.then(|| Box::new(SimulatedWord { disk, inode, offset }) as Box<dyn DiskWord>)
    }
}

/// A word of an open file.
struct SimulatedWord {
    disk: SimulatedDisk,
    inode: usize,
    offset: usize,
}

impl DiskWord for SimulatedWord {
    /// A write that the system hears nothing of: no operation, and it cannot fail. What it leaves is that of a write.
    fn store(&self, number: u64) {
        let mut state = self.disk.state();
        if !state.dead {
            // Within the file, so it needs no space.
            let _ = state.write(self.inode, &number.to_le_bytes(), self.offset);
        }
    }
}
