//! Transactions: built step by step, validated and written by the commit.

mod commit;
mod enqueue;
mod one_commit;
mod ops;
mod retry;
mod rows;
mod scan;
mod step;
mod steps;
mod transaction;

pub use commit::{Commit, CommitHandle, Notice};
pub(crate) use enqueue::{commit_of, end_of};
pub use ops::{
    CancelRequest, Close, NewChild, NewReset, NewRun, NextRun, Settled, StartChildFailedCause,
    StartOutcome, Target,
};
pub(crate) use retry::retry;
pub use rows::RowIs;
pub use scan::{OwnedRow, RowScan};
pub(crate) use step::{Step, Stepped, Stop};
pub use transaction::{Expect, Transaction};
