//! The power goes: the page cache, which survives a kill, does not survive this.

use std::fs;
use std::path::PathBuf;

use clap::{Args, ValueEnum};

#[cfg(feature = "fuse")]
use super::bare::Bare;
#[cfg(feature = "fuse")]
use super::caching::Caching;
use super::copied::Copied;
use super::file_system::FileSystem;
use super::ground::Ground;
use super::ordeal;

/// Takes the power from a file system under load. What was acknowledged as durable must be there.
#[derive(Debug, Args)]
pub struct PowerLoss {
    /// What lies between the file system and what lasts.
    #[arg(long, default_value = "image")]
    device: Device,
    /// The file system.
    #[arg(long, default_value = "ext4")]
    fs: FileSystem,
    /// How often.
    #[arg(long, value_name = "N", default_value_t = 100)]
    times: u64,
    /// The seed of the first world and of the moments.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where images and mounts are, for as long as it runs; needs up to 3 GiB. Memory will do.
    #[arg(long)]
    dir: PathBuf,
}

/// What a power loss leaves.
#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum Device {
    /// All that the file system had written: its image is copied.
    Image,
    /// What the file system had flushed, and any part of the rest.
    #[cfg(feature = "fuse")]
    Cache,
    /// There is no other file system: the simulated disk is mounted itself.
    #[cfg(feature = "fuse")]
    Bare,
}

impl PowerLoss {
    /// Takes the power, and prints a row of the table.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(&self) -> Result<(), String> {
        let dir = &self.dir;
        fs::create_dir_all(dir).map_err(|error| format!("{}: {error}", dir.display()))?;
        let name = self.fs.name();
        match self.device {
            Device::Image => {
                self.lose(&mut Copied::start(self.fs, dir)?, &format!("copy of {name}"))
            }
            #[cfg(feature = "fuse")]
            Device::Cache => {
                let mut ground = Caching::start(self.fs, dir, self.seed)?;
                self.lose(&mut ground, &format!("loss of the cache under {name}"))
            }
            #[cfg(feature = "fuse")]
            Device::Bare => self.lose(&mut Bare::start(dir, self.seed)?, "loss through FUSE"),
        }
    }

    fn lose(&self, ground: &mut dyn Ground, end: &str) -> Result<(), String> {
        let tally = ordeal::run(ground, self.times, self.seed)?;
        println!("{}", tally.row(end, &ground.remark()));
        Ok(())
    }
}
