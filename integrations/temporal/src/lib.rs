//! Reads and writes [Temporal](https://temporal.io) workflow histories for kinlog.
//!
//! A [`History`] is read from protobuf or from any of the JSON forms that Temporal's tools
//! have written over the years, and is written back as protobuf or proto3 JSON.
//! [`import`] writes it into a store, [`export`] gets it back, byte for byte the same. A run that an
//! engine wrote by itself is put into Temporal's words by [`export_live`].
//!
//! They are made of parts that can be used by themselves: [`NewRecord`] makes an event ready for
//! kinlog, [`RecordedEvent::from_kinlog`] gets it back, and [`batches`] finds where the server's
//! transactions began and ended.

mod batches;
mod beside;
mod check;
mod encode;
mod error;
mod event;
mod export;
mod history;
mod identity;
mod import;
mod json;
mod live;
mod mapping;
mod read;
mod schema;
mod unknown;
mod write;

pub use batches::batches;
pub use error::{ExportError, ImportError, SchemaError};
pub use event::RecordedEvent;
pub use export::export;
pub use history::History;
pub use import::{ImportOptions, Imported, Outcome, import};
pub use live::export_live;
pub use mapping::{NewRecord, Run};
pub use read::{ReadOptions, Unknown, read_histories};
