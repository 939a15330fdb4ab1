//! The store: transactions, readers and administration, over the log and the index.

mod admin;
mod compact;
mod indexing;
mod maintenance;
mod open;
mod options;
mod pending;
mod purge;
mod read;
mod shared;
mod tx;

pub(crate) use admin::CommitImport;
pub use admin::{
    BackupProgress, BackupReport, IndexStats, MaintenanceStats, Stats, TableSize, VerifyProgress,
    VerifyReport,
};
pub use options::{OnAmbiguous, Options};
pub use purge::{Purged, purge};
pub use read::{
    BatchView, Chain, ChainChildren, ChainEvents, Child, ChildState, Children, CommitView,
    Consumer, Duty, DutyFilter, DutyList, Events, History, Link, Parent, ParseRunCursorError, Root,
    Row, RowChange, Rows, RunCursor, RunFilter, RunInfo, RunOrder, RunPage, Runs, Snapshot, Tail,
    Tree, TreeNode,
};
pub(crate) use shared::CONSUMERS_TABLE;
pub use shared::Store;
pub use tx::{
    CancelOutcome, Close, Commit, CommitHandle, Expect, NewChild, NewReset, NewRun, NextRun,
    Notice, OwnedRow, RowIs, RowScan, Settled, SpawnedChild, StartOutcome, Target, Transaction,
    Waiting,
};
