//! Named consumers of the log, and how far each has come.

use super::snapshot::Snapshot;
use crate::error::Result;
use crate::id::Position;
use crate::store::shared::{CONSUMERS_TABLE, Store, position_in_row};

/// A named consumer of the log; see [`Transaction::advance_consumer`](crate::Transaction::advance_consumer).
#[derive(Clone, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub struct Consumer {
    /// Its name.
    pub name: String,
    /// How far it has come: where its [`Tail`](crate::Tail) goes on.
    pub position: Position,
    /// How many bytes of the log lie between that and the end of the snapshot.
    pub behind_bytes: u64,
}

impl Snapshot {
    /// The named consumers of the log, in the order of their names.
    ///
    /// # Errors
    /// [`Error::DamagedIndex`](crate::Error::DamagedIndex) if a file of the index is damaged.
    /// [`Error::Corrupt`](crate::Error::Corrupt) if a row cannot be read.
    pub fn consumers(&self) -> Result<Vec<Consumer>> {
        self.here()?;
        let consumer = |name: &[u8], position| Consumer {
            name: String::from_utf8_lossy(name).into_owned(),
            position,
            behind_bytes: self.view().file_bytes_between(position, self.end()),
        };
        let rows = self.rows(CONSUMERS_TABLE, ..);
        rows.map(|row| row.map(|row| consumer(row.key, position_in_row(row.value)))).collect()
    }

    /// How far a consumer has come; `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Snapshot::consumers`].
    pub fn consumer(&self, name: &str) -> Result<Option<Position>> {
        Ok(self.get(CONSUMERS_TABLE, name.as_bytes())?.map(position_in_row))
    }
}

impl Store {
    /// The named consumers of the log, as of now, in the order of their names.
    ///
    /// # Errors
    /// As [`Snapshot::consumers`].
    pub fn consumers(&self) -> Result<Vec<Consumer>> {
        self.snapshot().consumers()
    }

    /// How far a consumer has come, as of now; `None` if there is none of this name.
    ///
    /// # Errors
    /// As [`Snapshot::consumers`].
    pub fn consumer(&self, name: &str) -> Result<Option<Position>> {
        self.snapshot().consumer(name)
    }
}
