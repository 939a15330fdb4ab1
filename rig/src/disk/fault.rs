//! What can go wrong with an operation on a disk.

use std::fmt;
use std::io;
use std::str::FromStr;

/// What a store asks of a disk.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Operation {
    /// Any of the others.
    Any,
    /// Making a directory.
    CreateDir,
    /// Listing a directory.
    List,
    /// Opening a file, or making one.
    Open,
    /// Renaming a file.
    Rename,
    /// Giving a file a second name.
    Link,
    /// Removing a file.
    Remove,
    /// Syncing a directory.
    SyncDir,
    /// Asking for a file's length.
    Size,
    /// Reading.
    Read,
    /// Writing.
    Write,
    /// Syncing a file.
    Sync,
    /// Locking a file.
    Lock,
    /// Mapping a file.
    Map,
}

impl Operation {
    /// All of them, [`Operation::Any`] first.
    pub const ALL: [Operation; 14] = [
        Operation::Any,
        Operation::CreateDir,
        Operation::List,
        Operation::Open,
        Operation::Rename,
        Operation::Link,
        Operation::Remove,
        Operation::SyncDir,
        Operation::Size,
        Operation::Read,
        Operation::Write,
        Operation::Sync,
        Operation::Lock,
        Operation::Map,
    ];

    fn name(self) -> &'static str {
        match self {
            Operation::Any => "any",
            Operation::CreateDir => "create_dir",
            Operation::List => "list",
            Operation::Open => "open",
            Operation::Rename => "rename",
            Operation::Link => "link",
            Operation::Remove => "remove",
            Operation::SyncDir => "sync_dir",
            Operation::Size => "size",
            Operation::Read => "read",
            Operation::Write => "write",
            Operation::Sync => "sync",
            Operation::Lock => "lock",
            Operation::Map => "map",
        }
    }
}

/// How an operation goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Wrong {
    /// It does nothing and says so. Of a sync: what was written stays to be written.
    Nothing,
    /// It does half of it and fails. Of a sync: some of what was written is on the device, and
    /// the rest is forgotten without another word.
    Half,
    /// It does all of it and fails.
    All,
}

/// The error that an operation fails with.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Errno {
    /// An input or output error.
    Eio,
    /// No space left on the device.
    Enospc,
    /// Interrupted by a signal.
    Eintr,
    /// Too many open files.
    Emfile,
}

impl Errno {
    /// The system's error.
    #[must_use]
    pub fn error(self) -> io::Error {
        io::Error::from_raw_os_error(match self {
            Errno::Eintr => 4,
            Errno::Eio => 5,
            Errno::Emfile => 24,
            Errno::Enospc => 28,
        })
    }

    fn name(self) -> &'static str {
        match self {
            Errno::Eio => "EIO",
            Errno::Enospc => "ENOSPC",
            Errno::Eintr => "EINTR",
            Errno::Emfile => "EMFILE",
        }
    }
}

/// An operation that goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// Which kind of operation.
    pub operation: Operation,
    /// Which one of the kind, from 0.
    pub nth: u64,
    /// How many in a row.
    pub times: u64,
    /// What it does all the same.
    pub wrong: Wrong,
    /// What it says.
    pub errno: Errno,
}

impl Fault {
    /// Whether the fault hits the `nth` operation of a kind.
    pub(super) fn hits(&self, operation: Operation, nth: u64) -> bool {
        self.operation == operation && nth >= self.nth && nth - self.nth < self.times
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wrong = match self.wrong {
            Wrong::Nothing => "nothing",
            Wrong::Half => "half",
            Wrong::All => "all",
        };
        let (name, errno) = (self.operation.name(), self.errno.name());
        write!(f, "{name}:{}:{}:{wrong}:{errno}", self.nth, self.times)
    }
}

impl FromStr for Fault {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let malformed = || format!("{text:?} is no fault");
        let parts: Vec<&str> = text.split(':').collect();
        let [name, nth, times, wrong, errno] = parts[..] else { return Err(malformed()) };
        let named = Operation::ALL.into_iter().find(|operation| operation.name() == name);
        let errnos = [Errno::Eio, Errno::Enospc, Errno::Eintr, Errno::Emfile];
        Ok(Fault {
            operation: named.ok_or_else(malformed)?,
            nth: nth.parse().map_err(|_| malformed())?,
            times: times.parse().map_err(|_| malformed())?,
            wrong: match wrong {
                "nothing" => Wrong::Nothing,
                "half" => Wrong::Half,
                "all" => Wrong::All,
                _ => return Err(malformed()),
            },
            errno: errnos.into_iter().find(|it| it.name() == errno).ok_or_else(malformed)?,
        })
    }
}
