//! kinlog is an embedded, event-sourced storage engine: the persistence layer under a durable
//! workflow engine.
//!
//! A [`Store`] is a directory. It holds *runs*: histories of events, numbered from 1 without gaps,
//! each begun by a Started event and ended by one closing event. A [`Transaction`] changes up to
//! 65,535 runs and any number of rows of tables together: one commit, one frame in an append-only log, all or
//! nothing, durable when [`commit`](Transaction::commit) returns. Everything else is derived from that log: which run a
//! workflow id stands for, how many bytes a run holds, where its events lie. Histories are read
//! from a memory map without copying, by any number of threads, beside the writer.
//!
//! ```
//! # let dir = tempfile::tempdir().unwrap();
//! use kinlog::{Close, EventKind, NewEvent, NewRun, Store};
//!
//! let store = Store::open(dir.path())?;
//!
//! let mut tx = store.begin();
//! let order = tx.start(NewRun::new("shop", "order-42", "Order").input(b"{}"))?;
//! tx.append(&order, NewEvent::opaque(EventKind::MARKER_RECORDED, b"paid"))?;
//! tx.commit()?; // on the device when it returns
//!
//! store.close_run(&order, Close::completed(b"ok"))?;
//! for event in &store.history(&order)? {
//!     let event = event?; // borrowed from the map
//!     println!("{:>5} {} {} B", event.id(), event.kind(), event.size());
//! }
//! assert_eq!(store.history(&order)?.len(), 3);
//! # Ok::<(), kinlog::Error>(())
//! ```
//!
//! Beyond single runs:
//!
//! - *Children* are runs that another run starts ([`Transaction::spawn_child`]); parent and child know each other in the
//!   same commit ([`Snapshot::children`], [`Snapshot::parent`], [`Snapshot::tree`]).
//! - A *close policy* says what is to be done with open children when their parent closes
//!   ([`ParentClosePolicy`], [`NewChild::on_parent_close`]); it becomes a duty.
//! - *Duties* are what must still happen between two runs after a commit, such as that policy; they are derived from the
//!   log, so that no crash can lose one, and are applied in bounded pages ([`Store::settle_all`], [`Store::duties`]).
//! - A *chain* is the runs of one execution: continued as new, retried, begun by cron
//!   ([`Transaction::continue_as_new`], [`Snapshot::chain`]).
//! - A *reset* starts a run that shares the history of another one up to some event ([`Transaction::reset`]).
//! - *Signals* and *cancel requests* go to a run, or from one to another ([`Transaction::signal`],
//!   [`Transaction::signal_external`], [`Transaction::request_cancel`]).
//! - *Tables* hold an engine's own rows, changed in the same commits ([`Transaction::put`], [`Transaction::rows`]).
//! - *Imported* runs happened elsewhere and are kept as they were ([`NewRun::imported`]).
//! - A *snapshot* is the store as of one commit, while others write ([`Store::snapshot`]); a *tail* is every commit in
//!   order ([`Store::tail`]). Other processes can read beside the writer ([`Options::read_only`]).
//! - Transactions are serializable by optimistic concurrency control ([`Store::transact`]); [`Durability`] says what a
//!   commit waits for.
//! - Lists of runs come page by page, by when they started or closed ([`Store::list_runs`]).
//! - For operators: [`Store::verify`], [`Store::backup`], [`Store::stats`], [`salvage`].
//!
//! The documents: [`docs::glossary`], each term in a line; [`docs::semantics`], what runs do, rule by rule; [`docs::durability`], what is promised, and against
//! which faults; [`docs::format`], the bytes; [`docs::design`], why things are as they are.

mod bytes;
pub mod disk;
pub mod error;
pub mod event;
mod hash;
mod holder;
mod id;
mod index;
pub mod limits;
mod log;
pub mod recorder;
pub mod retention;
pub mod salvage;
mod sorted;
mod store;
mod sync;

pub use error::{Error, Result};
pub use event::{
    Body, Event, EventKind, IdConflictPolicy, IdReusePolicy, NewEvent, ParentClosePolicy,
};
pub use id::{Position, RunId, Timestamp};
pub use index::{DutyKind, RunStatus, Size};
pub use limits::Limits;
pub use log::open::{OpenReport, Verdict};
pub use log::write::Durability;
pub use store::{
    CancelOutcome, Child, ChildState, Close, Commit, CommitHandle, CommitView, Duty, DutyFilter,
    Expect, History, NewChild, NewReset, NewRun, NextRun, Notice, OnAmbiguous, Options, RowIs,
    RunFilter, RunInfo, Settled, Snapshot, SpawnedChild, StartOutcome, Stats, Store, Tail, Target,
    Transaction, Waiting,
};

/// What readers take and return: orders of lists, iterators, and the parts of chains, trees, tables and commits.
pub mod read {
    pub use crate::store::{
        BatchView, Chain, ChainChildren, ChainEvents, Children, Consumer, DutyList, Events, Link,
        OwnedRow, Parent, ParseRunCursorError, Root, Row, RowChange, RowScan, Rows, RunCursor,
        RunOrder, RunPage, Runs, Tree, TreeNode,
    };
}

pub mod docs;

/// What opening, backup and verification have found; purging.
pub mod admin {
    pub use crate::log::open::IndexFound;
    pub use crate::store::{
        BackupProgress, BackupReport, IndexStats, MaintenanceStats, Purged, TableSize,
        VerifyProgress, VerifyReport, purge,
    };
}
