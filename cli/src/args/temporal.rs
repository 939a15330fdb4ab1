//! Bringing Temporal histories into a store, and writing them out.

use std::path::PathBuf;

use clap::ValueEnum;

use super::RunArgs;

/// Bring recorded Temporal histories into the store.
///
/// Reads protobuf and every JSON form that Temporal's tools write, also compressed by gzip, and
/// files of many histories. A history is imported as a whole or not at all. One that is in the store
/// already is recognised, so an import that was interrupted can simply be repeated. A store that
/// is not there is made.
#[derive(Debug, clap::Args)]
pub(crate) struct ImportArgs {
    /// Files, - for standard input, and folders to search for *.json, *.jsonl, *.ndjson, *.history,
    /// *.bin, *.binpb, *.pb and *.proto, also with .gz behind it.
    #[arg(required = true, value_name = "PATH")]
    pub(crate) paths: Vec<PathBuf>,
    /// The namespace of the runs, which histories do not name.
    #[arg(long, value_name = "NS", default_value = "default")]
    pub(crate) namespace: String,
    /// Do not wait until histories are on the device.
    #[arg(long)]
    pub(crate) buffered: bool,
    /// What becomes of what this version of Temporal's API does not know.
    #[arg(long, value_name = "WHAT", default_value = "fields")]
    pub(crate) unknown: Unknown,
}

/// What becomes of what is not known, such as fields of a newer server. What is kept comes back on
/// export.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Unknown {
    /// A history with any of it is refused.
    Refuse,
    /// Fields are kept, and event types that have a number; a name that nobody knows, of an event
    /// type or an enum value, is refused.
    Fields,
    /// All of it is kept.
    Keep,
}

/// Write a run as a Temporal history, to standard output: a recorded one exactly as it was, one
/// that an engine wrote here in Temporal's words.
#[derive(Debug, clap::Args)]
pub(crate) struct ExportArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// The form to write.
    #[arg(long, default_value = "json")]
    pub(crate) format: Format,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// Temporal's JSON, as `temporal workflow show --output json` writes it.
    Json,
    /// The binary `temporal.api.history.v1.History`.
    Proto,
}
