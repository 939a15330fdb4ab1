//! Rows as a transaction reads them: those of the store, published or not, and its own.

use crate::bytes::in_memory;
use crate::error::{Error, Result};
use crate::id::Position;
use crate::index::{NAMESPACES_TABLE, ValueRef};
use crate::limits::{KEY_BYTES_MAX, Limit, TABLE_NAME_BYTES_MAX, VALUE_BYTES_MAX};
use crate::store::pending::{Read, Stated, StatedRow, check_max};
use crate::store::tx::{Step, Stepped, Stop, Transaction};

/// What a row is required to be; see [`Transaction::require`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum RowIs<'a> {
    /// There is no such row.
    Absent,
    /// There is one, whatever its value.
    Present,
    /// It has this value.
    Value(&'a [u8]),
    /// There is one, and no commit at this position or later has set it; for a position that was read as
    /// [`Snapshot::end`](crate::Snapshot::end). Of a row that is not there nothing is known but that.
    UnchangedSince(Position),
}

impl RowIs<'_> {
    const fn name(&self) -> &'static str {
        match self {
            RowIs::Absent => "absent",
            RowIs::Present => "present",
            RowIs::Value(_) => "what its value was required to be",
            RowIs::UnchangedSince(_) => "unchanged since the position given",
        }
    }
}

impl Transaction<'_> {
    /// Sets a row of a table of the engine's own. Table names that begin with `kinlog.` are taken.
    ///
    /// # Errors
    /// [`Error::LimitExceeded`] for a name of more than 255 bytes, a key of more than 4 KiB or a
    /// value of more than 16 MiB, [`Error::InvalidArgument`] for a name that is empty or taken.
    pub fn put(&mut self, table: &str, key: &[u8], value: &[u8]) -> Result<()> {
        check_table(table)?;
        self.put_row(table, key, Some(value))
    }

    /// Deletes a row of a table. Of one that is not there when the transaction is committed nothing is logged;
    /// whether it is there is not part of what the transaction has seen.
    ///
    /// # Errors
    /// As [`Transaction::put`].
    pub fn delete(&mut self, table: &str, key: &[u8]) -> Result<()> {
        check_table(table)?;
        self.put_row(table, key, None)
    }

    pub(crate) fn put_row(&mut self, table: &str, key: &[u8], value: Option<&[u8]>) -> Result<()> {
        check_max(Limit::TableNameBytes, table.len(), TABLE_NAME_BYTES_MAX)?;
        check_max(Limit::KeyBytes, key.len(), KEY_BYTES_MAX)?;
        check_max(Limit::ValueBytes, value.map_or(0, <[u8]>::len), VALUE_BYTES_MAX)?;
        self.work.put_row(table, key, value);
        Ok(())
    }

    /// A row of a table, as the transaction has left it or else as the last commit has, be it published or
    /// not. `None` if it is not there. That the row stays as it is until the commit is part of what the
    /// transaction has seen.
    ///
    /// # Errors
    /// [`Error::Overtaken`], [`Error::Corrupt`] if the row cannot be read.
    pub fn get(&mut self, table: &str, key: &[u8]) -> Result<Option<Vec<u8>>> {
        self.step(|step| step.row(table, key))
    }

    /// States what a row must be now, and at the commit, without reading it. The transaction's own changes
    /// count, as in [`Transaction::get`].
    ///
    /// ```
    /// # let dir = tempfile::tempdir().unwrap();
    /// # let store = kinlog::Store::open(dir.path())?;
    /// use kinlog::{Error, RowIs};
    ///
    /// let mut tx = store.begin();
    /// tx.require("leases", b"shard-7", RowIs::Absent)?;
    /// tx.put("leases", b"shard-7", b"worker-3")?;
    /// tx.commit()?;
    /// let late = store.begin().require("leases", b"shard-7", RowIs::Absent);
    /// assert!(matches!(late, Err(Error::RowConflict { .. })));
    /// # Ok::<(), kinlog::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`Error::RowConflict`] if it is not so now, [`Error::Overtaken`], [`Error::Corrupt`] if the row
    /// cannot be read.
    pub fn require(&mut self, table: &str, key: &[u8], is: RowIs<'_>) -> Result<()> {
        self.step(|step| step.require(table, key, is))
    }
}

impl Step<'_> {
    /// What the transaction has made of a row; `None` if it has not written it.
    pub(crate) fn own_row(&mut self, table: &str, key: &[u8]) -> Option<Option<&[u8]>> {
        if self.work.rows.is_empty() {
            return None;
        }
        let own = self.work.written().table(table)?.get(key)?.clone();
        Some(own.and_then(|at| self.work.rows.get(at)))
    }

    pub(crate) fn row(&mut self, table: &str, key: &[u8]) -> Stepped<Option<Vec<u8>>> {
        if let Some(own) = self.own_row(table, key) {
            return Ok(own.map(<[u8]>::to_vec));
        }
        let (value_ref, version) = self.index.tables.latest(table, key);
        self.see(version)?;
        let value = value_ref.map(|value_ref| self.value_at(value_ref)).transpose()?;
        self.work.keep(Read::Row { table: table.into(), key: key.into(), value_ref });
        Ok(value)
    }

    /// The value of a row in the log.
    pub(crate) fn value_at(&self, value_ref: ValueRef) -> Stepped<Vec<u8>> {
        let len = in_memory(value_ref.value_len);
        Ok(self.view_of(value_ref.value)?.bytes(value_ref.value, len)?.to_vec())
    }

    fn require(&mut self, table: &str, key: &[u8], is: RowIs<'_>) -> Stepped<()> {
        let required = is.name();
        let conflict = || {
            let (table, key) = (table.to_owned(), key.to_vec());
            Stop::from(Error::RowConflict { table, key, required })
        };
        if let Some(own) = self.own_row(table, key) {
            let holds = match is {
                RowIs::Absent => own.is_none(),
                RowIs::Present => own.is_some(),
                RowIs::Value(value) => own == Some(value),
                // It is this transaction's commit that changes it.
                RowIs::UnchangedSince(_) => false,
            };
            return if holds { Ok(()) } else { Err(conflict()) };
        }
        let (value_ref, version) = self.index.tables.latest(table, key);
        self.see(version)?;
        let (holds, is) = match is {
            RowIs::Absent => (value_ref.is_none(), Stated::Present(false)),
            RowIs::Present => (value_ref.is_some(), Stated::Present(true)),
            RowIs::UnchangedSince(position) => {
                (value_ref.is_some() && version < position, Stated::Same(value_ref))
            }
            RowIs::Value(value) => {
                let found = value_ref.map(|value_ref| self.value_at(value_ref)).transpose()?;
                (found.as_deref() == Some(value), Stated::Same(value_ref))
            }
        };
        let (table, key) = (Box::from(table), Box::from(key));
        if !holds {
            self.work.keep(Read::Row { table, key, value_ref });
            return Err(conflict());
        }
        self.work.stated.push(StatedRow { table, key, is, required });
        Ok(())
    }
}

fn check_table(table: &str) -> Result<()> {
    let taken = table.is_empty() || table.starts_with("kinlog.");
    debug_assert!(NAMESPACES_TABLE.starts_with("kinlog."));
    if taken { Err(Error::invalid("the name of the table is empty or taken")) } else { Ok(()) }
}
