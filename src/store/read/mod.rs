//! Reading: snapshots, histories, chains, trees, duties and the tail.

mod backward_walk;
mod chain;
mod chain_runs;
mod child;
mod children;
mod duties;
mod event_ref;
mod history;
mod imported_links;
mod imported_order;
mod index_at;
mod lineage;
mod now;
mod parent;
mod rows;
mod run_info;
mod runs;
mod size;
mod snapshot;
mod tail;
mod tree;

pub use chain::{Chain, ChainEvents, Link};
pub use child::{Child, ChildState};
pub use children::Children;
pub use duties::{Duty, DutyFilter, DutyList};
pub(crate) use event_ref::{BatchCursor, EventRef};
pub use history::{Events, History};
pub use parent::{Parent, Root};
pub use rows::{Row, Rows};
pub use run_info::RunInfo;
pub(crate) use run_info::info;
pub use runs::{RunFilter, Runs};
pub use snapshot::Snapshot;
pub use tail::{BatchView, CommitView, RowChange, Tail};
pub use tree::{Tree, TreeNode};
