//! Reads and writes [Temporal](https://temporal.io) workflow histories for kinlog.
//!
//! A [`History`] is read from protobuf or from any of the JSON forms that Temporal's tools
//! have written over the years, and is written back as protobuf or proto3 JSON.
//! [`NewRecord`] makes an event ready for kinlog, [`RecordedEvent::from_kinlog`] gets it back, and
//! [`batches`] finds where the server's transactions began and ended.

mod batches;
mod encode;
mod error;
mod event;
mod gather;
mod history;
mod json;
mod legacy;
mod mapping;
mod normalise;
mod proto;
mod schema;
mod shorthand;

pub use batches::batches;
pub use error::{ExportError, ImportError, SchemaError};
pub use event::RecordedEvent;
pub use history::History;
pub use mapping::{NewRecord, Run};
