//! What a disk holds: what programs see, what is on the device, and the difference between both,
//! of which a power loss may keep any part.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::random::Random;

/// The unit that a device writes whole or not at all.
const SECTOR_BYTES: usize = 512;
/// The unit in which the system writes back what it holds in memory.
const PAGE_BYTES: usize = 4096;

/// What is left after a power loss of what was not synced.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Survivors {
    /// Nothing: the device holds what syncs put there.
    Nothing,
    /// Everything, as after a kill.
    Everything,
    /// Of each page and each name some state that it has had, drawn from a seed: writes are lost
    /// and change order.
    Pages(u64),
    /// The same of each sector: pages are torn too.
    Sectors(u64),
}

/// What a name stands for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Node {
    /// The number of the directory.
    Dir(u64),
    /// The number of the file.
    File(usize),
}

/// A change of names that happens at once; of one directory.
#[derive(Clone, Debug)]
struct Change {
    dir: PathBuf,
    names: Vec<(PathBuf, Option<Node>)>,
}

#[derive(Debug)]
pub(super) struct Write {
    offset: usize,
    bytes: Vec<u8>,
}

/// A file.
#[derive(Clone, Debug, Default)]
pub(super) struct Inode {
    /// What programs read.
    pub(super) seen: Arc<Vec<u8>>,
    /// What is on the device for sure.
    device: Arc<Vec<u8>>,
    /// What was written since the last sync.
    unsynced: Vec<Arc<Write>>,
}

/// Everything on a disk. What another process finds after a kill is the same; after a power loss it
/// is what [`Content::after_power_loss`] says.
#[derive(Clone, Debug, Default)]
pub struct Content {
    names: BTreeMap<PathBuf, Node>,
    device_names: BTreeMap<PathBuf, Node>,
    unsynced: Vec<Change>,
    /// How many directories were made.
    dirs: u64,
    pub(super) inodes: Vec<Inode>,
}

impl Content {
    pub(super) fn node(&self, path: &Path) -> Option<Node> {
        self.names.get(path).copied()
    }

    /// The names directly in `dir`.
    pub(super) fn list(&self, dir: &Path) -> Vec<String> {
        let inside = self.names.keys().filter(|path| path.parent() == Some(dir));
        inside.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect()
    }

    pub(super) fn create_dir(&mut self, path: &Path) {
        self.dirs += 1;
        self.change(path, vec![(path.to_owned(), Some(Node::Dir(self.dirs)))]);
    }

    pub(super) fn create_file(&mut self, path: &Path) -> usize {
        let number = self.inodes.len();
        self.inodes.push(Inode::default());
        self.change(path, vec![(path.to_owned(), Some(Node::File(number)))]);
        number
    }

    pub(super) fn rename(&mut self, from: &Path, to: &Path) {
        let node = self.node(from);
        self.change(to, vec![(from.to_owned(), None), (to.to_owned(), node)]);
    }

    /// Gives the file with this number one more name.
    pub(super) fn link(&mut self, inode: usize, to: &Path) {
        self.change(to, vec![(to.to_owned(), Some(Node::File(inode)))]);
    }

    pub(super) fn remove(&mut self, path: &Path) {
        self.change(path, vec![(path.to_owned(), None)]);
    }

    fn change(&mut self, path: &Path, names: Vec<(PathBuf, Option<Node>)>) {
        let dir = path.parent().unwrap_or(Path::new("")).to_owned();
        let change = Change { dir, names };
        put(&mut self.names, &change);
        self.unsynced.push(change);
    }

    pub(super) fn sync_dir(&mut self, dir: &Path) {
        for change in self.unsynced.extract_if(.., |change| change.dir == dir) {
            put(&mut self.device_names, &change);
        }
    }

    pub(super) fn write(&mut self, inode: usize, bytes: &[u8], offset: usize) {
        let write = Write { offset, bytes: bytes.to_vec() };
        let inode = &mut self.inodes[inode];
        overwrite(Arc::make_mut(&mut inode.seen), bytes, offset);
        inode.unsynced.push(Arc::new(write));
    }

    /// The last write that a sync covers which begins now.
    pub(super) fn last_unsynced(&self, inode: usize) -> Option<Arc<Write>> {
        self.inodes[inode].unsynced.last().cloned()
    }

    /// Puts what was written since the last sync on the device, up to `last`. What a sync before has forgotten
    /// stays forgotten until it is written again.
    pub(super) fn sync(&mut self, inode: usize, last: Option<&Arc<Write>>) {
        let inode = &mut self.inodes[inode];
        let is_last = |write: &Arc<Write>| last.is_some_and(|last| Arc::ptr_eq(write, last));
        // Another sync may have put it there, or forgotten it, in the meantime.
        let covered = inode.unsynced.iter().position(is_last).map_or(0, |last| last + 1);
        let device = Arc::make_mut(&mut inode.device);
        for write in inode.unsynced.drain(..covered) {
            overwrite(device, &write.bytes, write.offset);
        }
    }

    /// A sync that fails as Linux does it: part of what was written is on the device, and the
    /// rest is forgotten, though it can still be read.
    pub(super) fn forget(&mut self, inode: usize, seed: u64) {
        let inode = &mut self.inodes[inode];
        inode.device = Arc::new(inode.survivors(Survivors::Sectors(seed), &mut Random::new(seed)));
        inode.unsynced.clear();
    }

    /// What the next start of the machine finds if the power goes now.
    #[must_use]
    pub fn after_power_loss(&self, survivors: Survivors) -> Content {
        let mut random = Random::new(match survivors {
            Survivors::Nothing | Survivors::Everything => 0,
            Survivors::Pages(seed) | Survivors::Sectors(seed) => seed,
        });
        let mut names = self.device_names.clone();
        for change in &self.unsynced {
            let kept = match survivors {
                Survivors::Nothing => false,
                Survivors::Everything => true,
                Survivors::Pages(_) | Survivors::Sectors(_) => random.chance(50),
            };
            if kept {
                put(&mut names, change);
            }
        }
        let mut after = Content::default();
        // Files by their numbers of before: one with two names stays one.
        let mut files = HashMap::new();
        for (path, node) in names {
            // What lies in a directory that was lost is lost with it.
            let reachable = path.parent().is_none_or(|dir| is_root(dir) || after.is_dir(dir));
            match node {
                _ if !reachable => {}
                Node::Dir(_) => after.create_dir(&path),
                Node::File(number) => match files.get(&number) {
                    Some(file) => after.link(*file, &path),
                    None => {
                        let bytes = self.inodes[number].survivors(survivors, &mut random);
                        files.insert(number, after.inodes.len());
                        after.put_file(&path, bytes);
                    }
                },
            }
        }
        after.settled()
    }

    /// Everything is on the device.
    fn settled(mut self) -> Self {
        self.device_names = self.names.clone();
        self.unsynced.clear();
        for inode in &mut self.inodes {
            inode.device = inode.seen.clone();
            inode.unsynced.clear();
        }
        self
    }

    fn is_dir(&self, path: &Path) -> bool {
        matches!(self.node(path), Some(Node::Dir(_)))
    }

    /// The files by their paths.
    pub fn files(&self) -> impl Iterator<Item = (&Path, &[u8])> {
        self.names.iter().filter_map(|(path, node)| match node {
            Node::Dir(_) => None,
            Node::File(number) => Some((path.as_path(), self.inodes[*number].seen.as_slice())),
        })
    }

    /// How many bytes the files take.
    pub(super) fn used(&self) -> u64 {
        let numbers = self.names.values().filter_map(|node| match node {
            Node::Dir(_) => None,
            Node::File(number) => Some(*number),
        });
        let numbers: BTreeSet<usize> = numbers.collect();
        numbers.into_iter().map(|number| self.inodes[number].seen.len() as u64).sum()
    }

    /// The bytes of a file.
    #[must_use]
    pub fn file(&self, path: &Path) -> Option<&[u8]> {
        match self.node(path)? {
            Node::Dir(_) => None,
            Node::File(number) => Some(&self.inodes[number].seen),
        }
    }

    /// Puts a file there, on the device too, in the place of one that may be there.
    pub fn put_file(&mut self, path: &Path, bytes: Vec<u8>) {
        let number = self.create_file(path);
        let bytes = Arc::new(bytes);
        self.inodes[number] = Inode { seen: bytes.clone(), device: bytes, unsynced: vec![] };
        self.sync_dir(path.parent().unwrap_or(Path::new("")));
    }

    /// Lets bytes of a file go bad on the device. Whoever has them in memory reads what they were, and
    /// a sync does not write them: as after a write that the device failed and the system forgot.
    pub fn spoil_device(&mut self, path: &Path, range: Range<usize>) {
        if let Some(Node::File(number)) = self.node(path) {
            let device = Arc::make_mut(&mut self.inodes[number].device);
            device.iter_mut().take(range.end).skip(range.start).for_each(|byte| *byte ^= 0xa5);
        }
    }

    /// Removes a file, on the device too.
    pub fn remove_file(&mut self, path: &Path) {
        self.remove(path);
        self.sync_dir(path.parent().unwrap_or(Path::new("")));
    }
}

impl Inode {
    /// The content after a power loss.
    fn survivors(&self, survivors: Survivors, random: &mut Random) -> Vec<u8> {
        let unit = match survivors {
            Survivors::Nothing => return self.device.to_vec(),
            Survivors::Everything => return self.seen.to_vec(),
            Survivors::Pages(_) => PAGE_BYTES,
            Survivors::Sectors(_) => SECTOR_BYTES,
        };
        let mut bytes = self.device.to_vec();
        // For each unit: how many of the writes it has seen.
        let mut states = HashMap::new();
        let count = self.unsynced.len();
        for (i, write) in self.unsynced.iter().enumerate() {
            let mut done = 0;
            while done < write.bytes.len() {
                let at = write.offset + done;
                let len = (unit - at % unit).min(write.bytes.len() - done);
                let writes = *states.entry(at / unit).or_insert_with(|| match random.below(5) {
                    0 | 1 => 0,
                    2 | 3 => count,
                    _ => random.below(count + 1),
                });
                if i < writes {
                    overwrite(&mut bytes, &write.bytes[done..done + len], at);
                }
                done += len;
            }
        }
        // The length is written by itself, after what it covers or before.
        if random.chance(30) && bytes.len() < self.seen.len() {
            bytes.resize(self.seen.len(), 0);
        }
        bytes
    }
}

fn is_root(path: &Path) -> bool {
    path.parent().is_none()
}

fn put(names: &mut BTreeMap<PathBuf, Node>, change: &Change) {
    for (path, node) in &change.names {
        match node {
            Some(node) => names.insert(path.clone(), *node),
            None => names.remove(path),
        };
    }
}

fn overwrite(all: &mut Vec<u8>, bytes: &[u8], offset: usize) {
    let end = offset + bytes.len();
    if all.len() < end {
        all.resize(end, 0);
    }
    all[offset..end].copy_from_slice(bytes);
}
