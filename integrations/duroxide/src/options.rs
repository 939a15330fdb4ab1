//! How a store serves duroxide.

use kinlog::Durability;

/// Whether a fetch waits for work.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Polling {
    /// It waits as long as the caller allows, and is woken by the commit that brings work.
    #[default]
    Long,
    /// It returns at once; duroxide then sleeps, 100 ms by default, before it asks again.
    Short,
}

/// Options of a provider. By default it polls long, and what returns is on the device.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Options {
    pub(crate) polling: Polling,
    pub(crate) durability: Durability,
}

impl Options {
    /// The defaults.
    #[must_use]
    pub fn new() -> Self {
        Options::default()
    }

    /// Whether a fetch waits for work.
    #[must_use]
    pub fn polling(mut self, polling: Polling) -> Self {
        self.polling = polling;
        self
    }

    /// How durable a commit is when the call returns. Buffered ones survive a crash of the process, not of the
    /// machine.
    #[must_use]
    pub fn durability(mut self, durability: Durability) -> Self {
        self.durability = durability;
        self
    }
}
