//! Transactions: built step by step, validated and written by the commit.

mod commit;
mod enqueue;
mod one_commit;
mod ops;
mod pieces;
mod recorded;
mod reserve;
mod retry;
mod step;
mod transaction;
mod waiting;

pub use commit::{Commit, CommitHandle, Notice};
pub(crate) use enqueue::{commit_of, end_of};
pub use ops::{
    CancelOutcome, Close, Expect, NewChild, NewReset, NewRun, NextRun, OwnedRow, RowIs, RowScan,
    Settled, SpawnedChild, StartOutcome, Target,
};
pub(crate) use pieces::Unrecorded;
pub(crate) use retry::retry;
pub(crate) use step::{Step, Stepped, Stop};
pub use transaction::Transaction;
pub use waiting::Waiting;
