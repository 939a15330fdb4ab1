//! What this test calls of the store, in the form in which programs have it.

use std::ops::Bound;

use kinlog::read::OwnedRow;
use kinlog::{Commit, Error, NewRun, Position, Result, RunId, StartOutcome, Store, Transaction};

/// A key and a value.
pub(crate) type Pair = (Vec<u8>, Vec<u8>);

/// What a transaction requires of a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum RowIs {
    Absent,
    Present,
    Value(u64),
    UnchangedSince(Position),
}

fn pair(row: Result<OwnedRow>) -> Result<Pair> {
    row.map(|row| (row.key, row.value))
}

/// The first rows of a range, from its end or from its beginning; no more is read than `most` rows.
pub(crate) fn rows(
    tx: &mut Transaction<'_>,
    table: &str,
    range: (Bound<&[u8]>, Bound<&[u8]>),
    back: bool,
    most: usize,
) -> Result<Vec<Pair>> {
    let rows = tx.rows(table, range);
    match back {
        true => rows.rev().take(most).map(pair).collect(),
        false => rows.take(most).map(pair).collect(),
    }
}

/// The first rows whose keys begin with `prefix`; no more is read than `most` rows.
pub(crate) fn rows_with_prefix(
    tx: &mut Transaction<'_>,
    table: &str,
    prefix: &[u8],
    most: usize,
) -> Result<Vec<Pair>> {
    tx.rows_with_prefix(table, prefix).take(most).map(pair).collect()
}

pub(crate) fn require(tx: &mut Transaction<'_>, table: &str, key: &[u8], is: &RowIs) -> Result<()> {
    match is {
        RowIs::Absent => tx.require(table, key, kinlog::RowIs::Absent),
        RowIs::Present => tx.require(table, key, kinlog::RowIs::Present),
        RowIs::Value(value) => tx.require(table, key, kinlog::RowIs::Value(&value.to_le_bytes())),
        RowIs::UnchangedSince(position) => {
            tx.require(table, key, kinlog::RowIs::UnchangedSince(*position))
        }
    }
}

/// The run, and whether it begins here.
pub(crate) fn start_or_find(tx: &mut Transaction<'_>, run: NewRun<'_>) -> Result<(RunId, bool)> {
    let outcome = tx.start_or_find(run)?;
    Ok((outcome.run(), matches!(outcome, StartOutcome::Started(_))))
}

pub(crate) fn transact<T>(
    store: &Store,
    build: impl FnMut(&mut Transaction<'_>) -> Result<T>,
) -> Result<(T, Commit)> {
    store.transact(build)
}

pub(crate) fn is_retryable(error: &Error) -> bool {
    error.is_retryable()
}
