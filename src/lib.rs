//! kinlog is an embedded, event-sourced storage engine: the persistence layer under a durable
//! workflow engine.
//!
//! A [`Store`] is a directory. It holds *runs*: histories of events, numbered from 1 without gaps,
//! each begun by a Started event and ended by one closing event. A [`Transaction`] changes any
//! number of runs and rows of tables together: one commit, one frame in an append-only log, all or
//! nothing, durable when it returns. Everything else is derived from that log: which run a
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
//! store.close(&order, Close::completed(b"ok"))?;
//! for event in &store.history(&order)? {
//!     let event = event?; // borrowed from the map
//!     println!("{:>5} {} {} B", event.id(), event.kind(), event.size());
//! }
//! assert_eq!(store.history(&order)?.len(), 3);
//! # Ok::<(), kinlog::Error>(())
//! ```
//!
//! What is promised, and against which faults, is in `docs/durability.md`; the bytes are in
//! `docs/format.md`; why things are as they are is in `docs/design.md`.

mod bytes;
pub mod disk;
mod error;
mod event;
mod hash;
mod holder;
mod id;
mod index;
pub mod limits;
mod log;
mod salvage;
mod store;
mod sync;

pub use error::{Corruption, Error, Moved, Result};
pub use event::{
    ActivityScheduled, ActivityTask, Body, CancelRequested, Canceled, ChildClosed, ChildInitiated,
    ChildStartFailed, ChildStarted, Closed, ContinuedAsNew, Event, EventIds, EventKind,
    ExternalInitiated, ExternalResolved, IdConflictPolicy, IdReusePolicy, Initiator, NewEvent,
    ParentClosePolicy, Reset, Signaled, Started, Terminated, TimerEnded, TimerStarted,
    WorkflowTask,
};
pub use holder::{Holder, Whereabouts};
pub use id::{ParseRunIdError, Position, RunId, Timestamp};
pub use index::{DutyKind, RunStatus, Size};
pub use limits::Limits;
pub use log::open::{OpenReport, Verdict};
pub use log::write::Durability;
pub use salvage::{
    CutRun, DamagedFile, FileDamage, LostRange, ManifestState, SalvageProgress, SalvageReport,
    Shortfall, StaleTable, Standing, UnknownRun, salvage,
};
pub use store::{
    BackupProgress, BackupReport, BatchView, CancelRequest, Chain, ChainEvents, Child, ChildState,
    Children, Close, Commit, CommitHandle, CommitView, Duty, DutyFilter, DutyList, Events, Expect,
    History, Link, NewChild, NewReset, NewRun, NextRun, Notice, OnAmbiguous, Options, OwnedRow,
    Parent, Root, Row, RowChange, RowIs, RowScan, Rows, RunFilter, RunInfo, Runs, Settled,
    Snapshot, StartChildFailedCause, StartOutcome, Stats, Store, Tail, Target, Transaction, Tree,
    TreeNode, VerifyProgress, VerifyReport,
};
