//! The process that a cell runs in, as seen from outside. It says one line when it is ready for its
//! first turn, takes a turn for every line that it is told, and when it is told no more it says
//! what its answer was.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};

use serde::{Deserialize, Serialize};

use crate::engine::Result;
use crate::workloads::Outcome;

#[derive(Serialize, Deserialize, Debug)]
pub enum Said {
    Ready,
    Turn(Outcome),
    Done(Outcome),
}

pub struct Worker {
    process: Child,
    says: BufReader<ChildStdout>,
    complaints: PathBuf,
    /// Whether it is to die of a signal, in the middle of it all.
    dies: bool,
}

impl Worker {
    /// What it complains about goes into the file `complaints`.
    pub fn start(mut command: Command, complaints: PathBuf, dies: bool) -> Result<Self> {
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(File::create(&complaints)?);
        let mut process = command.spawn()?;
        let says = process.stdout.take().ok_or("a worker has no output")?;
        Ok(Worker { process, says: BufReader::new(says), complaints, dies })
    }

    /// Lets it take a turn.
    pub fn turn(&mut self) -> Result<Said> {
        self.process.stdin.as_mut().ok_or("a worker has no input")?.write_all(b"\n")?;
        self.hear()
    }

    /// Lets it take no more turns.
    pub fn end(&mut self) -> Result<Said> {
        self.process.stdin = None;
        self.hear()
    }

    pub fn hear(&mut self) -> Result<Said> {
        let mut line = String::new();
        self.says.read_line(&mut line)?;
        if !line.is_empty() {
            return Ok(serde_json::from_str(&line)?);
        }
        let status = self.process.wait()?;
        if self.dies && status.signal().is_some() {
            return Ok(Said::Done(Outcome::default()));
        }
        Err(self.complaint(status).into())
    }

    /// Waits until it is gone and its store is closed.
    pub fn join(&mut self) -> Result<()> {
        let status = self.process.wait()?;
        let fine = status.success() || self.dies && status.signal().is_some();
        if fine { Ok(()) } else { Err(self.complaint(status).into()) }
    }

    fn complaint(&self, status: ExitStatus) -> String {
        let said = std::fs::read_to_string(&self.complaints).unwrap_or_default();
        let said: Vec<_> = said.split_whitespace().collect();
        format!("{status}: {}", said.join(" "))
    }
}

impl Drop for Worker {
    /// One that is not done is not wanted any more.
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
