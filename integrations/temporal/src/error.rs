//! Why a history could not be read.

use std::path::{Path, PathBuf};

use kinlog::{EventKind, RunId};

/// Why a history could not be read, or not be written into a store.
///
/// `at` is the place in the JSON document, such as `events[3].eventType`.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// Another error, with the file it happened in.
    #[error("{}: {source}", path.display())]
    InFile {
        /// The file that was read.
        path: PathBuf,
        /// What went wrong in it.
        source: Box<ImportError>,
    },
    /// The input has no bytes.
    #[error("the file is empty")]
    Empty,
    /// The input cannot be read.
    #[error(transparent)]
    Io(std::io::Error),
    /// The input is compressed by gzip, and broken or cut off.
    #[error("broken gzip: {reason}")]
    Gzip {
        /// What the decoder says.
        reason: String,
    },
    /// The input is of a form that is known and not read.
    #[error("this is {what}, which is not read: unpack or convert it first")]
    NotRead {
        /// What it is.
        what: &'static str,
    },
    /// The input begins like JSON but is no text.
    #[error("not {encoding} text at byte {offset}")]
    NotText {
        /// How it is encoded.
        encoding: &'static str,
        /// The first byte that is not of that encoding.
        offset: usize,
    },
    /// There are several histories where one is expected.
    #[error("there are {count} histories where one is expected")]
    ManyHistories {
        /// How many.
        count: usize,
    },
    /// The JSON is broken or cut off.
    #[error("broken JSON at line {line}, column {column}: {reason}")]
    Json {
        /// Line, from 1.
        line: usize,
        /// Column, from 1; 0 if the line itself is missing.
        column: usize,
        /// What the parser says.
        reason: String,
    },
    /// The protobuf bytes are broken or cut off.
    #[error("broken protobuf in events[{index}], at byte {offset}: {reason}")]
    Protobuf {
        /// Events read before.
        index: usize,
        /// Where the broken event begins.
        offset: usize,
        /// What the decoder says.
        reason: String,
    },
    /// The JSON has no list of events where one is expected.
    #[error("{at} is not a Temporal history: {found}")]
    NotAHistory {
        /// The place in the document.
        at: String,
        /// What is there instead.
        found: String,
    },
    /// The history is one of Cadence, from which Temporal was forked.
    #[error("{at} is a Cadence event, not a Temporal one: {reason}")]
    Cadence {
        /// The first such event.
        at: String,
        /// What gives it away.
        reason: String,
    },
    /// The type of an event is not known.
    #[error("{at} (event {id}): unknown event type {value}")]
    UnknownEventType {
        /// The place in the document.
        at: String,
        /// The event's id, 0 if it has none.
        id: i64,
        /// The type as it is written.
        value: String,
    },
    /// A value is not known in its enum.
    #[error("{at} (event {id}): unknown value {value} of enum {name}")]
    UnknownEnumValue {
        /// The place in the document.
        at: String,
        /// The event's id, 0 if it has none.
        id: i64,
        /// The value as it is written.
        value: String,
        /// The enum.
        name: String,
    },
    /// A field is not known, and nothing unknown was to be kept.
    #[error("{at} (event {id}): unknown field {field}")]
    UnknownField {
        /// The place in the document.
        at: String,
        /// The event's id, 0 if it has none.
        id: i64,
        /// The name of the field, or its number in protobuf.
        field: String,
    },
    /// A field cannot hold its value.
    #[error("{at} (event {id}): {reason}")]
    Field {
        /// The place in the document.
        at: String,
        /// The event's id, 0 if it has none.
        id: i64,
        /// What is wrong with the value.
        reason: String,
    },
    /// The event ids neither rise nor fall throughout.
    #[error("event {id} follows event {previous}: event ids must rise")]
    OutOfOrder {
        /// The id of the event before.
        previous: i64,
        /// The id that is out of order.
        id: i64,
    },
    /// The history has no events.
    #[error("the history has no events")]
    NoEvents,
    /// An event cannot be where it is in the history of a run.
    #[error("event {id} is a {kind}: {rule}")]
    Misplaced {
        /// The event's id, 0 if it has none.
        id: i64,
        /// Its kind.
        kind: EventKind,
        /// What it breaks.
        rule: &'static str,
    },
    /// An event says nothing of what it is about.
    #[error("event {id} is a {kind} without attributes")]
    NoAttributes {
        /// The event's id, 0 if it has none.
        id: i64,
        /// Its kind.
        kind: EventKind,
    },
    /// The store does not take an event.
    #[error("event {id}: {source}")]
    Refused {
        /// The event's id, 0 if it has none.
        id: i64,
        /// Why not.
        source: kinlog::Error,
    },
    /// The store failed when a part of the history was written.
    #[error(
        "{events} events were written to run {run} in {commits} commits, and then: {source}; import it again to go on"
    )]
    Unfinished {
        /// The run.
        run: RunId,
        /// How many events were written, if the device has what it was given.
        events: usize,
        /// In how many commits.
        commits: usize,
        /// What failed.
        source: kinlog::Error,
    },
    /// The run that the store holds cannot be compared with the history.
    #[error("run {run} in the store: {source}")]
    Stored {
        /// The run.
        run: RunId,
        /// Why not.
        source: ExportError,
    },
    /// The store takes no commits, or cannot be read.
    #[error(transparent)]
    Store(#[from] kinlog::Error),
    /// This crate was built against an API it cannot use.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

impl ImportError {
    /// Adds the file in which the error happened.
    #[must_use]
    pub fn in_file(self, path: impl AsRef<Path>) -> Self {
        Self::InFile { path: path.as_ref().to_owned(), source: Box::new(self) }
    }
}

/// Why a history could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExportError {
    /// A value has no JSON form, such as a time out of range.
    #[error("cannot be written as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// A protobuf field has no name, because this version of Temporal's API does not know it.
    #[error(
        "event {id} has the field {field} of a newer server, for which JSON has no name: protobuf has room for it"
    )]
    Unnamed {
        /// The event's id in its history.
        id: i64,
        /// The field's number.
        field: u32,
    },
    /// The payload of a kinlog event is no rest of a Temporal event.
    #[error("event {id} has a payload that is not Temporal's: {reason}")]
    Payload {
        /// The event's number in its run.
        id: u32,
        /// What the decoder says.
        reason: String,
    },
    /// The event is of a kind that Temporal does not have.
    #[error("event {id} is a {kind}, which Temporal does not have")]
    UnknownKind {
        /// The event's number in its run.
        id: u32,
        /// Its kind.
        kind: EventKind,
    },
    /// The typed body was written by a newer kinlog.
    #[error("event {id}, a {kind}, has a body of version {version}, which is too new")]
    UnknownVersion {
        /// The event's number in its run.
        id: u32,
        /// Its kind.
        kind: EventKind,
        /// The version of its body.
        version: u8,
    },
    /// The store cannot be read.
    #[error(transparent)]
    Store(#[from] kinlog::Error),
    /// This crate was built against an API it cannot use.
    #[error(transparent)]
    Schema(#[from] SchemaError),
}

/// The Temporal API that this crate was built against lacks what it needs.
#[derive(Debug, Clone, thiserror::Error)]
#[error("unusable Temporal API descriptors: {0}")]
pub struct SchemaError(pub(crate) String);
