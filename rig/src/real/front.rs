//! Any [`Disk`] as a file system of the machine, through FUSE: programs reach it by the kernel's
//! own calls, its page cache and its maps.
//!
//! The kernel passes every write on at once, so that it is the disk that decides what of it lasts.
//! Names and lengths are asked for anew each time.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use fuser::{
    BackgroundSession, BsdFileFlags, Config, Errno, FileAttr, FileHandle, FileType, Filesystem,
    FopenFlags, Generation, INodeNo, LockOwner, MountOption, OpenFlags, RenameFlags, ReplyAttr,
    ReplyCreate, ReplyData, ReplyDirectory, ReplyEmpty, ReplyEntry, ReplyWrite, Request, TimeOrNow,
    WriteFlags, spawn_mount,
};
use kinlog::disk::{Disk, DiskFile, OpenMode};

use crate::random::Random;

/// Nothing is remembered.
const TTL: Duration = Duration::ZERO;
const ROOT: u64 = 1;

/// Mounts `disk` at `at`, until what is returned is dropped. With `rough`, writes are cut short
/// and interrupted now and then, as a system is free to do.
///
/// # Errors
/// What the system says.
pub(super) fn mount(
    disk: Arc<dyn Disk>,
    at: &Path,
    rough: Option<Random>,
) -> io::Result<BackgroundSession> {
    std::fs::create_dir_all(at)?;
    let mut config = Config::default();
    config.mount_options = vec![MountOption::FSName("kinlog-rig".into()), MountOption::NoAtime];
    spawn_mount(Front { disk, rough: rough.map(Mutex::new), nodes: Mutex::default() }, at, &config)
}

struct Front {
    disk: Arc<dyn Disk>,
    rough: Option<Mutex<Random>>,
    nodes: Mutex<Nodes>,
}

/// What the kernel knows by numbers.
#[derive(Default)]
struct Nodes {
    numbers: BTreeMap<PathBuf, u64>,
    known: BTreeMap<u64, Node>,
}

#[derive(Clone)]
enum Node {
    Dir(PathBuf),
    File(Arc<dyn DiskFile>),
}

impl Nodes {
    /// The number of what is at `path`: the same as long as it is there.
    fn number(&mut self, path: &Path, node: Node) -> u64 {
        let next = ROOT + 1 + self.known.len() as u64;
        let number = *self.numbers.entry(path.to_owned()).or_insert(next);
        self.known.entry(number).or_insert(node);
        number
    }
}

fn attributes(number: u64, size: Option<u64>) -> FileAttr {
    FileAttr {
        ino: INodeNo(number),
        size: size.unwrap_or_default(),
        blocks: size.unwrap_or_default().div_ceil(512),
        atime: UNIX_EPOCH,
        mtime: UNIX_EPOCH,
        ctime: UNIX_EPOCH,
        crtime: UNIX_EPOCH,
        kind: if size.is_some() { FileType::RegularFile } else { FileType::Directory },
        perm: if size.is_some() { 0o600 } else { 0o700 },
        nlink: 1,
        uid: 0,
        gid: 0,
        rdev: 0,
        blksize: 4096,
        flags: 0,
    }
}

fn errno(error: &io::Error) -> Errno {
    match (error.raw_os_error(), error.kind()) {
        (Some(errno), _) => Errno::from_i32(errno),
        (None, ErrorKind::NotFound) => Errno::ENOENT,
        (None, ErrorKind::AlreadyExists) => Errno::EEXIST,
        (None, ErrorKind::IsADirectory) => Errno::EISDIR,
        (None, ErrorKind::NotADirectory) => Errno::ENOTDIR,
        _ => Errno::EIO,
    }
}

impl Front {
    fn nodes(&self) -> MutexGuard<'_, Nodes> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn node(&self, number: INodeNo) -> io::Result<Node> {
        if number == INodeNo::ROOT {
            return Ok(Node::Dir("/".into()));
        }
        self.nodes().known.get(&number.0).cloned().ok_or(ErrorKind::NotFound.into())
    }

    fn dir(&self, number: INodeNo) -> io::Result<PathBuf> {
        match self.node(number)? {
            Node::Dir(path) => Ok(path),
            Node::File(_) => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn file(&self, number: INodeNo) -> io::Result<Arc<dyn DiskFile>> {
        match self.node(number)? {
            Node::File(file) => Ok(file),
            Node::Dir(_) => Err(ErrorKind::IsADirectory.into()),
        }
    }

    fn attributes(&self, number: INodeNo) -> io::Result<FileAttr> {
        let size = match self.node(number)? {
            Node::Dir(_) => None,
            Node::File(file) => Some(file.size()?),
        };
        Ok(attributes(number.0, size))
    }

    fn look_up(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let path = self.dir(parent)?.join(name);
        let known = self.nodes().numbers.get(&path).copied();
        if let Some(number) = known {
            return self.attributes(INodeNo(number));
        }
        let node = match self.disk.open(&path, OpenMode::Write) {
            Ok(file) => Node::File(file),
            Err(error) if error.kind() == ErrorKind::IsADirectory => Node::Dir(path.clone()),
            Err(error) => return Err(error),
        };
        let number = self.nodes().number(&path, node);
        self.attributes(INodeNo(number))
    }

    fn make_dir(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        self.disk.create_dir(&self.dir(parent)?.join(name))?;
        self.look_up(parent, name)
    }

    fn make_file(&self, parent: INodeNo, name: &OsStr) -> io::Result<FileAttr> {
        let path = self.dir(parent)?.join(name);
        let file = self.disk.open(&path, OpenMode::Create)?;
        let number = self.nodes().number(&path, Node::File(file));
        self.attributes(INodeNo(number))
    }

    fn remove(&self, parent: INodeNo, name: &OsStr) -> io::Result<()> {
        let path = self.dir(parent)?.join(name);
        self.disk.remove(&path)?;
        self.nodes().numbers.remove(&path);
        Ok(())
    }

    fn move_file(&self, from: (INodeNo, &OsStr), to: (INodeNo, &OsStr)) -> io::Result<()> {
        let (from, to) = (self.dir(from.0)?.join(from.1), self.dir(to.0)?.join(to.1));
        self.disk.rename(&from, &to)?;
        let mut nodes = self.nodes();
        nodes.numbers.remove(&to);
        if let Some(number) = nodes.numbers.remove(&from) {
            nodes.numbers.insert(to, number);
        }
        Ok(())
    }

    /// Up to the file's end, as a system reads.
    fn bytes(&self, number: INodeNo, offset: u64, size: u32) -> io::Result<Vec<u8>> {
        let file = self.file(number)?;
        let left = file.size()?.saturating_sub(offset).min(u64::from(size));
        let mut bytes = vec![0; usize::try_from(left).unwrap_or_default()];
        file.read_at(&mut bytes, offset)?;
        Ok(bytes)
    }

    fn put(&self, number: INodeNo, offset: u64, bytes: &[u8]) -> io::Result<u32> {
        let mut len = bytes.len();
        if let Some(rough) = &self.rough {
            let mut random = rough.lock().unwrap_or_else(PoisonError::into_inner);
            match random.below(20) {
                0 => return Err(io::Error::from_raw_os_error(Errno::EINTR.code())),
                1 | 2 => len = 1 + random.below(len.max(1)),
                _ => {}
            }
        }
        let bytes = &bytes[..len.min(bytes.len())];
        self.file(number)?.write_at(bytes, offset)?;
        Ok(u32::try_from(bytes.len()).unwrap_or(u32::MAX))
    }
}

fn end(reply: ReplyEmpty, done: io::Result<()>) {
    match done {
        Ok(()) => reply.ok(),
        Err(error) => reply.error(errno(&error)),
    }
}

impl Filesystem for Front {
    fn lookup(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEntry) {
        match self.look_up(parent, name) {
            Ok(found) => reply.entry(&TTL, &found, Generation(0)),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn getattr(&self, _: &Request, number: INodeNo, _: Option<FileHandle>, reply: ReplyAttr) {
        match self.attributes(number) {
            Ok(found) => reply.attr(&TTL, &found),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn setattr(
        &self,
        _: &Request,
        number: INodeNo,
        _mode: Option<u32>,
        _uid: Option<u32>,
        _gid: Option<u32>,
        size: Option<u64>,
        _accessed: Option<TimeOrNow>,
        _modified: Option<TimeOrNow>,
        _changed: Option<SystemTime>,
        _: Option<FileHandle>,
        _created: Option<SystemTime>,
        _mode_changed: Option<SystemTime>,
        _backed_up: Option<SystemTime>,
        _flags: Option<BsdFileFlags>,
        reply: ReplyAttr,
    ) {
        // A disk has no owners and no times, and cuts no file.
        match self.attributes(number) {
            Ok(found) if size.is_none_or(|size| size == found.size) => reply.attr(&TTL, &found),
            Ok(_) => reply.error(Errno::EOPNOTSUPP),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn mkdir(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        reply: ReplyEntry,
    ) {
        match self.make_dir(parent, name) {
            Ok(made) => reply.entry(&TTL, &made, Generation(0)),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn create(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        _mode: u32,
        _umask: u32,
        _flags: i32,
        reply: ReplyCreate,
    ) {
        match self.make_file(parent, name) {
            Ok(made) => {
                reply.created(&TTL, &made, Generation(0), FileHandle(0), FopenFlags::empty());
            }
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn unlink(&self, _: &Request, parent: INodeNo, name: &OsStr, reply: ReplyEmpty) {
        end(reply, self.remove(parent, name));
    }

    fn rename(
        &self,
        _: &Request,
        parent: INodeNo,
        name: &OsStr,
        new_parent: INodeNo,
        new_name: &OsStr,
        _flags: RenameFlags,
        reply: ReplyEmpty,
    ) {
        end(reply, self.move_file((parent, name), (new_parent, new_name)));
    }

    fn read(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        size: u32,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyData,
    ) {
        match self.bytes(number, offset, size) {
            Ok(bytes) => reply.data(&bytes),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn write(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        bytes: &[u8],
        _: WriteFlags,
        _: OpenFlags,
        _: Option<LockOwner>,
        reply: ReplyWrite,
    ) {
        match self.put(number, offset, bytes) {
            Ok(len) => reply.written(len),
            Err(error) => reply.error(errno(&error)),
        }
    }

    fn fsync(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        end(reply, self.file(number).and_then(|file| file.sync()));
    }

    fn fsyncdir(&self, _: &Request, number: INodeNo, _: FileHandle, _: bool, reply: ReplyEmpty) {
        end(reply, self.dir(number).and_then(|dir| self.disk.sync_dir(&dir)));
    }

    fn readdir(
        &self,
        _: &Request,
        number: INodeNo,
        _: FileHandle,
        offset: u64,
        mut reply: ReplyDirectory,
    ) {
        let names = match self.dir(number).and_then(|dir| self.disk.list(&dir)) {
            Ok(names) => names,
            Err(error) => return reply.error(errno(&error)),
        };
        let skipped = usize::try_from(offset).unwrap_or(usize::MAX);
        for (i, name) in names.iter().enumerate().skip(skipped) {
            // The number is any but 0; programs that want to know look the name up.
            if reply.add(INodeNo(u64::MAX), i as u64 + 1, FileType::RegularFile, name) {
                break;
            }
        }
        reply.ok();
    }
}
