//! Runs the durable-execution engine [duroxide] on [kinlog]: a [`Provider`] and a [`ProviderAdmin`] over a
//! [`kinlog::Store`].
//!
//! ```no_run
//! # async fn f() -> Result<(), Box<dyn std::error::Error>> {
//! use std::sync::Arc;
//! use kinlog_duroxide::{KinlogProvider, Options};
//!
//! let store = kinlog::Store::open("data")?;
//! let provider = Arc::new(KinlogProvider::new(store, Options::new())?);
//! let client = duroxide::Client::new(provider);
//! # Ok(())
//! # }
//! ```
//!
//! | of duroxide | in kinlog |
//! |---|---|
//! | an execution | a run; its events are opaque payloads |
//! | continue-as-new | the next run of the chain, begun with the first turn of the next execution |
//! | an instance, its children, its key-value pairs | rows |
//! | a message to an instance, an activity to be done | a row, put with what asks for it, deleted with what it led to |
//! | locks, tokens, sessions, delays but for those of timers | nothing: they end with the process |
//!
//! Each acknowledgement is one commit; activities that end at about the same time share one. What a worker or a
//! dispatcher gets to see is in the log, as durable as [`Options::durability`] says, before it is handed out. No
//! call blocks on the disk: where there is no room for a commit, its future waits. Messages that wait are in memory,
//! too. A fetch that is given up half way leaves its lock to expire, as a worker does that vanishes.
//!
//! A disk that fails ends it: the store takes no more commits, each call says why, and what was acknowledged is there
//! when the store is opened again.
//!
//! **On a full disk** what has begun gets on to its end: acknowledging, taking work and cancelling use the reserve that
//! kinlog keeps (`Transaction::use_reserve`). New messages are refused with an error that duroxide may try again.
//!
//! **Deleting and pruning delete runs.** Their ids are free, and their space comes back with a compaction of the store
//! (`Options::maintenance` of kinlog). A run can be deleted once it has ended, so deleting an instance that runs takes two commits: by the first
//! one it is gone, and the second one deletes its histories, or the opening of the store does if the process ends in between.
//!
//! **Attempts.** How often a message was fetched is written down from its second fetch on, and from its first one
//! if it comes from before the process began. So a message on which the process dies each time is fetched once
//! more than duroxide's limit says; in return, work that goes well costs no commit to fetch.
//!
//! **Event ids ascend** within an execution, as duroxide's own do; a repeated or a smaller one is refused.
//!
//! [duroxide]: https://docs.rs/duroxide
//! [`Provider`]: duroxide::providers::Provider
//! [`ProviderAdmin`]: duroxide::providers::ProviderAdmin

mod admin;
mod clock;
mod commits;
mod deletion;
mod error;
mod event;
mod executions;
mod fetch;
mod instance;
mod item;
mod kv;
mod options;
mod provider;
mod queue;
mod reports;
mod sessions;
mod state;
mod tables;
mod turn;
mod waiting;

pub use options::{Options, Polling};
pub use provider::KinlogProvider;

/// The namespace of the runs.
pub const NAMESPACE: &str = "duroxide";
