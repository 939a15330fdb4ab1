//! SIGKILL at random moments.

use std::fs;
use std::io::ErrorKind::NotFound;
use std::path::{Path, PathBuf};

use clap::Args;

use super::ground::{End, Ground};
use super::loader::Loader;
use super::ordeal;

/// Kills loads. The page cache survives a kill, so that every acknowledged commit must be there,
/// whatever its durability.
#[derive(Debug, Args)]
pub struct Kill {
    /// How many loads.
    #[arg(long, value_name = "N", default_value_t = 300)]
    times: u64,
    /// The seed of the first world and of the moments.
    #[arg(long, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// Where stores are made, which is left there if anything is wrong; a temporary directory, if
    /// nothing is said.
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Kill {
    /// Kills, and prints a row of the table.
    ///
    /// # Errors
    /// What is wrong.
    pub fn run(&self) -> Result<(), String> {
        let temporary = tempfile::tempdir().map_err(|error| error.to_string())?;
        let dir = self.dir.as_deref().unwrap_or(temporary.path());
        let mut directory = Directory { store: dir.join("store") };
        match ordeal::run(&mut directory, self.times, self.seed) {
            Ok(tally) => {
                println!("{}", tally.row("kill", ""));
                Ok(())
            }
            Err(what) => {
                let _ = temporary.keep();
                Err(what)
            }
        }
    }
}

/// A directory that stays as it is.
struct Directory {
    store: PathBuf,
}

impl Ground for Directory {
    fn store(&self) -> &Path {
        &self.store
    }

    fn end(&mut self, loader: Loader) -> Result<End, String> {
        let said = loader.kill()?;
        Ok(End { kept: said.written, said, excuse: false })
    }

    fn clear(&mut self) -> Result<(), String> {
        remove(&self.store)
    }
}

/// Removes a store.
pub(super) fn remove(store: &Path) -> Result<(), String> {
    match fs::remove_dir_all(store) {
        Err(error) if error.kind() != NotFound => Err(format!("{}: {error}", store.display())),
        _ => Ok(()),
    }
}
