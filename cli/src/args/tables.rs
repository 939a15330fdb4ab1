//! Tables and their rows, and the consumers of the log.

/// List the tables, with their rows and sizes.
#[derive(Debug, clap::Args)]
pub(crate) struct TablesArgs {
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the rows of a table in the order of their keys.
#[derive(Debug, clap::Args)]
pub(crate) struct RowsArgs {
    /// The table.
    #[arg(value_name = "TABLE", allow_hyphen_values = true)]
    pub(crate) table: String,
    /// Only keys that begin with this text, or with these bytes: 0x and hexadecimal digits.
    #[arg(long, value_name = "KEY", allow_hyphen_values = true)]
    pub(crate) prefix: Option<String>,
    /// The last keys first.
    #[arg(long)]
    pub(crate) reverse: bool,
    /// List at most this many.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// One JSON object a line: key and value as text where they are, and as base64.
    #[arg(long)]
    pub(crate) json: bool,
}

/// List the named consumers of the log: how far each has come, and how much of the log is behind it.
///
/// `kinlog compact` leaves the log as it is from the position of the slowest one on.
#[derive(Debug, clap::Args)]
pub(crate) struct ConsumersArgs {
    /// Remove this one, which is used no more: it holds nothing back then.
    #[arg(long, value_name = "NAME", allow_hyphen_values = true)]
    pub(crate) remove: Option<String>,
    /// One JSON object a line.
    #[arg(long)]
    pub(crate) json: bool,
}
