//! Real kills and real file systems: what the [simulated disk](crate::disk) takes for granted.
//!
//! A [`Load`] is a process that lets a world happen in a directory and tells another one, through
//! a pipe, what was acknowledged. It [ends](ordeal) at a random moment, together with the [ground]
//! it stands on or without it, and what it leaves is [compared](check) with the same world on a
//! disk that never fails. [People] do not end a process but take its files from under it.
//! `rig/real` runs all of it.

#[cfg(feature = "fuse")]
mod bare;
#[cfg(feature = "fuse")]
mod cache;
#[cfg(feature = "fuse")]
mod caching;
pub mod check;
mod copied;
pub mod file_system;
pub mod follower;
#[cfg(feature = "fuse")]
mod front;
pub mod full;
pub mod ground;
mod image;
pub mod kill;
pub mod load;
pub mod loader;
pub mod ordeal;
pub mod people;
pub mod power_loss;
mod shell;

use clap::Subcommand;

pub use check::Check;
pub use full::Full;
pub use kill::Kill;
pub use load::Load;
pub use people::People;
pub use power_loss::PowerLoss;

/// What runs on the machine's own disks.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Lets a world happen in a directory, going on from what is there, and says on its standard
    /// output what was acknowledged.
    Load(Load),
    /// Compares a store with what its world comes to, goes on with it, and closes it.
    Check(Check),
    /// Kills loads at random moments and checks what they leave.
    Kill(Kill),
    /// Takes the power from a file system under load, at random moments, and checks what the next
    /// start of the machine finds.
    PowerLoss(PowerLoss),
    /// Fills a disk, and works on it.
    Full(Full),
    /// Lets people at the files of stores that are open, and checks what they leave.
    People(People),
}

impl Command {
    /// Does it.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(&self) -> Result<(), String> {
        match self {
            Command::Load(load) => load.run(),
            Command::Check(check) => check.run(),
            Command::Kill(kill) => kill.run(),
            Command::PowerLoss(power_loss) => power_loss.run(),
            Command::Full(full) => full.run(),
            Command::People(people) => people.run(),
        }
    }
}
