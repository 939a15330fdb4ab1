//! A process to be killed: this test binary once more, told by its environment what to do.

use std::io::{BufRead, BufReader, Lines};
use std::path::Path;
use std::process::{Child, ChildStderr, Command, Stdio};

/// Where the process finds its store.
pub(crate) const DIRECTORY: &str = "KINLOG_KILL_DIRECTORY";

/// Starts a process that runs one test. What it says comes line by line until it is dead.
pub(crate) fn start(
    test: &str,
    directory: &Path,
    (name, value): (&str, String),
) -> (Child, Lines<BufReader<ChildStderr>>) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture", "--test-threads=1"])
        .env(DIRECTORY, directory)
        .env(name, value)
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let said = BufReader::new(child.stderr.take().unwrap()).lines();
    (child, said)
}
