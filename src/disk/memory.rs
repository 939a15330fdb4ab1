//! A disk in memory, for stores that end with the process.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::map::unnamed_file;
use super::{Disk, DiskDir, DiskFile, FileId, FileSystem, OpenMode};
use crate::id::Timestamp;
use crate::sync::Mutex;

/// A disk in memory: its files have no names on any file system, and are gone when it and every store on it are
/// dropped. Syncs are immediate, and nothing survives the process. For an engine's tests: a store is made in
/// about a millisecond, and can be shut down and opened again on the same disk.
///
/// Only this process can open stores on it. Each file takes a file descriptor, four for a small store. A backup or
/// salvage of a store on it goes to the same disk. The clock and random numbers are those of [`FileSystem`].
///
/// ```
/// use std::sync::Arc;
/// use kinlog::disk::Memory;
/// use kinlog::{NewRun, Options, Verdict};
///
/// let options = Options::new().disk(Arc::new(Memory::new()));
/// let store = options.open("/store")?;
/// let mut tx = store.begin();
/// let order = tx.start(NewRun::new("shop", "order-42", "Order"))?;
/// tx.commit()?;
/// store.shut_down()?;
///
/// let store = options.open("/store")?;
/// assert_eq!(store.report().verdict, Verdict::Clean);
/// assert_eq!(store.history(&order)?.len(), 1);
/// assert!(!std::path::Path::new("/store").exists());
/// # Ok::<(), kinlog::Error>(())
/// ```
#[derive(Debug, Default)]
pub struct Memory {
    names: Mutex<Names>,
    machine: FileSystem,
}

#[derive(Debug, Default)]
struct Names {
    nodes: BTreeMap<PathBuf, Node>,
    /// How many directories were created.
    dirs: u64,
}

#[derive(Clone, Debug)]
enum Node {
    Dir(Arc<Dir>),
    File(Arc<File>),
}

impl Memory {
    /// An empty disk.
    #[must_use]
    pub fn new() -> Self {
        Memory::default()
    }

    fn node(&self, path: &Path) -> io::Result<Node> {
        self.names.lock().nodes.get(path).cloned().ok_or(io::ErrorKind::NotFound.into())
    }
}

impl Names {
    /// Gives a node a name, in a directory that must exist.
    fn insert(&mut self, path: &Path, node: Node) -> io::Result<()> {
        match path.parent().and_then(|dir| self.nodes.get(dir)) {
            Some(Node::Dir(_)) => {
                self.nodes.insert(path.to_owned(), node);
                Ok(())
            }
            Some(Node::File(_)) => Err(io::ErrorKind::NotADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }

    fn file(&self, path: &Path) -> io::Result<Arc<File>> {
        match self.nodes.get(path) {
            Some(Node::File(file)) => Ok(file.clone()),
            Some(Node::Dir(_)) => Err(io::ErrorKind::IsADirectory.into()),
            None => Err(io::ErrorKind::NotFound.into()),
        }
    }
}

impl Disk for Memory {
    fn create_dir(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let ancestors: Vec<&Path> = path.ancestors().collect();
        for dir in ancestors.into_iter().rev() {
            match names.nodes.get(dir) {
                Some(Node::Dir(_)) => {}
                Some(Node::File(_)) => return Err(io::ErrorKind::NotADirectory.into()),
                None => {
                    names.dirs += 1;
                    let created = Dir { number: names.dirs, locks: Mutex::default() };
                    names.nodes.insert(dir.to_owned(), Node::Dir(Arc::new(created)));
                }
            }
        }
        Ok(())
    }

    fn list(&self, path: &Path) -> io::Result<Vec<String>> {
        let Node::Dir(_) = self.node(path)? else {
            return Err(io::ErrorKind::NotADirectory.into());
        };
        let names = self.names.lock();
        let inside = names.nodes.keys().filter(|name| name.parent() == Some(path));
        Ok(inside.filter_map(|name| Some(name.file_name()?.to_string_lossy().into())).collect())
    }

    fn open(&self, path: &Path, mode: OpenMode) -> io::Result<Arc<dyn DiskFile>> {
        let mut names = self.names.lock();
        if mode != OpenMode::Create {
            return Ok(names.file(path)?);
        }
        if names.nodes.contains_key(path) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let file = Arc::new(unnamed_file()?);
        names.insert(path, Node::File(file.clone()))?;
        Ok(file)
    }

    fn open_dir(&self, path: &Path) -> io::Result<Arc<dyn DiskDir>> {
        match self.node(path)? {
            Node::Dir(dir) => Ok(Arc::new(OpenDir { dir, held: Mutex::new(Held::Nothing) })),
            Node::File(_) => Err(io::ErrorKind::NotADirectory.into()),
        }
    }

    fn id_at(&self, path: &Path) -> io::Result<FileId> {
        match self.node(path)? {
            Node::Dir(dir) => Ok(dir.id()),
            Node::File(file) => file.id(),
        }
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let node = names.nodes.get(from).cloned().ok_or(io::ErrorKind::NotFound)?;
        if from == to {
            return Ok(());
        }
        names.insert(to, node)?;
        names.nodes.remove(from);
        // What is in a directory goes with it.
        let inside: Vec<PathBuf> =
            names.nodes.keys().filter(|name| name.starts_with(from)).cloned().collect();
        for name in inside {
            if let Some(node) = names.nodes.remove(&name)
                && let Ok(rest) = name.strip_prefix(from)
            {
                names.nodes.insert(to.join(rest), node);
            }
        }
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        names.file(path)?;
        names.nodes.remove(path);
        Ok(())
    }

    fn link(&self, from: &Path, to: &Path) -> io::Result<()> {
        let mut names = self.names.lock();
        let file = names.file(from)?;
        if names.nodes.contains_key(to) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        names.insert(to, Node::File(file))
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.node(path).map(drop)
    }

    fn now(&self) -> Timestamp {
        self.machine.now()
    }

    fn random(&self) -> u64 {
        self.machine.random()
    }
}

/// A directory.
#[derive(Debug)]
struct Dir {
    number: u64,
    locks: Mutex<Locks>,
}

#[derive(Debug, Default)]
struct Locks {
    exclusive: bool,
    shared: u32,
}

impl Dir {
    fn id(&self) -> FileId {
        FileId { device: 0, number: self.number }
    }
}

/// What a handle holds of the lock of its directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Held {
    Nothing,
    Shared,
    Exclusive,
}

struct OpenDir {
    dir: Arc<Dir>,
    held: Mutex<Held>,
}

impl OpenDir {
    /// Exchanges what this handle holds for `wanted`, unless another handle's lock excludes it.
    fn take(&self, wanted: Held) -> bool {
        let (mut held, mut locks) = (self.held.lock(), self.dir.locks.lock());
        let others = Locks {
            exclusive: locks.exclusive && *held != Held::Exclusive,
            shared: locks.shared - u32::from(*held == Held::Shared),
        };
        let excluded = match wanted {
            Held::Nothing => false,
            Held::Shared => others.exclusive,
            Held::Exclusive => others.exclusive || others.shared > 0,
        };
        if excluded {
            return false;
        }
        *locks = Locks {
            exclusive: others.exclusive || wanted == Held::Exclusive,
            shared: others.shared + u32::from(wanted == Held::Shared),
        };
        *held = wanted;
        true
    }
}

impl DiskDir for OpenDir {
    fn id(&self) -> io::Result<FileId> {
        Ok(self.dir.id())
    }

    fn try_lock(&self) -> io::Result<bool> {
        Ok(self.take(Held::Exclusive))
    }

    fn try_lock_shared(&self) -> io::Result<bool> {
        Ok(self.take(Held::Shared))
    }
}

impl Drop for OpenDir {
    fn drop(&mut self) {
        self.take(Held::Nothing);
    }
}
