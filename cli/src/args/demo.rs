//! The demo.

use clap::ValueEnum;
use kinlog::Durability;

/// Make a store and watch it work: a parent workflow, its children and their activities; the
/// parent closes, and its children follow their close policies.
///
/// The limits of the demo's namespace are lifted where the numbers ask for it.
///
/// If there is a store in the folder already, it is left alone, and the demo makes one in a new
/// folder within.
#[derive(Debug, clap::Args)]
pub(crate) struct DemoArgs {
    /// How many children the parent starts.
    #[arg(long, value_name = "N", default_value_t = 1000)]
    pub(crate) children: u32,
    /// How many activities each child runs.
    #[arg(long, value_name = "M", default_value_t = 1000)]
    pub(crate) activities: u32,
    /// How long a commit waits.
    #[arg(long, default_value = "sync")]
    pub(crate) durability: Durable,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Durable {
    /// Until it is on the device.
    Sync,
    /// Until the operating system has it.
    Buffered,
}

impl From<Durable> for Durability {
    fn from(durable: Durable) -> Self {
        match durable {
            Durable::Sync => Durability::Sync,
            Durable::Buffered => Durability::Buffered,
        }
    }
}
