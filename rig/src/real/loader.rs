//! A [`Load`](super::Load) as the process sees it that started it.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use super::shell;
use crate::world::World;

/// What a load has said so far.
#[derive(Clone, Debug, Default)]
pub struct Said {
    /// How many commits it found, and the verdict.
    pub opened: Option<(usize, String)>,
    /// No more commits than these can be there.
    pub given: Option<usize>,
    /// So many commits are there after a kill.
    pub written: usize,
    /// So many commits are there after a power loss, too.
    pub durable: usize,
    /// Acknowledgements, all of them and those of durable commits.
    pub acknowledged: [u64; 2],
    /// The world is complete.
    pub closed: bool,
    /// What went wrong.
    pub failed: Option<String>,
    /// What its child has said, if it has forked, and that process.
    pub child: Option<(u32, Box<Said>)>,
    /// It ended its store without a word.
    pub dropped: bool,
}

impl Said {
    fn hear(&mut self, line: &str) -> Option<()> {
        let (what, rest) = line.split_once(' ').unwrap_or((line, ""));
        let (number, rest) = rest.split_once(' ').unwrap_or((rest, ""));
        let number = || number.parse::<usize>().ok();
        match what {
            "opened" => {
                let there = number()?;
                self.opened = Some((there, rest.to_owned()));
                (self.given, self.written, self.durable) = (Some(there), there, there);
            }
            "given" => self.given = Some(number()? + 1),
            "acked" => {
                self.acknowledged[0] += 1;
                self.written = self.written.max(number()? + 1);
                if rest == "sync" {
                    self.acknowledged[1] += 1;
                    self.durable = self.durable.max(number()? + 1);
                }
            }
            "refused" => {
                self.given = self.given.min(number());
                self.failed.get_or_insert_with(|| line.to_owned());
            }
            "failed" | "unopened" => drop(self.failed.get_or_insert_with(|| line.to_owned())),
            "closed" => self.closed = true,
            "forked" => self.child = Some((u32::try_from(number()?).ok()?, Box::default())),
            "child" => self.child.as_mut()?.1.hear(line.strip_prefix("child ")?)?,
            "dropped" => self.dropped = true,
            _ => return None,
        }
        Some(())
    }
}

/// A running load.
pub struct Loader {
    child: Child,
    said: Arc<Mutex<Said>>,
    reader: JoinHandle<Result<(), String>>,
    ended: Receiver<()>,
}

impl Loader {
    /// Starts a load with the program `rig`, which is `kinlog-rig`.
    ///
    /// # Errors
    /// What the system says.
    pub fn start(rig: &Path, dir: &Path, world: World, commits: usize) -> Result<Self, String> {
        Self::start_with(rig, dir, world, commits, &[])
    }

    /// As [`Loader::start`], with more arguments.
    ///
    /// # Errors
    /// What the system says.
    pub fn start_with(
        rig: &Path,
        dir: &Path,
        world: World,
        commits: usize,
        more: &[String],
    ) -> Result<Self, String> {
        let mut child = Command::new(rig)
            .arg("load")
            .arg(dir)
            .args(["--seed", &world.seed.to_string(), "--commits", &commits.to_string()])
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .map_err(|error| format!("{}: {error}", rig.display()))?;
        let out = child.stdout.take().ok_or("a child without a pipe")?;
        let said = Arc::new(Mutex::default());
        let (end, ended) = channel();
        let hearing = Arc::clone(&said);
        let reader = thread::spawn(move || {
            let heard = listen(out, &hearing);
            drop(end);
            heard
        });
        Ok(Loader { child, said, reader, ended })
    }

    /// Waits for `time`, or until the process has ended by itself: whether it has.
    pub fn wait(&self, time: Duration) -> bool {
        self.ended.recv_timeout(time) != Err(RecvTimeoutError::Timeout)
    }

    /// What it has said up to now.
    #[must_use]
    pub fn said(&self) -> Said {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Kills it, if it still runs, and returns all that it has said.
    ///
    /// # Errors
    /// What the system says, and a line that means nothing.
    pub fn kill(self) -> Result<Said, String> {
        self.end().map(|(said, _)| said)
    }

    /// As [`Loader::kill`]; besides, how it ended.
    ///
    /// # Errors
    /// What the system says, and a line that means nothing.
    pub fn end(mut self) -> Result<(Said, ExitStatus), String> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        let status = killed.map_err(|error| error.to_string())?;
        if let Some((child, _)) = self.said().child {
            // It holds the other end of the pipe. It may have ended by itself.
            let _ = shell::run("kill", &["-KILL", &child.to_string()]);
        }
        self.reader.join().map_err(|_| "the reader panicked")??;
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        Ok((said.clone(), status))
    }
}

fn listen(out: ChildStdout, said: &Mutex<Said>) -> Result<(), String> {
    let mut out = BufReader::new(out);
    let mut line = String::new();
    while out.read_line(&mut line).map_err(|error| error.to_string())? > 0 {
        // A kill may cut the last line short; what it says was not said.
        if let Some(whole) = line.strip_suffix('\n') {
            let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
            said.hear(whole).ok_or_else(|| format!("the load says {whole:?}"))?;
        }
        line.clear();
    }
    Ok(())
}
