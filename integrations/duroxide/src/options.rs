//! How a store is opened for duroxide.

use std::path::Path;

use kinlog::Durability;

use crate::{KinlogProvider, OpenError};

/// Whether a fetch waits for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Polling {
    /// It waits as long as the caller allows, and is woken by the commit that brings work.
    #[default]
    Long,
    /// It returns at once; duroxide then sleeps, 100 ms by default, before it asks again.
    Short,
}

/// Options for opening a provider.
///
/// ```
/// # let dir = tempfile::tempdir().unwrap();
/// use kinlog_duroxide::{Options, Polling};
///
/// let provider = Options::new()
///     .durability(kinlog::Durability::Buffered)
///     .polling(Polling::Short)
///     .store(kinlog::Options::new().segment_bytes(1 << 20))
///     .open(dir.path())?;
/// # Ok::<(), kinlog_duroxide::OpenError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Options {
    pub(crate) durability: Durability,
    pub(crate) polling: Polling,
    store: kinlog::Options,
}

impl Options {
    /// The defaults: long polling, commits on the device when they return.
    #[must_use]
    pub fn new() -> Self {
        let store = kinlog::Options::new();
        Options { durability: Durability::Sync, polling: Polling::default(), store }
    }

    /// How durable a call is when it returns. Buffered commits survive a crash of the process, not of the machine.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }

    /// Whether a fetch waits for work.
    #[must_use]
    pub fn polling(mut self, polling: Polling) -> Self {
        self.polling = polling;
        self
    }

    /// How the store is opened. One commit must fit into a segment: all that a turn of an orchestration writes.
    #[must_use]
    pub fn store(mut self, store: kinlog::Options) -> Self {
        self.store = store;
        self
    }

    /// Opens the store in the directory `path`, and makes it if it is not there.
    ///
    /// # Errors
    /// [`OpenError::Store`] with what [`kinlog::Options::open`] says, [`OpenError::Unreadable`].
    pub fn open(&self, path: impl AsRef<Path>) -> Result<KinlogProvider, OpenError> {
        KinlogProvider::over(self.store.open(path)?, self)
    }
}

impl Default for Options {
    fn default() -> Self {
        Options::new()
    }
}
