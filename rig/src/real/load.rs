//! The process that is killed, or whose machine loses its power.

use std::fmt::Display;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process;
use std::sync::Arc;

use clap::Args;
use fork::Fork;
use kinlog::{CommitHandle, Durability, Error, Options, Store};

use crate::reference::SEGMENT_BYTES;
use crate::steady::SteadyDisk;
use crate::world::{Given, World};

/// Lets a world happen in a real directory.
///
/// Every line is with the kernel before the next step is taken, so that a reader of the other end
/// knows what was acknowledged whatever becomes of this process:
///
/// ```text
/// opened 41 Unclosed       so many commits are there
/// given 41                 a commit is about to be given to the store
/// acked 41 sync            it is acknowledged, as durable as it says
/// refused 42 …             it will never be there
/// failed 42 …              it may be there or not
/// closed                   the world is complete, and the store closed in order
/// forked 4711              a child of this id goes on, too; what it says follows `child`
/// child dropped            the child has ended its store
/// ```
#[derive(Debug, Args)]
pub struct Load {
    /// The directory of the store.
    dir: PathBuf,
    /// The seed of the world.
    #[arg(long, value_name = "N")]
    seed: u64,
    /// Up to how many commits.
    #[arg(long, value_name = "N")]
    commits: usize,
    /// The size of segments, if the store is made.
    #[arg(long, value_name = "BYTES", default_value_t = SEGMENT_BYTES)]
    segment_bytes: u32,
    /// Forks before this commit; both processes go on.
    #[arg(long, value_name = "N")]
    fork_at: Option<usize>,
}

/// Commits on their way.
type Pending = Vec<(usize, CommitHandle, Durability)>;

impl Load {
    /// Runs until the world is complete.
    ///
    /// # Errors
    /// What the store says.
    pub fn run(&self) -> Result<(), String> {
        let world = World::of(self.seed);
        let disk = Arc::new(SteadyDisk::new(self.seed));
        let options = Options::new().segment_bytes(self.segment_bytes).disk(disk.clone());
        let store = match options.open(&self.dir) {
            Ok(store) => store,
            Err(error) => {
                say(format_args!("unopened {error}"))?;
                return Err(error.to_string());
            }
        };
        let there = usize::try_from(store.report().commits).unwrap_or(usize::MAX);
        say(format_args!("opened {there} {:?}", store.report().verdict))?;
        let mut pending = Pending::new();
        for number in there..self.commits {
            if !world.is_independent(number) {
                wait(&mut pending)?;
            }
            if self.fork_at == Some(number) {
                wait(&mut pending)?;
                if let Fork::Child = fork::fork().map_err(|error| format!("forking: {error}"))? {
                    return go_on_as_child(store, world, number);
                }
            }
            world.prepare(&*disk, number);
            say(format_args!("given {number}"))?;
            match world.commit(&store, number) {
                Ok(Given::Done(_, durability)) => acknowledged(number, durability)?,
                Ok(Given::Submitted(handle, durability)) => {
                    pending.push((number, handle, durability));
                }
                Err(error) => {
                    failed(number, &error)?;
                    wait(&mut pending)?;
                    return Err(error.to_string());
                }
            }
        }
        wait(&mut pending)?;
        store.shut_down().map_err(|error| format!("closing: {error}"))?;
        say("closed")
    }
}

/// The child of a process that has a store open: it must not get anywhere with it, nor be harmed.
fn go_on_as_child(store: Store, world: World, number: usize) -> Result<(), String> {
    say(format_args!("forked {}", process::id()))?;
    match world.commit(&store, number).and_then(Given::wait) {
        Ok(()) => say(format_args!("child acked {number} sync"))?,
        Err(error) => say(format_args!("child refused {number} {error}"))?,
    }
    drop(store);
    say("child dropped")
}

fn wait(pending: &mut Pending) -> Result<(), String> {
    for (number, handle, durability) in pending.drain(..) {
        match handle.wait() {
            Ok(_) => acknowledged(number, durability)?,
            Err(error) => {
                failed(number, &error)?;
                return Err(error.to_string());
            }
        }
    }
    Ok(())
}

fn acknowledged(number: usize, durability: Durability) -> Result<(), String> {
    say(format_args!(
        "acked {number} {}",
        match durability {
            Durability::Sync => "sync",
            Durability::Buffered => "buffered",
        }
    ))
}

fn failed(number: usize, error: &Error) -> Result<(), String> {
    match error {
        Error::NotWritten { .. } | Error::DiskFull { .. } => {
            say(format_args!("refused {number} {error}"))
        }
        _ => say(format_args!("failed {number} {error}")),
    }
}

fn say(line: impl Display) -> Result<(), String> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).map_err(|error| format!("stdout: {error}"))
}
