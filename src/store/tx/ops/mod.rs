//! What a transaction can do to runs, one kind of change a file.

mod append;
mod child_events;
mod children;
mod consumers;
mod continue_as_new;
mod delete;
mod delete_tree;
mod deliver;
mod erase;
mod event_keys;
mod expire;
mod new_child;
mod new_run;
mod report;
mod request;
mod reset;
mod reset_point;
mod rows;
mod scan;
mod settle;
mod start;

pub use append::Expect;
pub use continue_as_new::NextRun;
pub use new_child::{NewChild, SpawnedChild};
pub(crate) use new_run::check_namespace;
pub use new_run::{Close, NewRun, StartOutcome};
pub use request::{CancelOutcome, Target};
pub use reset::NewReset;
pub use rows::RowIs;
pub use scan::{OwnedRow, RowScan};
pub use settle::Settled;
